// Part 5: what the experiments found: a sentence and the curves that show it, for each finding that
// build.py took from the logs. Thin lines are seeds, thick ones their mean.

import { Part } from "./part.js";
import { Plot } from "./plot.js";
import { methodVariable } from "./theme.js";
import { commandLine, el, format, keyEntry } from "./ui.js";

const DASHES = [undefined, [9, 3], [5, 4], [2, 3]]; // of lines of one method

export class Results extends Part {
  constructor() {
    super("results");
    const findings = JSON.parse(document.getElementById("data-results").textContent);
    this.slot("none").hidden = findings.length > 0;
    this.slot("about").hidden = !findings.length;
    this.slot("findings").append(...findings.map((finding) => this.figure(finding)));
  }

  figure({ says, measure, lines, command }) {
    const place = el("div", { class: "low" });
    const seen = new Map(); // colour -> lines that have it
    const looks = lines.map(({ method }) => {
      const color = methodVariable(method);
      seen.set(color, (seen.get(color) ?? -1) + 1);
      return { color, dash: DASHES[seen.get(color) % DASHES.length] };
    });
    const node = el("figure", { class: "panel" }, el("figcaption", {}, says), place);
    node.firstChild.append(el("br"), el("small", {}, measure));
    const key = lines.map(({ name, end }, i) =>
      keyEntry(looks[i].color, `${name}: ${format(end, 3)}`, looks[i].dash),
    );
    const seeds = Math.max(...lines.map(({ curves }) => curves.length));
    node.append(
      el("div", { class: "key" }, ...key),
      el("p", { class: "note" }, `Numbers are means over ${seeds} seeds at the last step.`),
      el("details", {}, el("summary", {}, "One of these runs"), commandLine(command)),
    );
    this.observe(place, measure, lines, looks);
    return node;
  }

  /** A plot needs the width of its place, which has one once it is in the page. */
  observe(place, measure, lines, looks) {
    requestAnimationFrame(() => {
      const last = Math.max(...lines.map(({ step }) => step.at(-1)));
      const values = lines.flatMap(({ curves }) => curves.flat()).filter((y) => y !== null);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = 0.04 * (high - low || 1);
      const plot = new Plot(place, {
        label: `${measure} against steps`,
        x: { range: [0, last], title: "steps" },
        y: { range: [low - room, high + room] },
        series: [],
      });
      const thin = lines.flatMap(({ curves }, i) =>
        curves.map(() => ({ ...looks[i], width: 1, alpha: 0.25 })),
      );
      const thick = looks.map((look) => ({ ...look, width: 2.6 }));
      const tables = [
        ...lines.flatMap(({ step, curves }) => curves.map((curve) => [step, curve])),
        ...lines.map(({ step, mean }) => [step, mean]),
      ];
      plot.replace([...thin, ...thick], uPlot.join(tables));
    });
  }

  draw() {}
}
