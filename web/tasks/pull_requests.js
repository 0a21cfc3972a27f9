// Links to pull requests, and the table of those that exist already.
import { element, numberCell, section, table } from "../shared/dom.js";
import { nameNode, visible } from "../shared/text.js";

/**
 * The URL of the Check page with this pull request filled in.
 * @param {string} repo
 * @param {number} number
 */
export const checkUrl = (repo, number) => `/check?${new URLSearchParams({ address: repo, number: String(number) })}`;

/**
 * A link to a URL of the Hub. A URL that is not http(s) becomes text.
 * @param {string} url
 * @param {import("../shared/dom.js").Child} content
 */
export function hubLink(url, content, selector = "a") {
  let target = null;
  try { target = new URL(url, location.href); } catch { /* not a URL */ }
  if (!target || !/^https?:$/.test(target.protocol)) return element("span", {}, content);
  return element(selector, { href: target.href, rel: "noreferrer" }, content);
}

/**
 * @param {string} repo
 * @param {import("./api_types").PreviousPullRequest[] | undefined} previous
 * @returns {HTMLElement[]}
 */
export function previousSection(repo, previous) {
  if (!previous || previous.length === 0) return [];
  const rows = previous.map((request) => element("tr", {},
    numberCell(hubLink(request.url, `#${request.number}`)),
    element("td.name", {}, nameNode(request.title)),
    element("td", {}, visible(request.author)),
    element("td", {}, visible(request.status)),
    element("td", {}, request.does_it ? "same conversion" : "other changes"),
    element("td", {}, element("a", {
      href: checkUrl(repo, request.number), "aria-label": `Check pull request ${request.number}`,
    }, "Check"))));
  const heading = "Existing pull requests";
  return [section(heading, table(heading, [["", "number"], "title", "author", "status", "content", ""], rows))];
}
