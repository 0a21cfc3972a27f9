// Merging a pull request after the visitor has typed the name of the repository.
import { announce, code, element, section } from "../shared/dom.js";
import { problemLine } from "../shared/problem.js";
import { shortCommit, visible } from "../shared/text.js";
import { about, jobPath, post } from "./api.js";
import { isDenied, tokenField } from "./form.js";
import { hubLink } from "./pull_requests.js";

/** @typedef {import("./api_types").Job} Job */

/**
 * The merge form, or the reason why there is none.
 * @param {Job} job
 * @returns {HTMLElement[]}
 */
export function mergeSection(job) {
  const { mergeable: isMergeable, why_not: reason } = job.result;
  if (isMergeable) return [section("Merge", mergeForm(job))];
  if (!reason) return [];
  return [section("Merge", element("p", {}, `This pull request cannot be merged here: ${visible(reason)}.`))];
}

/** @param {Job} job */
function mergeForm(job) {
  const input = element("input", {
    id: "confirm", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "200",
  });
  const button = element("button", {}, "Merge");
  const problem = problemLine(input);
  const token = tokenField("Use your own token");
  const form = element("form.address", { novalidate: true },
    element("label", { for: "confirm" }, "To merge the pull request, type ", code(job.repo)), input, button,
    problem.node, token.node);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.clear();
    const confirm = input.value.trim();
    if (confirm !== job.repo) {
      problem.show({ message: "The name does not match.", hint: `Type ${job.repo}` });
      input.focus();
      return;
    }
    button.disabled = true;
    try {
      const { commit, url } = await post(jobPath(job.id, "/merge"), { confirm, token: token.take() });
      const name = code(shortCommit(commit));
      const merged = element("p", { tabindex: "-1" },
        element("strong.good", {}, "Merged"), " as commit ", url ? hubLink(url, name) : name, ".");
      form.replaceWith(merged);
      merged.focus();
      announce("Merged.");
    } catch (error) {
      problem.show(error);
      if (isDenied(error)) token.open();
    } finally {
      button.disabled = false;
    }
  });
  about().then(({ personal, account }) => {
    if (!personal || !account) token.open("Merging needs a token that may write to this repository.");
  }, () => {});
  return form;
}
