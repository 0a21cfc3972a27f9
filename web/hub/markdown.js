// Renders a safe subset of Markdown, for READMEs and comments. Everything else, HTML too, is shown as text.
import { element, table } from "../shared/dom.js";
import { visible, visibleLines } from "../shared/text.js";
import { pageLink } from "./navigation.js";

/** @typedef {import("../shared/dom.js").Child} Child */
/** @typedef {{base: string, headingOffset: number}} Context `base` is the URL that links are relative to */
/** @typedef {{count: number, node: Node | null}} Block a block, and how many lines it takes */
/** @typedef {{length: number, node: Node}} Inline an inline element, and how many characters it takes */

const maxCharacters = 256 * 1024;
const maxInlineCharacters = 8 * 1024; // longer paragraphs stay plain text: pairing marks takes quadratic time
const maxDepth = 5;
const maxColumns = 50;
const maxLinkCharacters = 2000;

const fencePattern = /^ {0,3}(`{3,}|~{3,})/;
const headingPattern = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$/;
const rulePattern = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const quotePattern = /^ {0,3}> ?/;
const itemPattern = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)/;
const tableRulePattern = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const blankPattern = /^[ \t]*$/;

/**
 * `text` without front matter and comments.
 * @param {string} text
 */
const withoutFrontMatter = (text) =>
  text.replace(/^---\r?\n[\s\S]*?\r?\n---[ \t]*(?:\r?\n|$)/, "").replace(/<!--[\s\S]*?-->/g, "");

/**
 * Renders `text`. Its largest headings become <h3>, because the page itself uses <h1> and <h2>.
 * @param {string} text
 * @param {string} base the URL path that links are relative to
 */
export function markdown(text, base) {
  const lines = withoutFrontMatter(text.slice(0, maxCharacters)).split(/\r\n?|\n/);
  const levels = lines.map((line) => headingPattern.exec(line)?.[1].length ?? 6);
  const context = { base, headingOffset: 3 - Math.min(...levels) };
  return element("div.prose", {}, parseBlocks(lines, context, 0), text.length > maxCharacters &&
    element("p.muted", {}, "Only the first part is shown. Open the file to see all of it."));
}

/** @param {string[]} lines @param {Context} context @param {number} depth @returns {Node[]} */
function parseBlocks(lines, context, depth) {
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    const { count, node } = parseBlock(lines, at, context, depth);
    if (node) nodes.push(node);
    at += count;
  }
  return nodes;
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {Context} context
 * @param {number} depth
 * @returns {Block}
 */
function parseBlock(lines, at, context, depth) {
  if (blankPattern.test(lines[at])) return { count: 1, node: null };
  return parseFence(lines, at) ?? parseHeading(lines[at], context) ?? parseRule(lines[at]) ??
    parseQuote(lines, at, context, depth) ?? parseList(lines, at, context, depth) ?? parseTable(lines, at, context) ??
    parseParagraph(lines, at, context);
}

/** @param {string[]} lines @param {number} at @returns {Block | null} */
function parseFence(lines, at) {
  const mark = fencePattern.exec(lines[at])?.[1];
  if (!mark) return null;
  const isEnd = (/** @type {string} */ line) => line.startsWith(mark) && line.replaceAll(mark[0], "") === "";
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end].trim())) ++end;
  return { count: end - at + 1, node: codeBlock(lines.slice(at + 1, end).join("\n")) };
}

/**
 * A block of code that can be scrolled with the keyboard.
 * @param {string} text
 */
export const codeBlock = (text) => element("pre", { tabindex: "0" }, element("code", {}, visibleLines(text)));

const headingId = (/** @type {string} */ anchor) => `readme-${anchor}`;

/** @param {string} line @param {Context} context @returns {Block | null} */
function parseHeading(line, context) {
  const match = headingPattern.exec(line);
  if (!match) return null;
  const anchor = match[2].toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-").slice(0, 100);
  const level = Math.min(6, match[1].length + context.headingOffset);
  return { count: 1, node: element(`h${level}`, { id: headingId(anchor) }, parseInline(match[2], context)) };
}

/** @param {string} line @returns {Block | null} */
const parseRule = (line) => (rulePattern.test(line) ? { count: 1, node: element("hr") } : null);

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {Context} context
 * @param {number} depth
 * @returns {Block | null}
 */
function parseQuote(lines, at, context, depth) {
  if (!quotePattern.test(lines[at]) || depth >= maxDepth) return null;
  let end = at;
  while (end < lines.length && quotePattern.test(lines[end])) ++end;
  const inner = lines.slice(at, end).map((line) => line.replace(quotePattern, ""));
  return { count: end - at, node: element("blockquote", {}, parseBlocks(inner, context, depth + 1)) };
}

/** @param {string} line */
const indentation = (line) => /^ */.exec(line)?.[0].length ?? 0;
/** @param {string} line */
const isBlockStart = (line) =>
  [fencePattern, headingPattern, quotePattern, itemPattern].some((pattern) => pattern.test(line));

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {Context} context
 * @param {number} depth
 * @returns {Block | null}
 */
function parseList(lines, at, context, depth) {
  const first = itemPattern.exec(lines[at]);
  if (!first || depth >= maxDepth) return null;
  const isOrdered = /\d/.test(first[2]);
  /** The match if the line is an item of this list. */
  const matchItem = (/** @type {string | undefined} */ line) => {
    const match = line === undefined || rulePattern.test(line) ? null : itemPattern.exec(line);
    return match && /\d/.test(match[2]) === isOrdered ? match : null;
  };
  const items = [];
  let end = at;
  for (let match; (match = matchItem(lines[end]));) {
    const item = takeItem(lines, end, match[0].length);
    end += item.count;
    items.push(element("li", {}, unwrapFirst(parseBlocks(item.lines, context, depth + 1))));
    if (end < lines.length && blankPattern.test(lines[end]) && matchItem(lines[end + 1])) ++end;
  }
  const start = isOrdered ? Number.parseInt(first[2], 10) : 1;
  const attributes = start === 1 ? {} : { start: String(start) };
  return { count: end - at, node: element(isOrdered ? "ol" : "ul", attributes, items) };
}

/**
 * The lines of the list item at `at`: those that are indented, and those that continue its paragraph.
 * @param {string[]} lines
 * @param {number} at
 * @param {number} markLength of the item's mark, with the spaces around it
 */
function takeItem(lines, at, markLength) {
  const own = [lines[at].slice(markLength)];
  const minIndentation = Math.min(markLength, 2);
  let end = at + 1;
  for (; end < lines.length; ++end) {
    const line = lines[end];
    if (blankPattern.test(line)) {
      const next = lines[end + 1];
      if (next === undefined || blankPattern.test(next) || indentation(next) < minIndentation) break;
      own.push("");
    } else if (indentation(line) >= minIndentation) {
      own.push(line.slice(Math.min(indentation(line), markLength)));
    } else if (isBlockStart(line)) {
      break;
    } else {
      own.push(line);
    }
  }
  return { count: end - at, lines: own };
}

/**
 * The nodes, without the <p> around the first.
 * @param {Node[]} nodes
 */
const unwrapFirst = (nodes) => nodes.flatMap((node, i) =>
  (i === 0 && node instanceof HTMLParagraphElement ? [...node.childNodes] : [node]));

/** @param {string} line */
const splitCells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).slice(0, maxColumns)
  .map((cell) => cell.trim().replaceAll("\\|", "|"));

/** @param {string[]} lines @param {number} at @param {Context} context @returns {Block | null} */
function parseTable(lines, at, context) {
  const rule = lines[at + 1] ?? "";
  if (!lines[at].includes("|") || !tableRulePattern.test(rule) || !rule.includes("|")) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) ++end;
  const heads = splitCells(lines[at]).map((cell) =>
    /** @type {[Child, string]} */ ([parseInline(cell, context), ""]));
  const rows = lines.slice(at + 2, end).map((line) => element("tr", {},
    splitCells(line).map((cell) => element("td", {}, parseInline(cell, context)))));
  const node = table("Table", heads, rows);
  node.tabIndex = 0;
  return { count: end - at, node };
}

/** @param {string[]} lines @param {number} at @param {Context} context @returns {Block} */
function parseParagraph(lines, at, context) {
  const isEnd = (/** @type {string} */ line) => blankPattern.test(line) || rulePattern.test(line) || isBlockStart(line);
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end])) ++end;
  return { count: end - at, node: element("p", {}, parseInline(lines.slice(at, end).join("\n"), context)) };
}

/**
 * Text with code, links, images, and bold, italic and struck words.
 * @param {string} text
 * @param {Context} context
 * @returns {(Node | string)[]}
 */
function parseInline(text, context, depth = 0) {
  if (text.length > maxInlineCharacters || depth >= maxDepth) return [visibleLines(text)];
  /** @type {(Node | string)[]} */
  const nodes = [];
  let plainStart = 0;
  let at = 0;
  while (at < text.length) {
    const found = inlineParsers[text[at]]?.(text, at, context, depth);
    if (!found) { ++at; continue; }
    if (at > plainStart) nodes.push(visibleLines(text.slice(plainStart, at)));
    nodes.push(found.node);
    at += found.length;
    plainStart = at;
  }
  if (at > plainStart) nodes.push(visibleLines(text.slice(plainStart)));
  return nodes;
}

/**
 * Parses an inline element that starts at `at`; null if there is none.
 * @typedef {(text: string, at: number, context: Context, depth: number) => Inline | null} InlineParser
 */

/** @type {InlineParser} */
function parseEscape(text, at) {
  const character = text[at + 1] ?? "";
  return /[!-/:-@[-`{-~]/.test(character) ? { length: 2, node: document.createTextNode(character) } : null;
}

