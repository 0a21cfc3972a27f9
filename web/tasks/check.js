// Checking a pull request: which files change, and whether every tensor is identical to the pickle's.
import { element, nameCell, numberCell, section, setTitle, table } from "../shared/dom.js";
import { guarded } from "../shared/problem.js";
import { formatBytes, formatNumber, nameNode, plural, shortCommit, truncate, visible } from "../shared/text.js";
import { addressForm, taskHead } from "./form.js";
import { mergeSection } from "./merge.js";
import { notes } from "./plan.js";
import { hubLink } from "./pull_requests.js";
import { sizeSection } from "./size_charts.js";
import { TensorTable } from "./tensor_table.js";
import { verdictSection } from "./verdict.js";

/** @typedef {import("./main.js").Page} Page */
/** @typedef {import("./api_types").CheckResult} CheckResult */

const heading = "Check a pull request";
const maxProblems = 200;

/** @param {Page} page @param {string} address @param {string} number */
export function checkHead(page, address, number) {
  const form = addressForm(page, {
    kind: "check", label: "A model and the number of its pull request, or a pasted URL", buttonText: "Check",
    address, number, hasNumber: true,
  });
  return { node: taskHead(heading, form), form };
}

/** @param {Page} page */
export function checkView(page) {
  setTitle(heading);
  const { node, form } = checkHead(page, page.query.get("address") ?? "", page.query.get("number") ?? "");
  page.main.append(node, element("section", {}, element("p.lead", {},
    "Compares every tensor of the pull request's safetensors with the pickle on the branch. Neither file is executed. ",
    "All other changed files are listed.")));
  form.focus();
}

/** @param {Page} _page @param {import("./api_types").Job} job */
export function checkResult(_page, job) {
  /** @type {CheckResult} */
  const result = job.result;
  return [
    verdictSection(job.answer, element("h2.sentence", {}, visible(job.sentence)), story(result)),
    guarded("Problems", () => problemSection(result)),
    guarded("Changed files", () => section("Changed files", changedFiles(result), notes(result))),
    guarded("Merge", () => mergeSection(job)),
    guarded("Sizes", () => result.tensors_compared > 0 && sizeSection(result.shares)),
    guarded("Tensors", () => result.tensors_compared > 0 && new TensorTable(job.id).node),
  ];
}

/** @param {CheckResult} result */
function story({ url, number, title, author, status, head, tensors_compared: tensors, bytes_compared: bytes }) {
  return element("p", {}, hubLink(url, `Pull request ${number}`),
    " “", element("span", {}, nameNode(truncate(title, 200))), `” by ${visible(author)}, ${visible(status)}.`,
    tensors > 0 && ` Compared ${plural(tensors, "tensor")}, ${formatBytes(bytes)}.`,
    head && [" Commit ", element("code", {}, shortCommit(head)), "."]);
}

/** @param {CheckResult} result */
function changedFiles({ files }) {
  const rows = files.map(({ file, change, bytes, expected: isExpected, kind }) => element("tr", {},
    nameCell(file),
    element("td", {}, visible(change)),
    numberCell(bytes === undefined ? "" : formatNumber(bytes)),
    isExpected
      ? element("td.good", {}, visible(kind))
      : element("td.alarm", {}, `${visible(kind)}: not expected in a conversion`)));
  if (rows.length === 0) return element("p", {}, "No files change.");
  return table("Changed files", ["file", "change", ["bytes", "number"], "kind"], rows);
}

/**
 * The tensors and files that failed the check.
 * @param {CheckResult} result
 */
function problemSection({ tensors }) {
  if (tensors.length === 0) return [];
  const rows = tensors.slice(0, maxProblems).map(({ name, file, finding, what }) => element("tr", {},
    nameCell(name || file),
    element("td.alarm", {}, visible(finding)),
    element("td", {}, nameNode(truncate(what, 600)), name && element("span.detail", {}, nameNode(file)))));
  const moreCount = tensors.length - maxProblems;
  return [section("Problems", table("Problems", ["tensor", "problem", "details"], rows),
    moreCount > 0 && element("p.muted", {}, `The table below lists ${plural(moreCount, "more tensor")}.`))];
}
