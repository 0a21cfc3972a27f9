// Where the bytes are: a bar for the eye, a table that says the same.
import { element, numberCell, section } from "../shared/dom.js";
import { bytes, name, percent, plural, visible } from "../shared/text.js";

const kTints = 8; // then "other", which has the last

/** The pictures by module and by dtype; nothing where there are no bytes. */
export function sharesSection(shares) {
  const pictures = [picture("by module", shares?.by_module ?? []), picture("by dtype", shares?.by_dtype ?? [])].filter(Boolean);
  if (pictures.length === 0) return [];
  return [section("Where the bytes are", element("div.two", {}, pictures))];
}

function picture(by, all) {
  const parts = all.filter((part) => part.bytes > 0); // what is tied to another has no bytes of its own
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (total === 0) return null;
  const tint = (number) => `tint-${parts[number].name === "other" ? kTints : Math.min(number, kTints - 1)}`;
  const words = parts.map((part) => `${visible(part.name)} ${percent(part.bytes / total)}`).join(", ");
  const bars = parts.map((part, number) => {
    const bar = element(`i.${tint(number)}`);
    bar.style.flexGrow = String(part.bytes);
    return bar;
  });
  const rows = parts.map((part, number) => {
    const cell = element("td.name", {}, element(`span.swatch.${tint(number)}`), name(part.name));
    return element("tr", {}, cell, element("td.number.shy", {}, plural(part.tensors, "tensor")), numberCell(bytes(part.bytes)), numberCell(percent(part.bytes / total)));
  });
  return element("div", {}, element("p.quiet.by", {}, by), element("div.shares", { role: "img", "aria-label": `Bytes ${by}: ${words}` }, bars),
    element("div.scroll", {}, element("table", { "aria-label": `Bytes ${by}` }, element("tbody", {}, rows))));
}
