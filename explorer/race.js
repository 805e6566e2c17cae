// The first screen: a hard and an easy prompt, learnt by three methods from the same random numbers.
// The whole race is computed when k or the draw changes; playing only moves through its steps.
// Left out: models. A prompt has one number θ, and its pass rate is p = 1 / (1 + e^-θ). No step makes
// θ smaller, so a method that has finished stays beyond the finish.

import { FORMULAS } from "./math.js";
import { labelOf } from "./methods.js";
import { Part } from "./part.js";
import { fromLogit, logit } from "./plot.js";
import { uniform } from "./random.js";
import { methodVariable, reducedMotion } from "./theme.js";
import { button, doublings, el, format, numberControl, prose, whole } from "./ui.js";

const RACERS = ["reinforce", "grpo", "maxrl"];
const PROMPTS = [
  { name: "hard", p: 0.001, title: "Hard prompt: at first 1 try in 1,000 is right" },
  { name: "easy", p: 0.7, title: "Easy prompt: at first 7 tries in 10 are right" },
];
const LAST = 500; // steps
const SPEED = 100; // steps a second
const LEAP = 50; // steps at a time, for people who asked for less motion
const RATE = 0.1; // of learning
const FINISH = 0.95;
const LEVEL = 0.02; // difference in θ below which nobody is ahead
const TICKS = [0.001, 0.01, 0.1, 0.5];
const [LOW, HIGH] = [0.0006, FINISH].map(logit); // of a track

/** How far along its track a θ is, in percent. */
const across = (z) => (100 * (Math.min(Math.max(z, LOW), HIGH) - LOW)) / (HIGH - LOW);

/** Three digits, never rounded to 1. */
const rate = (p) => (p > 0.9995 ? ">0.999" : p.toPrecision(3));

/** The change of θ from k tries of which S are right; the scores are 1 - p and -p. */
function slope(name, p, S, k) {
  const A = (r) => FORMULAS[name](r, S / k, k);
  return (S * A(1) * (1 - p) - (k - S) * A(0) * p) / k;
}

/** One array for each prompt: for each racer its θ at every step, how many steps had a success
 *  until then, and the step at which it finishes. */
function simulate(k, seed) {
  const draw = uniform("race", seed);
  const numbers = new Float64Array(k);
  const lanes = PROMPTS.map(({ p }) =>
    RACERS.map((name) => ({ name, theta: [logit(p)], solved: [0], finish: Infinity })),
  );
  for (let step = 1; step <= LAST; step++) {
    for (const lane of lanes) {
      for (let i = 0; i < k; i++) numbers[i] = draw(); // try i is right if this is below p
      for (const runner of lane) advance(runner, step, numbers);
    }
  }
  return lanes;
}

function advance(runner, step, numbers) {
  const z = runner.theta[step - 1];
  const p = fromLogit(z);
  let S = 0;
  for (const number of numbers) if (number < p) S += 1;
  runner.theta.push(z + RATE * slope(runner.name, p, S, numbers.length));
  runner.solved.push(runner.solved[step - 1] + (S > 0));
  if (runner.finish === Infinity && fromLogit(runner.theta[step]) >= FINISH) runner.finish = step;
}

// ------------------------------------------------------------------------------------ the caption

/** Who is in front: the first to finish, or else everybody near the largest θ. */
function leaders(lane, step) {
  const first = Math.min(...lane.map(({ finish }) => finish));
  if (first <= step) return lane.filter(({ finish }) => finish === first);
  const best = Math.max(...lane.map(({ theta }) => theta[step]));
  return lane.filter(({ theta }) => best - theta[step] < LEVEL);
}

function standing(name, ahead, step) {
  const [who, one] = [
    ahead.map((runner) => labelOf(runner.name)).join(" and "),
    ahead.length === 1,
  ];
  const { finish } = ahead[0];
  if (finish <= step)
    return `On the ${name} prompt ${who} finish${one ? "es" : ""} first, at step ${finish}.`;
  if (ahead.length === RACERS.length) return `On the ${name} prompt nobody is ahead.`;
  return `On the ${name} prompt ${who} ${one ? "is" : "are"} ahead.`;
}

/** Why, where there is a reason. `usual`: who is fastest on average. */
function reason(name, ahead, step, k) {
  const usual = { hard: "maxrl", easy: "grpo" }[name];
  const solved = ahead.at(-1).solved[step];
  if (ahead.length === RACERS.length && name === "hard")
    return solved
      ? `Without a right try nothing is learnt, and only ${solved} of ${step} steps had one.`
      : "No try has been right yet, and without a right one nothing is learnt.";
  if (ahead.length > 1) return "";
  if (ahead[0].name !== usual)
    return `That is luck: averaged over all draws, ${labelOf(usual)} takes the larger steps there.`;
  return name === "hard"
    ? `Where one of ${k.toLocaleString("en")} tries is right, it counts ` +
        `${(k - 1).toLocaleString("en")} in MaxRL, ${format(Math.sqrt(k - 1), 3)} in GRPO and 1 in ` +
        "REINFORCE."
    : "GRPO divides by the standard deviation of the rewards. That is smaller than their mean, by " +
        "which MaxRL divides, where more than half of the tries are right.";
}

