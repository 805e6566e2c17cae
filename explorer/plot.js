// Curves by uPlot, in the page's colours and as wide as their place; and handles to drag.
// Left out: what is drawn.

import { css, onTheme } from "./theme.js";
import { el, format } from "./ui.js";

const FONT = '12px Inter, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const LOG = 3; // uPlot's name for a logarithmic scale
const TOUCH_SLOP = 6; // pixels after which a touch is a drag or a scroll

/**
 * host: where it goes. label: what it shows, for who cannot see it. x, y: {title, log, range,
 * ticks, text}; series: [{color, width, dash, alpha}], color a CSS variable's name; marks: draws on
 * top, in the canvas. `set(data)` draws.
 */
export class Plot {
  constructor(host, { label, x, y, series, draggable = false, marks }) {
    this.host = host.appendChild(
      el("div", {
        class: `plot${draggable ? " draggable" : ""}`,
        role: draggable ? "group" : "img",
        "aria-label": label,
      }),
    );
    this.x = x;
    this.y = y;
    this.marks = marks;
    this.draggable = draggable;
    this.handles = [];
    this.make(series, [[0, 1], ...series.map(() => [null, null])]);
    new ResizeObserver(() => this.fit()).observe(this.host);
    onTheme(() => {
      this.fit();
      this.u.redraw(false);
    });
  }

  make(series, data) {
    this.series = series;
    this.u?.destroy();
    const { clientWidth: width, clientHeight: height } = this.host;
    const scale = ({ log, range }) => ({
      time: false,
      distr: log ? LOG : 1,
      range: () => (typeof range === "function" ? range() : range),
    });
    const options = {
      width: Math.max(width, 50),
      height: Math.max(height, 50),
      legend: { show: false },
      padding: [8, 22, 0, 0],
      pxAlign: 0,
      cursor: { show: false },
      scales: { x: scale(this.x), y: scale(this.y) },
      axes: [this.axis(this.x, 38, 0), this.axis(this.y, 50, 1)],
      series: [
        {},
        ...series.map((one) => ({
          stroke: () => css(one.color),
          width: one.width ?? 2,
          dash: one.dash,
          alpha: one.alpha ?? 1,
          points: { show: false },
          spanGaps: true,
        })),
      ],
      hooks: {
        draw: [(u) => this.marks?.(u), () => this.place()],
      },
    };
    this.u = new uPlot(options, data, this.host);
    if (this.draggable) this.dragAnywhere();
    for (const handle of this.handles) this.u.over.append(handle.node);
  }

  axis({ title, ticks, text, log }, size, side) {
    const isDecade = (v) => Number.isInteger(Math.round(1e9 * Math.log10(v)) / 1e9);
    const filter = (_, splits) =>
      log && !ticks ? splits.map((v) => (isDecade(v) ? v : null)) : splits;
    return {
      stroke: () => css("soft"),
      grid: { stroke: () => css("grid"), width: 1, filter },
      ticks: { show: false },
      font: FONT,
      labelFont: FONT,
      label: title,
      labelSize: 18,
      gap: 5,
      size: side ? size : 26,
      splits: ticks && ((u) => (typeof ticks === "function" ? ticks(u) : ticks)),
      filter,
      values: (_, splits) => splits.map((v) => (v === null ? "" : text ? text(v) : format(v))),
    };
  }

  /** Text in the canvas, from the left, centred on `top`; in CSS pixels of the plot's inside. */
  write(u, text, left, top, align = "left") {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = FONT.replace("12px", `${12 * devicePixelRatio}px`);
    ctx.fillStyle = css("soft");
    ctx.textAlign = align;
    ctx.textBaseline = "middle";
    ctx.fillText(text, bbox.left + left * devicePixelRatio, bbox.top + top * devicePixelRatio);
    ctx.restore();
  }

  set(data) {
    this.u.setData(data);
  }

