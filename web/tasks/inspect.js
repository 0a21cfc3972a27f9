// What is inside, without downloading it.
import { element, nameCell, numberCell, section, table, title } from "../shared/dom.js";
import { addressForm, taskHead } from "./form.js";
import { notes } from "./plan.js";
import { scanSection } from "./scan.js";
import { sharesSection } from "./size_charts.js";
import { TensorTable } from "./tensor_table.js";
import { cut, grouped, name, short, visible } from "../shared/text.js";

const kHeading = "Look inside a model";

export function inspectHead(page, address) {
  const form = addressForm(page, { kind: "inspect", label: "A model, one of its files, or a pasted address", press: "Inspect", address });
  return { node: taskHead(page, kHeading, form, null), form };
}

/** @param {import("./main.js").Page} page */
export function inspectView(page) {
  title(kHeading);
  const { node, form } = inspectHead(page, page.query.get("address") ?? "");
  page.main.append(node, element("section", {}, element("p.lead", {},
    "Names, types, shapes and sizes of every tensor, read with a few range requests. The weights themselves stay where they are.")));
  if (form.input.value) node.querySelector("button").focus();
  else if (matchMedia("(hover: hover)").matches) form.input.focus();
}

export function inspectResult(page, job) {
  const { result } = job;
  return [
    element("section.verdict.nothing", {}, element("h2.sentence", {}, visible(job.sentence)), element("p", {}, "The weights themselves were not downloaded.", result.commit ? [" At commit ", element("code", {}, short(result.commit)), "."] : "")),
    section("Files", filesTable(result.files), notes(result)),
    ...sharesSection(result.shares), ...scanSection(result.scan), ...metadata(result.files), ...besides(result),
    ...(result.tensors > 0 ? [new TensorTable(job.id).node] : []),
  ];
}

const filesTable = (files) => table("Files", ["file", "container", ["tensors", "number"], ["tensor bytes", "number shy"], ["file bytes", "number"]], files.map((file) =>
  element("tr", {}, nameCell(file.file), element("td", {}, visible(file.container)), numberCell(grouped(file.tensors)), element("td.number.shy", {}, grouped(file.tensor_bytes)), numberCell(grouped(file.file_bytes)))));

function metadata(files) {
  const rows = files.flatMap((file) => Object.entries(file.metadata ?? {}).map(([key, value]) =>
    element("tr", {}, nameCell(key), element("td.name", {}, name(cut(String(value), 1000))), element("td.name.shy.quiet", {}, name(file.file)))));
  return rows.length === 0 ? [] : [section("Metadata", table("Metadata", ["key", "value", ["file", "shy"]], rows))];
}

/** What is in the pickle beside tensors, and what no safetensors can hold. */
function besides({ leftovers = [], unsupported = [] }) {
  const rows = [
    ...leftovers.map((row) => element("tr", {}, nameCell(row.path), element("td", {}, visible(row.description)))),
    ...unsupported.map((row) => element("tr", {}, nameCell(row.name), element("td", {}, `${visible(row.what)}: not possible in safetensors`))),
  ];
  return rows.length === 0 ? [] : [section("Beside the tensors", table("Beside the tensors", ["name", "what it is"], rows.slice(0, 200)))];
}