function ending(lanes, step) {
  const isDone = (_, m) => lanes.every((lane) => lane[m].finish <= step);
  const done = RACERS.filter(isDone).map(labelOf);
  if (step < LAST) return "";
  if (!done.length) return "At the end nobody has finished both.";
  return `At the end ${done.join(" and ")} ${done.length > 1 ? "have" : "alone has"} finished both.`;
}

/** What the lanes show and why: a sentence or two for each prompt, from their state alone. */
function describe(lanes, step, k) {
  if (step === 0) return ["All three methods start at the same place. The finish is p = 0.95."];
  const lines = PROMPTS.map(({ name }, b) => {
    const ahead = leaders(lanes[b], step);
    const why = k > 2 ? reason(name, ahead, step, k) : "";
    return `${standing(name, ahead, step)} ${why}`;
  });
  const two =
    "With two tries GRPO and MaxRL are the same method, and on average all three take equal steps.";
  return [...lines, `${k > 2 ? "" : two} ${ending(lanes, step)}`];
}

// --------------------------------------------------------------------------------------- the part

export class Race extends Part {
  constructor() {
    super("race");
    this.running = false;
    const again = () => this.begin();
    this.k = this.add(
      numberControl,
      {
        name: "k",
        label: "Tries per prompt, k",
        value: 256,
        values: doublings(2, 1024, 3),
        check: whole("k", 2, () => 1024),
      },
      again,
    );
    this.step = this.add(
      numberControl,
      {
        name: "step",
        label: "Step",
        value: LAST,
        values: Array.from({ length: LAST + 1 }, (_, i) => i),
        check: whole("the step", 0, () => LAST),
      },
      () => this.run(false),
    );
    this.seed = this.addSeed();
    this.slot("controls").addEventListener("focusin", ({ target }) => {
      if (target.type === "text") this.run(false); // else it would write where somebody types
    });
    this.addButtons();
    this.makeTracks();
    document.addEventListener("visibilitychange", () => document.hidden && this.run(false));
    this.begin();
    const isFirst = ["", "#top", "#race"].includes(location.hash);
    if (isFirst && !reducedMotion.matches) this.run(true);
  }

  addButtons() {
    this.play = button("Play", () => this.run(!this.running), { class: "primary" });
    const draw = button("Other random numbers", () => {
      this.seed.value += 1;
      this.begin();
      this.changed();
    });
    this.slot("buttons").append(this.play, draw);
  }

  restore(asked) {
    this.run(false);
    super.restore(asked);
    this.begin();
  }

  begin() {
    this.lanes = simulate(this.k.value, this.seed.value);
    this.redraw();
  }

  /** Play from where it stands, or from the start where it stands at the end. */
  run(on) {
    this.running = on;
    if (on && this.step.value === LAST) this.step.set(0);
    this.redraw();
    if (!on) return;
    const [from, since] = [this.step.value, performance.now()];
    const run = {};
    this.current = run;
    const tick = () => {
      if (!this.running || this.current !== run) return;
      const [passed, leap] = [performance.now() - since, reducedMotion.matches ? LEAP : 1];
      const step = from + leap * Math.floor((SPEED * passed) / 1000 / leap);
      this.step.set(Math.min(step, LAST));
      if (step >= LAST) return this.run(false);
      this.redraw();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  makeTracks() {
    const place = (p) => `left: ${across(logit(p))}%`;
    const ticks = () => TICKS.map((p) => el("s", { style: place(p) }));
    this.runners = PROMPTS.map(({ name, p, title }) => {
      const block = el("div", { class: "prompt", "data-prompt": name });
      block.append(el("h3", {}, title));
      this.slot("tracks").append(block);
      return RACERS.map((racer) => {
        const style = `--swatch: var(--${methodVariable(racer)}); ${place(p)}`;
        const trail = el("i", { style });
        const finish = el("b", { style: place(FINISH) });
        const says = el("output", { "data-method": racer });
        const lane = el("div", { class: "lane" }, ...ticks(), finish, trail);
        block.append(el("div", { class: "track" }, el("span", {}, labelOf(racer)), lane, says));
        return { trail, says, from: across(logit(p)) };
      });
    });
    const mark = (p, text) => el("span", { style: place(p) }, text);
    const marks = [...TICKS.map((p) => mark(p, format(p))), mark(FINISH, `${FINISH} finish`)];
    const scale = el("div", { class: "scale" }, ...marks);
    const name = el("span", {}, ...prose("pass rate p"), el("br"), "(log-odds)");
    this.slot("tracks").append(el("div", { class: "track", "aria-hidden": "true" }, name, scale));
  }

  draw() {
    const [step, k] = [this.step.value, this.k.value];
    this.play.textContent = this.running ? "Pause" : step === LAST ? "Play again" : "Play";
    this.lanes.forEach((lane, b) => {
      lane.forEach(({ theta, finish }, m) => {
        const { trail, says, from } = this.runners[b][m];
        trail.style.width = `${across(theta[step]) - from}%`;
        const done = finish <= step ? ["✓ ", el("span", {}, "step "), finish] : [];
        says.replaceChildren(
          el("span", {}, `${rate(fromLogit(theta[step]))} `),
          el("span", {}, ...done),
        );
      });
    });
    const lines = describe(this.lanes, step, k);
    this.slot("caption").replaceChildren(...lines.map((line) => el("p", {}, ...prose(line))));
    this.say(lines.join(" "));
  }
}
