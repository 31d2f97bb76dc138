// The ladder: a lifeline for each party, an arrow for each message, time running down. Drawn as SVG; every arrow can be
// pointed at, reached with the keyboard and heard.

import { clock, count, h, s, shown, span } from "./dom.js";
import { carried, label, party, repeated } from "./sip.js";

const ROW = 46;
const TOP = 10;
const SMALLEST_GAP = 150;
const LARGEST_GAP = 520;
const MOST_PARTIES = 7;
const LETTER = 7.25;
const SMALL_LETTER = 6.65;
const PEERS = "\u0000peers";

/**
 * Where everything goes: pure, so that it can be reasoned about without a browser.
 *
 * Whoever spoke to us first stands on our left and whom we spoke to first on our right, so that a call which passes
 * through us reads from left to right. More parties than can be told apart share one lifeline.
 */
export function layout(messages, width) {
  const isNarrow = width < 480;
  const margin = isNarrow ? 66 : 112;
  // Half of the box above a lifeline at either end.
  const half = width < 620 ? 66 : 104;
  const left = [];
  const right = [];
  for (const message of messages) {
    const name = message.kind === "note" ? "" : party(message);
    if (!name || left.includes(name) || right.includes(name)) continue;
    (message.direction === "in" ? left : right).push(name);
  }
  const others = left.length + right.length;
  const many = others > MOST_PARTIES || (others > 1 && (width - margin - 2 * half) / others < SMALLEST_GAP);
  const names = many ? [PEERS, null] : [...left, null, ...right];
  const gaps = Math.max(names.length - 1, 1);
  const room = (width - margin - 2 * half) / gaps;
  const gap = Math.max(SMALLEST_GAP, Math.min(room, LARGEST_GAP));
  const columns = names.map((name, index) => ({ name, x: margin + half + index * gap }));
  const here = columns.find((column) => column.name === null);
  const again = repeated(messages);
  const rows = messages.map((message, index) => {
    const there = many ? columns[0] : columns.find((column) => column.name === party(message));
    const isOut = message.direction === "out";
    return {
      message,
      again: again[index],
      before: index ? message.at - messages[index - 1].at : 0,
      y: TOP + index * ROW,
      from: (isOut ? here : there) ?? here,
      to: (isOut ? there : here) ?? here,
    };
  });
  const spread = columns[columns.length - 1].x + half;
  return { columns, rows, many, here, gap, half, margin, isNarrow, width: Math.max(width, spread), height: TOP + rows.length * ROW + 8 };
}

/** From the answer that made a call to what ended it, as stretches of rows on our lifeline. */
export function standing(messages) {
  const open = new Map();
  const stretches = [];
  messages.forEach((message, index) => {
    if (message.method === "INVITE" && message.isResponse && message.status >= 200 && message.status < 300) {
      if (!open.has(message.callId)) open.set(message.callId, index);
    } else if (message.method === "BYE" && !message.isResponse && open.has(message.callId)) {
      stretches.push([open.get(message.callId), index]);
      open.delete(message.callId);
    }
  });
  for (const [, index] of open) stretches.push([index, messages.length]);
  return stretches;
}

function clipped(text, room, letter = LETTER) {
  const words = shown(text);
  const most = Math.max(Math.floor(room / letter), 3);
  const letters = Array.from(words);
  return letters.length <= most ? words : `${letters.slice(0, most - 1).join("")}…`;
}

function arrow(row, plan) {
  const { from, to, message } = row;
  const y = 27;
  if (from === to) return s("circle", { class: "loop", cx: from.x, cy: y, r: 5 });
  const direction = to.x > from.x ? 1 : -1;
  const tip = to.x - direction * (to === plan.here ? 4 : 1);
  return [
    s("line", { class: "shaft", x1: from.x, y1: y, x2: tip - direction * 6, y2: y }),
    s("path", { class: "tip", d: `M${tip} ${y} l${-direction * 9} -4.5 v9 z` }),
  ];
}

function spoken(row, plan) {
  const { message } = row;
  const parts = [clock(message.at)];
  if (message.kind === "note") return `${parts[0]}, note: ${shown(message.note)}`;
  const other = party(message);
  parts.push(message.direction === "out" ? `to ${other}` : `from ${other}`, label(message));
  if (row.again) parts.push("sent again");
  const more = carried(message);
  if (more) parts.push(more);
  return shown(parts.join(", "));
}

