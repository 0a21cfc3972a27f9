// Watches a job until it ends.
import { ApiError } from "../shared/api.js";
import { apiUrl, get, jobPath } from "./api.js";

/** @typedef {import("./api_types").Job} Job */
/** @typedef {import("./api_types").Progress} Progress */

const hiddenPollMs = 5000;
const retryMs = 2000;

/**
 * @typedef {object} JobListener
 * @property {(job: Job) => void} onState the state, phase or position changed
 * @property {(progress: Progress) => void} onProgress
 * @property {(isLost: boolean) => void} onConnection whether the server has stopped answering
 * @property {(job: Job) => void} onEnd the job ended; nothing follows
 * @property {() => void} onMissing the job does not exist any more; nothing follows
 */

/**
 * A visible page listens to the event stream of the job. A hidden page polls, because browsers open at most six
 * HTTP/1.1 connections to a host: a seventh tab that listens would have to wait.
 */
export class JobWatcher {
  /**
   * @param {string} id of the job
   * @param {JobListener} listener
   */
  constructor(id, listener) {
    this.path = jobPath(id);
    this.listener = listener;
    /** @type {EventSource | null} */
    this.stream = null;
    this.timer = 0;
    this.isStopped = false;
    this.onVisibility = () => this.start();
    document.addEventListener("visibilitychange", this.onVisibility);
    this.start();
  }

  stop() {
    this.isStopped = true;
    this.stream?.close();
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onVisibility);
  }

  start() {
    if (this.isStopped) return;
    this.stream?.close();
    if (document.hidden) this.pollAfter(hiddenPollMs);
    else this.listen();
  }

  listen() {
    clearTimeout(this.timer);
    const { onState, onProgress, onConnection } = this.listener;
    const stream = new EventSource(apiUrl(`${this.path}/events`));
    this.stream = stream;
    stream.addEventListener("open", () => onConnection(false));
    stream.addEventListener("state", (event) => onState(JSON.parse(event.data)));
    stream.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
    stream.addEventListener("end", (event) => this.finish(JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      // The browser reconnects by itself, with Last-Event-ID, unless the response was not an event stream.
      if (stream.readyState === EventSource.CLOSED) this.pollAfter(retryMs);
      else onConnection(true);
    });
  }

  /** @param {number} delayMs */
  pollAfter(delayMs) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), delayMs);
  }

  async poll() {
    try {
      /** @type {Job} */
      const job = await get(this.path);
      if (!this.isStopped) this.onPolled(job);
    } catch (error) {
      if (this.isStopped) return;
      if (error instanceof ApiError && error.status === 404) {
        this.stop();
        this.listener.onMissing();
      } else {
        this.listener.onConnection(true);
        this.pollAfter(retryMs);
      }
    }
  }

  /** @param {Job} job */
  onPolled(job) {
    this.listener.onConnection(false);
    if (job.ended) {
      this.finish(job);
      return;
    }
    this.listener.onState(job);
    this.start();
  }

  /** @param {Job} job */
  finish(job) {
    this.stop();
    this.listener.onEnd(job);
  }
}
