// Controls, and the numbers as they are written. A control has a name, which is its key in a
// link, `text()`, its value in one, and `accept(text)`, which takes a value or says why not.
// Left out: plots.

/** An element: el("p", {class: "note"}, "text", child). Functions become event handlers. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node[name] = value;
    else if (name.startsWith("aria-")) node.setAttribute(name, value);
    else if (value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** A text, with its mathematical letters in italics. */
export const prose = (text) =>
  text.split(/\b([jkprzwBT])\b/).map((part, i) => (i % 2 ? el("i", {}, part) : part));

export function svgElement(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A command line that breaks between its flags, and only there. */
export function commandLine(text) {
  const words = text
    .split(/ (?=--)/)
    .flatMap((word, i) => (i ? [" ", el("span", {}, word)] : [el("span", {}, word)]));
  return el("code", {}, ...words);
}

// --------------------------------------------------------------------------------------- numbers

/** Four digits, the way people write them: 0.0001, 9,000, 2.5e-7. */
export function format(x, digits = 4) {
  if (x === Infinity) return "∞";
  if (!Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size < 1e-4 || size >= 1e7) return scientific(x, digits - 2);
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return minus(x.toLocaleString("en", { maximumFractionDigits: places }));
}

function scientific(x, places) {
  const [mantissa, exponent] = x.toExponential(places).split("e");
  const raised = exponent
    .replace("+", "")
    .replace("-", "⁻")
    .replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
  return `${minus(Number(mantissa))} × 10${raised}`;
}

/** A chance, never rounded to 0 or 1. */
export function chance(p) {
  if (p > 0.99995) return ">0.9999";
  return format(p, p > 0.9 ? 4 : 3);
}

export function percent(share) {
  const x = 100 * share;
  if (x >= 1) return `${x.toFixed(1)}%`;
  return x >= 0.01 ? `${format(x, 2)}%` : x > 0 ? "<0.01%" : "0%";
}

export const minus = (text) => String(text).replaceAll("-", "−");

// ------------------------------------------------------------------------------ values of sliders

/** 1, 2, ... up to `high`, a few in each doubling. */
export function doublings(low, high, each = 6) {
  const values = new Set();
  for (let i = 0; ; i++) {
    const value = Math.round(low * 2 ** (i / each));
    if (value > high) break;
    values.add(value);
  }
  return [...values.add(high)];
}

/** Pass rates from 0.0001 to 0.9999, closer together towards both ends. */
export function passRates() {
  const steps = 320;
  const end = Math.log(9999);
  return Array.from({ length: steps + 1 }, (_, i) => {
    const odds = Math.exp(-end + (2 * end * i) / steps);
    return tidy(odds / (1 + odds));
  });
}

/** A pass rate to three digits of the rarer outcome: success or failure. */
export function tidy(p) {
  return p < 0.5 ? Number(p.toPrecision(3)) : 1 - Number((1 - p).toPrecision(3));
}

// -------------------------------------------------------------------------------------- controls

let ids = 0;

/**
 * A number by slider or keyboard. values: what the slider has; check(number): why a typed one is
 * refused, or nothing.
 */
export function numberControl(host, { name, label, value, values, check, show = String, change }) {
  const { slider, field, complaint } = numberNodes(host, label);
  const control = {
    name,
    value,
    text: () => String(control.value),
    accept(text) {
      const number = parse(text);
      const why = Number.isNaN(number) ? `${label}: “${text}” is not a number` : check(number);
      if (!why) control.set(number);
      return why;
    },
    set(number) {
      control.value = number;
      complain(complaint, field, "");
      const [index, last] = [nearest(values, number), values.length - 1];
      Object.assign(slider, { max: last, value: index });
      slider.style.setProperty("--at", `${(100 * index) / Math.max(last, 1)}%`);
      slider.setAttribute("aria-valuetext", show(number));
      const isTyping = document.activeElement === field && parse(field.value) === number;
      if (!isTyping) field.value = show(number);
    },
    limit(more, number) {
      values = more;
      control.set(number);
    },
  };
  slider.oninput = () => {
    control.set(values[slider.value]);
    change();
  };
  field.onchange = () => complain(complaint, field, control.accept(field.value)) || change();
  control.set(value);
  return control;
}

function numberNodes(host, label) {
  const id = `control-${++ids}`;
  const slider = el("input", { type: "range", id, min: 0, step: 1 });
  const complaint = complaintOf(id);
  const field = el("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    "aria-label": `${label}, typed`,
    "aria-describedby": complaint.id,
  });
  const row = el("div", { class: "row" }, slider, field);
  const node = el(
    "div",
    { class: "control number" },
    el("label", { for: id }, ...prose(label)),
    row,
  );
  node.append(complaint);
  host.append(node);
  return { slider, field, complaint };
}

/** The line beside a control that says why its value was refused. */
function complaintOf(id) {
  return el("div", { class: "complaint", role: "alert", id: `${id}-complaint` });
}

function complain(complaint, field, why) {
  complaint.textContent = why;
  field.setAttribute("aria-invalid", Boolean(why));
  return why;
}

