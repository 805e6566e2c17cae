// Part 6: the logs of results/, a line for each run.

import { Part, linkButton } from "./part.js";
import { Plot } from "./plot.js";
import { css, methodVariable } from "./theme.js";
import { button, chipsControl, choiceControl, commandLine, el, format, selectControl } from "./ui.js";

const NAMES = { nll: "nll, −log p in nats", greedy: "right when the likeliest token is taken", live: "groups with a success", pass_rate: "pass rate in training", grad_norm: "norm of the gradient", unique: "different answers per rollout" };
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 6], [12, 4]]; // of one colour

export function startResults() {
  const content = JSON.parse(document.getElementById("data-results").textContent);
  const part = new Part("results", draw);
  const controls = part.slot("controls");
  const sweeps = Object.keys(content);
  if (!sweeps.length) {
    part.slot("title").textContent = "There are no results yet.";
    return;
  }
  const change = () => part.changed();
  const sweep = part.add(selectControl(controls, {
    name: "of", label: "Experiment", value: sweeps[0],
    options: sweeps.map((name) => [name, `${content[name].number}: ${name}`]), change: () => (fill(), change()),
  }));
  const figure = part.add(selectControl(controls, { name: "figure", label: "Figure", value: "", options: [], change }));
  const x = part.add(choiceControl(controls, { name: "x", label: "Against", value: "step", options: [["step", "steps"], ["rollouts", "rollouts"]], change }));
  const scale = part.add(choiceControl(controls, { name: "y", label: "Scale", value: "linear", options: [["linear", "linear"], ["log", "log"]], change }));
  const shown = part.add(chipsControl(part.slot("labels"), { name: "show", label: "Methods shown", value: [], options: [], change }));
  const choose = (names) => () => (shown.accept(names().join()), change());
  part.slot("labels").after(el("div", { class: "buttons all" }, button("All", choose(() => Object.keys(content[sweep.value].labels)), { class: "quiet" }), button("None", choose(() => []), { class: "quiet" })));
  linkButton(part);

  /** Of the experiment at hand: its figures and labels. */
  function fill() {
    const { labels } = content[sweep.value];
    const curves = Object.values(labels).flatMap((runs) => Object.values(runs).flatMap((run) => Object.keys(run.curves)));
    const figures = [...new Set(curves)].sort(byTries);
    figure.fill(figures.map((name) => [name, NAMES[name] ?? name]), figures.includes(figure.value) ? figure.value : figures[0]);
    const names = Object.keys(labels);
    const setting = (label) => label.split(" ")[1];
    const first = names.filter((label) => setting(label) === setting(names[0])); // not all of many
    const dashes = dashesOf(names);
    shown.fill(names.map((label) => [label, label, methodVariable(label), dashes.get(label)]), names.length > 10 ? first : names);
  }

  // ------------------------------------------------------------------------------- the lines
  let lines = [];
  let range = [0, 1];
  let xRange = [0, 1];
  let chosen = -1;
  const plot = new Plot(part.slot("plot"), {
    label: "the chosen figure of each run; arrow keys read it", x: { range: () => xRange }, y: { range: () => range }, series: [], move: (u) => point(u), marks: (u) => highlight(u),
  });
  plot.host.tabIndex = 0;
  plot.host.setAttribute("role", "application");

  function draw() {
    const { labels } = content[sweep.value];
    lines = Object.entries(labels).filter(([label]) => shown.value.has(label)).flatMap(([label, runs]) =>
      Object.entries(runs).map(([seed, run]) => ({ label, seed, run, color: methodVariable(label), x: run[x.value], y: run.curves[figure.value] })));
    lines = lines.filter((line) => line.y && line.x.at(-1) > 0);
    part.slot("title").textContent = `${NAMES[figure.value] ?? figure.value}, held-out where not said otherwise; ${lines.length} runs, each one seed`;
    chosen = -1;
    setRanges();
    plot.y.log = scale.value === "log";
    const dashes = dashesOf(Object.keys(labels));
    plot.replace(lines.map(({ label, color }) => ({ color, width: 1.6, dash: dashes.get(label), alpha: 0.85 })), lines.length ? uPlot.join(lines.map((line) => [line.x, line.y.map(positive)])) : [[0, 1]]);
    read();
  }

  const positive = (value) => (scale.value === "log" && !(value > 0) ? null : value);

  function setRanges() {
    const values = lines.flatMap((line) => line.y).filter((v) => v !== null && (scale.value !== "log" || v > 0));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || 1) * 0.05;
    range = !values.length ? [0.1, 1] : scale.value === "log" ? [low / 1.2, high * 1.2] : [low - room, high + room];
    xRange = [0, Math.max(1, ...lines.map((line) => line.x.at(-1)))];
  }

  // ------------------------------------------------------------------------------- reading them
  let at = 0;

  /** The line and the point nearest to the cursor. */
  function point(u) {
    const { left, top } = u.cursor;
    if (left === undefined || left < 0) return;
    let best = Infinity;
    lines.forEach((line, i) => line.x.forEach((value, j) => {
      if (positive(line.y[j]) === null) return;
      const away = Math.hypot(u.valToPos(value, "x") - left, u.valToPos(line.y[j], "y") - top);
      if (away < best) [best, chosen, at] = [away, i, j];
    }));
    read();
  }

  plot.host.onkeydown = (event) => {
    const [side, along] = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key] ?? [0, 0];
    if ((!side && !along) || !lines.length) return;
    event.preventDefault();
    if (chosen < 0) [chosen, at] = [0, lines[0].x.length - 1];
    else chosen = (chosen + side + lines.length) % lines.length;
    at = Math.min(Math.max(at + along, 0), lines[chosen].x.length - 1);
    read();
  };

  /** The line that is read, drawn again on top of the others. */
  function highlight(u) {
    const line = lines[chosen];
    if (!line) return;
    const { ctx } = u;
    ctx.save();
    ctx.beginPath();
    line.x.forEach((value, j) => {
      if (positive(line.y[j]) !== null) ctx.lineTo(u.valToPos(value, "x", true), u.valToPos(line.y[j], "y", true));
    });
    ctx.lineJoin = "round";
    for (const [color, width] of [["panel", 7], [line.color, 3.5]]) {
      ctx.strokeStyle = css(color);
      ctx.lineWidth = width * devicePixelRatio;
      ctx.stroke();
    }
    ctx.restore();
  }

  let highlighted = -1;
  const dot = el("i", { class: "dot", "aria-hidden": "true" });

  function read() {
    const readout = part.slot("readout");
    const line = lines[chosen];
    dot.hidden = !line;
    if (highlighted !== chosen) plot.u.redraw(false);
    highlighted = chosen;
    if (!line) {
      part.slot("command").replaceChildren("All runs of this experiment: ", commandLine(`python train.py ${content[sweep.value].flags}`));
      readout.textContent = lines.length ? "Move over the lines, or focus the plot and use the arrow keys." : "No run to show: switch a method on.";
      return;
    }
    readout.replaceChildren(el("span", { class: "swatch", style: `--swatch: var(--${line.color})` }), el("b", {}, line.label), `, seed ${line.seed}, ${x.value} ${line.x[at].toLocaleString("en")}: `, el("b", {}, line.y[at] === null ? "not measured" : format(line.y[at], 5)));
    part.slot("command").replaceChildren("This run: ", commandLine(line.run.command));
    const { u } = plot;
    u.over.append(dot);
    dot.style.cssText = `left:${u.valToPos(line.x[at], "x")}px;top:${u.valToPos(line.y[at] ?? 0, "y")}px;background:var(--${line.color})`;
  }

  const restore = part.restore.bind(part);
  part.restore = (query) => {
    const of = new URLSearchParams(query).get("of");
    if (sweeps.includes(of)) sweep.set(of); // first: the others depend on it
    fill();
    restore(query);
  };
  fill();
  part.draw();
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
  return new Map(labels.map((label) => {
    const color = methodVariable(label);
    seen.set(color, (seen.get(color) ?? -1) + 1);
    return [label, DASHES[seen.get(color) % DASHES.length]];
  }));
}
