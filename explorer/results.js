// Part 6: the logs of results/, a thin line for each run and a thick one for their mean.

import { labelOf } from "./methods.js";
import { Part } from "./part.js";
import { Plot } from "./plot.js";
import { css, methodVariable } from "./theme.js";
import {
  button,
  chipsControl,
  choiceControl,
  commandLine,
  el,
  format,
  selectControl,
} from "./ui.js";

const TITLES = {
  convergence: "from scratch, beside cross-entropy",
  exact: "the exact objective, by its order T",
  scaling: "4 to 256 tries",
  few: "3 to 16 tries",
  "scarce-hard": "few prompts, many epochs, hard",
  "scarce-half": "few prompts, many epochs, half solved",
  countdown: "many right answers: countdown",
  chain: "many right answers: chain",
  latent: "other ways to use right tries",
  likelihoods: "rewards between 0 and 1",
  budget: "more prompts or more tries",
  default: "the default run",
};
const FIRST_METHODS = ["ce", "maxrl", "grpo", "rloo"]; // of many, what is shown at first
const FEW = 4; // labels are shown at first
const NAMES = {
  nll: "nll, −log p in nats",
  greedy: "right when the likeliest token is taken",
  live: "groups with a success",
  pass_rate: "pass rate",
  grad_norm: "norm of the gradient",
  unique: "different answers per rollout",
};
const IN_TRAINING = ["live", "pass_rate", "grad_norm", "unique"];
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 6], [12, 4]]; // of lines of one colour
const KEYS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const HINT = "Move over the lines, or focus the plot and use the arrow keys.";

export class Results extends Part {
  constructor() {
    super("results");
    this.content = JSON.parse(document.getElementById("data-results").textContent);
    this.lines = [];
    this.chosen = -1; // the line that is read
    this.at = 0; // and its point
    this.xRange = this.yRange = [0, 1];
    if (!this.sweeps.length) {
      this.slot("title").textContent = "There are no results yet.";
      return;
    }
    this.addControls();
    this.makePlot();
    this.fill();
    this.redraw();
  }

  get sweeps() {
    return Object.keys(this.content);
  }

  /** Of the experiment at hand: label -> seed -> run. */
  get labels() {
    return this.content[this.sweep.value].labels;
  }

  addControls() {
    const title = (name) => `${this.content[name].number}: ${TITLES[name] ?? name}`;
    const options = this.sweeps.map((name) => [name, title(name)]);
    const sweep = { name: "of", label: "Experiment", value: this.sweeps[0], options };
    this.sweep = this.add(selectControl, sweep, () => this.fill());
    const measure = { name: "measure", label: "Measure", value: "", options: [] };
    this.measure = this.add(selectControl, measure);
    const x = [
      ["step", "steps"],
      ["rollouts", "rollouts"],
    ];
    this.x = this.add(choiceControl, { name: "x", label: "Against", value: "step", options: x });
    const y = [
      ["linear", "linear"],
      ["log", "log"],
    ];
    this.y = this.add(choiceControl, { name: "y", label: "Scale", value: "linear", options: y });
    const host = this.slot("labels");
    const shown = { host, name: "show", label: "Methods shown", value: [], options: [] };
    this.shown = this.add(chipsControl, shown);
    const choose = (text, names) =>
      button(
        text,
        () => {
          this.shown.accept(names().join());
          this.changed();
        },
        { class: "quiet" },
      );
    const all = [choose("All", () => Object.keys(this.labels)), choose("None", () => [])];
    host.after(el("div", { class: "buttons all" }, ...all));
  }

  makePlot() {
    this.plot = new Plot(this.slot("plot"), {
      label: "the chosen measure of each run; arrow keys read it",
      x: { range: () => this.xRange },
      y: { range: () => this.yRange },
      series: [],
      move: (u) => this.point(u),
      marks: (u) => this.highlight(u),
    });
    this.plot.host.tabIndex = 0;
    this.plot.host.setAttribute("role", "application");
    this.plot.host.onkeydown = (event) => this.walk(event);
    this.dot = el("i", { class: "dot", "aria-hidden": "true" });
  }

  /** The measures and labels that the experiment has. */
  fill() {
    const runs = Object.values(this.labels).flatMap((seeds) => Object.values(seeds));
    const curves = runs.flatMap((run) => Object.keys(run.curves));
    const measures = [...new Set(curves)].sort(byTries);
    const measure = measures.includes(this.measure.value) ? this.measure.value : measures[0];
    this.measure.fill(
      measures.map((name) => [name, NAMES[name] ?? name]),
      measure,
    );
    const names = Object.keys(this.labels);
    this.dashes = dashesOf([...new Set([...chosen(names), ...names])]);
    const chip = (label) => [label, said(label), methodVariable(label), this.dashes.get(label)];
    this.shown.fill(names.map(chip), chosen(names));
  }