function parse(text) {
  const cleaned = String(text).trim().replaceAll(",", "").replace("−", "-");
  if (cleaned === "∞" || cleaned.toLowerCase() === "inf") return Infinity;
  return cleaned === "" ? NaN : Number(cleaned);
}

function nearest(values, number) {
  let best = 0;
  const distance = (i) => Math.abs(values[i] - number);
  for (let i = 1; i < values.length; i++) if (distance(i) < distance(best)) best = i;
  return best;
}

/** For `check`: a whole number between two others. */
export function whole(what, low, high) {
  return (x) =>
    Number.isInteger(x) && x >= low && x <= high()
      ? ""
      : `${what} is a whole number from ${low} to ${high().toLocaleString("en")}`;
}

/** For `check`: any number between two others. */
export function between(what, low, high) {
  return (x) => (x >= low && x <= high ? "" : `${what} is a number from ${low} to ${high}`);
}

/** A text; read(text) returns it as it is to be written, or throws an error that says why not. */
export function textControl(host, { name, label, value, read, change }) {
  const id = `control-${++ids}`;
  const complaint = complaintOf(id);
  const options = { type: "text", id, autocomplete: "off", spellcheck: "false" };
  const field = el("input", { ...options, "aria-describedby": complaint.id });
  const node = el("div", { class: "control text" }, el("label", { for: id }, label), field);
  node.append(complaint);
  host.append(node);
  const take = (text) => {
    try {
      control.value = read(text);
      return "";
    } catch (error) {
      return error.message;
    }
  };
  const control = {
    name,
    value,
    text: () => control.value,
    accept(text) {
      const why = take(text);
      if (!why) field.value = control.value;
      return complain(complaint, field, why);
    },
  };
  // While it is typed it stays as it is typed.
  field.oninput = () => complain(complaint, field, take(field.value)) || change();
  field.value = value;
  return control;
}

/** One of a few. options: [value, label] pairs. */
export function choiceControl(host, { name, label, value, options, change }) {
  const control = {
    name,
    text: () => control.value,
    accept(text) {
      if (!options.some(([option]) => option === text)) return `${label}: there is no “${text}”`;
      control.value = text;
      for (const input of inputs) input.checked = input.value === text;
      return "";
    },
  };
  const attributes = { type: "radio", name: `choice-${++ids}` };
  const choose = (event) => {
    control.accept(event.currentTarget.value);
    change();
  };
  const inputs = options.map(([option]) =>
    el("input", { ...attributes, value: option, onchange: choose }),
  );
  const labels = options.map(([, text], i) => el("label", {}, inputs[i], ...prose(text)));
  host.append(
    el(
      "div",
      { class: "control", role: "radiogroup", "aria-label": label },
      el("span", { class: "legend" }, label),
      el("div", { class: "segments" }, ...labels),
    ),
  );
  control.accept(value);
  return control;
}

/** Any number of them, as pressed buttons. options: [value, label, CSS variable of its swatch].
 *  place(chip, value): puts a chip where it goes. */
export function chipsControl(host, { name, label, value, options, change, place }) {
  const control = {
    name,
    value: new Set(value),
    text: () => [...control.value].join(","),
    accept(text) {
      const asked = text.split(",").filter(Boolean);
      const unknown = asked.find((one) => !options.some(([option]) => option === one));
      if (unknown) return `${label}: there is no “${unknown}”`;
      control.value = new Set(asked);
      draw();
      return "";
    },
  };
  const toggle = (option) => {
    if (!control.value.delete(option)) control.value.add(option);
    draw();
    change();
  };
  const nodes = options.map(([option, text, color]) => {
    const swatch = el("span", { class: "swatch", style: `--swatch: var(--${color})` });
    const attributes = { class: "chip", "data-value": option };
    const node = button("", () => toggle(option), attributes);
    node.append(swatch, text);
    place(node, option);
    return node;
  });
  const draw = () => {
    for (const node of nodes)
      node.setAttribute("aria-pressed", control.value.has(node.dataset.value));
  };
  host.setAttribute("role", "group");
  host.setAttribute("aria-label", label);
  draw();
  return control;
}

/** A row of buttons under one label. */
export function buttonRow(host, label, buttons) {
  const row = el("div", { class: "buttons" }, ...buttons);
  host.append(
    el(
      "div",
      { class: "control", role: "group", "aria-label": label },
      el("span", { class: "legend" }, label),
      row,
    ),
  );
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

/** One entry of a key: a line in a colour, with these dashes, and what it is. */
export function keyEntry(color, text, dash = [], alpha = 1) {
  const svg = svgElement("svg", { width: 24, height: 8, "aria-hidden": "true" });
  const style = `stroke: var(--${color}); stroke-width: 3; stroke-dasharray: ${dash.join(" ")}`;
  svg.append(svgElement("path", { d: "M0 4H24", style, "stroke-opacity": alpha }));
  return el("span", { class: "entry" }, svg, el("span", {}, ...prose(text)));
}
