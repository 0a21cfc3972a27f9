// Commenting, merging and closing: with a token that was typed into this page, and a merge with the repository's name typed too.
import { announce, element, section } from "../shared/dom.js";
import { name, visible } from "../shared/text.js";
import * as address from "./urls.js";
import { account, answer } from "./hub_api.js";
import { again, tokenForm } from "./layout.js";

/** Sends `json`; then the page is drawn again with what has come of it. What goes wrong is told at `problem`. */
async function act(button, problem, path, json, done) {
  button.disabled = true;
  problem.replaceChildren();
  try {
    await answer(path, { method: "POST", json });
    announce(done);
    again.now();
  } catch (refused) {
    if (refused.name === "AbortError") return;
    problem.replaceChildren(element("strong", {}, visible(refused.message)), element("span.hint", {}, hint(refused)));
    button.disabled = false;
  }
}

function hint({ status }) {
  if (status === 401) return "The token is not valid any more: use another.";
  if (status === 403) return "Use the token of somebody who may write to this repository.";
  if (status === 409 || status === 412) return "Load the page again: something has changed meanwhile.";
  return "Try again in a moment.";
}

const problemLine = () => element("p.problem", { role: "alert" });

function commentForm(path) {
  const field = element("textarea", { rows: "4", maxlength: "60000", required: true });
  const button = element("button.second", {}, "Comment");
  const problem = problemLine();
  const form = element("form", { method: "post" }, element("label.field", {}, "Comment", field), problem, element("p.actions", {}, button));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(button, problem, `${path}/comment`, { comment: field.value }, "The comment is there.");
  });
  return form;
}

const headOf = (discussion) => discussion.events.filter((event) => event.type === "commit").at(-1)?.data.oid ?? "";

function mergeForm(repo, path, head) {
  const field = element("input", { autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true });
  const button = element("button", {}, "Merge");
  const problem = problemLine();
  const form = element("form.merge", { method: "post" },
    element("label.field", {}, element("span", {}, "To merge it, type ", element("strong", {}, name(repo.full))), field), problem, element("p.actions", {}, button));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (field.value.trim() !== repo.full) {
      problem.replaceChildren(element("strong", {}, "That is not the repository's name."), element("span.hint", {}, `Type ${repo.full}.`));
      field.setAttribute("aria-invalid", "true");
      field.focus();
      return;
    }
    button.disabled = true;
    try {
      // What is merged is what was looked at.
      if (headOf(await answer(path)) !== head) {
        problem.replaceChildren(element("strong", {}, "The pull request has another commit than this page shows."), element("span.hint", {}, "Load the page again and look at it."));
        button.disabled = false;
        return;
      }
    } catch (refused) {
      if (refused.name === "AbortError") return;
      problem.replaceChildren(element("strong", {}, visible(refused.message)), element("span.hint", {}, hint(refused)));
      button.disabled = false;
      return;
    }
    act(button, problem, `${path}/merge`, {}, "It is merged.");
  });
  return form;
}

function statusButton(path, status, words, done) {
  const problem = problemLine();
  const button = element("button.second", { type: "button" }, words);
  button.addEventListener("click", () => act(button, problem, `${path}/status`, { status }, done));
  return element("div", {}, element("p.actions", {}, button), problem);
}

/** @param {string} shown the pull request's commit that this page shows */
export function takePart(repo, discussion, shown, kind) {
  if (!account.name) return section("Take part", element("p", {}, `With a token you can comment${discussion.isPullRequest ? ", merge" : ""} and close.`), tokenForm("Token of this Hub"));
  const path = `${address.api(repo, "discussions")}/${discussion.num}`;
  const { status } = discussion;
  const live = status === "open" || status === "draft";
  const may = discussion.isPullRequest && live && shown && account.mayWrite;
  return section("Take part",
    may && mergeForm(repo, path, shown),
    commentForm(path),
    status === "draft" && statusButton(path, "open", "Open it for merging", "It is open."),
    live && statusButton(path, "closed", `Close the ${kind}`, "It is closed."),
    status === "closed" && statusButton(path, "open", `Open the ${kind} again`, "It is open."));
}
