// The pages that are tables: flows, sessions, failed handshakes, certificates.

import { Problem, send } from "./api.js";
import { count, fill, h, icon, moment, pill, say, seconds, span, who } from "./dom.js";
import { Grid } from "./grid.js";
import { brief, toneOf } from "./sip.js";

/** The head of a page: its title, what it says of itself, and what can be done there. */
export function titled(title, words, ...tools) {
  return h("div", { class: "title" }, h("h1", { tabindex: "-1" }, title), h("p", { class: "muted" }, words), h("div", { class: "tools" }, tools));
}

/** A field that narrows a list down as one types. */
export function narrowing(label, changed) {
  return h("input", { type: "search", class: "narrow-down", "aria-label": label, placeholder: label, autocomplete: "off", spellcheck: "false", oninput: (event) => changed(event.target.value.trim().toLowerCase()) });
}

/** What cannot be shown, and why. */
export function complaint(problem) {
  return problem ? h("p", { class: "notice bad", role: "alert" }, problem.message) : null;
}

/** A page of one table: what is in the list `name`, narrowed down by what is typed. */
function listPage(store, { name, title, words, label, search, grid, tools = [] }) {
  const table = new Grid(grid);
  const tally = h("p", { class: "muted tally-line", role: "status" });
  const trouble = h("div");
  let wanted = "";
  const draw = () => {
    const all = store.lists[name];
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
  const element = h("div", { class: "page whole" }, titled(title, tally, filter, tools), trouble, table.element);
  draw();
  store.refreshers[name]();
  return {
    title,
    element,
    table,
    end: () => {
      leave();
      table.end();
    },
  };
}

const ladderOf = (name, value) => `#/ladders?${name}=${encodeURIComponent(value)}`;

/** Every connection, and who has proved to be at its other end. */
export function flowsPage(store) {
  const identity = (flow) => flow.peer ?? flow.identity ?? "";
  return listPage(store, {
    name: "flows",
    title: "Flows",
    label: "Narrow down: name, address, transport",
    words: (all) => `${count(all.length, "connection")}; ${count(all.filter(identity).length, "peer")} proved by certificate`,
    search: (flow) => [identity(flow), ...(flow.identities ?? []), flow.address, flow.remote, flow.transport, flow.tls_version, flow.local, flow.id].join(" "),
    grid: {
      label: "Flows",
      key: (flow) => String(flow.id ?? flow.flow),
      sortedBy: 6,
      descending: true,
      opened: (flow) => (location.hash = ladderOf("flow", flow.id ?? flow.flow)),
      empty: h("div", {}, h("h2", {}, "Nobody is connected"), h("p", {}, "A peer that connects, or that is dialled, appears here with what its certificate has proved.")),
      columns: [
        { title: "Peer", width: "minmax(180px, 2.4fr)", few: "minmax(0, 1fr)", order: (flow) => identity(flow) || `~${flow.address ?? flow.remote}`, cell: (flow) => who(identity(flow), flow.address ?? flow.remote) },
        { title: "Address", width: "minmax(150px, 1.6fr)", wide: true, order: (flow) => flow.address ?? flow.remote, cell: (flow) => h("bdi", { class: "mono" }, flow.address ?? flow.remote) },
        { title: "Transport", width: "minmax(96px, 1fr)", few: "92px", order: (flow) => flow.tls_version || flow.transport, cell: (flow) => `${flow.transport}${flow.tls_version ? ` ${flow.tls_version.replace("TLSv", "")}` : ""}` },
        { title: "Opened by", width: "96px", wide: true, order: (flow) => String(isIncoming(flow)), cell: (flow) => (isIncoming(flow) ? "the peer" : "us") },
        { title: "In", width: "76px", wide: true, order: (flow) => flow.messages ?? flow.received ?? 0, cell: (flow) => number(flow.messages ?? flow.received ?? flow.messages_received) },
        { title: "Out", width: "76px", wide: true, order: (flow) => flow.sent ?? 0, cell: (flow) => number(flow.sent ?? flow.messages_sent) },
        { title: "Open for", width: "112px", few: "96px", order: openedAt, cell: (flow) => opened(flow) },
        { name: "Actions", width: "84px", few: "52px", cell: (flow) => closing(store, flow) },
      ],
    },
  });
}

const isIncoming = (flow) => flow.is_incoming ?? flow.direction === "in";
const openedAt = (flow) => seconds(flow.opened ?? flow.since) || -(flow.seconds ?? flow.age ?? 0);
const number = (value) => h("span", { class: "number" }, value === undefined ? "–" : value.toLocaleString("en-GB"));

function opened(flow) {
  const at = openedAt(flow);
  return at > 0 ? moment(at, span(Date.now() / 1000 - at)) : span(-at);
}

function closing(store, flow) {
  const id = flow.id ?? flow.flow;
  return h("button", { type: "button", class: "quiet small", "aria-label": `Close the flow ${id} with ${flow.peer || flow.address}`, onclick: () => act(store, "flows", `Close the connection with ${flow.peer || flow.address}?`, "DELETE", `/v1/flows/${encodeURIComponent(id)}`) }, icon("close"), h("span", { class: "wide" }, "Close"));
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

const STATES = { established: "good", incoming: "warn", connecting: "warn", ringing: "warn", establishing: "warn", terminating: "note", terminated: "plain", idle: "plain" };

/** Calls as this party has them, with what can be done to each. */
export function sessionsPage(store) {
  const state = (session) => String(session.state ?? "").toLowerCase();
  return listPage(store, {
    name: "sessions",
    title: "Sessions",
    label: "Narrow down: name, state, Call-ID",
    words: (all) => `${count(all.length, "session")}, ${all.filter((session) => state(session) === "established").length} established`,
    search: (session) => [session.peer, session.from, session.to, session.remote_uri, session.call_id, state(session)].join(" "),
    grid: {
      label: "Sessions",
      key: (session) => String(session.id),
      height: 48,
      opened: (session) => (location.hash = ladderOf("call", session.call_id)),
      empty: h("div", {}, h("h2", {}, "No sessions"), h("p", {}, "Calls in either direction appear here while they last.")),
      columns: [
        { title: "With", width: "minmax(170px, 2fr)", few: "minmax(0, 1fr)", order: far, cell: (session) => who(session.peer, brief(far(session))) },
        { title: "State", width: "130px", few: "106px", order: state, cell: (session) => pill(STATES[state(session)] ?? "plain", state(session).replaceAll("_", " ")) },
        { title: "Begun by", width: "92px", wide: true, order: (session) => String(isIncoming(session)), cell: (session) => (isIncoming(session) ? "the peer" : "us") },
        { title: "Call-ID", width: "minmax(120px, 1.6fr)", wide: true, cell: (session) => h("bdi", { class: "mono" }, session.call_id) },
        { name: "Actions", width: "250px", few: "minmax(96px, auto)", cell: (session) => deeds(store, session, state(session)) },
      ],
    },
  });
}

const far = (session) => session.remote_uri ?? (isIncoming(session) ? session.from : session.to) ?? session.peer ?? "";

function deeds(store, session, state) {
  const path = `/v1/sessions/${encodeURIComponent(session.id)}`;
  const name = session.peer || brief(far(session));
  const deed = (words, kind, method, tail, body) =>
    h("button", { type: "button", class: `small ${kind}`, "aria-label": `${words}: ${name}`, onclick: () => act(store, "sessions", "", method, path + tail, body) }, words);
  if (state === "incoming" && isIncoming(session)) {
    return h("div", { class: "deeds" }, deed("Ring", "quiet", "POST", "/ring", {}), deed("Answer", "primary", "POST", "/answer", {}), deed("Reject", "quiet", "POST", "/reject", { status: 486 }));
  }
  return h("div", { class: "deeds" }, deed(state === "established" ? "Hang up" : "End", "quiet", "DELETE", ""));
}

/** Handshakes that have failed, with the reason in words and what to do about it. */
export function failuresPage(store) {
  const list = h("ol", { class: "cards failures", "aria-label": "Failed handshakes, newest first" });
  const tally = h("p", { class: "muted tally-line", role: "status" });
  const trouble = h("div");
  let wanted = "";
  const draw = () => {
    const all = [...store.lists.failures].sort((one, other) => (when(other) || 0) - (when(one) || 0));
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

const when = (failure) => seconds(failure.at ?? failure.time);

export function failureCard(failure) {
  const reason = String(failure.reason ?? "").toLowerCase().replaceAll("_", " ");
  return h(
    "li",
    { class: "card failure" },
    h("p", { class: "failure-head" }, h("span", { class: "failure-peer" }, icon("failures"), h("bdi", {}, failure.peer || failure.address || failure.remote || "unknown")), moment(when(failure))),
    h("p", { class: "what" }, failure.words ?? failure.what ?? failure.detail ?? reason),
    failure.remedy ? h("p", { class: "remedy" }, h("b", {}, "What to do: "), failure.remedy) : null,
    h("p", { class: "muted small-print" }, reason, failure.count > 1 ? ` · ${failure.count} times` : ""),
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

export function daysLeft(certificate) {
  const days = Number(certificate.days_left);
  const kind = days < 0 ? "bad" : days < 14 ? "bad" : days < 30 ? "warn" : "good";
  return pill(kind, days < 0 ? "expired" : days < 1 ? `${Math.floor(days * 24)} hours left` : `${count(Math.floor(days), "day")} left`);
}

function certificateCard(certificate) {
  const names = certificate.names ?? certificate.identities ?? certificate.subject_alternative_names ?? [];
  const row = (title, value, kind = "") => (value === undefined || value === null || value === "" ? null : [h("dt", {}, title), h("dd", { class: kind }, value)]);
  const not = (text) => (text ? new Date(seconds(text) * 1000).toLocaleString() : "");
  return h(
    "li",
    { class: "card certificate" },
    h("p", { class: "failure-head" }, h("b", {}, h("bdi", {}, [names].flat().join(", ") || certificate.subject || certificate.path)), daysLeft(certificate)),
    h("meter", { min: 0, max: 90, low: 14, high: 30, optimum: 90, value: Math.max(Math.min(certificate.days_left, 90), 0), "aria-label": `${Math.floor(certificate.days_left)} days left` }),
    h("dl", {}, row("For", certificate.role ?? certificate.use ?? certificate.purpose), row("File", certificate.path ?? certificate.file, "mono"), row("Issuer", certificate.issuer), row("Valid from", not(certificate.not_before)), row("Until", not(certificate.not_after)), row("Serial", certificate.serial ?? certificate.serial_number, "mono"), row("SHA-256", certificate.fingerprint ?? certificate.sha256, "mono")),
  );
}

export { toneOf };
