// A job under way: its phases as a line of words, and how far the one it is in has come.
import { post } from "./api.js";
import { announce, element } from "../shared/dom.js";
import { problemLine } from "./form.js";
import { bytes, cut, duration, grouped, name, percent } from "../shared/text.js";

export class Working {
  constructor(job) {
    this.job = job;
    this.heading = element("h2", { id: "working" });
    this.phases = element("ol.phases", { "aria-label": "Phases" });
    this.bar = element("progress", { max: "1", "aria-label": "Bytes of this phase" });
    this.figures = element("p.figures");
    this.button = element("button.second", { type: "button", onclick: () => this.cancel() }, "Cancel");
    this.problem = problemLine();
    this.node = element("section", { "aria-labelledby": "working" }, this.heading, this.phases, this.bar, this.figures,
      element("p.actions", {}, this.button), this.problem.node);
    this.tell(job);
  }

  /** How far the phase is, for the document's title; null where nobody knows. */
  share() {
    const progress = this.job.state === "running" ? this.job.progress : null;
    return progress && progress.total_bytes > 0 ? percent(progress.done_bytes / progress.total_bytes) : null;
  }

  tell(job) {
    const news = job.state !== this.job.state || job.phase !== this.job.phase || job.position !== this.job.position;
    this.job = job;
    const [state, detail] = this.words();
    this.heading.textContent = state;
    this.drawPhases();
    this.move(job.progress);
    if (news) announce(state + detail);
  }

  /** How it stands, and what a screen reader hears beyond that: the others see the line of phases. */
  words() {
    const { state, position, phase, phases } = this.job;
    if (state === "queued") return [position === 1 ? "Next in line" : position ? `Number ${grouped(position)} in line` : "Waiting for its turn", ""];
    const at = phases.indexOf(phase);
    return ["Working", at < 0 ? "" : `: ${phase}, ${at + 1} of ${phases.length}`];
  }

  drawPhases() {
    const at = this.job.phases.indexOf(this.job.phase);
    this.phases.replaceChildren(...this.job.phases.map((phase, number) =>
      element(number < at ? "li.done" : "li", { "aria-current": number === at ? "step" : null }, phase, number < at ? element("span.unseen", {}, ", done") : null)));
  }

  move(progress) {
    this.job.progress = progress;
    if (!progress || !(progress.total_bytes > 0)) {
      this.bar.removeAttribute("value");
      this.bar.hidden = this.job.state !== "running";
      this.figures.replaceChildren();
      return;
    }
    this.bar.hidden = false;
    this.bar.value = Math.min(progress.done_bytes / progress.total_bytes, 1);
    const place = [progress.file, progress.tensor].filter(Boolean).join(": ");
    this.figures.replaceChildren(
      element("span", {}, `${bytes(progress.done_bytes)} of ${bytes(progress.total_bytes)}`),
      progress.bytes_per_second > 0 ? element("span", {}, `${bytes(progress.bytes_per_second)}/s`) : "",
      typeof progress.seconds_left === "number" ? element("span", {}, `${duration(progress.seconds_left)} left`) : "",
      place ? element("span.name.quiet", {}, name(cut(place, 120))) : "");
  }

  async cancel() {
    this.problem.clear();
    this.button.disabled = true;
    this.button.textContent = "Cancelling";
    try {
      await post(`jobs/${encodeURIComponent(this.job.id)}/cancel`);
    } catch (refused) {
      this.button.disabled = false;
      this.button.textContent = "Cancel";
      this.problem.show(refused);
    }
  }
}
