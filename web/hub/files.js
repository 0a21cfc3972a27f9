// The files of a folder.
import { announce, element, numberCell, table, timeElement } from "../shared/dom.js";
import { formatBytes, formatNumber, nameNode, shortCommit } from "../shared/text.js";
import { kindCell } from "./file_kind.js";
import { requestPage } from "./hub_api.js";
import { linkCell, moreButton, pathLinks, repoHeader, revisionMenu } from "./layout.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Entry} Entry */

const maxDatedRows = 50; // rows with their last commit: the server walks the history to find it

/** @param {string} path */
export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

/** @param {Repo} repo @param {string} revision @param {Entry} entry */
function row(repo, revision, { path, type, size }) {
  const isFolder = type === "directory";
  const url = isFolder ? urls.folder(repo, revision, path) : urls.file(repo, revision, path);
  return element("tr", {}, linkCell(url, fileName(path) + (isFolder ? "/" : "")), kindCell(isFolder ? "" : path),
    element("td.last-commit.wide-only.muted", { "data-path": path }), numberCell(isFolder ? "" : formatBytes(size)));
}

/**
 * Adds the last commits to rows.
 * @param {Repo} repo
 * @param {HTMLElement} rows
 * @param {string} url of the API
 */
async function addLastCommits(repo, rows, url) {
  /** @type {{items: Entry[]}} */
  const { items } = await requestPage(url);
  const lastCommits = new Map(items.map((entry) => [entry.path, entry.lastCommit]));
  for (const cell of rows.querySelectorAll("td.last-commit")) {
    const last = lastCommits.get(cell.getAttribute("data-path") ?? "");
    if (!last) continue;
    const title = nameNode(last.title || shortCommit(last.id));
    cell.append(pageLink(urls.commit(repo, last.id), title), timeElement(last.date));
  }
}

/**
 * A table of the entries of a folder, and a button that appends more of them.
 * @param {Repo} repo
 * @param {string} revision
 * @param {string} path of the folder
 * @param {{items: Entry[], next: string}} page
 */
export function entryTable(repo, revision, path, page) {
  const rows = page.items.map((entry) => row(repo, revision, entry));
  const made = table(path ? `Files in ${path}` : "Files",
    ["name", "kind", ["last change", "wide-only"], ["size", "number"]], rows);
  made.classList.add("entries");
  const body = /** @type {HTMLElement} */ (made.querySelector("tbody"));
  const datedUrl = `${urls.api(repo, "tree", revision, path)}?expand=true&limit=${maxDatedRows}`;
  addLastCommits(repo, body, datedUrl).catch(() => {}); // the table is useful without them
  if (!page.next) return [made];
  const shown = element("p.muted", {}, `The first ${formatNumber(page.items.length)} entries are shown.`);
  const button = moreButton(page.next, (/** @type {Entry[]} */ items) => {
    body.append(...items.map((entry) => row(repo, revision, entry)));
    shown.textContent = `${formatNumber(body.childElementCount)} entries are shown.`;
    announce(shown.textContent);
  }, "Show 1,000 more");
  return [made, shown, button];
}

/** @param {import("./hub_types").Route} route */
export async function filesView({ repo, revision, path }) {
  const page = await requestPage(urls.api(repo, "tree", revision, path));
  const heading = path ? ["Files in ", nameNode(fileName(path)), "/"] : "Files";
  return {
    title: `${path || "Files"} · ${repo.fullName}`,
    parts: [
      repoHeader(repo, "files", revision),
      element("section", {},
        element("div.heading", {}, element("h1", {}, heading),
          revisionMenu(repo, revision, (other) => urls.folder(repo, other, path))),
        path && pathLinks(repo, revision, path),
        page.items.length === 0
          ? element("p.muted", {}, "This folder is empty.")
          : entryTable(repo, revision, path, page)),
    ],
  };
}
