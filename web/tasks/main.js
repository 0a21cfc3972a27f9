// The document of /, /check, /inspect, /jobs and /jobs/ID: shows the view of the current path.
import { appendAll, byId, element } from "../shared/dom.js";
import { guarded } from "../shared/problem.js";
import { about } from "./api.js";
import { checkView } from "./check.js";
import { convertView } from "./convert.js";
import { inspectView } from "./inspect.js";
import { jobView } from "./job.js";
import { jobsView } from "./jobs.js";

/**
 * What a view gets.
 * @typedef {object} Page
 * @property {HTMLElement} main the view appends its elements here
 * @property {(path: string) => void} go shows another path in this document
 * @property {URLSearchParams} query
 * @property {(task: string) => void} setTask marks a link of the navigation as current: "/", "/check", …
 * @property {(text: string) => void} warn shows a warning above the view; "" removes it
 */

/**
 * Each returns what to call when the view is left, or nothing.
 * @type {Record<string, (page: Page) => void | (() => void)>}
 */
const views = { "/": convertView, "/check": checkView, "/inspect": inspectView, "/jobs": jobsView };

const main = byId("main");
/** @type {(() => void) | undefined} */
let leaveView;

/** @param {string} task */
function setTask(task) {
  for (const link of document.querySelectorAll("header.bar nav a")) {
    if (link.getAttribute("href") === task) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** @param {string} text */
function warn(text) {
  const line = byId("connection");
  if (line.textContent !== text) line.textContent = text;
}

function show() {
  leaveView?.();
  warn("");
  main.replaceChildren();
  const path = location.pathname.replace(/(?<=.)\/$/, "");
  /** @type {Page} */
  const page = { main, go, query: new URLSearchParams(location.search), setTask, warn };
  setTask(path);
  const view = views[path] ?? (() => jobView(page, decodeURIComponent(path.replace(/^\/jobs\//, ""))));
  leaveView = undefined;
  appendAll(main, [guarded("The page could not be drawn", () => {
    leaveView = view(page) ?? undefined;
    return null;
  })]);
}

/** @param {string} path */
function go(path) {
  history.pushState(null, "", path);
  show();
  scrollTo(0, 0);
  (main.querySelector("h1") ?? main).focus({ preventScroll: true });
}

async function showHubHost() {
  try {
    const { hub } = await about();
    const { host, href } = new URL(hub.url, location.href);
    byId("hub").replaceChildren(hub.embedded ? host : element("a", { href, rel: "noreferrer" }, host));
  } catch {
    warn("The server does not answer. Check that depickle serve is running.");
  }
}

addEventListener("popstate", show);
addEventListener("offline", () => warn("This browser is offline. Running jobs continue on the server."));
addEventListener("online", () => warn(""));
show();
showHubHost();
