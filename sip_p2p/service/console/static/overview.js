// The first page: how the party is, what passes, and what has just happened.

import { count, fill, h, icon, moment, pill, s, say, seconds, span, who } from "./dom.js";
import { complaint, daysLeft, titled } from "./lists.js";

const LOG = 60;

/** Words for what happens; the rest of an event is said by its fields. */
const KINDS = {
  started: ["good", "started"],
  message: ["ask", "message"],
  session: ["ask", "call"],
  "session-state": ["note", "call"],
  "session-failed": ["bad", "call failed"],
  request: ["ask", "request"],
  subscription: ["ask", "subscription"],
  "subscription-state": ["note", "subscription"],
  notification: ["ask", "notification"],
  subscriber: ["ask", "subscriber"],
  "subscriber-state": ["note", "subscriber"],
  publication: ["ask", "publication"],
  "publication-state": ["note", "publication"],
  referral: ["ask", "referral"],
  "referral-state": ["note", "referral"],
  registration: ["note", "registration"],
  outbox: ["note", "outbox"],
  transaction: ["plain", "transaction"],
  "flow-opened": ["good", "connected"],
  "flow-lost": ["note", "disconnected"],
  "tls-failure": ["bad", "refused"],
  "certificate-expiring": ["warn", "certificate"],
  "listener-lost": ["bad", "listener lost"],
  overload: ["warn", "overload"],
  throttled: ["warn", "throttled"],
  state: ["note", "state"],
  reloaded: ["good", "reloaded"],
  stopping: ["warn", "stopping"],
  stopped: ["bad", "stopped"],
};

const bare = (text) => String(text ?? "").replace(/^.*<([^>]*)>.*$/s, "$1").replace(/^sips?:/, "").split(";")[0];

const stands = (event) => [String(event.state ?? "").replaceAll("_", " "), event.reason].filter(Boolean).join(", ");

/** One event in a sentence. */
export function sentence(event, names = new Map()) {
  const other = event.peer || event.address || event.remote || "";
  switch (event.event) {
    case "message":
      return `${bare(event.from) || other}: ${event.text ?? "a body that is no text"}`;
    case "request":
      return `${event.method ?? ""} from ${bare(event.from) || other}`;
    case "transaction":
      return `${event.method ?? ""} ${event.direction === "out" ? "to" : "from"} ${other}: ${event.status ?? event.outcome ?? ""}`;
    case "session":
      return event.direction === "out" ? `we call ${bare(event.to)}` : `${bare(event.from) || other} calls`;
    case "session-state":
      return [names.get(event.call_id), `${event.state}${event.reason && event.reason !== "none" ? `: ${event.reason.replaceAll("_", " ")}` : ""}`].filter(Boolean).join(" · ");
    case "subscription":
    case "subscription-state":
    case "publication":
    case "publication-state":
      return `${event.package ?? ""} of ${bare(event.to)}: ${stands(event)}`;
    case "notification":
      return `${event.package ?? ""} of ${bare(event.to)}: ${event.text ? event.text.slice(0, 200) : event.state ?? ""}`;
    case "subscriber":
    case "subscriber-state":
      return `${bare(event.from) || other}, ${event.package ?? ""}: ${stands(event)}`;
    case "referral":
    case "referral-state":
      return `${event.direction === "in" ? `${bare(event.from) || other} asks for` : "we ask for"} ${event.method ?? ""} ${bare(event.to)}: ${stands(event)}`;
    case "registration":
      return `at ${bare(event.registrar)}: ${stands(event)}`;
    case "outbox":
      return `to ${bare(event.to)}: ${stands(event)}`;
    case "flow-opened":
    case "flow-lost":
      return [other || "unknown", event.transport, event.words ?? event.reason].filter(Boolean).join(" · ");
    case "started":
      return `${event.uri ?? ""} listens on ${(event.listening ?? []).map((place) => `${place.transport} ${place.address}`).join(", ") || "nothing"}`;
    case "state":
    case "overload":
      return `${event.previous_state ?? ""} → ${event.state ?? ""} ${event.reason ?? ""}`;
    default:
      return [other, event.words ?? event.reason ?? event.said ?? ""].filter(Boolean).join(": ");
  }
}

