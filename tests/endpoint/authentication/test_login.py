"""Challenges that are answered, and those that are not."""

from __future__ import annotations

from typing import Any

from sip_p2p import AuthenticationFailed, Credentials, Limits, RequestFailed
from sip_p2p.endpoint.authentication.login import refusal_of
from sip_p2p.sip.digest import ha1_of, rspauth
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.profile import Judgement
from tests.endpoint.authentication.parties import BOB, PASSWORD, AskingTestCase, ask, presented


class AnsweringTests(AskingTestCase):
    """Row F10: 401 and 407."""

    def test_answered(self) -> None:
        """A challenge is answered with another CSeq and the same Call-ID, and the next request carries its credentials
        at once, counted on (sections 8.1.3.5 and 22.2, row:F10, limit:L3)."""
        self.knows()
        script = self.asks(lambda request: None if self.is_right(request) else ask())
        self.assertEqual([self.send(), self.send()], [200, 200])
        self.assertEqual([request.cseq.number for request in script.seen], [1, 2, 1])
        self.assertEqual(script.seen[0].call_id, script.seen[1].call_id)
        self.assertIsNone(presented(script.seen[0]))
        counts = [presented(request) for request in script.seen[1:]]
        self.assertEqual([(each.nonce, each.count) for each in counts if each], [("n1", 1), ("n1", 2)])

    def test_nobody_asks(self) -> None:
        """Who is asked nothing says nothing."""
        self.knows()
        script = self.asks(lambda request: None)
        self.assertEqual(self.send(), 200)
        self.assertNotIn("Authorization", script.seen[0].headers)

    def test_ha1(self) -> None:
        """Hashes may stand in the place of the password."""
        self.credentials.add(
            realm="b.example",
            username="alice",
            peer="b.example",
            ha1={"sha-256": ha1_of("SHA-256", "alice", "b.example", PASSWORD)},
        )
        self.asks(lambda request: None if self.is_right(request) else ask())
        self.assertEqual(self.send(), 200)

    def test_integrity(self) -> None:
        """Where only auth-int is offered the body is hashed as well (RFC 7616 section 3.4.3, fault:E4)."""
        self.knows()
        script = self.asks(
            lambda request: None if self.is_right(request) else ask(', algorithm=SHA-256, qop="auth-int"')
        )
        self.assertEqual(self.send(), 200)
        given = presented(script.seen[-1])
        assert given is not None
        self.assertEqual(given.qop, "auth-int")

    def test_several_at_once(self) -> None:
        """The challenges of two proxies and of the UAS in one response are answered together (section 22.3,
        row:F10)."""
        for realm in ("p1", "p2", "b.example"):
            self.knows(realm=realm)

        def judge(request: Request) -> Judgement | None:
            proxies = [self.is_right(request, realm=realm, is_proxy=True) for realm in ("p1", "p2")]
            if all(proxies) and self.is_right(request):
                return None
            parts = (ask(realm="p1", is_proxy=True), ask(realm="p2", is_proxy=True), ask())
            return Judgement("", 407, tuple(field for part in parts for field in part.fields))

        script = self.asks(judge)
        self.assertEqual([self.send(), self.send()], [200, 200])
        self.assertEqual(len(script.seen), 3)

    def test_one_after_the_other(self) -> None:
        """A proxy asks, then the UAS behind it: both have their answers in the end, the first one still (section
        22.3, row:F10)."""
        self.knows(realm="p1")
        self.knows()

        def judge(request: Request) -> Judgement | None:
            if not self.is_right(request, realm="p1", is_proxy=True):
                return ask(realm="p1", is_proxy=True)
            return None if self.is_right(request) else ask()

        script = self.asks(judge)
        self.assertEqual(self.send(), 200)
        self.assertEqual(len(script.seen), 3)

    def test_same_nonce_for_two(self) -> None:
        """Requests that are challenged with one nonce count it together, each once (RFC 7616 section 3.4)."""
        self.knows()
        script = self.asks(lambda request: None if self.is_right(request) else ask())
        sending = [self.alice.request("MESSAGE", BOB, body="x") for _ in range(3)]
        self.network.advance(1)
        self.assertEqual([self.successResultOf(each).status for each in sending], [200] * 3)
        self.assertEqual(len(script.seen), 6)
        counts = [each.count for each in map(presented, script.seen) if each is not None]
        self.assertEqual(sorted(counts), [1, 2, 3])

    def test_stale(self) -> None:
        """A nonce that has become stale is replaced without a new password being asked for (RFC 7616 section 3.3,
        fault:E1)."""
        self.knows()
        fresh = ["n1"]

        def judge(request: Request) -> Judgement | None:
            given = presented(request)
            if given is not None and given.nonce == fresh[0] and self.is_right(request):
                return None
            return ask(", stale=true" if given else "", nonce=fresh[0])

        script = self.asks(judge)
        self.assertEqual(self.send(), 200)
        fresh[0] = "n2"
        self.assertEqual([self.send(), self.send()], [200, 200])
        self.assertEqual(len(script.seen), 5)

    def test_forgotten_without_a_word(self) -> None:
        """A peer that forgets its nonces and does not call them stale is answered once more all the same: what was
        carried unasked was no answer to it."""
        self.knows()
        fresh = ["n1"]

        def judge(request: Request) -> Judgement | None:
            given = presented(request)
            return None if given is not None and given.nonce == fresh[0] else ask(nonce=fresh[0])

        self.asks(judge)
        self.assertEqual(self.send(), 200)
        fresh[0] = "n2"
        self.assertEqual(self.send(), 200)