function drawnRow(row, index, plan, isWide) {
  const { message } = row;
  const first = Math.min(row.from.x, row.to.x);
  const room = Math.abs(row.from.x - row.to.x) - 22;
  const isNote = message.kind === "note";
  const start = isNote ? plan.margin + 8 : first + 11;
  const space = isNote ? plan.width - plan.margin - 24 : room;
  const marks = row.again ? " ↻" : "";
  let below = carried(message);
  if (plan.many && !isNote) below = below ? `${party(message)} · ${below}` : party(message);
  return s(
    "g",
    {
      class: `row ${message.tone}${message.isResponse ? " answer" : ""}${isNote ? " remark" : ""}${row.again ? " again" : ""}`,
      role: "option",
      tabindex: "-1",
      "aria-selected": "false",
      "aria-label": spoken(row, plan),
      "data-index": index,
      transform: `translate(0 ${row.y})`,
    },
    s("rect", { class: "ground", x: 2, y: 1, width: plan.width - 4, height: ROW - 2, rx: 6 }),
    plan.isNarrow ? null : s("text", { class: "at", x: 10, y: 22 }, clock(message.at)),
    s(
      "text",
      { class: `since${row.before >= 1 ? " long" : ""}`, x: 10, y: plan.isNarrow ? 28 : 37 },
      index ? `+${span(Math.max(row.before, 0))}` : plan.isNarrow ? "0" : "",
    ),
    isNote ? s("path", { class: "warning", d: `M${plan.margin} 12 v24` }) : arrow(row, plan),
    s("text", { class: "label", x: start, y: isNote ? 22 : 18 }, clipped(label(message), space - (marks ? 14 : 0)) + marks),
    below || isNote
      ? s("text", { class: "carried", x: start, y: 40 }, clipped(isNote ? message.remote ?? "" : below, space, SMALL_LETTER))
      : null,
    isWide ? null : s("title", {}, label(message)),
  );
}

