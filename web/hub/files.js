// The files of a folder, a thousand at a time.
import { announce, element, nameCell, numberCell, table } from "../shared/dom.js";
import { bytes, grouped, moment, name, short } from "../shared/text.js";
import * as address from "./urls.js";
import { listed } from "./hub_api.js";
import { head, link, more, revisions, trail } from "./layout.js";
import { kindCell } from "./file_kind.js";

const kDated = 50; // rows whose last commit is asked for; the history is walked for it

const lastPart = (path) => path.slice(path.lastIndexOf("/") + 1);

/** @param {{type: string, path: string, size: number}} entry as the tree of the API has it */
function row(repo, revision, entry) {
  const isFolder = entry.type === "directory";
  const to = isFolder ? address.folder(repo, revision, entry.path) : address.file(repo, revision, entry.path);
  const last = element("td.last.shy.quiet");
  last.dataset.path = entry.path;
  return element("tr", {}, nameLink(to, lastPart(entry.path) + (isFolder ? "/" : "")), kindCell(isFolder ? "" : entry.path), last,
    numberCell(isFolder ? "" : bytes(entry.size)));
}

function nameLink(to, text) {
  const cell = nameCell("");
  cell.append(link(to, name(text)));
  return cell;
}

/** Puts the last commit into rows that are there already. */
async function tellLast(repo, rows, commitAddress) {
  const { items } = await listed(commitAddress);
  const known = new Map(items.filter((entry) => entry.lastCommit).map((entry) => [entry.path, entry.lastCommit]));
  for (const cell of rows.querySelectorAll("td.last")) {
    const last = known.get(cell.dataset.path);
    if (last) cell.append(link(address.commit(repo, last.id), name(last.title || short(last.id))), element("time", { datetime: last.date }, moment(last.date)));
  }
}

/**
 * A table of a folder's entries that can be made longer.
 * @param {{items: object[], next: string}} page
 */
export function entryTable(repo, revision, path, page) {
  const rows = page.items.map((entry) => row(repo, revision, entry));
  const made = table(path ? `Files in ${path}` : "Files", ["name", "kind", ["last change", "shy"], ["size", "number"]], rows);
  made.classList.add("entries");
  const body = made.querySelector("tbody");
  tellLast(repo, body, `${address.api(repo, "tree", revision, path)}?expand=true&limit=${kDated}`).catch(() => {}); // the rows are whole without
  const shown = element("p.quiet", {}, page.next ? `The first ${grouped(page.items.length)} are shown.` : "");
  const button = more(page.next, (items) => {
    body.append(...items.map((entry) => row(repo, revision, entry)));
    shown.textContent = `${grouped(body.childElementCount)} are shown.`;
    announce(shown.textContent);
  }, "Show 1,000 more");
  return [made, page.next ? shown : null, button];
}

export async function filesPage({ repo, revision, path }) {
  const page = await listed(address.api(repo, "tree", revision, path));
  const heading = path ? ["Files in ", name(lastPart(path)), "/"] : "Files";
  const nothing = page.items.length === 0 && element("p.quiet", {}, "There is no file here yet.");
  return {
    title: `${path || "Files"} · ${repo.full}`,
    parts: [
      head(repo, "files", revision),
      element("section", {}, element("div.heading", {}, element("h1", {}, heading), revisions(repo, revision, (other) => address.folder(repo, other, path))),
        path && trail(repo, revision, path), nothing || entryTable(repo, revision, path, page)),
    ],
  };
}
