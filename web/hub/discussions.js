// The discussions and pull requests of a repository.
import { element, table } from "../shared/dom.js";
import { grouped, moment, name } from "../shared/text.js";
import * as address from "./urls.js";
import { answer } from "./hub_api.js";
import { head, link } from "./layout.js";

const kPage = 50;
const kFilters = { open: "Open", closed: "Closed and merged", all: "All" };

/** "pull request, merged": a state in words, so that no colour is needed. */
export const kindOf = (discussion) => (discussion.isPullRequest ? "pull request" : "discussion");

function row(repo, discussion) {
  return element("tr", {}, element("td.number", {}, `${discussion.num}`),
    element("td.title", {}, link(address.discussion(repo, discussion.num), name(discussion.title))),
    element("td.quiet", {}, kindOf(discussion)), element(discussion.status === "open" ? "td.good" : "td", {}, discussion.status),
    element("td.quiet", {}, name(discussion.author?.name ?? "")), element("td.quiet.shy", {}, element("time", { datetime: discussion.createdAt }, moment(discussion.createdAt))));
}

function filters(repo, current) {
  return element("nav.parts", { "aria-label": "Which" }, Object.entries(kFilters).map(([key, word]) => {
    const made = link(`${address.discussions(repo)}?status=${key}`, word);
    if (key === current) made.setAttribute("aria-current", "page");
    return made;
  }));
}

export async function discussionsPage({ repo }) {
  const asked = new URLSearchParams(location.search);
  const status = asked.get("status") in kFilters ? asked.get("status") : "all";
  const at = Math.max(0, Number.parseInt(asked.get("p") ?? "0", 10) || 0);
  const found = await answer(`${address.api(repo, "discussions")}?status=${status}&p=${at}`);
  const turn = (to, word) => link(`${address.discussions(repo)}?status=${status}&p=${to}`, word);
  const rows = found.discussions.map((discussion) => row(repo, discussion));
  const nothing = element("p.quiet", {}, status === "all" ? "Nobody has opened one yet. depickle convert, with a pull request, is one way to." : "There is none of these.");
  return {
    title: `Discussions · ${repo.full}`,
    parts: [
      head(repo, "discussions"),
      element("section", {}, element("div.heading", {}, element("h1", {}, "Discussions and pull requests"), filters(repo, status)),
        rows.length > 0 ? table("Discussions", [["number", "number"], "title", "kind", "status", "by", ["opened", "shy"]], rows) : nothing,
        element("p.more", {}, at > 0 && [turn(at - 1, "Newer"), " "], found.count > (at + 1) * kPage && turn(at + 1, "Older"),
          found.count > kPage && element("span.quiet", {}, ` ${grouped(found.count)} in all`))),
    ],
  };
}
