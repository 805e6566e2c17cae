// Part 1: log p as a sum: its terms one below the other, what they add up to, what is missing; and
// the two curves that follow from keeping T of them.

import { exactPassAtK, objective, termsBetween, weightOfOrder } from "./math.js";
import { Part } from "./part.js";
import { fromLogit, logit, Plot } from "./plot.js";
import { css } from "./theme.js";
import {
  between,
  chance,
  doublings,
  el,
  format,
  keyEntry,
  minus,
  numberControl,
  passRates,
  prose,
  tidy,
  whole,
} from "./ui.js";

const MOST = 1024;
const [LOW, HIGH] = [1e-4, 0.9999];
const POINTS = 240;
const ALONE = 8; // terms with a row of their own; then groups, each twice as long as the last
const ROWS = [
  ...Array.from({ length: ALONE }, (_, i) => [i + 1, i + 1]),
  ...Array.from({ length: 7 }, (_, i) => [ALONE * 2 ** i + 1, ALONE * 2 ** (i + 1)]),
  [MOST + 1, Infinity],
];
const REFERENCE = { color: "ink", width: 1.5, dash: [5, 4] };
const FIRST = { color: "m-reinforce", width: 5, alpha: 0.55 }; // is seen below OURS at T = 1
const OURS = { color: "m-maxrl", width: 2.5 };

const grouped = (n) => n.toLocaleString("en");

/** Four decimals. */
const fixed = (x) => (Math.abs(x) < 5e-5 ? "≈ 0" : minus(x.toFixed(4)));

/** The terms from j = `first` on: a difference where they are many, a sum where they are small. */
function termsFrom(p, first) {
  if ((1 - p) ** first > 0.01) return -objective(p, Infinity) + objective(p, first - 1);
  return termsBetween(p, first, first + Math.ceil(40 / p));
}

export class Series extends Part {
  constructor() {
    super("series");
    this.p = this.add(numberControl, {
      name: "p",
      label: "Pass rate p",
      value: 0.05,
      values: passRates(),
      show: (x) => format(x),
      check: between("p", LOW, HIGH),
    });
    this.T = this.add(numberControl, {
      name: "T",
      label: "Terms kept, T",
      value: 8,
      values: doublings(1, MOST),
      check: whole("T", 1, () => MOST),
    });
    this.makeRows();
    this.makePlots();
    this.redraw();
  }

  // ------------------------------------------------------------------------------- the terms

  makeRows() {
    const label = ([first, last]) =>
      last === Infinity
        ? `beyond ${grouped(MOST)}`
        : first === last
          ? `j = ${first}`
          : `${grouped(first)} to ${grouped(last)}`;
    this.ticks = [0, 50, 100].map((at) => el("span", { style: `left: ${at}%` }));
    const scale = el("div", { class: "scale" }, ...this.ticks);
    this.slot("terms").append(el("div", { class: "axis", "aria-hidden": "true" }, scale));
    this.rows = ROWS.map((row) => this.row(label(row), row[0] === row[1] ? "" : "several"));
    this.sum = this.row("", "total");
    this.missing = this.row("missing", "total");
    this.log = this.row("log p", "total whole-sum");
  }

  row(label, kind) {
    const [kept, lost] = [el("i", { hidden: true }), el("i", { class: "lost", hidden: true })];
    const value = el("output");
    const name = el("span", {}, ...prose(label));
    const bar = el("div", { class: "span" }, kept, lost);
    this.slot("terms").append(el("div", { class: `term ${kind}` }, name, bar, value));
    return { name, kept, lost, value };
  }

  /** Bars run from where the terms before end: what is kept is solid, what is not is outlined. */
  drawTerms() {
    const [p, T, total] = [this.p.value, this.T.value, -Math.log(this.p.value)];
    const place = (bar, from, size) => {
      bar.hidden = size === 0;
      bar.style.left = `${(100 * from) / total}%`;
      bar.style.width = `${(100 * size) / total}%`;
    };
    this.ticks.forEach((tick, i) => {
      tick.textContent = i ? fixed((-total * i) / 2) : "0";
    });
    let [at, missing] = [0, 0];
    ROWS.forEach(([first, last], i) => {
      const { kept, lost, value } = this.rows[i];
      const inSum = T < first ? 0 : termsBetween(p, first, Math.min(last, T));
      const from = Math.max(first, T + 1);
      const others = last === Infinity ? termsFrom(p, from) : termsBetween(p, from, last);
      place(kept, at, inSum);
      place(lost, at + inSum, others);
      value.textContent = fixed(-(inSum || others));
      value.className = inSum ? "" : "lost";
      at += inSum + others;
      missing += others;
    });
    const sum = -objective(p, T);
    const count = T === 1 ? "first term" : `first ${grouped(T)}`;
    this.sum.name.replaceChildren("sum, ", el("wbr"), count);
    place(this.sum.kept, 0, sum);
    place(this.missing.lost, sum, missing);
    place(this.log.kept, 0, total);
    const numbers = [-sum, -missing, -total];
    [this.sum, this.missing, this.log].forEach(({ value }, i) => {
      value.textContent = fixed(numbers[i]);
    });
  }

