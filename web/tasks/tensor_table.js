// The table of every tensor: rows are fetched in windows and drawn where they are looked at, so that a hundred thousand cost what fifty do.
import { get } from "./api.js";
import { copy, copyButton, announce, element, section } from "../shared/dom.js";
import { cut, grouped, name, plural, shape, visible } from "../shared/text.js";

const kWindow = 200;          // rows asked for at once
const kMostWindows = 30;      // kept
const kSettleMilliseconds = 80;  // a dragged scroll bar asks for where it stops, not for all it passes
const kMostRows = 400_000;    // a browser's elements end at some 17 million pixels
const kColumns = [
  { key: "name", label: "name" }, { key: "dtype", label: "dtype" }, { key: "shape", label: "shape" }, { key: "bytes", label: "bytes", kind: "number" },
  { key: null, label: "sha256", kind: "shy" }, { key: "verdict", label: "verdict" },
];

/** The rows of one order and filter, window by window, the latest used kept. */
class Rows {
  constructor(path, sort, order, filter) {
    this.path = `${path}?${new URLSearchParams({ sort, order, ...(filter ? { filter } : {}) })}`;
    this.windows = new Map();
    this.aborter = new AbortController();
  }

  /** The row, or null where it is not here yet. */
  at(index) {
    return this.windows.get(Math.floor(index / kWindow))?.[index % kWindow] ?? null;
  }

  /** Fetches what [from, to) lacks. Gives the counts the server told of, or null where nothing was lacking. */
  async fetch(from, to) {
    let told = null;
    for (let at = Math.floor(from / kWindow); at * kWindow < to; ++at) {
      const known = this.windows.get(at);
      this.windows.delete(at);
      if (!known) told = await get(`${this.path}&offset=${at * kWindow}&limit=${kWindow}`, this.aborter.signal);
      this.windows.set(at, known ?? told.tensors);
    }
    while (this.windows.size > kMostWindows) this.windows.delete(this.windows.keys().next().value);
    return told;
  }
}

export class TensorTable {
  constructor(job) {
    this.path = `jobs/${encodeURIComponent(job)}/tensors`;
    this.sort = "position";
    this.order = "asc";
    this.filter = "";
    this.matched = 0;
    this.active = -1;
    this.drawn = new Map();
    this.build();
    this.restart();
  }