/** @type {InlineParser} */
function parseCode(text, at) {
  const mark = /^`+/.exec(text.slice(at, at + 100))?.[0] ?? "`";
  const end = text.indexOf(mark, at + mark.length);
  if (end < 0) return null;
  const code = text.slice(at + mark.length, end).replace(/\n/g, " ");
  return { length: end + mark.length - at, node: element("code", {}, visible(code)) };
}

/**
 * A parser for text between two marks.
 * @param {string} mark
 * @param {"strong" | "em" | "s"} tag
 * @returns {InlineParser}
 */
function markParser(mark, tag) {
  const isWordCharacter = (/** @type {string | undefined} */ character) => /[\p{L}\p{N}_]/u.test(character ?? "");
  return (text, at, context, depth) => {
    const start = at + mark.length;
    if (!text.startsWith(mark, at) || /\s|^$/.test(text[start] ?? "")) return null;
    if (mark[0] === "_" && isWordCharacter(text[at - 1])) return null;
    const end = text.indexOf(mark, start);
    if (end <= start || /\s/.test(text[end - 1])) return null;
    if (mark[0] === "_" && isWordCharacter(text[end + mark.length])) return null;
    const node = element(tag, {}, parseInline(text.slice(start, end), context, depth + 1));
    return { length: end + mark.length - at, node };
  };
}

