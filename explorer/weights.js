// Part 3: the weight w(p) of every method by exact summation, and five prompts that share it.

import { binomial, weightFrom, worthTable } from "./math.js";
import { labelOf } from "./methods.js";
import { Part } from "./part.js";
import { fromLogit, logit, Plot, passRateAxis } from "./plot.js";
import { css, methodVariable } from "./theme.js";
import {
  between,
  button,
  buttonRow,
  chance,
  choiceControl,
  doublings,
  el,
  format,
  keyEntry,
  numberControl,
  percent,
  prose,
  tidy,
  whole,
} from "./ui.js";

const MOST_K = 1024;
const [LOW, HIGH] = [2e-5, 0.9998];
const POINTS = 220;
const titleOf = (name) => (name === "reinforce" ? "REINFORCE, RLOO" : labelOf(name));
const ALWAYS = ["reinforce", "grpo", "maxrl", "ce"];
const DASH = [5, 4]; // of maximum likelihood, which is not sampled

const PRESETS = {
  "two hard, three easy": [0.0001, 0.0001, 0.99, 0.99, 0.99],
  "all over": [0.0001, 0.01, 0.1, 0.5, 0.9],
  "all hard": [0.0003, 0.001, 0.003, 0.01, 0.03],
};

const clamp = (p) => Math.min(Math.max(tidy(p), LOW), HIGH);

export class Weights extends Part {
  /** group: part 2, which has the list of more methods. */
  constructor(group) {
    super("weights");
    this.ps = [...PRESETS["all over"]];
    this.group = group;
    this.addControls();
    const presets = Object.entries(PRESETS).map(([name, values]) =>
      button(name, () => {
        this.ps = [...values];
        this.changed();
      }),
    );
    buttonRow(this.slot("choices"), "Five prompts", presets);
    const text = () => this.ps.join(",");
    this.controls.push({ name: "p", text, accept: (asked) => this.accept(asked) }, group.more);
    this.makePlot();
    const z = (i) => logit(LOW) + ((logit(HIGH) - logit(LOW)) * i) / POINTS;
    this.zs = Array.from({ length: POINTS + 1 }, (_, i) => z(i));
    this.grid = this.zs.map(fromLogit);
    this.redraw();
  }

  addControls() {
    this.k = this.add(numberControl, {
      name: "k",
      label: "Tries per prompt, k",
      value: MOST_K,
      values: doublings(1, MOST_K),
      check: whole("k", 1, () => MOST_K),
    });
    this.measure = this.add(choiceControl, {
      host: this.slot("choices"),
      name: "share",
      label: "Share of",
      value: "step",
      options: [
        ["step", "a step, w ∇p"],
        ["weight", "the weight, w"],
      ],
    });
  }

  accept(text) {
    const values = text.split(",").map(Number);
    if (values.length !== 5) return `“${text}” is not five pass rates`;
    const why = values.map(between("p", LOW, HIGH)).find(Boolean) ?? "";
    if (!why) this.ps = values;
    return why;
  }

  restore(asked) {
    super.restore(asked);
    this.group.showMore();
  }

  makePlot() {
    this.curve = new Plot(this.slot("curve"), {
      label: "the weight of each method against the pass rate, both axes logarithmic",
      draggable: true,
      x: passRateAxis(LOW, HIGH),
      y: { log: true, range: [0.5, 60000], title: "weight w(p)" },
      series: [],
      marks: (u) => this.markCeiling(u),
    });
    for (const i of this.ps.keys()) {
      this.curve.handle({
        label: `Pass rate of prompt ${i + 1}`,
        text: String(i + 1),
        color: () => this.hardness(i),
        toX: logit,
        fromX: (z) => clamp(fromLogit(z)),
        get: () => this.ps[i],
        set: (p) => {
          this.ps[i] = p;
          this.changed();
        },
        step: (p, steps) => clamp(fromLogit(logit(p) + steps * 0.1)),
        show: (p) => `p = ${chance(p)}`,
      });
    }
  }

