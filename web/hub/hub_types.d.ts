// The types of the Hub's API, as far as these pages read them, and of the pages themselves.

export type RepoType = "models" | "datasets" | "spaces";
export interface Repo { type: RepoType; owner: string; name: string; fullName: string }

export type ViewName =
  | "owner" | "repository" | "files" | "file" | "commits" | "commit" | "discussions" | "discussion" | "missing";

/** What the path of a page stands for. The views document which fields they use. */
export interface Route { view: ViewName; repo: Repo; owner: string; revision: string; path: string; number: string }

/** The content of a page, or `redirect` if another URL has it. */
export interface View { title: string; parts: import("../shared/dom_types").Child[]; redirect?: string }

/** See server/hub/api/markdown.h. */
export interface MarkdownNode {
  type: string;
  text?: string;
  url?: string;
  level?: number;
  ordered?: boolean;
  start?: number;
  checked?: boolean;
  children?: MarkdownNode[];
}
export interface MarkdownDocument { children: MarkdownNode[]; truncated: boolean; plain: boolean }

export interface LastCommit { id: string; title: string; date: string }
export interface Entry {
  path: string;
  type: "file" | "directory";
  oid: string;
  size: number;
  lfs?: { oid: string };
  lastCommit?: LastCommit;
}

/** A file that differs between two commits; `before` or `after` is null if the file was added or removed. */
export type Change =
  | { path: string; before: Entry; after: Entry | null }
  | { path: string; before: null; after: Entry };

/** `isTruncated` if there are more changes than a page can show. */
export interface Comparison { changes: Change[]; isTruncated: boolean }

export interface Commit { id: string; title: string; message: string; date: string; authors?: { user: string }[] }

export interface RepoInfo {
  id: string;
  sha: string;
  private?: boolean;
  gated?: boolean | string;
  disabled?: boolean;
  lastModified: string;
  tags?: string[];
  library_name?: string;
  pipeline_tag?: string;
  config?: { architectures?: string[] };
  siblings: RepoFile[];
}
export interface RepoFile { rfilename: string; size: number }

export interface DiscussionSummary {
  num: number;
  title: string;
  status: string;
  isPullRequest: boolean;
  createdAt: string;
  author?: { name: string };
}
export interface DiscussionEvent {
  type: string;
  createdAt: string;
  author?: { name: string };
  /** By type. */
  data: any;
}
export interface Discussion extends DiscussionSummary {
  events: DiscussionEvent[];
  changes?: { base?: string; mergeCommitId?: string };
  filesWithConflicts?: string[];
}
