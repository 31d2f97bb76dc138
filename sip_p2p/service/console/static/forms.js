// The pages on which one asks for something: a request to a peer, and the doctor.

import { Problem, send, settled } from "./api.js";
import { fill, h, icon, moment, pill } from "./dom.js";
import { field, whileBusy } from "./fields.js";
import { silence, titled } from "./lists.js";
import { toneOf } from "./sip.js";

const WAIT = 10;
const NAMES = { INVITE: "a call", other: "another method" };

/** MESSAGE, OPTIONS, or any other request. */
export function sendPage(store, params) {
  const results = h("ol", { class: "cards results", "aria-label": "What was sent, newest first", "aria-live": "polite" });
  const to = h("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "off", placeholder: "sip:bob@b.example", value: params.get("to") ?? "", list: "known-peers" });
  const known = h("datalist", { id: "known-peers" });
  const kinds = ["MESSAGE", "OPTIONS", "INVITE", "other"].map((kind, index) => h("label", { class: "choice" }, h("input", { type: "radio", name: "kind", value: kind, checked: index === 0, onchange: () => show() }), h("span", {}, NAMES[kind] ?? kind)));
  const method = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "INFO", pattern: "[A-Za-z0-9!%*_+`'~.\\-]+" });
  const type = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "text/plain" });
  const text = h("textarea", { rows: 4 });
  const methodBox = field("method", "Method", method);
  const typeBox = field("content-type", "Content-Type", type);
  const textBox = field("text", "Text", text);
  const submit = h("button", { type: "submit", class: "primary" }, "Send");
  const form = h("form", { class: "panel form", "aria-label": "A request" }, h("fieldset", {}, h("legend", {}, "What"), h("div", { class: "choices" }, kinds)), field("to", "To", to, "A SIP URI; where it leads is found as for every request of this party."), known, methodBox, typeBox, textBox, h("p", { class: "actions" }, submit));
  const kind = () => form.querySelector("input[name=kind]:checked").value;

  function show() {
    methodBox.hidden = kind() !== "other";
    method.required = kind() === "other";
    typeBox.hidden = kind() !== "other";
    textBox.hidden = ["OPTIONS", "INVITE"].includes(kind());
    text.required = kind() === "MESSAGE";
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const what = kind();
    const asked = { to: to.value.trim() };
    if (what === "INVITE") {
      await call(asked.to);
      return;
    }
    if (what !== "MESSAGE") asked.method = what === "OPTIONS" ? "OPTIONS" : method.value.trim().toUpperCase();
    if (what !== "OPTIONS" && text.value) asked.text = text.value;
    if (what === "other" && text.value) asked.content_type = type.value.trim() || "text/plain";
    const done = whileBusy(form, submit, "Sending…");
    const card = h("li", { class: "card result" });
    results.prepend(card);
    const name = what === "MESSAGE" ? "MESSAGE" : asked.method;
    fill(card, resultHead(name, asked.to, pill("plain", "on its way")));
    try {
      const { location, body } = await send("POST", what === "MESSAGE" ? "/v1/messages" : "/v1/requests", asked, { wait: WAIT, once: true });
      const found = body && body.state !== "pending" ? body : await settled(location ?? `/v1/requests/${body.id}`, (each) => each.state === "pending");
      fill(card, outcome(name, asked.to, found));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(card, resultHead(name, asked.to, pill("bad", "not sent")), h("p", { class: "what" }, error.message));
    }
    done();
  });
  /** A call has no answer to wait for: it lives on the page of sessions. */
  async function call(target) {
    const done = whileBusy(form, submit, "Calling…");
    const card = h("li", { class: "card result" });
    try {
      const { body } = await send("POST", "/v1/sessions", { to: target, ...silence() }, { once: true });
      const ladder = h("a", { href: `#/ladders?call=${encodeURIComponent(body.call_id)}` }, "its ladder");
      fill(card, resultHead("INVITE", target, pill("warn", body.state)), h("p", { class: "small-print" }, moment(Date.now() / 1000), " · ", ladder, " · ", h("a", { href: "#/sessions" }, "sessions")));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(card, resultHead("INVITE", target, pill("bad", "not sent")), h("p", { class: "what" }, error.message));
    }
    results.prepend(card);
    done();
  }

  const drawKnown = () => fill(known, [...new Set(store.lists.flows.map((flow) => flow.peer).filter(Boolean))].slice(0, 50).map((peer) => h("option", { value: `sip:${peer}` })));
  const leave = store.on("flows", drawKnown);
  drawKnown();
  show();
  return { title: "Send", element: h("div", { class: "page" }, titled("Send", "A text, a question, a call without media, or any other request."), h("div", { class: "split" }, form, results)), end: leave };
}

