// Part 5: four trained models, run in the page. How a model computes is in gpt.js.

import { GPT, decodeHalves, logprobOf, sampleTree } from "./gpt.js";
import { exactPassAtK } from "./math.js";
import { Part, linkButton } from "./part.js";
import { Plot } from "./plot.js";
import { methodVariable } from "./theme.js";
import { button, buttonRow, chance, commandLine, doublings, el, keyEntry, minus, numberControl, whole } from "./ui.js";

const LABELS = { base: "base", rloo: "RLOO", grpo: "GRPO", maxrl: "MaxRL" };
const MOST_K = 1024;
const KS = Array.from({ length: 41 }, (_, i) => 2 ** (i / 4)); // of the curves, 1 to 1024
const loaded = new Map();
let content = null; // of models.json, parsed when it is first needed

function models() {
  content ??= JSON.parse(document.getElementById("data-models").textContent);
  return content;
}

export const modelNames = () => Object.keys(models().models);

function load(name) {
  if (!modelNames().includes(name)) throw new Error(`there is no model ${name}; there are ${modelNames().join(", ")}`);
  if (!loaded.has(name)) loaded.set(name, new GPT(models().config, decodeHalves(models().models[name].weights)));
  return loaded.get(name);
}

// --------------------------------------------------------------------------------------- the text

const END = () => models().alphabet.length; // the token after the alphabet's, as in data/tokenizer.py

function encode(text) {
  return [...text].map((character) => {
    const token = models().alphabet.indexOf(character);
    if (token < 0) throw new Error(`the models cannot read “${character}”: they know digits, + and =`);
    return token;
  });
}

/** `47 + 85` as a person types it -> the prompt the models know, and its two numbers. */
function align(text) {
  const { digits } = models();
  const typed = text.replaceAll(" ", "");
  encode(typed);
  const match = /^(\d+)\+(\d+)=?$/.exec(typed);
  if (!match) throw new Error(`“${text}” is not an addition; one is 47+85=`);
  if (match.slice(1).some((number) => number.length > digits)) throw new Error(`the models add numbers of at most ${digits} digits`);
  const [a, b] = match.slice(1).map(Number);
  const pad = (x) => String(x).padStart(digits);
  return { prompt: `${pad(a)}+${pad(b)}=`, typed: `${a}+${b}=`, answer: String(a + b) };
}

/** log pi(completion | prompt), the end token included. */
export function logprob(model, prompt, completion) {
  const tokens = [...encode(align(prompt).prompt), ...encode(completion), END()];
  if (tokens.length > models().config.block_size) throw new Error(`“${completion}” is longer than the models can write`);
  const start = tokens.length - completion.length - 1;
  return logprobOf(load(model), tokens.slice(0, start), tokens.slice(start));
}

// ----------------------------------------------------------------------------------------- the tree

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

/** The rollouts as blocks: a column for each character, as high as it is frequent. */
function drawTree(tree, answer, color, width) {
  const [height, column] = [width > 250 ? 130 : 200, Math.min(48, width * 0.165)];
  const letters = models().length - 1;
  const picture = svg("svg", { width, height, "aria-hidden": "true" });
  const blocks = (node, depth, top, text) => {
    let y = top;
    for (const child of node.children) {
      const size = (height * child.count) / tree.count;
      const ended = child.token === END();
      const written = ended ? text : text + models().alphabet[child.token];
      const right = answer.startsWith(written) && (!ended || written === answer);
      if (!ended) {
        picture.append(svg("rect", { x: depth * column, y, width: column - 2, height: Math.max(size - (size > 3 ? 1 : 0), 0.4), rx: Math.min(3, size / 3), fill: right ? `var(--${color})` : "var(--line)", "fill-opacity": right ? 0.62 : 1 }));
        if (size > 12) picture.append(svg("text", { x: depth * column + column / 2 - 1, y: y + size / 2 + 4, "text-anchor": "middle" }, models().alphabet[child.token]));
      }
      if (ended || !child.children.length) {
        const says = `${written}${ended ? "" : "…"} × ${child.count.toLocaleString("en")}${right && ended ? " ✓" : ""}`;
        if (size > 10) picture.append(svg("text", { class: "count", x: letters * column + 8, y: y + size / 2 + 4 }, says));
      }
      blocks(child, depth + 1, y, written);
      y += size;
    }
  };
  blocks(tree, 0, 0, "");
  return picture;
}

/** What the rollouts say, as text -> count. */
function answersOf(node, text = "", found = new Map()) {
  for (const child of node.children) {
    const ended = child.token === END();
    const written = ended ? text : text + models().alphabet[child.token];
    if (ended || !child.children.length) found.set(ended ? written : `${written}…`, child.count);
    else answersOf(child, written, found);
  }
  return found;
}

// ----------------------------------------------------------------------------------------- the part

