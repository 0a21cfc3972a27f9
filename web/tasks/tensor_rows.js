// Fetches the rows of the tensor table in windows, and keeps those used last.
import { get } from "./api.js";

/** @typedef {import("./api_types").Tensor} Tensor */
/** @typedef {import("./api_types").TensorPage} TensorPage */

export const windowRows = 200;
const maxWindows = 30;

/** The rows of a job's tensor table in one order and with one filter. */
export class TensorRows {
  /**
   * @param {string} path of the API
   * @param {string} sort a column, or "position" for the order of the file
   * @param {string} order "asc" or "desc"
   * @param {string} filter part of a name or dtype; "" for all rows
   */
  constructor(path, sort, order, filter) {
    this.path = `${path}?${new URLSearchParams({ sort, order, ...(filter ? { filter } : {}) })}`;
    /** @type {Map<number, Tensor[]>} */
    this.windows = new Map();
    this.aborter = new AbortController();
  }

  /**
   * The row; null if it has not been fetched.
   * @param {number} index
   * @returns {Tensor | null}
   */
  at(index) {
    return this.windows.get(Math.floor(index / windowRows))?.[index % windowRows] ?? null;
  }

  /**
   * Fetches the missing rows of [from, to).
   * @param {number} from
   * @param {number} to
   * @returns {Promise<TensorPage | null>} the last page that was fetched; null if no row was missing
   */
  async fetch(from, to) {
    let page = null;
    for (let window = Math.floor(from / windowRows); window * windowRows < to; ++window) {
      let rows = this.windows.get(window);
      this.windows.delete(window);
      if (!rows) {
        const range = `offset=${window * windowRows}&limit=${windowRows}`;
        page = /** @type {TensorPage} */ (await get(`${this.path}&${range}`, this.aborter.signal));
        rows = page.tensors;
      }
      this.windows.set(window, rows); // last in the order of the Map, because it was used last
    }
    for (const window of this.windows.keys()) {
      if (this.windows.size <= maxWindows) break;
      this.windows.delete(window);
    }
    return page;
  }

  abort() {
    this.aborter.abort();
  }
}
