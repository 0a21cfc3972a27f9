// Shows what a commit or a pull request changes: every file, and the lines of those that are text.
import { element, nameCell, numberCell, section, table } from "../shared/dom.js";
import { bytes, grouped, name, plural, visible } from "../shared/text.js";
import * as address from "./urls.js";
import { textOf } from "./file.js";
import { link } from "./layout.js";
import { differentLines } from "./line_diff.js";
import { kindCell, weightsKind } from "./file_kind.js";

const kMostText = 128 * 1024;
const kMostOpen = 3;
const kMostListed = 50;

/** @typedef {import("./compare_commits.js").Change} Change */

const wordOf = (change) => (!change.before ? "added" : !change.after ? "removed" : "changed");

function sizes({ before, after }) {
  if (!before) return bytes(after.size);
  if (!after) return element("s", {}, bytes(before.size));
  return before.size === after.size ? bytes(after.size) : `${bytes(before.size)} → ${bytes(after.size)}`;
}

function row(repo, change, from, to) {
  const cell = nameCell("");
  cell.append(link(address.file(repo, change.after ? to : from, change.path), name(change.path)));
  return element("tr", {}, cell, kindCell(change.path), element("td", {}, wordOf(change)), numberCell(sizes(change)));
}

const isText = (entry) => !entry || (!entry.lfs && entry.size <= kMostText);
const hasLines = (change) => isText(change.before) && isText(change.after) && !weightsKind(change.path);

async function linesOf(repo, change, from, to) {
  const [before, after] = await Promise.all([
    change.before ? textOf(repo, from, change.before, kMostText) : "", change.after ? textOf(repo, to, change.after, kMostText) : ""]);
  if (before === null || after === null) return element("p.quiet", {}, "Not text.");
  const words = { "+": "added", "-": "removed" };
  const lines = differentLines(before, after).map(({ mark, text }) => {
    if (mark === "@") return element("span.fold", {}, `${text}\n`);
    return element(`span.${{ "+": "plus", "-": "minus", " ": "same" }[mark]}`, {}, words[mark] && element("span.unseen", {}, `${words[mark]}: `),
      `${mark} ${visible(text.replaceAll("\t", "    "))}\n`);
  });
  if (lines.length === 0) return element("p.quiet", {}, "The same lines.");
  return element("div.listing", { tabindex: "0", role: "region", "aria-label": `Lines of ${visible(change.path)}` }, element("pre.diff", {}, lines));
}

/** The lines are brought when they are looked at. */
function linesBox(repo, change, from, to, open) {
  const box = element("details.change", {}, element("summary", {}, name(change.path), element("span.quiet", {}, ` ${wordOf(change)}`)));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.childElementCount > 1) return;
    const wait = element("p.quiet", {}, "…");
    box.append(wait);
    try {
      wait.replaceWith(await linesOf(repo, change, from, to));
    } catch (problem) {
      wait.textContent = visible(problem.message);
    }
  });
  box.open = open;
  return box;
}

/**
 * The sections that tell of `changes`.
 * @param {{changes: Change[], cut: boolean}} found
 * @param {string} from the revision where removed files still are
 * @param {string} to the revision that has the added ones
 */
export function changedSections(repo, { changes, cut }, from, to) {
  if (changes.length === 0) return [section("Changed files", element("p.quiet", {}, "It changes no file."))];
  const made = table("Changed files", ["file", "kind", "change", ["size", "number"]], changes.map((change) => row(repo, change, from, to)));
  const texts = changes.filter(hasLines);
  return [
    section("Changed files", made, cut && element("p.quiet", {}, `It changes more than these ${grouped(changes.length)}; the page looks no further.`)),
    texts.length > 0 && section("Changed lines", texts.slice(0, kMostListed).map((change, i) => linesBox(repo, change, from, to, i < kMostOpen)),
      texts.length > kMostListed && element("p.quiet", {}, `${plural(texts.length - kMostListed, "more text file")} differ.`)),
  ];
}

/** One sentence on what kinds of files change. */
export function changeSentence({ changes, cut }) {
  if (changes.length === 0) return "It changes no file.";
  const added = changes.filter((change) => !change.before);
  const only = !cut && added.length === changes.length && added.every((change) => weightsKind(change.path) === "safetensors" || change.path.endsWith(".safetensors.index.json"));
  if (only) return `It adds ${plural(added.length, "file")} of safetensors and changes nothing else. Whether the tensors are the same, Check tells.`;
  const code = changes.filter((change) => change.after && (weightsKind(change.path) === "pickle" || /\.(py|sh|ipynb)$/i.test(change.path)));
  const many = `It changes ${cut ? "more than " : ""}${plural(changes.length, "file")}`;
  return code.length > 0 ? `${many}, ${grouped(code.length)} of which can run something when opened.` : `${many}.`;
}