export function startModels() {
  const part = new Part("models", draw);
  const controls = part.slot("controls");
  const change = () => part.changed();
  let asked = null;
  const prompt = part.add(promptControl(controls, change));
  const k = part.add(numberControl(controls, {
    name: "k", label: "Tries, k", value: 64, values: doublings(1, MOST_K), check: whole("k", 1, () => MOST_K), change,
  }));
  const seed = part.add(numberControl(controls, {
    name: "seed", label: "Seed", value: 0, values: Array.from({ length: 100 }, (_, i) => i), check: whole("the seed", 0, () => 1e9), change,
  }));
  buttonRow(controls, "Sample", [button("Draw again", () => (seed.set(seed.value + 1), change()), { class: "primary" })]);
  linkButton(part);

  let cards, here, all;

  /** Once the part comes near: the models need a moment. */
  function prepare() {
    const names = modelNames();
    cards = names.map((name) => {
      const parts = { p: el("div", { class: "big" }), small: el("div", { class: "small" }), tree: el("div"), list: el("ol", { class: "hidden" }) };
      part.slot("cards").append(el("article", { class: "panel card", "data-model": name },
        el("h3", {}, el("span", { class: "swatch", style: `--swatch: var(--${methodVariable(name)})` }), LABELS[name] ?? name), parts.p, parts.small, parts.tree, parts.list));
      return parts;
    });
    const series = names.map((name) => ({ color: methodVariable(name), width: name === "maxrl" ? 3 : 2, dash: name === "base" ? [5, 4] : undefined }));
    const axes = { x: { log: true, range: [1, MOST_K], title: "tries k", ticks: [1, 4, 16, 64, 256, 1024] }, y: { range: [0, 1.03] }, series };
    here = new Plot(part.slot("here"), { label: "pass@k of this prompt against k, for each model", ...axes });
    all = new Plot(part.slot("all"), { label: "mean pass@k over held-out prompts against k, for each model", ...axes });
    part.slot("key").append(...names.map((name) => keyEntry(methodVariable(name), LABELS[name] ?? name, name === "base")));
    part.slot("all-title").textContent = `pass@k, mean over ${models().prompts.length} additions that no model was trained on`;
    const mean = (logp, count) => logp.reduce((sum, x) => sum + exactPassAtK(Math.exp(x), count), 0) / logp.length;
    all.set([KS, ...names.map((name) => KS.map((count) => mean(models().models[name].logp, count)))]);
    suggest();
    describe();
    new ResizeObserver(() => part.draw()).observe(part.slot("cards"));
  }

  function suggest() {
    const { prompts, models: found } = models();
    const lost = (name) => pickPrompt(prompts, (i) => found.base.logp[i] - found[name].logp[i]);
    const offers = [["47+85=", "a carry"]];
    for (const name of Object.keys(found).filter((one) => one !== "base")) offers.push([lost(name), `lost most by ${LABELS[name] ?? name}`]);
    offers.push([pickPrompt(prompts, (i) => -found.base.logp[i]), "hardest for base"]);
    part.slot("examples").append("Try:", ...offers.map(([text, why]) => el("span", {}, button(text, () => (prompt.set(text), change())), ` ${why}`)));
  }

  function describe() {
    const { config, models: found } = models();
    const size = decodeHalves(found.base.weights).length;
    part.slot("about").replaceChildren(
      `Each is a transformer of ${config.n_layer} layers and width ${config.n_embd}, ${size.toLocaleString("en")} numbers of 16 bits, of seed 0. It writes the sum digit by digit. All three methods had the same prompts, the same number of tries and the same learning rate: `,
      commandLine(found.maxrl.command), ". One seed is an example, not a result: part 6 has those.");
  }

  function draw() {
    if (!cards) return;
    asked = align(prompt.value);
    part.slot("here-title").textContent = `pass@k for ${asked.typed}`;
    const names = modelNames();
    const tokens = encode(asked.prompt);
    const logs = names.map((name) => logprob(name, asked.prompt, asked.answer));
    const spoken = names.map((name, m) => {
      const p = Math.exp(logs[m]);
      const tree = sampleTree(load(name), tokens, k.value, models().length, END(), seed.value);
      const answers = answersOf(tree);
      const right = answers.get(asked.answer) ?? 0;
      const { p: big, small, tree: place, list } = cards[m];
      big.textContent = chance(p);
      small.replaceChildren(`chance of ${asked.answer}, log p = ${minus(logs[m].toFixed(2))}`, el("br"), `${right.toLocaleString("en")} of ${k.value.toLocaleString("en")} right · ${answers.size} different`, el("br"), `pass@${k.value.toLocaleString("en")}: ${chance(exactPassAtK(p, k.value))}`);
      place.replaceChildren(drawTree(tree, asked.answer, methodVariable(name), Math.floor(place.clientWidth)));
      const most = [...answers].sort((a, b) => b[1] - a[1]).slice(0, 6);
      list.replaceChildren(...most.map(([text, count]) => el("li", {}, `${text}: ${count} times${text === asked.answer ? ", right" : ""}`)));
      return `${LABELS[name] ?? name} ${chance(p)}, ${right} of ${k.value} right`;
    });
    here.set([KS, ...logs.map((log) => KS.map((count) => exactPassAtK(Math.exp(log), count)))]);
    part.say(`${asked.typed} ${spoken.join("; ")}.`);
  }

  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    prepare();
    part.draw();
  }, { rootMargin: "600px" });
  observer.observe(part.section);
}

function pickPrompt(prompts, score) {
  let best = 0;
  for (let i = 1; i < prompts.length; i++) if (score(i) > score(best)) best = i;
  return prompts[best].replaceAll(" ", "");
}

function promptControl(host, change) {
  const complaint = el("div", { class: "complaint", role: "alert", id: "prompt-complaint" });
  const field = el("input", { type: "text", id: "prompt", autocomplete: "off", spellcheck: "false", "aria-describedby": complaint.id });
  host.append(el("div", { class: "control prompt" }, el("label", { for: "prompt" }, "Addition"), field, complaint));
  const control = {
    name: "prompt",
    text: () => control.value,
    set(text) {
      control.value = align(text).typed;
      field.value = control.value;
      complain("");
    },
    accept(text) {
      try {
        control.set(text);
        return "";
      } catch (error) {
        return error.message;
      }
    },
  };
  const complain = (why) => {
    complaint.textContent = why;
    field.setAttribute("aria-invalid", Boolean(why));
  };
  field.oninput = () => {
    try {
      control.value = align(field.value).typed;
      complain("");
      change();
    } catch (error) {
      complain(error.message);
    }
  };
  control.value = field.value = "47+85=";
  return control;
}
