// The repositories of a user or an organization.
import { element, section, table, timeElement } from "../shared/dom.js";
import { guarded } from "../shared/problem.js";
import { formatNumber, nameNode } from "../shared/text.js";
import { account, requestPage } from "./hub_api.js";
import { linkCell, moreButton } from "./layout.js";
import { signInForm } from "./sign_in.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").RepoInfo} RepoInfo */

const types = /** @type {const} */ (["models", "datasets", "spaces"]);
const headings = { models: "Models", datasets: "Datasets", spaces: "Spaces" };

/** @param {typeof types[number]} type @param {RepoInfo} info */
function row(type, info) {
  const [owner, name] = info.id.split("/");
  const access = info.private ? "private" : info.gated ? "gated" : "public";
  return element("tr", {}, linkCell(urls.repository(urls.makeRepo(type, owner, name)), name),
    element("td.muted", {}, access), element("td.muted", {}, timeElement(info.lastModified)));
}

/** @param {typeof types[number]} type @param {{items: RepoInfo[], next: string}} page */
function repositories(type, page) {
  if (page.items.length === 0) return null;
  const heading = headings[type];
  const made = table(heading, ["name", "access", "last change"], page.items.map((info) => row(type, info)));
  const append = (/** @type {RepoInfo[]} */ items) =>
    made.querySelector("tbody")?.append(...items.map((info) => row(type, info)));
  return section(heading, made, moreButton(page.next, append));
}

/** @param {import("./hub_types").Route} route */
export async function ownerView({ owner }) {
  const query = `author=${encodeURIComponent(owner)}&limit=500`;
  const pages = await Promise.all(types.map((type) => requestPage(`/api/${type}?${query}`)));
  const count = pages.reduce((sum, page) => sum + page.items.length, 0);
  if (count === 0) return emptyOwner(owner);
  const isMore = pages.some((page) => page.next);
  const text = count === 1 ? "1 repository" : `${isMore ? "More than " : ""}${formatNumber(count)} repositories`;
  return {
    title: owner,
    parts: [
      element("section", {}, element("h1", {}, nameNode(owner)), element("p.lead", {}, `${text}.`)),
      types.map((type, i) => guarded(headings[type], () => repositories(type, pages[i]))),
    ],
  };
}

/** @param {string} owner */
function emptyOwner(owner) {
  const text = account.name
    ? ["There are none that ", element("strong", {}, nameNode(account.name)), " may read."]
    : "There are no public ones. Sign in with a token to see private ones.";
  return {
    title: owner,
    parts: [element("section", {}, element("h1", {}, nameNode(owner), " has no repositories"),
      element("p.lead", {}, text, " Go to ", element("a", { href: "/" }, "the start page"), "."), signInForm())],
  };
}
