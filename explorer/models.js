// Part 4: four trained models, run in the page. How a model computes is in gpt.js.

import { decodeHalves, GPT, logprobOf, sampleTree } from "./gpt.js";
import { exactPassAtK } from "./math.js";
import { labelOf } from "./methods.js";
import { afterPaint, Part } from "./part.js";
import { Plot } from "./plot.js";
import { methodVariable } from "./theme.js";
import {
  button,
  chance,
  commandLine,
  doublings,
  el,
  keyEntry,
  minus,
  numberControl,
  percent,
  prose,
  textControl,
  whole,
} from "./ui.js";

const MOST_K = 1024;
const DASH = [5, 4]; // of the base model
const MOST_WRONG = 5; // answers that a card lists beside the right one
const KS = Array.from({ length: 41 }, (_, i) => 2 ** (i / 4)); // of the curves, 1 to 1024
const count = (n) => n.toLocaleString("en");
const loaded = new Map();
let content = null; // of models.json, parsed when it is first needed

function models() {
  content ??= JSON.parse(document.getElementById("data-models").textContent);
  return content;
}

export const modelNames = () => Object.keys(models().models);

function load(name) {
  if (!modelNames().includes(name))
    throw new Error(`there is no model ${name}; there are ${modelNames().join(", ")}`);
  if (!loaded.has(name))
    loaded.set(name, new GPT(models().config, decodeHalves(models().models[name].weights)));
  return loaded.get(name);
}

// --------------------------------------------------------------------------------------- the text

/** How a token is shown; padding, which a model may write, is a dot. */
const character = (token) => models().alphabet[token] ?? "·";

const END = () => models().alphabet.length; // the token after them, as in data/tokenizer.py

function encode(text) {
  return [...text].map((character) => {
    const token = models().alphabet.indexOf(character);
    if (token < 0)
      throw new Error(`the models cannot read “${character}”: they know digits, + and =`);
    return token;
  });
}

/** `47 + 85` as a person types it -> the prompt the models know, and its two numbers. */
function align(text) {
  const { digits } = models();
  const typed = text.replaceAll(" ", "");
  encode(typed);
  const match = /^(\d+)\+(\d+)=?$/.exec(typed);
  if (!match) throw new Error(`“${text}” is not an addition; 47+85= is one`);
  if (match.slice(1).some((number) => number.length > digits))
    throw new Error(`the models add numbers of at most ${digits} digits`);
  const [a, b] = match.slice(1).map(Number);
  const pad = (x) => String(x).padStart(digits);
  return { prompt: `${pad(a)}+${pad(b)}=`, typed: `${a}+${b}=`, answer: String(a + b) };
}

/** log pi(completion | prompt), the end token included. */
export function logprob(model, prompt, completion) {
  const tokens = [...encode(align(prompt).prompt), ...encode(completion), END()];
  if (tokens.length > models().config.block_size)
    throw new Error(`“${completion}” is longer than the models can write`);
  const start = tokens.length - completion.length - 1;
  return logprobOf(load(model), tokens.slice(0, start), tokens.slice(start));
}

// ------------------------------------------------------------------------------------ the answers

/** The answers in a tree of rollouts: {text, count, isRight}, the most frequent first. */
function answersOf(node, answer, text = "") {
  const found = node.children.flatMap((child) => {
    const ended = child.token === END();
    const longer = ended ? text : text + character(child.token);
    if (child.children.length) return answersOf(child, answer, longer);
    const isRight = ended && longer === answer;
    return [{ text: ended ? longer : `${longer}…`, count: child.count, isRight }];
  });
  return found.sort((a, b) => b.count - a.count);
}

/** What is listed of them: the right answer, given or not, the most frequent others, and the rest
 *  as one. */
function listed(found, answer) {
  const right = found.find(({ isRight }) => isRight) ?? { text: answer, count: 0, isRight: true };
  const others = found.filter(({ isRight }) => !isRight);
  const rest = others.splice(others.length > MOST_WRONG ? MOST_WRONG - 1 : MOST_WRONG);
  const sum = rest.reduce((total, one) => total + one.count, 0);
  const last = rest.length ? [{ text: `${count(rest.length)} others`, count: sum }] : [];
  return [{ ...right, text: `${right.text} ✓` }, ...others, ...last];
}

