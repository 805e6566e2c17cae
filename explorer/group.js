// Part 2: groups of rollouts, right or wrong by hand, and what every method makes of them.

import { advantages, METHODS } from "./math.js";
import { labelOf, MORE, moreMethods } from "./methods.js";
import { Part } from "./part.js";
import { methodVariable } from "./theme.js";
import { button, buttonRow, el, format, minus, numberControl, svgElement, whole } from "./ui.js";

const MOST_K = 16;
const MOST_GROUPS = 5;
const START = "10000000.11110000.00000000";
const HEIGHT = 58; // of a row of bars
const OWN_SCALE = ["maxrl-std", "rft"]; // their bars would dwarf all others
const FORMULAS = {
  reinforce: "r",
  rloo: "(r − mean) × k/(k−1)",
  grpo: "(r − mean) / std",
  maxrl: "(r − mean) / mean",
  "maxrl-raw": "r / mean",
  "maxrl-loo": "ω (r − mean of the others)",
  passk: "ω (r − mean of the others)",
  "maxrl-std": "(r − mean) / (std × mean)",
  rft: "r / mean of the batch",
};

const upTo = (n) => Array.from({ length: n }, (_, i) => i + 1);
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const parse = (text) => text.split(".").map((row) => [...row].map(Number));
const written = (x, digits) => minus(format(x + 0, digits)); // + 0: never −0

export class Group extends Part {
  /** moreChanged: called when other methods are asked for. */
  constructor(moreChanged) {
    super("group");
    this.moreChanged = moreChanged;
    this.groups = parse(START);
    this.chosen = 0;
    const resize = () => this.resize();
    this.k = this.add(
      numberControl,
      {
        name: "k",
        label: "Tries per prompt, k",
        value: this.groups[0].length,
        values: upTo(MOST_K),
        check: whole("k", 1, () => MOST_K),
      },
      resize,
    );
    this.B = this.add(
      numberControl,
      {
        name: "B",
        label: "Prompts, B",
        value: this.groups.length,
        values: upTo(MOST_GROUPS),
        check: whole("B", 1, () => MOST_GROUPS),
      },
      resize,
    );
    this.controls.push({
      name: "prompt",
      text: () => String(this.chosen + 1),
      accept: (text) => this.choose(Number(text)),
    });
    this.controls.push({ name: "r", text: () => this.text(), accept: (text) => this.accept(text) });
    const options = { host: this.slot("more"), name: "more" };
    this.more = this.add(moreMethods, options, () => this.moreChanged());
    this.addFillers();
    this.rebuild();
    this.redraw();
  }

  /** Show the numbers of this prompt, counted from 1. */
  choose(number) {
    const why = whole("the prompt", 1, () => MOST_GROUPS)(number);
    if (!why) this.chosen = number - 1;
    return why;
  }

  /** The boxes in a link: 1000.1100 */
  text() {
    return this.groups.map((group) => group.join("")).join(".");
  }

  accept(text) {
    const rows = text.split(".");
    const k = rows[0].length;
    const fits = /^[01.]+$/.test(text) && rows.every((row) => row.length === k);
    if (!fits || k < 1 || k > MOST_K || rows.length > MOST_GROUPS) {
      return `“${text}” is not a list of groups of 0 and 1 with equal lengths`;
    }
    this.groups = parse(text);
    this.k.set(k);
    this.B.set(rows.length);
    return "";
  }

  restore(asked) {
    super.restore(asked);
    this.resize();
    this.showMore();
    this.moreChanged();
  }

  get names() {
    return METHODS.filter((name) => !(name in MORE) || this.more.value.has(name));
  }

  /** After a link has asked for other methods. */
  showMore() {
    if (this.more.value.size) this.slot("more").closest("details").open = true;
    this.redraw();
  }

