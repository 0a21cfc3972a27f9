// What the pages of a repository have in common: the way to it, its parts, its revisions, lists that go on, and the token's field.
import { announce, element } from "../shared/dom.js";
import { name, plural, visible } from "../shared/text.js";
import * as address from "./urls.js";
import { account, answer, enter, leave, listed } from "./hub_api.js";

/** A link to another page of this Hub: it is turned to without a new document, so that a token that was typed stays in memory. */
export const link = (href, ...children) => element("a", { href, "data-page": true }, children);

/** Draws the page again, as after a token was typed. Set by main.js. */
export const again = { now: () => {} };

const dot = () => element("span", { "aria-hidden": "true" }, " / ");

/** @param {string} current which of the repository's parts this is: "", "files", "commits", "discussions" */
export function head(repo, current, revision = "main") {
  const part = (key, href, text) => {
    const made = link(href, text);
    if (key === current) made.setAttribute("aria-current", "page");
    return made;
  };
  return element("div.head", {},
    element("p.crumbs", {}, repo.type !== "models" && element("span.quiet", {}, `${repo.type.slice(0, -1)} `),
      link(address.owner(repo.owner), name(repo.owner)), dot(), link(address.home(repo), name(repo.name))),
    element("nav.parts", { "aria-label": "Repository" },
      part("", address.home(repo), "Overview"), part("files", address.folder(repo, revision), "Files"),
      part("commits", address.history(repo, revision), "Commits"), part("discussions", address.discussions(repo), "Discussions")));
}

/** The folders of a path, each a link, and its last part as what it is. */
export function trail(repo, revision, path) {
  const parts = path.split("/");
  const above = parts.slice(0, -1).map((part, i) => [link(address.folder(repo, revision, parts.slice(0, i + 1).join("/")), name(part)), dot()]);
  return element("p.trail", {}, link(address.folder(repo, revision), name(repo.name)), dot(), above, element("span", {}, name(parts.at(-1))));
}

/** "at main": opens to the repository's branches, tags and pull requests. `to` makes the address of this page at another revision. */
export function revisions(repo, revision, to) {
  const box = element("details.revisions", {}, element("summary", {}, "at ", element("code", {}, name(/^[0-9a-f]{40}$/.test(revision) ? revision.slice(0, 7) : revision))));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.childElementCount > 1) return;
    const list = element("ul", {}, element("li.quiet", {}, "…"));
    box.append(list);
    try {
      const refs = await answer(`${address.api(repo, "refs")}?include_prs=true`);
      const all = [...refs.branches.map((ref) => ref.name), ...refs.tags.map((ref) => ref.name), ...refs.converts.map((ref) => ref.ref), ...(refs.pullRequests ?? []).map((ref) => ref.ref)];
      list.replaceChildren(...all.slice(0, 500).map((ref) => element("li", {}, ref === revision ? element("strong", {}, name(ref)) : link(to(ref), name(ref)))));
      if (all.length > 500) list.append(element("li.quiet", {}, `and ${plural(all.length - 500, "more")}`));
    } catch (problem) {
      list.replaceChildren(element("li", {}, visible(problem.message)));
    }
  });
  return box;
}

/** A button that brings the next page of a list and puts its rows behind those that are there. @param {string} next its address; "" for none */
export function more(next, append, text = "Show more") {
  if (!next) return null;
  const button = element("button.second", { type: "button" }, text);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const page = await listed(next);
      append(page.items);
      announce(`${plural(page.items.length, "more row")}`);
      next = page.next;
      button.textContent = text;
    } catch (problem) {
      if (problem.name === "AbortError") return;
      button.textContent = `${text}: try again`;
    }
    button.disabled = false;
    if (!next) button.remove();
  });
  return element("p.more", {}, button);
}

let tokenForms = 0;

/** The field for a token. It is asked of the Hub whose it is, kept in this page's memory, and gone with the page. */
export function tokenForm(words) {
  const note = `token-note-${++tokenForms}`;
  const field = element("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": note });
  const problem = element("p.problem", { role: "alert" });
  const form = element("form.token", { method: "post" },
    element("label.field", {}, words, field),
    element("p.quiet", { id: note }, "Kept in this page's memory until you close it or load another; never stored."),
    problem, element("p.actions", {}, element("button", {}, "Use this token")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.replaceChildren();
    try {
      await enter(field.value.trim());
    } catch (refused) {
      if (refused.name === "AbortError") return;
      problem.replaceChildren(element("strong", {}, refused.status === 401 ? "This Hub does not know that token." : visible(refused.message)),
        element("span.hint", {}, refused.status === 401 ? "Whoever runs it makes one with depickle user add NAME." : "Try again in a moment."));
      field.setAttribute("aria-invalid", "true");
      field.focus();
      return;
    }
    announce(`The token is ${account.name}'s.`);
    again.now();
  });
  return form;
}

/** The foot of each page: whose token is in use, or the field for one where the page itself does not ask. */
export function accountFoot(asks) {
  if (!account.name && asks) return [];
  if (!account.name) return [element("details", {}, element("summary", {}, "Use a token, for what is private"), tokenForm("Token of this Hub"))];
  const forget = element("button.link", { type: "button" }, "Forget it");
  forget.addEventListener("click", () => { leave(); again.now(); });
  return [element("p", {}, "With the token of ", element("strong", {}, name(account.name)), account.mayWrite ? ". " : ", which may only read. ", forget)];
}
