// The forms of a discussion: comment, merge, close, reopen. They need a token.
import { ApiError, describeError, isAborted } from "../shared/api.js";
import { announce, element, section } from "../shared/dom.js";
import { problemLine } from "../shared/problem.js";
import { nameNode } from "../shared/text.js";
import { isActive, kindOf } from "./discussions.js";
import { account, requestJson } from "./hub_api.js";
import { navigation } from "./navigation.js";
import { signInForm } from "./sign_in.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Discussion} Discussion */
/** @typedef {import("../shared/problem.js").ProblemLine} ProblemLine */

/**
 * Runs an action, with its button disabled, and shows what went wrong.
 * @param {HTMLButtonElement} button
 * @param {ProblemLine} problem
 * @param {() => Promise<void>} action
 */
async function run(button, problem, action) {
  button.disabled = true;
  problem.clear();
  try {
    await action();
  } catch (error) {
    if (isAborted(error)) return;
    const { message } = describeError(error);
    problem.show({ message, hint: hint(error) });
    button.disabled = false;
  }
}

/** @param {unknown} error */
function hint(error) {
  const status = error instanceof ApiError ? error.status : 0;
  if (error instanceof ApiError && error.hint) return error.hint;
  if (status === 401) return "The token is no longer valid. Sign in with another token.";
  if (status === 403) return "Sign in with a token that may write to this repository.";
  if (status === 409 || status === 412) return "Something has changed. Reload the page.";
  return "Try again.";
}

/**
 * Posts `json`, then draws the page again.
 * @param {string} url
 * @param {unknown} json
 * @param {string} news for screen readers
 */
async function postAndRedraw(url, json, news) {
  await requestJson(url, { method: "POST", json });
  announce(news);
  navigation.redraw();
}

/** @param {string} url of the API */
function commentForm(url) {
  const field = element("textarea", { rows: "4", maxlength: "60000", required: true });
  const button = element("button.secondary", {}, "Comment");
  const problem = problemLine();
  return element("form", {
    method: "post",
    onsubmit: (event) => {
      event.preventDefault();
      run(button, problem, () => postAndRedraw(`${url}/comment`, { comment: field.value }, "Comment added."));
    },
  }, element("label.field", {}, "Comment", field), problem.node, element("p.actions", {}, button));
}

/** @param {Discussion} discussion */
const lastCommit = ({ events }) => events.filter((event) => event.type === "commit").at(-1)?.data.oid ?? "";

/**
 * The form that merges a pull request after the visitor has typed the name of the repository.
 * @param {Repo} repo
 * @param {string} url of the API
 * @param {string} shownCommit the commit of the pull request that the page shows
 */
function mergeForm(repo, url, shownCommit) {
  const input = element("input", { autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true });
  const button = element("button", {}, "Merge");
  const problem = problemLine(input);
  const merge = async () => {
    // Only what the visitor has seen is merged.
    if (lastCommit(await requestJson(url)) !== shownCommit) {
      const message = "The pull request has new commits.";
      throw new ApiError(412, { message, hint: "Reload the page and review them." });
    }
    await postAndRedraw(`${url}/merge`, {}, "Merged.");
  };
  return element("form.merge", {
    method: "post",
    onsubmit: (event) => {
      event.preventDefault();
      if (input.value.trim() === repo.fullName) { run(button, problem, merge); return; }
      problem.show({ message: "The name does not match.", hint: `Type ${repo.fullName}` });
      input.focus();
    },
  }, element("label.field", {},
    element("span", {}, "To merge the pull request, type ", element("strong", {}, nameNode(repo.fullName))), input),
  problem.node, element("p.actions", {}, button));
}

/**
 * @param {string} url of the API
 * @param {string} status to change to
 * @param {string} label
 * @param {string} news for screen readers
 */
function statusButton(url, status, label, news) {
  const problem = problemLine();
  const button = element("button.secondary", { type: "button" }, label);
  button.addEventListener("click", () => run(button, problem, () => postAndRedraw(`${url}/status`, { status }, news)));
  return element("div", {}, element("p.actions", {}, button), problem.node);
}

/**
 * @param {Repo} repo
 * @param {Discussion} discussion
 * @param {string} shownCommit the commit of the pull request that the page shows; "" for none
 */
export function actionsSection(repo, discussion, shownCommit) {
  const { isPullRequest, status, num: number } = discussion;
  if (!account.name) {
    const actions = isPullRequest ? "comment, merge and close" : "comment and close";
    return section("Actions", element("p", {}, `Sign in with a token to ${actions}.`), signInForm());
  }
  const url = `${urls.api(repo, "discussions")}/${number}`;
  const kind = kindOf(discussion);
  const canMerge = isPullRequest && isActive(discussion) && shownCommit !== "" && account.mayWrite;
  return section("Actions",
    canMerge && mergeForm(repo, url, shownCommit),
    commentForm(url),
    status === "draft" && statusButton(url, "open", "Mark as ready to merge", "Opened."),
    isActive(discussion) && statusButton(url, "closed", `Close ${kind}`, "Closed."),
    status === "closed" && statusButton(url, "open", `Reopen ${kind}`, "Reopened."));
}
