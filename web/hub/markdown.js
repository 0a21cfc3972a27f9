// A small, safe part of Markdown, for READMEs and comments: what it knows becomes elements, all else stays the text that it is. HTML is text.
import { element, table } from "../shared/dom.js";
import { visible } from "../shared/text.js";
import { link } from "./layout.js";

const kMostCharacters = 256 * 1024;
const kMostInline = 8 * 1024; // a longer paragraph is only text: finding pairs in it would cost its square
const kMostDepth = 5;

const kFence = /^ {0,3}(`{3,}|~{3,})/;
const kHeading = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$/;
const kRule = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const kQuote = /^ {0,3}> ?/;
const kItem = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)/;
const kTableRule = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const kBlank = /^[ \t]*$/;

/** Front matter, which the page shows as facts, and comments, which nobody means to be read. */
const body = (text) => text.replace(/^---\r?\n[\s\S]*?\r?\n---[ \t]*(?:\r?\n|$)/, "").replace(/<!--[\s\S]*?-->/g, "");

/**
 * The elements of a text. Headings begin at `level`. Links are taken from `base`, a path of this Hub.
 * @returns {HTMLElement}
 */
export function markdown(text, base, level = 3) {
  const whole = text.length <= kMostCharacters;
  const lines = body(whole ? text : text.slice(0, kMostCharacters)).split(/\r\n?|\n/);
  const out = element("div.prose", {}, blocks(lines, { base, level: level + 1 - topLevel(lines) }, 0));
  if (!whole) out.append(element("p.quiet", {}, "The rest is not shown here: the file has it all."));
  return out;
}

/** The level of the greatest heading, so that none is left out between the page's and the text's own. */
const topLevel = (lines) => Math.min(...lines.map((line) => kHeading.exec(line)?.[1].length ?? 6));

function blocks(lines, context, depth) {
  const out = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const [taken, node] = kBlank.test(line) ? [1, null] : fence(lines, at) ?? heading(line, context) ?? (kRule.test(line) ? [1, element("hr")] : null)
      ?? quote(lines, at, context, depth) ?? list(lines, at, context, depth) ?? grid(lines, at, context) ?? paragraph(lines, at, context);
    if (node) out.push(node);
    at += taken;
  }
  return out;
}

function fence(lines, at) {
  const mark = kFence.exec(lines[at])?.[1];
  if (!mark) return null;
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(mark) && lines[end].trim().replaceAll(mark[0], "") === "")) ++end;
  return [end - at + 1, block(lines.slice(at + 1, end).join("\n"))];
}

/** Text as it stands, in a box that the keyboard can scroll. */
export const block = (text) => element("pre", { tabindex: "0" }, element("code", {}, visibleLines(text)));

/** As visible(), but lines and tabs stay. */
export const visibleLines = (text) => text.split(/(\r?\n|\t)/).map((part, i) => (i % 2 ? part.replace("\r", "") : visible(part))).join("");

function heading(line, context) {
  const match = kHeading.exec(line);
  if (!match) return null;
  const slug = match[2].toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-");
  return [1, element(`h${Math.min(6, match[1].length + context.level - 1)}`, { id: `readme-${slug.slice(0, 100)}` }, inline(match[2], context))];
}

function quote(lines, at, context, depth) {
  if (!kQuote.test(lines[at]) || depth >= kMostDepth) return null;
  let end = at;
  while (end < lines.length && kQuote.test(lines[end])) ++end;
  return [end - at, element("blockquote", {}, blocks(lines.slice(at, end).map((line) => line.replace(kQuote, "")), context, depth + 1))];
}

function list(lines, at, context, depth) {
  const first = kItem.exec(lines[at]);
  if (!first || depth >= kMostDepth) return null;
  const ordered = /\d/.test(first[2]);
  const same = (line) => { const match = kItem.exec(line); return match && /\d/.test(match[2]) === ordered && !kRule.test(line) ? match : null; };
  const items = [];
  let end = at;
  for (let item; end < lines.length && (item = same(lines[end]));) {
    const inner = item[0].length;
    const own = [lines[end++].slice(inner)];
    // What is indented belongs to the item, and so does a line that only goes on.
    for (; end < lines.length; ++end) {
      const indent = /^ */.exec(lines[end])[0].length;
      if (kBlank.test(lines[end])) {
        if (end + 1 >= lines.length || kBlank.test(lines[end + 1]) || /^ */.exec(lines[end + 1])[0].length < Math.min(inner, 2)) break;
        own.push("");
      } else if (indent >= Math.min(inner, 2)) own.push(lines[end].slice(Math.min(indent, inner)));
      else if (kItem.test(lines[end]) || kHeading.test(lines[end]) || kFence.test(lines[end]) || kQuote.test(lines[end])) break;
      else own.push(lines[end]);
    }
    items.push(element("li", {}, tight(blocks(own, context, depth + 1))));
    if (end < lines.length && kBlank.test(lines[end]) && same(lines[end + 1] ?? "")) ++end;
  }
  const start = ordered ? Number.parseInt(first[2], 10) : 1;
  return [end - at, element(ordered ? "ol" : "ul", start === 1 ? {} : { start: String(start) }, items)];
}

/** An item's only paragraph is its text. */
const tight = (nodes) => nodes.flatMap((node, i) => (i === 0 && node.tagName === "P" ? [...node.childNodes] : [node]));

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).slice(0, 50).map((cell) => cell.trim().replaceAll("\\|", "|"));

function grid(lines, at, context) {
  if (!lines[at].includes("|") || !kTableRule.test(lines[at + 1] ?? "") || !lines[at + 1].includes("|")) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) ++end;
  const rows = lines.slice(at + 2, end).map((line) => element("tr", {}, cells(line).map((cell) => element("td", {}, inline(cell, context)))));
  const made = table("Table", cells(lines[at]).map((cell) => [inline(cell, context), ""]), rows);
  made.tabIndex = 0;
  return [end - at, made];
}

function paragraph(lines, at, context) {
  let end = at + 1;
  const goesOn = (line) => !kBlank.test(line) && ![kFence, kHeading, kRule, kQuote, kItem].some((start) => start.test(line));
  while (end < lines.length && goesOn(lines[end])) ++end;
  return [end - at, element("p", {}, inline(lines.slice(at, end).join("\n"), context))];
}

/** Text with code, links, images, bold, italic and struck words. */
function inline(text, context, depth = 0) {
  if (text.length > kMostInline || depth >= kMostDepth) return [visibleLines(text)];
  const out = [];
  let plain = "";
  const put = (node) => { if (plain) out.push(visibleLines(plain)); plain = ""; if (node) out.push(node); };
  for (let at = 0; at < text.length;) {
    const found = kInline[text[at]]?.(text, at, context, depth);
    if (found) {
      put(found.node);
      at += found.length;
    } else plain += text[at++];
  }
  put();
  return out;
}

function escape(text, at) {
  return /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "") ? { length: 2, node: document.createTextNode(text[at + 1]) } : null;
}

function codeSpan(text, at) {
  const mark = /^`+/.exec(text.slice(at, at + 100))[0];
  const end = text.indexOf(mark, at + mark.length);
  if (end < 0) return null;
  return { length: end + mark.length - at, node: element("code", {}, visible(text.slice(at + mark.length, end).replace(/\n/g, " "))) };
}

