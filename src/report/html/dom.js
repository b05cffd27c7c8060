// Elements by hand. What comes from data only ever becomes the text of an element or the value of a property.

const SVG_SPACE = "http://www.w3.org/2000/svg";

/** Makes an element: `el("p.note", {title}, "text", child)`. Properties that begin with `on` are listeners. */
function el(name, properties, ...children) {
  const [tag, ...classes] = name.split(".");
  return dress(document.createElement(tag), classes, properties, children);
}

/** Makes an element of a drawing. */
function svg(name, properties, ...children) {
  const [tag, ...classes] = name.split(".");
  return dress(document.createElementNS(SVG_SPACE, tag), classes, properties, children);
}

function dress(node, classes, properties, children) {
  if (classes.length > 0) node.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.classList.add(...String(value).split(" "));
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const byId = (id) => document.getElementById(id);

/** A number as people read it. */
function count(number) {
  return Math.round(number).toLocaleString("en");
}

function decimal(number, digits = 2) {
  return number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function percent(share, digits = 1) {
  return `${decimal(share * 100, digits)} %`;
}

function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** `max_turns` as words. */
function words(code) {
  return code.replaceAll("_", " ");
}

/** Saves a text as a file. */
function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
