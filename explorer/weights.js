// Part 3: the weight w(p) of every method by exact summation, and five prompts that share it.

import { ORDERED, binomial, weightFrom, worthTable } from "./math.js";
import { Part, linkButton } from "./part.js";
import { Plot, fromLogit, logit, passRateAxis } from "./plot.js";
import { methodVariable } from "./theme.js";
import { between, button, buttonRow, chance, chipsControl, choiceControl, doublings, el, format, keyEntry, numberControl, percent, tidy, whole } from "./ui.js";

const MOST_K = 1024;
const [LOW, HIGH] = [2e-5, 0.9998];
const NAMES = ["reinforce", "rloo", "grpo", "maxrl", "maxrl-raw", "maxrl-loo", "passk", "maxrl-std", "rft", "ce"];
const LABELS = { reinforce: "REINFORCE", rloo: "RLOO", grpo: "GRPO", maxrl: "MaxRL", ce: "maximum likelihood, 1/p" };
const SHOWN = ["reinforce", "grpo", "maxrl", "ce"];
export const PRESETS = {
  "two hard, three easy": [0.0001, 0.0001, 0.99, 0.99, 0.99],
  "all over": [0.9, 0.5, 0.1, 0.01, 0.0001],
  "all hard": [0.03, 0.01, 0.003, 0.001, 0.0003],
};

