// Requests to the Hub's API. The token that the visitor typed is kept only here, in the memory of the page.
import { ApiError, fetchResponse } from "../shared/api.js";

let token = "";
let aborter = new AbortController();

/** The owner of the token; its name is "" without a token. */
export const account = { name: "", mayWrite: false };

/** Cancels the requests of the page that is being left. */
export function cancelRequests() {
  aborter.abort();
  aborter = new AbortController();
}

/**
 * @param {Response} response
 * @returns {Promise<ApiError>}
 */
async function errorOf(response) {
  const body = await response.json().catch(() => null);
  const message = body?.error ?? response.headers.get("X-Error-Message") ?? "";
  return new ApiError(response.status, {
    code: response.headers.get("X-Error-Code") ?? "",
    message: String(message || `The Hub answered with status ${response.status}.`),
  });
}

/**
 * @typedef {object} RequestOptions
 * @property {string} [method]
 * @property {Record<string, string>} [headers]
 * @property {unknown} [json] the body
 */

/**
 * Returns a response with status 2xx. Throws ApiError, or AbortError after cancelRequests().
 * @param {string} url
 * @param {RequestOptions} [options]
 * @returns {Promise<Response>}
 */
export async function request(url, options = {}, credential = token) {
  const { method = "GET", headers = {}, json } = options;
  /** @type {Record<string, string>} */
  const allHeaders = { ...headers };
  if (credential) allHeaders.Authorization = `Bearer ${credential}`;
  if (json !== undefined) allHeaders["Content-Type"] = "application/json";
  const response = await fetchResponse(url, {
    method, headers: allHeaders, body: json === undefined ? undefined : JSON.stringify(json),
    credentials: "omit", signal: aborter.signal,
  });
  if (!response.ok) throw await errorOf(response);
  return response;
}

/**
 * @param {string} url
 * @param {RequestOptions} [options]
 * @returns {Promise<any>}
 */
export const requestJson = async (url, options) => (await request(url, options)).json();

/**
 * One page of a list. `next` is the path of the next page from the Link header, "" on the last page.
 * @param {string} url
 * @returns {Promise<{items: any[], next: string, total: number}>}
 */
export async function requestPage(url) {
  const response = await request(url);
  const link = /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "");
  const next = link ? new URL(link[1], location.origin) : null;
  return {
    items: await response.json(),
    next: next ? next.pathname + next.search : "", // without its host: requests go only to this server
    total: Number(response.headers.get("X-Total-Count") ?? 0),
  };
}

/**
 * Asks the Hub who owns the token, and keeps it. Throws ApiError with status 401 if the token is not valid.
 * @param {string} typed
 */
export async function signIn(typed) {
  const me = await (await request("/api/whoami-v2", {}, typed)).json();
  token = typed;
  account.name = String(me.name);
  account.mayWrite = me.auth?.accessToken?.role === "write";
}

export function signOut() {
  token = "";
  account.name = "";
  account.mayWrite = false;
}
