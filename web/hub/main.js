// The embedded Hub's own pages: which one the address asks for, and turning from one to the next without a new document.
import { announce, element, title } from "../shared/dom.js";
import { place } from "./urls.js";
import { turn } from "./hub_api.js";
import { commitPage, commitsPage } from "./commits.js";
import { discussionPage } from "./discussion.js";
import { discussionsPage } from "./discussions.js";
import { filePage } from "./file.js";
import { filesPage } from "./files.js";
import { accountFoot, again } from "./layout.js";
import { missingPage, problemPage } from "./error_pages.js";
import { ownerPage } from "./owner.js";
import { repositoryPage } from "./repository.js";

/** Each gives {title, parts}: what the tab says and the nodes of the page; {instead: address} where another page has it. Throws Refused. */
const kPages = {
  owner: ownerPage, repository: repositoryPage, files: filesPage, file: filePage, commits: commitsPage, commit: commitPage,
  discussions: discussionsPage, discussion: discussionPage, missing: missingPage,
};

const main = document.getElementById("main");
let shown = "";
let drawing = 0;

async function draw({ focus, scroll = 0 }) {
  const mine = ++drawing;
  turn();
  shown = location.pathname + location.search;
  const here = place(location.pathname);
  const slow = setTimeout(() => { main.setAttribute("aria-busy", "true"); }, 150);
  let page;
  try {
    page = await kPages[here.view](here);
  } catch (problem) {
    if (mine !== drawing) return;
    page = problemPage(here, problem);
  }
  clearTimeout(slow);
  if (mine !== drawing) return;
  if (page.instead) {
    history.replaceState(history.state, "", page.instead);
    draw({ focus, scroll });
    return;
  }
  main.removeAttribute("aria-busy");
  main.replaceChildren(...page.parts.filter(Boolean));
  document.getElementById("account").replaceChildren(...accountFoot(main.querySelector("form.token") !== null));
  title(page.title);
  const target = location.hash && document.getElementById(decodeHash());
  if (target) target.scrollIntoView();
  else scrollTo(0, scroll);
  if (!focus) return;
  main.focus({ preventScroll: true });
  announce(page.title);
}

function decodeHash() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

function keepScroll() {
  history.replaceState({ y: scrollY }, "");
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-page]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (place(link.pathname).view === "missing") return;
  event.preventDefault();
  keepScroll();
  history.pushState({}, "", link.href);
  draw({ focus: true });
});
addEventListener("popstate", () => {
  if (location.pathname + location.search !== shown) draw({ focus: true, scroll: history.state?.y ?? 0 });
});
addEventListener("pagehide", keepScroll);
history.scrollRestoration = "manual";

again.now = () => draw({ focus: true, scroll: scrollY });
document.getElementById("hub").replaceChildren(element("span", {}, location.host));
draw({ focus: false, scroll: history.state?.y ?? 0 });
