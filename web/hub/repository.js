// The overview of a repository: its weights, facts, files and README.
import { code, element, numberCell, section, table, timeElement } from "../shared/dom.js";
import { guarded, loadGuarded } from "../shared/problem.js";
import { formatBytes, nameNode, plural, shortCommit } from "../shared/text.js";
import { readText } from "./file.js";
import { kindCell, weightsKind } from "./file_kind.js";
import { entryTable } from "./files.js";
import { requestJson, requestPage } from "./hub_api.js";
import { linkCell, repoHeader, revisionMenu } from "./layout.js";
import { markdown, parseMarkdown } from "./markdown.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").RepoInfo} RepoInfo */
/** @typedef {import("./hub_types").RepoFile} RepoFile */
/** @typedef {import("./hub_types").Entry} Entry */

const maxWeights = 50;
const maxFiles = 12;
const maxTags = 30;
const maxReadmeBytes = 256 * 1024;

/**
 * "3 files, 1.2 GB".
 * @param {RepoFile[]} files
 */
function countAndSize(files) {
  const size = files.reduce((sum, file) => sum + (file.size ?? 0), 0);
  return `${plural(files.length, "file")}, ${formatBytes(size)}`;
}

/**
 * In which format the weights are: a sentence, then details.
 * @param {RepoFile[]} pickles
 * @param {RepoFile[]} safetensors
 * @param {RepoFile[]} others
 * @returns {[string, string]}
 */
function weightsSummary(pickles, safetensors, others) {
  if (pickles.length > 0 && safetensors.length > 0) {
    return ["The weights exist as pickle and as safetensors.",
      `Pickle: ${countAndSize(pickles)}. Safetensors: ${countAndSize(safetensors)}. Inspect lists their tensors.`];
  }
  if (pickles.length > 0) {
    return ["The weights are in pickle format.",
      `${countAndSize(pickles)}. Loading them with torch.load may execute code. ` +
      "Convert writes the same tensors, bit for bit, as safetensors."];
  }
  if (safetensors.length > 0) {
    return ["The weights are in safetensors format.",
      `${countAndSize(safetensors)}. They contain no code. There is nothing to convert.`];
  }
  if (others.length > 0) {
    return ["The weights are in another format.", `${countAndSize(others)}. Only pickle can be converted.`];
  }
  return ["This repository contains no weights.", "There is nothing to convert or inspect."];
}

/** @param {Repo} repo @param {string} revision @param {RepoFile[]} files */
function weightsSections(repo, revision, files) {
  const ofKind = (/** @type {string} */ kind) => files.filter((file) => weightsKind(file.rfilename) === kind);
  const [pickles, safetensors, others] = [ofKind("pickle"), ofKind("safetensors"), ofKind("other")];
  const weights = [...pickles, ...safetensors, ...others];
  const isModel = repo.type === "models";
  if (weights.length === 0 && !isModel) return [];
  const [sentence, details] = weightsSummary(pickles, safetensors, others);
  const canConvert = isModel && pickles.length > 0;
  const canInspect = isModel && pickles.length + safetensors.length > 0;
  const convertStyle = safetensors.length > 0 ? "a.button.secondary" : "a.button";
  const box = element("section.verdict.nothing", { "aria-labelledby": "weights" },
    element("h2.summary", { id: "weights" }, sentence), element("p", {}, details),
    (canConvert || canInspect) && element("p.actions", {},
      canConvert && element(convertStyle, { href: urls.convertTask(repo, revision) }, "Convert"),
      canInspect && element("a.button.secondary", { href: urls.inspectTask(repo, revision) }, "Inspect")));
  return weights.length === 0 ? [box] : [box, weightsTable(repo, revision, weights)];
}

/** @param {Repo} repo @param {string} revision @param {RepoFile[]} weights */
function weightsTable(repo, revision, weights) {
  const rows = weights.slice(0, maxWeights).map(({ rfilename: path, size }) => element("tr", {},
    linkCell(urls.file(repo, revision, path), path), kindCell(path), numberCell(formatBytes(size ?? 0))));
  const moreCount = weights.length - maxWeights;
  return section("Weights", table("Weights", ["file", "kind", ["size", "number"]], rows), moreCount > 0 &&
    element("p.more", {}, pageLink(urls.folder(repo, revision), `Show ${plural(moreCount, "more file")}`)));
}