  addFillers() {
    const last = () => this.k.value - 1;
    const fill = (name, isRight) =>
      button(name, () => {
        this.groups = this.groups.map((group, b) => group.map((_, i) => Number(isRight(i, b))));
        this.rebuild();
        this.changed();
      });
    buttonRow(this.slot("choices"), "Fill in", [
      fill("one success", (i) => i === 0),
      fill("half", (i) => i <= last() / 2),
      fill("none", () => false),
      fill("easy, hard, none", (i, b) => [i < last(), i === 0, false][b % 3]),
    ]);
  }

  /** As many boxes as k and B say. */
  resize() {
    const [k, B] = [this.k.value, this.B.value];
    const box = (b, i) => this.groups[b]?.[i] ?? 0;
    this.groups = upTo(B).map((_, b) => upTo(k).map((_, i) => box(b, i)));
    this.chosen = Math.min(this.chosen, B - 1);
    this.rebuild();
  }

  // ------------------------------------------------------------------------------ the boxes

  rebuild() {
    const rows = this.groups.map((group, b) => {
      const boxes = group.map((_, i) => this.box(b, i));
      for (const box of boxes) box.onkeydown = (event) => walk(event, boxes);
      const choose = () => {
        this.chosen = b;
        this.changed();
      };
      const label = `Tries at prompt ${b + 1}`;
      return el(
        "div",
        { class: "group" },
        button(`Prompt ${b + 1}`, choose),
        el("div", { class: "boxes", role: "group", "aria-label": label }, ...boxes),
        el("span", { class: "says" }),
      );
    });
    this.slot("groups").replaceChildren(...rows);
  }

  box(b, i) {
    const show = () => {
      node.setAttribute("aria-pressed", Boolean(this.groups[b][i]));
      node.textContent = this.groups[b][i] ? "✓" : "✗";
    };
    const toggle = () => {
      this.groups[b][i] = 1 - this.groups[b][i];
      this.chosen = b;
      show();
      this.changed();
    };
    const label = `Prompt ${b + 1}, try ${i + 1}`;
    const options = { class: "box", "aria-label": label, tabindex: i ? -1 : 0 };
    const node = button("", toggle, options);
    show();
    return node;
  }

  // ------------------------------------------------------------------------------ the table

  draw() {
    const all = this.names.map((name) => advantages(name, this.groups));
    this.describeGroups();
    const columns = [
      "method",
      ...this.groups.map((_, b) => `prompt ${b + 1}`),
      `in numbers, for prompt ${this.chosen + 1}`,
    ];
    const head = columns.map((text) => el("th", { scope: "col" }, text));
    const style = `--groups: ${this.groups.length}`;
    const table = el(
      "table",
      { class: "advantages", style },
      el("thead", {}, el("tr", {}, ...head)),
      el("tbody", {}, ...this.rows(all)),
    );
    this.slot("table").replaceChildren(table);
    const of = (name) => {
      const A = all[this.names.indexOf(name)][this.chosen];
      return `${labelOf(name)} ${[...new Set(A)].map((a) => written(a, 3)).join(" and ")}`;
    };
    const spoken = ["rloo", "grpo", "maxrl"].map(of).join("; ");
    this.say(`Prompt ${this.chosen + 1}, advantages: ${spoken}.`);
  }

  describeGroups() {
    [...this.slot("groups").children].forEach((row, b) => {
      const [S, k] = [sum(this.groups[b]), this.k.value];
      row.firstChild.setAttribute("aria-pressed", b === this.chosen);
      const mean = `mean ${S}/${k} = ${format(S / k, 3)}`;
      row.lastChild.textContent =
        S === 0 ? "all fail: nothing to imitate" : S === k ? "all right: nothing to compare" : mean;
    });
  }

