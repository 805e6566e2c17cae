// Part 1: log p, its partial sums J_T, their slopes, and pass@T.

import { exactPassAtK, objective, termsBetween, weightOfOrder } from "./math.js";
import { Part, linkButton } from "./part.js";
import { Plot, fromLogit, logit } from "./plot.js";
import { css } from "./theme.js";
import { between, chance, choiceControl, doublings, el, format, keyEntry, minus, numberControl, passRates, whole } from "./ui.js";

const MOST = 1024;
const LOW = 1e-4;
const BINS = Array.from({ length: 11 }, (_, i) => [2 ** i, Math.min(2 ** (i + 1) - 1, MOST)]); // 1, 2-3, ...

export function startSeries() {
  const part = new Part("series", draw);
  const controls = part.slot("controls");
  const change = () => part.changed();
  const p = part.add(numberControl(controls, {
    name: "p", label: "Pass rate p", value: 0.05, values: passRates(), show: (x) => format(x),
    check: between("p", LOW, 0.9999), change,
  }));
  const T = part.add(numberControl(controls, {
    name: "T", label: "Terms kept, T", value: 8, values: doublings(1, MOST), check: whole("T", 1, () => MOST), change,
  }));
  const axis = part.add(choiceControl(controls, {
    name: "axis", label: "Axis of p", value: "log", options: [["log", "log"], ["linear", "linear"]], change: () => (fill(), change()),
  }));
  linkButton(part);

  // All three plots have the same x, so that one drag moves one line in all of them.
  const isLog = () => axis.value === "log";
  const toX = (value) => (isLog() ? Math.log10(value) : value);
  const fromX = (x) => {
    const value = isLog() ? 10 ** x : x;
    return Number(Math.min(Math.max(value, LOW), 0.9999).toPrecision(3));
  };
  const pAxis = () => ({
    title: "pass rate p",
    range: () => (isLog() ? [-4, 0] : [0, 1]),
    ticks: () => (isLog() ? [-4, -3, -2, -1, 0] : [0, 0.25, 0.5, 0.75, 1]),
    text: (x) => format(isLog() ? 10 ** x : x),
  });
  const line = (color, more) => ({ color, ...more });
  const reference = { width: 1.5, dash: [5, 4] };
  /** Dots where the line crosses the curves, and between the first two what is missing. */
  const marks = (...of) => (u) => {
    const at = u.valToPos(toX(p.value), "x", true);
    const ys = of.map(([color, f]) => [color, u.valToPos(f(p.value), "y", true)]);
    const { ctx } = u;
    const pixel = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = css("accent");
    ctx.globalAlpha = 0.3;
    ctx.lineWidth = 9 * pixel;
    ctx.beginPath();
    ctx.moveTo(at, ys[0][1]);
    ctx.lineTo(at, ys[1][1]);
    ctx.stroke();
    ctx.globalAlpha = 1;
    for (const [color, y] of ys) {
      ctx.beginPath();
      ctx.arc(at, y, 4.5 * pixel, 0, 2 * Math.PI);
      ctx.fillStyle = css(color);
      ctx.fill();
    }
    ctx.restore();
  };
  const curve = new Plot(part.slot("curve"), {
    marks: marks(["ink", Math.log], ["m-maxrl", (x) => objective(x, T.value)]),
    label: "log p, its first term and its first T terms against the pass rate p", draggable: true, x: pAxis(),
    y: { range: [-9.4, 0.3] },
    series: [line("ink", reference), line("m-reinforce"), line("m-maxrl", { width: 2.5 })],
  });
  const slope = new Plot(part.slot("weight"), {
    marks: marks(["ink", (x) => 1 / x], ["m-maxrl", (x) => weightOfOrder(x, T.value)]),
    label: "the weight w of order T against p, beside 1/p", draggable: true, x: pAxis(), y: { log: true, range: [0.8, 12000] },
    series: [line("ink", reference), line("m-reinforce"), line("m-maxrl", { width: 2.5 })],
  });
  const pass = new Plot(part.slot("pass"), {
    marks: marks(["m-reinforce", (x) => x], ["m-maxrl", (x) => exactPassAtK(x, T.value)]),
    label: "pass@T against p", draggable: true, x: pAxis(), y: { range: [0, 1.04] }, series: [line("m-reinforce"), line("m-maxrl", { width: 2.5 })],
  });
  for (const plot of [curve, slope, pass]) {
    plot.handle({
      label: "Pass rate p", toX, fromX, get: () => p.value, show: (x) => `p = ${chance(x)}`,
      set: (value) => (p.set(value), change()),
      step: (value, steps) => fromLogit(Math.min(Math.max(logit(value) + steps * 0.1, logit(LOW)), logit(0.9999))),
    });
  }
  part.slot("key").append(keyEntry("ink", "log p: maximum likelihood", true), keyEntry("m-maxrl", "the first T terms"), keyEntry("m-reinforce", "the first term, p − 1: reinforcement learning"));

  let ps = [];
  let fixed = {}; // the curves that do not depend on T

  function fill() {
    const n = 240;
    ps = Array.from({ length: n + 1 }, (_, i) => (isLog() ? 10 ** (-4 + (4 * i) / n) : i ? i / n : 1e-4));
    fixed = { x: ps.map(toX), log: ps.map(Math.log), first: ps.map((q) => q - 1), inverse: ps.map((q) => 1 / q), one: ps.map(() => 1) };
  }

  const strip = part.slot("strip");
  const track = strip.appendChild(el("div", { class: "track", "aria-hidden": "true" }));
  const sums = strip.appendChild(el("p"));
  const bars = part.slot("bars").appendChild(el("div", { class: "bars", "aria-hidden": "true" }));
  const bins = [...BINS, [MOST + 1, Infinity]].map(() => {
    const fillOf = el("i");
    return { bar: bars.appendChild(el("div", {}, fillOf)), fillOf };
  });
  part.slot("bars").append(el("div", { class: "bars-labels", "aria-hidden": "true" }, ...BINS.map(([a]) => el("span", {}, String(a))), el("span", {}, ">1024")));

  function drawTerms(log) {
    const all = BINS.map(([a, b]) => termsBetween(p.value, a, b));
    all.push(Math.max(-log - all.reduce((a, b) => a + b, 0), 0));
    const kept = BINS.map(([a, b]) => (a > T.value ? 0 : termsBetween(p.value, a, Math.min(b, T.value))));
    const top = Math.max(...all);
    bins.forEach(({ bar, fillOf }, i) => {
      bar.style.height = `${(100 * all[i]) / top}%`;
      fillOf.style.height = `${all[i] > 0 ? (100 * (kept[i] ?? 0)) / all[i] : 0}%`;
    });
    const widths = [];
    for (let j = 1; j <= T.value && widths.length < 60; j++) widths.push((1 - p.value) ** j / j / -log);
    if (T.value > 60) widths.push(termsBetween(p.value, 61, T.value) / -log);
    track.replaceChildren(...widths.map((w) => el("i", { style: `width:${100 * w}%` })));
  }

  const names = ["log p", "sum of T terms", "missing", "pass@T", "weight w(p)", "1/p, the full weight"];
  const cells = names.map((name) => {
    const value = el("b");
    part.slot("numbers").append(el("div", {}, el("span", {}, name), value));
    return value;
  });

  function draw() {
    const [q, order] = [p.value, T.value];
    curve.set([fixed.x, fixed.log, fixed.first, ps.map((x) => objective(x, order))]);
    slope.set([fixed.x, fixed.inverse, fixed.one, ps.map((x) => weightOfOrder(x, order))]);
    pass.set([fixed.x, ps, ps.map((x) => exactPassAtK(x, order))]);
    const [log, J, w] = [Math.log(q), objective(q, order), weightOfOrder(q, order)];
    drawTerms(log);
    const values = [minus(log.toFixed(4)), minus(J.toFixed(4)), (J - log).toFixed(4), chance(exactPassAtK(q, order)), format(w), format(1 / q)];
    cells.forEach((cell, i) => (cell.textContent = values[i]));
    const share = (J / log) * 100;
    sums.replaceChildren(el("span", {}, `−log p, term by term: the first ${order.toLocaleString("en")} make ${share.toFixed(share > 99.9 ? 3 : 1)}% of it`), el("span", {}, `missing: ${(J - log).toFixed(4)}`));
    part.say(`At p = ${chance(q)} and T = ${order}: log p is ${values[0]}, the sum ${values[1]}, missing ${values[2]}; the weight is ${values[4]} of ${values[5]}.`);
  }

  const restore = part.restore.bind(part);
  part.restore = (query) => (restore(query), fill());
  fill();
  part.draw();
}
