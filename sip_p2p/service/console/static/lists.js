// The pages that are tables: flows, sessions, failed handshakes, certificates.

import { Problem, send } from "./api.js";
import { count, fill, h, icon, moment, pill, say, seconds, span, who } from "./dom.js";
import { Grid } from "./grid.js";
import { address, brief } from "./sip.js";
import { transferDialog } from "./transfer_dialog.js";

/** The head of a page: its title, what it says of itself, and what can be done there. */
export function titled(title, words, ...tools) {
  return h("div", { class: "title" }, h("h1", { tabindex: "-1" }, title), h("p", { class: "muted" }, words), h("div", { class: "tools" }, tools));
}

/** A field that narrows a list down as one types. */
export function narrowing(label, changed) {
  return h("input", { type: "search", class: "narrow-down", "aria-label": label, placeholder: label, autocomplete: "off", spellcheck: "false", oninput: (event) => changed(event.target.value.trim().toLowerCase()) });
}

/** What cannot be shown, and why. What this service was not asked to have is no trouble. */
export function complaint(problem) {
  if (problem?.status === 404 && problem.detail) return h("p", { class: "notice" }, problem.detail);
  return problem ? h("p", { class: "notice bad", role: "alert" }, problem.message) : null;
}

/**
 * A page of one table: what is in the list `name`, narrowed down by what is typed. What is to stand between the head and
 * the table is `above`, what is to follow it `below`; `left` is called when somebody goes on to another page.
 */
export function listPage(store, { name, title, words, label, search, grid, tools = [], above = [], below = [], left = () => {} }) {
  const table = new Grid(grid);
  const tally = h("p", { class: "muted tally-line", role: "status" });
  const trouble = h("div");
  const more = h("button", { type: "button", class: "quiet", onclick: () => store.more(name) }, "Load more");
  let wanted = "";
  const draw = () => {
    const all = store.lists[name];
    more.hidden = !store.hasMore[name];
    const chosen = wanted ? all.filter((item) => search(item).toLowerCase().includes(wanted)) : all;
    table.show(chosen);
    say(tally, wanted ? `${chosen.length} of ${all.length}` : words(all));
    fill(trouble, complaint(store.problems[name]));
  };
  const filter = narrowing(label, (text) => {
    wanted = text;
    draw();
  });
  const leave = store.on(name, draw);
  const element = h("div", { class: "page whole" }, titled(title, tally, filter, more, tools), above, trouble, table.element, below);
  draw();
  store.refreshers[name]();
  return {
    title,
    element,
    table,
    end: () => {
      leave();
      left();
      table.end();
    },
  };
}

const ladderOf = (name, value) => `#/ladders?${name}=${encodeURIComponent(value)}`;

/** Every connection, and who has proved to be at its other end. */
export function flowsPage(store) {
  return listPage(store, {
    name: "flows",
    title: "Flows",
    label: "Narrow down: name, address, transport",
    words: (all) => `${all.length < store.totals.flows ? `the first ${all.length} of ` : ""}${count(store.totals.flows ?? 0, "connection")}; ${count(all.filter((flow) => flow.is_verified).length, "peer")} proved by certificate`,
    search: (flow) => [flow.peer, ...flow.identities, flow.remote, flow.transport, flow.tls_version, flow.local, flow.id].join(" "),
    grid: {
      label: "Flows",
      key: (flow) => flow.id,
      sortedBy: 6,
      opened: (flow) => (location.hash = ladderOf("flow", flow.id)),
      empty: h("div", {}, h("h2", {}, "Nobody is connected"), h("p", {}, "A peer that connects, or that is dialled, appears here with what its certificate has proved.")),
      columns: [
        { title: "Peer", width: "minmax(180px, 2.4fr)", few: "minmax(0, 1fr)", order: (flow) => flow.peer || `~${flow.remote}`, cell: (flow) => who(flow.peer, flow.remote, flow.is_verified) },
        { title: "Address", width: "minmax(150px, 1.6fr)", wide: true, order: (flow) => flow.remote, cell: (flow) => h("bdi", { class: "mono" }, flow.remote) },
        { title: "Transport", width: "minmax(96px, 1fr)", few: "76px", order: (flow) => flow.tls_version || flow.transport, cell: (flow) => `${flow.transport}${flow.tls_version ? ` ${flow.tls_version.replace("TLSv", "")}` : ""}` },
        { title: "Opened by", width: "96px", wide: true, order: (flow) => flow.direction, cell: (flow) => (flow.direction === "in" ? "the peer" : "us") },
        { title: "In", width: "76px", wide: true, order: (flow) => flow.messages_in, cell: (flow) => number(flow.messages_in) },
        { title: "Out", width: "76px", wide: true, order: (flow) => flow.messages_out, cell: (flow) => number(flow.messages_out) },
        { title: "Open for", width: "112px", wide: true, order: (flow) => -flow.opened, cell: (flow) => moment(flow.opened, span(Date.now() / 1000 - flow.opened)) },
        { name: "Actions", width: "84px", few: "52px", cell: (flow) => closing(store, flow) },
      ],
    },
  });
}

