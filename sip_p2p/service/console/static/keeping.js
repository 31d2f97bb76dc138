// What is kept for later, and where we are registered.

import { fill, h, moment, pill, say, seconds, span } from "./dom.js";
import { field, line } from "./fields.js";
import { act, complaint, listPage, number, titled } from "./lists.js";
import { asking } from "./watching.js";

const STATES = { queued: "warn", sending: "warn", delivered: "good", reported: "good", failed: "bad", expired: "bad" };
const REGISTERED = { registered: "good", registering: "warn", waiting_for_retry: "bad", unregistering: "note" };
const PAUSE = 5000;

/** Messages that are kept until they are delivered. */
export function outboxPage(store) {
  const to = line({ required: true, placeholder: "sip:bob@b.example" });
  const text = line({ required: true });
  const form = asking(store, "outbox", "A message", "Queue", [field("to", "To", to), field("text", "Text", text)], () => ["/v1/outbox", { to: to.value.trim(), text: text.value }]);
  // An event comes when a message has its outcome; how often it was tried is looked for.
  const looking = setInterval(() => document.hidden || store.problems.outbox || store.refreshers.outbox(), PAUSE);
  const when = (each) => moment(seconds(each.settled ?? each.due ?? each.queued));
  const deed = (each, words, kind, method, tail) => h("button", { type: "button", class: `small ${kind}`, "aria-label": `${words}: the message to ${each.to}`, onclick: () => act(store, "outbox", method === "DELETE" && STATES[each.state] === "warn" ? `The message to ${each.to} is not delivered. Delete it?` : "", method, `/v1/outbox/${encodeURIComponent(each.id)}${tail}`) }, words);
  return listPage(store, {
    name: "outbox",
    title: "Outbox",
    label: "Narrow down: name, state, reason",
    words: (all) => `${all.filter((each) => STATES[each.state] === "warn").length} of ${all.length} messages wait`,
    search: (each) => [each.to, each.state, each.reason, each.id].join(" "),
    above: form,
    left: () => clearInterval(looking),
    grid: {
      label: "Messages",
      key: (each) => each.id,
      height: 48,
      empty: h("div", {}, h("h2", {}, "Nothing waits"), h("p", {}, "Messages that are to survive a restart, and a peer that is away, appear here until they are removed.")),
      columns: [
        { title: "To", width: "minmax(150px, 1.6fr)", few: "minmax(0, 1fr)", order: (each) => each.to, cell: (each) => h("bdi", {}, each.to) },
        { title: "State", width: "110px", few: "96px", order: (each) => each.state, cell: (each) => pill(STATES[each.state] ?? "plain", each.state) },
        { title: "Tried", width: "70px", wide: true, order: (each) => each.attempts, cell: (each) => number(each.attempts) },
        { title: "Settled or due", width: "130px", wide: true, order: (each) => each.settled ?? each.due ?? "", cell: when },
        { title: "What came of it", width: "minmax(110px, 1.8fr)", wide: true, cell: (each) => h("span", { title: each.reason }, [each.status, each.reason, each.report].filter(Boolean).join(" · ")) },
        { name: "Actions", width: "150px", few: "132px", cell: (each) => h("div", { class: "deeds" }, STATES[each.state] === "bad" ? deed(each, "Retry", "primary", "POST", "/retry") : null, deed(each, "Delete", "quiet", "DELETE", "")) },
      ],
    },
  });
}

/** Where we are registered, and what was granted there. */
export function registrationPage(store) {
  const list = h("ul", { class: "cards", "aria-label": "Registrations" });
  const tally = h("p", { class: "muted tally-line", role: "status" });
  const trouble = h("div");
  const draw = () => {
    const all = store.lists.registrations;
    say(tally, all.some((each) => each.state === "registered") ? "The registrar knows where we are." : "");
    fill(trouble, complaint(store.problems.registrations), all.length || store.problems.registrations ? null : h("div", { class: "empty" }, h("h2", {}, "Not registered"), h("p", {}, "This party is reached without a server. With --register it tells one where it is.")));
    fill(list, all.map((each) => card(store, each)));
  };
  const leave = store.on("registrations", draw);
  draw();
  store.refreshers.registrations();
  return { title: "Registration", element: h("div", { class: "page" }, titled("Registration", tally), trouble, list), end: leave };
}

function card(store, each) {
  const row = (title, value) => (value === undefined || value === null || value === "" || value.length === 0 ? null : [h("dt", {}, title), h("dd", { class: "mono" }, [value].flat().join(", "))]);
  return h(
    "li",
    { class: "card certificate" },
    h("p", { class: "failure-head" }, h("b", {}, h("bdi", {}, each.registrar)), pill(REGISTERED[each.state] ?? "plain", each.state.replaceAll("_", " "))),
    each.failure ? h("p", { class: "what" }, [each.failure.words, each.failure.remedy].filter(Boolean).join(" ")) : null,
    h("dl", {}, row("Stands for", span(each.expires)), row("Over the flows", each.flows), row("By our own flows", each.is_outbound ? "yes" : "no"), row("Path", each.path), row("Service-Route", each.service_route), row("Public GRUU", each.public_gruu), row("Temporary GRUU", each.temporary_gruu), row("Other devices", each.other_contacts)),
    h("p", { class: "actions" }, h("button", { type: "button", class: "quiet small", onclick: () => act(store, "registrations", "", "POST", `/v1/registrations/${encodeURIComponent(each.id)}/refresh`) }, "Tell it again now")),
  );
}
