// Part 5: what the experiments found: a sentence and the curves that show it, for each finding that
// build.py took from the logs. A curve is the mean of its runs.

import { Part } from "./part.js";
import { Plot } from "./plot.js";
import { methodVariable } from "./theme.js";
import { commandLine, el, keyEntry, prose } from "./ui.js";

const DASHES = { ce: [5, 4], "maxrl-raw": [2, 3] };

export class Results extends Part {
  constructor() {
    super("results");
    const findings = JSON.parse(document.getElementById("data-results").textContent);
    this.slot("none").hidden = findings.length > 0;
    this.slot("about").hidden = !findings.length;
    this.slot("findings").append(...findings.map((finding) => this.figure(finding)));
  }

  figure({ says, note, measure, lines, command }) {
    const looks = lines.map(({ method }, i) => ({
      color: methodVariable(method),
      dash: DASHES[method],
      alpha: 0.72 ** lines.slice(0, i).filter((line) => line.method === method).length,
      width: 2.6,
    }));
    const place = el("div", { class: "low" });
    const figures = ({ end, range }) => {
      const [mean, low, high] = [end, ...range].map((value) => value.toFixed(3));
      return `${mean} (${low} to ${high})`;
    };
    const key = lines.map((line, i) => {
      const { color, dash, alpha } = looks[i];
      return keyEntry(color, `${line.name}: ${figures(line)}`, dash, alpha);
    });
    const node = el(
      "figure",
      { class: "panel" },
      el(
        "figcaption",
        {},
        says,
        el("br"),
        el("small", {}, ...prose(`${measure}; ${lines[0].runs} seeds`)),
      ),
      el("div", { class: "key" }, ...key),
      place,
      el("p", { class: "note" }, note),
      el("details", {}, el("summary", {}, "One of these runs"), commandLine(command)),
    );
    this.observe(place, measure, lines, looks);
    return node;
  }

  /** A plot needs the width of its place, which has one once it is in the page. */
  observe(place, measure, lines, looks) {
    requestAnimationFrame(() => {
      const last = Math.max(...lines.map(({ step }) => step.at(-1)));
      const values = lines.flatMap(({ mean }) => mean);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = 0.04 * (high - low || 1);
      const plot = new Plot(place, {
        label: `${measure} against steps`,
        x: { range: [0, last], title: "steps" },
        y: { range: [low - room, high + room] },
        series: [],
      });
      // The first line is drawn last, on top of those that reach it.
      const tables = lines.map(({ step, mean }) => [step, mean]);
      plot.replace(looks.toReversed(), uPlot.join(tables.toReversed()));
    });
  }

  draw() {}
}