class CallTests(AskingTestCase):
    """Sessions whose way is guarded."""

    def setUp(self) -> None:
        super().setUp()
        self.sessions: list[Any] = []

        def received(session: Any) -> None:
            self.sessions.append(session)
            session.accept("v=0\r\n")

        self.bob.session_received.subscribe(received)

    def call(self) -> Any:
        """Alice's session with Bob."""
        return self.network.run_until(self.alice.invite(BOB, "v=0\r\n"))

    def test_call(self) -> None:
        """INVITE, re-INVITE and BYE are answered where they are challenged, and each has a CSeq of its own (sections
        13.2.2 and 22.2, row:F10)."""
        self.knows()
        nonces = iter(range(100))
        script = self.asks(lambda request: None if self.is_right(request) else ask(nonce=f"n{next(nonces)}"))
        session = self.call()
        self.network.run_until(session.renegotiate("v=0\r\n"))
        self.network.run_until(session.terminate())
        self.network.advance(1)
        seen = [(request.method, request.cseq.number, presented(request) is not None) for request in script.seen]
        self.assertEqual(seen[:2], [("INVITE", 1, False), ("INVITE", 2, True)])
        self.assertEqual([each[2] for each in seen[2:]], [True] * (len(seen) - 2))
        numbers = [each[1] for each in seen]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual([each[0] for each in seen[-1:]], ["BYE"])
        self.assertEqual([len(party.sessions) for party in (self.alice, self.bob)], [0, 0])

    def test_ack(self) -> None:
        """The ACK repeats the credentials of the INVITE that was accepted, since nobody can challenge it (section
        13.2.2.4, row:F10)."""
        self.knows()
        acks: list[str] = []

        class Tap:
            def message(self, direction: str, flow: Any, data: bytes, now: float) -> None:
                if direction == "out" and data[:4] in (b"ACK ", b"INVI"):
                    lines = [line for line in data.decode().split("\r\n") if line.startswith("Authorization")]
                    acks.append(data[:3].decode() + "".join(lines))

        self.alice.connection_manager.add_tap(Tap())
        self.asks(lambda request: None if self.is_right(request) else ask())
        self.call()
        # The ACK of the 401 is the transaction's own, and goes without.
        self.assertEqual([len(each) > 3 for each in acks], [False, False, True, True])
        self.assertEqual(acks[2][3:], acks[3][3:])

    def test_in_a_dialog(self) -> None:
        """A request of a dialog is challenged and answered with the dialog's next CSeq (section 12.2.1.1, row:F10)."""
        session = self.call()
        self.sessions[0].request_received.subscribe(lambda event: None)
        self.knows()
        script = self.asks(lambda request: None if self.is_right(request) else ask())
        self.assertEqual(self.network.run_until(session.request("INFO")).status, 200)  # type: ignore[attr-defined]
        first, second = script.seen
        self.assertEqual((first.cseq.number, second.cseq.number), (2, 3))
        self.asks(lambda request: None)
        self.assertEqual(self.network.run_until(session.request("INFO")).status, 200)  # type: ignore[attr-defined]

    def test_refused(self) -> None:
        """A call that nobody has credentials for fails, and says for which realm (row:F10)."""
        self.asks(lambda request: ask())
        with self.assertRaises(AuthenticationFailed) as caught:
            self.call()
        self.assertEqual((caught.exception.realm, caught.exception.status), ("b.example", 401))
        self.assertIn("there are no credentials for it", str(caught.exception))

    def test_refused_within(self) -> None:
        """The same for a request within a session, which goes on."""
        session = self.call()
        self.asks(lambda request: ask() if request.method == "INFO" else None)
        with self.assertRaises(AuthenticationFailed):
            self.network.run_until(session.request("INFO"))
        self.asks(lambda request: ask() if request.cseq.method == "INVITE" else None)
        with self.assertRaises(AuthenticationFailed) as caught:
            self.network.run_until(session.renegotiate("v=0\r\n"))
        self.assertEqual((caught.exception.realm, session.state.name), ("b.example", "CONNECTED"))

    def test_given_up(self) -> None:
        """A call that was given up is not begun anew by a challenge (section 9.1)."""
        self.knows()
        script = self.asks(lambda request: None if self.is_right(request) else ask())
        calling = self.alice.invite(BOB, "v=0\r\n")
        self.network.advance(0.05)
        calling.addErrback(lambda _: None)
        [session] = self.alice.sessions
        session.terminate()
        calling.cancel()
        self.network.advance(40)
        self.assertLessEqual(len(script.seen), 2)
        self.assertEqual(self.alice.sessions, ())

    def test_rogue_bye(self) -> None:
        """A peer that challenges our BYE or re-INVITE learns nothing: for it there is no entry, whatever realm it
        names (fault:E2)."""
        session = self.call()
        self.knows(peer="trunk.example", realm="trunk.example")
        script = self.asks(lambda request: ask(realm="trunk.example"))
        with self.assertRaises(RequestFailed):
            self.network.run_until(session.renegotiate("v=0\r\n"))
        self.network.run_until(session.terminate())
        self.assertGreaterEqual({request.method for request in script.seen}, {"INVITE", "BYE"})
        for request in script.seen:
            self.assertNotIn("Authorization", request.headers)


