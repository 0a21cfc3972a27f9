// Formats numbers, times and untrusted names. Returns strings and nodes; does not change the page.

const numberFormat = new Intl.NumberFormat("en");
const timeFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const noBreakSpace = "\u00a0"; // between a number and its unit

/**
 * 548118077 → "548,118,077".
 * @param {number} number
 */
export const formatNumber = (number) => numberFormat.format(number);

/**
 * 548118077 → "548.1 MB", with decimal units.
 * @param {number} count
 */
export function formatBytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  let value = count;
  while (value >= 999.95 && unit + 1 < units.length) { value /= 1000; ++unit; }
  return unit === 0 ? plural(count, "byte") : `${value.toFixed(value < 9.995 ? 2 : 1)}${noBreakSpace}${units[unit]}`;
}

/**
 * 1, "tensor" → "1 tensor"; 1234, "tensor" → "1,234 tensors".
 * @param {number} count
 * @param {string} noun
 */
export const plural = (count, noun) => `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;

/**
 * 0.62 → "62 %". Only 0 is shown as 0 %, and only 1 as 100 %.
 * @param {number} ratio
 */
export function formatPercent(ratio) {
  if (ratio > 0 && ratio < 0.01) return `<${noBreakSpace}1${noBreakSpace}%`;
  return `${Math.min(Math.round(ratio * 100), ratio < 1 ? 99 : 100)}${noBreakSpace}%`;
}

/**
 * 75 → "1 min 15 s"; 2.34 → "2.3 s".
 * @param {number} seconds
 */
export function formatDuration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)}${noBreakSpace}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}${noBreakSpace}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * An RFC 3339 time → "24 Nov 2026, 16:20" in the local time zone; null → "".
 * @param {string | null | undefined} time
 */
export const formatTime = (time) => (time ? timeFormat.format(new Date(time)) : "");

/**
 * [50257, 768] → "50257 × 768"; [] → "scalar".
 * @param {number[]} shape
 */
export const formatShape = (shape) => (shape.length === 0 ? "scalar" : shape.join(" × "));

/**
 * The first seven digits of a commit id.
 * @param {string} commit
 */
export const shortCommit = (commit) => commit.slice(0, 7);

/**
 * `text`, with "…" in place of everything after `limit` characters.
 * @param {string} text
 * @param {number} limit
 */
export const truncate = (text, limit) => (text.length > limit ? `${text.slice(0, limit)}…` : text);

// Characters that are invisible or change the order of others: controls, bidirectional marks, zero-width characters,
// variation selectors, tags, lone surrogates.
const invisibleCharacters = new RegExp(
  "[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}" +
    "\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u3164\\ufe00-\\ufe0f\\uffa0\\u{e0100}-\\u{e01ef}]",
  "gu",
);
/** @param {string} character */
const escapeSequence = (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`;

/**
 * `text` with each invisible or reordering character replaced by its escape sequence, such as \u{202e}.
 * @param {unknown} text
 */
export const visible = (text) => String(text).replace(invisibleCharacters, escapeSequence);

/**
 * As visible(), but line breaks and tabs stay.
 * @param {unknown} text
 */
export const visibleLines = (text) =>
  String(text).split(/(\r?\n|\t)/).map((part, i) => (i % 2 ? part.replace("\r", "") : visible(part))).join("");

/**
 * Returns an untrusted name as nodes: each invisible character is a <span class="escape"> with its escape sequence.
 * Unless `allowBreaks` is false, a line may break after dots, slashes and underscores.
 * @param {unknown} text
 * @returns {DocumentFragment}
 */
export function nameNode(text, allowBreaks = true) {
  const fragment = document.createDocumentFragment();
  /** @param {string} piece */
  const append = (piece) => {
    for (const part of allowBreaks ? piece.split(/(?<=[./_])/) : [piece]) {
      if (fragment.lastChild?.nodeType === Node.TEXT_NODE) fragment.append(document.createElement("wbr"));
      fragment.append(part);
    }
  };
  const source = String(text);
  let end = 0;
  for (const match of source.matchAll(invisibleCharacters)) {
    const start = match.index ?? 0;
    if (start > end) append(source.slice(end, start));
    const escape = document.createElement("span");
    escape.className = "escape";
    escape.textContent = escapeSequence(match[0]);
    fragment.append(escape);
    end = start + match[0].length;
  }
  if (end < source.length) append(source.slice(end));
  return fragment;
}
