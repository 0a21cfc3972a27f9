// The document of the embedded Hub's pages: shows the view of the current path. Links between these pages do not load a
// new document.
import { isAborted } from "../shared/api.js";
import { announce, appendAll, byId, element, setTitle } from "../shared/dom.js";
import { commitsView, commitView } from "./commits.js";
import { discussionView } from "./discussion.js";
import { discussionsView } from "./discussions.js";
import { errorPage, missingView } from "./error_pages.js";
import { fileView } from "./file.js";
import { filesView } from "./files.js";
import { cancelRequests } from "./hub_api.js";
import { navigation } from "./navigation.js";
import { ownerView } from "./owner.js";
import { repositoryView } from "./repository.js";
import { accountFooter } from "./sign_in.js";
import { parsePath } from "./urls.js";

/** @typedef {import("./hub_types").Route} Route */
/** @typedef {import("./hub_types").View} View */

/**
 * Each view throws ApiError.
 * @type {Record<string, (route: Route) => View | Promise<View>>}
 */
const views = {
  owner: ownerView, repository: repositoryView, files: filesView, file: fileView, commits: commitsView,
  commit: commitView, discussions: discussionsView, discussion: discussionView, missing: missingView,
};

const busyDelayMs = 150;
const main = byId("main");
let shownUrl = "";
let drawCount = 0;

/**
 * Draws the page of the current URL.
 * @param {boolean} moveFocus to the content, as after a navigation
 * @param {number} scrollTop in pixels
 */
async function draw(moveFocus, scrollTop) {
  const drawNumber = ++drawCount;
  cancelRequests();
  shownUrl = location.pathname + location.search;
  const busyTimer = setTimeout(() => { main.setAttribute("aria-busy", "true"); }, busyDelayMs);
  const view = await load(parsePath(location.pathname)).finally(() => clearTimeout(busyTimer));
  if (view === null || drawNumber !== drawCount) return;
  if (view.redirect) {
    history.replaceState(history.state, "", view.redirect);
    draw(moveFocus, scrollTop);
    return;
  }
  show(view);
  const target = document.getElementById(decodedHash());
  if (target) target.scrollIntoView();
  else scrollTo(0, scrollTop);
  if (!moveFocus) return;
  main.focus({ preventScroll: true });
  announce(view.title);
}

/**
 * The view of a route, or an error page; null if the visitor has left the page meanwhile.
 * @param {Route} route
 * @returns {Promise<View | null>}
 */
async function load(route) {
  try {
    return await views[route.view](route);
  } catch (error) {
    return isAborted(error) ? null : errorPage(route, error);
  }
}

/** @param {View} view */
function show({ title, parts }) {
  main.removeAttribute("aria-busy");
  main.replaceChildren();
  appendAll(main, parts);
  const hasSignInForm = main.querySelector("form.token") !== null;
  byId("account").replaceChildren(...accountFooter(hasSignInForm));
  setTitle(title);
}

function decodedHash() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

function saveScroll() {
  history.replaceState({ y: scrollY }, "");
}

/** @param {MouseEvent} event */
function onClick(event) {
  const link = event.target instanceof Element ? event.target.closest("a[data-page]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return; // opens a new tab or a download
  if (parsePath(link.pathname).view === "missing") return;
  event.preventDefault();
  saveScroll();
  history.pushState({}, "", link.href);
  draw(true, 0);
}

document.addEventListener("click", onClick);
addEventListener("popstate", () => {
  if (location.pathname + location.search !== shownUrl) draw(true, history.state?.y ?? 0);
});
addEventListener("pagehide", saveScroll);
history.scrollRestoration = "manual";

navigation.redraw = () => { draw(true, scrollY); };
byId("hub").replaceChildren(element("span", {}, location.host));
draw(false, history.state?.y ?? 0);
