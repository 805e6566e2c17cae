// Part 1: log p, its partial sums J_T, their slopes, and pass@T.

import { exactPassAtK, objective, termsBetween, weightOfOrder } from "./math.js";
import { Part } from "./part.js";
import { Plot, fromLogit, logit } from "./plot.js";
import { css } from "./theme.js";
import {
  between,
  chance,
  choiceControl,
  doublings,
  el,
  format,
  keyEntry,
  minus,
  numberControl,
  passRates,
  whole,
} from "./ui.js";

const MOST = 1024;
const [LOW, HIGH] = [1e-4, 0.9999];
const POINTS = 240;
const SHOWN_TERMS = 60; // in the strip, one by one
const BUNDLES = Array.from({ length: 11 }, (_, i) => [2 ** i, Math.min(2 ** (i + 1) - 1, MOST)]);
const REFERENCE = { color: "ink", width: 1.5, dash: [5, 4] };
const FIRST = { color: "m-reinforce" };
const OURS = { color: "m-maxrl", width: 2.5 };
const NUMBERS = [
  "log p",
  "sum of T terms",
  "missing",
  "pass@T",
  "weight w(p)",
  "1/p, the full weight",
];

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
    const axis = [
      ["log", "log"],
      ["linear", "linear"],
    ];
    const options = { name: "axis", label: "Axis of p", value: "log", options: axis };
    this.axis = this.add(choiceControl, options, () => this.fill());
    this.makePlots();
    this.makeTerms();
    this.numbers = NUMBERS.map((name) => {
      const value = el("b");
      this.slot("numbers").append(el("div", {}, el("span", {}, name), value));
      return value;
    });
    this.fill();
    this.redraw();
  }

  // All three plots have the same x, so that one drag moves one line in all of them.

  get isLog() {
    return this.axis.value === "log";
  }

  toX(p) {
    return this.isLog ? Math.log10(p) : p;
  }

  fromX(x) {
    const p = this.isLog ? 10 ** x : x;
    return Number(Math.min(Math.max(p, LOW), HIGH).toPrecision(3));
  }

  makePlots() {
    const J = (x) => objective(x, this.T.value);
    const w = (x) => weightOfOrder(x, this.T.value);
    const pass = (x) => exactPassAtK(x, this.T.value);
    this.curve = this.plot("curve", {
      label: "log p, its first term and its first T terms against the pass rate p",
      y: { range: [-9.4, 0.3] },
      series: [REFERENCE, FIRST, OURS],
      marks: this.marks(["ink", Math.log], ["m-maxrl", J]),
    });
    this.slope = this.plot("weight", {
      label: "the weight w of order T against p, beside 1/p",
      y: { log: true, range: [0.5, 14000] },
      series: [REFERENCE, FIRST, OURS],
      marks: this.marks(["ink", (x) => 1 / x], ["m-maxrl", w]),
    });
    this.pass = this.plot("pass", {
      label: "pass@T against p",
      y: { range: [-0.08, 1.04], ticks: [0, 0.5, 1] },
      series: [FIRST, OURS],
      marks: this.marks(["m-reinforce", (x) => x], ["m-maxrl", pass]),
    });
    this.slot("key").append(
      keyEntry("ink", "log p: maximum likelihood", true),
      keyEntry("m-maxrl", "the first T terms"),
      keyEntry("m-reinforce", "the first term, p − 1: reinforcement learning"),
    );
    this.slot("pass-key").append(
      keyEntry("m-maxrl", "T tries"),
      keyEntry("m-reinforce", "one try, p"),
    );
  }

  plot(slot, options) {
    const x = {
      title: "pass rate p",
      range: () => (this.isLog ? [-4, 0] : [0, 1]),
      ticks: () => (this.isLog ? [-4, -3, -2, -1, 0] : [0, 0.25, 0.5, 0.75, 1]),
      text: (value) => format(this.isLog ? 10 ** value : value),
    };
    const plot = new Plot(this.slot(slot), { ...options, x, draggable: true });
    plot.handle({
      label: "Pass rate p",
      toX: (p) => this.toX(p),
      fromX: (value) => this.fromX(value),
      get: () => this.p.value,
      set: (p) => {
        this.p.set(p);
        this.changed();
      },
      step: (p, steps) => {
        const z = logit(p) + steps * 0.1;
        return fromLogit(Math.min(Math.max(z, logit(LOW)), logit(HIGH)));
      },
      show: (p) => `p = ${chance(p)}`,
    });
    return plot;
  }

  /** Dots where the line crosses two curves, and between them what is missing. */
  marks(...curves) {
    return (u) => {
      const { ctx } = u;
      const at = u.valToPos(this.toX(this.p.value), "x", true);
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

  /** The curves that do not depend on T. */
  fill() {
    const share = (i) => i / POINTS;
    const p = (i) => (this.isLog ? 10 ** (-4 + 4 * share(i)) : Math.max(share(i), LOW));
    this.ps = Array.from({ length: POINTS + 1 }, (_, i) => p(i));
    this.xs = this.ps.map((x) => this.toX(x));
  }

  makeTerms() {
    const hidden = { "aria-hidden": "true" };
    const bars = el("div", { class: "bars", ...hidden });
    this.bundles = [...BUNDLES, "the rest"].map(() => {
      const filled = el("i");
      return { bar: bars.appendChild(el("div", {}, filled)), filled };
    });
    const range = ([first, last]) => (last > first ? [`${first}–`, el("wbr"), last] : [first]);
    const labels = [...BUNDLES.map(range), [`>${MOST}`]];
    const names = labels.map((label) => el("span", {}, ...label));
    this.slot("bars").append(bars, el("div", { class: "bars-labels", ...hidden }, ...names));
    this.track = this.slot("strip").appendChild(el("div", { class: "track", ...hidden }));
    this.sums = this.slot("strip").appendChild(el("p"));
  }

  drawTerms() {
    const [p, T, total] = [this.p.value, this.T.value, -Math.log(this.p.value)];
    const all = BUNDLES.map(([first, last]) => termsBetween(p, first, last));
    const kept = BUNDLES.map(([first, last]) => termsBetween(p, first, Math.min(last, T)));
    all.push(Math.max(total - all.reduce((a, b) => a + b, 0), 0));
    const most = Math.max(...all);
    this.bundles.forEach(({ bar, filled }, i) => {
      bar.style.height = `${(100 * all[i]) / most}%`;
      filled.style.height = `${all[i] > 0 ? (100 * (kept[i] ?? 0)) / all[i] : 0}%`;
    });
    const one = (_, i) => termsBetween(p, i + 1, i + 1);
    const terms = Array.from({ length: Math.min(T, SHOWN_TERMS) }, one);
    if (T > SHOWN_TERMS) terms.push(termsBetween(p, SHOWN_TERMS + 1, T));
    const widths = terms.map((term) => el("i", { style: `width:${(100 * term) / total}%` }));
    this.track.replaceChildren(...widths);
  }

  draw() {
    const [p, T] = [this.p.value, this.T.value];
    const of = (f) => this.ps.map(f);
    this.curve.set([this.xs, of(Math.log), of((x) => x - 1), of((x) => objective(x, T))]);
    this.slope.set([this.xs, of((x) => 1 / x), of(() => 1), of((x) => weightOfOrder(x, T))]);
    this.pass.set([this.xs, this.ps, of((x) => exactPassAtK(x, T))]);
    this.drawTerms();
    const [log, J] = [Math.log(p), objective(p, T)];
    const [missing, w] = [(J - log).toFixed(4), format(weightOfOrder(p, T))];
    const fixed = [log, J].map((x) => minus(x.toFixed(4)));
    const values = [...fixed, missing, chance(exactPassAtK(p, T)), w, format(1 / p)];
    this.numbers.forEach((cell, i) => (cell.textContent = values[i]));
    const share = ((100 * J) / log).toFixed(J / log > 0.999 ? 3 : 1);
    const count = T.toLocaleString("en");
    this.sums.replaceChildren(
      el("span", {}, `−log p, term by term: the first ${count} make ${share}% of it`),
      el("span", {}, `missing: ${missing}`),
    );
    this.say(
      `At p = ${chance(p)} and T = ${T}: log p is ${fixed[0]}, the sum ${fixed[1]}, ` +
        `missing ${missing}; the weight is ${w} of ${format(1 / p)}.`,
    );
  }

  restore(asked) {
    super.restore(asked);
    this.fill();
  }
}
