// One discussion or pull request: what it wants, what it changes, what was said.
import { code, element, section } from "../shared/dom.js";
import { moment, name, plural, short, visible } from "../shared/text.js";
import * as address from "./urls.js";
import { answer } from "./hub_api.js";
import { changedSections, changeSentence } from "./diff_view.js";
import { changesBetween } from "./compare_commits.js";
import { kindOf } from "./discussions.js";
import { head, link } from "./layout.js";
import { markdown } from "./markdown.js";
import { takePart } from "./discussion_forms.js";

const when = (time) => element("time", { datetime: time }, moment(time));

/** The commits at the two ends of what a pull request changes; null where it has none yet. */
function ends(discussion) {
  const commits = discussion.events.filter((event) => event.type === "commit");
  if (commits.length === 0) return null;
  return { from: commits[0].data.parents?.[0] ?? "", to: commits.at(-1).data.oid };
}

/** What is to be known of its state, in one sentence. */
function stateSentence(discussion) {
  const { status } = discussion;
  const base = String(discussion.changes?.base ?? "").replace("refs/heads/", "");
  if (!discussion.isPullRequest) return `A discussion, ${status}.`;
  if (status === "merged") return ["Merged into ", code(base), "."];
  if (status === "closed") return "Closed without being merged.";
  return [status === "draft" ? "A draft of changes to " : "Open: it wants to change ", code(base), "."];
}

function lead(repo, discussion, ended) {
  const conflicts = discussion.filesWithConflicts ?? [];
  const live = ["open", "draft"].includes(discussion.status);
  const merged = discussion.changes?.mergeCommitId;
  return element("section", {}, element("h1.written", {}, name(discussion.title), element("span.quiet", {}, ` #${discussion.num}`)),
    element("p.lead", {}, stateSentence(discussion), " ", element("strong", {}, name(discussion.author?.name ?? "")), " opened it on ", when(discussion.createdAt), "."),
    discussion.isPullRequest && element("p", {}, ended.sentence),
    conflicts.length > 0 && element("p.problem", { role: "note" }, element("strong", {}, `It cannot be merged: ${plural(conflicts.length, "file")} changed on both sides. `),
      element("span.hint", {}, conflicts.slice(0, 5).map((path) => [code(path), " "]), "Bring the pull request up to date first.")),
    discussion.isPullRequest && element("p.actions", {},
      repo.type === "models" && live && element("a.button", { href: address.checkTask(repo, discussion.num) }, "Check it"),
      element("a.button.second", { href: address.folder(repo, `refs/pr/${discussion.num}`), "data-page": true }, "Its files"),
      merged && element("a.button.second", { href: address.commit(repo, merged), "data-page": true }, "The merge")));
}

function said(event) {
  const { author, data } = event;
  const who = element("strong", {}, name(author?.name ?? ""));
  const line = (...words) => element("li.event", {}, element("p", {}, who, " ", words, " ", element("span.quiet", {}, when(event.createdAt))));
  return { line, who, data };
}

function eventItem(repo, event, base) {
  const { line, who, data } = said(event);
  if (event.type === "commit") return line("added commit ", link(address.commit(repo, data.oid), element("code", {}, short(data.oid)), " ", name(data.subject)));
  if (event.type === "status-change") return line(data.status === "open" ? "opened it again" : data.status === "merged" ? "merged it" : `made it ${data.status}`);
  if (event.type === "title-change") return line("renamed it from ", element("q", {}, name(data.from)), " to ", element("q", {}, name(data.to)));
  if (event.type !== "comment") return line(visible(event.type));
  const text = String(data.latest?.raw ?? "");
  const body = data.hidden ? element("p.quiet", {}, "This comment was hidden.") : text.trim() === "" ? element("p.quiet", {}, "Nothing was written.") : markdown(text, base);
  return element("li.comment", {}, element("p", {}, who, " ", element("span.quiet", {}, when(event.createdAt), data.edited && ", edited")), body);
}

export async function discussionPage({ repo, number }) {
  const discussion = await answer(`${address.api(repo, "discussions")}/${encodeURIComponent(number)}`);
  const at = discussion.isPullRequest ? ends(discussion) : null;
  const found = at ? await changesBetween(repo, at.from, at.to) : { changes: [], cut: false };
  const base = address.file(repo, discussion.isPullRequest ? `refs/pr/${discussion.num}` : "main", "README.md");
  const use = `AutoModel.from_pretrained("${repo.full}", revision="refs/pr/${discussion.num}")`;
  const live = ["open", "draft"].includes(discussion.status);
  return {
    title: `${discussion.title} #${discussion.num} · ${repo.full}`,
    parts: [
      head(repo, "discussions"),
      lead(repo, discussion, { sentence: at ? changeSentence(found) : "It has no commit yet." }),
      ...(at ? changedSections(repo, found, at.from, at.to) : []),
      discussion.isPullRequest && live && at && repo.type === "models" && section("Use it before it is merged", element("pre", { tabindex: "0" }, element("code", {}, use))),
      section("Conversation", element("ol.talk", {}, discussion.events.map((event) => eventItem(repo, event, base)))),
      takePart(repo, discussion, at?.to ?? "", kindOf(discussion)),
    ],
  };
}
