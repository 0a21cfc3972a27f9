// Asks the Hub's API. The token that a visitor typed lives here, in this page's memory, and nowhere else.

/** What the Hub refused, or that it could not be reached (status 0). */
export class Refused extends Error {
  /** @param {string} code the Hub's X-Error-Code: "RepoNotFound", "GatedRepo", … */
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

let token = "";
let visit = new AbortController();

/** Who the token is of; empty without one. */
export const account = { name: "", mayWrite: false };

/** The page turns to another place: what it still waits for is not wanted any more. */
export function turn() {
  visit.abort();
  visit = new AbortController();
}

async function refusal(response) {
  let message = response.headers.get("X-Error-Message") ?? "";
  try {
    message = (await response.json()).error ?? message;
  } catch {
    // Not ours, or not JSON: the header, or the status, has to do.
  }
  return new Refused(response.status, response.headers.get("X-Error-Code") ?? "", String(message || `The Hub answered ${response.status}.`));
}

/** @returns {Promise<Response>} of a 2xx. Throws Refused, and AbortError once the page has turned. */
export async function ask(address, { method = "GET", headers = {}, json } = {}, credential = token) {
  const options = { method, headers: { ...headers }, credentials: "omit", signal: visit.signal };
  if (credential) options.headers.Authorization = `Bearer ${credential}`;
  if (json !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(json);
  }
  let response;
  try {
    response = await fetch(address, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refused(0, "", "The Hub does not answer.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** The JSON of an answer. */
export const answer = async (address, options) => (await ask(address, options)).json();

/** One page of a list: what is in it, and the address of the next one ("" at the end) as the Link header says; only our own Hub is followed. */
export async function listed(address) {
  const response = await ask(address);
  const link = /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "");
  const next = link ? new URL(link[1], location.origin) : null;
  return {
    items: await response.json(),
    next: next ? next.pathname + next.search : "",
    total: Number(response.headers.get("X-Total-Count") ?? 0),
  };
}

/** Keeps the token if the Hub knows it, and tells whose it is. Throws Refused. */
export async function enter(typed) {
  const me = await (await ask("/api/whoami-v2", {}, typed)).json();
  token = typed;
  account.name = String(me.name);
  account.mayWrite = me.auth?.accessToken?.role === "write";
}

export function leave() {
  token = "";
  account.name = "";
  account.mayWrite = false;
}