export const number = (value) => h("span", { class: "number" }, value.toLocaleString("en-GB"));

function closing(store, flow) {
  return h("button", { type: "button", class: "quiet small", "aria-label": `Close the flow ${flow.id} with ${flow.peer || flow.remote}`, onclick: () => act(store, "flows", `Close the connection with ${flow.peer || flow.remote}?`, "DELETE", `/v1/flows/${encodeURIComponent(flow.id)}`) }, icon("close"), h("span", { class: "wide" }, "Close"));
}

/** Ask whether it is meant, do it, and tell what came of it. */
export async function act(store, list, question, method, path, body) {
  if (question && !window.confirm(question)) return;
  try {
    await send(method, path, body, { once: method === "POST" });
    store.announce?.("Done.");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    store.announce?.(error.message, true);
  }
  store.refreshers[list]();
}

const STATES = { connected: "good", incoming: "warn", connecting: "warn", alerted: "warn", redirecting: "note" };

/** Calls as this party has them, with what can be done to each. */
export function sessionsPage(store) {
  return listPage(store, {
    name: "sessions",
    title: "Sessions",
    label: "Narrow down: name, state, Call-ID",
    words: (all) => `${all.length < store.totals.sessions ? `the newest ${all.length} of ` : ""}${count(store.totals.sessions ?? 0, "session")}, ${all.filter((session) => session.state === "connected").length} connected`,
    search: (session) => [session.peer, session.remote, session.local, session.call_id, session.state].join(" "),
    grid: {
      label: "Sessions",
      key: (session) => session.id,
      height: 48,
      opened: (session) => (location.hash = ladderOf("call", session.call_id)),
      empty: h("div", {}, h("h2", {}, "No sessions"), h("p", {}, "Calls in either direction appear here while they last.")),
      columns: [
        { title: "With", width: "minmax(170px, 2fr)", few: "minmax(0, 1fr)", order: far, cell: (session) => who(session.peer, far(session)) },
        { title: "State", width: "130px", few: "106px", order: (session) => session.state, cell: (session) => pill(STATES[session.state] ?? "plain", session.state) },
        { title: "Begun by", width: "92px", wide: true, order: (session) => session.direction, cell: (session) => (session.direction === "in" ? "the peer" : "us") },
        { title: "Call-ID", width: "minmax(120px, 1.6fr)", wide: true, cell: (session) => h("bdi", { class: "mono" }, session.call_id) },
        { name: "Actions", width: "250px", few: "minmax(96px, auto)", cell: (session) => deeds(store, session) },
      ],
    },
  });
}

const far = (session) => brief(address(session.remote ?? "")) || session.peer || "unknown";

function deeds(store, session) {
  const path = `/v1/sessions/${encodeURIComponent(session.id)}`;
  const name = far(session);
  const deed = (words, kind, method, tail, body) =>
    h("button", { type: "button", class: `small ${kind}`, "aria-label": `${words}: ${name}`, onclick: () => act(store, "sessions", "", method, path + tail, body) }, words);
  if (session.direction === "in" && ["incoming", "alerted"].includes(session.state)) {
    return h("div", { class: "deeds" }, deed("Ring", "quiet", "POST", "/ring", {}), deed("Answer", "primary", "POST", "/answer", silence(session.offer)), deed("Reject", "quiet", "POST", "/reject", { status: 486 }));
  }
  const isUp = session.state === "connected";
  const transfer = h("button", { type: "button", class: "small quiet", "aria-label": `Transfer: ${name}`, onclick: () => transferDialog(store, session, far) }, "Transfer");
  return h("div", { class: "deeds" }, isUp ? transfer : null, deed(isUp ? "Hang up" : "End", "quiet", "DELETE", ""));
}

/**
 * The body of an answer without media: every stream of the offer is taken and nothing is sent on it (RFC 3264 section
 * 6.1). Where the peer has made no offer, one of an audio stream on which nobody sends.
 */
export function silence(offer) {
  const head = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n";
  const media = (offer?.text ?? "m=audio 9 RTP/AVP 0").split(/\r?\n/).filter((line) => line.startsWith("m="));
  const streams = media.map((line) => {
    const [kind, port, ...rest] = line.split(" ");
    return `${[kind, port === "0" ? "0" : "9", ...rest].join(" ")}\r\na=inactive\r\n`;
  });
  return { description: head + streams.join(""), content_type: "application/sdp" };
}

