// What the methods are called, and the one list of those that are not shown at first. A name in
// small letters is that of train.py --method. Left out: their mathematics, which is in math.js.

import { methodVariable } from "./theme.js";
import { chipsControl, el } from "./ui.js";

const LABELS = {
  base: "base model",
  reinforce: "REINFORCE",
  rloo: "RLOO",
  grpo: "GRPO",
  maxrl: "MaxRL",
  ce: "maximum likelihood",
};

export const labelOf = (name) => LABELS[name] ?? name;

export const MORE = {
  "maxrl-raw":
    "MaxRL without subtracting the mean. It follows all k terms of the series; the advantages of " +
    "wrong tries are 0.",
  "maxrl-loo":
    "MaxRL in which each try is compared with the others of its group. ω estimates the weight from " +
    "those others alone, so the method has a baseline and follows all k terms.",
  passk:
    "Trains pass@k itself. ω is k times the chance that all other tries fail, so it is 0 as soon " +
    "as two tries succeed: another success would not change pass@k.",
  "maxrl-std":
    "Divides by the mean and by std, a common mistake. Its weight exceeds that of maximum " +
    "likelihood. Its bars in part 2 have a scale of their own.",
  rft:
    "Imitates all right tries alike: it divides by the mean of the whole batch, so every prompt has " +
    "the same weight. In part 2 a change in one group changes the others, and the bars have a " +
    "scale of their own.",
};

/** A control for the methods in MORE: a chip and an explanation for each of them. */
export function moreMethods(host, { name, change }) {
  const places = new Map(Object.keys(MORE).map((method) => [method, el("dt")]));
  host.append(
    el("dl", {}, ...[...places].flatMap(([method, title]) => [title, el("dd", {}, MORE[method])])),
  );
  return chipsControl(host, {
    name,
    label: "More methods",
    value: [],
    options: Object.keys(MORE).map((method) => [method, method, methodVariable(method)]),
    change,
    place: (chip, method) => places.get(method).replaceChildren(chip),
  });
}
