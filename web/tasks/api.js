// Calls of the page's API, which ../openapi.json describes.
import { ApiError, fetchResponse } from "../shared/api.js";

/** @typedef {import("./api_types").About} About */

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
