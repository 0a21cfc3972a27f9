// The page of a job: its progress, then its result.
import { ApiError, describeError } from "../shared/api.js";
import { announce, appendAll, element, setTitle } from "../shared/dom.js";
import { guarded, problemLine, problemNodes } from "../shared/problem.js";
import { formatDuration, formatTime, nameNode, visible } from "../shared/text.js";
import { apiUrl, get, jobPath } from "./api.js";
import { checkHead, checkResult } from "./check.js";
import { convertResult } from "./convert_result.js";
import { convertHeading, planForm } from "./convert.js";
import { startJob, taskHead } from "./form.js";
import { inspectHead, inspectResult } from "./inspect.js";
import { JobProgress } from "./job_progress.js";
import { JobWatcher } from "./job_watcher.js";
import { planResult } from "./plan.js";
import { verdictSection } from "./verdict.js";

/** @typedef {import("./main.js").Page} Page */
/** @typedef {import("./api_types").Job} Job */

const taskPaths = { plan: "/", convert: "/", check: "/check", inspect: "/inspect" };
const activities = { plan: "Planning", convert: "Converting", check: "Checking", inspect: "Inspecting" };
const resultViews = { plan: planResult, convert: convertResult, check: checkResult, inspect: inspectResult };

/**
 * The repository of a job, or the typed address if the repository is not known yet.
 * @param {Job} job
 */
const jobSubject = (job) =>
  (job.kind === "check" && job.number ? `${job.repo || job.address} #${job.number}` : job.repo || job.address);

/** @param {Page} page @param {string} id */
export function jobView(page, id) {
  /** @type {JobWatcher | null} */
  let watcher = null;
  let isLeft = false;
  setTitle("Job");
  get(jobPath(id)).then((/** @type {Job} */ job) => {
    if (isLeft) return;
    page.setTask(taskPaths[job.kind] ?? "/jobs");
    if (job.ended) showEnd(page, job);
    else watcher = showProgress(page, job);
  }, (error) => {
    if (isLeft) return;
    if (error instanceof ApiError && error.status === 404) showMissing(page);
    else showProblem(page, "Job", describeError(error));
  });
  return () => { isLeft = true; watcher?.stop(); };
}

/**
 * The form above a result. A conversion has none, because its plan has one.
 * @param {Page} page
 * @param {Job} job
 */
function head(page, job) {
  if (job.kind === "plan") {
    const form = planForm(page, job.address);
    return { node: taskHead(convertHeading, form), form };
  }
  if (job.kind === "check") return checkHead(page, job.repo || job.address, job.number ? String(job.number) : "");
  if (job.kind === "inspect") return inspectHead(page, job.address);
  const subject = element("span.name", {}, nameNode(job.repo || job.address));
  return { node: element("section", {}, element("h1", { tabindex: "-1" }, "Converting ", subject)), form: null };
}

/** @param {Page} page @param {Job} job */
function showProgress(page, job) {
  const progress = new JobProgress(job);
  page.main.replaceChildren(head(page, job).node, progress.node);
  const updateTitle = () => {
    const state = progress.percent() ?? (progress.job.state === "queued" ? "Queued" : "Running");
    setTitle(`${state} · ${activities[job.kind]} ${jobSubject(progress.job)}`);
  };
  updateTitle();
  return new JobWatcher(job.id, {
    onState: (now) => { progress.update(now); updateTitle(); },
    onProgress: (now) => { progress.updateBytes(now); updateTitle(); },
    onConnection: (isLost) =>
      page.warn(isLost ? "The server does not answer. Reconnecting. The job is kept on the server." : ""),
    onEnd: (now) => { page.warn(""); showEnd(page, now); },
    onMissing: () => showMissing(page),
  });
}

/** @param {Page} page @param {Job} job */
function showEnd(page, job) {
  if (job.state === "done") showResult(page, job);
  else if (job.state === "cancelled") showCancelled(page, job);
  else showFailed(page, job);
  page.main.append(jobFooter(job));
}

