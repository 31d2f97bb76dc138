// Whom we watch, who watches us, and what we say of ourselves.

import { get, Problem, send } from "./api.js";
import { count, fill, h, icon, moment, pill, say, seconds, span, who } from "./dom.js";
import { choice, field, line, whileBusy } from "./fields.js";
import { Grid } from "./grid.js";
import { act, complaint, listPage, number, titled } from "./lists.js";

const WAIT = 10;
const PACKAGES = ["presence", "dialog", "message-summary"];
const STATES = { subscribed: "good", active: "good", stands: "good", pending: "warn", subscribing: "warn", asking: "warn", waiting: "warn", waiting_for_retry: "warn", terminating: "note", removing: "note", ending: "note", terminated: "bad", over: "bad" };

const pathOf = (list, each) => `/v1/${list}/${encodeURIComponent(each.id)}`;
const stands = (each) => pill(each.is_pending ? "warn" : STATES[each.state] ?? "plain", each.is_pending ? "pending" : String(each.state).replaceAll("_", " "));
const left = (each) => (Number.isFinite(each.expires) ? span(each.expires) : "–");
const why = (each) => h("span", {}, each.failure?.words ?? each.reason ?? "");

/** A form in one line that begins something; `asked` gives the path and the body. What has failed at once is told. */
export function asking(store, list, label, words, fields, asked) {
  const submit = h("button", { type: "submit", class: "primary" }, words);
  const form = h("form", { class: "panel form row-form", "aria-label": label }, fields, h("p", { class: "actions" }, submit));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const done = whileBusy(form, submit, "Asking…");
    const [path, body] = asked();
    try {
      const { body: made } = await send("POST", path, body, { wait: WAIT, once: true });
      const failure = made?.failure?.words;
      store.announce?.(failure ?? "Done.", Boolean(failure));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      store.announce?.(error.message, true);
    }
    done();
    store.refreshers[list]();
  });
  return form;
}