function resultHead(method, to, state) {
  return h("p", { class: "failure-head" }, h("span", {}, h("span", { class: "method" }, method), " ", h("bdi", {}, to)), state);
}

function outcome(method, to, found) {
  const response = found.response;
  if (response) {
    const told = response.headers.filter(({ name }) => /^(allow|accept|supported|server|user-agent|warning|retry-after|contact)$/i.test(name));
    return [
      resultHead(method, to, pill(toneOf(response.status), `${response.status} ${response.reason ?? ""}`)),
      told.length ? h("dl", {}, told.map(({ name, value }) => [h("dt", {}, name), h("dd", { class: "mono" }, value)])) : null,
      response.text ? h("pre", { class: "body" }, response.text) : null,
      ladderLink(found),
    ];
  }
  const failure = found.failure ?? {};
  const isPending = found.state === "pending";
  return [
    resultHead(method, to, pill(isPending ? "warn" : "bad", isPending ? "no answer yet" : "failed")),
    h("p", { class: "what" }, isPending ? "The answer may still come." : failure.words),
    failure.remedy ? h("p", { class: "remedy" }, h("b", {}, "What to do: "), failure.remedy) : null,
    ladderLink(found),
  ];
}

function ladderLink(found) {
  const callId = found.response?.headers.find(({ name }) => name.toLowerCase() === "call-id")?.value;
  return h("p", { class: "small-print" }, moment(Date.now() / 1000), callId ? [" · ", h("a", { href: `#/ladders?call=${encodeURIComponent(callId)}` }, "its ladder")] : null);
}

const VERDICTS = { ok: ["good", "in order"], note: ["warn", "note"], wrong: ["bad", "wrong"] };

/** What is wrong on the way to a peer, or with a listener, and what to do about it. */
export function doctorPage(store, params) {
  const patient = h("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "off", placeholder: "sip:bob@b.example", value: params.get("patient") ?? "" });
  const submit = h("button", { type: "submit", class: "primary" }, "Examine");
  const form = h("form", { class: "panel form inline", "aria-label": "The patient" }, field("patient", "Patient", patient, "The URI of a peer. Every step on the way is looked at: our certificate, DNS, the connection, TLS, SIP."), h("p", { class: "actions" }, submit));
  const report = h("section", { class: "report", "aria-live": "polite", "aria-label": "What was found" });
  let isOver = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const done = whileBusy(form, submit, "Examining…");
    fill(report, h("p", { class: "muted working" }, "Looking at every step on the way…"));
    try {
      const { location, body } = await send("POST", "/v1/doctor", { patient: patient.value.trim() }, { once: true });
      const found = await settled(location ?? `/v1/doctor/${body.id}`, (job) => !isOver && job.state === "running", 120);
      fill(report, findings(found));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(report, h("p", { class: "notice bad" }, error.message));
    }
    done();
  });
  return { title: "Doctor", element: h("div", { class: "page" }, titled("Doctor", "Why a peer cannot be reached, and what to do about it."), form, report), end: () => (isOver = true) };
}

function findings(job) {
  const found = job.findings ?? [];
  if (job.state !== "done") return h("p", { class: "notice bad" }, job.failure?.words ?? "The doctor is still at it; ask again in a moment.");
  const wrong = found.filter((finding) => finding.verdict === "wrong").length;
  return [
    h("h2", {}, wrong ? `${wrong} of ${found.length} steps ${wrong === 1 ? "is" : "are"} wrong` : "Everything is in order"),
    h("ol", { class: "findings" }, found.map((finding) => {
      const [tone, words] = VERDICTS[finding.verdict] ?? ["plain", finding.verdict];
      return h("li", { class: `finding ${tone}` }, h("p", { class: "finding-head" }, pill(tone, words), h("span", { class: "mono muted" }, finding.step)), h("p", { class: "what" }, finding.what), finding.remedy ? h("p", { class: "remedy" }, icon("next"), finding.remedy) : null);
    })),
  ];
}
