// The pages that are shown instead of one that does not exist or cannot be loaded.
import { ApiError, describeError } from "../shared/api.js";
import { element } from "../shared/dom.js";
import { nameNode, visible } from "../shared/text.js";
import { account } from "./hub_api.js";
import { pageLink } from "./navigation.js";
import { signInForm } from "./sign_in.js";
import * as urls from "./urls.js";

/** @typedef {import("../shared/dom.js").Child} Child */
/** @typedef {import("./hub_types").Route} Route */
/** @typedef {import("./hub_types").View} View */

/**
 * @param {string} title
 * @param {Child} heading
 * @param {Child} text
 * @param {Child} rest
 * @returns {View}
 */
const errorView = (title, heading, text, rest = null) =>
  ({ title, parts: [element("section", {}, element("h1", {}, heading), element("p.lead", {}, text), rest)] });

/** @param {Route} route */
export function missingView({ repo }) {
  const target = repo.name
    ? pageLink(urls.repository(repo), nameNode(repo.fullName))
    : element("a", { href: "/" }, "the start page");
  return errorView("Page not found", "Page not found",
    ["This URL is not that of a repository, a file or a discussion. Go to ", target, "."]);
}

/** @param {Route} route */
function missingRepository({ repo }) {
  const reason = account.name
    ? ["The name is misspelled, or ", element("strong", {}, nameNode(account.name)), " may not read the repository."]
    : "The name is misspelled, or the repository is private. To see it, sign in with a token that may read it.";
  return errorView("Repository not found", ["Repository ", nameNode(repo.fullName), " not found"],
    [reason, " See the other repositories of ", pageLink(urls.owner(repo.owner), nameNode(repo.owner)), "."],
    signInForm());
}

/** @param {Route} route @param {ApiError} error */
function restricted({ repo }, error) {
  return errorView("Access restricted", ["Access to ", nameNode(repo.fullName), " is restricted"],
    [visible(error.message), ". Ask its owner for access, then sign in with your token."], signInForm());
}

/**
 * The page for a failed request, or for a fault of this page.
 * @param {Route} route
 * @param {unknown} error
 * @returns {View}
 */
export function errorPage(route, error) {
  if (!(error instanceof ApiError)) {
    console.error(error);
    return errorView("Error", "The page could not be drawn", `${visible(describeError(error).message)}.`);
  }
  const { repo, revision, path, number } = route;
  const fullName = nameNode(repo.fullName);
  switch (error.code) {
    case "RepoNotFound": return missingRepository(route);
    case "GatedRepo": return restricted(route, error);
    case "RevisionNotFound":
      return errorView("Revision not found", ["Revision ", nameNode(revision), " of ", fullName, " not found"],
        ["The branch may have been deleted. See the ", pageLink(urls.commits(repo, "main"), "commits on main"), "."]);
    case "EntryNotFound":
      return errorView("File not found", [nameNode(path || "File"), " not found in ", fullName],
        ["Revision ", element("code", {}, nameNode(revision)), " does not contain this file or folder. See ",
          pageLink(urls.folder(repo, revision), "all files"), "."]);
    case "DiscussionNotFound":
      return errorView("Discussion not found", ["Discussion ", nameNode(number), " of ", fullName, " not found"],
        ["See ", pageLink(urls.discussions(repo), "all discussions"), "."]);
    default:
  }
  if (error.status === 0) return errorView("No answer", error.message, error.hint);
  if (error.status === 401) return restricted(route, error);
  if (error.status === 403) return errorView("Access denied", "Access denied", `${visible(error.message)}.`);
  return errorView("Error", "The page could not be loaded", `${visible(error.message)} Try again.`);
}
