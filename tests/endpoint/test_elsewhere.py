"""Requests that are redirected."""

from __future__ import annotations

from typing import Any

from sip_p2p import ConnectionFailure, OperationTimeout, RequestFailed, SipPeerToPeerEndpoint
from sip_p2p.sip.message import Response
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

BOB = "sip:bob@b.example"


class RedirectedTests(SynchronousTestCase):
    """Row F11: 3xx to what is no INVITE (RFC 3261 section 8.1.3.4)."""

    def setUp(self) -> None:
        """Alice asks Bob, who sends her on to others."""
        self.network = Network(delay=0.01)
        self.addCleanup(self.network.finish)
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party(BOB)
        self.carol = self.network.party("sip:carol@c.example")
        self.dave = self.network.party("sip:dave@d.example")
        self.heard: list[tuple[str, Any]] = []
        for name, party in (("bob", self.bob), ("carol", self.carol), ("dave", self.dave)):
            party.handle("MESSAGE", lambda event, name=name: self.heard.append((name, event.request)))

    def sends_on(self, party: SipPeerToPeerEndpoint, name: str, *contacts: str, status: int = 302) -> None:
        """*party* answers with these contacts."""

        def handler(event: Any) -> Response:
            self.heard.append((name, event.request))
            response: Response = event.response(status)
            for contact in contacts:
                response.headers.add("Contact", contact)
            return response

        party.handle("MESSAGE", handler)

    def answers(self, party: SipPeerToPeerEndpoint, name: str, status: int) -> None:
        """*party* answers with *status*."""
        self.sends_on(party, name, status=status)

    def send(self, target: str = BOB, **arguments: Any) -> int:
        """The final status."""
        sending = self.alice.request("MESSAGE", target, body="x", **({"max_redirects": 3} | arguments))
        try:
            return self.network.run_until(sending).status  # type: ignore[attr-defined]
        except RequestFailed as failure:
            return failure.status

    @property
    def names(self) -> list[str]:
        """Who was asked, in order."""
        return [name for name, _ in self.heard]

    def test_not_by_itself(self) -> None:
        """Unless the application says so, the 3xx is the outcome (row:F11)."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>")
        self.assertEqual(self.send(max_redirects=0), 302)
        sending = self.alice.send_message(BOB, "x")
        self.assertEqual(self.failureResultOf(self.after(sending), RequestFailed).value.status, 302)
        self.assertEqual(self.names, ["bob", "bob"])
        with self.assertRaises(ValueError):
            self.alice.request("MESSAGE", BOB, max_redirects=-1)

    def after(self, deferred: Any) -> Any:
        """*deferred*, a second later."""
        self.network.advance(1)
        return deferred

    def test_followed(self) -> None:
        """It goes where it is sent, as the same request with another Request-URI and a higher CSeq (row:F11)."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example?Subject=moved&Route=%3Csip:evil.example%3E>")
        self.assertEqual(self.send(headers=[("X-Night", "1")]), 200)
        (_, first), (_, second) = self.heard
        self.assertEqual(self.names, ["bob", "carol"])
        self.assertEqual((first.uri_text, second.uri_text), (BOB, "sip:carol@c.example"))
        for field in ("From", "To", "Call-ID", "X-Night"):
            self.assertEqual(first.headers[field], second.headers[field])
        self.assertEqual((first.cseq.number, second.cseq.number, second.body), (1, 2, b"x"))
        self.assertEqual(second.headers["Subject"], "moved")
        self.assertNotIn("Route", second.headers)

    def test_order(self) -> None:
        """Contacts are tried by their preference, the next one where one refuses (row:F11)."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>;q=0.2, <sip:dave@d.example>;q=0.9")
        self.answers(self.dave, "dave", 486)
        self.assertEqual(self.send(), 200)
        self.assertEqual(self.names, ["bob", "dave", "carol"])

    def test_unreachable(self) -> None:
        """One that cannot be connected to, or does not prove its name, is followed by the next one; the last failure
        is the outcome (row:F11)."""
        self.sends_on(
            self.bob, "bob", "<sip:nobody@nowhere.example>", "<sip:carol@c.example:5099>", "<sip:dave@d.example>"
        )
        self.assertEqual(self.send(), 200)
        self.assertEqual(self.names, ["bob", "dave"])
        self.sends_on(self.bob, "bob", "<sip:nobody@nowhere.example>")
        with self.assertRaises(ConnectionFailure):
            self.send()

    def test_everywhere(self) -> None:
        """A 6xx speaks for all, and nobody else is asked (section 21.6, row:F11)."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>, <sip:dave@d.example>")
        self.answers(self.carol, "carol", 603)
        self.assertEqual(self.send(), 603)
        self.assertEqual(self.names, ["bob", "carol"])

    def test_loop(self) -> None:
        """Nobody is asked twice, so a loop ends (row:F11)."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>")
        self.sends_on(self.carol, "carol", "<sip:bob@b.example>, <sip:carol@C.EXAMPLE>")
        self.assertEqual(self.send(), 302)
        self.assertEqual(self.names, ["bob", "carol"])

    def test_chain(self) -> None:
        """As many redirections may follow one another as the application allows (row:F11)."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>")
        self.sends_on(self.carol, "carol", "<sip:dave@d.example>")
        self.assertEqual((self.send(max_redirects=1), self.send(max_redirects=2)), (302, 200))

    def test_most_targets(self) -> None:
        """However many contacts there are, ten are tried."""
        self.sends_on(self.bob, "bob", *(f"<sip:{number}@c.example>" for number in range(20)))
        self.carol.connection_manager.core.directory.fallback = self.carol.profile
        self.answers(self.carol, "carol", 404)
        self.assertEqual(self.send(), 404)
        self.assertEqual(self.names, ["bob"] + ["carol"] * 10)

    def test_never(self) -> None:
        """Never out of TLS, not to this machine, not back to ourselves, not to what is no SIP URI, and not by 305
        (RFC 5630 section 4, row:F11)."""
        for contact in (
            "<sip:carol@c.example;transport=tcp>",
            "<sip:carol@127.0.0.1>",
            "<sip:alice@a.example>",
            "<mailto:carol@c.example>",
            "<sip:carol@c.example:0>",
            "nonsense",
        ):
            self.sends_on(self.bob, "bob", contact)
            self.assertEqual(self.send(), 302, contact)
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>")
        self.assertEqual(self.send("sips:bob@b.example"), 302)
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>", status=305)
        self.assertEqual(self.send(), 305)
        self.assertEqual(set(self.names), {"bob"})

    def test_unanswered(self) -> None:
        """A target that does not answer is followed by the next one; the application's own time ends all of it
        (row:F3, row:F11)."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>, <sip:dave@d.example>")
        waiting: list[Any] = []

        def silent(event: Any) -> None:
            event.defer()
            waiting.append(event)

        self.carol.handle("MESSAGE", silent)
        sending = self.alice.request("MESSAGE", BOB, body="x", max_redirects=1, timeout=5)
        self.network.advance(6)
        self.failureResultOf(sending, OperationTimeout)
        self.assertEqual((len(waiting), self.names), (1, ["bob"]))

    def test_given_up(self) -> None:
        """Who gives the request up, or ends the endpoint, hears of no further target."""
        self.sends_on(self.bob, "bob", "<sip:carol@c.example>")
        self.carol.handle("MESSAGE", lambda event: event.defer())
        sending = self.alice.request("MESSAGE", BOB, body="x", max_redirects=1)
        self.network.advance(0.5)
        sending.addErrback(lambda _: None)
        sending.cancel()
        self.network.advance(40)
        self.assertEqual(self.alice.requests_under_way, 0)