const licensePrefix = "license:";

/** @param {Repo} repo @param {RepoInfo} info */
function facts(repo, info) {
  const allTags = info.tags ?? [];
  const license = allTags.find((tag) => tag.startsWith(licensePrefix));
  const tags = allTags.filter((tag) =>
    tag !== info.library_name && tag !== info.pipeline_tag && !tag.startsWith(licensePrefix));
  const architectures = info.config?.architectures ?? [];
  /** @param {string} term @param {import("../shared/dom.js").Child} value */
  const fact = (term, value) => value && [element("dt", {}, term), element("dd", {}, value)];
  return element("dl.facts", {},
    fact("Library", info.library_name && nameNode(info.library_name)),
    fact("Task", info.pipeline_tag && nameNode(info.pipeline_tag)),
    fact("Architecture", architectures.length > 0 && nameNode(architectures.join(", "))),
    fact("License", license && nameNode(license.slice(licensePrefix.length))),
    fact("Tags", tags.length > 0 && nameNode(tags.slice(0, maxTags).join(", "))),
    fact("Files", pageLink(urls.folder(repo, "main"), countAndSize(info.siblings))),
    fact("Commit", pageLink(urls.commit(repo, info.sha), code(shortCommit(info.sha)))),
    fact("Last change", timeElement(info.lastModified)));
}

/** @param {Repo} repo @param {string} revision @param {RepoInfo} info */
async function readmeSection(repo, revision, info) {
  const file = info.siblings.find(({ rfilename }) => rfilename.toLowerCase() === "readme.md");
  if (!file) return section("README", element("p.muted", {}, "This repository has no README.md."));
  const text = await readText(repo, revision, { path: file.rfilename, size: file.size }, maxReadmeBytes);
  const url = urls.file(repo, revision, file.rfilename);
  if (text === null) {
    return section("README", element("p", {}, pageLink(url, nameNode(file.rfilename)), " is not a text file."));
  }
  const [parsed] = await parseMarkdown([text]);
  return section("README", markdown({ ...parsed, truncated: parsed.truncated || file.size > maxReadmeBytes }, url));
}

/** @param {Repo} repo @param {string} revision @param {{items: Entry[], next: string}} page */
function filesSection(repo, revision, page) {
  if (page.items.length === 0) return null;
  const isMore = page.items.length > maxFiles || page.next !== "";
  return section("Files", entryTable(repo, revision, "", { items: page.items.slice(0, maxFiles), next: "" }),
    isMore && element("p.more", {}, pageLink(urls.folder(repo, revision), "Show all files")));
}

/** @param {import("./hub_types").Route} route */
export async function repositoryView({ repo, revision }) {
  /** @type {[RepoInfo, {items: Entry[], next: string}]} */
  const [info, page] = await Promise.all([
    requestJson(`${urls.api(repo)}?blobs=true`), requestPage(urls.api(repo, "tree", revision))]);
  if (info.id !== repo.fullName) {
    const [owner, name] = info.id.split("/");
    return { title: "", parts: [], redirect: urls.repository(urls.makeRepo(repo.type, owner, name)) };
  }
  const flags = [info.private && "private", info.gated && "gated", info.disabled && "disabled"].filter(Boolean);
  return {
    title: repo.fullName,
    parts: [
      repoHeader(repo, "overview", revision),
      element("section", {},
        element("div.heading", {}, element("h1", {}, nameNode(repo.name)),
          revisionMenu(repo, revision, (other) => urls.folder(repo, other))),
        flags.length > 0 && element("p.lead", {}, flags.join(", "))),
      guarded("Weights", () => weightsSections(repo, revision, info.siblings)),
      element("div.columns", {}, guarded("About", () => section("About", facts(repo, info))),
        guarded("Files", () => filesSection(repo, revision, page))),
      await loadGuarded("README", () => readmeSection(repo, revision, info)),
    ],
  };
}
