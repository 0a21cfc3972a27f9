// The plan of a conversion: which files are converted, which are not and why, and which pull requests exist already.
import { code, element, nameCell, numberCell, section, table } from "../shared/dom.js";
import { guarded, problemLine } from "../shared/problem.js";
import { formatBytes, formatNumber, nameNode, plural, shortCommit, visible, visibleLines } from "../shared/text.js";
import { accountField, startJob } from "./form.js";
import { hubLink, previousSection } from "./pull_requests.js";
import { scanSection } from "./scan.js";

/** @typedef {import("./main.js").Page} Page */
/** @typedef {import("./api_types").Job} Job */
/** @typedef {import("./api_types").PlanResult} PlanResult */
/** @typedef {import("./api_types").ConvertedFile} ConvertedFile */

/** @param {Page} page @param {Job} job */
export function planResult(page, job) {
  /** @type {PlanResult} */
  const result = job.result;
  const hasSentence = job.answer === "nothing" || job.answer === "no";
  return [
    guarded("Plan", () => section("Plan",
      hasSentence && element("p", {}, element("strong", {}, visible(job.sentence))),
      summary(result, job.revision), filesTable(result), notes(result),
      result.files.length > 0 && startForm(page, job, result))),
    guarded("Pull requests", () => previousSection(job.repo, result.previous)),
    guarded("Scan", () => scanSection(result.scan)),
    guarded("Text", () => pullRequestText(result)),
  ];
}

/** @param {PlanResult} result @param {string} revision */
function summary({ files, already, left, failed, previous, commit, read_bytes: readBytes }, revision) {
  if (files.length === 0) return null;
  const total = files.length + already.length + left.length + failed.length;
  const same = previous.find((request) => request.does_it);
  return element("p", {},
    element("strong", {}, `${formatNumber(files.length)} of ${plural(total, "file")}`),
    ` become${files.length === 1 ? "s" : ""} safetensors, ${formatBytes(readBytes)} to read. `,
    "No code in them is executed. ",
    "Revision ", code(revision || "main"), commit && [", commit ", code(shortCommit(commit))], ". ",
    same
      ? ["Pull request ", hubLink(same.url, `#${same.number}`), " already does this."]
      : "No pull request does this yet.");
}

/**
 * All model files of the repository, and what becomes of each.
 * @param {PlanResult} result
 */
export function filesTable({ files, indexes, already, left, failed }) {
  /**
   * @param {string} source
   * @param {HTMLElement} target
   * @param {number | undefined} bytes
   * @param {...import("../shared/dom.js").Child} details
   */
  const row = (source, target, bytes, ...details) => element("tr", {}, nameCell(source), target,
    numberCell(bytes === undefined ? "" : formatNumber(bytes)), element("td", {}, details));
  /** @param {string} target */
  const targetCell = (target) => element("td.name.becomes", {}, nameNode(target));
  const skipped = [...already, ...left].map((file) =>
    row(file.file, element("td", {}, "not converted"), file.bytes, visible(file.reason)));
  for (const skippedRow of skipped) skippedRow.classList.add("muted");
  const rows = [
    ...files.map((file) => row(file.source, targetCell(file.target), file.bytes, fileDetails(file))),
    ...indexes.map((index) => row(index.source, targetCell(index.target), undefined, "index, rewritten")),
    ...failed.map((file) => row(file.file, element("td", {}, "cannot be read"), undefined, visible(file.error),
      file.hint && element("span.detail", {}, visible(file.hint)))),
    ...skipped,
  ];
  return rows.length === 0 ? null : table("Files", ["file", "becomes", ["bytes", "number"], "details"], rows);
}

const maxNames = 6;
/** @param {string[]} names */
const list = (names) => names.slice(0, maxNames).map(visible).join(", ") +
  (names.length > maxNames ? ` and ${formatNumber(names.length - maxNames)} more` : "");

/**
 * "160 tensors", then a line for each thing that is not copied as it is.
 * @param {ConvertedFile} file
 */
function fileDetails({ tensors, tied, leftovers, skipped, notes: remarks }) {
  const lines = [
    tied.length > 0 && `tied, stored once: ${list(tied.map((tie) => `${tie.name} (as ${tie.kept})`))}`,
    leftovers.length > 0 && `not weights, skipped: ${list(leftovers.map(({ path }) => path))}`,
    skipped.length > 0 && `not supported by safetensors: ${list(skipped.map(({ name, what }) => `${name} (${what})`))}`,
    ...remarks.map(visible),
  ];
  return [tensors > 0 ? plural(tensors, "tensor") : "weights",
    ...lines.map((line) => line && element("span.detail", {}, line))];
}

/**
 * The server's remarks on a result.
 * @param {{notes?: string[]}} result
 */
export const notes = (result) => (result.notes ?? []).map((note) => element("p.muted", {}, visible(note)));

/**
 * The buttons that start the conversion.
 * @param {Page} page
 * @param {Job} job
 * @param {PlanResult} result
 */
function startForm(page, job, result) {
  const problem = problemLine();
  const form = element("form.start", { novalidate: true });
  accountField().then(({ token, account }) => {
    const isDone = result.previous.some((request) => request.does_it);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const pressed = /** @type {HTMLButtonElement} */ (event.submitter);
      pressed.disabled = true;
      const hasPullRequest = pressed.value === "pull-request";
      await startJob(page, problem,
        { kind: "convert", address: job.address, pull_request: hasPullRequest, token: token.take() });
      pressed.disabled = false;
    });
    form.append(element("p.actions", {},
      element(isDone ? "button.secondary" : "button", { value: "pull-request" }, "Convert and open a pull request"),
      element("button.secondary", { value: "download" }, "Convert for download")), problem.node, token.node);
    if (!account && result.previous.length === 0) token.open();
  }, (error) => { form.append(problem.node); problem.show(error); });
  return form;
}

/**
 * The text of the pull request as it would be posted. It may contain names from the model.
 * @param {PlanResult} result
 */
function pullRequestText({ title, description, files }) {
  if (files.length === 0 || !title) return [];
  const text = `${visible(title)}\n\n${visibleLines(description ?? "")}`;
  return [element("details", {}, element("summary", {}, "Text of the pull request"),
    element("pre.prose", { tabindex: "0" }, text))];
}