/** A row: an answer, a bar as long as its share of k tries, and how often it was given. */
function answerRow({ text, count: n, isRight }, k, color) {
  const fill = isRight ? `var(--${color})` : "color-mix(in srgb, var(--faint) 40%, var(--panel))";
  const style = `width: ${(100 * n) / k}%; background: ${fill}`;
  return el(
    "li",
    { class: "term" },
    el(isRight ? "b" : "span", {}, text),
    el("div", { class: "span" }, el("i", { style })),
    el("output", {}, count(n)),
  );
}

// --------------------------------------------------------------------------------------- the part

export class Models extends Part {
  constructor() {
    super("models");
    const read = (text) => align(text).typed;
    this.prompt = this.add(textControl, {
      name: "prompt",
      label: "Addition",
      value: "0+1=", // the hardest for base
      read,
    });
    this.k = this.add(numberControl, {
      name: "k",
      label: "Tries, k",
      value: 64,
      values: doublings(1, MOST_K),
      check: whole("k", 1, () => MOST_K),
    });
    this.seed = this.addSeed();
    const again = () => {
      this.seed.value += 1;
      this.changed();
    };
    this.slot("controls").append(button("Draw again", again));
    afterPaint(() => this.prepare()); // the models need a moment
  }

  prepare() {
    const names = modelNames();
    this.cards = names.map((name) => this.card(name));
    const series = names.map((name) => ({
      color: methodVariable(name),
      width: name === "maxrl" ? 3 : 2,
      dash: name === "base" ? DASH : undefined,
    }));
    const x = { log: true, range: [1, MOST_K], title: "tries k", ticks: [1, 4, 16, 64, 256, 1024] };
    const axes = { x, y: { range: [0, 1.03] }, series };
    const label = (what) => `pass@k against k, for each model: ${what}`;
    this.here = new Plot(this.slot("here"), { label: label("this prompt"), ...axes });
    const all = new Plot(this.slot("all"), { label: label("the mean of many"), ...axes });
    const means = names.map((name) => meanPassAtK(models().models[name].logp));
    all.set([KS, ...means]);
    this.sayFinding(names, means);
    const entry = (name) =>
      keyEntry(methodVariable(name), labelOf(name), name === "base" ? DASH : []);
    this.slot("key").append(...names.map(entry));
    const title =
      "pass@k, the chance of at least one success in k tries: mean of " +
      `${models().prompts.length} additions that no model was trained on`;
    this.slot("all-title").replaceChildren(...prose(title));
    this.suggest();
    this.describe();
    this.redraw();
  }

  card(name) {
    const card = {
      p: el("div", { class: "big" }),
      small: el("div", { class: "small" }),
      list: el("ul"),
    };
    const swatch = el("span", {
      class: "swatch",
      style: `--swatch: var(--${methodVariable(name)})`,
    });
    const title = el("h3", {}, swatch, labelOf(name));
    const options = { class: "panel card", "data-model": name };
    this.slot("cards").append(el("article", options, title, ...Object.values(card)));
    return card;
  }

  /** The numbers of a finding that tests/test_explorer.py holds against models.json. */
  sayFinding(names, means) {
    const [first, last] = [0, KS.length - 1];
    const of = (name, j) => percent(means[names.indexOf(name)][j]);
    const behind = (j) => means[names.indexOf("base")][j] - means[names.indexOf("maxrl")][j];
    const most = Math.max(...KS.map((_, j) => behind(j)));
    const tries = /--k (\d+)/.exec(models().models.maxrl.command)[1];
    this.slot("finding").textContent =
      `With one try all three trained models are ahead of the base model ` +
      `(${of("base", first)}): RLOO has ${of("rloo", first)}, GRPO ${of("grpo", first)} and MaxRL ` +
      `${of("maxrl", first)}. With ${count(MOST_K)} tries RLOO (${of("rloo", last)}) and GRPO ` +
      `(${of("grpo", last)}) are behind the base model (${of("base", last)}), because there are ` +
      `answers that they no longer find. MaxRL, trained with ${tries} tries per prompt, is at most ` +
      `${percent(most)} behind it at any number of tries. One seed is an example and not a result.`;
  }