  /** What MaxRL cannot pass. At k = 1 it is REINFORCE, at 2 RLOO. */
  markCeiling(u) {
    const most = this.k.value - 1;
    if (most < 2) return;
    const { ctx, bbox } = u;
    const top = u.valToPos(most, "y");
    const y = bbox.top + top * devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = css(methodVariable("maxrl"));
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2, 4].map((length) => length * devicePixelRatio));
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
    const right = bbox.width / devicePixelRatio;
    const whose = u.width > 420 ? ", MaxRL's ceiling" : "";
    const text = `k − 1 = ${most.toLocaleString("en")}${whose}`;
    this.curve.write(u, text, right, top - 10, "right");
  }

  /** The name of a prompt's colour: 1 for the easiest of the five, 5 for the hardest. */
  hardness(i) {
    const isEasier = (p, j) => p > this.ps[i] || (p === this.ps[i] && j > i);
    return `hardness-${1 + this.ps.filter(isEasier).length}`;
  }

  // ---------------------------------------------------------------------------- the weights

  /** w of one method, given the distribution of the k-1 peers at each p. */
  weightsOf(name, ps, chances) {
    if (name === "ce") return ps.map((p) => 1 / p);
    if (name === "rft") {
      const mean = this.ps.reduce((a, b) => a + b, 0) / this.ps.length;
      return ps.map(() => 1 / mean); // of a large batch of these five prompts
    }
    const worth = worthTable(name, this.k.value);
    return chances.map((peers) => weightFrom(worth, peers));
  }

  peersAt(ps) {
    return ps.map((p) => binomial(this.k.value - 1, p));
  }

  /** Only rft's curve depends on the prompts, so dragging one computes no other again. */
  fillCurves(names) {
    const key = [this.k.value, names].join();
    if (key !== this.curvesOf) {
      const chances = this.peersAt(this.grid);
      const curve = (name) => [name, this.weightsOf(name, this.grid, chances)];
      this.curves = Object.fromEntries(names.map(curve));
      this.curvesOf = key;
    }
    this.curves.rft = this.weightsOf("rft", this.grid);
  }

  // ---------------------------------------------------------------------------- the drawing

  draw() {
    const names = [...ALWAYS, ...this.group.more.value];
    this.fillCurves(names);
    const visible = (w) => (w > 1e-3 ? w : null);
    const data = [this.zs, ...names.map((name) => this.curves[name].map(visible))];
    if (this.drawn === names.join()) this.curve.set(data);
    else this.replaceCurves(names, data);
    this.drawn = names.join();
    this.drawShares(names);
    this.sayFactor();
  }

  replaceCurves(names, data) {
    const isExact = (name) => name === "ce";
    this.curve.replace(
      names.map((name) => ({
        color: methodVariable(name),
        width: { maxrl: 3, reinforce: 4 }[name] ?? 2,
        dash: isExact(name) ? DASH : undefined,
      })),
      data,
    );
    const entry = (name) => {
      const text = isExact(name) ? `${titleOf(name)}, 1/p` : titleOf(name);
      return keyEntry(methodVariable(name), text, isExact(name) ? DASH : []);
    };
    this.slot("key").replaceChildren(...names.map(entry));
  }

  drawShares(names) {
    const chances = this.peersAt(this.ps);
    const ofSteps = this.measure.value === "step";
    const slope = (p) => (ofSteps ? p * (1 - p) : 1); // the size of grad p of a softmax
    const lines = names.map((name) => {
      const weights = this.weightsOf(name, this.ps, chances);
      const pulls = weights.map((w, i) => w * slope(this.ps[i]));
      const total = pulls.reduce((a, b) => a + b, 0);
      return { name, weights, shares: pulls.map((x) => (total ? x / total : 0)) };
    });
    const k = this.k.value.toLocaleString("en");
    this.slot("k").replaceChildren(...prose(`k = ${k}`));
    const title = ofSteps
      ? `Each prompt's share of a step at k = ${k}: its weight times the size of ∇p, p(1 − p)`
      : `Each prompt's share of the weight at k = ${k}`;
    this.slot("shares-title").replaceChildren(...prose(title));
    this.slot("shares").replaceChildren(...lines.map((line) => this.bar(line)));
    this.slot("table").replaceChildren(this.table(lines));
  }

  bar({ name, shares }) {
    const parts = shares.map((share, i) =>
      el(
        "i",
        {
          class: this.hardness(i),
          style: `width:${100 * share}%`,
          title: `prompt ${i + 1}: ${percent(share)}`,
        },
        this.shareLabel(i, share),
      ),
    );
    const swatch = el("span", {
      class: "swatch",
      style: `--swatch: var(--${methodVariable(name)})`,
    });
    const hardest = this.ps.indexOf(Math.min(...this.ps));
    return el(
      "div",
      { class: "share" },
      el("span", {}, swatch, titleOf(name)),
      el("div", { class: "stackbar" }, ...parts),
      el("span", {}, `hardest: ${percent(shares[hardest])}`),
    );
  }

  /** As much as fits. */
  shareLabel(i, share) {
    const width = this.slot("shares").clientWidth;
    const room = share * (width > 560 ? width - 334 : width);
    return room > 66 ? `${i + 1} · ${percent(share)}` : room > 12 ? i + 1 : "";
  }

  /** Weight and share: a row for each prompt, a column for each method. */
  table(lines) {
    const [hard, easy] = [Math.min(...this.ps), Math.max(...this.ps)].map((p) =>
      this.ps.indexOf(p),
    );
    const titles = ["prompt: p", ...lines.map(({ name }) => titleOf(name))];
    const head = titles.map((text) => el("th", { scope: "col" }, ...prose(text)));
    const row = (title, cells) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, title),
        ...cells.map((cell) => el("td", {}, ...cell)),
      );
    const rows = this.ps.map((p, i) => {
      const share = ({ shares }) => el("small", {}, percent(shares[i]));
      const cells = lines.map((line) => [`${format(line.weights[i])} `, share(line)]);
      return row(`${i + 1}: ${chance(p)}`, cells);
    });
    const ratios = lines.map(({ weights }) => [`${format(weights[hard] / weights[easy], 3)} : 1`]);
    return el(
      "table",
      { class: "share-table" },
      el("caption", {}, "The weight of each prompt, and its share"),
      el("thead", {}, el("tr", {}, ...head)),
      el("tbody", {}, ...rows, row("weights, hardest : easiest", ratios)),
    );
  }

  sayFactor() {
    const p = Math.min(...this.ps);
    const [w] = this.weightsOf("maxrl", [p], this.peersAt([p]));
    const [k, full] = [this.k.value.toLocaleString("en"), format(1 / p)];
    const half = `MaxRL would give it half of the full weight at about k = 0.69 / p = ${format(
      Math.ceil(Math.LN2 / p),
    )}.`;
    const now =
      `The hardest prompt, p = ${chance(p)}, has the weight 1 in reinforcement learning and ` +
      `1/p = ${full} in maximum likelihood. MaxRL with k = ${k} gives it ${format(w)}. ` +
      `${p < 0.1 ? half : ""}`;
    this.slot("factor").replaceChildren(...prose(now));
    const pull = `${format(w)} in MaxRL, ${full} in maximum likelihood`;
    this.say(`At k = ${k}, the hardest prompt has the weight ${pull}.`);
  }
}