/** Our subscriptions; one that is opened shows what was notified last. */
export function subscriptionsPage(store) {
  const to = line({ required: true, placeholder: "sip:bob@b.example" });
  const event = line({ required: true, value: "presence", list: "packages" });
  const known = h("datalist", { id: "packages" }, PACKAGES.map((name) => h("option", { value: name })));
  const form = asking(store, "subscriptions", "A subscription", "Subscribe", [field("to", "Whose state", to), field("event", "Event", event), known], () => ["/v1/subscriptions", { to: to.value.trim(), event: event.value.trim() }]);
  const detail = h("section", { class: "panel told", "aria-label": "What was notified", "aria-live": "polite", hidden: true });
  let open = null;
  const show = async () => {
    if (open === null) return;
    const id = open;
    let found;
    try {
      found = await get(`/v1/subscriptions/${encodeURIComponent(id)}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      found = null;
    }
    if (open !== id) return;
    detail.hidden = false;
    fill(detail, found ? notified(found, close) : h("p", { class: "muted" }, "It is over, and not remembered any more."));
  };
  const close = () => {
    open = null;
    detail.hidden = true;
    page.table.choose(null);
  };
  const page = listPage(store, {
    name: "subscriptions",
    title: "Subscriptions",
    label: "Narrow down: name, event, state",
    words: (all) => `${count(all.length, "subscription")} of ours, ${all.filter((each) => each.state === "subscribed").length} standing`,
    search: (each) => [each.to, each.event, each.state, each.peer].join(" "),
    above: form,
    below: detail,
    left: store.on("subscriptions", () => show()),
    grid: {
      label: "Subscriptions",
      key: (each) => each.id,
      height: 48,
      opened: (each) => {
        open = each.id;
        page.table.choose(each.id);
        show();
      },
      empty: h("div", {}, h("h2", {}, "We watch nobody"), h("p", {}, "What this party has subscribed to appears here, with what it was told last.")),
      columns: [
        { title: "Of", width: "minmax(150px, 2fr)", few: "minmax(0, 1fr)", order: (each) => each.to, cell: (each) => h("bdi", {}, each.to) },
        { title: "Event", width: "minmax(90px, 1fr)", few: "minmax(0, 90px)", order: (each) => each.event, cell: (each) => h("bdi", {}, each.event) },
        { title: "State", width: "150px", few: "104px", order: (each) => each.state, cell: stands },
        { title: "Told", width: "70px", wide: true, order: (each) => each.count, cell: (each) => number(each.count) },
        { title: "For", width: "110px", wide: true, order: (each) => each.expires ?? 0, cell: left },
        { title: "Why", width: "minmax(80px, 1fr)", wide: true, cell: why },
        { name: "Actions", width: "150px", few: "50px", cell: (each) => h("div", { class: "deeds" }, deed(store, "subscriptions", each, "Refresh", "quiet wide", "POST", "/refresh", {}), deed(store, "subscriptions", each, "End", "quiet", "DELETE", "")) },
      ],
    },
  });
  page.element.addEventListener("keydown", (pressed) => {
    if (pressed.key === "Escape" && open !== null) close();
  });
  return page;
}

function deed(store, list, each, words, kind, method, tail, body) {
  return h("button", { type: "button", class: `small ${kind}`, "aria-label": `${words}: ${each.to ?? each.from}, ${each.event}`, onclick: () => act(store, list, "", method, pathOf(list, each) + tail, body) }, words);
}

/** A subscription in full: its notifications, the newest first. */
function notified(found, close) {
  const told = found.notifications ?? [];
  return [
    h("p", { class: "failure-head" }, h("b", {}, h("bdi", {}, `${found.event} of ${found.to}`)), h("span", { class: "deeds" }, who(found.peer, found.address), h("button", { type: "button", class: "small quiet", "aria-label": "Close what was notified", onclick: close }, icon("close")))),
    told.length
      ? h("ol", { class: "notified" }, told.map((each) => h("li", {}, h("p", { class: "small-print" }, moment(seconds(each.time)), ` · ${[each.state, each.reason, each.content_type].filter(Boolean).join(" · ")}`), each.text ? h("pre", { class: "body" }, each.text) : h("p", { class: "muted" }, each.body_base64 ? "A body that is no text." : "Without a body."))))
      : h("p", { class: "muted" }, "Nothing was notified yet."),
  ];
}

/** What we say of ourselves, who is told, and what servers keep for us. */
export function presencePage(store) {
  const own = ownPresence(store);
  const subscribers = new Grid({
    label: "Who watches us",
    key: (each) => each.id,
    height: 48,
    empty: h("div", {}, h("h2", {}, "Nobody watches us"), h("p", {}, "Whoever subscribes to an event of this party appears here.")),
    columns: [
      { title: "Who", width: "minmax(150px, 2fr)", few: "minmax(0, 1fr)", order: (each) => each.from, cell: (each) => who(each.from, each.address, each.is_verified) },
      { title: "Event", width: "minmax(90px, 1fr)", wide: true, order: (each) => each.event, cell: (each) => h("bdi", {}, each.event) },
      { title: "Of", width: "minmax(80px, 1fr)", wide: true, order: (each) => each.resource, cell: (each) => h("bdi", {}, each.resource) },
      { title: "State", width: "120px", few: "92px", order: (each) => each.state, cell: stands },
      { title: "For", width: "110px", wide: true, order: (each) => each.expires, cell: left },
      {
        name: "Actions",
        width: "160px",
        few: "136px",
        cell: (each) => h("div", { class: "deeds" }, each.state === "pending" ? deed(store, "subscribers", each, "Approve", "primary", "POST", "/approve") : null, deed(store, "subscribers", each, "End", "quiet", "DELETE", "")),
      },
    ],
  });
  const publications = new Grid({
    label: "What servers keep for us",
    key: (each) => each.id,
    height: 44,
    empty: h("p", {}, "Nothing of ours is published at a server."),
    columns: [
      { title: "Event", width: "minmax(90px, 1fr)", few: "minmax(0, 1fr)", order: (each) => each.event, cell: (each) => h("bdi", {}, each.event) },
      { title: "Of", width: "minmax(150px, 2fr)", wide: true, order: (each) => each.to, cell: (each) => h("bdi", {}, each.to) },
      { title: "State", width: "120px", few: "92px", order: (each) => each.state, cell: stands },
      { title: "For", width: "110px", wide: true, order: (each) => each.expires, cell: left },
      { title: "Why", width: "minmax(80px, 1fr)", wide: true, cell: why },
      { name: "Actions", width: "180px", few: "90px", cell: (each) => h("div", { class: "deeds" }, deed(store, "publications", each, "Refresh", "quiet wide", "POST", "/refresh"), deed(store, "publications", each, "Take back", "quiet", "DELETE", "")) },
    ],
  });
  const trouble = h("div");
  const tally = h("p", { class: "muted tally-line", role: "status" });
  const draw = () => {
    const watchers = store.lists.subscribers;
    subscribers.show(watchers);
    publications.show(store.lists.publications);
    say(tally, `${count(watchers.length, "subscriber")}, ${watchers.filter((each) => each.state === "pending").length} to be approved`);
    fill(trouble, complaint(store.problems.subscribers ?? store.problems.publications));
  };
  const leaves = [store.on("subscribers", draw), store.on("publications", draw)];
  draw();
  store.refreshers.subscribers();
  store.refreshers.publications();
  const part = (title, grid) => h("section", { class: "half" }, h("h2", {}, title), grid.element);
  const element = h("div", { class: "page whole tall" }, titled("Presence", tally), own, trouble, part("Who watches us", subscribers), part("What servers keep for us", publications));
  return {
    title: "Presence",
    element,
    end: () => {
      leaves.forEach((leave) => leave());
      subscribers.end();
      publications.end();
    },
  };
}

/** The form with which we say how we are: to those who watch us, and, where that is wanted, to our server. */
function ownPresence(store) {
  const status = choice([["open", "open: I can be reached"], ["closed", "closed: I cannot"]]);
  const note = line({ maxlength: 1024, placeholder: "back at three" });
  const words = h("p", { class: "help", role: "status" });
  const say1 = h("button", { type: "submit", class: "primary" }, "Tell those who watch");
  const publish = h("button", { type: "button", class: "quiet" }, "Publish at our server");
  const form = h("form", { class: "panel form row-form", "aria-label": "Our presence" }, field("status", "We are", status), field("note", "Note", note), h("p", { class: "actions" }, publish, say1), words);
  const told = (found) => {
    if (found.status !== "unknown") status.value = found.status;
    say(words, found.status === "unknown" ? "Nothing is said of us yet." : `Told is: ${[found.status, ...(found.notes ?? [])].join(", ")}`);
  };
  const done = async (button, work) => {
    const ready = whileBusy(form, button, "Telling…");
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      store.announce?.(error.message, true);
    }
    ready();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    done(say1, async () => {
      const { body } = await send("PUT", "/v1/presence", { status: status.value, note: note.value });
      told(body);
      store.announce?.("Told.");
    });
  });
  publish.addEventListener("click", () =>
    done(publish, async () => {
      const body = { event: "presence", text: pidf(store.service?.uri ?? "", status.value, note.value), content_type: "application/pidf+xml" };
      const { body: made } = await send("POST", "/v1/publications", body, { wait: WAIT, once: true });
      store.announce?.(made.failure?.words ?? "Published.", Boolean(made.failure));
      store.refreshers.publications();
    }),
  );
  const asked = async () => {
    const lack = await store.lack("presence");
    if (lack) throw lack;
    return get("/v1/presence");
  };
  asked().then(told, (error) => {
    if (!(error instanceof Problem)) throw error;
    say(words, error.detail || error.message);
    say1.disabled = error.status === 404;
  });
  return form;
}

/** A presence document (RFC 3863); the browser writes it, so that nothing in a note is read as markup. */
function pidf(entity, status, note) {
  const space = "urn:ietf:params:xml:ns:pidf";
  const written = document.implementation.createDocument(space, "presence");
  const add = (parent, name, text = "") => {
    const made = written.createElementNS(space, name);
    made.textContent = text;
    parent.append(made);
    return made;
  };
  written.documentElement.setAttribute("entity", entity);
  const tuple = add(written.documentElement, "tuple");
  tuple.setAttribute("id", "console");
  add(add(tuple, "status"), "basic", status);
  if (note) add(tuple, "note", note);
  return new XMLSerializer().serializeToString(written);
}
