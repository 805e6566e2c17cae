// A part of the page: its controls, when it is drawn, what a screen reader is told, its link.
//
//     #weights?k=8&p=0.9,0.5,0.1,0.01,0.0001        the part, and its controls by name
//
// Left out: what any part shows. A part is a class that extends this one and has `draw()`.

import { el, whole } from "./ui.js";

const parts = new Map();
const problem = document.getElementById("problem");

export class Part {
  constructor(id) {
    this.id = id;
    this.section = document.getElementById(id);
    this.controls = [];
    this.live = this.section.appendChild(el("p", { class: "hidden", "aria-live": "polite" }));
    this.complaint = el("p", { class: "problem", role: "alert", hidden: true });
    this.section.querySelector("h2").after(this.complaint);
    this.section.querySelector("h2").append(linkButton(this));
    parts.set(id, this);
  }

  /** The element that the template keeps for `name`. */
  slot(name) {
    return this.section.querySelector(`[data-slot="${name}"]`);
  }

  /** A control of a kind of ui.js among the part's own; then: what to do first when it changes. */
  add(kind, options, then = () => {}) {
    const change = () => {
      then();
      this.changed();
    };
    const control = kind(options.host ?? this.slot("controls"), { ...options, change });
    this.controls.push(control);
    return control;
  }

  /** A seed, which a button changes and a link holds. */
  addSeed() {
    const check = whole("the seed", 0, () => 1e9);
    const seed = { name: "seed", value: 0, text: () => String(seed.value) };
    seed.accept = (text) => {
      const why = check(Number(text));
      if (!why) seed.value = Number(text);
      return why;
    };
    this.controls.push(seed);
    return seed;
  }

  /** Draw at the next frame, once however many changes come before it. */
  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  /** Something was changed by hand: draw, and let the address say so. */
  changed() {
    this.complain("");
    this.redraw();
    clearTimeout(this.writing);
    this.writing = setTimeout(() => history.replaceState(null, "", this.fragment()), 300);
  }

  /** Say it, once the changes pause. */
  say(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.live.textContent = text), 700);
  }

  complain(why) {
    this.complaint.textContent = why;
    this.complaint.hidden = !why;
  }

  fragment() {
    const pairs = this.controls.map((control) => [control.name, control.text()]);
    return `#${this.id}?${new URLSearchParams(pairs)}`;
  }

  /** Take the values of a link; what makes no sense is said, and the rest holds. */
  restore(asked) {
    const complaints = [];
    for (const [name, text] of asked) {
      const control = this.controls.find((one) => one.name === name);
      const why = control ? control.accept(text) : `there is no “${name}” here`;
      if (why) complaints.push(why);
    }
    const left = `A part of the link was left out: ${complaints.join("; ")}.`;
    this.complain(complaints.length ? left : "");
    this.redraw();
  }
}

/** A button that copies the link of what a part shows. */
function linkButton(part) {
  const copy = async () => {
    history.replaceState(null, "", part.fragment());
    try {
      await navigator.clipboard.writeText(location.href);
      node.textContent = "Link copied";
    } catch {
      node.textContent = "The link is in the address bar";
    }
    setTimeout(() => (node.textContent = text), 2500);
  };
  const text = "Copy link";
  const title = "Copy a link to what this part shows";
  const node = el("button", { type: "button", class: "quiet link", title, onclick: copy }, text);
  return node;
}

/** Once what is at hand has been painted. */
export function afterPaint(task) {
  requestAnimationFrame(() => setTimeout(task));
}

/** Show what the address asks for: when the page opens, and at every change of the address. */
export function followFragment(change) {
  const [id, query] = location.hash.slice(1).split("?");
  const known = id === "" || id === "top" || parts.has(id);
  const names = [...parts.keys()].join(", ");
  problem.textContent = known
    ? ""
    : `The link asks for “${id}”, which this page does not have. The parts are ${names}.`;
  problem.hidden = known;
  const part = parts.get(id);
  if (query && part) part.restore(new URLSearchParams(query));
  if (!part || (change && !query)) return; // then the browser goes there by itself
  // The parts above it must have their heights before there is a place to go to.
  const go = () => part.section.scrollIntoView({ behavior: "instant" });
  afterPaint(() => requestAnimationFrame(go));
}
