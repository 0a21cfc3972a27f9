// One discussion or pull request: its status, its changes, its comments and events.
import { code, element, section, timeElement } from "../shared/dom.js";
import { guarded, loadGuarded, problemNodes } from "../shared/problem.js";
import { nameNode, plural, shortCommit, visible } from "../shared/text.js";
import { compareCommits } from "./compare_commits.js";
import { changedSections, changeSummary } from "./diff_view.js";
import { actionsSection } from "./discussion_forms.js";
import { isActive } from "./discussions.js";
import { requestJson } from "./hub_api.js";
import { repoHeader } from "./layout.js";
import { codeBlock, markdown, parseMarkdown } from "./markdown.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Discussion} Discussion */
/** @typedef {import("./hub_types").DiscussionEvent} DiscussionEvent */
/** @typedef {import("./hub_types").MarkdownDocument} MarkdownDocument */
/** @typedef {import("../shared/dom.js").Child} Child */

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
 * @param {Child} body of a comment
 */
function eventItem(repo, event, body) {
  const { type, data, createdAt } = event;
  const author = element("strong", {}, nameNode(event.author?.name ?? ""));
  const time = timeElement(createdAt);
  if (type === "comment") {
    const heading = element("p", {}, author, " ", element("span.muted", {}, time, data.edited && ", edited"));
    return element("li.comment", {}, heading, body);
  }
  return element("li.event", {},
    element("p", {}, author, " ", eventText(repo, event), " ", element("span.muted", {}, time)));
}

/** @param {DiscussionEvent} event @returns {string} the text of a comment that is shown */
const commentText = ({ type, data }) => (type === "comment" && !data.hidden ? String(data.latest?.raw ?? "") : "");

/**
 * The body of a comment. If it cannot be drawn, its text without formatting, so that the other comments are shown.
 * @param {DiscussionEvent} event
 * @param {MarkdownDocument} parsed
 * @param {string} base the URL that links are relative to
 * @returns {Child}
 */
function commentBody(event, parsed, base) {
  if (event.data.hidden) return element("p.muted", {}, "This comment is hidden.");
  const text = commentText(event);
  if (text.trim() === "") return element("p.muted", {}, "No text.");
  try {
    return markdown(parsed, base);
  } catch (error) {
    console.error(error);
    return [element("p.problem", { role: "note" }, problemNodes(error)), codeBlock(text)];
  }
}

/** @param {Repo} repo @param {Discussion} discussion @param {string} base the URL that links are relative to */
async function conversation(repo, { events }, base) {
  const comments = events.filter(({ type }) => type === "comment");
  const parsed = await parseMarkdown(comments.map(commentText));
  const bodies = new Map(comments.map((event, i) => [event, commentBody(event, parsed[i], base)]));
  return section("Conversation",
    element("ol.timeline", {}, events.map((event) => eventItem(repo, event, bodies.get(event)))));
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
  let summary = "The pull request has no commits yet.";
  const compare = async () => {
    if (!range) return null;
    summary = "The changes could not be compared.";
    const comparison = await compareCommits(repo, range.from, range.to);
    summary = changeSummary(comparison);
    return changedSections(repo, comparison, range.from, range.to);
  };
  const changed = await loadGuarded("Changed files", compare);
  const revision = `refs/pr/${discussion.num}`;
  const readmeUrl = urls.file(repo, discussion.isPullRequest ? revision : "main", "README.md");
  const python = `AutoModel.from_pretrained("${repo.fullName}", revision="${revision}")`;
  return {
    title: `${discussion.title} #${discussion.num} · ${repo.fullName}`,
    parts: [
      repoHeader(repo, "discussions"),
      lead(repo, discussion, summary),
      changed,
      range && isActive(discussion) && repo.type === "models" &&
        section("Load the pull request in Python", element("pre", { tabindex: "0" }, element("code", {}, python))),
      await loadGuarded("Conversation", () => conversation(repo, discussion, readmeUrl)),
      guarded("Actions", () => actionsSection(repo, discussion, range?.to ?? "")),
    ],
  };
}