  /** Other series, in the same place. */
  replace(series, data) {
    this.make(series, data);
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width && (width !== this.u.width || height !== this.u.height))
      this.u.setSize({ width, height });
  }

  /** A vertical line that is dragged, or moved by the arrow keys. toX and fromX: value <-> x. */
  handle({ label, text = "", toX, fromX, get, set, step, show, color = () => "accent" }) {
    const node = el("button", {
      type: "button",
      class: "handle",
      role: "slider",
      "aria-label": label,
      "aria-orientation": "horizontal",
    });
    if (text) node.append(el("span", {}, text));
    const handle = { node, toX, get, show, fromX, set, color };
    node.onpointerdown = (event) => {
      event.preventDefault();
      event.stopPropagation();
      node.focus({ preventScroll: true });
      this.follow(event, handle);
    };
    node.onkeydown = (event) => {
      const direction = {
        ArrowRight: 1,
        ArrowUp: 1,
        ArrowLeft: -1,
        ArrowDown: -1,
        PageUp: 10,
        PageDown: -10,
      }[event.key];
      const end = { Home: -1e9, End: 1e9 }[event.key];
      if (direction === undefined && end === undefined) return;
      event.preventDefault();
      set(step(get(), direction ?? end));
    };
    this.handles.push(handle);
    this.u.over.append(node);
    this.place();
    return handle;
  }

  /** Follow the pointer. A finger has to move sideways first: up and down scrolls the page. */
  follow(event, handle) {
    const box = this.u.over.getBoundingClientRect();
    const move = (e) => {
      const left = Math.min(Math.max(e.clientX - box.left, 0), box.width);
      handle.set(handle.fromX(this.u.posToVal(left, "x")));
    };
    let state = event.pointerType === "touch" ? "undecided" : "dragging";
    const target = event.target.closest(".handle, .u-over");
    target.setPointerCapture(event.pointerId);
    target.onpointermove = (e) => {
      const [dx, dy] = [e.clientX - event.clientX, e.clientY - event.clientY].map(Math.abs);
      if (state === "undecided" && Math.max(dx, dy) > TOUCH_SLOP)
        state = dx > dy ? "dragging" : "scrolling";
      if (state === "dragging") move(e);
    };
    const end = (e) => {
      target.onpointermove = target.onpointerup = target.onpointercancel = null;
      if (e.type === "pointerup" && state === "undecided") move(e); // a tap
    };
    target.onpointerup = target.onpointercancel = end;
    if (state === "dragging") move(event);
  }

  /** Pressing anywhere brings the nearest handle there. */
  dragAnywhere() {
    this.u.over.addEventListener("pointerdown", (event) => {
      if (event.target !== this.u.over || !this.handles.length) return;
      const box = this.u.over.getBoundingClientRect();
      const away = (h) =>
        Math.abs(this.u.valToPos(h.toX(h.get()), "x") - (event.clientX - box.left));
      const handle = this.handles.reduce((a, b) => (away(b) < away(a) ? b : a));
      handle.node.focus({ preventScroll: true });
      this.follow(event, handle);
    });
  }

  place() {
    const taken = [];
    for (const { node, toX, get, show, color } of this.handles) {
      const at = this.u.valToPos(toX(get()), "x");
      node.style.setProperty("--level", taken.filter((other) => Math.abs(other - at) < 24).length);
      taken.push(at);
      node.style.setProperty("--handle", `var(--${color()})`);
      node.style.left = `${at}px`;
      node.setAttribute("aria-valuenow", get());
      node.setAttribute("aria-valuetext", show(get()));
    }
  }
}

// A pass rate on an axis that is logarithmic at both ends.
export const logit = (p) => Math.log(p / (1 - p));
export const fromLogit = (z) => 1 / (1 + Math.exp(-z));
const LOGIT_TICKS = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999];

/** The axis of a pass rate between two ends. */
export function passRateAxis(low, high) {
  return {
    title: "pass rate p",
    range: [logit(low), logit(high)],
    ticks: (u) =>
      LOGIT_TICKS.filter(
        (p) => p >= low && p <= high && (u.width > 420 || ![0.9999, 0.001, 0.999].includes(p)),
      ).map(logit),
    text: (z) => format(fromLogit(z)),
  };
}
