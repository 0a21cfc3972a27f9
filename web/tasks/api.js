// The server's API, as web/openapi.json describes it: calls, their errors, and a job watched live.

/** What the server, or the way to it, refused: `message` says what is wrong, `hint` what to do. */
export class Refused extends Error {
  constructor(status, { code = "failed", message = "", hint = "" }) {
    super(message);
    Object.assign(this, { status, code, hint });
  }
}

const away = () => new Refused(0, {
  code: "network",
  message: navigator.onLine ? "The server does not answer." : "This browser is offline.",
  hint: navigator.onLine ? "Is depickle serve still running? Try again in a moment." : "Try again when it is back.",
});

async function call(path, options) {
  let answer;
  let body;
  try {
    answer = await fetch(`/api/v1/${path}`, { credentials: "same-origin", redirect: "error", ...options });
    body = await answer.json().catch(() => null);
  } catch (problem) {
    throw problem.name === "AbortError" ? problem : away();
  }
  if (answer.ok) return body;
  throw new Refused(answer.status, typeof body?.error === "object" ? body.error : {
    message: `The server answered with status ${answer.status}.`, hint: "Its log says why.",
  });
}

/** @param {AbortSignal} [signal] */
export const get = (path, signal) => call(path, { signal });

/** What is left out of `body` because it is empty is not sent at all. */
export const post = (path, body = {}) => call(path, {
  method: "POST", headers: { "Content-Type": "application/json" },
  body: JSON.stringify(Object.fromEntries(Object.entries(body).filter(([, value]) => value !== "" && value !== null && value !== undefined))),
});

let known = null;
/** What this server is: asked once for each load of the page, and again where that failed. */
export function about() {
  known ??= get("about").catch((problem) => { known = null; throw problem; });
  return known;
}

const kPollMilliseconds = 5000;
const kAgainMilliseconds = 2000;

/**
 * Watches a job until it ends: told(job) for each state, moved(progress), away(true) where the server does not answer and away(false) when
 * it does again, ended(job) at last, gone() where there is no such job any more. A hidden page polls instead: a browser opens six connections
 * to a host, and the seventh tab would wait for the others.
 * @returns {() => void} stops watching
 */
export function watch(id, { told, moved, away: lost, ended, gone }) {
  const path = `jobs/${encodeURIComponent(id)}`;
  let source = null;
  let timer = 0;
  let stopped = false;

  const stop = () => {
    stopped = true;
    source?.close();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", begin);
  };
  const finish = (job) => { stop(); ended(job); };

  async function poll() {
    try {
      const job = await get(path);
      if (stopped) return;
      lost(false);
      if (job.ended) finish(job);
      else {
        told(job);
        if (document.hidden) timer = setTimeout(poll, kPollMilliseconds);
        else listen();
      }
    } catch (problem) {
      if (stopped) return;
      if (problem.status === 404) { stop(); gone(); return; }
      lost(true);
      timer = setTimeout(poll, kAgainMilliseconds);
    }
  }

  function listen() {
    source = new EventSource(`/api/v1/${path}/events`);
    source.addEventListener("open", () => lost(false));
    source.addEventListener("state", (event) => told(JSON.parse(event.data)));
    source.addEventListener("progress", (event) => moved(JSON.parse(event.data)));
    source.addEventListener("end", (event) => finish(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      // It reconnects by itself, with Last-Event-ID, unless it was answered with something that is no event stream.
      if (source.readyState !== EventSource.CLOSED) { lost(true); return; }
      clearTimeout(timer);
      timer = setTimeout(poll, kAgainMilliseconds);
    });
  }

  function begin() {
    if (stopped) return;
    source?.close();
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(poll, kPollMilliseconds);
    else listen();
  }

  document.addEventListener("visibilitychange", begin);
  begin();
  return stop;
}
