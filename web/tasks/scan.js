// What a pickle would execute, and the globals that build its tensors.
import { element, nameCell, numberCell, section, table } from "../shared/dom.js";
import { formatNumber, nameNode, plural, truncate, visible } from "../shared/text.js";

/** @typedef {import("./api_types").Finding} Finding */
/** @typedef {import("./api_types").NamedGlobal} NamedGlobal */

const maxRows = 100;
const heading = "Globals and calls in the pickle";

/** @type {Record<string, string>} */
const verdictTexts = {
  "tensors-only": "The pickle only builds tensors and plain containers. Loading it would execute nothing else.",
  "has-code": "Loading this pickle with Python would execute the calls marked below. " +
    "depickle did not execute them, and the safetensors file does not contain them.",
  unreadable: "The file could not be parsed completely. Do not load it.",
};

/** @param {import("./api_types").Scan | undefined} scan @returns {HTMLElement[]} nothing if there is no pickle */
export function scanSection(scan) {
  if (!scan || !(scan.verdict in verdictTexts)) return [];
  const findings = scan.findings ?? [];
  const hasSeveralFiles = new Set(findings.map((row) => row.file)).size > 1;
  const rows = [
    ...findings.map((row) => findingRow(row, hasSeveralFiles)),
    ...mergeByName(scan.globals ?? [], findings.length > 0).map(globalRow),
  ];
  const moreCount = rows.length - maxRows;
  const verdict = verdictTexts[scan.verdict];
  return [section(heading,
    element("p", {}, scan.verdict === "tensors-only" ? verdict : element("strong.alarm", {}, verdict)),
    rows.length > 0 && table(heading, ["name", ["count", "number"], "what it does"], rows.slice(0, maxRows)),
    moreCount > 0 && element("p.muted", {}, `The JSON of this job lists ${plural(moreCount, "more name")}.`))];
}

/**
 * Adds up the counts of globals that several files name. With findings, only inert globals are kept: the findings
 * include the others.
 * @param {NamedGlobal[]} globals
 * @param {boolean} inertOnly
 */
function mergeByName(globals, inertOnly) {
  /** @type {Map<string, NamedGlobal>} */
  const byName = new Map();
  for (const global of globals) {
    if (inertOnly && !global.inert) continue;
    const known = byName.get(global.name);
    if (known) known.count += global.count;
    else byName.set(global.name, { ...global });
  }
  return [...byName.values()];
}

/** @param {number} count */
const countCell = (count) => numberCell(`${formatNumber(count)} ×`);

/** @param {Finding} finding @param {boolean} showFile */
function findingRow({ file, record, offset, what, grade, words, count }, showFile) {
  const place = [showFile ? file : "", record, `byte ${formatNumber(offset)}`].filter(Boolean).join(", ");
  const alarm = grade === "inert" ? "" : ".alarm";
  return element("tr", {}, element(`td.name${alarm}`, {}, nameNode(truncate(what, 400))), countCell(count),
    element(`td${alarm}`, {}, `${visible(words)}. Not executed, not copied.`,
      element("span.detail", {}, visible(place))));
}

/** @param {NamedGlobal} global */
function globalRow({ name, inert, words, count }) {
  return element("tr", {}, inert ? nameCell(name) : element("td.name.alarm", {}, nameNode(name)), countCell(count),
    element(inert ? "td.good" : "td.alarm", {}, visible(words)));
}