  build() {
    this.count = element("span.count", { role: "status" });
    const filter = element("input", { type: "search", placeholder: "Filter by name or dtype", "aria-label": "Filter by name or dtype", autocomplete: "off", spellcheck: "false", maxlength: "200" });
    let typing = 0;
    filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => { this.filter = filter.value.trim(); this.restart(); }, 200);
    });
    this.head = element("div.row.head", { role: "row", "aria-rowindex": "1" }, kColumns.map((column) => this.headCell(column)));
    this.rows = element("div.rows", { role: "presentation" });
    this.view = element("div.view", { role: "rowgroup", tabindex: "0", "aria-label": "Rows: arrows, Page Up, Page Down, Home and End move; Control C copies a name" }, this.rows);
    this.grid = element("div.grid", { role: "table", "aria-label": "Tensors", "aria-colcount": String(kColumns.length) }, element("div", { role: "rowgroup" }, this.head), this.view);
    this.chosen = element("p.chosen.quiet", { "aria-live": "polite" });
    this.node = section("Tensors", element("div.tools", {}, this.count, filter, copyButton(() => this.visibleRowsAsText(), "Copy the visible rows")), this.grid, this.chosen);
    this.node.classList.add("tensors");

    this.view.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.view.addEventListener("keydown", (event) => this.pressed(event));
    this.view.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.choose(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.resized()).observe(this.view);
    matchMedia("(max-width: 40rem)").addEventListener("change", () => this.redraw());
  }

  headCell({ key, label, kind }) {
    const content = key ? element("button", { type: "button", onclick: () => this.sortBy(key) }, label) : label;
    return element("span", { role: "columnheader", class: kind ?? null, "data-key": key, "aria-sort": key ? "none" : null }, content);
  }

  sortBy(key) {
    // Up, down, and back to the order of the file.
    if (this.sort !== key) { this.sort = key; this.order = "asc"; }
    else if (this.order === "asc") this.order = "desc";
    else { this.sort = "position"; this.order = "asc"; }
    for (const cell of this.head.children) {
      if (cell.dataset.key) cell.setAttribute("aria-sort", cell.dataset.key !== this.sort ? "none" : this.order === "asc" ? "ascending" : "descending");
    }
    this.restart();
  }

  /** Another order or filter: from the top. */
  async restart() {
    this.source?.aborter.abort();
    this.source = new Rows(this.path, this.sort, this.order, this.filter);
    this.active = -1;
    this.chosen.replaceChildren();
    this.view.scrollTop = 0;
    await this.fetch(0, kWindow);
    if (this.matched > 0) this.redraw();
  }

  /** Fetches rows and draws what has come; a row that nobody looks at any more is not fetched. */
  async fetch(from, to) {
    const source = this.source;
    try {
      const told = await source.fetch(from, Math.max(to, from + 1));
      if (source !== this.source) return;
      if (told) this.counted(told);
      this.draw();
    } catch (problem) {
      if (source === this.source && problem.name !== "AbortError") this.count.textContent = `${problem.message} ${problem.hint ?? ""}`;
    }
  }

  counted({ total, matched }) {
    this.matched = Math.min(matched, kMostRows);
    const all = matched === total ? plural(total, "tensor") : `${grouped(matched)} of ${plural(total, "tensor")}`;
    this.count.textContent = matched > kMostRows ? `${all}; the first ${grouped(kMostRows)} are shown, filter to see others` : all;
    this.grid.setAttribute("aria-rowcount", String(matched + 1));
    this.layOut();
  }

  /** One row's height in pixels, whatever the zoom and the width make of it. */
  height() {
    return this.head.parentElement ? parseFloat(getComputedStyle(this.node).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize) : 36;
  }

  layOut() {
    this.row = this.height();
    this.rows.style.height = `${this.matched * this.row}px`;
    this.view.style.height = `min(${Math.max(this.matched, 1) * this.row}px, max(70vh, ${6 * this.row}px))`;
    this.head.style.setProperty("--bar-width", `${this.view.offsetWidth - this.view.clientWidth}px`);
  }

  resized() {
    if (this.matched > 0) { this.layOut(); this.draw(); }
  }

  redraw() {
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
    this.resized();
  }

  /** The rows in sight: [from, to). */
  sight() {
    const from = Math.max(0, Math.floor(this.view.scrollTop / this.row));
    return [from, Math.min(this.matched, Math.ceil((this.view.scrollTop + this.view.clientHeight) / this.row))];
  }

  scrolled() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      const [from, to] = this.sight();
      this.fetch(Math.max(0, from - 20), Math.min(this.matched, to + 20));
    }, kSettleMilliseconds);
  }

  /** Keeps the rows that stay, removes those that left, adds those that came. */
  draw() {
    const [first, last] = this.sight();
    const from = Math.max(0, first - 6);
    const to = Math.min(this.matched, last + 6);
    for (const [index, row] of this.drawn) {
      const stale = row.source !== this.source || (row.empty && this.source.at(index));
      if (index < from || index >= to || stale) { row.remove(); this.drawn.delete(index); }
    }
    const added = document.createDocumentFragment();
    for (let index = from; index < to; ++index) {
      if (this.drawn.has(index)) continue;
      const row = this.makeRow(index, this.source.at(index));
      this.drawn.set(index, row);
      added.append(row);
    }
    this.rows.append(added);
  }

  makeRow(index, tensor) {
    const bad = tensor && tensor.verdict && tensor.verdict !== "identical";
    const row = element(bad ? "div.row.bad" : "div.row", { role: "row", id: `tensor-${index}`, "aria-rowindex": String(index + 2), "data-index": String(index) },
      tensor ? cells(tensor) : element("span.quiet", { role: "cell" }, "…"));
    row.style.transform = `translateY(${index * this.row}px)`;
    if (index === this.active) row.classList.add("active");
    row.empty = !tensor;
    row.source = this.source;
    return row;
  }

  pressed(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "c" && this.active >= 0 && String(getSelection()) === "") {
      const tensor = this.source.at(this.active);
      if (tensor) copy(tensor.name).then((done) => { if (done) announce("Name copied."); });
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.view.clientHeight / this.row) - 1);
    const [first] = this.sight();
    const at = this.active < 0 ? first : this.active;
    const steps = { ArrowDown: this.active < 0 ? at : at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.matched - 1 };
    if (!(event.key in steps) || this.matched === 0) return;
    event.preventDefault();
    this.choose(Math.min(Math.max(steps[event.key], 0), this.matched - 1));
  }

  /** Makes a row the current one, brings it in sight and spells it out below the table. */
  async choose(index) {
    this.drawn.get(this.active)?.classList.remove("active");
    this.active = index;
    const top = index * this.row;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    else if (top + this.row > this.view.scrollTop + this.view.clientHeight) this.view.scrollTop = top + this.row - this.view.clientHeight;
    this.draw();
    this.drawn.get(index)?.classList.add("active");
    if (!this.source.at(index)) await this.fetch(index, index + 1);
    const tensor = this.source.at(index);
    if (tensor && this.active === index) this.chosen.replaceChildren(...spelledOut(tensor, index, this.matched));
  }

  /** Tab-separated, with a line of heads: what a spreadsheet takes. A name that it would take for a formula gets an apostrophe. */
  visibleRowsAsText() {
    const [from, to] = this.sight();
    const lines = [["name", "dtype", "shape", "bytes", "file", "sha256", "verdict"]];
    for (let index = from; index < to; ++index) {
      const tensor = this.source.at(index);
      if (tensor) lines.push([tensor.name, tensor.dtype, tensor.shape.join("x"), tensor.bytes, tensor.file, tensor.sha256, tensor.verdict]);
    }
    return lines.map((line) => line.map((cell) => visible(cell).replace(/^[=+\-@]/, "'$&")).join("\t")).join("\n");
  }
}

