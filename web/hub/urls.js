// Which page an address of the embedded Hub asks for, and the addresses of its pages and of its API.

/**
 * @typedef {{type: "models"|"datasets"|"spaces", owner: string, name: string, full: string}} Repo
 * @typedef {{view: string, repo?: Repo, owner?: string, revision?: string, path?: string, number?: string}} Place
 */

/** @returns {Repo} */
export const repository = (type, owner, name) => ({ type, owner, name, full: `${owner}/${name}` });

function decoded(pathname) {
  try {
    return pathname.split("/").filter((part) => part !== "").map(decodeURIComponent);
  } catch {
    return []; // a broken percent-encoding
  }
}

/** How many segments are the revision: refs/pr/N and refs/convert/NAME stand in clear, any other is one. */
const revisionLength = (parts) => (parts[0] === "refs" && ["pr", "convert"].includes(parts[1]) && parts.length > 2 ? 3 : 1);

/** @returns {Place} what is asked for; its view is "missing" where the address has no form of ours. */
export function place(pathname) {
  const parts = decoded(pathname);
  const type = ["datasets", "spaces"].includes(parts[0]) ? parts.shift() : "models";
  const [owner, name, kind, ...rest] = parts;
  if (owner === undefined || (name === undefined && type !== "models")) return { view: "missing" };
  if (name === undefined) return { view: "owner", owner };
  const repo = repository(type, owner, name);
  if (kind === undefined) return { view: "repository", repo, revision: "main" };
  if (kind === "discussions") return rest.length === 0 ? { view: "discussions", repo } : { view: "discussion", repo, number: rest[0] };
  if (kind === "commit" && rest.length === 1) return { view: "commit", repo, revision: rest[0] };
  if (!["tree", "blob", "commits"].includes(kind) || rest.length === 0) return { view: "missing", repo };
  const length = revisionLength(rest);
  const here = { repo, revision: rest.slice(0, length).join("/"), path: rest.slice(length).join("/") };
  if (kind === "blob" && here.path === "") return { view: "missing", repo };
  return { view: { tree: "files", blob: "file", commits: "commits" }[kind], ...here };
}

const encodedPath = (path) => path.split("/").map(encodeURIComponent).join("/");
const encodedRevision = (revision) => (/^refs\/(pr\/\d+|convert\/[^/]+)$/.test(revision) ? encodedPath(revision) : encodeURIComponent(revision));
const below = (path) => (path ? `/${encodedPath(path)}` : "");

/** /ORG/NAME, /datasets/ORG/NAME. */
export const home = (repo) => `${repo.type === "models" ? "" : `/${repo.type}`}/${encodeURIComponent(repo.owner)}/${encodeURIComponent(repo.name)}`;
export const folder = (repo, revision, path) => `${home(repo)}/tree/${encodedRevision(revision)}${below(path)}`;
export const file = (repo, revision, path) => `${home(repo)}/blob/${encodedRevision(revision)}${below(path)}`;
export const content = (repo, revision, path) => `${home(repo)}/resolve/${encodedRevision(revision)}${below(path)}`;
export const history = (repo, revision) => `${home(repo)}/commits/${encodedRevision(revision)}`;
export const commit = (repo, id) => `${home(repo)}/commit/${encodeURIComponent(id)}`;
export const discussions = (repo) => `${home(repo)}/discussions`;
export const discussion = (repo, number) => `${home(repo)}/discussions/${encodeURIComponent(number)}`;
export const owner = (name) => `/${encodeURIComponent(name)}`;

/** A path of the API below a repository: api(repo, "tree", "main", "folder/a b") → /api/models/ORG/NAME/tree/main/folder/a%20b. */
export function api(repo, what = "", revision = "", path = "") {
  const parts = [what && `/${what}`, revision && `/${encodedRevision(revision)}`, below(path)];
  return `/api/${repo.type}/${encodeURIComponent(repo.owner)}/${encodeURIComponent(repo.name)}${parts.join("")}`;
}

/** Where depickle's own pages take an address up. */
const task = (page, parameters) => `${page}?${new URLSearchParams(parameters)}`;
const at = (repo, revision) => (revision && revision !== "main" ? `${repo.full}@${revision}` : repo.full);
export const convertTask = (repo, revision) => task("/", { address: at(repo, revision) });
export const inspectTask = (repo, revision) => task("/inspect", { address: at(repo, revision) });
export const checkTask = (repo, number) => task("/check", { address: repo.full, number });
