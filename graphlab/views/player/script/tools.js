// What every part of the page uses.
const page = JSON.parse(root.querySelector(".gl-data").textContent);
const { texts, plays } = page;
const SVG = "http://www.w3.org/2000/svg";

// A text of the page's language, with its arguments in place: {name}, and {count:# step|# steps}.
function say(key, values = {}) {
  return texts[key].replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, name, one, many) =>
    many === undefined ? String(values[name])
      : (values[name] === 1 ? one : many).replace("#", values[name].toLocaleString(root.lang)));
}

// An element with attributes and children; strings become text, never markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(text, label, act) {
  const found = make("button", { type: "button" }, text);
  if (label) {
    found.setAttribute("aria-label", label);
    found.title = label;
  }
  found.addEventListener("click", act);
  return found;
}

// A drawn sign for a button: not every font has one.
function icon(path) {
  const element = document.createElementNS(SVG, "svg");
  const shape = document.createElementNS(SVG, "path");
  element.setAttribute("viewBox", "0 0 16 16");
  element.setAttribute("aria-hidden", "true");
  shape.setAttribute("d", path);
  element.append(shape);
  return element;
}

// A name that is too long is broken after a point.
function breakable(text, after = /(?<=\.)/) {
  return text.split(after).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A version such as v1; v1* where the values are not those that version 1 had.
function version(number, others = false) {
  return number === null || number < 0 ? "v?" : `v${number}${others ? "*" : ""}`;
}

// The entry of a history, [[step, ...], ...], that holds at step n; null before the first.
function holds(history, n) {
  let low = 0, high = history.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (history[middle][0] <= n) low = middle + 1;
    else high = middle;
  }
  return low ? history[low - 1] : null;
}

// A link to a step, which also works where the page keeps no step in its address.
function jump(go, step, text) {
  if (step === null) return make("span", {}, text);
  const link = make("a", { href: `#step=${step + 1}` }, text);
  link.addEventListener("click", (event) => { event.preventDefault(); go(step); });
  return link;
}

function diff(lines) {
  const kinds = { "+": "gl-plus", "-": "gl-minus" };
  return make("pre", {}, ...lines.map(([sign, text]) =>
    make("div", { class: kinds[sign] || "gl-faint" }, `${sign} ${text}`)));
}

// The height of the tallest of some texts in `element`: it keeps that, so that nothing below moves.
function keepHeight(element, all) {
  const shown = element.textContent;
  element.style.minHeight = "";
  let most = 0;
  for (const text of [...all].sort((one, other) => other.length - one.length).slice(0, 8)) {
    element.textContent = text;
    most = Math.max(most, Math.ceil(element.getBoundingClientRect().height));
  }
  element.textContent = shown;
  if (most) element.style.minHeight = `${most}px`;
}
