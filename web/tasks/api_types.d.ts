// The types of the API's answers, as ../openapi.json describes them.

export interface Problem { code: string; message: string; hint: string }

export interface About {
  version: string;
  hub: { url: string; embedded: boolean };
  account: string | null;
  personal: boolean;
  samples: string[];
}

export type JobKind = "plan" | "convert" | "check" | "inspect";

export interface Progress {
  phase: string;
  file: string;
  done_bytes: number;
  total_bytes: number;
  bytes_per_second: number;
  seconds_left: number | null;
  tensor?: string;
}

export interface Job {
  id: string;
  kind: JobKind;
  address: string;
  repo: string;
  revision: string;
  number: number | null;
  pull_request: boolean;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  position: number | null;
  phase: string;
  phases: string[];
  progress: Progress | null;
  created: string;
  started: string | null;
  ended: string | null;
  sentence: string;
  answer: "yes" | "no" | "nothing" | null;
  error: Problem | null;
  /** By kind: PlanResult, ConvertResult, CheckResult or InspectResult. */
  result?: any;
}

export interface Finding {
  file: string;
  record: string;
  offset: number;
  grade: "inert" | "unknown" | "executes";
  what: string;
  words: string;
  count: number;
}
export interface NamedGlobal { file: string; name: string; inert: boolean; count: number; words: string }
export interface Scan { verdict: string; findings: Finding[]; globals: NamedGlobal[] }

export interface Share { name: string; bytes: number; tensors: number }
export interface Shares { by_dtype: Share[]; by_module: Share[] }

export interface Leftover { path: string; description: string; tensors: number }
export interface Unsupported { name: string; what: string }

export interface ConvertedFile {
  source: string;
  target: string;
  bytes: number;
  tensors: number;
  tied: { name: string; kept: string }[];
  leftovers: Leftover[];
  skipped: Unsupported[];
  notes: string[];
}

export interface PreviousPullRequest {
  number: number;
  title: string;
  author: string;
  status: string;
  url: string;
  does_it: boolean;
}

export interface PlanResult {
  outcome: "nothing-to-do" | "already-open" | "planned" | "failed" | "written" | "opened";
  commit: string;
  files: ConvertedFile[];
  indexes: { source: string; target: string; total_size: number }[];
  already: { file: string; reason: string; bytes?: number }[];
  left: { file: string; reason: string; bytes?: number }[];
  failed: { file: string; error: string; hint: string }[];
  read_bytes: number;
  previous: PreviousPullRequest[];
  title: string;
  description: string;
  scan: Scan;
  shares: Shares;
  tensors: number;
  notes: string[];
}

export interface ConvertResult extends PlanResult {
  pull_request: number | null;
  url: string;
  revision: string;
  identical: number;
  superseded: number[];
  downloaded_bytes: number;
  seconds: number;
  has_receipt: boolean;
  python: string;
  downloads: { file: string; bytes: number }[];
  mergeable: boolean;
  why_not: string;
}

export interface CheckResult {
  repo: string;
  number: number;
  title: string;
  author: string;
  status: string;
  base: string;
  head: string;
  verdict: string;
  sentence: string;
  tensors_compared: number;
  tensors_identical: number;
  bytes_compared: number;
  files: { file: string; change: string; kind: string; bytes?: number; expected: boolean }[];
  tensors: { file: string; name: string; finding: string; what: string }[];
  notes: string[];
  url: string;
  mergeable: boolean;
  why_not: string;
  shares: Shares;
}

export interface InspectedFile {
  file: string;
  container: string;
  tensors: number;
  tensor_bytes: number;
  file_bytes: number;
  metadata: Record<string, string>;
}

export interface InspectResult {
  commit: string;
  files: InspectedFile[];
  tensors: number;
  tensor_bytes: number;
  read_bytes: number;
  requests: number;
  shares: Shares;
  scan: Scan;
  leftovers: Leftover[];
  unsupported: Unsupported[];
  notes: string[];
}

export interface Tensor {
  position: number;
  name: string;
  dtype: string;
  shape: number[];
  bytes: number;
  file: string;
  sha256: string;
  verdict: string;
  note: string;
}
export interface TensorPage { total: number; matched: number; offset: number; tensors: Tensor[] }
