// The history of a revision, and one commit.
import { code, copyButton, element, section, table, timeElement } from "../shared/dom.js";
import { loadGuarded } from "../shared/problem.js";
import { nameNode, plural, shortCommit } from "../shared/text.js";
import { compareCommits } from "./compare_commits.js";
import { changedSections, changeSummary } from "./diff_view.js";
import { requestPage } from "./hub_api.js";
import { moreButton, repoHeader, revisionMenu } from "./layout.js";
import { codeBlock } from "./markdown.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Route} Route */
/** @typedef {import("./hub_types").Commit} Commit */

const pageSize = 100;

/** @param {Commit} commit */
const author = (commit) => commit.authors?.[0]?.user ?? "";

/** @param {Repo} repo @param {Commit} commit */
function row(repo, commit) {
  return element("tr", {},
    element("td.title", {}, pageLink(urls.commit(repo, commit.id), nameNode(commit.title || "(no title)"))),
    element("td.muted", {}, nameNode(author(commit))),
    element("td.muted.wide-only", {}, timeElement(commit.date)),
    element("td.number", {}, shortCommit(commit.id)));
}

/** @param {Route} route */
export async function commitsView({ repo, revision }) {
  /** @type {{items: Commit[], next: string, total: number}} */
  const page = await requestPage(`${urls.api(repo, "commits", revision)}?limit=${pageSize}`);
  const made = table("Commits, newest first", ["commit", "author", ["date", "wide-only"], ["id", "number"]],
    page.items.map((commit) => row(repo, commit)));
  const append = (/** @type {Commit[]} */ commits) =>
    made.querySelector("tbody")?.append(...commits.map((commit) => row(repo, commit)));
  return {
    title: `Commits · ${repo.fullName}`,
    parts: [
      repoHeader(repo, "commits", revision),
      element("section", {},
        element("div.heading", {}, element("h1", {}, "Commits"),
          revisionMenu(repo, revision, (other) => urls.commits(repo, other))),
        element("p.muted", {}, page.total === 1 ? "1 commit." : `${plural(page.total, "commit")}, newest first.`),
        made, moreButton(page.next, append)),
    ],
  };
}

/** @param {Route} route */
export async function commitView({ repo, revision }) {
  /** @type {{items: Commit[]}} */
  const { items: [commit, parent] } = await requestPage(`${urls.api(repo, "commits", revision)}?limit=2`);
  if (commit.id !== revision) return { title: "", parts: [], redirect: urls.commit(repo, commit.id) };
  const parentId = parent?.id ?? "";
  let summary = "The changes could not be compared.";
  const changed = await loadGuarded("Changed files", async () => {
    const comparison = await compareCommits(repo, parentId, commit.id);
    summary = changeSummary(comparison);
    return changedSections(repo, comparison, parentId, commit.id);
  });
  const message = commit.message.trim();
  return {
    title: `${commit.title || shortCommit(commit.id)} · ${repo.fullName}`,
    parts: [
      repoHeader(repo, "commits"),
      element("section", {}, element("h1.user-title", {}, nameNode(commit.title || "(no title)")),
        element("p.lead", {}, element("strong", {}, nameNode(author(commit))), ", ", timeElement(commit.date), ". ",
          summary)),
      message ? section("Message", codeBlock(message)) : null,
      section("Details", element("dl.facts", {},
        element("dt", {}, "Commit"),
        element("dd", {}, element("code", {}, commit.id), " ", copyButton(() => commit.id)),
        element("dt", {}, "Parent"),
        element("dd", {}, parent
          ? pageLink(urls.commit(repo, parentId), code(shortCommit(parentId)), " ", nameNode(parent.title))
          : "none, this is the first commit"),
        element("dt", {}, "Files"),
        element("dd", {}, pageLink(urls.folder(repo, commit.id), "all files at this commit")))),
      changed,
    ],
  };
}
