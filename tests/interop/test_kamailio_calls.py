"""Calls through Kamailio, which stays in their way: mutual TLS on both sides of it, and other transports."""

from __future__ import annotations

import os
import signal
from typing import Any

from sip_p2p import Recovery, RequestFailed, SessionTerminated
from tests.interop.calls import Call, Called, CallTestCase
from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER, session_description
from tests.interop.support import Party, reactor
from tests.interop.test_outbound_proxy import ON_LOOPBACK, PROXY

HELD = session_description(40000, "sendonly", 2)
RECEIVING = session_description(50000, "recvonly", 2, "answering")


class KamailioCallTestCase(CallTestCase):
    """Kamailio, and parties on either side of it."""

    needs = (Kamailio,)

    async def start(self, **options: Any) -> Kamailio:
        """Kamailio, which proves its own name."""
        kamailio = self.peer(Kamailio)
        leaf = self.certificates.for_domain_only(PROXY)
        self.options = {"client_certificate": leaf, "alias": PROXY, **options}
        await kamailio.start(leaf, self.certificates.trust, **self.options)
        return kamailio

    async def again(self, kamailio: Kamailio) -> None:
        """Kamailio is killed, and started again."""
        os.killpg(kamailio.program.pid, signal.SIGKILL)
        await kamailio.program.ended()
        await kamailio.start(self.certificates.for_domain_only(PROXY), self.certificates.trust, **self.options)

    async def callee(self, domain: str = "b.example", **options: Any) -> Party:
        """A party that takes connections of Kamailio, and what it passes on."""
        leaf = self.certificates.right(domain)
        return await self.tls_party(
            f"tls:{ON_LOOPBACK}", certificate=leaf, allow=[PROXY], trusted_proxies=[PROXY], **options
        )

    async def caller(self, kamailio: Kamailio, **options: Any) -> Party:
        """A party behind Kamailio, which nobody else can reach."""
        proxy = f"tls:127.0.0.1:{kamailio.ports['tls']}"
        return await self.tls_party(proxy=proxy, proxy_tls_name=PROXY, trusted_proxies=[PROXY], **options)

    async def converse(self, mine: Call, theirs: Call) -> None:
        """Changes by re-INVITE and UPDATE, and messages, from either side."""
        for session, other in ((mine.session, theirs.session), (theirs.session, mine.session)):
            subscriptions: list[Any] = []
            heard: list[str] = []
            subscriptions.append(other.offer_received.subscribe(lambda offer: RECEIVING))
            other.message_received.subscribe(lambda event: heard.append(event.text))  # noqa: B023
            for method in ("INVITE", "UPDATE"):
                answer = await session.renegotiate(HELD, method=method)
                self.assertIn(b"a=recvonly", answer.body)
                self.assertIn(b"a=sendonly", other.remote_description.body)
            self.assertEqual((await session.send_message("within")).status, 200)
            self.assertEqual(heard, ["within"])
            self.assertEqual((await session.request("OPTIONS")).status, 200)


