// The table of all tensors. Rows are fetched in windows and only the visible ones are in the document, so that 100,000
// rows cost as little as 50.
import { describeError, isAborted } from "../shared/api.js";
import { announce, copyButton, copyText, element, section } from "../shared/dom.js";
import { formatNumber, formatShape, nameNode, plural, truncate, visible } from "../shared/text.js";
import { jobPath } from "./api.js";
import { TensorRows, windowRows } from "./tensor_rows.js";

/** @typedef {import("./api_types").Tensor} Tensor */
/** @typedef {{node: HTMLElement, source: TensorRows, isEmpty: boolean}} DrawnRow */

const filterDelayMs = 200;
const scrollDelayMs = 80; // while a scroll bar is dragged, no rows are fetched
const maxRows = 400_000; // browsers limit the height of an element to about 17 million pixels
const rowsAround = 6; // rows that are drawn before and after the visible ones
const rowsAhead = 20; // rows that are fetched before and after the visible ones

/** @type {{key: string | null, label: string, className?: string}[]} */
const columns = [
  { key: "name", label: "name" },
  { key: "dtype", label: "dtype" },
  { key: "shape", label: "shape" },
  { key: "bytes", label: "bytes", className: "number" },
  { key: null, label: "sha256", className: "wide-only" },
  { key: "verdict", label: "verdict" },
];

export class TensorTable {
  /** @param {string} job its id */
  constructor(job) {
    this.path = jobPath(job, "/tensors");
    this.sort = "position";
    this.order = "asc";
    this.filter = "";
    this.rowCount = 0;
    this.rowHeight = 0; // in pixels
    this.selected = -1;
    /** @type {Map<number, DrawnRow>} */
    this.drawn = new Map();
    this.source = new TensorRows(this.path, this.sort, this.order, this.filter);
    this.isDrawScheduled = false;
    this.scrollTimer = 0;

    this.count = element("span.count", { role: "status" });
    this.head = element("div.row.head", { role: "row", "aria-rowindex": "1" },
      columns.map((column) => this.headCell(column)));
    this.rows = element("div.rows", { role: "presentation" });
    this.view = element("div.view", {
      role: "rowgroup", tabindex: "0",
      "aria-label": "Rows: arrow keys, Page Up, Page Down, Home and End select a row, Control C copies its name",
    }, this.rows);
    this.grid = element("div.grid", { role: "table", "aria-label": "Tensors", "aria-colcount": String(columns.length) },
      element("div", { role: "rowgroup" }, this.head), this.view);
    this.details = element("p.selected.muted", { "aria-live": "polite" });
    this.node = section("Tensors",
      element("div.toolbar", {}, this.count, this.filterInput(),
        copyButton(() => this.visibleRowsAsText(), "Copy visible rows")),
      this.grid, this.details);
    this.node.classList.add("tensors");
    this.listen();
    this.restart();
  }

  listen() {
    this.view.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.view.addEventListener("keydown", (event) => this.onKey(event));
    this.view.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest(".row") : null;
      if (row instanceof HTMLElement) this.select(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.onResize()).observe(this.view);
    matchMedia("(max-width: 40rem)").addEventListener("change", () => this.redraw());
  }