/** Handshakes that have failed, with the reason in words and what to do about it. */
export function failuresPage(store) {
  const list = h("ol", { class: "cards failures", "aria-label": "Failed handshakes, newest first" });
  const tally = h("p", { class: "muted tally-line", role: "status" });
  const trouble = h("div");
  let wanted = "";
  const draw = () => {
    const all = [...store.lists.failures].sort((one, other) => seconds(other.time) - seconds(one.time));
    const chosen = all.filter((failure) => !wanted || JSON.stringify(failure).toLowerCase().includes(wanted));
    say(tally, wanted ? `${chosen.length} of ${all.length}` : `${count(all.length, "failed handshake")} kept; newest first`);
    const key = JSON.stringify(chosen);
    if (list.dataset.key !== key) {
      list.dataset.key = key;
      fill(list, chosen.slice(0, 200).map(failureCard));
    }
    list.hidden = chosen.length === 0;
    fill(trouble, complaint(store.problems.failures), chosen.length || store.problems.failures ? null : h("div", { class: "empty" }, h("h2", {}, "No handshake has failed"), h("p", {}, "Whoever is refused, or refuses us, appears here with the reason and what to do about it.")));
  };
  const filter = narrowing("Narrow down: peer, reason", (text) => {
    wanted = text;
    draw();
  });
  const leave = store.on("failures", draw);
  draw();
  store.refreshers.failures();
  return { title: "Failures", element: h("div", { class: "page" }, titled("Failed handshakes", tally, filter), trouble, list), end: leave };
}

/** One of them. */
export function failureCard(failure) {
  const reason = failure.reason.toLowerCase().replaceAll("_", " ");
  const shownNames = failure.certificate ? `it showed a certificate for ${failure.certificate.names.join(", ") || failure.certificate.subject}, issued by ${failure.certificate.issuer}` : "";
  return h(
    "li",
    { class: "card failure" },
    h("p", { class: "failure-head" }, h("span", { class: "failure-peer" }, icon("failures"), h("bdi", {}, failure.peer || "unknown")), moment(seconds(failure.time))),
    h("p", { class: "what" }, failure.words),
    failure.remedy ? h("p", { class: "remedy" }, h("b", {}, "What to do: "), failure.remedy) : null,
    h("p", { class: "muted small-print" }, [reason, shownNames].filter(Boolean).join(" · ")),
  );
}

/** The certificates in use, and how long they are still valid. */
export function certificatesPage(store) {
  const list = h("ul", { class: "cards", "aria-label": "Certificates" });
  const tally = h("p", { class: "muted tally-line", role: "status" });
  const trouble = h("div");
  const draw = () => {
    const all = store.lists.certificates;
    say(tally, `${count(all.length, "certificate")} in use`);
    fill(trouble, complaint(store.problems.certificates), all.length || store.problems.certificates ? null : h("div", { class: "empty" }, h("h2", {}, "No certificates"), h("p", {}, "This party speaks clear text only.")));
    fill(list, [...all].sort((one, other) => one.days_left - other.days_left).map(certificateCard));
  };
  const reload = h("button", { type: "button", class: "quiet", onclick: () => act(store, "certificates", "", "POST", "/v1/reload") }, "Read files anew");
  const leave = store.on("certificates", draw);
  draw();
  store.refreshers.certificates();
  return { title: "Certificates", element: h("div", { class: "page" }, titled("Certificates", tally, reload), trouble, list), end: leave };
}

/** How long it is still valid, in a colour that says whether that is enough. */
export function daysLeft(certificate) {
  const days = Number(certificate.days_left);
  const kind = days < 0 ? "bad" : days < 14 ? "bad" : days < 30 ? "warn" : "good";
  return pill(kind, days < 0 ? "expired" : days < 1 ? `${Math.floor(days * 24)} hours left` : `${count(Math.floor(days), "day")} left`);
}

function certificateCard(certificate) {
  const row = (title, value, kind = "") => (value === undefined || value === null || value === "" ? null : [h("dt", {}, title), h("dd", { class: kind }, value)]);
  const not = (text) => (text ? new Date(seconds(text) * 1000).toLocaleString() : "");
  return h(
    "li",
    { class: "card certificate" },
    h("p", { class: "failure-head" }, h("b", {}, h("bdi", {}, certificate.names.join(", ") || certificate.subject)), daysLeft(certificate)),
    h("meter", { min: 0, max: 90, low: 14, high: 30, optimum: 90, value: Math.max(Math.min(certificate.days_left, 90), 0), "aria-label": `${Math.floor(certificate.days_left)} days left` }),
    h("dl", {}, row("Use", certificate.use), row("Subject", certificate.subject), row("Issuer", certificate.issuer), row("Valid from", not(certificate.not_before)), row("Until", not(certificate.not_after)), row("Serial", certificate.serial, "mono"), row("SHA-256", certificate.sha256, "mono")),
  );
}
