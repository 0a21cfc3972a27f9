// The URLs of the Hub's pages and of its API: parsed and built.

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Route} Route */

/**
 * @param {import("./hub_types").RepoType} type
 * @param {string} owner
 * @param {string} name
 * @returns {Repo}
 */
export const makeRepo = (type, owner, name) => ({ type, owner, name, fullName: `${owner}/${name}` });

/** @param {string} pathname */
function decodedSegments(pathname) {
  try {
    return pathname.split("/").filter((part) => part !== "").map(decodeURIComponent);
  } catch {
    return []; // a malformed percent-encoding
  }
}

/**
 * The number of segments of the revision: refs/pr/N and refs/convert/NAME have three. In others, slashes are encoded.
 * @param {string[]} segments
 */
const revisionLength = (segments) =>
  (segments[0] === "refs" && ["pr", "convert"].includes(segments[1]) && segments.length > 2 ? 3 : 1);

/** The views whose URL has a revision, by the third segment of their path. */
const revisionViews = /** @type {const} */ ({ tree: "files", blob: "file", commits: "commits" });

/**
 * The page that a path stands for. The view is "missing" if there is no such page.
 * @param {string} pathname
 * @returns {Route}
 */
export function parsePath(pathname) {
  const segments = decodedSegments(pathname);
  const prefix = segments[0];
  const hasPrefix = prefix === "datasets" || prefix === "spaces";
  if (hasPrefix) segments.shift();
  const [owner, name, kind, ...rest] = segments;
  /** @type {Route} */
  const route = {
    view: "missing", owner: owner ?? "", repo: makeRepo(hasPrefix ? prefix : "models", owner ?? "", name ?? ""),
    revision: "main", path: "", number: "",
  };
  if (owner === undefined || (name === undefined && hasPrefix)) return route;
  if (name === undefined) return { ...route, view: "owner" };
  if (kind === undefined) return { ...route, view: "repository" };
  if (kind === "discussions" && rest.length === 0) return { ...route, view: "discussions" };
  if (kind === "discussions") return { ...route, view: "discussion", number: rest[0] };
  if (kind === "commit" && rest.length === 1) return { ...route, view: "commit", revision: rest[0] };
  if ((kind !== "tree" && kind !== "blob" && kind !== "commits") || rest.length === 0) return route;
  const length = revisionLength(rest);
  const [revision, path] = [rest.slice(0, length).join("/"), rest.slice(length).join("/")];
  if (kind === "blob" && path === "") return route;
  return { ...route, view: revisionViews[kind], revision, path };
}

/** @param {string} path */
const encodePath = (path) => path.split("/").map(encodeURIComponent).join("/");
/** @param {string} revision */
const encodeRevision = (revision) =>
  (/^refs\/(pr\/\d+|convert\/[^/]+)$/.test(revision) ? encodePath(revision) : encodeURIComponent(revision));
/** @param {string} path */
const below = (path) => (path ? `/${encodePath(path)}` : "");

/** @param {Repo} repo @returns {string} /ORG/NAME, /datasets/ORG/NAME */
export const repository = ({ type, owner: org, name }) =>
  `${type === "models" ? "" : `/${type}`}/${encodeURIComponent(org)}/${encodeURIComponent(name)}`;
/** @param {string} name of a user or an organization */
export const owner = (name) => `/${encodeURIComponent(name)}`;
/** @param {Repo} repo @param {string} revision @param {string} path "" for the root */
export const folder = (repo, revision, path = "") =>
  `${repository(repo)}/tree/${encodeRevision(revision)}${below(path)}`;
/** @param {Repo} repo @param {string} revision @param {string} path */
export const file = (repo, revision, path) => `${repository(repo)}/blob/${encodeRevision(revision)}${below(path)}`;
/** @param {Repo} repo @param {string} revision @param {string} path */
export const fileContent = (repo, revision, path) =>
  `${repository(repo)}/resolve/${encodeRevision(revision)}${below(path)}`;
/** @param {Repo} repo @param {string} revision */
export const commits = (repo, revision) => `${repository(repo)}/commits/${encodeRevision(revision)}`;
/** @param {Repo} repo @param {string} id */
export const commit = (repo, id) => `${repository(repo)}/commit/${encodeURIComponent(id)}`;
/** @param {Repo} repo */
export const discussions = (repo) => `${repository(repo)}/discussions`;
/** @param {Repo} repo @param {number} number */
export const discussion = (repo, number) => `${discussions(repo)}/${number}`;

/**
 * An API path of a repository: api(repo, "tree", "main", "folder/a b") → /api/models/ORG/NAME/tree/main/folder/a%20b.
 * @param {Repo} repo
 */
export function api({ type, owner: org, name }, endpoint = "", revision = "", path = "") {
  const parts = [endpoint && `/${endpoint}`, revision && `/${encodeRevision(revision)}`, below(path)];
  return `/api/${type}/${encodeURIComponent(org)}/${encodeURIComponent(name)}${parts.join("")}`;
}

/** @param {Repo} repo @param {string} revision */
const address = ({ fullName }, revision) => (revision && revision !== "main" ? `${fullName}@${revision}` : fullName);
/** @param {string} path @param {Record<string, string>} parameters */
const withQuery = (path, parameters) => `${path}?${new URLSearchParams(parameters)}`;
/** @param {Repo} repo @param {string} revision */
export const convertTask = (repo, revision) => withQuery("/", { address: address(repo, revision) });
/** @param {Repo} repo @param {string} revision */
export const inspectTask = (repo, revision) => withQuery("/inspect", { address: address(repo, revision) });
/** @param {Repo} repo @param {number} number of the pull request */
export const checkTask = (repo, number) => withQuery("/check", { address: repo.fullName, number: String(number) });
