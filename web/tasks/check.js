// A pull request against what it says it converts: which files change, and every tensor, bit by bit.
import { element, nameCell, numberCell, section, table, title } from "../shared/dom.js";
import { addressForm, taskHead } from "./form.js";
import { mergeSection } from "./merge.js";
import { notes } from "./plan.js";
import { hubLink } from "./pull_requests.js";
import { sharesSection } from "./size_charts.js";
import { TensorTable } from "./tensor_table.js";
import { bytes, cut, grouped, name, plural, short, visible } from "../shared/text.js";

const kHeading = "Check a pull request";
const kMostRows = 200;

export function checkHead(page, address, number) {
  const form = addressForm(page, { kind: "check", label: "A model and the number of its pull request, or a pasted link", press: "Check", address, number, withNumber: true });
  return { node: taskHead(page, kHeading, form, null), form };
}

/** @param {import("./main.js").Page} page */
export function checkView(page) {
  title(kHeading);
  const { node, form } = checkHead(page, page.query.get("address") ?? "", page.query.get("number") ?? "");
  page.main.append(node, element("section", {}, element("p.lead", {},
    "Both sides are read, neither is run: the pickle on the branch, the safetensors of the pull request. Any other file that changes is named, and nothing is taken on trust.")));
  if (form.input.value) node.querySelector("button").focus();
  else if (matchMedia("(hover: hover)").matches) form.input.focus();
}

/** @param {import("./main.js").Page} page */
export function checkResult(page, job) {
  const { result } = job;
  const good = job.answer === "yes";
  return [
    element(`section.verdict${good ? "" : job.answer === "nothing" ? ".nothing" : ".no"}`, {}, element("h2.sentence", {}, visible(job.sentence)), story(result)),
    ...findings(result), section("What changes", changes(result), notes(result)),
    ...mergeSection(job),
    ...(result.tensors_compared > 0 ? [...sharesSection(result.shares), new TensorTable(job.id).node] : []),
  ];
}

function story(result) {
  const compared = result.tensors_compared > 0 ? ` ${plural(result.tensors_compared, "tensor")}, ${bytes(result.bytes_compared)}, compared.` : "";
  return element("p", {}, hubLink(result.url, `Pull request ${result.number}`), " “", element("span", {}, name(cut(result.title, 200))), `” by ${visible(result.author)}, ${visible(result.status)}.${compared}`,
    result.head ? [" At commit ", element("code", {}, short(result.head)), "."] : "");
}

function changes({ files }) {
  const rows = files.map((file) => element("tr", {}, nameCell(file.file), element("td", {}, visible(file.change)),
    numberCell(typeof file.bytes === "number" ? grouped(file.bytes) : ""),
    element(file.expected ? "td.good" : "td.alarm", {}, file.expected ? visible(file.kind) : `${visible(file.kind)}: does not belong in such a pull request`)));
  return rows.length === 0 ? element("p", {}, "No file.") : table("Files that change", ["file", "change", ["bytes", "number"], "what it is"], rows);
}

/** What is not as it should be, tensor by tensor. */
function findings({ tensors }) {
  if (tensors.length === 0) return [];
  const rows = tensors.slice(0, kMostRows).map((row) => element("tr", {}, nameCell(row.name || row.file), element("td.alarm", {}, visible(row.finding)),
    element("td", {}, name(cut(row.what, 600)), row.name ? element("span.why", {}, name(row.file)) : null)));
  const more = tensors.length - kMostRows;
  return [section("What is wrong", table("What is wrong", ["tensor", "finding", "what"], rows),
    more > 0 ? element("p.quiet", {}, `And ${plural(more, "more tensor")}: all of them are in the table below.`) : null)];
}