export function startWeights() {
  const part = new Part("weights", draw);
  const controls = part.slot("controls");
  const change = () => part.changed();
  const k = part.add(numberControl(controls, {
    name: "k", label: "Rollouts per prompt, k", value: 8, values: doublings(1, MOST_K), check: whole("k", 1, () => MOST_K),
    change: () => (follow(), change()),
  }));
  const T = part.add(numberControl(controls, {
    name: "T", label: "Order T of maxrl-loo and passk", value: 8, values: doublings(1, 8), check: whole("T", 1, () => k.value), change,
  }));
  const measure = part.add(choiceControl(controls, {
    name: "share", label: "Share of", value: "w", options: [["w", "weight w"], ["logit", "gradient in logits"]], change,
  }));
  const methods = part.add(chipsControl(controls.appendChild(el("div")), {
    name: "show", label: "Methods", value: SHOWN, options: NAMES.map((name) => [name, LABELS[name] ?? name, methodVariable(name)]), change,
  }));
  const ps = [...PRESETS["all over"]];
  buttonRow(controls, "Five prompts", Object.entries(PRESETS).map(([name, values]) => button(name, () => {
    ps.splice(0, 5, ...values);
    change();
  })));
  part.add({
    name: "p",
    text: () => ps.join(","),
    accept(text) {
      const values = text.split(",").map(Number);
      const why = values.length === 5 ? values.map(between("p", LOW, HIGH)).find(Boolean) : `“${text}” is not five pass rates`;
      if (!why) ps.splice(0, 5, ...values);
      return why ?? "";
    },
  });
  linkButton(part);
  const restore = part.restore.bind(part);
  part.restore = (query) => {
    if (new URLSearchParams(query).has("T")) lastK = 0; // an order that was asked for stays
    restore(query);
    follow();
  };

  /** The name of a prompt's colour: 1 for the easiest of the five, 5 for the hardest. */
  const hardness = (i) => `hardness-${1 + ps.filter((p, j) => p > ps[i] || (p === ps[i] && j < i)).length}`;

  const curve = new Plot(part.slot("curve"), {
    label: "the weight of each method against the pass rate, both axes logarithmic",
    draggable: true,
    x: passRateAxis(LOW, HIGH),
    y: { log: true, range: [0.08, 60000], title: "weight w(p)" },
    series: [],
  });
  ps.forEach((_, i) => curve.handle({
    label: `Pass rate of prompt ${i + 1}`, text: String(i + 1), toX: logit, color: () => hardness(i),
    fromX: (z) => Math.min(Math.max(tidy(fromLogit(z)), LOW), HIGH), get: () => ps[i], show: (x) => `p = ${chance(x)}`,
    set: (value) => ((ps[i] = value), change()),
    step: (value, steps) => Math.min(Math.max(tidy(fromLogit(logit(value) + steps * 0.1)), LOW), HIGH),
  }));

  const n = 220;
  const zs = Array.from({ length: n + 1 }, (_, i) => logit(LOW) + ((logit(HIGH) - logit(LOW)) * i) / n);
  const grid = zs.map(fromLogit);
  let curves = {};
  let curvesOf = "";

  /** An order of k stays one of k. */
  let lastK = 8;
  function follow() {
    const order = T.value > k.value || T.value === lastK ? k.value : T.value;
    T.limit(doublings(1, k.value), order);
    lastK = k.value;
  }

  const meanP = () => ps.reduce((a, b) => a + b, 0) / ps.length;

  /** w of one method, given the distribution of the k-1 peers at each p. */
  function weightsOf(name, values, chances) {
    if (name === "ce") return values.map((p) => 1 / p);
    if (name === "rft") return values.map(() => 1 / meanP()); // of a large batch of these prompts
    const worth = worthTable(name, k.value, ORDERED.includes(name) ? T.value : undefined);
    return chances.map((chance) => weightFrom(worth, chance));
  }

  /** Only rft's curve depends on the prompts, so dragging one computes no other again. */
  function fillCurves(names) {
    const key = [k.value, T.value, names].join();
    if (key !== curvesOf) {
      const chances = grid.map((p) => binomial(k.value - 1, p));
      curves = Object.fromEntries(names.map((name) => [name, weightsOf(name, grid, chances)]));
      curvesOf = key;
    }
    curves.rft = weightsOf("rft", grid);
  }

  let drawn = "";
  function draw() {
    const names = NAMES.filter((name) => methods.value.has(name));
    fillCurves(names);
    const data = [zs, ...names.map((name) => curves[name].map((w) => (w > 1e-3 ? w : null)))];
    if (drawn !== names.join()) {
      drawn = names.join();
      curve.replace(names.map((name) => ({
        color: name === "ce" ? "ink" : methodVariable(name), width: name === "maxrl" ? 3 : 2, dash: name === "ce" ? [5, 4] : undefined,
      })), data);
      part.slot("key").replaceChildren(...names.map((name) => keyEntry(name === "ce" ? "ink" : methodVariable(name), LABELS[name] ?? name, name === "ce")));
    } else curve.set(data);
    drawShares(names);
  }

  /** As much as fits. */
  function shareLabel(i, share) {
    const width = part.slot("shares").clientWidth;
    const room = share * (width > 560 ? width - 184 : width);
    return room > 66 ? `${i + 1} · ${percent(share)}` : room > 44 ? percent(share) : room > 14 ? i + 1 : "";
  }

  function drawShares(names) {
    const chances = ps.map((p) => binomial(k.value - 1, p));
    const slope = (p) => (measure.value === "logit" ? p * (1 - p) : 1);
    const table = names.map((name) => {
      const weights = weightsOf(name, ps, chances);
      const pulls = weights.map((w, i) => w * slope(ps[i]));
      const total = pulls.reduce((a, b) => a + b, 0);
      return { name, weights, shares: pulls.map((x) => (total ? x / total : 0)) };
    });
    const bars = table.map(({ name, shares }) => el("div", { class: "share" },
      el("span", {}, el("span", { class: "swatch", style: `--swatch: var(--${methodVariable(name)})` }), LABELS[name]?.split(",")[0] ?? name),
      el("div", { class: "stackbar" }, ...shares.map((share, i) => el("i", { class: hardness(i), style: `width:${100 * share}%`, title: `prompt ${i + 1}: ${percent(share)}` }, shareLabel(i, share))))));
    const head = el("tr", {}, el("th", { scope: "col" }, "weight w(p), and share"), ...ps.map((p, i) => el("th", { scope: "col" }, `${i + 1}: p = ${chance(p)}`)), el("th", { scope: "col" }, "hardest : easiest"));
    const rows = table.map(({ name, weights, shares }) => {
      const [hard, easy] = [ps.indexOf(Math.min(...ps)), ps.indexOf(Math.max(...ps))];
      return el("tr", {}, el("th", { scope: "row" }, LABELS[name]?.split(",")[0] ?? name), ...weights.map((w, i) => el("td", {}, `${format(w)} · ${percent(shares[i])}`)), el("td", {}, `${format(weights[hard] / weights[easy], 3)} : 1`));
    });
    part.slot("shares").replaceChildren(el("div", { class: "shares" }, ...bars), el("div", { class: "scroll" }, el("table", { class: "share-table" }, el("thead", {}, head), el("tbody", {}, ...rows))));
    sayFactor();
  }

  function sayFactor() {
    const hardest = Math.min(...ps);
    const peers = binomial(k.value - 1, hardest);
    const maxrl = weightFrom(worthTable("maxrl", k.value), peers);
    const half = Math.ceil(Math.LN2 / hardest);
    part.slot("factor").textContent = `The hardest prompt, p = ${chance(hardest)}, has the weight 1 in reinforcement learning and ${format(1 / hardest)} in maximum likelihood: a factor of ${format(1 / hardest)}. ` +
      `MaxRL with k = ${k.value.toLocaleString("en")} gives it ${format(maxrl)}. Half of the full weight takes about ln 2 / p = ${format(half)} rollouts, because no method learns from a prompt before one of its rollouts is right.`;
    part.say(`At k = ${k.value}, the hardest prompt has the weight ${format(maxrl)} in MaxRL, ${format(1 / hardest)} in maximum likelihood.`);
  }

  part.draw();
}
