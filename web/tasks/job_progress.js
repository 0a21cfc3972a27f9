// The progress of a job: its phases, and the bytes of the current phase.
import { announce, element } from "../shared/dom.js";
import { problemLine } from "../shared/problem.js";
import { formatBytes, formatDuration, formatNumber, formatPercent, nameNode, truncate } from "../shared/text.js";
import { jobPath, post } from "./api.js";

/** @typedef {import("./api_types").Job} Job */
/** @typedef {import("./api_types").Progress} Progress */

export class JobProgress {
  /** @param {Job} job */
  constructor(job) {
    this.job = job;
    this.heading = element("h2", { id: "progress" });
    this.phases = element("ol.phases", { "aria-label": "Phases" });
    this.bar = element("progress", { max: "1", "aria-label": "Bytes of this phase" });
    this.figures = element("p.figures");
    this.button = element("button.secondary", { type: "button", onclick: () => this.cancel() }, "Cancel");
    this.problem = problemLine();
    this.node = element("section", { "aria-labelledby": "progress" }, this.heading, this.phases, this.bar, this.figures,
      element("p.actions", {}, this.button), this.problem.node);
    this.update(job);
  }

  /** The progress of the current phase as "62 %"; null if it is not known. */
  percent() {
    const progress = this.job.state === "running" ? this.job.progress : null;
    return progress && progress.total_bytes > 0 ? formatPercent(progress.done_bytes / progress.total_bytes) : null;
  }

  /** @param {Job} job */
  update(job) {
    const { state, phase, position } = this.job;
    const isChanged = job.state !== state || job.phase !== phase || job.position !== position;
    this.job = job;
    const heading = this.headingText();
    this.heading.textContent = heading;
    this.drawPhases();
    this.updateBytes(job.progress);
    if (isChanged) announce(heading + this.phaseText());
  }

  headingText() {
    const { state, position } = this.job;
    if (state !== "queued") return "Running";
    if (!position) return "Queued";
    return position === 1 ? "Next in the queue" : `Position ${formatNumber(position)} in the queue`;
  }

  /** The phase, for screen readers: ": download, 2 of 7". */
  phaseText() {
    const { phase, phases } = this.job;
    const current = phases.indexOf(phase);
    return this.job.state === "queued" || current < 0 ? "" : `: ${phase}, ${current + 1} of ${phases.length}`;
  }

  drawPhases() {
    const current = this.job.phases.indexOf(this.job.phase);
    this.phases.replaceChildren(...this.job.phases.map((phase, i) =>
      element(i < current ? "li.done" : "li", { "aria-current": i === current ? "step" : null }, phase,
        i < current && element("span.visually-hidden", {}, ", done"))));
  }

  /** @param {Progress | null} progress */
  updateBytes(progress) {
    this.job.progress = progress;
    if (!progress || !(progress.total_bytes > 0)) {
      this.bar.removeAttribute("value");
      this.bar.hidden = this.job.state !== "running";
      this.figures.replaceChildren();
      return;
    }
    const { done_bytes: done, total_bytes: total, bytes_per_second: rate, seconds_left: secondsLeft } = progress;
    this.bar.hidden = false;
    this.bar.value = Math.min(done / total, 1);
    const place = [progress.file, progress.tensor].filter(Boolean).join(": ");
    this.figures.replaceChildren(
      element("span", {}, `${formatBytes(done)} of ${formatBytes(total)}`),
      rate > 0 ? element("span", {}, `${formatBytes(rate)}/s`) : "",
      secondsLeft !== null ? element("span", {}, `${formatDuration(secondsLeft)} left`) : "",
      place ? element("span.name.muted", {}, nameNode(truncate(place, 120))) : "");
  }

  async cancel() {
    this.problem.clear();
    this.button.disabled = true;
    this.button.textContent = "Cancelling";
    try {
      await post(jobPath(this.job.id, "/cancel"));
    } catch (error) {
      this.button.disabled = false;
      this.button.textContent = "Cancel";
      this.problem.show(error);
    }
  }
}
