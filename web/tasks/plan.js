// The plan: which files become what, what is left alone and why, and what others have done before.
import { post } from "./api.js";
import { code, element, nameCell, numberCell, section, table } from "../shared/dom.js";
import { accountField, problemLine } from "./form.js";
import { hubLink, previousSection } from "./pull_requests.js";
import { scanSection } from "./scan.js";
import { bytes, grouped, name, plural, short, visible } from "../shared/text.js";

/** @param {import("./main.js").Page} page */
export function planResult(page, job) {
  const { result } = job;
  const words = job.answer === "nothing" ? "nothing" : job.answer === "no" ? "no" : null;
  return [
    section("What will happen", words ? element("p", {}, element("strong", {}, visible(job.sentence))) : null, summary(job), filesTable(result), notes(result),
      result.files.length > 0 ? startButtons(page, job) : null),
    ...previousSection(job.repo, result.previous),
    ...scanSection(result.scan),
    ...pullRequestText(result),
  ];
}

function summary({ result, revision }) {
  const { files, already, left, failed } = result;
  const all = files.length + already.length + left.length + failed.length;
  if (files.length === 0) return null;
  const does = result.previous.find((request) => request.does_it);
  return element("p", {}, element("strong", {}, `${grouped(files.length)} of ${plural(all, "file")}`), ` become${files.length === 1 ? "s" : ""} safetensors, ${bytes(result.read_bytes)} to read. `,
    "Nothing in them is run. ", "At ", code(revision || "main"), result.commit ? [", commit ", code(short(result.commit))] : null, ". ",
    does ? ["Pull request ", hubLink(does.url, `#${does.number}`), " does this already."] : "No pull request does this yet.");
}

/** Every file of the repository that could be a model, and what becomes of it. */
export function filesTable({ files, indexes, already, left, failed }) {
  const rows = [
    ...files.map((file) => element("tr", {}, nameCell(file.source), element("td.name.becomes", {}, name(file.target)), numberCell(grouped(file.bytes)), element("td", {}, weightsWords(file)))),
    ...indexes.map((index) => element("tr", {}, nameCell(index.source), element("td.name.becomes", {}, name(index.target)), numberCell(""), element("td", {}, "index, rebuilt"))),
    ...failed.map((file) => element("tr", {}, nameCell(file.file), element("td", {}, "cannot be read"), numberCell(""),
      element("td", {}, visible(file.error), file.hint ? element("span.why", {}, visible(file.hint)) : null))),
    ...[...already, ...left].map((file) => element("tr.quiet", {}, nameCell(file.file), element("td", {}, "left alone"),
      numberCell(typeof file.bytes === "number" ? grouped(file.bytes) : ""), element("td", {}, visible(file.reason)))),
  ];
  return rows.length === 0 ? null : table("Files", ["file", "becomes", ["bytes", "number"], "why"], rows);
}

const kMostNames = 6;
const list = (texts) => texts.slice(0, kMostNames).map(visible).join(", ") + (texts.length > kMostNames ? ` and ${grouped(texts.length - kMostNames)} more` : "");

/** "160 tensors", and under it what is not carried over as it stood. */
function weightsWords({ tensors, tied, leftovers, skipped, notes: remarks }) {
  const lines = [
    tied.length > 0 ? `${list(tied.map((tie) => `${tie.name} is ${tie.kept}`))}, stored once` : "",
    leftovers.length > 0 ? `not weights, left out: ${list(leftovers.map(({ path }) => path))}` : "",
    skipped.length > 0 ? `cannot be in safetensors: ${list(skipped.map((one) => `${one.name} (${one.what})`))}` : "",
    ...remarks.map(visible),
  ];
  return [tensors > 0 ? plural(tensors, "tensor") : "weights", ...lines.filter(Boolean).map((line) => element("span.why", {}, line))];
}

/** What the server had to remark on the whole. */
export const notes = (result) => (result.notes ?? []).map((note) => element("p.quiet", {}, visible(note)));

function startButtons(page, job) {
  const problem = problemLine();
  const place = element("form.start", { novalidate: true });
  const start = async (pressed, take) => {
    problem.clear();
    pressed.disabled = true;
    try {
      const next = await post("jobs", { kind: "convert", address: job.address, pull_request: pressed.value === "open", token: take() });
      page.go(`/jobs/${encodeURIComponent(next.id)}`);
    } catch (refused) {
      problem.show(refused);
    } finally {
      pressed.disabled = false;
    }
  };
  accountField().then(({ token, account }) => {
    const does = job.result.previous.some((request) => request.does_it);
    place.addEventListener("submit", (event) => { event.preventDefault(); start(event.submitter, token.take); });
    place.append(element("p.actions", {}, element(does ? "button.second" : "button", { value: "open" }, "Convert and open a pull request"),
      element("button.second", { value: "only" }, "Only convert")), problem.node, token.node);
    if (!account && job.result.previous.length === 0) token.node.open = true;
  }, (refused) => { place.append(problem.node); problem.show(refused); });
  return place;
}

/** The words of the pull request as they would be posted: they may hold names from the model, so they are shown plainly. */
function pullRequestText({ title, description, files }) {
  if (files.length === 0 || !title) return [];
  return [element("details", {}, element("summary", {}, "The words of the pull request"), element("pre.prose", { tabindex: "0" }, `${visible(title)}\n\n${prose(description)}`))];
}

/** Text with its line breaks kept and everything else that hides made visible. */
export const prose = (text) => String(text ?? "").split(/\r?\n/).map(visible).join("\n");
