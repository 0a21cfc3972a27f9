// Calls of the page's API, which ../openapi.json describes, and the events of a job.
import { ApiError, fetchResponse } from "../shared/api.js";

/** @typedef {import("./api_types").About} About */
/** @typedef {import("./api_types").Job} Job */
/** @typedef {import("./api_types").Progress} Progress */

/**
 * The API path of a job, or of something below it.
 * @param {string} id
 */
export const jobPath = (id, below = "") => `jobs/${encodeURIComponent(id)}${below}`;

/**
 * The URL of an API path, for links.
 * @param {string} path
 */
export const apiUrl = (path) => `/api/v1/${path}`;

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<any>} the JSON of the response
 */
async function call(path, options) {
  const response = await fetchResponse(apiUrl(path), { credentials: "same-origin", redirect: "error", ...options });
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  throw new ApiError(response.status, typeof body?.error === "object" ? body.error : {
    message: `The server answered with status ${response.status}.`, hint: "See the server log.",
  });
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = (path, signal) => call(path, { signal });

/**
 * Posts `body` as JSON, without its empty values.
 * @param {string} path
 * @param {Record<string, unknown>} body
 */
export const post = (path, body = {}) => call(path, {
  method: "POST", headers: { "Content-Type": "application/json" },
  body: JSON.stringify(Object.fromEntries(
    Object.entries(body).filter(([, value]) => value !== "" && value !== null && value !== undefined))),
});

/** @type {Promise<About> | null} */
let aboutPromise = null;
/**
 * What the server says about itself. Requested once, and again after a failure.
 * @returns {Promise<About>}
 */
export function about() {
  aboutPromise ??= get("about").catch((error) => { aboutPromise = null; throw error; });
  return /** @type {Promise<About>} */ (aboutPromise);
}

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
 * Watches a job until it ends. A visible page listens to the event stream. A hidden page polls, because browsers open
 * at most six HTTP/1.1 connections to a host: a seventh tab that listens would have to wait.
 * @param {string} id
 * @param {JobListener} listener
 * @returns {() => void} stops watching
 */
export function watchJob(id, { onState, onProgress, onConnection, onEnd, onMissing }) {
  /** @type {EventSource | null} */
  let source = null;
  let timer = 0;
  let stopped = false;

  const stop = () => {
    stopped = true;
    source?.close();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", restart);
  };
  /** @param {Job} job */
  const finish = (job) => { stop(); onEnd(job); };

  async function poll() {
    try {
      /** @type {Job} */
      const job = await get(jobPath(id));
      if (stopped) return;
      onConnection(false);
      if (job.ended) { finish(job); return; }
      onState(job);
      if (document.hidden) timer = setTimeout(poll, hiddenPollMs);
      else listen();
    } catch (error) {
      if (stopped) return;
      if (error instanceof ApiError && error.status === 404) { stop(); onMissing(); return; }
      onConnection(true);
      timer = setTimeout(poll, retryMs);
    }
  }

  function listen() {
    const stream = new EventSource(apiUrl(jobPath(id, "/events")));
    source = stream;
    stream.addEventListener("open", () => onConnection(false));
    stream.addEventListener("state", (event) => onState(JSON.parse(event.data)));
    stream.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
    stream.addEventListener("end", (event) => finish(JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      // The browser reconnects by itself, with Last-Event-ID, unless the response was not an event stream.
      if (stream.readyState !== EventSource.CLOSED) { onConnection(true); return; }
      clearTimeout(timer);
      timer = setTimeout(poll, retryMs);
    });
  }

  function restart() {
    if (stopped) return;
    source?.close();
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(poll, hiddenPollMs);
    else listen();
  }

  document.addEventListener("visibilitychange", restart);
  restart();
  return stop;
}
