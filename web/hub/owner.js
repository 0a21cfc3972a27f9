// What a user or an organisation has: models, datasets, spaces.
import { element, nameCell, section, table } from "../shared/dom.js";
import { grouped, moment, name } from "../shared/text.js";
import * as address from "./urls.js";
import { account, listed } from "./hub_api.js";
import { link, more, tokenForm } from "./layout.js";

function row(type, info) {
  const [owner, title] = String(info.id).split("/");
  const cell = nameCell("");
  cell.append(link(address.home(address.repository(type, owner, title ?? "")), name(title ?? owner)));
  return element("tr", {}, cell, element("td.quiet", {}, info.private ? "private" : info.gated ? "whoever is let in" : "everybody"),
    element("td.quiet", {}, element("time", { datetime: info.lastModified }, moment(info.lastModified))));
}

function part(type, heading, page) {
  if (page.items.length === 0) return null;
  const made = table(heading, ["name", "who may read", "last change"], page.items.map((info) => row(type, info)));
  const body = made.querySelector("tbody");
  return section(heading, made, more(page.next, (items) => body.append(...items.map((info) => row(type, info)))));
}

export async function ownerPage({ owner }) {
  const types = ["models", "datasets", "spaces"];
  const pages = await Promise.all(types.map((type) => listed(`/api/${type}?author=${encodeURIComponent(owner)}&limit=500`)));
  const parts = types.map((type, i) => part(type, ["Models", "Datasets", "Spaces"][i], pages[i]));
  const count = pages.reduce((sum, page) => sum + page.items.length, 0);
  if (count === 0) {
    const who = account.name ? ["that ", element("strong", {}, name(account.name)), " may see"] : "that everybody may see";
    return {
      title: owner,
      parts: [element("section", {}, element("h1", {}, name(owner), " has nothing here."),
        element("p.lead", {}, "There is no repository of this name ", who, ". A token shows private ones; ", element("a", { href: "/" }, "the front page"), " has what to begin with."),
        tokenForm(account.name ? "Another token" : "Token of this Hub"))],
    };
  }
  const shown = pages.some((page) => page.next) ? `More than ${grouped(count)} repositories` : count === 1 ? "1 repository" : `${grouped(count)} repositories`;
  return { title: owner, parts: [element("section", {}, element("h1", {}, name(owner)), element("p.lead", {}, `${shown}.`)), ...parts] };
}