  // ------------------------------------------------------------------------------- the curves

  makePlots() {
    const J = (x) => objective(x, this.T.value);
    const w = (x) => weightOfOrder(x, this.T.value);
    this.curve = this.plot("curve", {
      label: "log p, its first term and its first T terms against the pass rate p",
      y: { range: [-9.4, 0.3] },
      marks: this.marks(["ink", Math.log], ["m-maxrl", J]),
    });
    this.slope = this.plot("weight", {
      label: "the weight w of order T against p, beside 1/p",
      y: { log: true, range: [0.5, 14000] },
      marks: this.marks(["ink", (x) => 1 / x], ["m-maxrl", w]),
    });
    this.slot("key").append(
      keyEntry("ink", "all terms: maximum likelihood", REFERENCE.dash),
      keyEntry("m-maxrl", "the first T terms"),
      keyEntry("m-reinforce", "the first term: reinforcement learning"),
    );
    this.ps = Array.from({ length: POINTS + 1 }, (_, i) => LOW ** (1 - i / POINTS));
    this.xs = this.ps.map(Math.log10);
  }

  plot(slot, options) {
    const x = {
      title: "pass rate p",
      range: [-4, 0],
      ticks: [-4, -3, -2, -1, 0],
      text: (value) => format(10 ** value),
    };
    const series = [FIRST, REFERENCE, OURS];
    const plot = new Plot(this.slot(slot), { ...options, x, series, draggable: true });
    plot.handle({
      label: "Pass rate p",
      toX: Math.log10,
      fromX: (value) => Math.min(Math.max(tidy(10 ** value), LOW), HIGH),
      get: () => this.p.value,
      set: (p) => {
        this.p.set(p);
        this.changed();
      },
      step: (p, steps) => {
        const z = logit(p) + steps * 0.1;
        return tidy(fromLogit(Math.min(Math.max(z, logit(LOW)), logit(HIGH))));
      },
      show: (p) => `p = ${chance(p)}`,
    });
    return plot;
  }

  /** Dots where the line crosses two curves, and between them what is missing. */
  marks(...curves) {
    return (u) => {
      const { ctx } = u;
      const at = u.valToPos(Math.log10(this.p.value), "x", true);
      const heights = curves.map(([, f]) => u.valToPos(f(this.p.value), "y", true));
      ctx.save();
      ctx.strokeStyle = css("accent");
      ctx.globalAlpha = 0.3;
      ctx.lineWidth = 9 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(at, heights[0]);
      ctx.lineTo(at, heights[1]);
      ctx.stroke();
      ctx.globalAlpha = 1;
      curves.forEach(([color], i) => {
        ctx.beginPath();
        ctx.arc(at, heights[i], 4.5 * devicePixelRatio, 0, 2 * Math.PI);
        ctx.fillStyle = css(color);
        ctx.fill();
      });
      ctx.restore();
    };
  }

  // ------------------------------------------------------------------------------- the drawing

  draw() {
    const [p, T] = [this.p.value, this.T.value];
    const of = (f) => this.ps.map(f);
    this.drawTerms();
    this.curve.set([this.xs, of((x) => x - 1), of(Math.log), of((x) => objective(x, T))]);
    this.slope.set([this.xs, of(() => 1), of((x) => 1 / x), of((x) => weightOfOrder(x, T))]);
    const [log, J] = [Math.log(p), objective(p, T)];
    const [w, full] = [weightOfOrder(p, T), 1 / p].map((x) => format(x));
    const now =
      `At p = ${chance(p)} the chance that at least one of T = ${grouped(T)} tries is right, ` +
      `pass@T, is ${chance(exactPassAtK(p, T))}. The slope of the first T terms is pass@T / p, ` +
      `here ${w}. The full weight 1/p is ${full}.`;
    this.slot("weight-now").replaceChildren(...prose(now));
    this.say(
      `At p = ${chance(p)} and T = ${T}: the sum is ${fixed(J)}, log p is ${fixed(log)}, missing ` +
        `${fixed(log - J)}; the weight is ${w} of ${full}.`,
    );
  }
}
