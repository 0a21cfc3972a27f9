// Which lines differ between two texts.

const kMostEdits = 800; // beyond, the middle is shown as replaced: the search costs lines times edits

/** How many items two lists have in common at the front, from `from` on. */
function common(a, b, from, fromB, step) {
  let count = 0;
  while (a[from + step * count] !== undefined && a[from + step * count] === b[fromB + step * count]) ++count;
  return count;
}

/** Myers' greedy search: the shortest script from a to b, as runs of " ", "-" and "+"; null where it is too long. */
function script(a, b) {
  const most = Math.min(a.length + b.length, kMostEdits);
  const reach = new Map([[1, 0]]);
  const trace = [];
  for (let edits = 0; edits <= most; ++edits) {
    trace.push(new Map(reach));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
      let x = down ? reach.get(k + 1) : reach.get(k - 1) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) { ++x; ++y; }
      reach.set(k, x);
      if (x >= a.length && y >= b.length) return walkBack(trace, a, b);
    }
  }
  return null;
}

function walkBack(trace, a, b) {
  const out = [];
  let x = a.length;
  let y = b.length;
  for (let edits = trace.length - 1; edits >= 0; --edits) {
    const reach = trace[edits];
    const k = x - y;
    const down = k === -edits || (k !== edits && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
    const from = down ? k + 1 : k - 1;
    const startX = edits === 0 ? 0 : reach.get(from);
    const startY = edits === 0 ? 0 : startX - from;
    while (x > startX && y > startY) { out.push([" ", a[--x]]); --y; }
    if (edits === 0) break;
    out.push(down ? ["+", b[--y]] : ["-", a[--x]]);
  }
  return out.reverse();
}

const split = (text) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

/**
 * @param {number} around how many unchanged lines stand around a change
 * @returns {{mark: " "|"-"|"+"|"@", text: string}[]} "@" stands for lines that are left out
 */
export function differentLines(before, after, around = 3) {
  const [a, b] = [split(before), split(after)];
  const front = common(a, b, 0, 0, 1);
  const back = Math.min(common(a, b, a.length - 1, b.length - 1, -1), a.length - front, b.length - front);
  const [oldMiddle, newMiddle] = [a.slice(front, a.length - back), b.slice(front, b.length - back)];
  const middle = script(oldMiddle, newMiddle) ?? [...oldMiddle.map((line) => ["-", line]), ...newMiddle.map((line) => ["+", line])];
  const all = [...a.slice(0, front).map((line) => [" ", line]), ...middle, ...a.slice(a.length - back).map((line) => [" ", line])];
  return folded(all, around);
}

function folded(all, around) {
  const near = new Uint8Array(all.length);
  all.forEach(([mark], i) => { if (mark !== " ") near.fill(1, Math.max(0, i - around), i + around + 1); });
  const out = [];
  for (let i = 0; i < all.length; ++i) {
    if (near[i]) { out.push({ mark: all[i][0], text: all[i][1] }); continue; }
    let end = i;
    while (end < all.length && !near[end]) ++end;
    out.push({ mark: "@", text: `${end - i} unchanged ${end - i === 1 ? "line" : "lines"}` });
    i = end - 1;
  }
  return out;
}
