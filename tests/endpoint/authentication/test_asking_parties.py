"""Parties that ask others for a password, and what a dialog, a call or a subscription is then worth."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import globalLogPublisher

from sip_p2p import AuthenticationFailed, Credentials, DigestAuthenticator, Limits, RequestFailed
from sip_p2p.errors import OperationTimeout
from sip_p2p.testing import Network
from tests.endpoint.subscription.serving import Board
from tests.endpoint.support import Raw, octets
from tests.support import SynchronousTestCase

BOB = "sip:bob@b.example"
PASSWORDS = {"alice": "pw", "bob": "x"}


class PartyTestCase(SynchronousTestCase):
    """Two parties, of which one asks."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.addCleanup(self.network.finish)
        self.credentials = Credentials()
        self.alice = self.network.party("sip:alice@a.example", credentials=self.credentials)
        self.authenticator = DigestAuthenticator("b.example", PASSWORDS.get)
        self.bob = self.network.party(BOB, listen=["tls:port=5061", "tcp:port=5060"], authenticator=self.authenticator)
        self.heard: list[tuple[str, str]] = []
        self.bob.message_received.subscribe(
            lambda event: self.heard.append((event.authenticated_as, str(event.from_.uri)))
        )

    def knows(self, **changes: Any) -> None:
        """Alice knows a password."""
        given: dict[str, Any] = {"realm": "b.example", "username": "alice", "password": "pw", "peer": "b.example"}
        self.credentials.add(**(given | changes))

    def send(self) -> int:
        """The status of a MESSAGE."""
        try:
            return self.network.run_until(self.alice.send_message(BOB, "x")).status  # type: ignore[attr-defined]
        except RequestFailed as failure:
            return failure.status


