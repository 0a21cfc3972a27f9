// Navigation between the Hub's pages without loading a new document, so that a typed token stays in memory.
import { element } from "../shared/dom.js";

/**
 * A link to another page of this Hub.
 * @param {string} href
 * @param {...import("../shared/dom.js").Child} children
 */
export const pageLink = (href, ...children) => element("a", { href, "data-page": true }, children);

/** redraw() draws the current page again, for example after a sign-in. main.js sets it. */
export const navigation = { redraw: () => {} };
