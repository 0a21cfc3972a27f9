// Draws READMEs and comments. The server parses the Markdown; this file makes elements of the tree, and text nodes of
// the texts, never markup.
import { element, table } from "../shared/dom.js";
import { visible, visibleLines } from "../shared/text.js";
import { requestJson } from "./hub_api.js";
import { pageLink } from "./navigation.js";

/** @typedef {import("../shared/dom.js").Child} Child */
/** @typedef {import("./hub_types").MarkdownNode} MarkdownNode */
/** @typedef {import("./hub_types").MarkdownDocument} MarkdownDocument */
/** @typedef {{base: URL, headingOffset: number, isInLink: boolean}} Context `base` is what links are relative to */

const maxRequestCharacters = 256 * 1024;

/**
 * Has the server parse texts. The documents have the order of the texts.
 * @param {string[]} texts
 * @returns {Promise<MarkdownDocument[]>}
 */
export async function parseMarkdown(texts) {
  /** @type {MarkdownDocument[]} */
  const documents = [];
  for (let begin = 0, end; begin < texts.length; begin = end) {
    let count = texts[begin].length;
    for (end = begin + 1; end < texts.length && count + texts[end].length <= maxRequestCharacters; ++end) {
      count += texts[end].length;
    }
    const answer = await requestJson("/api/markdown", { method: "POST", json: { texts: texts.slice(begin, end) } });
    for (const document of answer.documents) documents.push(document);
  }
  return documents;
}

/**
 * Draws a document. Its largest headings become <h3>, because the page itself uses <h1> and <h2>.
 * @param {MarkdownDocument} parsed
 * @param {string} base the URL path that links are relative to
 */
export function markdown({ children, truncated, plain }, base) {
  const levels = children.map(({ level }) => level ?? 6);
  const minLevel = levels.reduce((least, level) => Math.min(least, level), 6);
  const context = { base: new URL(base, location.origin), headingOffset: 3 - minLevel, isInLink: false };
  return element("div.prose", {}, draw(children, context),
    plain && element("p.muted", {}, "This text is shown without formatting because it is too complex."),
    truncated && element("p.muted", {}, "Only the first part is shown. Open the file to see all of it."));
}

/**
 * A block of code that can be scrolled with the keyboard.
 * @param {string} text
 */
export const codeBlock = (text) => element("pre", { tabindex: "0" }, element("code", {}, visibleLines(text)));

/** @param {MarkdownNode[] | undefined} nodes @param {Context} context @returns {Child[]} */
const draw = (nodes, context) => (nodes ?? []).map((node) => drawNode(node, context));

/** @param {MarkdownNode} node @param {Context} context @returns {Child} */
function drawNode(node, context) {
  const { type, text = "", children } = node;
  switch (type) {
    case "text": return context.isInLink ? visibleLines(text) : linkUrls(text, context);
    case "code": return element("code", {}, visible(text));
    case "code_block": return codeBlock(text.replace(/\n$/, ""));
    case "thematic_break": return element("hr");
    case "heading": return heading(node, context);
    case "paragraph": return element("p", {}, draw(children, context));
    case "block_quote": return element("blockquote", {}, draw(children, context));
    case "emphasis": return element("em", {}, draw(children, context));
    case "strong": return element("strong", {}, draw(children, context));
    case "strikethrough": return element("s", {}, draw(children, context));
    case "list": return list(node, context);
    case "table": return drawTable(node, context);
    case "link": return link(node.url ?? "", draw(children, { ...context, isInLink: true }), plainText(node), context);
    case "image": return image(node, context);
    default: return draw(children, context);
  }
}

/** @param {MarkdownNode} node @returns {string} the text of a node without its formatting */
const plainText = ({ text = "", children = [] }) => text + children.map(plainText).join("");

const headingId = (/** @type {string} */ anchor) => `readme-${anchor}`;

/** @param {MarkdownNode} node @param {Context} context */
function heading(node, context) {
  const anchor = plainText(node).toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-");
  const level = Math.max(3, Math.min(6, (node.level ?? 6) + context.headingOffset));
  return element(`h${level}`, { id: headingId(anchor.slice(0, 100)) }, draw(node.children, context));
}

/** @param {MarkdownNode} node @param {Context} context */
function list({ ordered, start, children = [] }, context) {
  const items = children.map((item) => element("li", {},
    item.checked !== undefined && (item.checked ? "☑ " : "☐ "), unwrapFirst(item.children ?? [], context)));
  const attributes = ordered && start !== 1 ? { start: String(start) } : {};
  return element(ordered ? "ol" : "ul", attributes, items);
}

/**
 * The nodes, without the <p> around the first.
 * @param {MarkdownNode[]} nodes
 * @param {Context} context
 */
const unwrapFirst = (nodes, context) => nodes.map((node, i) =>
  (i === 0 && node.type === "paragraph" ? draw(node.children, context) : drawNode(node, context)));

/** @param {MarkdownNode} node @param {Context} context */
function drawTable({ children: rows = [] }, context) {
  const heads = (rows[0]?.children ?? []).map((cell) =>
    /** @type {[Child, string]} */ ([draw(cell.children, context), ""]));
  const made = table("Table", heads, rows.slice(1).map((row) => element("tr", {},
    (row.children ?? []).map((cell) => element("td", {}, draw(cell.children, context))))));
  made.tabIndex = 0;
  return made;
}

/**
 * A link to another page of this Hub, or to another host, whose name is shown. A URL that is neither is text. The URL
 * parser decides where a link leads: a path such as /.//evil.example/ looks local, but is not.
 * @param {string} target
 * @param {Child} children
 * @param {string} text the text of the link
 * @param {Context} context
 */
function link(target, children, text, { base }) {
  if (target.startsWith("#")) return element("a", { href: `#${headingId(target.slice(1))}` }, children);
  const url = parseUrl(target, base);
  if (!url || !["https:", "http:"].includes(url.protocol)) return [children, target && ` (${visible(target)})`];
  if (url.origin === location.origin) return pageLink(localHref(url), children);
  const made = element("a", { href: url.href, rel: "noopener noreferrer nofollow" }, children);
  return text.includes(url.host) ? made : element("span", {}, made, element("span.muted", {}, ` (${url.host})`));
}

/** @param {string} target @param {URL} base */
function parseUrl(target, base) {
  try {
    return new URL(target, base);
  } catch {
    return null;
  }
}

/**
 * The path of a URL of this server; the whole URL if the path alone would be parsed as one of another host.
 * @param {URL} url
 */
function localHref(url) {
  const path = url.pathname + url.search + url.hash;
  return new URL(path, location.origin).href === url.href ? path : url.href;
}

/**
 * An image becomes a link to it: the page loads nothing from other hosts.
 * @param {MarkdownNode} node
 * @param {Context} context
 */
function image(node, context) {
  const text = plainText(node);
  const label = text ? `image: ${visible(text)}` : "image";
  return context.isInLink ? label : link(node.url ?? "", label, text, context);
}

/**
 * A text with its URLs as links.
 * @param {string} text
 * @param {Context} context
 * @returns {Child[]}
 */
function linkUrls(text, context) {
  return text.split(/(https?:\/\/[^\s<>"'`|]+)/).map((part, i) => {
    if (i % 2 === 0) return visibleLines(part);
    let end = part.length;
    while (".,;:!?)]*_~".includes(part[end - 1])) --end;
    const url = part.slice(0, end);
    return [link(url, visible(url), url, context), part.slice(end)];
  });
}
