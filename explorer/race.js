// Part 4: five prompts learnt by four methods at once, from the same random numbers.

import { binomial, exactPassAtK, weightFrom, worthTable, FORMULAS } from "./math.js";
import { Part, linkButton } from "./part.js";
import { Plot, fromLogit, logit } from "./plot.js";
import { uniform } from "./random.js";
import { methodVariable, reducedMotion } from "./theme.js";
import { PRESETS } from "./weights.js";
import { button, buttonRow, chance, choiceControl, doublings, el, format, keyEntry, numberControl, selectControl, whole, between } from "./ui.js";

const RACERS = ["reinforce", "grpo", "maxrl", "ce"];
const LABELS = { reinforce: "REINFORCE", grpo: "GRPO", maxrl: "MaxRL", ce: "maximum likelihood" };
const MOST_STEPS = 4000;
const TRACK = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99];
const [LOW, HIGH] = [5e-5, 0.9995];

/** g of one prompt: k draws, S of them right, for a policy with one logit. */
function sampledGradient(name, p, k, S) {
  const A = (r) => FORMULAS[name](r, S / k, k, k);
  return (S * A(1) * (1 - p) - (k - S) * A(0) * p) / k;
}

export function startRace() {
  const part = new Part("race", draw);
  const controls = part.slot("controls");
  const restart = () => (begin(), part.changed());
  const k = part.add(numberControl(controls, {
    name: "k", label: "Rollouts per prompt, k", value: 256, values: doublings(2, 1024), check: whole("k", 2, () => 1024), change: restart,
  }));
  const rate = part.add(numberControl(controls, {
    name: "rate", label: "Learning rate", value: 0.1, values: [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1], show: (x) => format(x),
    check: between("the learning rate", 0.001, 2), change: restart,
  }));
  const seed = part.add(numberControl(controls, {
    name: "seed", label: "Seed", value: 0, values: Array.from({ length: 100 }, (_, i) => i), check: whole("the seed", 0, () => 1e9), change: restart,
  }));
  const kind = part.add(choiceControl(controls, {
    name: "gradient", label: "Gradient", value: "sampled", options: [["sampled", "sampled"], ["expected", "expected"]], change: restart,
  }));
  const preset = part.add(selectControl(controls, {
    name: "prompts", label: "Five prompts", value: "all over", options: Object.keys(PRESETS).map((name) => [name, name]), change: restart,
  }));
  const play = button("Play", () => setRunning(!running), { class: "primary" });
  buttonRow(controls, "Time", [play, button("Step", () => (setRunning(false), advance(1), part.draw())), button("100 steps", () => (setRunning(false), advance(100), part.draw())), button("Restart", () => (setRunning(false), begin(), part.draw()))]);
  linkButton(part);

  // ------------------------------------------------------------------------------- the learning
  let theta, worth, history, step, draws;
  let running = false;

  function begin() {
    const start = PRESETS[preset.value].map(logit);
    theta = Object.fromEntries(RACERS.map((name) => [name, [...start]]));
    worth = Object.fromEntries(RACERS.filter((name) => name !== "ce").map((name) => [name, worthTable(name, k.value)]));
    draws = uniform("race", seed.value);
    step = 0;
    history = { step: [], pass1: RACERS.map(() => []), passk: RACERS.map(() => []) };
    record();
  }

  function record() {
    history.step.push(step);
    RACERS.forEach((name, m) => {
      const ps = theta[name].map(fromLogit);
      const mean = (f) => ps.reduce((sum, p) => sum + f(p), 0) / ps.length;
      history.pass1[m].push(mean((p) => p));
      history.passk[m].push(mean((p) => exactPassAtK(p, k.value)));
    });
  }

  function advance(steps) {
    for (let i = 0; i < steps && step < MOST_STEPS; i++) {
      const sampled = kind.value === "sampled";
      for (let b = 0; b < 5; b++) {
        const numbers = sampled ? Array.from({ length: k.value }, draws) : [];
        for (const name of RACERS) {
          const p = fromLogit(theta[name][b]);
          theta[name][b] += rate.value * gradient(name, p, numbers);
        }
      }
      step += 1;
      record();
    }
    if (step >= MOST_STEPS) setRunning(false);
  }

  function gradient(name, p, numbers) {
    if (name === "ce") return 1 - p;
    if (!numbers.length) return weightFrom(worth[name], binomial(k.value - 1, p)) * p * (1 - p);
    let S = 0;
    for (const u of numbers) if (u < p) S += 1;
    return sampledGradient(name, p, k.value, S);
  }

  // ------------------------------------------------------------------------------- time
  function setRunning(on) {
    running = on && step < MOST_STEPS;
    play.textContent = running ? "Pause" : "Play";
    if (running) requestAnimationFrame(tick);
  }

  let last = 0;
  function tick(now) {
    if (!running) return;
    const pause = reducedMotion.matches ? 700 : 0; // fewer, larger moves for who asked for less motion
    if (now - last >= pause) {
      last = now;
      advance(pause ? 60 : 2);
      draw();
    }
    requestAnimationFrame(tick);
  }
  document.addEventListener("visibilitychange", () => document.hidden && setRunning(false));

  // ------------------------------------------------------------------------------- the drawing
  const across = (p) => (100 * (logit(Math.min(Math.max(p, LOW), HIGH)) - logit(LOW))) / (logit(HIGH) - logit(LOW));
  const lanes = Array.from({ length: 5 }, () => {
    const dots = RACERS.map((name, m) => el("i", { style: `background: var(--${methodVariable(name)}); top: ${m * 10 + 1}px` }));
    const ticks = TRACK.map((p) => el("s", { style: `left: ${across(p)}%` }));
    const label = el("span");
    const lane = el("div", { class: "lane" }, ...ticks, ...dots);
    part.slot("tracks").append(el("div", { class: "track-row" }, label, lane));
    return { dots, label, lane };
  });
  part.slot("tracks").append(el("div", { class: "track-row", "aria-hidden": "true" }, el("span", {}, "pass rate"), el("div", { class: "scale" }, ...TRACK.map((p) => el("span", { style: `left: ${across(p)}%` }, format(p))))));
  part.slot("key").append(...RACERS.map((name) => keyEntry(methodVariable(name), LABELS[name])));
  const series = RACERS.map((name) => ({ color: methodVariable(name), width: name === "maxrl" ? 3 : 2 }));
  const axes = { x: { range: () => [0, Math.max(200, history?.step.at(-1) ?? 0)], title: "steps" }, y: { range: [0, 1.02] }, series };
  const pass1 = new Plot(part.slot("pass1"), { label: "mean pass@1 of each learner against steps", ...axes });
  const passk = new Plot(part.slot("passk"), { label: "mean pass@k of each learner against steps", ...axes });

  function draw() {
    if (!history) begin();
    lanes.forEach(({ dots, label }, b) => {
      const start = PRESETS[preset.value][b];
      label.textContent = `from ${chance(start)}`;
      RACERS.forEach((name, m) => (dots[m].style.left = `${across(fromLogit(theta[name][b]))}%`));
    });
    part.slot("clock").textContent = `step ${step.toLocaleString("en")}`;
    part.slot("passk-title").textContent = `pass@${k.value.toLocaleString("en")}, mean of the five`;
    pass1.set([history.step, ...history.pass1]);
    passk.set([history.step, ...history.passk]);
    const ends = RACERS.map((name, m) => `${LABELS[name]} ${format(history.pass1[m].at(-1), 3)}`);
    part.say(`After ${step} steps, mean pass rate: ${ends.join(", ")}.`);
  }

  const restore = part.restore.bind(part);
  part.restore = (query) => {
    restore(query);
    setRunning(false);
    begin();
  };
  begin();
  part.draw();
}
