// The console: pages by what stands behind the # in the address, the state of the connection, the colours, the token.

import { useToken, whenUnauthorized } from "./api.js";
import { say, shown, soon } from "./dom.js";
import { doctorPage, sendPage } from "./forms.js";
import { outboxPage, registrationPage } from "./keeping.js";
import { laddersPage } from "./ladders.js";
import { certificatesPage, failuresPage, flowsPage, sessionsPage } from "./lists.js";
import { overviewPage } from "./overview.js";
import { Store } from "./store.js";
import { transfersPage } from "./transfers.js";
import { presencePage, subscriptionsPage } from "./watching.js";

const PAGES = {
  "": overviewPage,
  ladders: laddersPage,
  flows: flowsPage,
  sessions: sessionsPage,
  transfers: transfersPage,
  subscriptions: subscriptionsPage,
  presence: presencePage,
  outbox: outboxPage,
  registration: registrationPage,
  failures: failuresPage,
  certificates: certificatesPage,
  send: sendPage,
  doctor: doctorPage,
};

const LINKS = {
  connecting: "connecting",
  open: "live",
  lost: "connection lost; trying again",
  refused: "the service refuses its events",
  locked: "locked",
};

const byId = (id) => document.getElementById(id);
const store = new Store();
let page = null;

store.soon = soon;

/** Tell something that has just been done; a failure stays until the next one. */
store.announce = (words, isBad = false) => {
  const line = byId("announce");
  line.className = isBad ? "toast bad" : "toast";
  line.textContent = "";
  line.textContent = shown(words);
  clearTimeout(store.toast);
  store.toast = setTimeout(() => (line.className = "unseen"), isBad ? 9000 : 2500);
};

function route() {
  const [, name = "", query = ""] = /^#?\/?([^?]*)\??(.*)$/.exec(location.hash) ?? [];
  const make = PAGES[name] ?? PAGES[""];
  page?.end();
  page = make(store, new URLSearchParams(query));
  byId("main").replaceChildren(page.element);
  document.title = `${page.title} – ${store.localName} – sip-p2p`;
  for (const link of document.querySelectorAll(".places a")) {
    const isHere = link.getAttribute("href") === `#/${PAGES[name] ? name : ""}`;
    if (isHere) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
}

/** After a page was chosen, reading goes on at its title. */
function arrived() {
  route();
  window.scrollTo(0, 0);
  page.element.querySelector("h1")?.focus({ preventScroll: true });
}

function drawLink() {
  byId("link").dataset.link = store.link;
  say(byId("link-words"), LINKS[store.link] ?? store.link);
}

function drawTallies() {
  for (const name of ["flows", "sessions", "failures"]) {
    const number = store.totals[name];
    say(byId(`tally-${name}`), number ? number.toLocaleString("en-GB") : "");
  }
}

function drawParty() {
  say(byId("party"), store.service?.uri ?? "");
  const { is_ready: isReady, is_draining: isDraining, state = "" } = store.service ?? {};
  say(byId("state"), isDraining ? "draining" : isReady ? "ready" : state);
  byId("state").className = `pill ${isReady ? "good" : "warn"}`;
  if (page) document.title = `${page.title} – ${store.localName} – sip-p2p`;
}

const THEMES = ["system", "light", "dark"];

function drawTheme() {
  const theme = document.documentElement.dataset.theme ?? "system";
  say(byId("theme-words"), theme);
  byId("theme").setAttribute("aria-label", `Colours: ${theme === "system" ? "as the system has them" : theme}; press to change`);
}

function nextTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  if (next === "system") delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    localStorage.setItem("sip-p2p-theme", next);
  } catch {
    // Then the next visit begins with the system's colours.
  }
  drawTheme();
}

function unlock() {
  const lock = byId("lock");
  byId("lock-form").addEventListener("submit", () => {
    useToken(byId("token").value.trim());
    byId("token").value = "";
    lock.dataset.tried = "yes";
    store.start();
    arrived();
  });
  // Without a token there is nothing to see behind it.
  lock.addEventListener("cancel", (event) => event.preventDefault());
  whenUnauthorized(() => {
    if (lock.open) return;
    say(byId("lock-complaint"), lock.dataset.tried ? "The service does not know this token." : "");
    useToken("");
    lock.showModal();
  });
}

byId("theme").addEventListener("click", nextTheme);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
window.addEventListener("hashchange", arrived);
window.addEventListener("pagehide", () => store.leaveEvents?.());
window.addEventListener("pageshow", (event) => event.persisted && store.start());
store.on("link", drawLink);
store.on("service", drawParty);
for (const name of ["flows", "sessions", "failures"]) store.on(name, drawTallies);
unlock();
drawTheme();
drawLink();
route();
store.start();
