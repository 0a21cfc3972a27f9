// Which view stands in the page, and the bar above it.
import { about } from "./api.js";
import { checkView } from "./check.js";
import { convertView } from "./convert.js";
import { element } from "../shared/dom.js";
import { inspectView } from "./inspect.js";
import { jobView } from "./job.js";
import { jobsView } from "./jobs.js";

const kViews = { "/": convertView, "/check": checkView, "/inspect": inspectView, "/jobs": jobsView };

const main = document.getElementById("main");
let leave = null;

/**
 * What a view is given.
 * @typedef {object} Page
 * @property {HTMLElement} main where it builds itself
 * @property {(path: string) => void} go to another address, without loading the page again
 * @property {URLSearchParams} query
 * @property {(task: string) => void} mark which task of the bar is the current one: "/", "/check", …
 * @property {(text: string) => void} warn says above everything that the server is away; "" takes it back
 */

/** @param {string} task */
function mark(task) {
  for (const link of document.querySelectorAll("header.bar nav a")) {
    if (link.getAttribute("href") === task) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function warn(text) {
  const line = document.getElementById("away");
  if (line.textContent !== text) line.textContent = text;
}

function show() {
  leave?.();
  warn("");
  main.replaceChildren();
  const path = location.pathname.replace(/(?<=.)\/$/, "");
  const page = { main, go, query: new URLSearchParams(location.search), mark, warn };
  mark(path);
  const view = kViews[path];
  leave = (view ? view(page) : jobView(page, decodeURIComponent(path.replace(/^\/jobs\//, "")))) ?? null;
}

function go(path) {
  history.pushState(null, "", path);
  show();
  scrollTo(0, 0);
  (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

async function showHub() {
  try {
    const { hub } = await about();
    const host = new URL(hub.url, location.href);
    document.getElementById("hub").replaceChildren(hub.embedded ? host.host : element("a", { href: host.href, rel: "noreferrer" }, host.host));
  } catch {
    warn("The server does not answer. Is depickle serve still running?");
  }
}

addEventListener("popstate", show);
addEventListener("offline", () => warn("This browser is offline. A job goes on without it."));
addEventListener("online", () => warn(""));
show();
showHub();
