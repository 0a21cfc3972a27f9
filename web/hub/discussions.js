// The discussions and pull requests of a repository.
import { element, table, timeElement } from "../shared/dom.js";
import { formatNumber, nameNode } from "../shared/text.js";
import { requestJson } from "./hub_api.js";
import { repoHeader, tabs } from "./layout.js";
import { pageLink } from "./navigation.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").DiscussionSummary} DiscussionSummary */

const pageSize = 50; // the server's
/** @type {Record<string, string>} */
const filters = { open: "Open", closed: "Closed and merged", all: "All" };

/** @param {DiscussionSummary} discussion */
export const kindOf = ({ isPullRequest }) => (isPullRequest ? "pull request" : "discussion");

/** @param {DiscussionSummary} discussion */
export const isActive = ({ status }) => status === "open" || status === "draft";

/** @param {Repo} repo @param {DiscussionSummary} discussion */
function row(repo, discussion) {
  const { num: number, title, status, author, createdAt } = discussion;
  return element("tr", {},
    element("td.number", {}, String(number)),
    element("td.title", {}, pageLink(urls.discussion(repo, number), nameNode(title))),
    element("td.muted", {}, kindOf(discussion)),
    element(status === "open" ? "td.good" : "td", {}, status),
    element("td.muted", {}, nameNode(author?.name ?? "")),
    element("td.muted.wide-only", {}, timeElement(createdAt)));
}

/** @param {import("./hub_types").Route} route */
export async function discussionsView({ repo }) {
  const query = new URLSearchParams(location.search);
  const wanted = query.get("status") ?? "all";
  const status = wanted in filters ? wanted : "all";
  const page = Math.max(0, Number.parseInt(query.get("p") ?? "0", 10) || 0);
  /** @type {{discussions: DiscussionSummary[], count: number}} */
  const found = await requestJson(`${urls.api(repo, "discussions")}?status=${status}&p=${page}`);
  const url = urls.discussions(repo);
  const pageUrl = (/** @type {number} */ number) => `${url}?status=${status}&p=${number}`;
  const rows = found.discussions.map((discussion) => row(repo, discussion));
  const filterTabs = Object.entries(filters).map(([key, text]) =>
    /** @type {[string, string, string]} */ ([key, `${url}?status=${key}`, text]));
  const empty = status === "all" ? "No discussions or pull requests yet." : "No matching discussions.";
  return {
    title: `Discussions · ${repo.fullName}`,
    parts: [
      repoHeader(repo, "discussions"),
      element("section", {},
        element("div.heading", {}, element("h1", {}, "Discussions and pull requests"),
          tabs("Filter by status", status, filterTabs)),
        rows.length > 0
          ? table("Discussions",
            [["number", "number"], "title", "kind", "status", "author", ["opened", "wide-only"]], rows)
          : element("p.muted", {}, empty),
        element("p.more", {},
          page > 0 && [pageLink(pageUrl(page - 1), "Newer"), " "],
          found.count > (page + 1) * pageSize && pageLink(pageUrl(page + 1), "Older"),
          found.count > pageSize && element("span.muted", {}, ` ${formatNumber(found.count)} in total`))),
    ],
  };
}
