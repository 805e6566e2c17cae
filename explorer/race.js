// Part 4: five prompts learnt by four methods at once, from the same random numbers.

import { FORMULAS, binomial, exactPassAtK, weightFrom, worthTable } from "./math.js";
import { labelOf } from "./methods.js";
import { Part } from "./part.js";
import { Plot, fromLogit, logit } from "./plot.js";
import { uniform } from "./random.js";
import { methodVariable, reducedMotion } from "./theme.js";
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
  selectControl,
  whole,
} from "./ui.js";
import { PRESETS } from "./weights.js";

const RACERS = ["reinforce", "grpo", "maxrl", "ce"];
const PROMPTS = [0, 1, 2, 3, 4];
const MOST_STEPS = 4000;
const FIRST_STEPS = 300; // that are shown before anybody presses play
const TICKS = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99];
const [LOW, HIGH] = [5e-5, 0.9995]; // of the tracks
const RATES = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1];

/** How far along its track a pass rate is, in percent. */
function across(p) {
  const z = logit(Math.min(Math.max(p, LOW), HIGH));
  return (100 * (z - logit(LOW))) / (logit(HIGH) - logit(LOW));
}

export class Race extends Part {
  constructor() {
    super("race");
    this.running = false;
    this.addControls();
    this.play = button("Play", () => this.run(!this.running), { class: "primary" });
    buttonRow(this.slot("controls"), "Time", [
      this.play,
      button("Step", () => this.jump(1)),
      button("100 steps", () => this.jump(100)),
      button("Restart", () => this.restart()),
    ]);
    document.addEventListener("visibilitychange", () => document.hidden && this.run(false));
    this.makeTracks();
    this.restart();
    this.makePlots();
    this.whenSeen();
  }

  /** The work of the first steps waits until somebody looks. */
  whenSeen() {
    const look = ([{ isIntersecting }], observer) => {
      if (!isIntersecting) return;
      observer.disconnect();
      if (this.step === 0 && !this.running) this.begin();
    };
    new IntersectionObserver(look).observe(this.section);
  }

  addControls() {
    const begin = () => this.begin();
    this.k = this.add(
      numberControl,
      {
        name: "k",
        label: "Rollouts per prompt, k",
        value: 1024,
        values: doublings(2, 1024),
        check: whole("k", 2, () => 1024),
      },
      begin,
    );
    this.rate = this.add(
      numberControl,
      {
        name: "rate",
        label: "Learning rate",
        value: 0.1,
        values: RATES,
        show: (x) => format(x),
        check: between("the learning rate", 0.001, 2),
      },
      begin,
    );
    this.seed = this.add(
      numberControl,
      {
        name: "seed",
        label: "Seed",
        value: 0,
        values: Array.from({ length: 100 }, (_, i) => i),
        check: whole("the seed", 0, () => 1e9),
      },
      begin,
    );
    this.gradient = this.add(
      choiceControl,
      {
        name: "gradient",
        label: "Gradient",
        value: "sampled",
        options: [
          ["sampled", "sampled"],
          ["expected", "expected"],
        ],
      },
      begin,
    );
    this.prompts = this.add(
      selectControl,
      {
        name: "prompts",
        label: "Five prompts",
        value: "all over",
        options: Object.keys(PRESETS).map((name) => [name, name]),
      },
      begin,
    );
  }

  restore(asked) {
    super.restore(asked);
    this.begin();
  }

  // ----------------------------------------------------------------------------- the learning

  /** Show how the first steps end, when the next frame is drawn. */
  begin() {
    this.restart();
    this.isAhead = true;
  }

  restart() {
    this.run(false);
    const start = PRESETS[this.prompts.value].map(logit);
    this.isAhead = false;
    this.theta = RACERS.map(() => [...start]);
    this.worth = RACERS.map((name) => name !== "ce" && worthTable(name, this.k.value));
    this.draws = uniform("race", this.seed.value);
    this.numbers = new Float64Array(this.k.value);
    this.steps = [];
    this.pass1 = RACERS.map(() => []);
    this.passk = RACERS.map(() => []);
    this.record();
    this.redraw();
  }

  get step() {
    return this.steps.length - 1;
  }

  record() {
    this.steps.push(this.steps.length);
    this.theta.forEach((theta, m) => {
      const mean = (f) => theta.reduce((sum, z) => sum + f(fromLogit(z)), 0) / theta.length;
      this.pass1[m].push(mean((p) => p));
      this.passk[m].push(mean((p) => exactPassAtK(p, this.k.value)));
    });
  }

