// The start page: the form that plans a conversion, and sample models.
import { element, setTitle } from "../shared/dom.js";
import { nameNode } from "../shared/text.js";
import { about } from "./api.js";
import { addressForm, focusInput, taskHead } from "./form.js";

/** @typedef {import("./main.js").Page} Page */

/**
 * The form that starts a plan.
 * @param {Page} page
 * @param {string} address
 */
export const planForm = (page, address) => addressForm(page, {
  kind: "plan", label: "A model on the Hub: an id, an id@revision, or a pasted URL", buttonText: "Show plan", address,
});

export const convertHeading = "Convert a model to safetensors";

/** @param {Page} page */
export function convertView(page) {
  setTitle(convertHeading);
  const form = planForm(page, page.query.get("address") ?? "");
  const samples = element("section", { hidden: true });
  page.main.append(taskHead(convertHeading, form), samples, explanation());
  focusInput(form.input);
  showSamples(samples, form);
}

function explanation() {
  return element("section", { "aria-label": "How it works" }, element("dl.facts", {},
    element("dt", {}, "No code is executed"),
    element("dd", {},
      "A pickle is a program. depickle parses it, never executes it, and shows what it would have executed."),
    element("dt", {}, "Every tensor is compared"),
    element("dd", {},
      "Each tensor of the new file is compared with the pickle, bit for bit, before anything is uploaded."),
    element("dt", {}, "The result can be verified"),
    element("dd", {}, "The pull request adds only weights. Anybody can verify them with the receipt.")));
}

/** @param {HTMLElement} place @param {import("./form.js").AddressForm} form */
async function showSamples(place, form) {
  const { samples } = await about().catch(() => ({ samples: [] }));
  if (samples.length === 0) return;
  const items = samples.map((repo) => element("li", {},
    element("button.link.name", { type: "button", onclick: () => form.start(repo) }, nameNode(repo))));
  place.append(element("h2", {}, "Try a sample model"), element("ul.samples", {}, items));
  place.hidden = false;
}
