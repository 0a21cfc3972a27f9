// The lines that differ between two texts.

/** @typedef {{mark: " " | "-" | "+" | "@", text: string}} DiffLine "@" stands for unchanged lines that are left out */

const maxEdits = 800; // the search costs (lines × edits); with more edits, all lines count as replaced

/**
 * The shortest edit script from a to b, by the greedy algorithm of Myers (1986). Returns null if it has more than
 * maxEdits edits.
 * @param {string[]} a
 * @param {string[]} b
 * @returns {DiffLine[] | null}
 */
function shortestEditScript(a, b) {
  const limit = Math.min(a.length + b.length, maxEdits);
  /** @type {Map<number, number>} the furthest x on each diagonal k = x - y */
  const furthest = new Map([[1, 0]]);
  /** @type {Map<number, number>[]} `furthest` before each number of edits */
  const trace = [];
  for (let edits = 0; edits <= limit; ++edits) {
    trace.push(new Map(furthest));
    for (let k = -edits; k <= edits; k += 2) {
      let x = isInsertion(furthest, k, edits) ? at(furthest, k + 1) : at(furthest, k - 1) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) { ++x; ++y; }
      furthest.set(k, x);
      if (x >= a.length && y >= b.length) return backtrack(trace, a, b);
    }
  }
  return null;
}

/** @param {Map<number, number>} furthest @param {number} k */
const at = (furthest, k) => furthest.get(k) ?? -1;

/**
 * Whether the path to diagonal k ends with an insertion (from k + 1) instead of a deletion (from k - 1).
 * @param {Map<number, number>} furthest
 * @param {number} k
 * @param {number} edits
 */
const isInsertion = (furthest, k, edits) =>
  k === -edits || (k !== edits && at(furthest, k - 1) < at(furthest, k + 1));

/**
 * Follows the search from its end to its start.
 * @param {Map<number, number>[]} trace
 * @param {string[]} a
 * @param {string[]} b
 * @returns {DiffLine[]}
 */
function backtrack(trace, a, b) {
  /** @type {DiffLine[]} */
  const script = [];
  let x = a.length;
  let y = b.length;
  for (let edits = trace.length - 1; edits >= 0; --edits) {
    const furthest = trace[edits];
    const k = x - y;
    const isInserted = isInsertion(furthest, k, edits);
    const previousK = isInserted ? k + 1 : k - 1;
    const startX = edits === 0 ? 0 : at(furthest, previousK);
    const startY = edits === 0 ? 0 : startX - previousK;
    while (x > startX && y > startY) { script.push({ mark: " ", text: a[--x] }); --y; }
    if (edits === 0) break;
    script.push(isInserted ? { mark: "+", text: b[--y] } : { mark: "-", text: a[--x] });
  }
  return script.reverse();
}

/** @param {string} text */
const splitLines = (text) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

/**
 * The number of equal lines at the start of a and b.
 * @param {string[]} a
 * @param {string[]} b
 */
function commonPrefix(a, b) {
  let count = 0;
  while (count < Math.min(a.length, b.length) && a[count] === b[count]) ++count;
  return count;
}

/**
 * The changed lines, and those around them.
 * @param {string} before
 * @param {string} after
 * @param {number} contextLines unchanged lines before and after each change
 * @returns {DiffLine[]}
 */
export function diffLines(before, after, contextLines = 3) {
  const [a, b] = [splitLines(before), splitLines(after)];
  const prefix = commonPrefix(a, b);
  const suffix = commonPrefix(a.slice(prefix).reverse(), b.slice(prefix).reverse());
  /** @param {DiffLine["mark"]} mark @param {string[]} lines */
  const marked = (mark, lines) => lines.map((text) => ({ mark, text }));
  const [oldMiddle, newMiddle] = [a.slice(prefix, a.length - suffix), b.slice(prefix, b.length - suffix)];
  const middle = shortestEditScript(oldMiddle, newMiddle) ?? [...marked("-", oldMiddle), ...marked("+", newMiddle)];
  const script = [...marked(" ", a.slice(0, prefix)), ...middle, ...marked(" ", a.slice(a.length - suffix))];
  return leaveOutUnchanged(script, contextLines);
}

/**
 * Replaces the unchanged lines that are not near a change.
 * @param {DiffLine[]} script
 * @param {number} contextLines
 */
function leaveOutUnchanged(script, contextLines) {
  const isShown = new Uint8Array(script.length);
  script.forEach(({ mark }, i) => {
    if (mark !== " ") isShown.fill(1, Math.max(0, i - contextLines), i + contextLines + 1);
  });
  /** @type {DiffLine[]} */
  const lines = [];
  for (let i = 0; i < script.length; ++i) {
    if (isShown[i]) { lines.push(script[i]); continue; }
    let end = i;
    while (end < script.length && !isShown[end]) ++end;
    lines.push({ mark: "@", text: `${end - i} unchanged ${end - i === 1 ? "line" : "lines"}` });
    i = end - 1;
  }
  return lines;
}
