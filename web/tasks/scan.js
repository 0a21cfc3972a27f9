// What the pickle named, in plain words: first what would have run, then what builds tensors.
import { element, nameCell, numberCell, section, table } from "../shared/dom.js";
import { cut, grouped, name, plural, visible } from "../shared/text.js";

const kMostRows = 100;

const kVerdicts = {
  "tensors-only": "Only what builds tensors and plain containers. Nothing in it would have run anything else.",
  "has-code": "More than tensors: loading it with Python would have run what is marked here. It was read, not run, and none of it is in the safetensors.",
  unreadable: "It could not be read to its end, so nobody should load it.",
};

/** @returns {HTMLElement[]} nothing where there is no pickle */
export function scanSection(scan) {
  if (!scan || !(scan.verdict in kVerdicts)) return [];
  const bad = scan.findings ?? [];
  const several = new Set(bad.map((row) => row.file)).size > 1;
  const rows = [...bad.map((row) => finding(row, several)), ...gathered(scan.globals ?? [], bad.length > 0).map(namedGlobal)];
  const more = rows.length - kMostRows;
  return [section("What the pickle named",
    element("p", {}, element(scan.verdict === "tensors-only" ? "span" : "strong", { class: scan.verdict === "tensors-only" ? null : "alarm" }, kVerdicts[scan.verdict])),
    rows.length > 0 ? table("What the pickle named", ["name", ["how often", "number"], "what it does"], rows.slice(0, kMostRows)) : null,
    more > 0 ? element("p.quiet", {}, `And ${plural(more, "more name")}: all of them are in the job's JSON.`) : null)];
}

/** What the files of a model have in common is said once. What is not inert stands among the findings, where there are any. */
function gathered(globals, inertOnly) {
  const byName = new Map();
  for (const global of globals) {
    if (inertOnly && !global.inert) continue;
    const known = byName.get(global.name);
    if (known) known.count += global.count;
    else byName.set(global.name, { ...global });
  }
  return [...byName.values()];
}

const times = (count) => numberCell(`${grouped(count)} ×`);

function finding({ file, record, offset, what, words, count }, several) {
  const place = [several ? file : "", record, `byte ${grouped(offset)}`].filter(Boolean).join(", ");
  return element("tr", {}, element("td.name.alarm", {}, name(cut(what, 400))), times(count),
    element("td.alarm", {}, `${visible(words)}. Not run, not copied.`, element("span.why", {}, visible(place))));
}

function namedGlobal({ name: called, inert, words, count }) {
  return element("tr", {}, inert ? nameCell(called) : element("td.name.alarm", {}, name(called)), times(count),
    element(inert ? "td.good" : "td.alarm", {}, visible(words)));
}
