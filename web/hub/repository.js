// A repository: what it is, what its weights are kept in, its files, its README.
import { element, nameCell, numberCell, section, table } from "../shared/dom.js";
import { bytes, moment, name, plural } from "../shared/text.js";
import * as address from "./urls.js";
import { answer, listed } from "./hub_api.js";
import { entryTable } from "./files.js";
import { textOf } from "./file.js";
import { head, link, revisions } from "./layout.js";
import { markdown } from "./markdown.js";
import { kindCell, weightsKind } from "./file_kind.js";

const kMostWeights = 50;
const kMostFiles = 12;
const kMostReadme = 256 * 1024;

const total = (files) => files.reduce((sum, file) => sum + (file.size ?? 0), 0);
const measured = (files) => `${plural(files.length, "file")}, ${bytes(total(files))}`;

/** The sentence that one came for. */
function sentence(pickle, safe, other) {
  if (pickle.length > 0 && safe.length > 0) return ["Its weights are there twice: as pickle and as safetensors.", `${measured(pickle)} of pickle; ${measured(safe)} of safetensors. Inspect tells whether anything is missing.`];
  if (pickle.length > 0) return ["Its weights are kept in pickle.", `${measured(pickle)}. Opening them with torch.load may run what is in them; converting takes the tensors out, bit by bit the same.`];
  if (safe.length > 0) return ["Its weights are safetensors: nothing to convert.", `${measured(safe)}, numbers and their names, nothing that runs.`];
  if (other.length > 0) return ["It has weights, but none in pickle.", `${measured(other)} of other formats: nothing to convert.`];
  return ["There are no weights in it.", "Nothing to convert, nothing to inspect."];
}

function weightsPart(repo, revision, files) {
  const of = (kind) => files.filter((file) => weightsKind(file.rfilename) === kind);
  const [pickle, safe, other] = [of("pickle"), of("safetensors"), of("other")];
  const weights = [...pickle, ...safe, ...other];
  const [said, evidence] = sentence(pickle, safe, other);
  const rows = weights.slice(0, kMostWeights).map((file) => {
    const cell = nameCell("");
    cell.append(link(address.file(repo, revision, file.rfilename), name(file.rfilename)));
    return element("tr", {}, cell, kindCell(file.rfilename), numberCell(bytes(file.size ?? 0)));
  });
  const isModel = repo.type === "models";
  const convert = isModel && pickle.length > 0 && element(safe.length > 0 ? "a.button.second" : "a.button", { href: address.convertTask(repo, revision) }, "Convert");
  const inspect = isModel && pickle.length + safe.length > 0 && element("a.button.second", { href: address.inspectTask(repo, revision) }, "Inspect");
  if (weights.length === 0 && !isModel) return null;
  return [
    element("section.verdict.nothing", { "aria-labelledby": "weights" }, element("h2.said", { id: "weights" }, said), element("p", {}, evidence),
      (convert || inspect) && element("p.actions", {}, convert, inspect)),
    rows.length > 0 && section("Weights", table("Weights", ["file", "kind", ["size", "number"]], rows),
      weights.length > kMostWeights && element("p.more", {}, link(address.folder(repo, revision), `and ${plural(weights.length - kMostWeights, "more file")}`))),
  ];
}

function facts(repo, info) {
  const tags = (info.tags ?? []).filter((tag) => tag !== info.library_name && tag !== info.pipeline_tag && !tag.startsWith("license:"));
  const license = (info.tags ?? []).find((tag) => tag.startsWith("license:"));
  const fact = (word, value) => value && [element("dt", {}, word), element("dd", {}, value)];
  return element("dl.facts", {},
    fact("Library", info.library_name && name(info.library_name)), fact("Task", info.pipeline_tag && name(info.pipeline_tag)),
    fact("Architecture", info.config?.architectures?.length && name(info.config.architectures.join(", "))),
    fact("License", license && name(license.slice("license:".length))), fact("Tags", tags.length > 0 && name(tags.slice(0, 30).join(", "))),
    fact("Files", link(address.folder(repo, "main"), measured(info.siblings))),
    fact("Commit", link(address.commit(repo, info.sha), element("code", {}, info.sha.slice(0, 7)))), fact("Changed", element("time", { datetime: info.lastModified }, moment(info.lastModified))));
}

async function readmePart(repo, revision, info) {
  const file = info.siblings.find((sibling) => sibling.rfilename.toLowerCase() === "readme.md");
  if (!file) return section("README", element("p.quiet", {}, "There is no README.md in it."));
  const text = await textOf(repo, revision, { path: file.rfilename, size: file.size }, kMostReadme);
  const base = address.file(repo, revision, file.rfilename);
  return section("README", text === null ? element("p", {}, link(base, name(file.rfilename)), " is not text.") : markdown(text, base));
}

function filesPart(repo, revision, page) {
  if (page.items.length === 0) return null;
  const few = { items: page.items.slice(0, kMostFiles), next: "" };
  const rest = (page.items.length > kMostFiles || page.next) && element("p.more", {}, link(address.folder(repo, revision), "All files"));
  return section("Files", entryTable(repo, revision, "", few), rest);
}

export async function repositoryPage({ repo, revision }) {
  const [info, page] = await Promise.all([answer(`${address.api(repo)}?blobs=true`), listed(address.api(repo, "tree", revision))]);
  if (info.id !== repo.full) return { instead: address.home(address.repository(repo.type, ...info.id.split("/"))) };
  const marks = [info.private && "private", info.gated && "restricted", info.disabled && "disabled"].filter(Boolean).join(", ");
  return {
    title: repo.full,
    parts: [
      head(repo, "", revision),
      element("section", {}, element("div.heading", {}, element("h1", {}, name(repo.name)), revisions(repo, revision, (other) => address.folder(repo, other))),
        marks && element("p.lead", {}, marks)),
      ...[weightsPart(repo, revision, info.siblings)].flat(),
      element("div.two", {}, section("About", facts(repo, info)), filesPart(repo, revision, page)),
      await readmePart(repo, revision, info),
    ],
  };
}
