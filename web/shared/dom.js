// Builds elements. Strings become text nodes, never markup.
import { formatTime, nameNode, visible } from "./text.js";

/** @typedef {import("./dom_types").Child} Child */
/** @typedef {Record<string, string | boolean | null | undefined | ((event: any) => void)>} Attributes */

/**
 * element("a.first", {href: "/"}, "Home") → <a class="first" href="/">Home</a>. An attribute that is null, undefined or
 * false is left out, and true becomes "". A function, as of `onclick`, becomes a listener. Children that are null,
 * undefined, false or "" are left out.
 * @template {string} Selector
 * @param {Selector} selector a tag name, then classes
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {import("./dom_types").ElementOf<import("./dom_types").TagOf<Selector>>}
 */
export function element(selector, attributes = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const node = document.createElement(tag);
  if (classes.length > 0) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(key.slice("on".length), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  appendAll(node, children);
  return /** @type {any} */ (node);
}

/**
 * Appends children as element() does. One by one: a call with 100,000 arguments fails.
 * @param {Node} node
 * @param {readonly Child[]} children
 */
export function appendAll(node, children) {
  for (const child of /** @type {any[]} */ (children).flat(Infinity)) {
    if (child) node.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/**
 * The element with this id. Throws if the document has none.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`no element #${id}`);
  return node;
}

/**
 * An untrusted name in <code>.
 * @param {unknown} text
 */
export const code = (text) => element("code", {}, nameNode(text));

/**
 * A table cell with an untrusted name.
 * @param {unknown} text
 */
export const nameCell = (text) => element("td.name", {}, nameNode(text));

/**
 * A table cell with a formatted number.
 * @param {Child} content
 */
export const numberCell = (content) => element("td.number", {}, content);

/**
 * A <time> element.
 * @param {string} time RFC 3339
 */
export const timeElement = (time) => element("time", { datetime: time }, formatTime(time));

/**
 * A table in a box that scrolls if the table is too wide.
 * @param {string} caption read by screen readers, not shown
 * @param {import("./dom_types").Head[]} heads texts, or [text, class] pairs
 * @param {HTMLElement[]} rows
 */
export function table(caption, heads, rows) {
  const cells = heads.map((head) => {
    const [content, className] = typeof head === "string" ? [head, ""] : head;
    return element("th", { scope: "col", class: className || null }, content);
  });
  return element("div.scroll", {}, element("table.stack", { "aria-label": caption },
    element("thead", {}, element("tr", {}, cells)), element("tbody", {}, rows)));
}

/**
 * A section with a heading.
 * @param {string} heading
 * @param {...Child} children
 */
export function section(heading, ...children) {
  const id = `section-${heading.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return element("section", { "aria-labelledby": id }, element("h2", { id }, heading), ...children);
}

/**
 * Sets the title of the document. `text` may contain untrusted names.
 * @param {string} text
 */
export function setTitle(text) {
  document.title = `${visible(text)} · depickle`;
}

/**
 * Copies `text` to the clipboard. Returns false if the browser does not allow it.
 * @param {string} text
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // navigator.clipboard exists only over https and on localhost.
    const area = element("textarea.visually-hidden", { "aria-hidden": "true", tabindex: "-1" });
    area.value = text;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return copied;
  }
}

/**
 * A button that copies the text that `getText` returns, and shows whether it succeeded.
 * @param {() => string | Promise<string>} getText
 */
export function copyButton(getText, label = "Copy") {
  const button = element("button.secondary.small", { type: "button" }, label);
  button.addEventListener("click", async () => {
    const copied = await copyText(await getText());
    const outcome = copied ? "Copied" : "Copying failed";
    button.textContent = outcome;
    setTimeout(() => { button.textContent = label; }, 1500);
    announce(outcome);
  });
  return button;
}

/**
 * Has screen readers read `text`. Changes nothing that is visible.
 * @param {string} text
 */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region && region.textContent !== text) region.textContent = text;
}