class PartyTests(PartyTestCase):
    """Requests of all kinds."""

    def test_both_sides(self) -> None:
        """Who has the password is heard, under its name; who has not, is not (row:F10, limit:L3)."""
        self.assertEqual((self.send(), self.heard), (401, []))
        self.knows()
        self.assertEqual([self.send(), self.send()], [200, 200])
        self.assertEqual(self.heard, [("alice", "sip:alice@a.example")] * 2)

    def test_shown_in_turn(self) -> None:
        """Every 2xx shows that the password is known, whatever it answers; no refusal does (RFC 3261 section 20.6,
        row:F10)."""
        self.knows()
        answer: Any = self.network.run_until(self.alice.send_message(BOB, "x"))
        self.assertIn("rspauth=", answer.headers["Authentication-Info"])
        self.bob.session_received.subscribe(lambda session: session.accept("v=0\r\n") and None)
        session: Any = self.network.run_until(self.alice.invite(BOB, "v=0\r\n"))
        theirs = self.bob.sessions[0]
        theirs.request_received.subscribe(lambda event: event.respond(200, body="x"))
        answer = self.network.run_until(session.request("INFO"))
        self.assertIn("rspauth=", answer.headers["Authentication-Info"])
        self.network.run_until(session.terminate())
        self.bob.handle("MESSAGE", lambda event: 480)
        with self.assertRaises(RequestFailed) as caught:
            self.network.run_until(self.alice.send_message(BOB, "x"))
        self.assertNotIn("Authentication-Info", caught.exception.response.headers)

    def test_many_at_once(self) -> None:
        """Requests that are under way together are each counted on, in the order in which they leave: none is
        challenged that need not be (row:F10)."""
        self.knows()
        self.send()
        before = self.bob.connection_manager.metrics()["core_refused_requests"]
        sending = [self.alice.send_message(BOB, "x") for _ in range(20)]
        self.network.advance(1)
        self.assertEqual([self.successResultOf(each).status for each in sending], [200] * 20)
        self.assertEqual(self.bob.connection_manager.metrics()["core_refused_requests"], before)

    def test_each_party(self) -> None:
        """An endpoint without an authenticator asks nobody, though it shares the connection."""
        carol = self.network.party("sip:carol@b.example")
        names: list[str] = []
        carol.message_received.subscribe(lambda event: names.append(event.authenticated_as))
        sending = self.alice.send_message("sip:carol@b.example", "x")
        self.assertEqual(self.network.run_until(sending).status, 200)  # type: ignore[attr-defined]
        self.assertEqual(names, [""])

    def test_session(self) -> None:
        """A session is asked for as well, and all that belongs to it; CANCEL and ACK never are (section 22.1,
        row:F10)."""
        self.knows()
        names: list[str] = []
        self.bob.session_received.subscribe(lambda session: names.append(session.authenticated_as))
        calling = self.alice.invite(BOB, "v=0\r\n")
        self.network.advance(1)
        [theirs] = self.bob.sessions
        calling.addErrback(lambda _: None)
        calling.cancel()
        self.network.advance(1)
        self.assertEqual((names, theirs.state.name), (["alice"], "DISCONNECTED"))
        self.bob.session_received.subscribe(lambda session: session.accept("v=0\r\n") and None)
        session: Any = self.network.run_until(self.alice.invite(BOB, "v=0\r\n"))
        [theirs] = self.bob.sessions
        theirs.request_received.subscribe(lambda event: names.append(f"{event.method} {event.authenticated_as}"))
        self.network.run_until(session.request("INFO"))
        self.assertEqual((names[-1], theirs.authenticated_as), ("INFO alice", ""))
        self.network.run_until(session.terminate())
        self.network.advance(1)
        self.assertEqual(self.bob.sessions, ())

    def test_stale_between_parties(self) -> None:
        """After the nonce's time the client is told so, and goes on without asking its user (fault:E1)."""
        self.knows()
        self.send()
        self.network.advance(400)
        self.assertEqual(self.send(), 200)

    def test_refused(self) -> None:
        """A wrong password is one failure that says so, after two requests (fault:E3)."""
        self.knows(password="guess")
        with self.assertRaises(AuthenticationFailed) as caught:
            self.network.run_until(self.alice.send_message(BOB, "x"))
        self.assertEqual(caught.exception.why, "the realm 'b.example': the credentials of 'alice' were refused")
        metrics = self.bob.connection_manager.metrics()
        self.assertEqual(metrics["core_refused_requests"], 2)

    def test_logged(self) -> None:
        """A wrong password and a name that there is not are logged alike, with where they come from and without the
        name (RFC 7616 section 3.4, fault:E6); who is asked, and a nonce that is stale, are not."""
        said: list[str] = []

        def observe(event: Any) -> None:
            if str(event.get("log_namespace")).endswith("authenticator"):
                said.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.knows()
        self.send()
        self.network.advance(400)
        self.assertEqual((self.send(), said), (200, []))
        for changes in ({"password": "guess"}, {"username": "nobody"}):
            self.knows(**changes)
            self.assertEqual(self.send(), 401)
        self.assertEqual((len(said), len(set(said))), (2, 1))
        self.assertIn("a.example", said[0])
        self.assertIn("gave a wrong name or password for the realm b.example", said[0])
        for secret in ("guess", "nobody", "alice"):
            self.assertNotIn(secret, said[0])

    def test_claims(self) -> None:
        """Neither From, P-Asserted-Identity, Via nor Contact says who it is: without the password nobody passes, and
        with it the name is the one that belongs to the password (fault:E7)."""
        self.knows()
        alice = self.network.party(
            "sip:eve@e.example",
            credentials=self.credentials,
            default_headers=[
                ("P-Asserted-Identity", "<sip:bob@b.example>"),
                ("Remote-Party-ID", "<sip:bob@b.example>"),
            ],
        )
        self.assertEqual(self.network.run_until(alice.send_message(BOB, "x")).status, 200)  # type: ignore[attr-defined]
        self.assertEqual(self.heard, [("alice", "sip:eve@e.example")])

    def test_claims_in_clear(self) -> None:
        """The same from the very address of a party that has passed, in clear text (fault:E7)."""
        self.knows()
        self.send()
        host = self.network.find("a.example")
        [address] = self.network.addresses_of("b.example")
        connecting = TCP4ClientEndpoint(host, address, 5060).connect(Factory.forProtocol(Raw))
        raw: Any = self.network.run_until(connecting)
        head = octets("MESSAGE", body=b"x").replace(b"sip:x@peer.example", b"sip:alice@a.example")
        raw.send(head.replace(b"CSeq", b"P-Asserted-Identity: <sip:alice@a.example>\r\nCSeq"))
        self.network.advance(1)
        self.assertTrue(raw.received.startswith(b"SIP/2.0 401 "), raw.received)
        raw.send(octets("MESSAGE", 2, body=b"x").replace(b"CSeq", b'Authorization: Digest realm="b.example"\r\nCSeq'))
        self.network.advance(1)
        self.assertIn(b"SIP/2.0 400 ", raw.received)
        raw.transport.abortConnection()
        self.network.advance(1)
        self.assertEqual(len(self.heard), 1)

    def test_bound(self) -> None:
        """The bound on nonces is that of the connection manager (row:E21)."""
        carol = self.network.party(
            "sip:carol@c.example",
            manager={"limits": Limits(digest_nonces=1)},
            authenticator=DigestAuthenticator("c", PASSWORDS.get),
        )
        carol.message_received.subscribe(lambda event: None)
        self.knows(realm="c", peer="c.example")
        other = Credentials()
        other.add(realm="c", username="bob", password="x", peer="c.example")
        dave = self.network.party("sip:dave@d.example", credentials=other)
        for party in (self.alice, dave, self.alice):
            sending = party.send_message("sip:carol@c.example", "x")
            self.assertEqual(self.network.run_until(sending).status, 200)  # type: ignore[attr-defined]
        self.assertEqual(carol.connection_manager.metrics()["limit_digest_nonces"], 2)


