// What a conversion came to: the sentence, where the pull request is, how to use it now, and the evidence.
import { code, copyButton, element, numberCell, section, table } from "../shared/dom.js";
import { mergeSection } from "./merge.js";
import { filesTable, notes } from "./plan.js";
import { checkPath, hubLink, previousSection } from "./pull_requests.js";
import { scanSection } from "./scan.js";
import { sharesSection } from "./size_charts.js";
import { TensorTable } from "./tensor_table.js";
import { bytes, duration, grouped, name, visible } from "../shared/text.js";

const kTone = { yes: "", no: ".no", nothing: ".nothing" };

/** @param {import("./main.js").Page} page */
export function convertResult(page, job) {
  const { result } = job;
  return [
    element(`section.verdict${kTone[job.answer] ?? ""}`, {}, element("h1", { tabindex: "-1" }, visible(job.sentence)), story(job), actions(job)),
    ...useIt(result), ...downloads(job),
    ...sharesSection(result.shares), ...scanSection(result.scan),
    section("What became of the files", filesTable(result), notes(result)),
    ...(result.outcome === "opened" ? mergeSection(job) : previousSection(job.repo, result.previous)),
    ...(result.tensors > 0 ? [new TensorTable(job.id).node] : []),
  ];
}

/** What has changed where, in a line or two. */
function story({ repo, result }) {
  const targets = result.files.map((file) => code(file.target)).concat(result.indexes.map((index) => code(index.target)));
  const listed = targets.slice(0, 3).flatMap((target, at) => (at === 0 ? [target] : [", ", target]));
  const rest = targets.length > 3 ? ` and ${grouped(targets.length - 3)} more` : "";
  const took = `${result.downloaded_bytes > 0 ? `Read ${bytes(result.downloaded_bytes)}` : "Read from the cache"}, converted and compared in ${duration(result.seconds ?? 0)}.`;
  if (result.outcome === "opened") {
    const closed = result.superseded?.length > 0 ? ` It replaces ${result.superseded.map((number) => `#${number}`).join(", ")}.` : "";
    return [element("p", {}, hubLink(result.url, `Pull request ${result.pull_request}`), " adds ", listed, rest, " to ", element("span.name", {}, name(repo)), `. It changes nothing else.${closed}`), element("p.quiet", {}, took)];
  }
  if (result.outcome === "written") return [element("p", {}, "Made ", listed, rest, ". Nothing was changed on the Hub."), element("p.quiet", {}, took)];
  if (result.outcome === "already-open") return element("p", {}, "Nothing was changed: one pull request is enough.");
  return null;
}

function actions(job) {
  const { result } = job;
  const buttons = [];
  if (result.pull_request) {
    buttons.push(hubLink(result.url, "Open the pull request", "a.button"));
    buttons.push(element("a.button.second", { href: checkPath({ repo: job.repo, number: result.pull_request }) }, "Check it"));
  }
  if (result.has_receipt) buttons.push(element("a.button.second", { href: `/api/v1/jobs/${encodeURIComponent(job.id)}/receipt`, download: true }, "Receipt"));
  return buttons.length > 0 ? element("p.actions", {}, buttons) : null;
}

function useIt({ python, pull_request: number }) {
  if (!python) return [];
  return [section(number ? "Use it now, before it is merged" : "Use it",
    element("div.copied", {}, element("pre", { tabindex: "0" }, element("code", {}, visibleLines(python))), copyButton(() => python)))];
}

const visibleLines = (text) => text.split("\n").map(visible).join("\n");

function downloads({ id, result }) {
  if (!result.downloads || result.downloads.length === 0) return [];
  const rows = result.downloads.map(({ file, bytes: size }) => {
    const path = file.split("/").map(encodeURIComponent).join("/");
    return element("tr", {}, element("td.name", {}, element("a", { href: `/api/v1/jobs/${encodeURIComponent(id)}/files/${path}`, download: true }, name(file))), numberCell(grouped(size)));
  });
  return [section("Download", table("Converted files", ["file", ["bytes", "number"]], rows))];
}
