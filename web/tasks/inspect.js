// Inspecting a model: its tensors, metadata and pickle globals, without downloading the weights.
import { element, nameCell, numberCell, section, setTitle, table } from "../shared/dom.js";
import { guarded } from "../shared/problem.js";
import { formatNumber, nameNode, shortCommit, truncate, visible } from "../shared/text.js";
import { addressForm, taskHead } from "./form.js";
import { notes } from "./plan.js";
import { scanSection } from "./scan.js";
import { sizeSection } from "./size_charts.js";
import { TensorTable } from "./tensor_table.js";
import { verdictSection } from "./verdict.js";

/** @typedef {import("./main.js").Page} Page */
/** @typedef {import("./api_types").InspectedFile} InspectedFile */
/** @typedef {import("./api_types").InspectResult} InspectResult */

const heading = "Inspect a model";
const maxRows = 200;

/** @param {Page} page @param {string} address */
export function inspectHead(page, address) {
  const form = addressForm(page, {
    kind: "inspect", label: "A model, one of its files, or a pasted URL", buttonText: "Inspect", address,
  });
  return { node: taskHead(heading, form), form };
}

/** @param {Page} page */
export function inspectView(page) {
  setTitle(heading);
  const { node, form } = inspectHead(page, page.query.get("address") ?? "");
  page.main.append(node, element("section", {}, element("p.lead", {},
    "Lists the name, dtype, shape and size of every tensor. It needs only a few range requests: ",
    "the weights are not downloaded.")));
  form.focus();
}

/** @param {Page} _page @param {import("./api_types").Job} job */
export function inspectResult(_page, job) {
  /** @type {InspectResult} */
  const result = job.result;
  return [
    verdictSection("nothing", element("h2.sentence", {}, visible(job.sentence)),
      element("p", {}, "The weights were not downloaded.",
        result.commit && [" Commit ", element("code", {}, shortCommit(result.commit)), "."])),
    guarded("Files", () => section("Files", filesTable(result.files), notes(result))),
    guarded("Sizes", () => sizeSection(result.shares)),
    guarded("Scan", () => scanSection(result.scan)),
    guarded("Metadata", () => metadataSection(result.files)),
    guarded("Other content", () => otherContent(result)),
    guarded("Tensors", () => result.tensors > 0 && new TensorTable(job.id).node),
  ];
}

/** @param {InspectedFile[]} files */
function filesTable(files) {
  const heads = /** @type {import("../shared/dom_types").Head[]} */ ([
    "file", "container", ["tensors", "number"], ["tensor bytes", "number wide-only"], ["file bytes", "number"]]);
  return table("Files", heads, files.map((file) => element("tr", {},
    nameCell(file.file),
    element("td", {}, visible(file.container)),
    numberCell(formatNumber(file.tensors)),
    element("td.number.wide-only", {}, formatNumber(file.tensor_bytes)),
    numberCell(formatNumber(file.file_bytes)))));
}

/** @param {InspectedFile[]} files */
function metadataSection(files) {
  const rows = files.flatMap((file) => Object.entries(file.metadata ?? {}).map(([key, value]) => element("tr", {},
    nameCell(key),
    element("td.name", {}, nameNode(truncate(String(value), 1000))),
    element("td.name.wide-only.muted", {}, nameNode(file.file)))));
  if (rows.length === 0) return [];
  return [section("Metadata", table("Metadata", ["key", "value", ["file", "wide-only"]], rows))];
}

/**
 * What the pickle contains besides tensors that can be converted.
 * @param {InspectResult} result
 */
function otherContent({ leftovers = [], unsupported = [] }) {
  const rows = [
    ...leftovers.map(({ path, description }) => element("tr", {},
      nameCell(path), element("td", {}, visible(description)))),
    ...unsupported.map(({ name, what }) => element("tr", {},
      nameCell(name), element("td", {}, `${visible(what)}: not supported by safetensors`))),
  ];
  if (rows.length === 0) return [];
  return [section("Other content", table("Other content", ["name", "content"], rows.slice(0, maxRows)))];
}
