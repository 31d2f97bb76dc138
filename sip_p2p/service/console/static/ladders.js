// The page of ladders: every call on the left, its ladder in the middle, one message in full on the right; live.

import { download, Problem } from "./api.js";
import { clock, count, fill, h, icon, moment, pill, say, span, who } from "./dom.js";
import { Grid } from "./grid.js";
import { Ladder } from "./ladder.js";
import { narrowing } from "./lists.js";
import { address, asText, brief, fields, label, party } from "./sip.js";

const MOST_ROWS = 400;
const EVERYTHING = "";

/** A party as a list has room for it: without our own domain, which everything there has to do with. */
function near(value, local) {
  const words = brief(address(value));
  return words.endsWith(`@${local}`) ? words.slice(0, -local.length - 1) : words || "?";
}

const between = (call) => `${near(call.first.from, call.first.local)} → ${near(call.first.to, call.first.local)}`;

/** `params` may hold call, peer, flow and message: what to show first. */
export function laddersPage(store, params) {
  const wire = store.wire;
  const filter = { call: params.get("call"), peer: params.get("peer"), flow: params.get("flow"), text: "" };
  let frozen = null;
  let wanted = params.get("message");

  const grid = new Grid({
    label: "Calls and requests, newest first",
    key: (call) => call.id,
    version: (call) => call.count,
    height: 58,
    opened: (call) => select(call.id),
    empty: h("p", {}, "Nothing has passed yet."),
    columns: [{ title: "Newest first", width: "minmax(0, 1fr)", cell: callCell }],
  });
  const search = narrowing("Narrow down: name, method, status, Call-ID", (text) => {
    filter.text = text;
    draw();
  });
  const everything = h("button", { type: "button", class: "all-calls", onclick: () => select(EVERYTHING) }, h("b", {}, "All that passes"), h("span", { class: "muted" }));
  const subject = h("div", { class: "subject" });
  const live = h("button", { type: "button", class: "small quiet live", "aria-pressed": "true", onclick: () => freeze(frozen === null) }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", {}, "Live"));
  const copy = h("button", { type: "button", class: "small quiet", onclick: () => copyText(asText(chosenMessages())) }, icon("copy"), "Copy as text");
  const save = h("button", { type: "button", class: "small quiet", onclick: () => savePackets() }, icon("download"), "pcapng");
  const back = h("button", { type: "button", class: "small quiet to-calls", onclick: () => showPane("calls") }, icon("back"), "Calls");
  const stage = h("div", { class: "stage" });
  const nothing = h("div", { class: "empty" });
  const detail = h("section", { class: "detail", "aria-label": "The message", hidden: true });
  const element = h(
    "div",
    { class: "page whole ladders", "data-pane": filter.call === null && !filter.peer && !filter.flow ? "calls" : "ladder" },
    h("h1", { class: "unseen", tabindex: "-1" }, "Ladders"),
    h("section", { class: "calls", "aria-label": "Calls" }, search, everything, grid.element),
    h("section", { class: "ladder-box", "aria-label": "Ladder" }, h("div", { class: "ladder-bar" }, back, subject, h("div", { class: "tools" }, live, copy, save)), nothing, stage),
    detail,
  );
  const ladder = new Ladder(stage, (message) => open(message));

  function showPane(name) {
    element.dataset.pane = name;
  }

  function select(id) {
    filter.call = id;
    filter.peer = null;
    filter.flow = null;
    wanted = null;
    frozen = null;
    live.setAttribute("aria-pressed", "true");
    ladder.choose(null);
    showPane("ladder");
    history.replaceState(null, "", id ? `#/ladders?call=${encodeURIComponent(id)}` : "#/ladders");
    draw();
  }

  function freeze(isFrozen) {
    frozen = isFrozen ? chosenMessages() : null;
    live.setAttribute("aria-pressed", String(!isFrozen));
    draw();
  }

  function matching(call) {
    if (!filter.text) return true;
    return `${call.id} ${call.first.start} ${call.first.from} ${call.first.to} ${call.state} ${call.words}`.toLowerCase().includes(filter.text);
  }

  function chosenMessages() {
    if (frozen) return frozen;
    if (filter.call) return wire.of(filter.call).slice(-MOST_ROWS);
    let messages = wire.messages;
    if (filter.peer) messages = messages.filter((message) => message.peer === filter.peer || message.remote === filter.peer);
    if (filter.flow) messages = messages.filter((message) => String(message.flow) === filter.flow);
    if (filter.text) {
      const ids = new Set([...wire.calls.values()].filter(matching).map((call) => call.id));
      messages = messages.filter((message) => ids.has(message.callId));
    }
    return messages.slice(-MOST_ROWS);
  }

  function draw() {
    const calls = [...wire.calls.values()].filter(matching).sort((one, other) => other.first.number - one.first.number || other.first.at - one.first.at);
    grid.chosen = filter.call;
    grid.show(calls);
    everything.setAttribute("aria-pressed", String(!filter.call && !filter.peer && !filter.flow));
    say(everything.lastChild, `${count(wire.messages.length, "message")}, ${count(wire.calls.size, "call")}`);
    const messages = chosenMessages();
    drawSubject(messages);
    stage.hidden = messages.length === 0;
    nothing.hidden = messages.length !== 0;
    if (!messages.length) fill(nothing, reasonForNothing());
    ladder.show(messages, store.localName);
    if (wanted) {
      const found = messages.find((message) => String(message.number) === wanted);
      if (found) {
        wanted = null;
        ladder.choose(found);
      }
    }
  }

  function reasonForNothing() {
    if (store.traces === "off") return [h("h2", {}, "Nothing is kept of what passes"), h("p", {}, "The service runs with ", h("code", {}, "--record 0"), ". Start it with another number to see ladders here.")];
    if (filter.call || filter.peer || filter.flow) return [h("h2", {}, "Nothing of it is kept any more"), h("p", {}, "The service keeps the newest messages of each connection only.")];
    return [h("h2", {}, "Nothing has passed yet"), h("p", {}, "Every message that this party sends and receives appears here as it passes. Send one: ", h("a", { href: "#/send" }, "a MESSAGE or an OPTIONS"), ".")];
  }

  function drawSubject(messages) {
    const call = filter.call ? wire.calls.get(filter.call) : null;
    if (call) {
      const passed = call.last.at - call.first.at;
      fill(subject, h("h2", {}, h("span", { class: "method" }, call.method), " ", h("bdi", {}, between(call))), h("p", { class: "muted" }, pill(call.tone, call.state), ` ${count(call.count, "message")} in ${span(passed)} · `, h("bdi", { class: "mono" }, call.id)));
    } else {
      const title = filter.peer ? ["With ", h("bdi", {}, filter.peer)] : filter.flow ? `Flow ${filter.flow}` : "All that passes";
      const words = messages.length === MOST_ROWS ? `the newest ${MOST_ROWS} messages` : count(messages.length, "message");
      fill(subject, h("h2", {}, title), h("p", { class: "muted" }, words));
    }
  }

  function open(message) {
    const isNew = detail.hidden;
    detail.hidden = !message;
    element.classList.toggle("with-detail", Boolean(message));
    if (!message) return;
    fill(detail, messagePane(message));
    if (message.number && filter.call) history.replaceState(null, "", `#/ladders?call=${encodeURIComponent(filter.call)}&message=${message.number}`);
    if (isNew) detail.scrollTop = 0;
  }

  function close() {
    const was = ladder.chosen;
    ladder.choose(null);
    const row = was && ladder.rowOf(was);
    row?.focus();
  }

  function step(by) {
    const index = ladder.messages.indexOf(ladder.chosen) + by;
    if (index >= 0 && index < ladder.messages.length) ladder.choose(ladder.messages[index]);
    ladder.reveal(ladder.messages.indexOf(ladder.chosen));
  }

  function messagePane(message) {
    const isNote = message.kind === "note";
    const button = (words, name, deed) => h("button", { type: "button", class: "small quiet", "aria-label": words, title: words, onclick: deed }, icon(name));
    const way = message.direction === "out" ? "sent to " : "received from ";
    return [
      h("div", { class: "detail-bar" }, h("h2", {}, pill(message.tone, isNote ? "note" : message.isResponse ? String(message.status) : message.method), h("span", { class: "detail-title" }, isNote ? "" : label(message).replace(/^\S+ /, ""))), h("div", { class: "tools" }, button("The message before", "back", () => step(-1)), button("The next message", "next", () => step(1)), button("Copy the message", "copy", () => copyText(asText([message]))), button("Close the message", "close", close))),
      h("p", { class: "detail-way muted" }, moment(message.at), isNote ? "" : [` · ${way}`, who(message.peer, message.remote), message.peer ? h("bdi", { class: "mono" }, ` ${message.remote}`) : "", ` · ${message.transport}`, message.flow ? [" · ", h("a", { href: `#/ladders?flow=${encodeURIComponent(message.flow)}` }, `flow ${message.flow}`)] : ""]),
      isNote ? h("p", { class: "note-words" }, message.note) : octets(message),
    ];
  }

  /** The message as it passed: its start line, its fields, its body. */
  function octets(message) {
    const lines = fields(message.head).map(([name, value]) => h("div", { class: "field" }, h("span", { class: "field-name" }, `${name}: `), h("span", { class: `field-value${value.includes("[withheld]") ? " withheld" : ""}` }, value)));
    const body = message.body?.replaceAll("\r\n", "\n") ?? null;
    return h(
      "div",
      { class: "octets", tabindex: "0", role: "group", "aria-label": "The message as it passed" },
      h("div", { class: `start-line ${message.tone}` }, message.start),
      lines,
      message.length ? h("pre", { class: `body${body === null ? " withheld" : ""}` }, body ?? (message.body_base64 ? `${message.length} octets, in base64:\n${message.body_base64}` : `${count(message.length, "octet")} of ${message.contentType || "a body"} withheld; the service keeps bodies with --keep-bodies`)) : null,
      message.clipped ? h("p", { class: "muted" }, "The message was longer than what is kept of it.") : null,
    );
  }

  async function savePackets() {
    const asked = new URLSearchParams();
    if (filter.call) asked.set("call_id", filter.call);
    if (filter.peer) asked.set("peer", filter.peer);
    if (filter.flow) asked.set("flow", filter.flow);
    try {
      const url = URL.createObjectURL(await download(`/v1/trace.pcapng${asked.size ? `?${asked}` : ""}`));
      h("a", { href: url, download: "sip-p2p.pcapng" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      store.announce(error.message, true);
    }
  }

  async function copyText(text) {
    try {
      await navigator.clipboard.writeText(text);
      store.announce("Copied.");
    } catch {
      store.announce("The browser does not let this page copy.", true);
    }
  }

  const leaves = [store.on("wire", store.soon(draw)), store.on("service", draw), store.watch()];
  const keys = (event) => {
    if (event.key === "Escape" && !detail.hidden && !event.target.closest("dialog")) {
      event.preventDefault();
      close();
    }
  };
  element.addEventListener("keydown", keys);
  draw();
  return {
    title: "Ladders",
    element,
    end: () => {
      leaves.forEach((leave) => leave());
      grid.end();
      ladder.end();
    },
  };
}

function callCell(call) {
  return h(
    "div",
    { class: "call" },
    h("div", { class: "call-line" }, h("span", { class: "method" }, call.method), h("bdi", { class: "call-between" }, between(call))),
    h("div", { class: "call-line" }, pill(call.tone, call.state || "–"), h("span", { class: "muted" }, count(call.count, "message")), h("span", { class: "muted call-at" }, moment(call.first.at, clock(call.first.at).slice(0, 8)))),
  );
}
