// One file: its facts, and its content if it is text.
import { ApiError, isAborted } from "../shared/api.js";
import { element, section, timeElement } from "../shared/dom.js";
import { loadGuarded } from "../shared/problem.js";
import { formatBytes, formatNumber, nameNode, shortCommit, visibleLines } from "../shared/text.js";
import { weightsKind } from "./file_kind.js";
import { fileName } from "./files.js";
import { account, request, requestJson } from "./hub_api.js";
import { pathLinks, repoHeader, revisionMenu } from "./layout.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Entry} Entry */

const maxTextBytes = 512 * 1024;
const maxDownloadBytes = 64e6; // of a download that the page keeps in memory

const weightsTexts = {
  pickle: "A pickle, judging by the name. Loading it with torch.load or pickle may execute code. " +
    "Inspect reads it without executing anything.",
  safetensors: "Weights in safetensors format: tensors and their names, no code.",
  other: "Weights in another format.",
};

/**
 * A link to the file; with a token a button, because the request for a private file needs it.
 * @param {Repo} repo
 * @param {string} revision
 * @param {Entry} entry
 */
function download(repo, revision, { path, size }) {
  const url = urls.fileContent(repo, revision, path);
  if (!account.name) return element("a.button.secondary", { href: url, download: fileName(path) }, "Download");
  if (size > maxDownloadBytes) {
    const command = element("code", {}, "hf download ", nameNode(repo.fullName), " ", nameNode(path));
    return element("span", {}, "Download it with ", command);
  }
  const button = element("button.secondary", { type: "button" }, "Download");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const blobUrl = URL.createObjectURL(await (await request(url)).blob());
      element("a", { href: blobUrl, download: fileName(path) }).click();
      setTimeout(() => URL.revokeObjectURL(blobUrl), 60_000);
      button.textContent = "Download";
    } catch (error) {
      if (!isAborted(error)) button.textContent = "Download (failed, try again)";
    }
    button.disabled = false;
  });
  return button;
}

/**
 * The first `maxBytes` bytes of a file as text; null if they are not UTF-8 text.
 * @param {Repo} repo
 * @param {string} revision
 * @param {{path: string, size: number}} entry
 */
export async function readText(repo, revision, { path, size }, maxBytes = maxTextBytes) {
  if (size === 0) return "";
  const headers = { Range: `bytes=0-${maxBytes - 1}` };
  const response = await request(urls.fileContent(repo, revision, path), { headers });
  const content = new Uint8Array(await response.arrayBuffer());
  if (content.includes(0)) return null;
  try {
    // With `stream`, a character that is cut off at the end is not an error.
    return new TextDecoder("utf-8", { fatal: true }).decode(content, { stream: size > maxBytes });
  } catch {
    return null;
  }
}

/**
 * Text with line numbers. The numbers are neither copied nor read by screen readers.
 * @param {string} text
 */
function listing(text) {
  const lineCount = text.replace(/\n$/, "").split("\n").length;
  const numbers = Array.from({ length: lineCount }, (_, i) => i + 1).join("\n");
  return element("div.listing", { tabindex: "0", role: "region", "aria-label": "Content of the file" },
    element("pre.lines", { "aria-hidden": "true" }, numbers),
    element("pre.text", {}, element("code", {}, visibleLines(text))));
}

/** @param {Repo} repo @param {string} revision @param {Entry} entry */
async function contentSection(repo, revision, entry) {
  const kind = weightsKind(entry.path);
  if (kind) return section("Content", element("p", {}, weightsTexts[kind]));
  const text = await readText(repo, revision, entry);
  if (text === null) return section("Content", element("p", {}, "This is not a text file."));
  if (text === "") return section("Content", element("p.muted", {}, "The file is empty."));
  const isCut = entry.size > maxTextBytes;
  return section("Content",
    isCut && element("p.muted", {}, `The first ${formatBytes(maxTextBytes)} of ${formatBytes(entry.size)}.`),
    listing(text));
}

/** @param {Repo} repo @param {Entry} entry */
function facts(repo, { size, oid, lfs, lastCommit: last }) {
  return element("dl.facts", {},
    element("dt", {}, "Size"),
    element("dd", {}, formatBytes(size), size > 999 && element("span.muted", {}, ` (${formatNumber(size)})`)),
    element("dt", {}, lfs ? "SHA-256" : "Git blob"),
    element("dd.name", {}, lfs ? lfs.oid : oid),
    last && [element("dt", {}, "Last change"), element("dd", {},
      pageLink(urls.commit(repo, last.id), nameNode(last.title || shortCommit(last.id))), ", ",
      timeElement(last.date))]);
}

/** @param {import("./hub_types").Route} route */
export async function fileView({ repo, revision, path }) {
  /** @type {Entry[]} */
  const [entry] = await requestJson(urls.api(repo, "paths-info", revision),
    { method: "POST", json: { paths: [path], expand: true } });
  if (!entry) throw new ApiError(404, { code: "EntryNotFound", message: "Entry not found" });
  if (entry.type === "directory") return { title: "", parts: [], redirect: urls.folder(repo, revision, path) };
  const canInspect = repo.type === "models" && ["pickle", "safetensors"].includes(weightsKind(path));
  return {
    title: `${path} · ${repo.fullName}`,
    parts: [
      repoHeader(repo, "files", revision),
      element("section", {},
        element("div.heading", {}, element("h1", {}, nameNode(fileName(path))),
          revisionMenu(repo, revision, (other) => urls.file(repo, other, path))),
        path.includes("/") && pathLinks(repo, revision, path),
        facts(repo, entry),
        element("p.actions", {},
          canInspect && element("a.button", { href: urls.inspectTask(repo, revision) }, "Inspect"),
          download(repo, revision, entry))),
      await loadGuarded("Content", () => contentSection(repo, revision, entry)),
    ],
  };
}
