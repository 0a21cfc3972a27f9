// One discussion or pull request: its status, its changes, its comments and events.
import { code, element, section, timeElement } from "../shared/dom.js";
import { nameNode, plural, shortCommit, visible } from "../shared/text.js";
import { compareCommits } from "./compare_commits.js";
import { changedSections, changeSummary } from "./diff_view.js";
import { actionsSection } from "./discussion_forms.js";
import { isActive } from "./discussions.js";
import { requestJson } from "./hub_api.js";
import { repoHeader } from "./layout.js";
import { markdown } from "./markdown.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Discussion} Discussion */
/** @typedef {import("./hub_types").DiscussionEvent} DiscussionEvent */

const maxConflictsShown = 5;

/**
 * The commits before and after the changes of a pull request; null if it has no commits.
 * @param {Discussion} discussion
 * @returns {{from: string, to: string} | null}
 */
function commitRange({ isPullRequest, events }) {
  const commits = events.filter((event) => event.type === "commit");
  if (!isPullRequest || commits.length === 0) return null;
  return { from: commits[0].data.parents?.[0] ?? "", to: commits[commits.length - 1].data.oid };
}

/** @param {Discussion} discussion */
function statusText({ isPullRequest, status, changes }) {
  if (!isPullRequest) return `Discussion, ${status}.`;
  const base = code((changes?.base ?? "").replace("refs/heads/", ""));
  if (status === "merged") return ["Merged into ", base, "."];
  if (status === "closed") return "Closed without merging.";
  return [status === "draft" ? "Draft" : "Open", ", to be merged into ", base, "."];
}

/** @param {Repo} repo @param {Discussion} discussion @param {string} summary of the changes */
function lead(repo, discussion, summary) {
  const { title, num: number, author, createdAt, isPullRequest } = discussion;
  const conflicts = discussion.filesWithConflicts ?? [];
  return element("section", {},
    element("h1.user-title", {}, nameNode(title), element("span.muted", {}, ` #${number}`)),
    element("p.lead", {}, statusText(discussion),
      " Opened by ", element("strong", {}, nameNode(author?.name ?? "")), " on ", timeElement(createdAt), "."),
    isPullRequest && element("p", {}, summary),
    conflicts.length > 0 && element("p.problem", { role: "note" },
      element("strong", {}, `Merge conflict: ${plural(conflicts.length, "file")} changed on both branches. `),
      element("span.hint", {}, conflicts.slice(0, maxConflictsShown).map((path) => [code(path), " "]),
        "Update the pull request before you merge it.")),
    isPullRequest && pullRequestActions(repo, discussion));
}

/** @param {Repo} repo @param {Discussion} discussion */
function pullRequestActions(repo, discussion) {
  const number = discussion.num;
  const mergeCommit = discussion.changes?.mergeCommitId;
  const filesUrl = urls.folder(repo, `refs/pr/${number}`);
  return element("p.actions", {},
    repo.type === "models" && isActive(discussion) &&
      element("a.button", { href: urls.checkTask(repo, number) }, "Check pull request"),
    element("a.button.secondary", { href: filesUrl, "data-page": true }, "Show files"),
    mergeCommit &&
      element("a.button.secondary", { href: urls.commit(repo, mergeCommit), "data-page": true }, "Show merge commit"));
}

/**
 * @param {Repo} repo
 * @param {DiscussionEvent} event
 * @param {string} base the URL that links in comments are relative to
 */
function eventItem(repo, event, base) {
  const { type, data, createdAt } = event;
  const author = element("strong", {}, nameNode(event.author?.name ?? ""));
  const time = timeElement(createdAt);
  if (type === "comment") {
    const heading = element("p", {}, author, " ", element("span.muted", {}, time, data.edited && ", edited"));
    return element("li.comment", {}, heading, commentBody(data, base));
  }
  return element("li.event", {},
    element("p", {}, author, " ", eventText(repo, event), " ", element("span.muted", {}, time)));
}

/** @param {any} data of a comment event @param {string} base */
function commentBody({ hidden: isHidden, latest }, base) {
  if (isHidden) return element("p.muted", {}, "This comment is hidden.");
  const text = String(latest?.raw ?? "");
  return text.trim() === "" ? element("p.muted", {}, "No text.") : markdown(text, base);
}

/** @param {Repo} repo @param {DiscussionEvent} event */
function eventText(repo, { type, data }) {
  if (type === "commit") {
    return ["added commit ",
      pageLink(urls.commit(repo, data.oid), element("code", {}, shortCommit(data.oid)), " ", nameNode(data.subject))];
  }
  if (type === "status-change") {
    /** @type {Record<string, string>} */
    const texts = { open: "reopened this", closed: "closed this", merged: "merged this", draft: "made this a draft" };
    return texts[data.status] ?? visible(data.status);
  }
  if (type === "title-change") {
    const [from, to] = [data.from, data.to].map((title) => element("q", {}, nameNode(title)));
    return ["changed the title from ", from, " to ", to];
  }
  return visible(type);
}

/** @param {import("./hub_types").Route} route */
export async function discussionView({ repo, number }) {
  /** @type {Discussion} */
  const discussion = await requestJson(`${urls.api(repo, "discussions")}/${encodeURIComponent(number)}`);
  const range = commitRange(discussion);
  const comparison = range && await compareCommits(repo, range.from, range.to);
  const revision = `refs/pr/${discussion.num}`;
  const readmeUrl = urls.file(repo, discussion.isPullRequest ? revision : "main", "README.md");
  const python = `AutoModel.from_pretrained("${repo.fullName}", revision="${revision}")`;
  return {
    title: `${discussion.title} #${discussion.num} · ${repo.fullName}`,
    parts: [
      repoHeader(repo, "discussions"),
      lead(repo, discussion, comparison ? changeSummary(comparison) : "The pull request has no commits yet."),
      ...(comparison ? changedSections(repo, comparison, range.from, range.to) : []),
      range && isActive(discussion) && repo.type === "models" &&
        section("Load the pull request in Python", element("pre", { tabindex: "0" }, element("code", {}, python))),
      section("Conversation",
        element("ol.timeline", {}, discussion.events.map((event) => eventItem(repo, event, readmeUrl)))),
      actionsSection(repo, discussion, range?.to ?? ""),
    ],
  };
}