  filterInput() {
    const label = "Filter by name or dtype";
    const input = element("input", {
      type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false",
      maxlength: "200",
    });
    let timer = 0;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => { this.filter = input.value.trim(); this.restart(); }, filterDelayMs);
    });
    return input;
  }

  /** @param {typeof columns[number]} column */
  headCell({ key, label, className }) {
    const content = key ? element("button", { type: "button", onclick: () => this.sortBy(key) }, label) : label;
    return element("span", {
      role: "columnheader", class: className, "data-key": key, "aria-sort": key ? "none" : null,
    }, content);
  }

  /**
   * Sorts by a column: ascending, then descending, then in the order of the file again.
   * @param {string} key
   */
  sortBy(key) {
    if (this.sort !== key) {
      this.sort = key;
      this.order = "asc";
    } else if (this.order === "asc") {
      this.order = "desc";
    } else {
      this.sort = "position";
      this.order = "asc";
    }
    for (const cell of this.head.querySelectorAll("[data-key]")) {
      const isSorted = cell.getAttribute("data-key") === this.sort;
      cell.setAttribute("aria-sort", !isSorted ? "none" : this.order === "asc" ? "ascending" : "descending");
    }
    this.restart();
  }

  /** Shows the first rows of a new order or filter. */
  async restart() {
    this.source.abort();
    this.source = new TensorRows(this.path, this.sort, this.order, this.filter);
    this.selected = -1;
    this.details.replaceChildren();
    this.view.scrollTop = 0;
    await this.fetch(0, windowRows);
    if (this.rowCount > 0) this.redraw();
  }

  /**
   * Fetches rows and draws those that are visible.
   * @param {number} from
   * @param {number} to
   */
  async fetch(from, to) {
    const source = this.source;
    try {
      const page = await source.fetch(from, Math.max(to, from + 1));
      if (source !== this.source) return;
      if (page) this.setCounts(page);
      this.draw();
    } catch (error) {
      if (source !== this.source || isAborted(error)) return;
      const { message, hint } = describeError(error);
      this.count.textContent = `${message} ${hint ?? ""}`;
    }
  }

  /** @param {{total: number, matched: number}} page */
  setCounts({ total, matched }) {
    this.rowCount = Math.min(matched, maxRows);
    const all = plural(total, "tensor");
    const counts = matched === total ? all : `${formatNumber(matched)} of ${all}`;
    const note = `; the first ${formatNumber(maxRows)} are shown, use the filter to see others`;
    this.count.textContent = matched > maxRows ? counts + note : counts;
    this.grid.setAttribute("aria-rowcount", String(matched + 1));
    this.updateLayout();
  }

  /** The height of a row as the style sheet sets it, in pixels. */
  measureRowHeight() {
    const heightRem = parseFloat(getComputedStyle(this.node).getPropertyValue("--row"));
    return heightRem * parseFloat(getComputedStyle(document.documentElement).fontSize) || 36;
  }

  updateLayout() {
    this.rowHeight = this.measureRowHeight();
    this.rows.style.height = `${this.rowCount * this.rowHeight}px`;
    const height = Math.max(this.rowCount, 1) * this.rowHeight;
    this.view.style.height = `min(${height}px, max(70vh, ${6 * this.rowHeight}px))`;
    this.head.style.setProperty("--scroll-bar-width", `${this.view.offsetWidth - this.view.clientWidth}px`);
  }

  onResize() {
    if (this.rowCount === 0) return;
    this.updateLayout();
    this.draw();
  }

  redraw() {
    for (const { node } of this.drawn.values()) node.remove();
    this.drawn.clear();
    this.onResize();
  }

  /**
   * The visible rows: [first, end).
   * @returns {[number, number]}
   */
  visibleRange() {
    const first = Math.max(0, Math.floor(this.view.scrollTop / this.rowHeight));
    const end = Math.ceil((this.view.scrollTop + this.view.clientHeight) / this.rowHeight);
    return [first, Math.min(this.rowCount, end)];
  }

  onScroll() {
    if (!this.isDrawScheduled) {
      this.isDrawScheduled = true;
      requestAnimationFrame(() => { this.isDrawScheduled = false; this.draw(); });
    }
    clearTimeout(this.scrollTimer);
    this.scrollTimer = setTimeout(() => {
      const [first, end] = this.visibleRange();
      this.fetch(Math.max(0, first - rowsAhead), Math.min(this.rowCount, end + rowsAhead));
    }, scrollDelayMs);
  }

  /** Removes the rows that are not visible any more, and adds those that have become visible. */
  draw() {
    const [first, end] = this.visibleRange();
    const from = Math.max(0, first - rowsAround);
    const to = Math.min(this.rowCount, end + rowsAround);
    for (const [index, row] of this.drawn) {
      const isStale = row.source !== this.source || (row.isEmpty && this.source.at(index) !== null);
      if (index < from || index >= to || isStale) { row.node.remove(); this.drawn.delete(index); }
    }
    const added = document.createDocumentFragment();
    for (let index = from; index < to; ++index) {
      if (this.drawn.has(index)) continue;
      const tensor = this.source.at(index);
      const node = this.makeRow(index, tensor);
      this.drawn.set(index, { node, source: this.source, isEmpty: tensor === null });
      added.append(node);
    }
    this.rows.append(added);
  }

  /**
   * @param {number} index
   * @param {Tensor | null} tensor null if the row has not been fetched
   */
  makeRow(index, tensor) {
    const isBad = tensor !== null && tensor.verdict !== "" && tensor.verdict !== "identical";
    const row = element(isBad ? "div.row.bad" : "div.row", {
      role: "row", id: `tensor-${index}`, "aria-rowindex": String(index + 2), "data-index": String(index),
    }, tensor ? cells(tensor) : element("span.muted", { role: "cell" }, "…"));
    row.style.transform = `translateY(${index * this.rowHeight}px)`;
    if (index === this.selected) row.classList.add("active");
    return row;
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "c" && this.selected >= 0 && String(getSelection()) === "") {
      const tensor = this.source.at(this.selected);
      if (tensor) copyText(tensor.name).then((isCopied) => { if (isCopied) announce("Name copied."); });
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || this.rowCount === 0) return;
    const target = this.rowForKey(event.key);
    if (target === undefined) return;
    event.preventDefault();
    this.select(Math.min(Math.max(target, 0), this.rowCount - 1));
  }

  /**
   * The row that a key selects; may lie outside the table.
   * @param {string} key
   * @returns {number | undefined}
   */
  rowForKey(key) {
    const pageRows = Math.max(1, Math.floor(this.view.clientHeight / this.rowHeight) - 1);
    const isSelected = this.selected >= 0;
    const current = isSelected ? this.selected : this.visibleRange()[0];
    switch (key) {
      case "ArrowDown": return isSelected ? current + 1 : current;
      case "ArrowUp": return current - 1;
      case "PageDown": return current + pageRows;
      case "PageUp": return current - pageRows;
      case "Home": return 0;
      case "End": return this.rowCount - 1;
      default: return undefined;
    }
  }

  /**
   * Selects a row, scrolls to it, and shows its full content below the table.
   * @param {number} index
   */
  async select(index) {
    this.drawn.get(this.selected)?.node.classList.remove("active");
    this.selected = index;
    const top = index * this.rowHeight;
    const topAtEnd = top + this.rowHeight - this.view.clientHeight;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    else if (topAtEnd > this.view.scrollTop) this.view.scrollTop = topAtEnd;
    this.draw();
    this.drawn.get(index)?.node.classList.add("active");
    if (!this.source.at(index)) await this.fetch(index, index + 1);
    const tensor = this.source.at(index);
    if (!tensor || this.selected !== index) return;
    this.details.replaceChildren(...tensorDetails(tensor, index, this.rowCount));
  }

  /** The visible rows as tab-separated text with a header. A cell that looks like a formula gets a leading "'". */
  visibleRowsAsText() {
    const [first, end] = this.visibleRange();
    const lines = [["name", "dtype", "shape", "bytes", "file", "sha256", "verdict"]];
    for (let index = first; index < end; ++index) {
      const tensor = this.source.at(index);
      if (!tensor) continue;
      const { name, dtype, shape, bytes, file, sha256, verdict } = tensor;
      lines.push([name, dtype, shape.join("x"), String(bytes), file, sha256, verdict]);
    }
    /** @param {string} text */
    const cell = (text) => visible(text).replace(/^[=+\-@]/, "'$&");
    return lines.map((line) => line.map(cell).join("\t")).join("\n");
  }
}

