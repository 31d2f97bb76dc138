// What passed on the wire, as the ladder needs it: messages read as far as a picture of them asks, and calls made of them.

import { clock, seconds } from "./dom.js";

const SHORT = { i: "call-id", f: "from", t: "to", v: "via", m: "contact", c: "content-type", l: "content-length" };

/** Name and value of each header field of a head, folded lines put together, in order. */
export function fields(head) {
  const found = [];
  for (const line of head.split(/\r?\n/).slice(1)) {
    if (/^[ \t]/.test(line) && found.length) found[found.length - 1][1] += ` ${line.trim()}`;
    else if (line.includes(":")) {
      const colon = line.indexOf(":");
      found.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
    }
  }
  return found;
}

function indexed(head) {
  const map = new Map();
  for (const [name, value] of fields(head)) {
    const low = name.toLowerCase();
    const whole = SHORT[low] ?? low;
    if (!map.has(whole)) map.set(whole, value);
  }
  return map;
}

/** The URI in a From or To, without its display name and parameters. */
export function address(value) {
  const text = value ?? "";
  const inside = /<([^>]*)>/.exec(text);
  return inside ? inside[1] : text.split(";")[0].trim();
}

/** `sip:bob@b.example;transport=tls` as people say it. */
export function brief(uri) {
  return uri.replace(/^sips?:/, "").split(/[;?]/)[0];
}

/** The kind of an answer by its first digit, as colour and as word. */
export function toneOf(status) {
  if (status >= 400) return "bad";
  if (status >= 300) return "note";
  if (status >= 200) return "good";
  return "warn";
}

/** One event of the trace with what the ladder wants to know of it. */
export function reading(event) {
  const head = event.head ?? "";
  const start = head.split(/\r?\n/, 1)[0];
  const map = indexed(head);
  const isResponse = start.startsWith("SIP/");
  const status = isResponse ? Number(start.split(" ", 2)[1]) || 0 : 0;
  const [sequence = "", cseqMethod = ""] = (map.get("cseq") ?? "").split(/\s+/);
  const method = isResponse ? cseqMethod : start.split(" ", 1)[0];
  return {
    ...event,
    number: Number(event.number ?? event.id ?? 0),
    at: typeof event.at === "number" ? event.at : seconds(event.time),
    head,
    start,
    isResponse,
    status,
    method,
    sequence,
    // Notes have no Call-ID of their own, but may be told with one.
    callId: map.get("call-id") ?? event.call_id ?? "",
    branch: /;\s*branch=([^;,\s]+)/i.exec(map.get("via") ?? "")?.[1] ?? "",
    from: map.get("from") ?? "",
    to: map.get("to") ?? "",
    contentType: (map.get("content-type") ?? "").split(";")[0],
    tone: event.kind === "note" ? "bad" : isResponse ? toneOf(status) : "ask",
  };
}

/** What an arrow says: the method and whom it asks, or the answer and what it answers. */
export function label(message) {
  if (message.kind === "note") return message.note;
  if (message.isResponse) {
    const words = message.start.split(" ").slice(1).join(" ");
    return message.method ? `${words} (${message.method})` : words;
  }
  const [method, uri = ""] = message.start.split(" ");
  return `${method} ${brief(uri)}`;
}

/** The second line below an arrow: what the message carries. */
export function carried(message) {
  if (message.kind === "note" || !message.length) return "";
  if (message.contentType === "application/sdp" && message.body) {
    const media = message.body.split(/\r?\n/).filter((line) => line.startsWith("m="));
    const way = /^a=(sendrecv|sendonly|recvonly|inactive)/m.exec(message.body)?.[1] ?? "";
    return `SDP ${media.map((line) => line.slice(2).split(" ").slice(0, 2).join(" ")).join(", ")} ${way}`.trim();
  }
  if (message.body && message.contentType.startsWith("text/")) return `“${message.body.replace(/\s+/g, " ").trim()}”`;
  return `${message.contentType || "a body"}, ${message.length} octets`;
}

/** The other side's name: what it has proved, or its address where that is nothing or our own name. */
export function party(message) {
  return message.peer && message.peer !== message.local ? message.peer : message.remote || message.peer || "";
}

