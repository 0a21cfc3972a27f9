// The history of a revision, and one commit.
import { copyButton, element, section, table } from "../shared/dom.js";
import { grouped, moment, name, short } from "../shared/text.js";
import * as address from "./urls.js";
import { listed } from "./hub_api.js";
import { changedSections, changeSentence } from "./diff_view.js";
import { changesBetween } from "./compare_commits.js";
import { head, link, more, revisions } from "./layout.js";
import { block } from "./markdown.js";

const kPage = 100;

const author = (commit) => String(commit.authors?.[0]?.user ?? "");

function row(repo, commit) {
  return element("tr", {}, element("td.title", {}, link(address.commit(repo, commit.id), name(commit.title || "(no title)"))),
    element("td.quiet", {}, name(author(commit))), element("td.quiet.shy", {}, element("time", { datetime: commit.date }, moment(commit.date))),
    element("td.number", {}, short(commit.id)));
}

export async function commitsPage({ repo, revision }) {
  const page = await listed(`${address.api(repo, "commits", revision)}?limit=${kPage}`);
  const made = table("Commits, newest first", ["commit", "by", ["when", "shy"], ["name", "number"]], page.items.map((commit) => row(repo, commit)));
  const body = made.querySelector("tbody");
  return {
    title: `Commits · ${repo.full}`,
    parts: [
      head(repo, "commits", revision),
      element("section", {}, element("div.heading", {}, element("h1", {}, "Commits"), revisions(repo, revision, (other) => address.history(repo, other))),
        element("p.quiet", {}, page.total === 1 ? "1 commit, and where it began." : `${grouped(page.total)} commits, newest first.`), made,
        more(page.next, (items) => body.append(...items.map((commit) => row(repo, commit))))),
    ],
  };
}

export async function commitPage({ repo, revision }) {
  const { items: [commit, before] } = await listed(`${address.api(repo, "commits", revision)}?limit=2`);
  if (commit.id !== revision) return { instead: address.commit(repo, commit.id) };
  const found = await changesBetween(repo, before?.id ?? "", commit.id);
  const message = commit.message.trim();
  return {
    title: `${commit.title || short(commit.id)} · ${repo.full}`,
    parts: [
      head(repo, "commits"),
      element("section", {}, element("h1.written", {}, name(commit.title || "(no title)")),
        element("p.lead", {}, element("strong", {}, name(author(commit))), ", ", element("time", { datetime: commit.date }, moment(commit.date)), ". ", changeSentence(found))),
      message && section("Message", block(message)),
      section("Where it stands", element("dl.facts", {},
        element("dt", {}, "Commit"), element("dd", {}, element("code", {}, commit.id), " ", copyButton(() => commit.id)),
        element("dt", {}, "Before it"), element("dd", {}, before ? link(address.commit(repo, before.id), element("code", {}, short(before.id)), " ", name(before.title)) : "nothing: it is the first"),
        element("dt", {}, "Files then"), element("dd", {}, link(address.folder(repo, commit.id), "all files at this commit")))),
      ...changedSections(repo, found, before?.id ?? "", commit.id),
    ],
  };
}
