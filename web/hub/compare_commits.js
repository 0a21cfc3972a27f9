// What differs between two commits: folders that are the same are not looked into, for git names a folder by its content.
import * as address from "./urls.js";
import { listed, Refused } from "./hub_api.js";

const kMostFiles = 2000;
const kMostRequests = 400;

/**
 * @typedef {{path: string, type: string, oid: string, size: number, lfs?: object}} Entry
 * @typedef {{path: string, before: Entry?, after: Entry?}} Change at least one of both
 */

/** Counts what a comparison asks for, and ends it where it grows beyond what a page can show. */
class Walk {
  constructor(repo) {
    Object.assign(this, { repo, changes: [], requests: 0, cut: false });
  }

  /** The entries of a folder by path; of no commit, none. */
  async entries(commit, path) {
    const all = new Map();
    if (!commit) return all;
    for (let next = address.api(this.repo, "tree", commit, path); next;) {
      if (++this.requests > kMostRequests) { this.cut = true; break; }
      const page = await listed(next);
      for (const entry of page.items) all.set(entry.path, entry);
      next = page.next;
    }
    return all;
  }

  async compare(before, after, path) {
    const [old, now] = await Promise.all([this.entries(before, path), this.entries(after, path)]);
    for (const at of new Set([...old.keys(), ...now.keys()])) {
      const [was, is] = [old.get(at), now.get(at)];
      if (was?.oid === is?.oid && was?.type === is?.type) continue;
      if (this.changes.length >= kMostFiles) { this.cut = true; return; }
      const file = { path: at, before: was?.type === "file" ? was : null, after: is?.type === "file" ? is : null };
      if (file.before || file.after) this.changes.push(file);
      const folders = [was?.type === "directory" ? before : "", is?.type === "directory" ? after : ""];
      if (folders[0] || folders[1]) await this.compare(folders[0], folders[1], at);
    }
  }
}

/**
 * @param {string} before a commit, or "" for nothing at all
 * @returns {Promise<{changes: Change[], cut: boolean}>} by path; cut where there is more than a page can show
 */
export async function changesBetween(repo, before, after) {
  const walk = new Walk(repo);
  try {
    await walk.compare(before, after, "");
  } catch (problem) {
    // A commit without any file has no root to list.
    if (!(problem instanceof Refused && problem.code === "EntryNotFound")) throw problem;
  }
  walk.changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { changes: walk.changes, cut: walk.cut };
}
