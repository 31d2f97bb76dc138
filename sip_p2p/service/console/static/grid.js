// A table that stays quick with any number of rows: only those that can be seen are in the document, and a screen reader
// is told how many there are and which these are. Rows are reached with the arrow keys and opened with Enter.

import { fill, h, icon } from "./dom.js";

const AROUND = 6;

/**
 * `columns` are `{title, cell, order, width, wide}`: what stands above, what stands in a cell, by what to sort (none: it
 * cannot be sorted by), how wide it is in CSS, and whether it is left out where there is little room. `version` tells
 * whether an item that is still the same object is to be shown anew.
 */
export class Grid {
  constructor({ label, columns, key, version = () => 0, opened, empty, height = 40, sortedBy = -1, descending = false }) {
    this.columns = columns;
    this.key = key;
    this.version = version;
    this.opened = opened;
    this.height = height;
    this.sortedBy = sortedBy;
    this.descending = descending;
    this.items = [];
    this.rows = new Map();
    this.current = null;
    this.chosen = null;
    this.headings = columns.map((column, index) => this.heading(column, index));
    this.head = h("div", { role: "row", class: "grid-head", "aria-rowindex": 1 }, this.headings);
    this.body = h("div", { role: "rowgroup", class: "grid-body" });
    this.viewport = h("div", { class: "grid-viewport" }, h("div", { role: "rowgroup", class: "grid-top" }, this.head), this.body);
    this.grid = h("div", { role: "grid", class: "grid", "aria-label": label, "aria-colcount": columns.length }, this.viewport);
    this.empty = h("div", { class: "empty" }, empty);
    this.element = h("div", { class: "grid-box" }, this.grid, this.empty);
    const some = columns.filter((column) => !column.wide);
    this.grid.style.setProperty("--columns", columns.map((column) => column.width ?? "1fr").join(" "));
    this.grid.style.setProperty("--few-columns", some.map((column) => column.few ?? column.width ?? "1fr").join(" "));
    this.grid.style.setProperty("--row", `${height}px`);
    this.viewport.addEventListener("scroll", () => this.draw(), { passive: true });
    this.body.addEventListener("keydown", (event) => this.pressed(event));
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.viewport);
    this.show([]);
  }

  end() {
    this.size.disconnect();
  }

  heading(column, index) {
    const place = { role: "columnheader", class: `cell${column.wide ? " wide" : ""}`, "aria-colindex": index + 1 };
    if (!column.order) return h("div", place, column.title ? column.title : h("span", { class: "unseen" }, column.name ?? "Actions"));
    return h("div", place, h("button", { type: "button", class: "sort", onclick: () => this.sortBy(index) }, column.title, icon("sort")));
  }

  sortBy(index) {
    this.descending = this.sortedBy === index ? !this.descending : false;
    this.sortedBy = index;
    this.show(this.given);
  }

  show(items) {
    this.given = items;
    const column = this.columns[this.sortedBy];
    this.headings.forEach((heading, index) => {
      if (!this.columns[index].order) return;
      const isThis = index === this.sortedBy;
      heading.setAttribute("aria-sort", isThis ? (this.descending ? "descending" : "ascending") : "none");
    });
    this.items = items;
    if (column?.order) {
      const way = this.descending ? -1 : 1;
      const keyed = items.map((item) => [column.order(item), item]);
      keyed.sort(([a], [b]) => (a < b ? -way : a > b ? way : 0));
      this.items = keyed.map(([, item]) => item);
    }
    this.grid.setAttribute("aria-rowcount", this.items.length + 1);
    this.grid.hidden = this.items.length === 0;
    this.empty.hidden = this.items.length !== 0;
    this.draw();
  }

  draw() {
    const { height, items } = this;
    const tall = this.viewport.clientHeight || 600;
    const from = Math.max(Math.floor(this.viewport.scrollTop / height) - AROUND, 0);
    const to = Math.min(Math.ceil((this.viewport.scrollTop + tall) / height) + AROUND, items.length);
    this.body.style.height = `${items.length * height}px`;
    const wanted = new Map();
    const at = new Map();
    for (let index = from; index < to; index += 1) at.set(this.key(items[index]), index);
    // The row that has the focus stays, wherever it is.
    if (this.current !== null && !at.has(this.current) && this.rows.get(this.current)?.contains(document.activeElement)) {
      const index = items.findIndex((item) => this.key(item) === this.current);
      if (index >= 0) at.set(this.current, index);
    }
    if (this.current === null || !items.some((item) => this.key(item) === this.current)) {
      this.current = items.length ? this.key(items[Math.min(from, items.length - 1)]) : null;
    }
    // Tab leads to the row where one was, or to the first that can be seen; from there the arrows go on.
    const first = Math.min(Math.ceil(this.viewport.scrollTop / height), items.length - 1);
    this.stop = at.has(this.current) ? this.current : items.length ? this.key(items[first]) : null;
    const order = [...at].sort((one, other) => one[1] - other[1]);
    let before = null;
    for (const [key, index] of order) {
      const row = this.rows.get(key) ?? this.newRow(key);
      this.fillRow(row, items[index], index);
      wanted.set(key, row);
      // In the order in which they are read; a row that is in its place is not touched, so that it keeps the focus.
      const next = before ? before.nextSibling : this.body.firstChild;
      if (row !== next) this.body.insertBefore(row, next);
      before = row;
    }
    for (const [key, row] of this.rows) if (!wanted.has(key)) row.remove();
    this.rows = wanted;
  }

  newRow(key) {
    const row = h("div", { role: "row", class: "grid-row" });
    row.dataset.key = key;
    return row;
  }

  fillRow(row, item, index) {
    row.style.transform = `translateY(${index * this.height}px)`;
    row.setAttribute("aria-rowindex", index + 2);
    const tab = this.key(item) === this.stop ? "0" : "-1";
    row.setAttribute("tabindex", tab);
    row.setAttribute("aria-selected", String(this.key(item) === this.chosen));
    for (const each of row.querySelectorAll("a, button")) each.setAttribute("tabindex", tab);
    // While one scrolls nothing is new but the rows that come into sight.
    const version = this.version(item);
    if (row.item === item && row.version === version) return;
    row.item = item;
    row.version = version;
    const cells = this.columns.map((column) => column.cell(item));
    const signature = cells.map((cell) => [cell].flat(Infinity).map((part) => part?.outerHTML ?? String(part)).join("")).join("\u0001");
    if (row.signature === signature) return;
    this.fillCells(row, cells, signature);
    for (const each of row.querySelectorAll("a, button")) each.setAttribute("tabindex", tab);
  }

  fillCells(row, cells, signature) {
    row.signature = signature;
    const held = row.contains(document.activeElement) && document.activeElement !== row;
    const place = (column, number) => ({ role: "gridcell", class: `cell${column.wide ? " wide" : ""}`, "aria-colindex": number + 1 });
    fill(row, this.columns.map((column, number) => h("div", place(column, number), cells[number])));
    if (held) row.focus({ preventScroll: true });
  }

  /** Mark one row as the chosen one. */
  choose(key) {
    this.chosen = key;
    if (key !== null) this.current = key;
    this.draw();
  }

  clicked(event) {
    const row = event.target.closest(".grid-row");
    if (!row || event.target.closest("a, button")) return;
    this.go(this.items.indexOf(row.item));
    this.opened?.(row.item);
  }

  go(index) {
    const item = this.items[Math.min(Math.max(index, 0), this.items.length - 1)];
    if (item === undefined) return;
    this.current = this.key(item);
    const top = this.items.indexOf(item) * this.height;
    const view = this.viewport;
    const head = this.head.offsetHeight;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + this.height + head > view.scrollTop + view.clientHeight) view.scrollTop = top + this.height + head - view.clientHeight;
    this.draw();
    this.rows.get(this.current)?.focus({ preventScroll: true });
  }

  pressed(event) {
    const row = event.target.closest(".grid-row");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const stops = [row, ...row.querySelectorAll("a, button")];
      stops[stops.indexOf(event.target) + (event.key === "ArrowRight" ? 1 : -1)]?.focus();
      event.preventDefault();
      return;
    }
    if (event.target !== row) return;
    const index = this.items.indexOf(row.item);
    const page = Math.max(Math.floor(this.viewport.clientHeight / this.height) - 2, 1);
    const next = { ArrowDown: index + 1, j: index + 1, ArrowUp: index - 1, k: index - 1, Home: 0, End: this.items.length - 1, PageDown: index + page, PageUp: index - page }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      this.go(next);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.opened?.(row.item);
    }
  }
}