function logLine(event, names) {
  const [tone, words] = KINDS[event.event] ?? ["plain", String(event.event).replaceAll("-", " ")];
  const text = h("bdi", { class: "log-words" }, sentence(event, names));
  const body = event.call_id
    ? h("a", { href: `#/ladders?call=${encodeURIComponent(event.call_id)}` }, text)
    : event.event === "tls-failure"
      ? h("a", { href: "#/failures" }, text)
      : text;
  return h("li", { class: "log-line" }, moment(event.at), pill(tone, words), body);
}

/** What passes each second, as two lines over the last minutes. */
function chart(rates) {
  const width = 600;
  const height = 120;
  const top = Math.max(1, ...rates.map((rate) => Math.max(rate.received, rate.sent))) * 1.15;
  const most = Math.max(rates.length, 15);
  const at = (index) => ((index + most - rates.length) / (most - 1)) * width;
  const points = (name) => rates.map((rate, index) => `${at(index).toFixed(1)} ${(height - (rate[name] / top) * (height - 8) - 2).toFixed(1)}`);
  const line = (name) => (rates.length > 1 ? s("path", { class: `line ${name}`, d: `M${points(name).join("L")}` }) : null);
  const area = (name) => (rates.length > 1 ? s("path", { class: `area ${name}`, d: `M${at(0)} ${height}L${points(name).join("L")}L${width} ${height}z` }) : null);
  const grid = [0.25, 0.5, 0.75].map((part) => s("path", { class: "rule", d: `M0 ${height * part}H${width}` }));
  return s("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, grid, area("received"), line("received"), line("sent"));
}

function figure(title, value, words, href, kind = "") {
  const inside = [h("span", { class: "figure-title" }, title), h("strong", { class: "figure-value" }, value), h("span", { class: "figure-words" }, words)];
  return href ? h("a", { class: `figure ${kind}`, href }, inside) : h("div", { class: `figure ${kind}` }, inside);
}

const perSecond = (value) => (value >= 100 ? Math.round(value).toLocaleString("en-GB") : value.toFixed(1));

/** The page. */
export function overviewPage(store) {
  const figures = h("div", { class: "figures" });
  const pulse = h("div", { class: "pulse-chart" });
  const legend = h("p", { class: "legend" });
  const peers = h("ul", { class: "peers" });
  const listening = h("dl", { class: "facts" });
  const troubles = h("ul", { class: "peers" });
  const log = h("ol", { class: "log", "aria-label": "What happens, newest first", tabindex: "0" });
  const state = h("p", { class: "muted tally-line" });
  const trouble = h("div");
  const panel = (title, link, ...inside) => h("section", { class: "panel" }, h("div", { class: "panel-head" }, h("h2", {}, title), link), inside);
  const more = (href, words) => h("a", { href, class: "more" }, words);

  const drawFigures = () => {
    const { flows, sessions, failures } = store.lists;
    const last = store.rates[store.rates.length - 1];
    const verified = flows.filter((flow) => flow.is_verified).length;
    const up = sessions.filter((session) => session.state === "connected").length;
    const fresh = failures.filter((failure) => Date.now() / 1000 - seconds(failure.time) < 3600).length;
    fill(
      figures,
      figure("Connections", (store.totals.flows ?? 0).toLocaleString("en-GB"), `${verified.toLocaleString("en-GB")} proved by certificate`, "#/flows"),
      figure("Sessions", sessions.length.toLocaleString("en-GB"), `${up.toLocaleString("en-GB")} connected`, "#/sessions"),
      figure("Messages / s", last ? perSecond(last.received + last.sent) : "–", last ? `${perSecond(last.received)} in, ${perSecond(last.sent)} out` : "measuring", "#/ladders"),
      figure("Failed handshakes", failures.length.toLocaleString("en-GB"), fresh ? `${fresh} in the last hour` : "none in the last hour", "#/failures", fresh ? "alarmed" : ""),
    );
  };
  const drawRates = () => {
    fill(pulse, chart(store.rates));
    const last = store.rates[store.rates.length - 1];
    fill(legend, h("span", { class: "key received" }, `in ${last ? perSecond(last.received) : "–"}/s`), h("span", { class: "key sent" }, `out ${last ? perSecond(last.sent) : "–"}/s`), h("span", { class: "muted" }, store.rates.length > 1 ? `the last ${span(last.at - store.rates[0].at)}` : ""));
    drawFigures();
    drawTroubles();
  };
  const drawPeers = () => {
    const byName = new Map();
    for (const flow of store.lists.flows) {
      const key = flow.peer || flow.remote;
      const entry = byName.get(key) ?? { verified: flow.is_verified, key, flows: 0, messages: 0 };
      entry.flows += 1;
      entry.messages += flow.messages_in + flow.messages_out;
      byName.set(key, entry);
    }
    const busiest = [...byName.values()].sort((one, other) => other.messages - one.messages).slice(0, 8);
    fill(
      peers,
      busiest.length
        ? busiest.map((entry) => h("li", {}, h("a", { href: `#/ladders?peer=${encodeURIComponent(entry.key)}` }, who(entry.key, "", entry.verified)), h("span", { class: "muted" }, `${entry.flows > 1 ? `${count(entry.flows, "connection")}, ` : ""}${count(entry.messages, "message")}`)))
        : h("li", { class: "muted" }, "Nobody is connected."),
    );
    drawFigures();
  };
  const drawTroubles = () => {
    const said = [];
    for (const certificate of store.lists.certificates) if (certificate.days_left < 30) said.push(h("li", {}, h("a", { href: "#/certificates" }, certificate.names.join(", ") || certificate.subject), daysLeft(certificate)));
    for (const [name, value] of Object.entries(store.counters)) {
      if (value && name.startsWith("limit_")) said.push(h("li", {}, h("span", { class: "mono" }, name.slice(6)), pill("warn", `reached ${count(value, "time")}`)));
    }
    if (store.counters.senders_refused) said.push(h("li", {}, "From was not proved", pill("bad", `${count(store.counters.senders_refused, "request")} refused`)));
    fill(troubles, said.length ? said.slice(0, 10) : h("li", { class: "muted" }, icon("proved"), h("span", {}, "No bound was reached, and no certificate ends soon.")));
  };
  const drawService = () => {
    const service = store.service ?? {};
    const fact = (title, value, kind = "") => (value === undefined || value === null || value === "" ? null : [h("dt", {}, title), h("dd", { class: kind }, value)]);
    const places = (service.listening ?? []).map((place) => h("span", { class: "mono place" }, `${place.transport} ${place.address}`));
    say(state, service.is_draining ? "it takes no new work, and what is under way goes on" : "");
    const begun = seconds(service.started);
    fill(
      listening,
      fact("Party", service.uri, "mono"),
      fact("Contact", service.contact, "mono"),
      fact("Listens on", places.length ? places : "nothing: it only sends"),
      fact("Application", service.application),
      fact("Up for", Number.isFinite(begun) ? moment(begun, span(Date.now() / 1000 - begun)) : ""),
      fact("Version", service.version),
    );
    fill(trouble, complaint(store.problems.service));
  };
  const drawLog = () => {
    const newest = store.events.slice(-LOG).reverse();
    const held = log.contains(document.activeElement) && document.activeElement !== log;
    // A link that has the focus stays where it is until it has lost it.
    if (!held) fill(log, newest.length ? newest.map((event) => logLine(event, store.names)) : h("li", { class: "muted log-line" }, "Nothing has happened yet."));
  };

  const leaves = [
    store.on("rates", drawRates),
    store.on("flows", drawPeers),
    store.on("sessions", drawFigures),
    store.on("failures", drawFigures),
    store.on("certificates", drawTroubles),
    store.on("service", drawService),
    store.on("events", store.soon(drawLog)),
  ];
  [drawRates, drawPeers, drawService, drawLog].forEach((draw) => draw());
  const element = h(
    "div",
    { class: "page" },
    titled("Overview", state),
    trouble,
    figures,
    h(
      "div",
      { class: "panels" },
      h("div", { class: "panel-column" }, panel("Messages", legend, pulse), panel("What happens", more("#/ladders", "Ladders"), log)),
      h("div", { class: "panel-column narrow" }, panel("Peers", more("#/flows", "All flows"), peers), panel("This party", null, listening), panel("To look after", null, troubles)),
    ),
  );
  return { title: "Overview", element, end: () => leaves.forEach((leave) => leave()) };
}
