// Pull requests that others, or we, have opened before, and the way to check one.
import { element, numberCell, section, table } from "../shared/dom.js";
import { name, visible } from "../shared/text.js";

/** Where Check begins with this pull request filled in. */
export const checkPath = ({ repo, number }) => `/check?${new URLSearchParams({ address: repo, number: String(number) })}`;

/** An address of the Hub as a link; one that is not http(s) stays text. */
export function hubLink(url, text, kind = "a") {
  let to = null;
  try { to = new URL(url, location.href); } catch { /* not an address */ }
  if (!to || !/^https?:$/.test(to.protocol)) return element("span", {}, text);
  return element(kind, { href: to.href, rel: "noreferrer" }, text);
}

/** @returns {HTMLElement[]} */
export function previousSection(repo, previous) {
  if (!previous || previous.length === 0) return [];
  const rows = previous.map((request) => element("tr", {}, numberCell(hubLink(request.url, `#${request.number}`)),
    element("td.name", {}, name(request.title)), element("td", {}, visible(request.author)), element("td", {}, visible(request.status)),
    element("td", {}, request.does_it ? "does this already" : "does something else"),
    element("td", {}, element("a", { href: checkPath({ repo, number: request.number }), "aria-label": `Check pull request ${request.number}` }, "Check it"))));
  return [section("Pull requests there already", table("Pull requests there already", [["", "number"], "title", "by", "status", "verdict", ""], rows))];
}
