// What the methods are called, and what is to be said of each. A name in small letters is that of
// train.py --method. Left out: their mathematics, which is in math.js.

import { el } from "./ui.js";

const LABELS = {
  reinforce: "REINFORCE",
  rloo: "RLOO",
  grpo: "GRPO",
  maxrl: "MaxRL",
  ce: "maximum likelihood",
};

export const labelOf = (name) => LABELS[name] ?? name;

/** Those that are not shown at first. */
export const MORE = {
  rloo: "REINFORCE with a baseline: the same weight, another noise.",
  "maxrl-raw":
    "MaxRL without subtracting the mean: all k terms of the series. Measured here, less noise.",
  "maxrl-loo":
    "A success is compared with the mean of the others, and ω estimates the weight from the " +
    "others: a baseline, and all k terms. Order T takes fewer terms.",
  passk:
    "Trains pass@T itself. ω is the chance that T−1 of the others all fail; where many succeed it " +
    "is 0, for one success more no longer changes pass@T.",
  "maxrl-std":
    "Divides by the mean and by std: beyond maximum likelihood. A mistake in circulation, shown as " +
    "a warning.",
  rft:
    "Imitates all right tries alike: divides by the mean of the whole batch, so every prompt " +
    "weighs the same. In part 2, clicks in one group change the others.",
};

/** Entries of a <dl>. titleOf(name): what stands for the method. */
export function aboutMethods(names, titleOf) {
  return names.flatMap((name) => [el("dt", {}, titleOf(name)), el("dd", {}, MORE[name])]);
}