class WhoTests(AskingTestCase):
    """Fault E2: to whom nothing is said."""

    def test_realm(self) -> None:
        """A realm that there is no entry for is not answered, and the failure says so (fault:E2)."""
        self.knows()
        script = self.asks(lambda request: ask(realm="B.example"))
        failure = self.send()
        self.assertIsInstance(failure, AuthenticationFailed)
        self.assertEqual((failure.realm, len(script.seen)), ("B.example", 1))
        self.assertIn("'B.example': there are no credentials for it", str(failure))

    def test_peer(self) -> None:
        """Credentials for somebody else's proxy are not given to a verified peer that names its realm (fault:E2)."""
        self.knows(peer="proxy.example")
        script = self.asks(lambda request: ask())
        failure = self.send()
        self.assertEqual(len(script.seen), 1)
        self.assertIn("are for proxy.example, which did not prove to be who asks", str(failure))

    def test_each_flow_anew(self) -> None:
        """What was answered to one peer is not carried to the next one that the request goes to (fault:E2, row:F11)."""
        carol = self.network.party("sip:carol@c.example")
        heard: list[Request] = []
        carol.message_received.subscribe(lambda event: heard.append(event.request))
        self.knows()
        self.asks(lambda request: None if self.is_right(request) else ask(is_proxy=False))

        def redirect(event: Any) -> Response:
            response = event.response(302)
            response.headers.add("Contact", "<sip:carol@c.example>")
            return response

        self.bob.handle("MESSAGE", redirect)
        self.assertEqual(self.send(max_redirects=1), 200)
        self.assertNotIn("Authorization", heard[0].headers)

    def test_other_host_of_the_same_peer(self) -> None:
        """What a UAS was told is not told to others behind the same proxy; what a proxy was told is (sections 22.2 and
        22.3, fault:E2)."""
        proxy = self.network.party("sip:proxy@proxy.example")
        proxy.message_received.subscribe(lambda event: None)
        alice = self.network.party("sip:alice@a2.example", proxy="proxy.example", credentials=self.credentials)
        self.knows(peer="proxy.example")
        script = self.asks(
            lambda request: None if "first" in request.uri_text or self.is_right(request) else ask(), proxy
        )
        self.assertEqual(self.send(alice, "sip:x@one.example"), 200)
        self.assertEqual(self.send(alice, "sip:first@two.example"), 200)
        self.assertIsNotNone(presented(script.seen[1]))
        self.assertIsNone(presented(script.seen[2]))
        self.asks(lambda request: None if self.is_right(request, is_proxy=True) else ask(is_proxy=True), proxy)
        self.assertEqual(self.send(alice, "sip:x@one.example"), 200)
        script = self.asks(lambda request: None, proxy)
        self.assertEqual(self.send(alice, "sip:first@two.example"), 200)
        self.assertIsNotNone(presented(script.seen[0], is_proxy=True))


