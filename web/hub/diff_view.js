// Shows the changes of a commit or a pull request: the files, and the lines of text files.
import { element, numberCell, section, table } from "../shared/dom.js";
import { problemNodes } from "../shared/problem.js";
import { formatBytes, formatNumber, nameNode, plural, visible } from "../shared/text.js";
import { readText } from "./file.js";
import { kindCell, mayExecute, weightsKind } from "./file_kind.js";
import { linkCell } from "./layout.js";
import { diffLines } from "./line_diff.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Entry} Entry */
/** @typedef {import("./hub_types").Change} Change */
/** @typedef {import("./hub_types").Comparison} Comparison */
/** @typedef {{from: string, to: string}} Revisions the commits that are compared */

const maxTextBytes = 128 * 1024;
const maxOpen = 3;
const maxListed = 50;

/** @param {Change} change */
const kindOfChange = ({ before, after }) => (!before ? "added" : !after ? "removed" : "changed");

/** @param {Change} change */
function sizes({ before, after }) {
  if (!before) return formatBytes(after.size);
  if (!after) return element("s", {}, formatBytes(before.size));
  if (before.size === after.size) return formatBytes(after.size);
  return `${formatBytes(before.size)} → ${formatBytes(after.size)}`;
}

/** @param {Repo} repo @param {Change} change @param {Revisions} revisions */
function row(repo, change, { from, to }) {
  return element("tr", {}, linkCell(urls.file(repo, change.after ? to : from, change.path), change.path),
    kindCell(change.path), element("td", {}, kindOfChange(change)), numberCell(sizes(change)));
}

/** @param {Entry | null} entry */
const isSmallText = (entry) => !entry || (!entry.lfs && entry.size <= maxTextBytes);
/** @param {Change} change */
const hasLines = ({ path, before, after }) => isSmallText(before) && isSmallText(after) && !weightsKind(path);

/** @param {Repo} repo @param {Change} change @param {Revisions} revisions */
async function changedLines(repo, { path, before, after }, { from, to }) {
  const [oldText, newText] = await Promise.all([
    before ? readText(repo, from, before, maxTextBytes) : "", after ? readText(repo, to, after, maxTextBytes) : ""]);
  if (oldText === null || newText === null) return element("p.muted", {}, "This is not a text file.");
  const lines = diffLines(oldText, newText).map(lineNode);
  if (lines.length === 0) return element("p.muted", {}, "No line differs.");
  return element("div.listing", { tabindex: "0", role: "region", "aria-label": `Lines of ${visible(path)}` },
    element("pre.diff", {}, lines));
}

/** @param {import("./line_diff.js").DiffLine} line */
function lineNode({ mark, text }) {
  if (mark === "@") return element("span.skipped", {}, `${text}\n`);
  const className = { "+": "added", "-": "removed", " ": "unchanged" }[mark];
  return element(`span.${className}`, {}, mark !== " " && element("span.visually-hidden", {}, `${className}: `),
    `${mark} ${visible(text.replaceAll("\t", "    "))}\n`);
}

/**
 * A box that loads the lines when it is opened.
 * @param {Repo} repo
 * @param {Change} change
 * @param {Revisions} revisions
 * @param {boolean} isOpen
 */
function linesBox(repo, change, revisions, isOpen) {
  const box = element("details.change", {}, element("summary", {},
    nameNode(change.path), element("span.muted", {}, ` ${kindOfChange(change)}`)));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.childElementCount > 1) return;
    const placeholder = element("p.muted", {}, "…");
    box.append(placeholder);
    try {
      placeholder.replaceWith(await changedLines(repo, change, revisions));
    } catch (error) {
      placeholder.replaceChildren(...problemNodes(error));
    }
  });
  box.open = isOpen;
  return box;
}

/**
 * The sections with the changed files and lines.
 * @param {Repo} repo
 * @param {Comparison} comparison
 * @param {string} from the commit before the changes
 * @param {string} to the commit after the changes
 */
export function changedSections(repo, { changes, isTruncated }, from, to) {
  if (changes.length === 0) return [section("Changed files", element("p.muted", {}, "No files change."))];

  const revisions = { from, to };
  const rows = changes.map((change) => row(repo, change, revisions));
  const heading = "Changed files";
  const sections = [section(heading, table(heading, ["file", "kind", "change", ["size", "number"]], rows),
    isTruncated && element("p.muted", {}, `Only the first ${formatNumber(changes.length)} changed files are shown.`))];
  const texts = changes.filter(hasLines);
  if (texts.length === 0) return sections;
  const boxes = texts.slice(0, maxListed).map((change, i) => linesBox(repo, change, revisions, i < maxOpen));
  const moreCount = texts.length - maxListed;
  return [...sections, section("Changed lines", boxes,
    moreCount > 0 && element("p.muted", {}, `${plural(moreCount, "more text file")} changed.`))];
}

/**
 * What kind of files change, in one or two sentences.
 * @param {Comparison} comparison
 */
export function changeSummary({ changes, isTruncated }) {
  if (changes.length === 0) return "No files change.";
  const isSafetensors = (/** @type {Change} */ { path }) =>
    weightsKind(path) === "safetensors" || path.endsWith(".safetensors.index.json");
  if (!isTruncated && changes.every((change) => !change.before && isSafetensors(change))) {
    return `Adds ${plural(changes.length, "safetensors file")} and changes nothing else. Check compares the tensors.`;
  }
  const count = `Changes ${isTruncated ? "more than " : ""}${plural(changes.length, "file")}`;
  const executable = changes.filter(({ path, after }) => after && mayExecute(path)).length;
  return executable > 0 ? `${count}. ${formatNumber(executable)} of them may execute code when opened.` : `${count}.`;
}
