// A part of the page: its controls, when it is drawn, what a screen reader is told, its link.
//
//     #weights?k=8&p1=0.9        the part, and its controls by name
//
// Left out: what any part shows.

import { el } from "./ui.js";

const parts = new Map();
const problem = document.getElementById("problem");

export class Part {
  constructor(id, draw) {
    this.id = id;
    this.section = document.getElementById(id);
    this.controls = [];
    this.drawNow = draw;
    this.live = this.section.appendChild(el("p", { class: "hidden", "aria-live": "polite" }));
    this.complaint = el("p", { class: "problem", role: "alert", hidden: true });
    this.slot("controls").before(this.complaint);
    parts.set(id, this);
  }

  /** The element that the template keeps for `name`. */
  slot(name) {
    return this.section.querySelector(`[data-slot="${name}"]`);
  }

  add(control) {
    this.controls.push(control);
    return control;
  }

  /** Draw at the next frame, once however many changes come before it. */
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.drawNow();
    });
  }

  /** A control was moved by hand: draw, and let the address say so. */
  changed() {
    this.complain("");
    this.draw();
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
  restore(query) {
    const complaints = [];
    for (const [name, text] of new URLSearchParams(query)) {
      const control = this.controls.find((one) => one.name === name);
      const why = control ? control.accept(text) : `there is no “${name}” here`;
      if (why) complaints.push(why);
    }
    this.complain(complaints.length ? `Of the link, this was left out: ${complaints.join("; ")}.` : "");
    this.draw();
  }
}

/** A button that copies the link of what a part shows. */
export function linkButton(part) {
  const text = "Copy link";
  const node = el("button", { type: "button", class: "quiet link", title: "Copy a link to what this part shows", onclick: async () => {
    const link = location.href.split("#")[0] + part.fragment();
    history.replaceState(null, "", part.fragment());
    try {
      await navigator.clipboard.writeText(link);
      node.textContent = "Link copied";
    } catch {
      node.textContent = "It is in the address bar";
    }
    setTimeout(() => (node.textContent = text), 2500);
  } }, text);
  part.section.querySelector("h2").append(node);
}

/** Show what the address asks for. */
export function followFragment() {
  const [id, query] = location.hash.slice(1).split("?");
  const known = id === "" || id === "top" || parts.has(id);
  problem.textContent = known ? "" : `The link asks for “${id}”, which this page does not have. Its parts are ${[...parts.keys()].join(", ")}.`;
  problem.hidden = known;
  if (!query || !parts.has(id)) return;
  parts.get(id).restore(query);
  parts.get(id).section.scrollIntoView();
}
