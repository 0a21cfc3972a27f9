// A job's page: it waits, works, and answers; reloading it changes nothing.
import { get, post, watch } from "./api.js";
import { checkHead, checkResult } from "./check.js";
import { convertResult } from "./convert_result.js";
import { kConvertHeading, planForm } from "./convert.js";
import { announce, element, title } from "../shared/dom.js";
import { problemLine, problemText, taskHead } from "./form.js";
import { inspectHead, inspectResult } from "./inspect.js";
import { planResult } from "./plan.js";
import { duration, moment, name, visible } from "../shared/text.js";
import { Working } from "./job_progress.js";

const kTasks = { plan: "/", convert: "/", check: "/check", inspect: "/inspect" };
const kDoing = { plan: "Planning", convert: "Converting", check: "Checking", inspect: "Inspecting" };

/** The job's subject in words: the repository, or what was typed where there is none yet. */
const subject = (job) => (job.kind === "check" && job.number ? `${job.repo || job.address} #${job.number}` : job.repo || job.address);

/** @param {import("./main.js").Page} page */
export function jobView(page, id) {
  let stop = () => {};
  let left = false;
  title("Job");
  get(`jobs/${encodeURIComponent(id)}`).then((job) => {
    if (left) return;
    page.mark(kTasks[job.kind] ?? "/jobs");
    stop = job.ended ? (showEnd(page, job), stop) : showLive(page, job);
  }, (problem) => { if (!left) showNone(page, problem); });
  return () => { left = true; stop(); };
}

/** What stands above the answer. A conversion has no form: its plan had one. */
function head(page, job) {
  if (job.kind === "plan") {
    const form = planForm(page, job.address);
    return { node: taskHead(page, kConvertHeading, form), form };
  }
  if (job.kind === "check") return checkHead(page, job.repo || job.address, job.number ? String(job.number) : "");
  if (job.kind === "inspect") return inspectHead(page, job.address);
  return { node: element("section", {}, element("h1", { tabindex: "-1" }, "Converting ", element("span.name", {}, name(job.repo || job.address)))), form: null };
}

function showLive(page, job) {
  const working = new Working(job);
  page.main.replaceChildren(head(page, job).node, working.node);
  const tell = () => title(`${working.share() ?? (working.job.state === "queued" ? "Waiting" : "Working")} · ${kDoing[job.kind]} ${subject(working.job)}`);
  tell();
  return watch(job.id, {
    told: (now) => { working.tell(now); tell(); },
    moved: (progress) => { working.move(progress); tell(); },
    away: (lost) => page.warn(lost ? "The server does not answer. Trying again; what it was asked to do is not forgotten." : ""),
    ended: (now) => { page.warn(""); showEnd(page, now); },
    gone: () => showNone(page, { message: "This job is gone.", hint: "Jobs are cleaned up after a while. Start it again." }),
  });
}

function showEnd(page, job) {
  if (job.state === "done") showAnswer(page, job);
  else if (job.state === "cancelled") showCancelled(page, job);
  else showFailed(page, job);
  page.main.append(aboutJob(job));
}

function showAnswer(page, job) {
  const sentence = job.sentence || "Done.";
  title(sentence);
  const results = { plan: planResult, convert: convertResult, check: checkResult, inspect: inspectResult };
  const top = job.kind === "convert" ? [] : [head(page, job).node];
  page.main.replaceChildren(...top, ...results[job.kind](page, job));
  announce(visible(sentence));
}

function showCancelled(page, job) {
  title(`Cancelled · ${subject(job)}`);
  page.main.replaceChildren(element("section.verdict.nothing", {},
    element("h1", { tabindex: "-1" }, "Cancelled. Nothing was changed."),
    element("p", {}, `${kDoing[job.kind]} `, element("code", {}, name(subject(job))), job.phase ? ` stopped at: ${job.phase}.` : " had not begun."),
    again(page, job, "Start again")));
  announce("Cancelled. Nothing was changed.");
}

function showFailed(page, job) {
  const error = job.error ?? { message: "The job failed.", hint: "" };
  title(`Failed · ${subject(job)}`);
  const top = head(page, job);
  if (top.form) { // the answer stands where it was typed
    top.form.refuse(error);
    const retry = error.code === "network" || error.code === "failed" ? again(page, job, "Try again") : null;
    page.main.replaceChildren(top.node, ...(retry ? [element("section", {}, retry)] : []));
    top.form.input.focus();
    return;
  }
  page.main.replaceChildren(element("section.verdict.no", {},
    element("h1", { tabindex: "-1" }, element("span.name", {}, name(subject(job))), " was not converted"),
    element("p.problem", {}, problemText(error)), again(page, job, "Try again")));
  announce(visible(error.message));
}

/** A button that asks for the same job anew. A token is not asked again: whoever gave one gives it with the plan. */
function again(page, job, label) {
  const problem = problemLine();
  const press = async () => {
    problem.clear();
    try {
      const { kind, address, number, pull_request } = job;
      const next = await post("jobs", { kind, address, number, ...(kind === "convert" ? { pull_request } : {}) });
      page.go(`/jobs/${encodeURIComponent(next.id)}`);
    } catch (refused) {
      problem.show(refused);
    }
  };
  const plan = job.kind === "convert" ? element("a.button.second", { href: `/?address=${encodeURIComponent(job.address)}` }, "Back to the plan") : null;
  return element("div", {}, element("p.actions", {}, element("button", { type: "button", onclick: press }, label), plan), problem.node);
}

function showNone(page, problem) {
  title("No such job");
  page.warn("");
  page.mark("/jobs");
  page.main.replaceChildren(element("section.verdict.nothing", {},
    element("h1", { tabindex: "-1" }, visible(problem.message)),
    problem.hint ? element("p", {}, visible(problem.hint)) : null,
    element("p.actions", {}, element("a.button", { href: "/" }, "Convert a model"), element("a.button.second", { href: "/jobs" }, "My jobs"))));
}

/** When it ran, and its permanent address. */
function aboutJob(job) {
  const seconds = job.started && job.ended ? (new Date(job.ended) - new Date(job.started)) / 1000 : null;
  return element("p.quiet.foot", {}, `Job ${job.id}, ${moment(job.created)}`, seconds === null ? "" : `, ${duration(seconds)}`, ". ",
    element("a", { href: `/api/v1/jobs/${encodeURIComponent(job.id)}/report`, download: true }, "All of it as JSON"));
}