  restore(asked) {
    if (!this.sweeps.length) return;
    if (this.sweeps.includes(asked.get("of"))) this.sweep.set(asked.get("of")); // others need it
    this.fill();
    super.restore(asked);
  }

  // ------------------------------------------------------------------------------- the lines

  draw() {
    const [x, measure] = [this.x.value, this.measure.value];
    const shown = Object.keys(this.labels).filter((label) => this.shown.value.has(label));
    this.lines = shown.flatMap((label) => this.linesOf(label, x, measure));
    this.chosen = -1;
    const runs = this.lines.filter(({ seed }) => seed !== undefined).length;
    const name = NAMES[measure] ?? measure;
    const on = IN_TRAINING.includes(measure)
      ? "in training"
      : "held-out: on problems that no run was trained on";
    this.slot("title").textContent = `${name}, ${on}; ${runs} runs`;
    this.sayEnds(name);
    this.setRanges();
    const values = this.lines.map(({ x, y }) => [x, y.map((value) => this.visible(value))]);
    this.plot.y.log = this.isLog;
    this.plot.x.title = { step: "steps", rollouts: "rollouts" }[x];
    this.plot.replace(
      this.lines.map(({ label, color, seed, alone }) => ({
        color,
        width: seed === undefined || alone ? 2.6 : 1.2,
        dash: this.dashes.get(label),
        alpha: seed === undefined || alone ? 1 : 0.3,
      })),
      values.length ? uPlot.join(values) : [[0, 1]],
    );
    this.read();
  }

  /** The lines of one label: its seeds, and their mean where there are several. */
  linesOf(label, x, measure) {
    const color = methodVariable(label);
    const all = Object.entries(this.labels[label]).map(([seed, run]) => {
      return { label, seed, run, color, x: run[x], y: run.curves[measure] };
    });
    const seeds = all.filter(({ x, y }) => y && x.at(-1) > 0);
    if (seeds.length === 1) return [{ ...seeds[0], alone: true }];
    return seeds.length ? [...seeds, { label, color, ...meanOf(seeds), count: seeds.length }] : [];
  }

  /** Where the lines end, the highest first. */
  sayEnds(name) {
    const means = this.lines.filter(({ seed, alone }) => seed === undefined || alone);
    const ends = means.map(({ label, y }) => [y.findLast((value) => value !== null), said(label)]);
    const sorted = ends.filter(([value]) => value !== undefined).sort(([a], [b]) => b - a);
    const list = sorted.map(([value, label]) => `${format(value, 3)} ${label}`).join("; ");
    this.slot("seen").textContent = list && `At the end, ${name}, mean over seeds: ${list}.`;
  }

  get isLog() {
    return this.y.value === "log";
  }

  /** A value, or null where there is none or the scale has no place for it. */
  visible(value) {
    return this.isLog && !(value > 0) ? null : value;
  }

  setRanges() {
    const all = this.lines.flatMap(({ y }) => y.map((value) => this.visible(value)));
    const values = all.filter((value) => value !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || 1) * 0.05;
    if (!values.length) this.yRange = [0.1, 1];
    else this.yRange = this.isLog ? [low / 1.2, high * 1.2] : [low - room, high + room];
    this.xRange = [0, Math.max(1, ...this.lines.map(({ x }) => x.at(-1)))];
  }

  // ------------------------------------------------------------------------------- reading them

  /** The line and the point nearest to the cursor. */
  point(u) {
    const { left, top } = u.cursor;
    if (left === undefined || left < 0) return;
    let nearest = Infinity;
    this.lines.forEach(({ x, y }, i) =>
      x.forEach((value, j) => {
        if (this.visible(y[j]) === null) return;
        const away = Math.hypot(u.valToPos(value, "x") - left, u.valToPos(y[j], "y") - top);
        if (away < nearest) [nearest, this.chosen, this.at] = [away, i, j];
      }),
    );
    this.read();
  }

  /** Left and right along a line, up and down from line to line. */
  walk(event) {
    const { lines } = this;
    const [side, along] = KEYS[event.key] ?? [0, 0];
    if ((!side && !along) || !lines.length) return;
    event.preventDefault();
    if (this.chosen < 0) [this.chosen, this.at] = [0, lines[0].x.length - 1];
    else this.chosen = (this.chosen + side + lines.length) % lines.length;
    this.at = Math.min(Math.max(this.at + along, 0), lines[this.chosen].x.length - 1);
    this.read();
  }