class ClearTests(PartyTestCase):
    """Who has proved nothing but a password."""

    def setUp(self) -> None:
        """Alice speaks in clear, under a name in Bob's realm, and Bob has a package."""
        super().setUp()
        self.board = Board()
        self.bob.packages.add(self.board)
        self.knows(send_to_unverified_peers=True)
        self.user = self.network.party(
            "sip:alice@u.example", credentials=self.credentials, may_impersonate=lambda uri: True
        )

    def subscribe(self, from_: str = "sip:alice@b.example") -> Any:
        """A subscription in clear, or the failure."""
        subscribing = self.user.subscribe("sip:bob@b.example;transport=tcp", "x-board", from_=from_, retry="never")
        try:
            return self.network.run_until(subscribing)
        except RequestFailed as failure:
            return failure.status

    def test_own_name(self) -> None:
        """By default a package tells whoever has shown the password of the name in From, and nobody who has shown that
        of another (fault:E7, row:J9, row:F10)."""
        self.assertEqual(self.subscribe("sip:bob@b.example"), 403)
        self.assertEqual(self.subscribe("sip:alice@elsewhere.example"), 403)
        self.assertEqual(self.subscribe("sip:alice@B.example").state.name, "SUBSCRIBED")
        self.assertEqual(len(self.board.subscribers), 1)
        self.board.write("news")
        self.network.advance(1)
        self.network.run_until(self.user.terminate())
        self.network.advance(1)
        self.assertEqual(self.board.subscribers, ())

    def test_dialog_of_one(self) -> None:
        """A dialog of one user is not another's, who has a password of its own, knows the tags and is at the same host
        (fault:E7, fault:D4)."""
        self.knows()
        subscription: Any = self.network.run_until(self.alice.subscribe(BOB, "x-board", retry="never"))
        self.network.run_until(subscription.refresh())
        self.knows(username="bob", password="x")
        with self.assertRaises(RequestFailed) as caught:
            self.network.run_until(subscription.refresh())
        self.assertEqual((caught.exception.status, len(self.board.subscribers)), (481, 1))
        self.board.subscribers[0].terminate()
        self.network.advance(1)
        self.assertEqual(self.board.subscribers, ())


class EventTests(PartyTestCase):
    """What lives on beside sessions, where each request of it is asked for a password."""

    def setUp(self) -> None:
        """Carol is whom one is referred to."""
        super().setUp()
        self.knows()
        carol = self.network.party("sip:carol@c.example")
        carol.session_received.subscribe(lambda session: session.accept("v=0\r\n") and None)
        self.bob.refer_received.subscribe(lambda referral: referral.accept(offer="v=0\r\n"))
        self.bob.session_received.subscribe(lambda session: session.accept("v=0\r\n") and None)

    async def statuses(self, referring: Any) -> list[int]:
        """What is told of a referral."""
        return [progress.status async for progress in await referring]

    def test_watched(self) -> None:
        """A subscription begins, is refreshed by itself and ends, asked anew for each nonce that is stale (row:F10,
        row:J3)."""
        board = self.bob.packages.add(Board())
        subscription: Any = self.network.run_until(self.alice.subscribe(BOB, "x-board", expires=600))
        self.network.advance(2000)
        self.assertEqual((subscription.state.name, len(board.subscribers)), ("SUBSCRIBED", 1))
        self.assertGreaterEqual(board.log.count("refreshed"), 3)
        self.assertEqual(board.log.count("subscribed sip:alice@a.example"), 1)
        self.network.run_until(subscription.terminate())
        self.network.advance(1)
        self.assertEqual(board.log[-1], "ended timeout")

    def test_notified(self) -> None:
        """Who asks the notifier for a password as well, which has none, is told nothing, which ends no subscription
        (RFC 5057 section 5.1); without NOTIFY in ``required_for`` it is told (row:F10, row:J1)."""
        board = self.bob.packages.add(Board())
        seen = []
        for required in (None, lambda request, flow: request.method != "NOTIFY"):
            authenticator = DigestAuthenticator("d.example", {}.get, required_for=required)
            name = f"d{len(seen)}.example"
            dan = self.network.party(f"sip:dan@{name}", authenticator=authenticator, credentials=self.credentials)
            subscribing = dan.subscribe(BOB, "x-board", retry="never")
            try:
                subscription: Any = self.network.run_until(subscribing)
                seen.append(subscription.state.name)
            except OperationTimeout:
                seen.append("nothing came")
        self.assertEqual((seen, len(board.subscribers)), (["nothing came", "SUBSCRIBED"], 2))

    def test_referred(self) -> None:
        """A REFER is told of to its end, outside of a session and within, first and later, and a session is transferred
        (row:F10, row:I1, row:I3, row:I8)."""
        for _ in range(2):
            told = self.network.run_until(self.statuses(self.alice.refer(BOB, "sip:carol@c.example")))
            self.assertEqual(told[-1], 200)
            self.network.advance(400)
        session: Any = self.network.run_until(self.alice.invite(BOB, "v=0\r\n"))
        self.network.advance(400)
        for _ in range(2):
            told = self.network.run_until(self.statuses(session.refer("sip:carol@c.example")))
            self.assertEqual(told[-1], 200)
            self.network.advance(400)
        progress: Any = self.network.run_until(session.transfer("sip:carol@c.example"))
        self.assertEqual(progress.status, 200)
        for one in self.bob.sessions:
            self.network.run_until(one.terminate())