  /** Prompts on which the models differ most. */
  suggest() {
    const { prompts, models: all } = models();
    const most = (score) => {
      const scores = prompts.map((_, i) => score(i));
      return prompts[scores.indexOf(Math.max(...scores))].replaceAll(" ", "");
    };
    const losers = new Map(); // prompt -> who lost most on it
    for (const name of modelNames().filter((one) => one !== "base")) {
      const lost = most((i) => all.base.logp[i] - all[name].logp[i]);
      losers.set(lost, [...(losers.get(lost) ?? []), labelOf(name)]);
    }
    const worst = ([text, who]) => [text, `the largest loss of ${who.join(" and ")}`];
    const hardest = [most((i) => -all.base.logp[i]), "the hardest for the base model"];
    const offers = [hardest, ...[...losers].map(worst), ["47+85=", "a carry"]];
    const ask = (text) =>
      button(text, () => {
        this.prompt.accept(text);
        this.changed();
      });
    const nodes = offers.map(([text, why]) => el("span", {}, ask(text), ` ${why}`));
    this.slot("examples").append("Try:", ...nodes);
  }

  describe() {
    const { config, models: all } = models();
    const size = count(decodeHalves(all.base.weights).length);
    this.slot("about").textContent =
      `Each is a transformer with ${config.n_layer} layers of width ${config.n_embd}, stored as ` +
      `${size} numbers of 16 bits. It writes the sum digit by digit. An answer with “…” was cut ` +
      "off before its end, and “·” is a character that is no digit and no sign.";
    this.slot("command").replaceChildren(
      "All three methods had the same prompts, the same number of tries and the same learning " +
        "rate. For MaxRL: ",
      commandLine(all.maxrl.command),
    );
  }

  draw() {
    if (!this.cards) return;
    const { prompt, typed, answer } = align(this.prompt.value);
    this.slot("here-title").replaceChildren(...prose(`pass@k for ${typed}`));
    const logs = modelNames().map((name) => logprob(name, prompt, answer));
    const spoken = modelNames().map((name, m) => this.fill(m, name, prompt, answer, logs[m]));
    this.here.set([KS, ...logs.map((log) => meanPassAtK([log]))]);
    this.say(`${typed} ${spoken.join("; ")}.`);
  }

  /** One model's card; returns what to say of it. */
  fill(m, name, prompt, answer, log) {
    const [k, p, { length }] = [this.k.value, Math.exp(log), models()];
    const tree = sampleTree(load(name), encode(prompt), k, length, END(), this.seed.value);
    const said = answersOf(tree, answer);
    const right = said.find(({ isRight }) => isRight)?.count ?? 0;
    const card = this.cards[m];
    const different = `${said.length} different answer${said.length === 1 ? "" : "s"}`;
    card.p.textContent = chance(p);
    card.small.replaceChildren(
      ...prose(`chance of ${answer}, log p = ${minus(log.toFixed(2))}`),
      el("br"),
      `${count(right)} of ${count(k)} right · ${different}`,
      el("br"),
      `pass@${count(k)}: ${chance(exactPassAtK(p, k))}`,
    );
    const rows = listed(said, answer).map((one) => answerRow(one, k, methodVariable(name)));
    card.list.replaceChildren(...rows);
    return `${labelOf(name)} ${chance(p)}, ${right} of ${k} right`;
  }
}

/** The mean over prompts of pass@k, for all of KS. */
function meanPassAtK(logp) {
  const mean = (k) => logp.reduce((sum, x) => sum + exactPassAtK(Math.exp(x), k), 0) / logp.length;
  return KS.map(mean);
}
