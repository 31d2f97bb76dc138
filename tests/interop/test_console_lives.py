"""The pages of the console for what lives on beside sessions, in a headless Chromium: subscriptions of both sides,
presence, publications, transfers, the outbox and registrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sip_p2p import EventStateCompositor, FromPolicy, PresencePackage
from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.subscription.package import EventPackage, Verdict
from sip_p2p.service.silence import silent_answer, silent_offer
from tests.interop.peers.devtools import Chromium
from tests.interop.peers.program import until
from tests.interop.support import reactor
from tests.interop.test_console import HIDDEN, HOSTILE, LIFE, ConsoleCase

ALICE = "sip:alice@a.example"
BOB = "sip:bob@b.example"
PAGES = ("transfers", "subscriptions", "presence", "outbox", "registration")

WITHOUT = {
    "registration": (".empty h2", "Not registered"),
    "outbox": (".notice", "--outbox"),
    "presence": (".help", "--package presence"),
}
FETCHED = """
performance.getEntriesByType('resource').map((each) => [new URL(each.name).pathname, each.responseStatus])
"""


class Lines(EventPackage):
    """What Bob tells: lines of text, of which a stranger may write the next."""

    name = "lines"
    content_types = ("text/plain",)

    def __init__(self, body: str) -> None:
        super().__init__()
        self.body = body

    def state(self, subscription: Any) -> tuple[str, bytes]:
        """What there is to tell."""
        return "text/plain", self.body.encode()


class LivesCase(ConsoleCase):
    """Somebody who works with these pages."""

    async def fill_in(self, browser: Chromium, **fields: str) -> None:
        """Write into the fields of a form, by keyboard, and send it off with Enter."""
        for name, text in fields.items():
            await browser.value(f"document.querySelector('[name={name.replace('_', '-')}]').select()")
            await browser.type(text)
        await browser.press("Enter")


class SubscriptionTests(LivesCase):
    """Whom we watch."""

    async def test_a_life_of_one(self) -> None:
        """row:J1: a subscription is begun with the form, its state and what was notified are seen as they come, and it
        is ended."""
        await self.with_bob()
        lines = Lines("at my desk")
        self.bob.packages.add(lines)
        browser = await self.look(await self.serve(), "subscriptions")
        await self.show(browser, ".empty h2", "We watch nobody")
        await self.fill_in(browser, to=BOB, event="lines")
        await self.show(browser, ".grid-row .pill", "subscribed")
        await self.tab_to(browser, ".grid-row")
        await browser.press("Enter")
        await self.show(browser, ".told .body", "at my desk")
        lines.body = "gone out"
        lines.changed()
        await self.show(browser, ".told .body", "gone out")
        await self.go(browser, "")
        await self.show(browser, ".log-line", "lines of bob@b.example: gone out")
        await self.go(browser, "subscriptions")
        await browser.click(".deeds button[aria-label^=End]")
        await self.show(browser, ".empty h2", "We watch nobody")
        await until(reactor, lambda: not list(lines.subscribers), 10, "the end at Bob")
        self.assertEqual(browser.console, [])

    async def test_refused(self) -> None:
        """What the notifier refuses is told in words."""
        await self.with_bob()
        browser = await self.look(await self.serve(), "subscriptions")
        await self.fill_in(browser, to=BOB, event="presence")
        await self.show(browser, "#announce", "The peer answered 4")

    async def test_hostile_text(self) -> None:
        """fault:B4: what a notifier writes is text: nothing of it runs, and what hides in it is made visible."""
        await self.with_bob()
        self.bob.packages.add(Lines(f"{HOSTILE} {HIDDEN}"))
        browser = await self.look(await self.serve(), "subscriptions")
        await self.fill_in(browser, to=BOB, event="lines")
        await self.show(browser, ".grid-row .pill", "subscribed")
        await browser.click(".grid-row .cell")
        await self.show(browser, ".told .body", "<img src=x")
        await self.show(browser, ".told .body", "\\u202eevil\\u200b")
        for page in ("", "subscriptions"):
            await self.go(browser, page)
            self.assertEqual(await browser.value("document.querySelectorAll('main img, main script').length"), 0)
        self.assertIsNone(await browser.value("window.hit"))
        self.assertNotIn("\u202e", await browser.value("document.body.textContent"))


class PresenceTests(LivesCase):
    """What we say of ourselves, and to whom."""

    async def test_who_watches(self) -> None:
        """row:J9: who wants to watch us waits on the page, is approved there, sees what we say in the form, and is sent
        away."""
        await self.with_bob()
        address = await self.serve()
        self.service.endpoint.packages.add(PresencePackage(may_watch=lambda _: Verdict(is_pending=True)))
        browser = await self.look(address, "presence")
        await self.show(browser, ".empty h2", "Nobody watches us")
        watching = self.bob.create_subscription(ALICE, "presence", retry="never")
        seen: list[Any] = []
        watching.notification_received.subscribe(seen.append)
        starting = watching.start()
        await self.show(browser, ".grid-row .pill", "pending")
        await starting
        await browser.click(".deeds button[aria-label^=Approve]")
        await self.show(browser, ".grid-row .pill", "active")
        await browser.value("document.querySelector('[name=status]').value = 'closed'")
        await self.fill_in(browser, note="back at <three> & later")
        await self.show(browser, ".help", "Told is: closed, back at <three> & later")
        await until(reactor, lambda: bool(seen) and bool(seen[-1].body), 10, "what Bob sees")
        said = seen[-1].document
        self.assertEqual((said.is_open, said.tuples[0].notes[0].text), (False, "back at <three> & later"))
        await browser.click(".deeds button[aria-label^=End]")
        await until(reactor, lambda: watching.is_over, 10, "the end of Bob's subscription")
        self.assertEqual(watching.reason, "rejected")
        await self.show(browser, ".empty h2", "Nobody watches us")

    async def test_a_publication(self) -> None:
        """row:J11: the form publishes at a server, what is kept there is seen, and taken back."""
        await self.with_bob()
        kept = PresencePackage()
        compositor = EventStateCompositor(self.bob, [kept], may_publish=lambda *_: True)
        address = await self.serve("--proxy", self.proxy_of_bob(), "--proxy-name", "b.example")
        self.service.endpoint.packages.add(PresencePackage())
        browser = await self.look(address, "presence")
        await self.fill_in(browser, note="<b>here</b>")
        await self.show(browser, ".help", "Told is: open, <b>here</b>")
        await browser.click("form .quiet")
        await self.show(browser, ".half .grid-row .pill", "stands")
        self.assertEqual(len(compositor), 1)
        await browser.click(".deeds button[aria-label^=Take]")
        await until(reactor, lambda: len(compositor) == 0, 10, "the end of the publication")

    def proxy_of_bob(self) -> str:
        """Where Bob listens, as a first hop."""
        manager: Any = self.bob.connection_manager
        return f"127.0.0.1:{manager.listening_port}"


class TransferTests(LivesCase):
    """Who is to talk to whom."""

    async def test_blind(self) -> None:
        """row:I9: a session is transferred from its row to an address, and what came of it is told."""
        await self.with_bob()
        referred: list[Any] = []

        def received(referral: Any) -> None:
            referred.append(str(referral.target))
            referral.accept(False)
            referral.progress(200)

        self.bob.refer_received.subscribe(received)
        browser = await self.look(await self.serve(), "sessions")
        calling = self.bob.invite(ALICE, silent_offer())
        await self.show(browser, ".grid-row", "incoming")
        await browser.click(".deeds .primary")
        await calling
        await self.show(browser, ".grid-row", "connected")
        await browser.click(".deeds button[aria-label^=Transfer]")
        await browser.until("document.querySelector('dialog.transfer').open")
        self.assertEqual(await browser.value(LIFE), [])
        await browser.press("Escape")
        await browser.until("document.querySelector('dialog.transfer') === null")
        await browser.click(".deeds button[aria-label^=Transfer]")
        await self.fill_in(browser, transfer_to="sip:carol@c.example")
        await self.show(browser, "#announce", "Transferred")
        self.assertEqual(referred, ["sip:carol@c.example"])

    async def test_refused(self) -> None:
        """A peer that does not let itself be transferred says so in the dialog."""
        await self.with_bob()
        browser = await self.look(await self.serve(), "sessions")
        calling = self.bob.invite(ALICE, silent_offer())
        await self.show(browser, ".grid-row", "incoming")
        await browser.click(".deeds .primary")
        await calling
        await self.show(browser, ".grid-row", "connected")
        await browser.click(".deeds button[aria-label^=Transfer]")
        await self.fill_in(browser, transfer_to="sip:carol@c.example")
        await self.show(browser, ".transfer .complaint", "The peer answered ")

    async def test_attended(self) -> None:
        """row:I9: two sessions are put together: the peer of one is sent to the peer of the other."""
        await self.with_bob()
        referred: list[Any] = []

        def received(referral: Any) -> None:
            referred.append(referral.refer_to)
            referral.accept(False)
            referral.progress(200)

        async def accept(session: Any) -> None:
            await session.accept(silent_answer(session.offer))

        self.bob.refer_received.subscribe(received)
        self.bob.session_received.subscribe(accept)
        browser = await self.look(await self.serve(), "sessions")
        for _ in range(2):
            await self.service.endpoint.invite(BOB, silent_offer())
        await browser.until("document.querySelectorAll('.grid-row').length === 2")
        await self.show(browser, ".grid-row", "connected")
        await browser.click(".deeds button[aria-label^=Transfer]")
        await browser.value(
            "(() => { const each = document.querySelector('[name=transfer-session]');"
            "each.selectedIndex = 1; each.dispatchEvent(new Event('change')); })()"
        )
        await browser.click(".transfer .primary")
        await self.show(browser, "#announce", "Transferred")
        self.assertIsNotNone(referred[0].replaces)

    async def test_what_a_peer_asks_for(self) -> None:
        """row:I8: a REFER of a peer's waits on the page until it is decided on; one of ours is sent with the form."""
        await self.with_bob()
        browser = await self.look(await self.serve(), "transfers")
        await self.show(browser, ".empty h2", "No referrals")
        referring = self.bob.refer(ALICE, "sip:carol@c.example")
        referring.addErrback(lambda _: None)
        await self.show(browser, ".grid-row .pill", "waiting")
        await self.show(browser, ".grid-row", "INVITE sip:carol@c.example")
        await browser.click(".deeds button[aria-label^=Decline]")
        await self.show(browser, ".empty h2", "No referrals")
        asked: list[str] = []
        self.bob.refer_received.subscribe(lambda referral: (asked.append(str(referral.target)), referral.accept(False)))
        await self.fill_in(browser, peer=BOB, to="sip:dave@d.example")
        await self.show(browser, ".grid-row", "INVITE sip:dave@d.example")
        await until(reactor, lambda: asked == ["sip:dave@d.example"], 10, "what Bob is asked for")