  read() {
    const line = this.lines[this.chosen];
    this.dot.hidden = !line;
    if (this.highlighted !== this.chosen) this.plot.u.redraw(false);
    this.highlighted = this.chosen;
    this.sayCommand(line);
    if (!line) {
      this.slot("readout").textContent = this.lines.length
        ? HINT
        : "No run to show: switch a method on.";
      return;
    }
    const [x, y] = [line.x[this.at], line.y[this.at]];
    const style = `--swatch: var(--${line.color})`;
    const whose = line.run ? `seed ${line.seed}` : `mean of ${line.count} seeds`;
    this.slot("readout").replaceChildren(
      el("span", { class: "swatch", style }),
      el("b", {}, said(line.label)),
      `, ${whose}, ${this.x.value} ${x.toLocaleString("en")}: `,
      el("b", {}, y === null ? "not measured" : format(y, 5)),
    );
    const { u } = this.plot;
    u.over.append(this.dot);
    const [left, top] = [u.valToPos(x, "x"), u.valToPos(y ?? 0, "y")];
    this.dot.style.cssText = `left:${left}px;top:${top}px;background:var(--${line.color})`;
  }

  sayCommand(line) {
    const flags = `python train.py ${this.content[this.sweep.value].flags}`;
    const [whose, command] = line?.run
      ? ["This run: ", line.run.command]
      : ["All runs of this experiment: ", flags];
    this.slot("command").replaceChildren(whose, commandLine(command));
  }

  /** The line that is read, drawn again on top of the others. */
  highlight(u) {
    const line = this.lines[this.chosen];
    if (!line) return;
    const { ctx } = u;
    const place = (value, scale) => u.valToPos(value, scale, true);
    ctx.save();
    ctx.beginPath();
    line.x.forEach((x, j) => {
      if (this.visible(line.y[j]) !== null) ctx.lineTo(place(x, "x"), place(line.y[j], "y"));
    });
    ctx.lineJoin = "round";
    for (const [color, width] of [
      ["panel", 7],
      [line.color, 3.5],
    ]) {
      ctx.strokeStyle = css(color);
      ctx.lineWidth = width * devicePixelRatio;
      ctx.stroke();
    }
    ctx.restore();
  }
}

/** A label as it is read: "maxrl k=16" is MaxRL k=16. */
function said(label) {
  const [method, ...setting] = label.split(" ");
  return [method === "ce" ? "cross-entropy (ce)" : labelOf(method), ...setting].join(" ");
}

/** A few of an experiment's labels: its main methods at one setting, or else evenly spread. */
function chosen(labels) {
  if (labels.length <= FEW) return labels;
  const settings = labels.map((label) => label.split(" ")[1]).filter(Boolean);
  const times = (setting) => settings.filter((one) => one === setting).length;
  const usual = settings.reduce((a, b) => (times(b) >= times(a) ? b : a), settings[0]);
  const alike = FIRST_METHODS.flatMap((method) =>
    labels.filter((label) => [method, `${method} ${usual}`].includes(label)),
  );
  const last = labels.length - 1;
  const spread = Array.from({ length: FEW }, (_, i) => labels[Math.round((i * last) / (FEW - 1))]);
  return alike.length > 1 ? alike : spread;
}

/** The mean of runs where all of them were measured. */
function meanOf(runs) {
  const known = runs.map(({ x, y }) => new Map(x.map((at, j) => [at, y[j]])));
  const points = runs[0].x
    .map((at) => [at, known.map((run) => run.get(at) ?? null)])
    .filter(([, values]) => !values.includes(null))
    .map(([at, values]) => [at, values.reduce((a, b) => a + b, 0) / values.length]);
  return { x: points.map(([at]) => at), y: points.map(([, value]) => value) };
}

/** pass@1, pass@2, ... by number, then the others. */
function byTries(a, b) {
  const tries = (name) => Number(/^pass@(\d+)$/.exec(name)?.[1] ?? Infinity);
  const [x, y] = [tries(a), tries(b)];
  return x === y ? 0 : x - y;
}

/** Labels of one colour differ in their dash. */
function dashesOf(labels) {
  const seen = new Map();
  return new Map(
    labels.map((label) => {
      const color = methodVariable(label);
      seen.set(color, (seen.get(color) ?? -1) + 1);
      return [label, DASHES[seen.get(color) % DASHES.length]];
    }),
  );
}
