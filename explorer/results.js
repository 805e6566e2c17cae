// Part 6: the logs of results/, a line for each run.

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

const NAMES = {
  nll: "nll, −log p in nats",
  greedy: "right when the likeliest token is taken",
  live: "groups with a success",
  pass_rate: "pass rate in training",
  grad_norm: "norm of the gradient",
  unique: "different answers per rollout",
};
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 6], [12, 4]]; // of lines of one colour
const MANY = 10; // labels; of more, not all are shown at first
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
    const options = this.sweeps.map((name) => [name, `${this.content[name].number}: ${name}`]);
    const sweep = { name: "of", label: "Experiment", value: this.sweeps[0], options };
    this.sweep = this.add(selectControl, sweep, () => this.fill());
    const figure = { name: "figure", label: "Figure", value: "", options: [] };
    this.figure = this.add(selectControl, figure);
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
      label: "the chosen figure of each run; arrow keys read it",
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

  /** The figures and labels that the experiment has. */
  fill() {
    const runs = Object.values(this.labels).flatMap((seeds) => Object.values(seeds));
    const curves = runs.flatMap((run) => Object.keys(run.curves));
    const figures = [...new Set(curves)].sort(byTries);
    const figure = figures.includes(this.figure.value) ? this.figure.value : figures[0];
    this.figure.fill(
      figures.map((name) => [name, NAMES[name] ?? name]),
      figure,
    );
    const names = Object.keys(this.labels);
    this.dashes = dashesOf(names);
    const setting = (label) => label.split(" ")[1];
    const alike = names.filter((label) => setting(label) === setting(names[0]));
    const options = names.map((name) => [name, name, methodVariable(name), this.dashes.get(name)]);
    this.shown.fill(options, names.length > MANY ? alike : names);
  }

  restore(asked) {
    if (!this.sweeps.length) return;
    if (this.sweeps.includes(asked.get("of"))) this.sweep.set(asked.get("of")); // others need it
    this.fill();
    super.restore(asked);
  }

  // ------------------------------------------------------------------------------- the lines

  draw() {
    const [x, figure] = [this.x.value, this.figure.value];
    const line =
      (label) =>
      ([seed, run]) => ({
        label,
        seed,
        run,
        color: methodVariable(label),
        x: run[x],
        y: run.curves[figure],
      });
    const shown = Object.keys(this.labels).filter((label) => this.shown.value.has(label));
    const all = shown.flatMap((label) => Object.entries(this.labels[label]).map(line(label)));
    this.lines = all.filter(({ x, y }) => y && x.at(-1) > 0);
    this.chosen = -1;
    const name = NAMES[figure] ?? figure;
    this.slot("title").textContent =
      `${name}, held-out where not said otherwise; ${this.lines.length} runs, each one seed`;
    this.setRanges();
    const values = this.lines.map(({ x, y }) => [x, y.map((value) => this.visible(value))]);
    this.plot.y.log = this.isLog;
    this.plot.replace(
      this.lines.map(({ label, color }) => ({
        color,
        width: 1.6,
        dash: this.dashes.get(label),
        alpha: 0.85,
      })),
      values.length ? uPlot.join(values) : [[0, 1]],
    );
    this.read();
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
    if (!line) {
      const flags = `python train.py ${this.content[this.sweep.value].flags}`;
      this.slot("command").replaceChildren("All runs of this experiment: ", commandLine(flags));
      this.slot("readout").textContent = this.lines.length
        ? HINT
        : "No run to show: switch a method on.";
      return;
    }
    const [x, y] = [line.x[this.at], line.y[this.at]];
    const style = `--swatch: var(--${line.color})`;
    this.slot("readout").replaceChildren(
      el("span", { class: "swatch", style }),
      el("b", {}, line.label),
      `, seed ${line.seed}, ${this.x.value} ${x.toLocaleString("en")}: `,
      el("b", {}, y === null ? "not measured" : format(y, 5)),
    );
    this.slot("command").replaceChildren("This run: ", commandLine(line.run.command));
    const { u } = this.plot;
    u.over.append(this.dot);
    const [left, top] = [u.valToPos(x, "x"), u.valToPos(y ?? 0, "y")];
    this.dot.style.cssText = `left:${left}px;top:${top}px;background:var(--${line.color})`;
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
