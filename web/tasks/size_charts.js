// Bytes by module and by dtype: a bar, and a table with the same numbers.
import { element, numberCell, section } from "../shared/dom.js";
import { formatBytes, formatPercent, nameNode, plural, visible } from "../shared/text.js";

/** @typedef {import("./api_types").Share} Share */

const maxTints = 8; // "other" has one more: .tint-8

/** @param {import("./api_types").Shares | undefined} shares @returns {HTMLElement[]} nothing if there are no bytes */
export function sizeSection(shares) {
  const charts = [chart("by module", shares?.by_module ?? []), chart("by dtype", shares?.by_dtype ?? [])];
  if (charts.every((made) => made === null)) return [];
  return [section("Size by module and dtype", element("div.columns", {}, charts))];
}

/** @param {string} caption @param {Share[]} shares */
function chart(caption, shares) {
  const parts = shares.filter((part) => part.bytes > 0); // tied tensors have no bytes of their own
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (total === 0) return null;
  /** @param {Share} part @param {number} i */
  const tint = (part, i) => `tint-${part.name === "other" ? maxTints : Math.min(i, maxTints - 1)}`;
  const text = parts.map((part) => `${visible(part.name)} ${formatPercent(part.bytes / total)}`).join(", ");
  const bars = parts.map((part, i) => {
    const bar = element(`i.${tint(part, i)}`);
    bar.style.flexGrow = String(part.bytes);
    return bar;
  });
  const rows = parts.map((part, i) => element("tr", {},
    element("td.name", {}, element(`span.swatch.${tint(part, i)}`), nameNode(part.name)),
    element("td.number.wide-only", {}, plural(part.tensors, "tensor")),
    numberCell(formatBytes(part.bytes)),
    numberCell(formatPercent(part.bytes / total))));
  const label = `Bytes ${caption}`;
  return element("div", {}, element("p.muted.chart-caption", {}, caption),
    element("div.chart", { role: "img", "aria-label": `${label}: ${text}` }, bars),
    element("div.scroll", {}, element("table", { "aria-label": label }, element("tbody", {}, rows))));
}