function marked(mark, tag) {
  return (text, at, context, depth) => {
    if (!text.startsWith(mark, at) || /\s|^$/.test(text[at + mark.length] ?? "")) return null;
    if (mark[0] === "_" && /[\p{L}\p{N}_]/u.test(text[at - 1] ?? "")) return null;
    const end = text.indexOf(mark, at + mark.length);
    if (end <= at + mark.length || /\s/.test(text[end - 1])) return null;
    if (mark[0] === "_" && /[\p{L}\p{N}_]/u.test(text[end + mark.length] ?? "")) return null;
    return { length: end + mark.length - at, node: element(tag, {}, inline(text.slice(at + mark.length, end), context, depth + 1)) };
  };
}

/** [text](target "title") at `at`: its parts; null where there is none. */
function bracketed(text, at) {
  let open = 0;
  for (let i = at; i < Math.min(text.length, at + 2000); ++i) {
    if (text[i] === "\\") ++i;
    else if (text[i] === "[") ++open;
    else if (text[i] === "]" && --open === 0) {
      const target = /^\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)?)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/.exec(text.slice(i + 1, i + 2000));
      return target && { inner: text.slice(at + 1, i), target: target[1], length: i + 1 + target[0].length - at };
    }
  }
  return null;
}

/** A link that says where it leads: to another page of this Hub, or to another host, which is named. Any other scheme stays text. */
function linkTo(target, children, context, said) {
  if (target.startsWith("#")) return element("a", { href: `#readme-${target.slice(1)}` }, children);
  let url;
  try {
    url = new URL(target, new URL(context.base, location.origin));
  } catch {
    return null;
  }
  if (url.origin === location.origin) return link(url.pathname + url.search + url.hash, children);
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  const there = element("a", { href: url.href, rel: "noopener noreferrer nofollow" }, children);
  return said.includes(url.host) ? there : element("span", {}, there, element("span.quiet", {}, ` (${url.host})`));
}

function linked(text, at, context, depth) {
  const found = bracketed(text, at);
  if (!found) return null;
  const node = linkTo(found.target, inline(found.inner, context, depth + 1), context, found.inner);
  return node && { length: found.length, node };
}

/** A picture is a link to it: the page loads nothing from elsewhere. */
function image(text, at, context, depth) {
  const found = text[at + 1] === "[" ? bracketed(text, at + 1) : null;
  if (!found) return null;
  const words = ["image", found.inner && `: ${visible(found.inner)}`];
  const node = (depth === 0 && linkTo(found.target, words, context, found.inner)) || element("span", {}, words);
  return { length: found.length + 1, node };
}

function bare(text, at, context) {
  if (/[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) return null;
  const address = /^https?:\/\/[^\s<>"'`|]*[^\s<>"'`|.,;:!?)\]*_~]/.exec(text.slice(at, at + 2000))?.[0];
  const node = address && linkTo(address, visible(address), context, address);
  return node ? { length: address.length, node } : null;
}

const first = (...parsers) => (...where) => {
  for (const parse of parsers) {
    const found = parse(...where);
    if (found) return found;
  }
  return null;
};
const kInline = {
  "\\": escape, "`": codeSpan, "[": linked, "!": image, h: bare,
  "*": first(marked("**", "strong"), marked("*", "em")), _: first(marked("__", "strong"), marked("_", "em")), "~": marked("~~", "s"),
};
