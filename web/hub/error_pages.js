// What a page says where it cannot be shown: what happened, and what to do next.
import { element } from "../shared/dom.js";
import { name, visible } from "../shared/text.js";
import * as address from "./urls.js";
import { account } from "./hub_api.js";
import { link, tokenForm } from "./layout.js";

const said = (heading, ...rest) => [element("section", {}, element("h1", {}, heading), ...rest)];
const words = (...children) => element("p.lead", {}, ...children);

/** An address that has no form of ours. */
export function missingPage(here) {
  const to = here.repo ? link(address.home(here.repo), name(here.repo.full)) : element("a", { href: "/" }, "the front page");
  return { title: "Nothing here", parts: said("There is nothing at this address.", words("It is not the address of a repository, a file or a discussion. Go to ", to, ".")) };
}

function noRepository(here) {
  const whose = account.name ? [" that ", element("strong", {}, name(account.name)), " may see"] : "";
  return said(["There is no repository ", name(here.repo?.full ?? "here"), whose, "."],
    words("Its name may be misspelt, or it is private: then a token of somebody who may read it shows it. Other repositories of ",
      here.repo && link(address.owner(here.repo.owner), name(here.repo.owner)), " are on their own page."),
    tokenForm(account.name ? "Another token" : "Token of this Hub"));
}

function restricted(here, problem) {
  return said([name(here.repo.full), " is restricted."], words(visible(problem.message), ". Whoever owns it lets people in; then their token shows it."),
    tokenForm(account.name ? "Another token" : "Token of this Hub"));
}

/** @param {import("./hub_api.js").Refused} problem */
export function problemPage(here, problem) {
  const { repo } = here;
  const page = (title, parts) => ({ title, parts });
  if (problem.status === 0) return page("No answer", said("The Hub does not answer.", words("It may have been stopped, or the network is away. Load the page again once it is back.")));
  if (problem.code === "RepoNotFound") return page("No such repository", noRepository(here));
  if (problem.code === "GatedRepo" || problem.status === 401) return page("Restricted", restricted(here, problem));
  if (problem.code === "RevisionNotFound") {
    return page("No such revision", said([name(repo.full), " has no revision ", name(here.revision), "."],
      words("A branch may have been deleted, or a commit's name cut. See its ", link(address.history(repo, "main"), "commits on main"), ".")));
  }
  if (problem.code === "EntryNotFound") {
    return page("No such file", said([name(here.path || "This"), " is not in ", name(repo.full), "."],
      words("At revision ", element("code", {}, name(here.revision)), " there is no such file or folder. See ", link(address.folder(repo, here.revision), "all files"), ".")));
  }
  if (problem.code === "DiscussionNotFound") {
    return page("No such discussion", said(["There is no discussion ", name(here.number), " of ", name(repo.full), "."], words("See ", link(address.discussions(repo), "all discussions"), ".")));
  }
  if (problem.status === 403) return page("Not allowed", said("This is not for everybody.", words(`${visible(problem.message)}.`)));
  if (!problem.status) throw problem; // a mistake of ours: the console has it
  return page("It failed", said("The Hub could not show this.", words(`${visible(problem.message)} Try again in a moment.`)));
}
