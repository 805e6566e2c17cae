// Light and dark, and the colour of each method in both.
// Left out: all other styles, which are in style.css.

const colors = JSON.parse(document.getElementById("data-colors").textContent);
const more = { passk: "#6C5CE0", base: "#7f7a70" };
const listeners = [];
const root = document.documentElement;
const preference = matchMedia("(prefers-color-scheme: dark)");
const probe = root.appendChild(document.createElement("i"));
probe.hidden = true;
let resolved = {};

export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

function isDark() {
  const chosen = root.dataset.theme;
  return chosen ? chosen === "dark" : preference.matches;
}

/** A method's colour, lightened in the dark and darkened in the light until it can be seen. */
function visible(hex) {
  if (hex === "#000000") return "var(--ink)";
  let rgb = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const luminance = () => (0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]) / 255;
  const [target, enough] = isDark() ? [255, (l) => l > 0.42] : [0, (l) => l < 0.66];
  while (!enough(luminance())) rgb = rgb.map((c) => c + 0.06 * (target - c) + (target ? 1 : -1));
  return `rgb(${rgb.map((c) => Math.round(Math.min(255, Math.max(0, c)))).join(" ")})`;
}

function apply() {
  resolved = {};
  for (const [name, hex] of Object.entries(more))
    root.style.setProperty(`--m-${name}`, visible(hex));
  for (const [name, hex] of Object.entries(colors))
    root.style.setProperty(`--m-${name}`, visible(hex));
  for (const listener of listeners) listener();
}

/** What a CSS variable is now, as a canvas understands it. */
export function css(name) {
  if (!resolved[name]) {
    probe.style.color = `var(--${name})`;
    resolved[name] = getComputedStyle(probe).color;
  }
  return resolved[name];
}

/** The name of the CSS variable of a method's colour; "maxrl k=16" has that of maxrl. */
export function methodVariable(label) {
  const method = label.split(" ")[0];
  return method in colors || method in more ? `m-${method}` : "faint";
}

export function onTheme(listener) {
  listeners.push(listener);
}

let onScreen = ""; // the chosen theme, while the page is printed

/** Paper is light, and narrower than most screens: plots are drawn again. */
function print(on) {
  if (on) onScreen = root.dataset.theme;
  root.dataset.theme = on ? "light" : onScreen;
  root.classList.toggle("paper", on);
  apply();
}

export function startTheme() {
  const button = document.getElementById("theme");
  button.onclick = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // without storage the choice lasts as long as the page
    }
    apply();
  };
  preference.addEventListener("change", apply);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  apply();
}