/** @param {Page} page @param {Job} job */
function showResult(page, job) {
  const sentence = job.sentence || "Done.";
  setTitle(sentence);
  const top = job.kind === "convert" ? [] : [head(page, job).node];
  page.main.replaceChildren();
  appendAll(page.main, [top, guarded("Result", () => resultViews[job.kind](page, job))]);
  announce(visible(sentence));
}

/** @param {Page} page @param {Job} job */
function showCancelled(page, job) {
  const text = "Cancelled. Nothing was changed.";
  setTitle(`Cancelled · ${jobSubject(job)}`);
  page.main.replaceChildren(verdictSection("nothing", element("h1", { tabindex: "-1" }, text),
    element("p", {}, `${activities[job.kind]} `, element("code", {}, nameNode(jobSubject(job))),
      job.phase ? ` stopped in the phase “${job.phase}”.` : " had not started."),
    restartActions(page, job, "Start again")));
  announce(text);
}

/** @param {Page} page @param {Job} job */
function showFailed(page, job) {
  const error = job.error ?? { code: "failed", message: "The job failed.", hint: "See the server log." };
  setTitle(`Failed · ${jobSubject(job)}`);
  const { node, form } = head(page, job);
  if (form) {
    form.showError(error);
    const mayRetry = error.code === "network" || error.code === "failed";
    page.main.replaceChildren(node);
    if (mayRetry) page.main.append(element("section", {}, restartActions(page, job, "Try again")));
    form.input.focus();
    return;
  }
  page.main.replaceChildren(verdictSection("no",
    element("h1", { tabindex: "-1" }, element("span.name", {}, nameNode(jobSubject(job))), " was not converted"),
    element("p.problem", {}, problemNodes(error)), restartActions(page, job, "Try again")));
  announce(visible(error.message));
}

/**
 * A button that starts the same job again, without a token.
 * @param {Page} page
 * @param {Job} job
 * @param {string} label
 */
function restartActions(page, job, label) {
  const problem = problemLine();
  const { kind, address, number, pull_request: hasPullRequest } = job;
  const request = { kind, address, number, ...(kind === "convert" ? { pull_request: hasPullRequest } : {}) };
  const button = element("button", { type: "button", onclick: () => startJob(page, problem, request) }, label);
  const plan = kind === "convert" &&
    element("a.button.secondary", { href: `/?address=${encodeURIComponent(address)}` }, "Back to the plan");
  return element("div", {}, element("p.actions", {}, button, plan), problem.node);
}

/** @param {Page} page */
function showMissing(page) {
  const hint = "Check the URL. Jobs are deleted some time after they end. You can start it again.";
  showProblem(page, "Job not found", { message: "This job does not exist", hint });
}

/** @param {Page} page @param {string} title @param {{message: string, hint?: string}} problem */
function showProblem(page, title, { message, hint }) {
  setTitle(title);
  page.warn("");
  page.setTask("/jobs");
  page.main.replaceChildren(verdictSection("nothing",
    element("h1", { tabindex: "-1" }, visible(message)),
    hint && element("p", {}, visible(hint)),
    element("p.actions", {},
      element("a.button", { href: "/" }, "Convert a model"),
      element("a.button.secondary", { href: "/jobs" }, "Show my jobs"))));
}

/**
 * The id of a job, when it ran, and a link to its JSON.
 * @param {Job} job
 */
function jobFooter({ id, created, started, ended }) {
  const seconds = started && ended ? (Date.parse(ended) - Date.parse(started)) / 1000 : null;
  return element("p.muted.foot", {},
    `Job ${id}, ${formatTime(created)}`, seconds !== null && `, ${formatDuration(seconds)}`, ". ",
    element("a", { href: apiUrl(jobPath(id, "/report")), download: true }, "Download as JSON"));
}