/** Which messages came before, octet for octet and the same way. */
export function repeated(messages) {
  const seen = new Set();
  return messages.map((message) => {
    if (message.kind === "note") return false;
    const key = `${message.direction}|${party(message)}|${message.head}`;
    const again = seen.has(key);
    seen.add(key);
    return again;
  });
}

/** All that has one Call-ID, and what has become of it. */
export class Call {
  constructor(first) {
    this.id = first.callId;
    this.first = first;
    this.last = first;
    this.count = 0;
    this.parties = new Set();
    this.state = "";
    this.tone = "plain";
    this.words = "";
  }

  add(message) {
    this.count += 1;
    this.last = message;
    this.parties.add(party(message));
    this.words = `${this.words} ${party(message)}`.length < 400 ? `${this.words} ${party(message)}` : this.words;
    const begun = this.first.isResponse ? this.first.method : this.first.start.split(" ", 1)[0];
    if (message.kind === "note") this.become(message.note, "bad");
    else if (begun === "INVITE") this.followInvitation(message);
    else if (message.isResponse && message.status >= 200) {
      this.become(message.start.split(" ").slice(1).join(" "), toneOf(message.status));
    } else if (!this.state) this.become("asked", "warn");
  }

  // RFC 3261 sections 9, 13 and 15, as far as an onlooker sees them.
  followInvitation(message) {
    if (!message.isResponse) {
      if (message.method === "BYE") this.become("hung up", "plain");
      else if (message.method === "CANCEL") this.become("cancelled", "note");
      else if (!this.state) this.become("calling", "warn");
      return;
    }
    if (message.method !== "INVITE" || this.stands === false) return;
    // RFC 3261 section 9.1: 487 is what a CANCEL comes to.
    if (message.status === 487 && this.state === "cancelled") return;
    if (message.status >= 300 && !this.stands) {
      this.become(message.start.split(" ").slice(1).join(" "), toneOf(message.status));
    } else if (message.status >= 200 && message.status < 300) {
      if (!this.stands) this.become("in call", "good");
      this.stands = true;
    } else if (message.status > 100 && !this.stands) this.become("ringing", "warn");
  }

  become(state, tone) {
    this.state = state;
    this.tone = tone;
  }

  get method() {
    return this.first.method;
  }
}

/** The newest messages and the calls that they make up; the oldest go first. */
export class Wire {
  constructor(capacity = 4000) {
    this.capacity = capacity;
    this.clear();
  }

  clear() {
    this.messages = [];
    this.calls = new Map();
    this.newest = 0;
    this.dropped = 0;
  }

  /** Take one event of the trace; true when it was new. */
  add(event) {
    const message = reading(event);
    if (message.number && message.number <= this.newest) return false;
    this.newest = Math.max(this.newest, message.number);
    this.messages.push(message);
    if (message.callId) {
      let call = this.calls.get(message.callId);
      if (!call) this.calls.set(message.callId, (call = new Call(message)));
      call.add(message);
    }
    // In pieces, so that it is not done for each message.
    if (this.messages.length > this.capacity * 1.1) this.shorten();
    return true;
  }

  shorten() {
    this.dropped += this.messages.length - this.capacity;
    this.messages = this.messages.slice(-this.capacity);
    const alive = new Set(this.messages.map((message) => message.callId));
    for (const id of this.calls.keys()) if (!alive.has(id)) this.calls.delete(id);
  }

  of(callId) {
    return this.messages.filter((message) => message.callId === callId);
  }
}

/** Messages as text, as a trace in a mail or a report has them. */
export function asText(messages) {
  return messages
    .map((message) => {
      const way = message.direction === "out" ? "→" : "←";
      const title = `${clock(message.at)} ${message.local} ${way} ${party(message)} ${message.transport ?? ""}`;
      if (message.kind === "note") return `${title}\n* ${message.note}\n`;
      const body = message.body ?? (message.length ? `[${message.length} octets withheld]` : "");
      return `${title}\n${message.head.replace(/\r\n/g, "\n").trimEnd()}\n\n${body.replace(/\r\n/g, "\n")}`;
    })
    .join("\n\n");
}
