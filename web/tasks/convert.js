// The front page: an address, and models to try it with.
import { about } from "./api.js";
import { element, title } from "../shared/dom.js";
import { addressForm, taskHead } from "./form.js";
import { name } from "../shared/text.js";

/** The form that asks for a plan. */
export const planForm = (page, address) => addressForm(page, {
  kind: "plan", label: "A model on the Hub: an id, an id@revision, or a pasted address", press: "Plan", address,
});

export const kConvertHeading = "Take a model out of pickle";

/** @param {import("./main.js").Page} page */
export function convertView(page) {
  title(kConvertHeading);
  const form = planForm(page, page.query.get("address") ?? "");
  const samples = element("section", { hidden: true });
  page.main.append(taskHead(page, kConvertHeading, form), samples, promise());
  if (matchMedia("(hover: hover)").matches) form.input.focus();
  showSamples(samples, form);
}

/** What is promised, for those who have not met it. */
function promise() {
  return element("section", { "aria-label": "What happens" }, element("dl.facts", {},
    element("dt", {}, "Nothing is run"), element("dd", {}, "A pickle is a program. Here it is read, never executed; what it would have run is shown."),
    element("dt", {}, "Nothing is lost"), element("dd", {}, "Each tensor of the new file is compared with the pickle's, to the last bit, before anything is uploaded."),
    element("dt", {}, "Nothing is hidden"), element("dd", {}, "The plan comes first. The pull request adds weights alone, and a receipt proves them to anybody.")));
}

async function showSamples(place, form) {
  const { samples } = await about().catch(() => ({ samples: [] }));
  if (samples.length === 0) return;
  const buttons = samples.map((repo) => element("li", {}, element("button.link.name", { type: "button", onclick: () => form.start(repo) }, name(repo))));
  place.append(element("h2", {}, "Try one of these"), element("ul.samples", {}, buttons));
  place.hidden = false;
}
