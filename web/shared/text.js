// How the page writes numbers, times and hostile names. No DOM of the page is touched here; what is made is given back.

const kGrouped = new Intl.NumberFormat("en");
// Between a figure and its unit no line ends.
const kSpace = "\u00a0";
const kMoment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** 548118077 → "548,118,077". */
export const grouped = (number) => kGrouped.format(number);

/** 548118077 → "548.1 MB"; decimal units, as disks and networks count. */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  let value = count;
  while (value >= 999.95 && unit + 1 < units.length) { value /= 1000; ++unit; }
  return unit === 0 ? plural(count, "byte") : `${value.toFixed(value < 9.995 ? 2 : 1)}${kSpace}${units[unit]}`;
}

/** 1, "tensor" → "1 tensor"; 1234, "tensor" → "1,234 tensors". */
export const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;

/** 0.62 → "62 %"; what is not nothing never reads as 0 %. */
export function percent(share) {
  if (share > 0 && share < 0.01) return `<${kSpace}1${kSpace}%`;
  return `${Math.min(Math.round(share * 100), share < 1 ? 99 : 100)}${kSpace}%`;
}

/** 75 → "1 min 15 s"; seconds below ten keep one place. */
export function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)}${kSpace}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}${kSpace}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** An RFC 3339 time → "24 Nov 2026, 16:20" in the reader's zone; "" for null. */
export const moment = (time) => (time ? kMoment.format(new Date(time)) : "");

/** [50257, 768] → "50257 × 768"; a scalar is "scalar". */
export const shape = (sizes) => (sizes.length === 0 ? "scalar" : sizes.join(" × "));

/** A commit's first seven letters. */
export const short = (commit) => commit.slice(0, 7);

// What a screen does not show, or shows in another place than it stands: controls, bidirectional marks, zero widths, tags, lone surrogates.
const kUnseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\u{e0100}-\u{e01ef}]/gu;
const escaped = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;

/** `text` with every character that hides or reorders written out, as in \u{202e}: one may believe what one sees. */
export const visible = (text) => String(text).replace(kUnseen, escaped);

/**
 * A name from a model or a repository, to be appended: what was made visible stands in <span class="escape">, and it may break after dots,
 * slashes and underscores, unless it is for a row of one line.
 * @returns {DocumentFragment}
 */
export function name(text, breaks = true) {
  const out = document.createDocumentFragment();
  let at = 0;
  const append = (piece) => {
    for (const part of breaks ? piece.split(/(?<=[./_])/) : [piece]) {
      if (out.lastChild?.nodeType === Node.TEXT_NODE) out.append(document.createElement("wbr"));
      out.append(part);
    }
  };
  const source = String(text);
  for (const match of source.matchAll(kUnseen)) {
    if (match.index > at) append(source.slice(at, match.index));
    const escape = document.createElement("span");
    escape.className = "escape";
    escape.textContent = escaped(match[0]);
    out.append(escape);
    at = match.index + match[0].length;
  }
  if (at < source.length) append(source.slice(at));
  return out;
}

/** The part of a sentence behind the first `limit` characters is cut and closed with "…". */
export const cut = (text, limit) => (text.length > limit ? `${text.slice(0, limit)}…` : text);