class KeepingTests(LivesCase):
    """What is kept for later."""

    async def test_without(self) -> None:
        """A service that has none of it says on each page what would be there, and how to have it; nothing is fetched
        that is not there."""
        await self.with_bob()
        address = await self.serve()
        for pages in (("registration", "outbox", "presence"), ("outbox",), ("presence",)):
            browser = await self.look(address, pages[0])
            for page in pages:
                await self.go(browser, page)
                selector, words = WITHOUT[page]
                await self.show(browser, selector, words)
            fetched = await browser.value(FETCHED)
            self.assertTrue([path for path, status in fetched if (path, status) == ("/v1", 200)], fetched)
            self.assertEqual([each for each in fetched if each[1] >= 400], [])
            self.assertEqual(browser.console, [])

    async def test_the_outbox(self) -> None:
        """A message is queued with the form, and its outcome is seen; one that waits is deleted after a question."""
        await self.with_bob()
        address = await self.serve("--outbox", str(Path(self.folder()) / "outbox.db"))
        browser = await self.look(address, "outbox")
        await self.fill_in(browser, to=BOB, text="good morning")
        await self.show(browser, ".grid-row .pill", "delivered")
        self.assertEqual(self.heard, ["good morning"])
        await self.bob.connection_manager.terminate()
        await self.fill_in(browser, to=BOB, text="good evening")
        await browser.until("document.querySelectorAll('.grid-row').length === 2")
        await browser.value("window.confirm = () => true")
        for _ in range(2):
            await browser.click(".deeds button[aria-label^=Delete]")
        await self.show(browser, ".empty h2", "Nothing waits")

    async def test_what_has_failed(self) -> None:
        """A message that was refused says so, and is queued anew from its row."""
        await self.with_bob()
        answers = [603, 200]
        self.bob.handle("MESSAGE", lambda _: answers.pop(0))
        address = await self.serve("--outbox", str(Path(self.folder()) / "outbox.db"))
        browser = await self.look(address, "outbox")
        await self.fill_in(browser, to=BOB, text="good morning")
        await self.show(browser, ".grid-row .pill", "failed")
        await self.show(browser, ".grid-row", "603")
        await browser.click(".deeds button[aria-label^=Retry]")
        await self.show(browser, ".grid-row .pill", "delivered")

    async def test_a_registration(self) -> None:
        """Where we are registered is seen with what was granted, and told again when somebody wants it."""
        await self.with_bob()
        self.bob.connection_manager.from_policy = FromPolicy.any_from()
        told: list[str] = []

        def register(incoming: Any) -> Any:
            headers = incoming.request.headers
            told.append(headers["Expires"])
            response = incoming.response(200, headers=[("Service-Route", "<sip:edge.b.example;lr>")])
            if headers["Expires"] != "0":
                response.headers.add("Contact", f"{headers['Contact']};expires={headers['Expires']}")
            return response

        self.bob.handle("REGISTER", register)
        browser = await self.look(await self.serve("--register", "sip:b.example"), "registration")
        await self.show(browser, ".card .pill", "registered")
        await self.show(browser, ".card dd", "<sip:edge.b.example;lr>")
        self.assertEqual(await browser.value(LIFE), [])
        before = len(told)
        await browser.click(".card .actions button")
        await until(reactor, lambda: len(told) > before, 10, "another REGISTER")


class UseTests(LivesCase):
    """For everybody, on every screen."""

    timeout = 120

    async def test_everybody_can_use_it(self) -> None:
        """On each page, dark and light, wide and narrow: each text has its contrast, each control its name, and nothing
        sticks out."""
        await self.with_bob()
        presence = PresencePackage()
        presence.set(BOB, Presence.of(BOB, note="here"))
        self.bob.packages.add(presence)
        address = await self.serve()
        self.service.endpoint.packages.add(PresencePackage())
        watching = await self.service.endpoint.subscribe(BOB, "presence")
        watching.notification_received.subscribe(lambda _: None)
        await self.bob.subscribe(ALICE, "presence", queue=1)
        browser = await self.look(address, "subscriptions")
        await self.show(browser, ".grid-row .pill", "subscribed")
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                await browser.colours(scheme)
                await browser.resize(width, 800)
                for page in PAGES:
                    await self.go(browser, page)
                    await browser.until("!document.getAnimations().some((each) => each instanceof CSSTransition)")
                    self.assertEqual(await browser.value(LIFE), [], f"{page}, {scheme}, {width}")
