// Part 2: groups of rollouts, right or wrong by hand, and what every method makes of them.

import { METHODS, ORDERED, advantages } from "./math.js";
import { Part, linkButton } from "./part.js";
import { methodVariable } from "./theme.js";
import { button, buttonRow, doublings, el, format, minus, numberControl, whole } from "./ui.js";

const MOST_K = 16;
const MOST_GROUPS = 5;
const START = ["10000000", "11110000", "00000000"];
const ABOUT = {
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

export function startGroup() {
  const part = new Part("group", draw);
  const controls = part.slot("controls");
  let groups = START.map((text) => [...text].map(Number));
  let chosen = 0;
  let lastK = START[0].length;
  const kOf = () => groups[0].length;

  const change = () => part.changed();
  const k = part.add(numberControl(controls, {
    name: "k", label: "Rollouts in a group, k", value: kOf(), values: Array.from({ length: MOST_K }, (_, i) => i + 1),
    check: whole("k", 1, () => MOST_K), change: () => (resize(), change()),
  }));
  const B = part.add(numberControl(controls, {
    name: "B", label: "Groups in the batch, B", value: groups.length, values: Array.from({ length: MOST_GROUPS }, (_, i) => i + 1),
    check: whole("B", 1, () => MOST_GROUPS), change: () => (resize(), change()),
  }));
  const T = part.add(numberControl(controls, {
    name: "T", label: "Order T of maxrl-loo and passk", value: kOf(), values: doublings(1, MOST_K, 8), check: whole("T", 1, () => k.value), change,
  }));
  // The boxes themselves are a control too, so that a link restores them: 1000.1100.
  part.add({
    name: "r",
    text: () => groups.map((group) => group.join("")).join("."),
    accept(text) {
      const rows = text.split(".");
      const sizes = new Set(rows.map((row) => row.length));
      const fits = /^[01.]+$/.test(text) && sizes.size === 1 && rows.length <= MOST_GROUPS && rows[0].length >= 1 && rows[0].length <= MOST_K;
      if (!fits) return `“${text}” is not groups of 0 and 1, equally long`;
      groups = rows.map((row) => [...row].map(Number));
      k.set(kOf());
      B.set(groups.length);
      resize();
      return "";
    },
  });
  const fillAll = (make) => {
    groups = groups.map((group, b) => group.map((_, i) => Number(make(i, b))));
    rebuild();
    change();
  };
  buttonRow(controls, "Fill in", [
    button("one success", () => fillAll((i) => i === 0)),
    button("half", () => fillAll((i) => i < kOf() / 2)),
    button("none", () => fillAll(() => false)),
    button("easy, hard, dead", () => fillAll((i, b) => [i < kOf() - 1, i === 0, false][b % 3])),
  ]);
  linkButton(part);

  function resize() {
    groups = Array.from({ length: B.value }, (_, b) => Array.from({ length: k.value }, (_, i) => groups[b]?.[i] ?? 0));
    chosen = Math.min(chosen, groups.length - 1);
    const order = T.value > k.value || T.value === lastK ? k.value : T.value; // k stays k
    T.limit(Array.from({ length: k.value }, (_, i) => i + 1), order);
    lastK = k.value;
    rebuild();
  }

  // ------------------------------------------------------------------------------ the boxes
  const host = part.slot("groups");

  function rebuild() {
    host.replaceChildren(...groups.map((group, b) => {
      const boxes = group.map((r, i) => el("button", {
        type: "button", class: "box", "aria-pressed": Boolean(r), "aria-label": `Prompt ${b + 1}, rollout ${i + 1}`,
        tabindex: i ? -1 : 0, onclick: (event) => toggle(b, i, event.currentTarget),
      }, r ? "✓" : "✗"));
      for (const box of boxes) box.onkeydown = (event) => walk(event, boxes);
      return el("div", { class: "group" },
        el("button", { type: "button", "aria-pressed": "false", onclick: () => ((chosen = b), change()) }, `Prompt ${b + 1}`),
        el("div", { class: "boxes", role: "group", "aria-label": `Rollouts of prompt ${b + 1}` }, ...boxes),
        el("span", { class: "says" }));
    }));
  }

  function toggle(b, i, box) {
    groups[b][i] = 1 - groups[b][i];
    box.setAttribute("aria-pressed", Boolean(groups[b][i]));
    box.textContent = groups[b][i] ? "✓" : "✗";
    chosen = b;
    change();
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

  // ------------------------------------------------------------------------------ the table
  const all = (name) => advantages(name, groups, ORDERED.includes(name) ? T.value : undefined);

  /** The formula of the chosen group with its numbers: a success on one line, a failure below. */
  function filled(name, group, A) {
    const [S, size] = [group.reduce((a, b) => a + b, 0), group.length];
    const total = groups.flat().reduce((a, b) => a + b, 0);
    const std = format(Math.sqrt((S / size) * (1 - S / size)), 3);
    const one = (r) => {
      const i = group.indexOf(r);
      if (i < 0) return null;
      const difference = `(${r} − ${S}/${size})`;
      const fromPeers = r - (S - r) / (size - 1);
      const peers = `${fromPeers ? format(A[i] / fromPeers) : "ω"} × (${r} − ${S - r}/${size - 1})`;
      const dead = { grpo: S === 0 || S === size, maxrl: S === 0 && size > 1, "maxrl-raw": S === 0, "maxrl-std": S === 0 || S === size, rft: total === 0 }[name];
      const text = size === 1 && ["rloo", "maxrl", "maxrl-loo", "passk"].includes(name) ? `${r}` : dead ? "0, by rule" : {
        reinforce: `${r}`,
        rloo: `${difference} × ${size}/${size - 1}`,
        grpo: `${difference} / ${std}`,
        maxrl: `${difference} / (${S}/${size})`,
        "maxrl-raw": `${r} / (${S}/${size})`,
        "maxrl-loo": peers,
        passk: peers,
        "maxrl-std": `${difference} / (${std} × ${S}/${size})`,
        rft: `${r} / (${total}/${size * groups.length})`,
      }[name];
      return el("div", {}, `${r ? "✓" : "✗"} ${text} = `, el("b", {}, minus(format(A[i] + 0))));
    };
    return [one(1), one(0)].filter(Boolean);
  }

  const SVG = "http://www.w3.org/2000/svg";

  /** A bar for each rollout; `up` and `down` are what the space above and below 0 stands for. */
  function barsOf(A, up, down, color) {
    const [width, height] = [Math.min(14, 150 / A.length), 58];
    const zero = (height - 3) * (up / (up + down)) + 1;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${A.length * width} ${height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("height", height);
    svg.style.maxWidth = `${A.length * width}px`;
    svg.setAttribute("aria-hidden", "true");
    const rect = (x, y, w, h, fill) => {
      const node = document.createElementNS(SVG, "rect");
      for (const [name, value] of Object.entries({ x, y, width: w, height: h, fill, rx: 1 })) node.setAttribute(name, value);
      svg.append(node);
    };
    rect(0, zero, A.length * width, 1, "var(--faint)");
    A.forEach((a, i) => {
      const size = ((height - 3) * Math.abs(a)) / (up + down);
      if (size > 0) rect(i * width + 1, a > 0 ? zero - size : zero + 1, width - 2, size, `var(--${color})`);
    });
    return svg;
  }

  /** The largest advantage and the size of the most negative one. */
  const extent = (A) => [Math.max(1e-3, ...A), Math.max(1e-3, ...A.map((a) => -a))];

  function draw() {
    const values = METHODS.map(all);
    const scales = groups.map((_, b) => extent(values.flatMap((A, m) => (METHODS[m] === "maxrl-std" ? [] : A[b]))));
    [...host.children].forEach((row, b) => {
      const S = groups[b].reduce((a, c) => a + c, 0);
      row.firstChild.setAttribute("aria-pressed", b === chosen);
      const state = S === 0 ? "dead: no success" : S === kOf() ? "all right: nothing to compare" : `mean ${S}/${kOf()} = ${format(S / kOf(), 3)}`;
      row.lastChild.textContent = state;
    });
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "method"), ...groups.map((_, b) => el("th", { scope: "col" }, `prompt ${b + 1}`)), el("th", { scope: "col" }, `in numbers, for prompt ${chosen + 1}`)));
    const rows = METHODS.map((name, m) => {
      const color = methodVariable(name);
      const cells = values[m].map((A, b) => {
        const [up, down] = name === "maxrl-std" ? extent(A) : scales[b];
        const spoken = [...new Set(A.map((a) => minus(format(a + 0, 3))))].join(" or ");
        return el("td", {}, barsOf(A, up, down, color), el("span", { class: "hidden" }, spoken));
      });
      const label = el("th", { scope: "row" }, el("span", { class: "swatch", style: `--swatch: var(--${color})` }), name, el("div", { class: "filled" }, ABOUT[name]));
      return el("tr", {}, label, ...cells, el("td", { class: "filled" }, ...filled(name, groups[chosen], values[m][chosen])));
    });
    part.slot("table").replaceChildren(el("table", { class: "advantages", style: `--groups: ${groups.length}` }, head, el("tbody", {}, ...rows)));
    const group = groups[chosen];
    const [right, wrong] = [group.indexOf(1), group.indexOf(0)];
    const of = (name) => `${name} ${[right, wrong].filter((i) => i >= 0).map((i) => minus(format(values[METHODS.indexOf(name)][chosen][i] + 0, 3))).join(" and ")}`;
    part.say(`Prompt ${chosen + 1}, advantages of a success and a failure: ${["rloo", "grpo", "maxrl"].map(of).join("; ")}.`);
  }

  const restore = part.restore.bind(part);
  part.restore = (query) => {
    if (new URLSearchParams(query).has("T")) lastK = 0; // an order that was asked for stays
    restore(query);
    resize();
  };
  rebuild();
  part.draw();
}
