// HTTP requests to this server, and the error that they throw.

/** A request that failed. `status` is 0 if the server did not answer. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, message?: string, hint?: string}} details `code` is the API's: "denied", "RepoNotFound"
   */
  constructor(status, { code = "failed", message = "", hint = "" }) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/**
 * Whether the request was cancelled by its AbortSignal.
 * @param {unknown} error
 */
export const isAborted = (error) => error instanceof Error && error.name === "AbortError";

/**
 * The message and the hint to show for an error.
 * @param {unknown} error an Error, or {message, hint}
 * @returns {{message: string, hint?: string}}
 */
export function describeError(error) {
  const isDescribed = typeof error === "object" && error !== null && "message" in error;
  return isDescribed ? /** @type {{message: string, hint?: string}} */ (error) : { message: String(error) };
}

/**
 * fetch() that throws ApiError with status 0 if the server does not answer. Throws AbortError if it was cancelled.
 * @param {string} url
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 */
export async function fetchResponse(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (isAborted(error)) throw error;
    const [message, hint] = navigator.onLine
      ? ["The server does not answer.", "Check that depickle serve is running, then try again."]
      : ["This browser is offline.", "Try again when it is online."];
    throw new ApiError(0, { code: "network", message, hint });
  }
}
