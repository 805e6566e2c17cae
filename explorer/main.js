// The page: its parts, and the mathematics and models for the console and the tests, window.maxrl.

import { Group } from "./group.js";
import { advantages, objective, passAtK, weight } from "./math.js";
import { logprob, Models, modelNames } from "./models.js";
import { followFragment } from "./part.js";
import { Race } from "./race.js";
import { Results } from "./results.js";
import { Series } from "./series.js";
import { startTheme } from "./theme.js";
import { format } from "./ui.js";
import { Weights } from "./weights.js";

window.maxrl = { advantages, weight, objective, passAtK, logprob, models: modelNames };

/** Mark in the bar which part is in the middle of the screen, or was last. */
function markCurrent() {
  const links = new Map(
    [...document.querySelectorAll(".bar nav a")].map((a) => [a.hash.slice(1), a]),
  );
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        for (const [id, link] of links) link.setAttribute("aria-current", id === target.id);
      }
    },
    { rootMargin: "-50% 0px -49% 0px" },
  );
  for (const id of links.keys()) observer.observe(document.getElementById(id));
}

/** The numbers of the table in the introduction. */
function fillWeights() {
  for (const cell of document.querySelectorAll("[data-weight]"))
    cell.textContent = format(weight(cell.dataset.weight, 1e-4, 1024));
}

function start() {
  for (const swatch of document.querySelectorAll(".swatch[data-method]")) {
    swatch.style.setProperty("--swatch", `var(--m-${swatch.dataset.method})`);
  }
  startTheme();
  fillWeights();
  new Race();
  new Series();
  const group = new Group(() => weights.redraw());
  const weights = new Weights(group);
  new Models();
  new Results();
  markCurrent();
  followFragment();
  addEventListener("hashchange", followFragment);
}

start();
