// Where the peer of a session is to go: to an address, or to the peer of another session of ours.

import { Problem, send, settled } from "./api.js";
import { h, say } from "./dom.js";
import { choice, field, line, whileBusy } from "./fields.js";

const WAIT = 10;

/** Ask where to, have it done, and tell what came of it. `far` says who is at the other end of a session. */
export function transferDialog(store, session, far) {
  const others = store.lists.sessions.filter((each) => each.id !== session.id && each.state === "connected");
  const to = line({ placeholder: "sip:carol@c.example" });
  const other = choice([["", "an address"], ...others.map((each) => [each.id, `${far(each)} (session ${each.id})`])]);
  const toBox = field("transfer-to", "To", to, "The peer is asked to call there, and says what comes of it.");
  const complaint = h("p", { class: "complaint", role: "alert" });
  const submit = h("button", { type: "submit", class: "primary" }, "Transfer");
  const cancel = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel");
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "transfer-title" }, `Transfer ${far(session)}`),
    others.length ? field("transfer-session", "To whom", other, "With whom we talk in another session: the two are connected, and we leave.") : null,
    toBox,
    complaint,
    h("p", { class: "actions" }, cancel, submit),
  );
  const dialog = h("dialog", { class: "transfer", "aria-labelledby": "transfer-title" }, form);
  const show = () => {
    toBox.hidden = other.value !== "";
    to.required = other.value === "";
  };
  other.addEventListener("change", show);
  show();
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const done = whileBusy(form, submit, "Transferring…");
    say(complaint, "");
    const asked = other.value ? { session: other.value } : { to: to.value.trim() };
    try {
      const { location, body } = await send("POST", `/v1/sessions/${encodeURIComponent(session.id)}/transfer`, asked, { wait: WAIT, once: true });
      const found = body.state !== "pending" ? body : await settled(location, (each) => each.state === "pending");
      if (found.state === "failed") say(complaint, [found.failure?.words, found.failure?.remedy].filter(Boolean).join(" ") || "It failed.");
      else {
        store.announce?.(found.state === "pending" ? "The peer has not said yet what came of it." : `Transferred: ${found.response?.status ?? ""} ${found.response?.reason ?? ""}`);
        dialog.close();
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      say(complaint, error.message);
    }
    done();
    store.refreshers.sessions();
  });
  document.body.append(dialog);
  dialog.showModal();
}
