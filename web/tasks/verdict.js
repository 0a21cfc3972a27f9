// The box with the answer of a job in one sentence.
import { element } from "../shared/dom.js";

/**
 * @param {import("./api_types").Job["answer"]} answer sets the color
 * @param {...import("../shared/dom.js").Child} children
 */
export function verdictSection(answer, ...children) {
  const className = answer === "yes" ? "" : answer === "nothing" ? ".nothing" : ".no";
  return element(`section.verdict${className}`, {}, children);
}
