// REFERs outside and inside of sessions: what peers ask of us, and what we ask of them.

import { h, pill, who } from "./dom.js";
import { field, line } from "./fields.js";
import { act, listPage, silence } from "./lists.js";
import { asking } from "./watching.js";

const STATES = { waiting: "warn", succeeded: "good", accepted: "good", trying: "warn", progressing: "warn", referring: "warn", failed: "bad", declined: "bad", terminated: "note", redirected: "note" };

const pathOf = (referral) => `/v1/referrals/${encodeURIComponent(referral.id)}`;

/** Referrals in either direction, with what can be done to each. */
export function transfersPage(store) {
  const peer = line({ required: true, placeholder: "sip:bob@b.example" });
  const to = line({ required: true, placeholder: "sip:carol@c.example" });
  const form = asking(store, "referrals", "A referral", "Refer", [field("peer", "Ask", peer), field("to", "to call", to)], () => ["/v1/referrals", { peer: peer.value.trim(), to: to.value.trim() }]);
  return listPage(store, {
    name: "referrals",
    title: "Transfers",
    label: "Narrow down: name, state",
    words: (all) => `${all.filter((each) => each.direction === "in" && each.state === "waiting").length} wait for a decision; a session is transferred from the page of sessions`,
    search: (each) => [each.peer, each.from, each.to, each.state, each.referred_by].join(" "),
    above: form,
    grid: {
      label: "Referrals",
      key: (each) => each.id,
      height: 48,
      empty: h("div", {}, h("h2", {}, "No referrals"), h("p", {}, "What peers ask us to do by REFER, and what we ask of them, appears here while it is under way.")),
      columns: [
        { title: "Who asks", width: "minmax(150px, 1.4fr)", few: "minmax(0, 1fr)", order: (each) => each.direction, cell: (each) => (each.direction === "out" ? "we" : who(each.peer, each.from)) },
        { title: "For what", width: "minmax(150px, 1.6fr)", few: "minmax(0, 1fr)", order: (each) => each.to, cell: (each) => h("bdi", { class: "mono" }, `${each.method} ${each.to}`) },
        { title: "State", width: "120px", wide: true, order: (each) => each.state, cell: (each) => pill(STATES[each.state] ?? "plain", each.state) },
        { title: "Answer", width: "minmax(90px, 1fr)", wide: true, cell: (each) => [each.status, each.reason].filter(Boolean).join(" ") },
        { title: "For whom", width: "minmax(90px, 1fr)", wide: true, cell: (each) => h("bdi", {}, each.referred_by ?? "") },
        { name: "Actions", width: "180px", few: "132px", cell: (each) => deeds(store, each) },
      ],
    },
  });
}

function deeds(store, each) {
  const deed = (words, kind, method, tail, body) => h("button", { type: "button", class: `small ${kind}`, "aria-label": `${words}: ${each.method} ${each.to}`, onclick: () => act(store, "referrals", "", method, pathOf(each) + tail, body) }, words);
  if (each.direction === "in" && each.state === "waiting") return h("div", { class: "deeds" }, deed("Do it", "primary", "POST", "/accept", silence()), deed("Decline", "quiet", "POST", "/decline", {}));
  return h("div", { class: "deeds" }, deed("Leave", "quiet", "DELETE", ""));
}