class UnverifiedTests(AskingTestCase):
    """Connections that prove nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.carol = self.network.party("sip:carol@c.example", listen=["tcp:port=5060", "udp:port=5060"])
        self.carol.message_received.subscribe(lambda event: None)
        self.script = self.asks(lambda request: None if self.is_right(request) else ask(), self.carol)

    def test_never_by_itself(self) -> None:
        """Over TCP and UDP nobody has proved to be the peer, so nothing is said (fault:E2)."""
        self.knows(peer="c.example")
        for transport in ("tcp", "udp"):
            failure = self.send(target=f"sip:carol@c.example;transport={transport}")
            self.assertIsInstance(failure, AuthenticationFailed)
        self.assertEqual(len(self.script.seen), 2)

    def test_said_at_length(self) -> None:
        """It is, where the application says so at length, to whom it dials (row:F10)."""
        self.knows(peer="c.example", send_to_unverified_peers=True)
        for transport in ("tcp", "udp"):
            self.assertEqual(self.send(target=f"sip:carol@c.example;transport={transport}"), 200)
        self.knows(peer="d.example", send_to_unverified_peers=True)
        self.credentials.remove("b.example", "c.example")
        self.assertIsInstance(self.send(target="sip:carol@c.example;transport=tcp"), AuthenticationFailed)

    def test_who_calls_us(self) -> None:
        """A stranger who calls, and names our trunk for its Contact, is not taken for it (fault:E2)."""
        self.knows(peer="trunk.example", realm="trunk.example", send_to_unverified_peers=True)
        alice = self.network.party(
            "sip:alice@a3.example", listen=["tcp:port=5060", "udp:port=5060"], credentials=self.credentials
        )
        taken: list[Any] = []

        def received(session: Any) -> None:
            taken.append(session)
            session.accept("v=0\r\n")
            # A word of ours makes the way there one that we have chosen.
            alice.request("OPTIONS", f"sip:{session.peer.address[0]};transport=udp").addErrback(lambda _: None)

        alice.session_received.subscribe(received)
        for transport in ("tcp", "udp"):
            mallory = self.network.party(
                f"sip:mallory@{transport}.example",
                listen=f"{transport}:port=5060",
                default_transport=transport,
                gruu=f"sip:x@trunk.example;ob;transport={transport}",
            )
            self.network.run_until(mallory.invite(f"sip:alice@a3.example;transport={transport}", "v=0\r\n"))
            self.network.advance(1)
            script = self.asks(lambda request: ask(realm="trunk.example"), mallory)
            self.network.run_until(taken[-1].terminate())
            self.network.advance(40)
            self.assertIn("BYE", [request.method for request in script.seen])
            for request in script.seen:
                self.assertNotIn("Authorization", request.headers)

    def test_whom_we_have_dialled(self) -> None:
        """Within a dialog the place counts that the entry's own name has led to, and not what a Contact says
        (fault:E2, row:F10)."""
        self.knows(peer="c.example", send_to_unverified_peers=True)
        self.carol.session_received.subscribe(lambda session: session.accept("v=0\r\n") and None)
        for transport in ("tcp", "udp"):
            session: Any = self.network.run_until(
                self.alice.invite(f"sip:carol@c.example;transport={transport}", "v=0\r\n")
            )
            self.script.seen.clear()
            nonce = f"fresh{transport}"
            script = self.asks(
                lambda request, new=nonce: ask(nonce=new) if not self.has(request, new) else None, self.carol
            )
            self.network.run_until(session.terminate())
            self.network.advance(1)
            self.assertTrue(self.has(script.seen[-1], nonce))

    def has(self, request: Request, nonce: str) -> bool:
        """Whether *request* answers *nonce*."""
        given = presented(request)
        return given is not None and given.nonce == nonce and self.is_right(request)


class EndTests(AskingTestCase):
    """Fault E3: challenges without end, and what they are answered with."""

    def test_wrong_password(self) -> None:
        """Who is asked again after a right challenge has the wrong password: it is not tried twice (section 22.1,
        fault:E3)."""
        self.knows(password="wrong")
        nonces = iter(range(100))
        script = self.asks(lambda request: None if self.is_right(request) else ask(nonce=f"n{next(nonces)}"))
        failure = self.send()
        self.assertEqual(len(script.seen), 2)
        self.assertEqual(
            str(failure), "401 Unauthorized: the realm 'b.example': the credentials of 'alice' were refused"
        )
        # Nothing of it is carried along later.
        self.send()
        self.assertIsNone(presented(script.seen[2]))

    def test_always_stale(self) -> None:
        """A peer that calls every nonce stale is answered twice, and no more (fault:E3)."""
        self.knows()
        nonces = iter(range(100))
        script = self.asks(lambda request: ask(", stale=true", nonce=f"n{next(nonces)}"))
        failure = self.send()
        self.assertEqual(len(script.seen), 3)
        self.assertIn("it was challenged again after 2 answers", str(failure))
        self.assertEqual(self.alice.connection_manager.metrics()["limit_digest_tries"], 1)

    def test_stale_with_the_same_nonce(self) -> None:
        """A nonce that is stale, and offered anew, is no reason to try again (fault:E3)."""
        self.knows()
        script = self.asks(lambda request: ask(", stale=true"))
        self.assertIsInstance(self.send(), AuthenticationFailed)
        self.assertEqual(len(script.seen), 2)

    def test_realms_without_end(self) -> None:
        """One realm after the other: the bound counts for all of them together (fault:E3)."""
        for number in range(6):
            self.knows(realm=f"r{number}")
        numbers = iter(range(100))
        script = self.asks(lambda request: ask(realm=f"r{next(numbers)}"))
        self.assertIsInstance(self.send(), AuthenticationFailed)
        self.assertEqual(len(script.seen), 3)

    def test_calls_end_as_well(self) -> None:
        """The same for an INVITE, whose session says why (fault:E3)."""
        self.knows()
        self.bob.session_received.subscribe(lambda session: None)
        nonces = iter(range(100))
        script = self.asks(lambda request: ask(", stale=true", nonce=f"n{next(nonces)}"))
        with self.assertRaises(AuthenticationFailed) as caught:
            self.network.run_until(self.alice.invite(BOB, "v=0\r\n"))
        self.assertEqual(len(script.seen), 3)
        self.assertIn("challenged again", str(caught.exception))

    def test_unreadable(self) -> None:
        """A 401 that asks for nothing that can be answered is the outcome."""
        self.knows()
        for judgement in (Judgement("", 401), Judgement("", 407, (("Proxy-Authenticate", "Basic realm=x"),))):
            self.asks(lambda request, judgement=judgement: judgement)
            failure = self.send()
            self.assertIn("no challenge that can be answered", str(failure))
            self.assertEqual(failure.realm, "")

    def test_part_of_it(self) -> None:
        """Where one realm of two can be answered it is, and the failure names the other (section 22.3)."""
        self.knows(realm="p1")
        both = ask(realm="p1", is_proxy=True).fields + ask(realm="p2", is_proxy=True).fields

        def judge(request: Request) -> Judgement:
            if self.is_right(request, realm="p1", is_proxy=True):
                return Judgement("", 407, both[1:])
            return Judgement("", 407, both)

        self.asks(judge)
        failure = self.send()
        self.assertEqual(failure.realm, "p2")


class AlgorithmTests(AskingTestCase):
    """Fault E4: weaker than need be."""

    def test_md5(self) -> None:
        """MD5 is not answered, unless the entry allows it (fault:E4)."""
        self.knows()
        script = self.asks(lambda request: None if self.is_right(request) else ask(', algorithm=MD5, qop="auth"'))
        failure = self.send()
        self.assertIn("asks for MD5, which the credentials for it do not allow", str(failure))
        self.assertEqual(len(script.seen), 1)
        self.knows(allow_md5=True)
        self.assertEqual(self.send(), 200)

    def test_both(self) -> None:
        """Of both the better one is taken, wherever it stands, even where MD5 is allowed (RFC 8760 section 2.4,
        fault:E4)."""
        self.knows(allow_md5=True)
        fields = ask(', algorithm=MD5, qop="auth"').fields + ask().fields
        script = self.asks(lambda request: None if self.is_right(request) else Judgement("", 401, fields))
        self.assertEqual(self.send(), 200)
        given = presented(script.seen[-1])
        assert given is not None
        self.assertEqual(given.algorithm, "SHA-256")

    def test_old(self) -> None:
        """A challenge of RFC 2069, without qop, is answered where MD5 is allowed (section 22.4)."""
        self.knows(allow_md5=True)
        script = self.asks(lambda request: None if "Authorization" in request.headers else ask(", algorithm=MD5"))
        self.assertEqual(self.send(), 200)
        self.assertNotIn("qop", script.seen[-1].headers["Authorization"])


class InfoTests(AskingTestCase):
    """Authentication-Info."""

    def answer(self, make: Any) -> None:
        """Bob's 200 carries what *make* makes of the credentials."""
        self.knows()
        self.asks(lambda request: None if self.is_right(request) else ask())

        def handler(event: Any) -> Response:
            given = presented(event.request)
            cnonce = event.request.headers["Authorization"].partition('cnonce="')[2].partition('"')[0]
            return event.response(200, headers=[("Authentication-Info", make(given, cnonce))])  # type: ignore[no-any-return]

        self.bob.handle("MESSAGE", handler)

    def proof(self, given: Any, cnonce: str, password: str = PASSWORD) -> str:
        """The proof of who knows *password*."""
        nc = f"{given.count:08x}"
        ha1 = ha1_of("SHA-256", "alice", "b.example", password)
        right = rspauth("SHA-256", ha1, given.nonce, given.uri, qop="auth", nc=nc, cnonce=cnonce)
        return f'rspauth="{right}", qop=auth, nc={nc}, cnonce="{cnonce}"'

    def test_proof(self) -> None:
        """A peer that proves to know the password is believed (RFC 7616 section 3.5)."""
        self.answer(self.proof)
        self.assertEqual([self.send(), self.send()], [200, 200])

    def test_wrong_proof(self) -> None:
        """One whose proof is wrong has not seen the password: the request fails (RFC 7616 section 3.5)."""
        self.answer(lambda given, cnonce: self.proof(given, cnonce, "guessed"))
        failure = self.send()
        self.assertEqual(
            str(failure), "200 OK: the realm 'b.example': who answered does not know the password (rspauth)"
        )

    def test_next_nonce(self) -> None:
        """The next nonce is used for the next request, and counted from 1 (RFC 7616 section 3.5)."""
        self.answer(lambda given, cnonce: f'nextnonce="{given.nonce}x"')
        self.send()
        self.send()
        script = self.bob.profile.authenticator
        given = presented(script.seen[-1])  # type: ignore[union-attr]
        assert given is not None
        self.assertEqual((given.nonce, given.count), ("n1x", 1))

    def test_together(self) -> None:
        """Each proof is over the nonce that its own request has carried, though the response to another one has brought
        the next nonce (RFC 7616 section 3.5)."""
        self.answer(lambda given, cnonce: f'{self.proof(given, cnonce)}, nextnonce="{given.nonce}x"')
        self.send()
        sending = [self.alice.request("MESSAGE", BOB, body="x") for _ in range(2)]
        self.network.advance(1)
        self.assertEqual([self.successResultOf(each).status for each in sending], [200, 200])


