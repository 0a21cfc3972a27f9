// Finds the files that differ between two commits. Equal folders are not requested: git names a folder by its content.
import { ApiError } from "../shared/api.js";
import { requestPage } from "./hub_api.js";
import * as urls from "./urls.js";

/** @typedef {import("./hub_types").Repo} Repo */
/** @typedef {import("./hub_types").Entry} Entry */
/** @typedef {import("./hub_types").Change} Change */
/** @typedef {import("./hub_types").Comparison} Comparison */

const maxFiles = 2000;
const maxRequests = 400;

/** Compares folders recursively, up to a number of files and requests. */
class FolderComparison {
  /** @param {Repo} repo */
  constructor(repo) {
    this.repo = repo;
    /** @type {Change[]} */
    this.changes = [];
    this.requestCount = 0;
    this.isTruncated = false;
  }

  /**
   * The entries of a folder by path. There are none if `commit` is "".
   * @param {string} commit
   * @param {string} path
   */
  async entries(commit, path) {
    /** @type {Map<string, Entry>} */
    const entries = new Map();
    if (!commit) return entries;
    for (let next = urls.api(this.repo, "tree", commit, path); next;) {
      if (++this.requestCount > maxRequests) { this.isTruncated = true; break; }
      const page = await requestPage(next);
      for (const entry of page.items) entries.set(entry.path, entry);
      next = page.next;
    }
    return entries;
  }

  /**
   * Adds the changes of a folder and of those below it.
   * @param {string} before a commit, or "" for no files
   * @param {string} after a commit, or "" for no files
   * @param {string} folder
   */
  async compare(before, after, folder) {
    const [oldEntries, newEntries] = await Promise.all([this.entries(before, folder), this.entries(after, folder)]);
    for (const path of new Set([...oldEntries.keys(), ...newEntries.keys()])) {
      const [oldEntry, newEntry] = [oldEntries.get(path), newEntries.get(path)];
      if (oldEntry?.oid === newEntry?.oid && oldEntry?.type === newEntry?.type) continue;
      if (this.changes.length >= maxFiles) { this.isTruncated = true; return; }
      const oldFile = oldEntry?.type === "file" ? oldEntry : null;
      const newFile = newEntry?.type === "file" ? newEntry : null;
      if (oldFile) this.changes.push({ path, before: oldFile, after: newFile });
      else if (newFile) this.changes.push({ path, before: null, after: newFile });
      const oldFolder = oldEntry?.type === "directory" ? before : "";
      const newFolder = newEntry?.type === "directory" ? after : "";
      if (oldFolder || newFolder) await this.compare(oldFolder, newFolder, path);
    }
  }
}

/**
 * @param {Repo} repo
 * @param {string} before a commit, or "" for no files
 * @param {string} after a commit
 * @returns {Promise<Comparison>} the changes sorted by path
 */
export async function compareCommits(repo, before, after) {
  const comparison = new FolderComparison(repo);
  try {
    await comparison.compare(before, after, "");
  } catch (error) {
    // A commit without files has no root folder.
    if (!(error instanceof ApiError && error.code === "EntryNotFound")) throw error;
  }
  const { changes, isTruncated } = comparison;
  changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { changes, isTruncated };
}
