// What the service is known to be at the moment, fetched once and then kept true by its events.

import { follow, get, Problem } from "./api.js";
import { calmly, seconds } from "./dom.js";
import { address, brief, Wire } from "./sip.js";

const MOST_EVENTS = 300;
const RATE_PERIOD = 2000;
const MOST_RATES = 90;

/** Which lists an event makes stale. */
const STALE = {
  "flow-opened": ["flows"],
  "flow-lost": ["flows"],
  session: ["sessions"],
  "session-state": ["sessions"],
  "session-failed": ["sessions"],
  subscription: ["subscriptions"],
  "subscription-state": ["subscriptions"],
  notification: ["subscriptions"],
  subscriber: ["subscribers"],
  "subscriber-state": ["subscribers"],
  publication: ["publications"],
  "publication-state": ["publications"],
  referral: ["referrals"],
  "referral-state": ["referrals"],
  registration: ["registrations"],
  outbox: ["outbox"],
  "tls-failure": ["failures"],
  "certificate-expiring": ["certificates"],
  reloaded: ["certificates", "service"],
  state: ["service"],
  overload: ["service"],
  started: ["service"],
  stopping: ["service"],
  "listener-lost": ["service"],
};

const LISTS = ["flows", "sessions", "certificates", "failures"];

/** Lists that nobody needs before somebody has looked at their page. */
const LATER = ["subscriptions", "subscribers", "publications", "referrals", "registrations", "outbox"];

/** Where a list stands in its answer, if not under its own name. */
const MEMBERS = { outbox: "messages" };

/** What a service has only where its options say so: how it tells that it has it, and what is to be said if not. */
const OPTIONAL = {
  outbox: [(service) => service.has_outbox, "There is no outbox: start the service with --outbox."],
  presence: [(service) => service.packages.includes("presence"), "Nobody can subscribe to our presence: start the service with --package presence."],
};

/** How many messages went one way, of all that is counted by method and by status. */
function passed(counters, way) {
  let sum = 0;
  for (const [name, value] of Object.entries(counters)) {
    if (name.startsWith(`requests_${way}_`) || name.startsWith(`responses_${way}_`)) sum += value;
  }
  return sum;
}

export class Store extends EventTarget {
  constructor() {
    super();
    this.service = null;
    this.lists = Object.fromEntries([...LISTS, ...LATER].map((name) => [name, []]));
    this.wanted = new Set([...LISTS, "service"]);
    this.totals = {};
    this.pages = {};
    this.hasMore = {};
    this.problems = {};
    this.events = [];
    this.rates = [];
    this.counters = {};
    this.names = new Map();
    this.instance = "";
    this.wire = new Wire();
    this.link = "connecting";
    this.traces = "unknown";
    this.refreshers = Object.fromEntries([...LISTS, ...LATER, "service"].map((name) => [name, calmly(1000, () => this.fetch(name))]));
    this.leaveEvents = null;
    this.leaveTrace = null;
    this.watchers = 0;
  }

  tell(kind) {
    this.dispatchEvent(new CustomEvent(kind));
  }

  on(kind, listener) {
    this.addEventListener(kind, listener);
    return () => this.removeEventListener(kind, listener);
  }

  /** Begin, or begin anew after a token was given. */
  start() {
    this.leaveEvents?.();
    clearInterval(this.rateTimer);
    this.become("connecting");
    this.leaveEvents = follow("/v1/events?since=0", (event, data) => this.happened(event, data), (state, error) => this.linked(state, error));
    this.rateTimer = setInterval(() => this.measure(), RATE_PERIOD);
    this.measure();
    setTimeout(() => this.measure(), RATE_PERIOD / 4);
  }

  linked(state, error) {
    // What was missed while nobody listened is fetched.
    if (state === "open") this.refresh();
    this.become(state === "refused" && error?.status === 401 ? "locked" : state);
  }

  become(link) {
    if (this.link === link) return;
    this.link = link;
    this.tell("link");
  }

  /** Fetch one page more of a long list, now and from now on. */
  more(name) {
    this.pages[name] = (this.pages[name] ?? 1) + 1;
    this.refreshers[name]();
  }

