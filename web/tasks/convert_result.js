// The result of a conversion.
import { code, copyButton, element, numberCell, section, table } from "../shared/dom.js";
import { guarded } from "../shared/problem.js";
import { formatBytes, formatDuration, formatNumber, nameNode, visible, visibleLines } from "../shared/text.js";
import { apiUrl, jobPath } from "./api.js";
import { mergeSection } from "./merge.js";
import { filesTable, notes } from "./plan.js";
import { checkUrl, hubLink, previousSection } from "./pull_requests.js";
import { scanSection } from "./scan.js";
import { sizeSection } from "./size_charts.js";
import { TensorTable } from "./tensor_table.js";
import { verdictSection } from "./verdict.js";

/** @typedef {import("./api_types").Job} Job */
/** @typedef {import("./api_types").ConvertResult} ConvertResult */

/** @param {import("./main.js").Page} _page @param {Job} job */
export function convertResult(_page, job) {
  /** @type {ConvertResult} */
  const result = job.result;
  return [
    verdictSection(job.answer, element("h1", { tabindex: "-1" }, visible(job.sentence)),
      story(job.repo, result), actions(job, result)),
    guarded("Load in Python", () => pythonSection(result)),
    guarded("Download", () => downloadSection(job.id, result)),
    guarded("Sizes", () => sizeSection(result.shares)),
    guarded("Scan", () => scanSection(result.scan)),
    guarded("Files", () => section("Files", filesTable(result), notes(result))),
    guarded("Pull requests", () =>
      (result.outcome === "opened" ? mergeSection(job) : previousSection(job.repo, result.previous))),
    guarded("Tensors", () => result.tensors > 0 && new TensorTable(job.id).node),
  ];
}

/**
 * What was written, and where.
 * @param {string} repo
 * @param {ConvertResult} result
 */
function story(repo, result) {
  if (result.outcome === "already-open") return element("p", {}, "No second pull request was opened.");
  if (result.outcome !== "opened" && result.outcome !== "written") return null;
  const targets = [...result.files, ...result.indexes].map(({ target }) => code(target));
  const listed = targets.slice(0, 3).flatMap((target, i) => (i === 0 ? [target] : [", ", target]));
  const rest = targets.length > 3 ? ` and ${formatNumber(targets.length - 3)} more` : "";
  const bytes = result.downloaded_bytes;
  const source = bytes > 0 ? `Downloaded ${formatBytes(bytes)}` : "Read from the cache";
  const time = element("p.muted", {}, `${source}, converted and compared in ${formatDuration(result.seconds ?? 0)}.`);
  if (result.outcome === "written") {
    return [element("p", {}, "Wrote ", listed, rest, ". The Hub was not changed."), time];
  }
  const superseded = (result.superseded ?? []).map((number) => `#${number}`).join(", ");
  return [
    element("p", {}, hubLink(result.url, `Pull request ${result.pull_request}`), " adds ", listed, rest, " to ",
      element("span.name", {}, nameNode(repo)), ". It changes nothing else.",
      superseded && ` It replaces ${superseded}.`),
    time,
  ];
}

/** @param {Job} job @param {ConvertResult} result */
function actions(job, result) {
  const number = result.pull_request;
  const receiptUrl = apiUrl(jobPath(job.id, "/receipt"));
  const links = [
    number && hubLink(result.url, "Open pull request", "a.button"),
    number && element("a.button.secondary", { href: checkUrl(job.repo, number) }, "Check pull request"),
    result.has_receipt && element("a.button.secondary", { href: receiptUrl, download: true }, "Download receipt"),
  ].filter(Boolean);
  return links.length > 0 ? element("p.actions", {}, links) : null;
}

/** @param {ConvertResult} result */
function pythonSection({ python, pull_request: number }) {
  if (!python) return [];
  return [section(number ? "Load the pull request in Python" : "Load the model in Python", element("div.copyable", {},
    element("pre", { tabindex: "0" }, element("code", {}, visibleLines(python))), copyButton(() => python)))];
}

/** @param {string} id @param {ConvertResult} result */
function downloadSection(id, { downloads }) {
  if (!downloads || downloads.length === 0) return [];
  const rows = downloads.map(({ file, bytes }) => {
    const path = file.split("/").map(encodeURIComponent).join("/");
    const link = element("a", { href: apiUrl(jobPath(id, `/files/${path}`)), download: true }, nameNode(file));
    return element("tr", {}, element("td.name", {}, link), numberCell(formatNumber(bytes)));
  });
  return [section("Download", table("Converted files", ["file", ["bytes", "number"]], rows))];
}
