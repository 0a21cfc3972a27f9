// One's own jobs, newest first, with their places in the line.
import { get } from "./api.js";
import { announce, element, table, title } from "../shared/dom.js";
import { problemLine } from "./form.js";
import { grouped, moment, name, percent, visible } from "../shared/text.js";

const kAgainMilliseconds = 2000;
const kPage = 50;
const kStates = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

/** @param {import("./main.js").Page} page */
export function jobsView(page) {
  title("Jobs");
  const place = element("div");
  const problem = problemLine();
  const more = element("button.second", { type: "button", hidden: true }, "Older ones");
  page.main.append(element("section", {}, element("h1", { tabindex: "-1" }, "Jobs"),
    element("p.lead", {}, "What was asked for from this browser. A job's address is permanent until it is cleaned up.")), problem.node, place, element("p", {}, more));
  let older = [];
  let newest = [];
  let timer = 0;
  let left = false;

  const draw = () => {
    const jobs = [...newest, ...older.filter((job) => !newest.some(({ id }) => id === job.id))];
    // What has the focus keeps it: rows are drawn anew, their links are the same.
    const focused = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    place.replaceChildren(jobs.length === 0 ? element("p", {}, "None yet. ", element("a", { href: "/" }, "Convert a model"), ".") : jobsTable(jobs));
    if (focused) [...place.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    const busy = jobs.filter((job) => !job.ended).length;
    title(busy > 0 ? `${grouped(busy)} under way · Jobs` : "Jobs");
  };

  const refresh = async () => {
    clearTimeout(timer);
    if (left) return;
    try {
      if (!document.hidden) {
        const { jobs } = await get(`jobs?limit=${kPage}`);
        if (left) return;
        problem.clear();
        const ended = newest.filter((old) => !old.ended && jobs.some((job) => job.id === old.id && job.ended)).length;
        const changed = JSON.stringify(jobs) !== JSON.stringify(newest);
        newest = jobs;
        if (changed || place.childElementCount === 0) draw();
        if (older.length === 0) more.hidden = jobs.length < kPage;
        if (ended > 0) announce(`${grouped(ended)} of the jobs ended.`);
      }
    } catch (refused) {
      problem.show(refused);
    }
    timer = setTimeout(refresh, kAgainMilliseconds);
  };

  more.addEventListener("click", async () => {
    const last = [...newest, ...older].at(-1);
    const { jobs } = await get(`jobs?limit=${kPage}&before=${encodeURIComponent(last.id)}`).catch((refused) => { problem.show(refused); return { jobs: [] }; });
    older = older.concat(jobs);
    more.hidden = jobs.length < kPage;
    draw();
  });
  document.addEventListener("visibilitychange", refresh);
  refresh();
  return () => { left = true; clearTimeout(timer); document.removeEventListener("visibilitychange", refresh); };
}

const jobsTable = (jobs) => table("Jobs", ["what", "model", "state", "answer", ["when", "shy"]], jobs.map((job) => element(job.ended ? "tr" : "tr.live", {},
  element("td", {}, job.kind), element("td.name", {}, element("a", { href: `/jobs/${encodeURIComponent(job.id)}` }, name(subject(job)))),
  element("td", {}, state(job)), element("td", {}, answer(job)), element("td.shy.quiet", {}, moment(job.created)))));

const subject = (job) => (job.number ? `${job.repo || job.address} #${job.number}` : job.address);

function state(job) {
  if (job.state === "queued" && job.position) return job.position === 1 ? "waiting, next" : `waiting, number ${grouped(job.position)}`;
  if (job.state !== "running") return kStates[job.state] ?? visible(job.state);
  const { progress } = job;
  return progress?.total_bytes > 0 ? `${job.phase}, ${percent(progress.done_bytes / progress.total_bytes)}` : job.phase || "running";
}

function answer(job) {
  if (job.state === "failed") return visible(job.error?.message ?? "");
  if (job.state !== "done") return "";
  return job.answer === "no" ? element("span.alarm", {}, visible(job.sentence)) : visible(job.sentence);
}