  advance(steps) {
    const isSampled = this.gradient.value === "sampled";
    for (let i = 0; i < steps && this.step < MOST_STEPS; i++) {
      for (const b of PROMPTS) {
        const numbers = isSampled ? this.numbers.map(this.draws) : null;
        RACERS.forEach((_, m) => {
          const p = fromLogit(this.theta[m][b]);
          this.theta[m][b] += this.rate.value * this.slope(m, p, numbers);
        });
      }
      this.record();
    }
    if (this.step >= MOST_STEPS) this.run(false);
  }

  /** The gradient of one prompt's logit: from these numbers, one a rollout, or expected. */
  slope(m, p, numbers) {
    const k = this.k.value;
    if (RACERS[m] === "ce") return 1 - p;
    if (!numbers) return weightFrom(this.worth[m], binomial(k - 1, p)) * p * (1 - p);
    let S = 0;
    for (const number of numbers) if (number < p) S += 1;
    const A = (r) => FORMULAS[RACERS[m]](r, S / k, k, k);
    return (S * A(1) * (1 - p) - (k - S) * A(0) * p) / k; // the scores are 1 - p and -p
  }

  // --------------------------------------------------------------------------------- the time

  run(on) {
    if (on && this.isAhead) this.restart();
    this.running = on && this.step < MOST_STEPS;
    this.play.textContent = this.running ? "Pause" : "Play";
    if (this.running) requestAnimationFrame((now) => this.tick(now));
  }

  /** A frame. For who asked for less motion there are fewer, each of more steps. */
  tick(now) {
    if (!this.running) return;
    const [pause, steps] = reducedMotion.matches ? [700, 60] : [0, 2];
    if (now - (this.last ?? 0) >= pause) {
      this.last = now;
      this.advance(steps);
      this.draw();
    }
    requestAnimationFrame((next) => this.tick(next));
  }

  jump(steps) {
    this.run(false);
    if (this.isAhead) this.restart();
    this.advance(steps);
    this.redraw();
  }

  // ------------------------------------------------------------------------------ the drawing

  makeTracks() {
    const color = (name) => `background: var(--${methodVariable(name)})`;
    this.lanes = PROMPTS.map(() => {
      const dots = RACERS.map((name, m) =>
        el("i", { style: `${color(name)}; top: ${10 * m + 1}px` }),
      );
      const ticks = TICKS.map((p) => el("s", { style: `left: ${across(p)}%` }));
      const [label, lane] = [el("span"), el("div", { class: "lane" }, ...ticks, ...dots)];
      this.slot("tracks").append(el("div", { class: "track-row" }, label, lane));
      return { dots, label };
    });
    const marks = TICKS.map((p) => el("span", { style: `left: ${across(p)}%` }, format(p)));
    const scale = el("div", { class: "scale" }, ...marks);
    const row = el("div", { class: "track-row", "aria-hidden": "true" }, "pass rate", scale);
    this.slot("tracks").append(row);
    for (const slot of ["key", "plots-key"]) {
      const entry = (name) => keyEntry(methodVariable(name), labelOf(name));
      this.slot(slot).append(...RACERS.map(entry));
    }
  }

  makePlots() {
    const thick = (name) => (name === "maxrl" ? 3 : 2);
    const options = {
      x: { range: () => [0, Math.max(200, this.step)], title: "steps" },
      y: { range: [0, 1.02] },
      series: RACERS.map((name) => ({
        color: methodVariable(name),
        width: thick(name),
        label: labelOf(name),
      })),
    };
    const label = (what) => `mean ${what} of each learner against steps`;
    this.plot1 = new Plot(this.slot("pass1"), { ...options, label: label("pass@1") });
    this.plotk = new Plot(this.slot("passk"), { ...options, label: label("pass@k") });
  }

  draw() {
    if (this.isAhead && this.step === 0) this.advance(FIRST_STEPS);
    const starts = PRESETS[this.prompts.value];
    this.lanes.forEach(({ dots, label }, b) => {
      label.textContent = `from ${chance(starts[b])}`;
      dots.forEach((dot, m) => (dot.style.left = `${across(fromLogit(this.theta[m][b]))}%`));
    });
    this.slot("clock").textContent = `step ${this.step.toLocaleString("en")}`;
    const tries = this.k.value.toLocaleString("en");
    this.slot("passk-title").textContent = `pass@${tries}, mean of the five`;
    this.plot1.set([this.steps, ...this.pass1]);
    this.plotk.set([this.steps, ...this.passk]);
    const ends = RACERS.map((name, m) => `${labelOf(name)} ${format(this.pass1[m].at(-1), 3)}`);
    this.say(`After ${this.step} steps, mean pass rate: ${ends.join(", ")}.`);
  }
}
