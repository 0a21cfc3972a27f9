// Shows an error beside the form, or in the section, it belongs to.
import { ApiError, describeError, isAborted } from "./api.js";
import { element, section } from "./dom.js";
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

/**
 * A section that could not be drawn: its heading and the error.
 * @param {string} heading
 * @param {unknown} error
 */
function failedSection(heading, error) {
  if (!(error instanceof ApiError)) console.error(error); // a fault of this page
  return section(heading, element("p.problem", { role: "note" }, problemNodes(error)));
}

/**
 * What `build` returns. If it fails, a section with the error, so that the rest of the page is shown.
 * @param {string} heading
 * @param {() => import("./dom_types").Child} build
 * @returns {import("./dom_types").Child}
 */
export function guarded(heading, build) {
  try {
    return build();
  } catch (error) {
    return failedSection(heading, error);
  }
}

/**
 * The same for a section that is loaded. Throws AbortError if its requests were cancelled.
 * @param {string} heading
 * @param {() => Promise<import("./dom_types").Child>} load
 * @returns {Promise<import("./dom_types").Child>}
 */
export async function loadGuarded(heading, load) {
  try {
    return await load();
  } catch (error) {
    if (isAborted(error)) throw error;
    return failedSection(heading, error);
  }
}