class MutualTlsTests(KamailioCallTestCase):
    """Both sides prove who they are, to Kamailio."""

    async def stands(self, **options: Any) -> tuple[Kamailio, Call, Call]:
        """A call through Kamailio: our side and the other."""
        party = await self.callee()
        called = Called(party)
        kamailio = await self.start(relays={"bob": party.uri("tls")})
        mine = await self.call(await self.caller(kamailio), f"sip:bob@{PROXY}", OFFER, **options)
        theirs = await called.call()
        await theirs.reaches("CONNECTED")
        return kamailio, mine, theirs

    async def test_caller_hangs_up(self) -> None:
        """A call is changed from either side by re-INVITE and UPDATE, all by way of Kamailio's Record-Route, and the
        caller's BYE goes the same way (row:H17, row:H19, row:H20, row:H25, row:G6)."""
        kamailio, mine, theirs = await self.stands()
        await self.converse(mine, theirs)
        await mine.session.terminate()
        self.assertEqual(await theirs.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        for method in ("ACK", "UPDATE", "MESSAGE", "BYE"):
            self.assertRegex(kamailio.log, rf"ROUTED\|{method}\|")

    async def test_callee_hangs_up(self) -> None:
        """The callee's BYE reaches a caller that listens nowhere (row:H17, row:E16)."""
        kamailio, mine, theirs = await self.stands()
        await theirs.session.terminate()
        self.assertEqual(await mine.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        self.assertRegex(kamailio.log, r"ROUTED\|BYE\|")

    async def test_reliable(self) -> None:
        """Reliable provisional responses, PRACK and an UPDATE before the call is answered pass through (row:H9,
        row:H10, row:H11)."""
        party = await self.callee()
        called = Called(party, None, rings=False, accepts=False)
        kamailio = await self.start(relays={"bob": party.uri("tls")})
        mine = self.begin(await self.caller(kamailio), f"sip:bob@{PROXY}", reliable="required")
        standing = mine.session.establish(OFFER)
        theirs = await called.call()
        theirs.session.offer_received.subscribe(lambda offer: RECEIVING)
        early = theirs.session.ring(183, answer=ANSWER)
        await until(reactor, lambda: mine.session.remote_description is not None, 10, "an answer")
        (dialog,) = mine.session.early_dialogs
        answer = await mine.session.renegotiate(HELD, dialog=dialog)
        self.assertIn(b"recvonly", answer.body)
        theirs.session.ring(180, dialog=early)
        await mine.reaches("ALERTED")
        await theirs.session.accept()
        await standing
        self.assertRegex(kamailio.log, r"ROUTED\|PRACK\|")
        await theirs.session.terminate()
        await mine.reaches("DISCONNECTED")

    async def test_cancelled_and_refused(self) -> None:
        """CANCEL passes through, and so do a refusal and a redirection (row:H16, row:H5, row:H6)."""
        party = await self.callee()
        called = Called(party, accepts=False)
        kamailio = await self.start(relays={"bob": party.uri("tls")})
        caller = await self.caller(kamailio)
        mine = self.begin(caller, f"sip:bob@{PROXY}")
        standing = mine.session.establish(OFFER)
        await mine.reaches("ALERTED")
        gone = mine.session.terminate()
        await self.failure_of(standing, SessionTerminated)
        await gone
        self.assertEqual(await (await called.call()).reaches("DISCONNECTED"), "CANCELED")
        mine = self.begin(caller, f"sip:bob@{PROXY}", max_redirects=0)
        standing = mine.session.establish(OFFER)
        (await called.call(1)).session.redirect(["sip:bob@elsewhere.example"])
        self.assertEqual((await self.failure_of(standing, RequestFailed)).response.status, 302)
        mine = self.begin(caller, f"sip:bob@{PROXY}")
        standing = mine.session.establish(OFFER)
        (await called.call(2)).session.reject(486)
        self.assertEqual((await self.failure_of(standing, RequestFailed)).response.status, 486)

    async def test_forked(self) -> None:
        """Kamailio forks to two: both ring, one accepts, the other one is cancelled; a call that both refuse fails with
        the better reason (row:H12, row:H14)."""
        parties = [await self.callee("b.example"), await self.callee("c.example")]
        called = [Called(party, accepts=False) for party in parties]
        kamailio = await self.start(forks={"team": [party.uri("tls") for party in parties]})
        caller = await self.caller(kamailio)
        mine = self.begin(caller, f"sip:team@{PROXY}")
        forked: list[Any] = []
        mine.session.forked.subscribe(forked.append)
        standing = mine.session.establish(OFFER)
        await until(reactor, lambda: len(mine.session.early_dialogs) == 2, 10, "two that ring")
        one, other = [await each.call() for each in called]
        await other.session.accept(ANSWER)
        await standing
        self.assertEqual(await one.reaches("DISCONNECTED"), "CANCELED")
        self.assertEqual(len(forked), 1)
        await mine.session.terminate()
        await other.reaches("DISCONNECTED")
        mine = self.begin(caller, f"sip:team@{PROXY}")
        standing = mine.session.establish(OFFER)
        for each, status in zip(called, (486, 480), strict=True):
            (await each.call(1)).session.reject(status)
        self.assertIn((await self.failure_of(standing, RequestFailed)).response.status, (480, 486))

    async def test_both_accept(self) -> None:
        """Both branches accept at once: the caller keeps one and ends the other, by way of Kamailio (row:H12,
        fault:D7)."""
        parties = [await self.callee("b.example"), await self.callee("c.example")]
        called = [Called(party, rings=False, accepts=False) for party in parties]
        kamailio = await self.start(forks={"team": [party.uri("tls") for party in parties]})
        mine = self.begin(await self.caller(kamailio), f"sip:team@{PROXY}")
        standing = mine.session.establish(OFFER)
        calls = [await each.call() for each in called]
        accepting = [call.session.accept(ANSWER).addErrback(lambda failure: None) for call in calls]
        await standing
        for each in accepting:
            await each
        await until(
            reactor, lambda: sum(call.session.state.name == "CONNECTED" for call in calls) == 1, 10, "one of them"
        )
        await mine.session.terminate()
        for call in calls:
            await call.reaches("DISCONNECTED")

    async def test_kamailio_is_killed(self) -> None:
        """Kamailio is killed in the midst of a call and comes back: the call is taken up on a new connection, each side
        learns the other's new Contact, and either can hang up (row:H32)."""
        kamailio, mine, theirs = await self.stands(recovery=Recovery.LIMITED)
        told: list[str] = []
        mine.session.route_set_changed.subscribe(lambda event: told.append(event.status.name))
        await self.again(kamailio)
        await until(reactor, lambda: told[-1:] == ["HEALTHY"], 20, f"recovery: {told} {mine.states} {theirs.states}")
        self.assertEqual(told[0], "RECOVERING")
        self.assertEqual((await theirs.session.request("OPTIONS")).status, 200)
        await theirs.session.terminate()
        self.assertEqual(await mine.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")

    async def test_kamailio_stays_away(self) -> None:
        """Where the way is not looked for, the first request finds none, and that ends the call (row:H32)."""
        kamailio, mine, theirs = await self.stands(recovery=Recovery.NONE)
        os.killpg(kamailio.program.pid, signal.SIGKILL)
        await kamailio.program.ended()
        await mine.session.terminate()
        await theirs.session.terminate()


class ClearTextTests(KamailioCallTestCase):
    """Other transports, the two sides not always the same."""

    async def test_transports(self) -> None:
        """UDP to UDP, TCP to UDP, UDP to TCP: Kamailio is in the way with two Record-Routes where it has to be, and
        either side hangs up (row:G6, row:H17)."""
        for before, after in (("udp", "udp"), ("tcp", "udp"), ("udp", "tcp")):
            party = await self.clear_text_party(f"{after}:{ON_LOOPBACK}")
            called = Called(party)
            kamailio = await self.start(relays={"bob": party.uri(after)})
            caller = await self.clear_text_party(proxy=f"{before}:127.0.0.1:{kamailio.ports[before]}")
            for number in range(2):
                mine = await self.call(caller, f"sip:bob@{PROXY}", OFFER)
                theirs = await called.call(number)
                await theirs.reaches("CONNECTED")
                await self.converse(mine, theirs)
                ends, hears = (mine, theirs) if number else (theirs, mine)
                await ends.session.terminate()
                self.assertEqual(await hears.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
