// What the pages of a repository share: the header, the links to the folders of a path, the revision menu, long lists.
import { isAborted } from "../shared/api.js";
import { announce, element, nameCell } from "../shared/dom.js";
import { problemNodes } from "../shared/problem.js";
import { nameNode, plural, shortCommit } from "../shared/text.js";
import { requestJson, requestPage } from "./hub_api.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */

const maxRevisions = 500;

const separator = () => element("span", { "aria-hidden": "true" }, " / ");

/**
 * A navigation with one link for each [key, URL, text].
 * @param {string} label
 * @param {string} current the key of the current page
 * @param {[string, string, string][]} links
 */
export function tabs(label, current, links) {
  return element("nav.tabs", { "aria-label": label }, links.map(([key, href, text]) => {
    const link = pageLink(href, text);
    if (key === current) link.setAttribute("aria-current", "page");
    return link;
  }));
}

/**
 * @param {Repo} repo
 * @param {"overview" | "files" | "commits" | "discussions"} current
 */
export function repoHeader(repo, current, revision = "main") {
  return element("div.repo-header", {},
    element("p.breadcrumbs", {}, repo.type !== "models" && element("span.muted", {}, `${repo.type.slice(0, -1)} `),
      pageLink(urls.owner(repo.owner), nameNode(repo.owner)), separator(),
      pageLink(urls.repository(repo), nameNode(repo.name))),
    tabs("Repository", current, [
      ["overview", urls.repository(repo), "Overview"], ["files", urls.folder(repo, revision), "Files"],
      ["commits", urls.commits(repo, revision), "Commits"], ["discussions", urls.discussions(repo), "Discussions"],
    ]));
}

/**
 * The path of a file, with a link to each of its folders.
 * @param {Repo} repo
 * @param {string} revision
 * @param {string} path
 */
export function pathLinks(repo, revision, path) {
  const parts = path.split("/");
  const folders = parts.slice(0, -1).map((part, i) =>
    [pageLink(urls.folder(repo, revision, parts.slice(0, i + 1).join("/")), nameNode(part)), separator()]);
  return element("p.path", {}, pageLink(urls.folder(repo, revision), nameNode(repo.name)), separator(), folders,
    element("span", {}, nameNode(parts.at(-1))));
}

/**
 * A menu of the branches, tags and pull requests of a repository.
 * @param {Repo} repo
 * @param {string} revision the current one
 * @param {(revision: string) => string} urlOf the URL of this page at another revision
 */
export function revisionMenu(repo, revision, urlOf) {
  const current = /^[0-9a-f]{40}$/.test(revision) ? shortCommit(revision) : revision;
  const list = element("ul");
  const load = async () => {
    list.replaceChildren(element("li.muted", {}, "…"));
    try {
      const names = await revisionNames(repo);
      list.replaceChildren(...names.slice(0, maxRevisions).map((name) => element("li", {},
        name === revision ? element("strong", {}, nameNode(name)) : pageLink(urlOf(name), nameNode(name)))));
      const moreCount = names.length - maxRevisions;
      if (moreCount > 0) list.append(element("li.muted", {}, plural(moreCount, "more revision")));
    } catch (error) {
      list.replaceChildren(element("li", {}, problemNodes(error)));
    }
  };
  const menu = element("details.revisions", {},
    element("summary", {}, "Revision ", element("code", {}, nameNode(current))), list);
  menu.addEventListener("toggle", () => { if (menu.open && list.childElementCount === 0) load(); });
  return menu;
}

/**
 * @param {Repo} repo
 * @returns {Promise<string[]>}
 */
async function revisionNames(repo) {
  /** @typedef {{name: string, ref: string}[]} Refs */
  /** @type {{branches: Refs, tags: Refs, converts: Refs, pullRequests?: Refs}} */
  const refs = await requestJson(`${urls.api(repo, "refs")}?include_prs=true`);
  return [...[...refs.branches, ...refs.tags].map(({ name }) => name),
    ...[...refs.converts, ...(refs.pullRequests ?? [])].map(({ ref }) => ref)];
}

/**
 * A table cell with a link to a page of this Hub.
 * @param {string} href
 * @param {string} name
 */
export function linkCell(href, name) {
  const cell = nameCell("");
  cell.append(pageLink(href, nameNode(name)));
  return cell;
}

/**
 * A button that requests the next page of a list and appends its items.
 * @param {string} next the path of the next page; "" for none
 * @param {(items: any[]) => void} append
 */
export function moreButton(next, append, label = "Show more") {
  if (!next) return null;
  const button = element("button.secondary", { type: "button" }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const page = await requestPage(next);
      append(page.items);
      announce(plural(page.items.length, "more row"));
      next = page.next;
      button.textContent = label;
    } catch (error) {
      if (isAborted(error)) return;
      button.textContent = `${label} (failed, try again)`;
    }
    button.disabled = false;
    if (!next) button.remove();
  });
  return element("p.more", {}, button);
}
