// Shows an error beside the form it belongs to.
import { describeError } from "./api.js";
import { element } from "./dom.js";
import { visible } from "./text.js";

/** @typedef {ReturnType<typeof problemLine>} ProblemLine */

let problemCount = 0;

/**
 * The nodes for an error: its message, then its hint.
 * @param {unknown} error an Error, or {message, hint}
 * @returns {HTMLElement[]}
 */
export function problemNodes(error) {
  const { message, hint } = describeError(error);
  const nodes = [element("strong", {}, visible(message))];
  return hint ? [...nodes, element("span.hint", {}, visible(hint))] : nodes;
}

/**
 * A line for the error of a form; hidden while there is none. show() also marks `input` as invalid.
 * @param {HTMLInputElement} [input]
 */
export function problemLine(input) {
  const node = element("p.problem", { id: `problem-${++problemCount}`, role: "alert", hidden: true });
  const describedBy = input?.getAttribute("aria-describedby") ?? "";
  const clear = () => {
    node.hidden = true;
    node.replaceChildren();
    input?.removeAttribute("aria-invalid");
  };
  /** @param {unknown} error an Error, or {message, hint} */
  const show = (error) => {
    node.replaceChildren(...problemNodes(error));
    node.hidden = false;
    if (!input) return;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", `${describedBy} ${node.id}`.trim());
  };
  return { node, show, clear };
}
