// The page: its parts, and the mathematics and models for the console and the tests, window.maxrl.

import { advantages, objective, passAtK, weight } from "./math.js";
import { el, format } from "./ui.js";
import { followFragment } from "./part.js";
import { startTheme } from "./theme.js";
import { Series } from "./series.js";
import { Group } from "./group.js";
import { Weights } from "./weights.js";
import { Race } from "./race.js";
import { logprob, modelNames, Models } from "./models.js";
import { Results } from "./results.js";

window.maxrl = { advantages, weight, objective, passAtK, logprob, models: modelNames };

/** Mark in the bar which part is on the screen. */
function markCurrent() {
  const links = new Map(
    [...document.querySelectorAll(".bar nav a")].map((a) => [a.hash.slice(1), a]),
  );
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) links.get(target.id).setAttribute("aria-current", "true");
        else links.get(target.id).removeAttribute("aria-current");
      }
    },
    { rootMargin: "-30% 0px -69% 0px" },
  );
  for (const id of links.keys()) observer.observe(document.getElementById(id));
}

/** The first picture, and the numbers beside it: what one hard prompt weighs. */
function drawTeaser() {
  const p = 1e-4;
  const rows = [
    ["reinforce", 8, "REINFORCE, RLOO"],
    ["grpo", 1024, "GRPO, k = 1,024"],
    ["maxrl", 8, "MaxRL, k = 8"],
    ["maxrl", 1024, "MaxRL, k = 1,024"],
    ["ce", 0, "maximum likelihood"],
  ];
  for (const [name, k, label] of rows) {
    const w = weight(name, p, k);
    const width = (100 * Math.log10(w)) / -Math.log10(p);
    document
      .getElementById("teaser")
      .append(
        el(
          "div",
          { class: "row" },
          el("span", {}, label),
          el("i", { style: `width: ${width}%; background: var(--m-${name})` }),
          el("b", {}, format(w, 3)),
        ),
      );
  }
  for (const cell of document.querySelectorAll("[data-weight]"))
    cell.textContent = format(weight(cell.dataset.weight, p, 8), 3);
}

function start() {
  for (const swatch of document.querySelectorAll(".swatch[data-method]")) {
    swatch.style.setProperty("--swatch", `var(--m-${swatch.dataset.method})`);
  }
  startTheme();
  drawTeaser();
  for (const Kind of [Series, Group, Weights, Race, Models, Results]) new Kind();
  markCurrent();
  followFragment();
  addEventListener("hashchange", followFragment);
}

start();