/**
 * The parts of [text](target "title"); null if there is none at `at`.
 * @param {string} text
 * @param {number} at
 */
function matchLink(text, at) {
  const targetPattern =
    /^\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)?)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/;
  let openCount = 0;
  for (let i = at; i < Math.min(text.length, at + maxLinkCharacters); ++i) {
    if (text[i] === "\\") {
      ++i;
    } else if (text[i] === "[") {
      ++openCount;
    } else if (text[i] === "]" && --openCount === 0) {
      const match = targetPattern.exec(text.slice(i + 1, i + maxLinkCharacters));
      return match && { text: text.slice(at + 1, i), target: match[1], length: i + 1 + match[0].length - at };
    }
  }
  return null;
}

/**
 * A link to another page of this Hub, or to another host, whose name is shown. Returns null for any other URL scheme.
 * @param {string} target
 * @param {Child} children
 * @param {Context} context
 * @param {string} text the text of the link
 */
function makeLink(target, children, context, text) {
  if (target.startsWith("#")) return element("a", { href: `#${headingId(target.slice(1))}` }, children);
  let url;
  try {
    url = new URL(target, new URL(context.base, location.origin));
  } catch {
    return null;
  }
  if (url.origin === location.origin) return pageLink(url.pathname + url.search + url.hash, children);
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  const link = element("a", { href: url.href, rel: "noopener noreferrer nofollow" }, children);
  return text.includes(url.host) ? link : element("span", {}, link, element("span.muted", {}, ` (${url.host})`));
}

/** @type {InlineParser} */
function parseLink(text, at, context, depth) {
  const found = matchLink(text, at);
  if (!found) return null;
  const node = makeLink(found.target, parseInline(found.text, context, depth + 1), context, found.text);
  return node && { length: found.length, node };
}

/**
 * An image becomes a link to it: the page loads nothing from other hosts.
 * @type {InlineParser}
 */
function parseImage(text, at, context, depth) {
  const found = text[at + 1] === "[" ? matchLink(text, at + 1) : null;
  if (!found) return null;
  const label = found.text ? `image: ${visible(found.text)}` : "image";
  const node = (depth === 0 && makeLink(found.target, label, context, found.text)) || element("span", {}, label);
  return { length: found.length + 1, node };
}

/**
 * A URL in the text.
 * @type {InlineParser}
 */
function parseUrl(text, at, context) {
  if (/[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) return null;
  const pattern = /^https?:\/\/[^\s<>"'`|]*[^\s<>"'`|.,;:!?)\]*_~]/;
  const url = pattern.exec(text.slice(at, at + maxLinkCharacters))?.[0];
  const node = url && makeLink(url, visible(url), context, url);
  return node ? { length: url.length, node } : null;
}

/**
 * The first of two parsers that succeeds.
 * @param {InlineParser} first
 * @param {InlineParser} second
 * @returns {InlineParser}
 */
const either = (first, second) => (text, at, context, depth) =>
  first(text, at, context, depth) ?? second(text, at, context, depth);

/**
 * By their first character.
 * @type {Record<string, InlineParser>}
 */
const inlineParsers = {
  "\\": parseEscape, "`": parseCode, "[": parseLink, "!": parseImage, h: parseUrl,
  "*": either(markParser("**", "strong"), markParser("*", "em")),
  _: either(markParser("__", "strong"), markParser("_", "em")),
  "~": markParser("~~", "s"),
};
