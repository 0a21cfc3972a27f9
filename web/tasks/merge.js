// Merging, by somebody who types what they are about to change.
import { about, post } from "./api.js";
import { announce, code, element, section } from "../shared/dom.js";
import { problemLine, tokenField } from "./form.js";
import { hubLink } from "./pull_requests.js";
import { short, visible } from "../shared/text.js";

/** The form; or why there is none; or nothing. @returns {HTMLElement[]} */
export function mergeSection(job) {
  const { mergeable, why_not: why } = job.result;
  if (!mergeable) return why ? [section("Merge", element("p", {}, visible(why)))] : [];
  const input = element("input", { id: "confirm", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "200" });
  const button = element("button", {}, "Merge");
  const problem = problemLine(input);
  const token = tokenField("With your own token");
  const form = element("form.address", { novalidate: true }, element("label", { for: "confirm" }, "Type ", code(job.repo), " to merge the pull request into it"), input, button, problem.node, token.node);
  const whole = section("Merge", form);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.clear();
    const confirm = input.value.trim();
    if (confirm !== job.repo) {
      problem.show({ message: confirm === "" ? "Nothing is typed." : "That is another name.", hint: `Type ${job.repo}, exactly.` });
      input.focus();
      return;
    }
    button.disabled = true;
    try {
      const { commit, url } = await post(`jobs/${encodeURIComponent(job.id)}/merge`, { confirm, token: token.take() });
      form.replaceWith(element("p", { tabindex: "-1", id: "merged" }, element("strong.good", {}, "Merged"), " as commit ", url ? hubLink(url, code(short(commit))) : code(short(commit)), "."));
      whole.querySelector("#merged").focus();
      announce("Merged.");
    } catch (refused) {
      problem.show(refused);
      if (refused.code === "denied") token.open();
    } finally {
      button.disabled = false;
    }
  });
  about().then(({ personal, account }) => {
    if (!personal || !account) token.open("Merging needs the token of somebody who may write there.");
  }, () => {});
  return [whole];
}