  rows(all) {
    const scale = extent(all.filter((_, m) => !OWN_SCALE.includes(this.names[m])).flat(2));
    return this.names.map((name, m) => {
      const color = methodVariable(name);
      const own = OWN_SCALE.includes(name) ? extent(all[m].flat()) : scale;
      const cells = all[m].map((A) => {
        const spoken = [...new Set(A)].map((a) => written(a, 3)).join(", ");
        return el("td", {}, barsOf(A, own, color), el("small", {}, spoken));
      });
      const swatch = el("span", { class: "swatch", style: `--swatch: var(--${color})` });
      const about = el("div", { class: "filled" }, FORMULAS[name]);
      const numbers = this.filled(name, all[m][this.chosen]);
      return el(
        "tr",
        {},
        el("th", { scope: "row" }, swatch, labelOf(name), about),
        ...cells,
        el("td", { class: "filled" }, ...numbers),
      );
    });
  }

  /** The formula with the numbers of the chosen group: a success on one line, a failure below. */
  filled(name, A) {
    const group = this.groups[this.chosen];
    return [1, 0]
      .filter((r) => group.includes(r))
      .map((r) => {
        const a = A[group.indexOf(r)];
        const text = inNumbers(name, r, a, group, sum(this.groups.flat()), this.groups.length);
        return el("div", {}, `${r ? "✓" : "✗"} ${text} = `, el("b", {}, written(a)));
      });
  }
}

/** Arrow keys walk along the boxes of a row, which is one stop of the tab key. */
function walk(event, boxes) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = boxes.indexOf(event.currentTarget);
  boxes[at].tabIndex = -1;
  const next = boxes[(at + step + boxes.length) % boxes.length];
  next.tabIndex = 0;
  next.focus();
}

/** A method's formula for a rollout with reward r, in numbers. */
function inNumbers(name, r, a, group, total, B) {
  const [S, k] = [sum(group), group.length];
  if (k === 1 && ["rloo", "maxrl", "maxrl-loo", "passk"].includes(name)) return `${r}`;
  const isDivisor0 = {
    grpo: S === 0 || S === k,
    maxrl: S === 0,
    "maxrl-raw": S === 0,
    "maxrl-std": S === 0 || S === k,
    rft: total === 0,
  };
  if (isDivisor0[name]) return "0, by rule";
  const difference = `(${r} − ${S}/${k})`;
  const std = format(Math.sqrt((S / k) * (1 - S / k)), 3);
  const fromPeers = r - (S - r) / (k - 1);
  const leaveOneOut = `${fromPeers ? format(a / fromPeers) : "ω"} × (${r} − ${S - r}/${k - 1})`;
  return {
    reinforce: `${r}`,
    rloo: `${difference} × ${k}/${k - 1}`,
    grpo: `${difference} / ${std}`,
    maxrl: `${difference} / (${S}/${k})`,
    "maxrl-raw": `${r} / (${S}/${k})`,
    "maxrl-loo": leaveOneOut,
    passk: leaveOneOut,
    "maxrl-std": `${difference} / (${std} × ${S}/${k})`,
    rft: `${r} / (${total}/${k * B})`,
  }[name];
}

/** The largest advantage, and the size of the most negative one. */
function extent(A) {
  return [Math.max(1e-3, ...A), Math.max(1e-3, ...A.map((a) => -a))];
}

/** A bar for each rollout; `up` and `down` are what the room above and below 0 stands for. */
function barsOf(A, [up, down], color) {
  const width = Math.min(14, 150 / A.length);
  const room = HEIGHT - 3;
  const zero = (room * up) / (up + down) + 1;
  const rect = (x, y, w, h, fill) => svgElement("rect", { x, y, width: w, height: h, fill, rx: 1 });
  const bars = A.flatMap((a, i) => {
    const size = (room * Math.abs(a)) / (up + down);
    const top = a > 0 ? zero - size : zero + 1;
    return a ? [rect(i * width + 1, top, width - 2, size, `var(--${color})`)] : [];
  });
  const all = A.length * width;
  return svgElement(
    "svg",
    {
      viewBox: `0 0 ${all} ${HEIGHT}`,
      height: HEIGHT,
      preserveAspectRatio: "none",
      style: `max-width: ${all}px`,
      "aria-hidden": "true",
    },
    rect(0, zero, all, 1, "var(--faint)"),
    ...bars,
  );
}
