// The control API: requests with the token where one is needed, problems (RFC 9457) as errors in words, and streams of
// server-sent events that take up where they were cut.

const TOKEN = "sip-p2p-token";
const PATIENCE = 20000;

let token = readToken();
let askForToken = () => {};

function readToken() {
  try {
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return "";
  }
}

/** Keep the token for as long as this tab lives; an empty one forgets it. */
export function useToken(text) {
  token = text;
  try {
    if (text) sessionStorage.setItem(TOKEN, text);
    else sessionStorage.removeItem(TOKEN);
  } catch {
    // Storage may be forbidden; then the token lives as long as the page.
  }
}

/** Call `listener` whenever the service wants to know who we are. */
export function whenUnauthorized(listener) {
  askForToken = listener;
}

/** What the API has refused, or that it cannot be reached (`status` 0). */
export class Problem extends Error {
  constructor(status, title, detail = "", members = {}) {
    super(detail && detail !== title ? `${title}: ${detail}` : title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.members = members;
  }
}

async function problemOf(answer) {
  let members = {};
  try {
    members = await answer.json();
  } catch {
    // Whatever stands between us and the service may answer in HTML: then the status has to do.
  }
  if (answer.status === 401) askForToken();
  return new Problem(answer.status, members.title ?? `HTTP ${answer.status}`, members.detail ?? "", members);
}

function headers(more) {
  return { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}), ...more };
}

async function ask(path, init) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", redirect: "error", credentials: "same-origin", ...init });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const late = error.name === "TimeoutError";
    throw new Problem(0, late ? "The service did not answer in time" : "The service cannot be reached");
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** GET; the answer as JSON. */
export async function get(path) {
  return (await ask(path, { headers: headers(), signal: AbortSignal.timeout(PATIENCE) })).json();
}

/** GET; the answer as it is, for a file. */
export async function download(path) {
  return (await ask(path, { headers: headers({ Accept: "*/*" }), signal: AbortSignal.timeout(PATIENCE) })).blob();
}

/** A request that changes something; the answer as JSON, or null where it has no body. `wait` is in seconds. */
export async function send(method, path, body, { wait = 0, once = false } = {}) {
  const more = {};
  if (body !== undefined) more["Content-Type"] = "application/json";
  if (wait) more.Prefer = `wait=${wait}`;
  if (once) more["Idempotency-Key"] = newKey();
  const answer = await ask(path, {
    method,
    headers: headers(more),
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE + wait * 1000),
  });
  const text = await answer.text();
  const found = text ? JSON.parse(text) : null;
  const location = answer.headers.get("Location");
  return { status: answer.status, location, body: found };
}

function newKey() {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** Ask for `location` until what it shows is no longer pending, or `patience` seconds are over. */
export async function settled(location, isPending, patience = 60) {
  const latest = Date.now() + patience * 1000;
  let pause = 150;
  for (;;) {
    const found = await get(location);
    if (!isPending(found) || Date.now() > latest) return found;
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 1.5, 2000);
  }
}

/** The blocks of a stream of server-sent events, from its text as it comes. */
export class EventBlocks {
  constructor(tell) {
    this.tell = tell;
    this.rest = "";
    this.clear();
  }

  clear() {
    this.event = "message";
    this.data = [];
    this.id = undefined;
  }

  feed(text) {
    // A carriage return at the end of a piece may be half of a line end.
    const pieces = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = pieces.pop();
    for (const line of pieces) this.line(line);
  }

  line(line) {
    if (line === "") {
      if (this.data.length) this.tell({ event: this.event, data: this.data.join("\n"), id: this.id });
      this.clear();
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value || "message";
    else if (name === "id" && !value.includes("\0")) this.id = value;
  }
}

/**
 * Follow a stream for as long as the page lives, and take it up where it was cut.
 *
 * `told` gets each event, `changed` one of "open", "lost" and "refused"; the result ends it. A stream that is silent for
 * longer than a heartbeat is dead although nobody has closed it.
 */
export function follow(path, told, changed = () => {}, { silence = 60000 } = {}) {
  const life = new AbortController();
  let last = "";
  let pause = 500;

  async function once() {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    life.signal.addEventListener("abort", end);
    let watch = setTimeout(end, silence);
    try {
      const answer = await ask(path, {
        headers: headers({ Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) }),
        signal: attempt.signal,
      });
      changed("open");
      pause = 500;
      const blocks = new EventBlocks(({ event, data, id }) => {
        if (id !== undefined) last = id;
        let read;
        try {
          read = JSON.parse(data);
        } catch {
          return;
        }
        told(event, read);
      });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watch);
        watch = setTimeout(end, silence);
        blocks.feed(value);
      }
    } finally {
      clearTimeout(watch);
      life.signal.removeEventListener("abort", end);
    }
  }

  (async () => {
    while (!life.signal.aborted) {
      try {
        await once();
        changed("lost");
      } catch (error) {
        if (life.signal.aborted) return;
        const refused = error instanceof Problem && [401, 403, 404, 503].includes(error.status);
        changed(refused ? "refused" : "lost", error);
        // A service that starts or stops says 503, too: it may be another one in a moment.
        if (refused && error.status !== 503) return;
        if (refused) pause = 5000;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, 10000);
    }
  })();
  return () => life.abort();
}