  refresh() {
    for (const name of this.wanted) this.refreshers[name]();
  }

  /** Why there is no `name` in this service, as a problem; null where there is, or nobody knows. */
  async lack(name) {
    if (!(name in OPTIONAL)) return null;
    const [isThere, words] = OPTIONAL[name];
    // It may have been started anew since, with other options.
    if (!this.service || !isThere(this.service)) await this.fetch("service");
    return this.service && !isThere(this.service) ? new Problem(404, "Not found", words) : null;
  }

  async fetch(name) {
    this.wanted.add(name);
    const member = MEMBERS[name] ?? name;
    try {
      const lack = await this.lack(name);
      if (lack) throw lack;
      let answer = await get(name === "service" ? "/v1" : `/v1/${name}`);
      if (name === "service") this.service = answer;
      else {
        const found = answer[member];
        for (let page = 1; answer.next && page < (this.pages[name] ?? 1); page += 1) {
          answer = await get(`/v1/${name}?after=${encodeURIComponent(answer.next)}`);
          found.push(...answer[member]);
        }
        this.lists[name] = found;
        this.totals[name] = answer.total ?? found.length;
        this.hasMore[name] = Boolean(answer.next);
      }
      // An age grows; the moment of birth stays.
      if (name === "flows") for (const flow of this.lists.flows) flow.opened = Date.now() / 1000 - flow.age;
      this.problems[name] = null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problems[name] = error;
    }
    this.tell(name);
  }

  happened(kind, data) {
    if (kind === "hello") {
      this.greeted(data);
      return;
    }
    this.events.push({ ...data, event: kind, at: seconds(data.time) });
    if (kind === "session") this.names.set(data.call_id, brief(address(data.direction === "out" ? data.to : data.from)));
    if (this.names.size > MOST_EVENTS * 4) this.names.delete(this.names.keys().next().value);
    if (this.events.length > MOST_EVENTS * 1.2) this.events = this.events.slice(-MOST_EVENTS);
    for (const name of STALE[kind] ?? []) if (this.wanted.has(name)) this.refreshers[name]();
    this.tell("events");
  }

  /** Another process than before counts everything anew. */
  greeted({ instance }) {
    if (this.instance && this.instance !== instance) {
      this.events = [];
      this.rates = [];
      this.measured = null;
      this.wire.clear();
      if (this.leaveTrace) {
        this.leaveTrace();
        this.beginTrace();
      }
      this.tell("events");
      this.tell("wire");
    }
    this.instance = instance;
  }

  /** Counters twice make a rate. */
  async measure() {
    if (document.hidden || this.link === "locked") return;
    let found;
    try {
      found = await get("/v1/metrics");
    } catch {
      return;
    }
    const at = performance.now() / 1000;
    const counters = found.counters;
    const last = this.measured;
    this.measured = { at, counters };
    this.counters = counters;
    if (last) {
      const rate = (way) => Math.max((passed(counters, way) - passed(last.counters, way)) / (at - last.at), 0);
      this.rates.push({ at, received: rate("in"), sent: rate("out") });
      if (this.rates.length > MOST_RATES) this.rates.shift();
    }
    this.tell("rates");
  }

  /** Follow the wire for as long as somebody looks at it; the result ends that. */
  watch() {
    this.watchers += 1;
    if (this.watchers === 1) this.beginTrace();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.watchers -= 1;
      if (this.watchers === 0) {
        this.leaveTrace?.();
        this.leaveTrace = null;
      }
    };
  }

  beginTrace() {
    this.leaveTrace = follow(
      `/v1/trace/follow?since=${this.wire.newest}`,
      (_, event) => {
        if (this.wire.add(event)) this.tell("wire");
      },
      (state, error) => {
        this.traces = state === "open" ? "on" : error?.status === 503 ? "off" : "unknown";
        this.tell("wire");
      },
    );
  }

  get localName() {
    return (this.service?.uri ?? "").replace(/^sips?:/, "").split(";")[0].split("@").pop() || "this party";
  }
}