/**
 * The cells of a row, shortened to one line.
 * @param {Tensor} tensor
 */
function cells({ name, dtype, shape, bytes, sha256, verdict, note }) {
  return [
    element("span.name", { role: "cell" }, nameNode(truncate(name, 300), false)),
    element("span", { role: "cell" }, visible(dtype)),
    element("span", { role: "cell" }, truncate(formatShape(shape), 80)),
    element("span.number", { role: "cell" }, formatNumber(bytes)),
    element("span.wide-only.muted", { role: "cell" }, sha256 ? `${sha256.slice(0, 6)}…${sha256.slice(-4)}` : ""),
    element(verdict === "identical" ? "span.good" : "span", { role: "cell" }, visible(verdict),
      note && element("span.muted", {}, ` ${visible(truncate(note, 120))}`)),
  ];
}

/**
 * @param {Tensor} tensor
 * @param {number} index
 * @param {number} rowCount
 */
function tensorDetails({ name, dtype, shape, bytes, file, sha256, verdict, note }, index, rowCount) {
  const facts = [dtype, formatShape(shape), `${formatNumber(bytes)} bytes`, verdict, note];
  return [
    element("span.name", {}, nameNode(name)), ` ${facts.filter(Boolean).map(visible).join(", ")}. `,
    ...(file ? [element("span.name", {}, nameNode(file)), ". "] : []),
    ...(sha256 ? [element("span.name", {}, `sha256 ${sha256} `)] : []),
    `Row ${formatNumber(index + 1)} of ${formatNumber(rowCount)}. `, copyButton(() => name, "Copy name"),
  ];
}
