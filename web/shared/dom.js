// Building pieces of a document: text is text, never markup.
import { name, visible } from "./text.js";

/**
 * element("a.first", {href: "/"}, "Home") → <a class="first" href="/">Home</a>. Attributes that are null or false are left out, true is "";
 * `onclick` and its like are listeners. Children: nodes, texts, arrays of these; null and false are nothing.
 * @returns {HTMLElement}
 */
export function element(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length > 0) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A hostile name in <code>. */
export const code = (text) => element("code", {}, name(text));

/** A cell with a hostile name. */
export const nameCell = (text) => element("td.name", {}, name(text));

/** A cell with a figure that is text already. */
export const numberCell = (text) => element("td.number", {}, text);

/**
 * A table that scrolls by itself where it is too wide. `heads` are texts, or [text, class] pairs.
 * @param {string} caption what the table is, for those who do not see it
 */
export function table(caption, heads, rows) {
  const head = heads.map((cell) => {
    const [text, kind] = Array.isArray(cell) ? cell : [cell, ""];
    return element("th", { scope: "col", class: kind || null }, text);
  });
  return element("div.scroll", {}, element("table.stack", { "aria-label": caption },
    element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)));
}

/** A part of the page under a heading of its own. */
export function section(heading, ...children) {
  const id = `part-${heading.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return element("section", { "aria-labelledby": id }, element("h2", { id }, heading), ...children);
}

/** The document's title; hostile parts are made visible, for a tab shows what it is given. */
export function title(text) {
  document.title = `${visible(text)} · depickle`;
}

/** Puts `text` on the clipboard; false where neither way works. Without https the newer way is missing. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea.unseen", { "aria-hidden": "true", tabindex: "-1" });
    area.value = text;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus?.();
    return done;
  }
}

/** A button that copies what `text()` gives and says so. */
export function copyButton(text, label = "Copy") {
  const button = element("button.second.small", { type: "button" }, label);
  button.addEventListener("click", async () => {
    const done = await copy(await text());
    button.textContent = done ? "Copied" : "Not copied: select it";
    setTimeout(() => { button.textContent = label; }, 1500);
    announce(button.textContent);
  });
  return button;
}

/** Says `text` to a screen reader, once, without moving anything. */
export function announce(text) {
  const region = document.getElementById("news");
  if (region && region.textContent !== text) region.textContent = text;
}