/** Cells hold what fits a line; the whole name stands below the table once a row is chosen. */
function cells(tensor) {
  return [
    element("span.name", { role: "cell" }, name(cut(tensor.name, 300), false)),
    element("span", { role: "cell" }, visible(tensor.dtype)),
    element("span", { role: "cell" }, cut(shape(tensor.shape), 80)),
    element("span.number", { role: "cell" }, grouped(tensor.bytes)),
    element("span.shy.quiet", { role: "cell" }, tensor.sha256 ? `${tensor.sha256.slice(0, 6)}…${tensor.sha256.slice(-4)}` : ""),
    element(tensor.verdict === "identical" ? "span.good" : "span", { role: "cell" }, visible(tensor.verdict), tensor.note ? element("span.quiet", {}, ` ${visible(cut(tensor.note, 120))}`) : null),
  ];
}

function spelledOut(tensor, index, matched) {
  const facts = [tensor.dtype, shape(tensor.shape), `${grouped(tensor.bytes)} bytes`, tensor.verdict, tensor.note].filter(Boolean).map(visible).join(", ");
  return [
    element("span.name", {}, name(tensor.name)), ` ${facts}. `, tensor.file ? [element("span.name", {}, name(tensor.file)), ". "] : "",
    tensor.sha256 ? element("span.name", {}, `sha256 ${tensor.sha256} `) : "", `Row ${grouped(index + 1)} of ${grouped(matched)}. `, copyButton(() => tensor.name, "Copy the name"),
  ].flat();
}
