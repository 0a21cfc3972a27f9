// One file: its text where it is text, what it is where it is not.
import { element, section } from "../shared/dom.js";
import { bytes, grouped, moment, name, short } from "../shared/text.js";
import * as address from "./urls.js";
import { account, answer, ask, Refused } from "./hub_api.js";
import { head, link, revisions, trail } from "./layout.js";
import { visibleLines } from "./markdown.js";
import { weightsKind } from "./file_kind.js";

const kMostText = 512 * 1024;
const kMostInMemory = 64e6; // a private file that the page itself brings

/** A file that anybody may read is a link; one that needs the token is brought by the page, if it is not too long. */
function download(repo, revision, entry) {
  const plain = lastPart(entry.path);
  if (!account.name) return element("a.button.second", { href: address.content(repo, revision, entry.path), download: plain }, "Download");
  if (entry.size > kMostInMemory) return element("span", {}, "Download it with ", element("code", {}, "hf download ", name(repo.full), " ", name(entry.path)));
  const button = element("button.second", { type: "button" }, "Download");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const url = URL.createObjectURL(await (await ask(address.content(repo, revision, entry.path))).blob());
      element("a", { href: url, download: plain }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      button.textContent = "Download";
    } catch (problem) {
      if (problem.name !== "AbortError") button.textContent = "Download: try again";
    }
    button.disabled = false;
  });
  return button;
}

const lastPart = (path) => path.slice(path.lastIndexOf("/") + 1);

/** What the file begins with, as text; null where it is none. */
export async function textOf(repo, revision, entry, most = kMostText) {
  if (entry.size === 0) return "";
  const response = await ask(address.content(repo, revision, entry.path), { headers: { Range: `bytes=0-${most - 1}` } });
  const content = new Uint8Array(await response.arrayBuffer());
  if (content.includes(0)) return null;
  try {
    // Cut in the middle of a character, the end is waited for instead of being an error.
    return new TextDecoder("utf-8", { fatal: true }).decode(content, { stream: entry.size > most });
  } catch {
    return null;
  }
}

/** Text with its lines numbered. The numbers are neither copied nor read out. */
function listing(text, label) {
  const lines = text.replace(/\n$/, "").split("\n").length;
  const numbers = Array.from({ length: lines }, (_, i) => i + 1).join("\n");
  return element("div.listing", { tabindex: "0", role: "region", "aria-label": label },
    element("pre.lines", { "aria-hidden": "true" }, numbers), element("pre.text", {}, element("code", {}, visibleLines(text))));
}

async function contentPart(repo, revision, entry) {
  const kind = weightsKind(entry.path);
  if (kind) {
    const words = { pickle: "Weights in pickle, going by the name: opening such a file with torch.load or pickle may run what is in it. Inspect reads it without running anything.",
      safetensors: "Weights in safetensors: numbers and their names, nothing that runs.", other: "Weights in another format." };
    return section("Content", element("p", {}, words[kind]));
  }
  const text = await textOf(repo, revision, entry);
  if (text === null) return section("Content", element("p", {}, "This is not text. Download it to see what it is."));
  if (text === "") return section("Content", element("p.quiet", {}, "The file is empty."));
  const cutNote = entry.size > kMostText && element("p.quiet", {}, `These are the first ${bytes(kMostText)} of ${bytes(entry.size)}.`);
  return section("Content", cutNote, listing(text, "Content of the file"));
}

function facts(repo, entry) {
  const last = entry.lastCommit;
  return element("dl.facts", {},
    element("dt", {}, "Size"), element("dd", {}, `${bytes(entry.size)}`, entry.size > 999 && element("span.quiet", {}, ` (${grouped(entry.size)})`)),
    entry.lfs && [element("dt", {}, "SHA-256"), element("dd.name", {}, entry.lfs.oid)],
    !entry.lfs && [element("dt", {}, "Git blob"), element("dd.name", {}, entry.oid)],
    last && [element("dt", {}, "Last change"), element("dd", {}, link(address.commit(repo, last.id), name(last.title || short(last.id))), ", ", element("time", { datetime: last.date }, moment(last.date)))]);
}

export async function filePage({ repo, revision, path }) {
  const [entry] = await answer(address.api(repo, "paths-info", revision), { method: "POST", json: { paths: [path], expand: true } });
  if (!entry) throw new Refused(404, "EntryNotFound", "Entry not found");
  if (entry.type === "directory") return { instead: address.folder(repo, revision, path) };
  const inspect = repo.type === "models" && ["pickle", "safetensors"].includes(weightsKind(path))
    && element("a.button", { href: address.inspectTask(repo, revision) }, "Inspect");
  return {
    title: `${path} · ${repo.full}`,
    parts: [
      head(repo, "files", revision),
      element("section", {}, element("div.heading", {}, element("h1", {}, name(lastPart(path))), revisions(repo, revision, (other) => address.file(repo, other, path))),
        path.includes("/") && trail(repo, revision, path), facts(repo, entry), element("p.actions", {}, inspect, download(repo, revision, entry))),
      await contentPart(repo, revision, entry),
    ],
  };
}
