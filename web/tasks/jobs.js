// The visitor's own jobs, newest first.
import { announce, element, setTitle, table } from "../shared/dom.js";
import { problemLine } from "../shared/problem.js";
import { formatNumber, formatPercent, formatTime, nameNode, visible } from "../shared/text.js";
import { get, jobPath } from "./api.js";

/** @typedef {import("./api_types").Job} Job */

const refreshMs = 2000;
const pageSize = 50;

/** @param {import("./main.js").Page} page */
export function jobsView(page) {
  setTitle("Jobs");
  const list = new JobList();
  page.main.append(
    element("section", {}, element("h1", { tabindex: "-1" }, "Jobs"),
      element("p.lead", {}, "The jobs that this browser started. The URL of a job is valid until the job is deleted.")),
    list.problem.node, list.place, element("p", {}, list.moreButton));
  list.refresh();
  return () => list.stop();
}

/** A table of jobs that refreshes itself while the page is visible. */
class JobList {
  constructor() {
    this.place = element("div");
    this.problem = problemLine();
    this.moreButton = element("button.secondary", {
      type: "button", hidden: true, onclick: () => this.loadOlder(),
    }, "Show older jobs");
    /** @type {Job[]} */
    this.newest = [];
    /** @type {Job[]} */
    this.older = [];
    this.timer = 0;
    this.isStopped = false;
    this.onVisibility = () => { this.refresh(); };
    document.addEventListener("visibilitychange", this.onVisibility);
  }

  stop() {
    this.isStopped = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onVisibility);
  }

  async refresh() {
    clearTimeout(this.timer);
    if (this.isStopped) return;
    try {
      if (!document.hidden) this.update((await get(`jobs?limit=${pageSize}`)).jobs);
    } catch (error) {
      this.problem.show(error);
    }
    if (!this.isStopped) this.timer = setTimeout(() => this.refresh(), refreshMs);
  }

  /** @param {Job[]} jobs the newest */
  update(jobs) {
    if (this.isStopped) return;
    this.problem.clear();
    const ended = this.newest.filter((old) => !old.ended && jobs.some((job) => job.id === old.id && job.ended)).length;
    const isChanged = JSON.stringify(jobs) !== JSON.stringify(this.newest);
    this.newest = jobs;
    if (isChanged || this.place.childElementCount === 0) this.draw();
    if (this.older.length === 0) this.moreButton.hidden = jobs.length < pageSize;
    if (ended > 0) announce(ended === 1 ? "1 job ended." : `${formatNumber(ended)} jobs ended.`);
  }

  async loadOlder() {
    const last = [...this.newest, ...this.older].at(-1);
    if (!last) return;
    try {
      /** @type {{jobs: Job[]}} */
      const { jobs } = await get(`jobs?limit=${pageSize}&before=${encodeURIComponent(last.id)}`);
      this.older = this.older.concat(jobs);
      this.moreButton.hidden = jobs.length < pageSize;
      this.draw();
    } catch (error) {
      this.problem.show(error);
    }
  }

  draw() {
    const jobs = [...this.newest, ...this.older.filter((job) => !this.newest.some(({ id }) => id === job.id))];
    // The rows are replaced, so the link that had the focus gets it again.
    const focused = this.place.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
    this.place.replaceChildren(jobs.length > 0 ? jobTable(jobs)
      : element("p", {}, "No jobs yet. ", element("a", { href: "/" }, "Convert a model"), "."));
    if (focused) [...this.place.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    const active = jobs.filter((job) => !job.ended).length;
    setTitle(active > 0 ? `${formatNumber(active)} active · Jobs` : "Jobs");
  }
}

/** @param {Job[]} jobs */
function jobTable(jobs) {
  const rows = jobs.map((job) => element(job.ended ? "tr" : "tr.active", {},
    element("td", {}, job.kind),
    element("td.name", {}, element("a", { href: `/${jobPath(job.id)}` }, nameNode(subject(job)))),
    element("td", {}, stateText(job)),
    element("td", {}, result(job)),
    element("td.wide-only.muted", {}, formatTime(job.created))));
  return table("Jobs", ["task", "model", "state", "result", ["created", "wide-only"]], rows);
}

/** @param {Job} job */
const subject = (job) => (job.number ? `${job.repo || job.address} #${job.number}` : job.address);

/** @param {Job} job */
function stateText({ state, position, phase, progress }) {
  if (state === "queued" && position === 1) return "queued, next";
  if (state === "queued" && position) return `queued, position ${formatNumber(position)}`;
  if (state !== "running") return state;
  const hasBytes = progress !== null && progress.total_bytes > 0;
  return hasBytes ? `${phase}, ${formatPercent(progress.done_bytes / progress.total_bytes)}` : phase || "running";
}

/** @param {Job} job */
function result(job) {
  if (job.state === "failed") return visible(job.error?.message ?? "");
  if (job.state !== "done") return "";
  return job.answer === "no" ? element("span.alarm", {}, visible(job.sentence)) : visible(job.sentence);
}