/** The picture itself, in `host`; `opened(message)` is called when one is chosen. */
export class Ladder {
  constructor(host, opened) {
    this.host = host;
    this.opened = opened;
    this.messages = [];
    this.chosen = null;
    this.current = null;
    this.key = "";
    this.heads = h("div", { class: "heads", "aria-hidden": "true" });
    this.svg = s("svg", { class: "ladder", role: "listbox", "aria-label": "Messages, oldest first" });
    this.scroller = h("div", { class: "ladder-scroller" }, this.heads, this.svg);
    host.append(this.scroller);
    this.svg.addEventListener("click", (event) => this.clicked(event));
    this.svg.addEventListener("keydown", (event) => this.pressed(event));
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.scroller);
  }

  end() {
    this.size.disconnect();
  }

  /** Show these; `localName` is what we are called. Whoever reads at the end is kept at the end. */
  show(messages, localName) {
    const grows = messages.length >= this.messages.length && this.messages.every((each, index) => each === messages[index]);
    this.messages = messages;
    this.localName = localName;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const atEnd = scrollHeight - scrollTop - clientHeight < ROW * 1.5;
    this.draw();
    if (grows && atEnd && this.scroller.clientHeight) this.scroller.scrollTop = this.scroller.scrollHeight;
    if (!grows) this.scroller.scrollTop = 0;
  }

  draw() {
    const width = this.scroller.clientWidth;
    if (!width) return;
    const plan = layout(this.messages, width);
    const key = JSON.stringify([width, plan.columns]);
    const drawn = key === this.key ? this.drawn ?? [] : [];
    // As long as the lifelines stay where they are, only what is new is drawn.
    let same = 0;
    while (same < drawn.length && same < this.messages.length && drawn[same] === this.messages[same]) same += 1;
    const held = this.svg.contains(document.activeElement);
    if (key !== this.key || same < drawn.length) {
      same = 0;
      this.svg.replaceChildren();
      this.lines = s("g", { class: "lifelines" });
      this.svg.append(this.lines);
    }
    this.key = key;
    this.drawn = this.messages.slice();
    this.plan = plan;
    this.svg.setAttribute("width", plan.width);
    this.svg.setAttribute("height", plan.height);
    this.svg.setAttribute("viewBox", `0 0 ${plan.width} ${plan.height}`);
    this.drawLines();
    plan.rows.slice(same).forEach((row, offset) => this.svg.append(drawnRow(row, same + offset, plan, false)));
    this.drawHeads();
    this.mark();
    // The arrow that had the focus was drawn anew.
    if (held && !this.svg.contains(document.activeElement)) this.svg.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  drawLines() {
    const { columns, height, here } = this.plan;
    this.lines.replaceChildren(
      ...columns.map(({ x, name }) => s("line", { class: name === null ? "life own" : "life", x1: x, x2: x, y1: 0, y2: height })),
      ...standing(this.messages).map(([first, last]) =>
        s("rect", {
          class: "standing",
          x: here.x - 4,
          y: TOP + first * ROW + 27,
          width: 8,
          height: Math.max((last - first) * ROW, 8),
          rx: 3,
        }),
      ),
    );
  }

  drawHeads() {
    const { columns, gap, half, width, many } = this.plan;
    const own = this.messages.find((message) => message.local)?.local || this.localName;
    const proved = new Set(this.messages.map((message) => message.peer).filter(Boolean));
    const places = new Map(this.messages.map((message) => [party(message), message.remote]));
    this.heads.style.width = `${width}px`;
    this.heads.replaceChildren(
      ...columns.map(({ name, x }) => {
        const isPeers = name === PEERS;
        const title = name === null ? own : isPeers ? `${count(proved.size, "proved peer")}` : name;
        const kind = name === null ? "this party" : isPeers ? "named at each message" : proved.has(name) ? `✓ ${places.get(name) ?? ""}` : "not proved";
        const box = h(
          "div",
          { class: `head${name === null ? " own" : proved.has(name) || (many && isPeers) ? " proved" : " claimed"}`, title: shown(title) },
          h("bdi", { class: "name" }, title),
          h("span", { class: "place" }, kind),
        );
        const room = Math.min(gap - 12, 2 * half - 6);
        box.style.width = `${room}px`;
        box.style.left = `${Math.max(x - room / 2, 2)}px`;
        return box;
      }),
    );
  }

  rowOf(message) {
    const index = this.messages.indexOf(message);
    return index < 0 ? null : this.svg.querySelector(`[data-index="${index}"]`);
  }

  /** Which is chosen, and which belong to the same transaction. */
  mark() {
    const index = this.messages.indexOf(this.chosen);
    // Whoever closes a message is where it stands.
    const focusable = Math.max(this.messages.indexOf(this.chosen ?? this.current), 0);
    const branch = index < 0 ? "" : this.chosen.branch;
    for (const row of this.svg.querySelectorAll(".row")) {
      const own = Number(row.dataset.index);
      row.setAttribute("aria-selected", String(own === index));
      row.setAttribute("tabindex", own === focusable ? "0" : "-1");
      row.classList.toggle("kin", Boolean(branch) && own !== index && this.messages[own]?.branch === branch);
    }
  }

  choose(message, { focus = false, tell = true } = {}) {
    this.chosen = message;
    this.current = message ?? this.current;
    this.mark();
    const row = message ? this.rowOf(message) : null;
    if (row && focus) {
      row.focus({ preventScroll: true });
      this.reveal(this.messages.indexOf(message));
    }
    if (tell) this.opened(message);
  }

  reveal(index) {
    const y = TOP + index * ROW + this.heads.offsetHeight;
    const { scrollTop, clientHeight } = this.scroller;
    if (y - this.heads.offsetHeight < scrollTop) this.scroller.scrollTop = y - this.heads.offsetHeight - 8;
    else if (y + ROW > scrollTop + clientHeight) this.scroller.scrollTop = y + ROW - clientHeight + 8;
  }

  clicked(event) {
    const row = event.target.closest(".row");
    if (row) this.choose(this.messages[Number(row.dataset.index)], { focus: true });
  }

  pressed(event) {
    const row = event.target.closest(".row");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = Number(row.dataset.index);
    const last = this.messages.length - 1;
    const next = { ArrowDown: index + 1, j: index + 1, ArrowUp: index - 1, k: index - 1, Home: 0, End: last, PageDown: index + 10, PageUp: index - 10, Enter: index, " ": index }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.choose(this.messages[Math.min(Math.max(next, 0), last)], { focus: true });
  }
}