class BoundTests(AskingTestCase):
    """What is remembered."""

    def test_nonces(self) -> None:
        """Nonces are remembered up to a bound, and the oldest gives way (row:E21)."""
        manager = self.alice.connection_manager
        manager.limits = manager.limits.replace(digest_nonces=2)
        for number in range(3):
            self.knows(realm=f"p{number}")

        def judge(request: Request) -> Judgement | None:
            realm = request.uri.user if hasattr(request.uri, "user") else ""
            return None if self.is_right(request, realm=realm, is_proxy=True) else ask(realm=realm, is_proxy=True)

        self.bob.connection_manager.core.directory.fallback = self.bob.profile
        script = self.asks(judge)
        for number in range(3):
            self.assertEqual(self.send(target=f"sip:p{number}@b.example"), 200)
        self.assertEqual(manager.metrics()["limit_digest_nonces"], 1)
        self.asks(lambda request: None)
        before = len(script.seen)
        script = self.asks(lambda request: None)
        self.send()
        carried = [presented(script.seen[0], f"p{number}", is_proxy=True) is not None for number in range(3)]
        self.assertEqual((carried, before), ([False, True, True], 6))

    def test_long_nonce(self) -> None:
        """A nonce as long as that is answered, and not remembered."""
        self.knows()
        script = self.asks(lambda request: None if self.is_right(request) else ask(nonce="n" * 600))
        self.assertEqual([self.send(), self.send()], [200, 200])
        self.assertEqual(len(script.seen), 4)

    def test_large_by_udp(self) -> None:
        """A request that its credentials make too large for UDP goes by TCP (section 18.1.1)."""
        carol = self.network.party("sip:carol@c.example", listen=["tcp:port=5060", "udp:port=5060"])
        carol.message_received.subscribe(lambda event: None)
        self.knows(peer="c.example", send_to_unverified_peers=True)
        script = self.asks(lambda request: None if self.is_right(request) else ask(), carol)
        sending = self.alice.request("MESSAGE", "sip:carol@c.example;transport=udp", body="x" * 750)
        self.assertEqual(self.network.run_until(sending).status, 200)  # type: ignore[attr-defined]
        self.assertEqual([request.via.transport for request in script.seen], ["UDP", "TCP"])


class RefusalTests(AskingTestCase):
    """What the outcome is called."""

    def test_others(self) -> None:
        """Only 401 and 407 are about authentication."""
        self.assertIsNone(refusal_of(Response(403), None))

    def test_without_credentials(self) -> None:
        """Who has no credentials at all is told which realms would want them."""
        fields = ask(realm="one").fields + ask(realm="two", is_proxy=True).fields
        failure = refusal_of(Response(401, None, fields), None)
        assert failure is not None
        self.assertEqual(
            (failure.realm, failure.why), ("one", "the realm 'one', 'two': there are no credentials for it")
        )
        bare = refusal_of(Response(407), None)
        assert bare is not None
        self.assertEqual((bare.realm, str(bare)), ("", "407 Proxy Authentication Required: there are no credentials"))
        self.assertEqual(str(AuthenticationFailed(Response(401), "", "")), "401 Unauthorized")

    def test_default_bounds(self) -> None:
        """A request is answered for twice, and an endpoint of its own has credentials of its own."""
        self.assertEqual(Limits().digest_tries, 2)
        self.assertIsNot(self.bob.credentials, self.alice.credentials)
        self.assertIsInstance(self.bob.credentials, Credentials)
