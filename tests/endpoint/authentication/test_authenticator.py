"""Asking others who they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import globalLogPublisher

from sip_p2p import AuthenticationFailed, Credentials, DigestAuthenticator, Limits, RequestFailed
from sip_p2p.errors import MalformedMessage, OperationTimeout
from sip_p2p.sip.digest import ClientNonce, choose, ha1_of, parse_challenges
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.profile import Judgement
from sip_p2p.testing import Network
from tests.endpoint.subscription.serving import Board
from tests.endpoint.support import Raw, octets
from tests.support import SynchronousTestCase

BOB = "sip:bob@b.example"
ALICE = Flow("TLS", True, "b.example:5061", "192.0.2.7", 40000, "a.example")
MALLORY = Flow("TLS", True, "b.example:5061", "192.0.2.7", 40001, "m.example")
CLEAR = Flow("UDP", False, "b.example", "192.0.2.7", 5060)
CLEAR_ELSEWHERE = Flow("UDP", False, "b.example", "192.0.2.8", 5060)
PASSWORDS = {"alice": "pw", "bob": "x"}


def request(
    *fields: tuple[str, str], method: str = "MESSAGE", uri: str = BOB, to: str = BOB, body: bytes = b""
) -> Request:
    """A request with these fields."""
    return Request(method, uri, [("From", "<sip:x@a.example>;tag=1"), ("To", f"<{to}>"), *fields], body)


class Client:
    """Somebody who answers."""

    def __init__(self, username: str = "alice", password: str = "pw", algorithms: Any = ("SHA-256",)) -> None:
        self._username = username
        self._password = password
        self._algorithms = algorithms
        self.nonce: ClientNonce | None = None

    def hear(self, judgement: Judgement) -> bool:
        """Take a challenge; returns whether it says that the nonce was stale."""
        chosen = choose(parse_challenges(Response(judgement.status, None, judgement.fields)), self._algorithms)
        assert chosen is not None
        ha1 = ha1_of(chosen.algorithm, self._username, chosen.realm, self._password)
        self.nonce = ClientNonce(chosen, self._username, ha1, "c")
        return chosen.is_stale

    def field(self, method: str = "MESSAGE", uri: str = BOB, body: bytes = b"") -> tuple[str, str]:
        """The answer, once more."""
        assert self.nonce is not None
        return self.nonce.field(method, uri, body)


class JudgingTestCase(SynchronousTestCase):
    """One authenticator and one client, at literal times."""

    def setUp(self) -> None:
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get)
        self.client = Client()

    def judge(self, *fields: tuple[str, str], flow: Flow = ALICE, now: float = 0.0, **parts: Any) -> Judgement:
        """What it says of a request with these fields."""
        return self.authenticator.judge(request(*fields, **parts), flow, now)

    def begin(self, flow: Flow = ALICE, now: float = 0.0) -> None:
        """The client has a challenge."""
        self.client.hear(self.judge(flow=flow, now=now))


class JudgementTests(JudgingTestCase):
    """One request after the other."""

    def test_challenge(self) -> None:
        """A challenge for each algorithm, in the order of preference and with one nonce (RFC 8760 section 2.3,
        row:F10)."""
        judgement = self.judge()
        challenges = parse_challenges(Response(401, None, judgement.fields))
        self.assertEqual((judgement.status, judgement.username), (401, ""))
        self.assertEqual([each.algorithm for each in challenges], ["SHA-512-256", "SHA-256"])
        self.assertEqual({(each.realm, each.qop, each.is_stale) for each in challenges}, {("b", "auth", False)})
        self.assertEqual(len({each.nonce for each in challenges}), 1)
        self.assertNotEqual(self.judge().fields, judgement.fields)

    def test_each_algorithm_once(self) -> None:
        """No two challenges have the same algorithm, however often it is named (RFC 8760 section 2.3)."""
        algorithms = ("SHA-256", "sha-256", "SHA-256-sess", "SHA-256")
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, algorithms=algorithms)
        challenges = parse_challenges(Response(401, None, self.judge().fields))
        self.assertEqual([each.algorithm for each in challenges], ["SHA-256", "SHA-256-sess"])

    def test_passes(self) -> None:
        """Who answers rightly passes, under its user name, as often as it counts on (row:F10, limit:L3)."""
        self.begin()
        for _ in range(3):
            judgement = self.judge(self.client.field())
            self.assertEqual((judgement.status, judgement.username), (0, "alice"))
        self.assertEqual(len(self.authenticator), 1)

    def test_before_any_challenge(self) -> None:
        """Who sends its name along before it has seen a nonce is challenged as who sends nothing (RFC 8760 section
        2.7)."""
        early = 'Digest username="alice", realm="b", nonce="", uri="sip:bob@b.example", response="", algorithm=SHA-256'
        self.assertEqual(self.judge(("Authorization", early)).status, 401)

    def test_as_a_proxy(self) -> None:
        """A proxy asks with 407, and looks at Proxy-Authorization alone (section 22.3)."""
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, proxy=True)
        judgement = self.judge(("Authorization", "Digest x"))
        self.assertEqual((judgement.status, judgement.fields[0][0]), (407, "Proxy-Authenticate"))
        challenge = parse_challenges(Response(407, None, judgement.fields))[0]
        nonce = ClientNonce(challenge, "alice", ha1_of(challenge.algorithm, "alice", "b", "pw"), "c")
        self.assertEqual(self.judge(nonce.field("MESSAGE", BOB, b"")).status, 0)

    def test_kept_hashes(self) -> None:
        """What stands for the password may be kept in its place, for the algorithms that there is one for."""
        kept = {"sha-256": ha1_of("SHA-256", "alice", "b", "pw").upper()}
        self.authenticator = DigestAuthenticator("b", lambda name: kept if name == "alice" else None)
        self.begin()
        self.assertEqual(self.judge(self.client.field()).username, "alice")
        self.client = Client(algorithms=("SHA-512-256",))
        self.begin()
        self.assertEqual(self.judge(self.client.field()).status, 401)

    def test_wrong(self) -> None:
        """A wrong password, another method and another realm's credentials are challenged, not as stale."""
        self.client = Client(password="guess")
        self.begin()
        self.assertFalse(self.client.hear(self.judge(self.client.field())))
        self.client = Client()
        self.begin()
        self.assertEqual(self.judge(self.client.field("BYE")).status, 401)
        name, value = self.client.field()
        self.assertEqual(self.judge((name, value.replace('realm="b"', 'realm="c"'))).status, 401)
        self.assertEqual(len(self.authenticator), 0)

    def test_body(self) -> None:
        """With auth-int the body counts (RFC 7616 section 3.4.3, fault:E4)."""
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, qop=("auth-int",))
        self.begin()
        self.assertEqual(self.judge(self.client.field(body=b"x"), body=b"x").status, 0)
        self.assertEqual(self.judge(self.client.field(body=b"x"), body=b"y").status, 401)
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get)
        self.assertEqual(self.judge(self.client.field()).status, 401)

    def test_proof(self) -> None:
        """Who passes is shown that its password is known here, over the body where that counts; a proxy shows nothing
        (RFC 3261 section 20.6, RFC 7616 section 3.5, row:F10)."""
        for qop, algorithm in (("auth", "SHA-256"), ("auth-int", "SHA-256"), ("auth", "SHA-512-256-sess")):
            self.authenticator = DigestAuthenticator("b", PASSWORDS.get, qop=(qop,), algorithms=(algorithm,))
            self.client = Client(algorithms=(algorithm.removesuffix("-sess"),))
            self.begin()
            proof = self.judge(self.client.field()).proof
            assert proof is not None and self.client.nonce is not None
            answer = Response(200, None, [proof.field(b"x")], b"x")
            self.assertTrue(self.client.nonce.hear_info(answer, BOB))
            other = Response(200, None, [proof.field(b"y")], b"x")
            self.assertEqual(self.client.nonce.hear_info(other, BOB), qop == "auth")
            self.assertEqual(repr(proof), "<Proof>")
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, proxy=True)
        challenge = parse_challenges(Response(407, None, self.judge().fields))[0]
        nonce = ClientNonce(challenge, "alice", ha1_of(challenge.algorithm, "alice", "b", "pw"), "c")
        self.assertIsNone(self.judge(nonce.field("MESSAGE", BOB, b"")).proof)

    def test_address(self) -> None:
        """A user name is a name in the realm, unless it is an address itself (fault:E7)."""
        self.begin()
        self.assertEqual(self.judge(self.client.field()).address, "alice@b")
        self.authenticator = DigestAuthenticator("b", {"alice@x.example": "pw"}.get)
        self.client = Client("alice@x.example")
        self.begin()
        self.assertEqual(self.judge(self.client.field()).address, "alice@x.example")
        self.assertEqual((self.judge().address, self.judge().proof), ("", None))

    def test_not_required(self) -> None:
        """What is not asked about passes without a name: by method, or as a function of request and flow says
        (row:F10)."""
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, required_for=("INVITE",))
        self.assertEqual([self.judge(method=method).status for method in ("INVITE", "MESSAGE")], [401, 0])
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, required_for=lambda _, flow: not flow.peer)
        self.assertEqual([self.judge(flow=flow).status for flow in (CLEAR, ALICE)], [401, 0])
        self.assertEqual(self.judge().username, "")

    def test_uri(self) -> None:
        """What was hashed is the Request-URI, or what it was before a proxy changed it, which is what To says; another
        one is 400 (RFC 8760 section 2.6, fault:E5)."""
        self.begin()
        self.assertEqual(self.judge(self.client.field(), uri=BOB).status, 0)
        self.assertEqual(self.judge(self.client.field(uri="sip:bob@B.EXAMPLE")).status, 0)
        self.assertEqual(self.judge(self.client.field(), uri="sip:bob@192.0.2.1").status, 0)
        # By which transport it was to go at first To does not say.
        first = self.client.field(uri="sip:bob@b.example;transport=tcp")
        self.assertEqual(self.judge(first, uri="sip:bob@192.0.2.1").status, 0)
        with self.assertRaises(MalformedMessage):
            self.judge(self.client.field(), uri="sip:bob@192.0.2.1", to="sip:carol@b.example")
        with self.assertRaises(MalformedMessage):
            self.judge(self.client.field(uri="no uri"))

    def test_look_up_fails(self) -> None:
        """A look-up that fails is the server's fault: 500, and nobody passes."""

        def lookup(name: str) -> str:
            raise OSError("the data base is away")

        self.authenticator = DigestAuthenticator("b", lookup)
        self.begin()
        self.assertEqual(self.judge(self.client.field()).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_malformed(self) -> None:
        """What is not well formed is 400, before anybody is looked up (fault:E5)."""
        asked: list[str] = []
        self.authenticator = DigestAuthenticator("b", lambda name: asked.append(name))
        self.begin()
        name, value = self.client.field()
        for text in (value.replace("nc=", "mc="), "Digest", f'{value}, realm="b"', 'Digest realm="b'):
            if text == "Digest":
                self.assertEqual(self.judge((name, text)).status, 401)
                continue
            with self.assertRaises(MalformedMessage) as caught:
                self.judge((name, text))
            self.assertEqual(caught.exception.status, 400)
        self.assertEqual(asked, [])

    def test_wrong_arguments(self) -> None:
        """What makes no authenticator is refused, in words (fault:E4)."""
        for realm, arguments in (
            ("", {}),
            ("a\nb", {}),
            ("b", {"algorithms": ()}),
            ("b", {"algorithms": ("SHA-1",)}),
            ("b", {"algorithms": ("MD5",)}),
            ("b", {"algorithms": ("MD5-sess",)}),
            ("b", {"qop": ()}),
            ("b", {"qop": ("auth-conf",)}),
            ("b", {"nonce_lifetime": 0}),
            ("b", {"nonce_lifetime": float("nan")}),
        ):
            with self.assertRaises(ValueError, msg=str(arguments)):
                DigestAuthenticator(realm, PASSWORDS.get, **arguments)  # type: ignore[arg-type]
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, algorithms=("md5-SESS",), allow_md5=True)
        self.assertIn("algorithm=MD5-sess", self.judge().fields[0][1])

    def test_session_variants(self) -> None:
        """An algorithm with -sess is asked for and taken, time after time."""
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get, algorithms=("SHA-256-sess",))
        self.begin()
        self.assertEqual([self.judge(self.client.field()).status for _ in range(2)], [0, 0])

    def test_no_secret_shown(self) -> None:
        """It shows its realm and nothing that is secret."""
        self.assertEqual(repr(self.authenticator), "<DigestAuthenticator 'b' SHA-512-256, SHA-256>")


class ReplayTests(JudgingTestCase):
    """Fault E1: credentials that were seen before, or are not of now."""

    def is_stale(self, *fields: tuple[str, str], flow: Flow = ALICE, now: float = 0.0) -> bool:
        """Whether it was the nonce, and nothing else."""
        judgement = self.judge(*fields, flow=flow, now=now)
        self.assertEqual(judgement.status, 401)
        return Client().hear(judgement)

    def test_replayed(self) -> None:
        """Credentials are taken once: the same count again, or a lower one, is refused as stale (fault:E1)."""
        self.begin()
        first, second, third = [self.client.field() for _ in range(3)]
        self.assertEqual(self.judge(second).status, 0)
        for fields in (second, first):
            self.assertTrue(self.is_stale(fields))
        self.assertEqual(self.judge(third).status, 0)

    def test_gap(self) -> None:
        """Counts may be left out: a request may have gone elsewhere (RFC 7616 section 3.4)."""
        self.begin()
        fields = [self.client.field() for _ in range(9)]
        self.assertEqual([self.judge(fields[index]).status for index in (1, 8)], [0, 0])

    def test_captured(self) -> None:
        """Who has captured credentials cannot use them under another identity or from another address, even where they
        were never used (fault:E1)."""
        for theirs, mine in ((ALICE, MALLORY), (ALICE, CLEAR), (CLEAR, CLEAR_ELSEWHERE), (CLEAR, ALICE)):
            self.begin(flow=theirs)
            self.assertTrue(self.is_stale(self.client.field(), flow=mine))
            self.assertEqual(self.judge(self.client.field(), flow=theirs).status, 0)

    def test_same_party_again(self) -> None:
        """A verified party may use its nonce on each of its connections."""
        self.begin()
        again = Flow("TLS", True, "b.example:5061", "198.51.100.1", 1, "a.example")
        self.assertEqual(self.judge(self.client.field(), flow=again).status, 0)

    def test_old(self) -> None:
        """A nonce lives for its time, and is stale then (fault:E1)."""
        self.begin(now=1000.0)
        self.assertEqual(self.judge(self.client.field(), now=1300.0).status, 0)
        self.assertTrue(self.is_stale(self.client.field(), now=1300.1))

    def test_made_up(self) -> None:
        """A nonce that is not ours, or not for this realm, is stale to who knows the password (fault:E1)."""
        self.begin()
        other = DigestAuthenticator("c", PASSWORDS.get)
        for made in ("x", "ä", "AAAA", other.judge(request(), ALICE, 0.0).fields[0][1].split('"')[3]):
            assert self.client.nonce is not None
            self.client.nonce.nonce = made
            self.assertTrue(self.is_stale(self.client.field()))

    def test_another_process(self) -> None:
        """A nonce of one process is stale in another with the same realm and users, and its own is taken (fault:E1)."""
        self.begin()
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get)
        judgement = self.judge(self.client.field())
        self.assertTrue(self.client.hear(judgement))
        self.assertEqual(self.judge(self.client.field()).status, 0)

    def test_not_told_to_strangers(self) -> None:
        """That a nonce is stale is told only to who knows the password (RFC 7616 section 3.3, fault:E6)."""
        self.client = Client(password="guess")
        self.begin(now=0.0)
        self.assertFalse(self.is_stale(self.client.field(), now=9999.0))

    def test_forgotten(self) -> None:
        """Where more nonces are in use than are remembered, those that gave way, and all as old, are stale: nothing
        can be replayed (fault:E1, row:E21)."""
        hits: list[str] = []
        self.authenticator.within(2, hits.append)
        clients = [Client() for _ in range(4)]
        for now, client in enumerate(clients):
            client.hear(self.judge(now=float(now)))
        used = [client.field() for client in clients]
        for number in (1, 2, 3):
            self.assertEqual(self.judge(used[number], now=10.0).status, 0)
        self.assertEqual((hits, len(self.authenticator)), (["digest_nonces"], 2))
        # The first one was never used, and is as old as the one that has given way.
        self.assertTrue(self.is_stale(used[0], now=10.0))
        for number in (1, 2, 3):
            self.assertTrue(self.is_stale(used[number], now=10.0))
        self.assertEqual(self.judge(clients[3].field(), now=10.0).status, 0)

    def test_those_that_are_over(self) -> None:
        """Nonces whose time is over make room without a word."""
        hits: list[str] = []
        self.authenticator.within(2, hits.append)
        for now in (0.0, 400.0, 800.0):
            self.begin(now=now)
            self.assertEqual(self.judge(self.client.field(), now=now).status, 0)
        self.assertEqual((hits, len(self.authenticator)), ([], 1))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=40), st.integers(1, 3))
    def test_never_twice(self, uses: list[tuple[int, int]], most: int) -> None:
        """Whatever is sent in whatever order, no count of a nonce passes twice (fault:E1)."""
        self.authenticator = DigestAuthenticator("b", PASSWORDS.get)
        self.authenticator.within(most, lambda name: None)
        clients = [Client() for _ in range(4)]
        fields = []
        for now, client in enumerate(clients):
            client.hear(self.judge(now=float(now)))
            fields.append([client.field() for _ in range(6)])
        passed = [use for use in uses if self.judge(fields[use[0]][use[1] - 1], now=5.0).status == 0]
        self.assertEqual(len(passed), len(set(passed)))


class UnknownUserTests(JudgingTestCase):
    """Fault E6: nobody learns who exists."""

    def outcome(self, username: str) -> tuple[Any, ...]:
        """What somebody hears who gives this name and a guess, but for the nonce."""
        self.client = Client(username, "guess")
        self.begin()
        judgement = self.judge(self.client.field())
        parsed = parse_challenges(Response(401, None, judgement.fields))
        names = [name for name, _ in judgement.fields]
        return judgement.status, names, [(each.algorithm, each.is_stale, len(each.nonce)) for each in parsed]

    def test_same_answer(self) -> None:
        """Who does not exist is answered as who gives a wrong password (fault:E6)."""
        self.assertEqual(self.outcome("nobody"), self.outcome("alice"))

    def test_same_work(self) -> None:
        """The same hashes are computed for both, whether a password or its hash is kept (fault:E6)."""
        computed: list[str] = []
        kept = {"SHA-256": ha1_of("SHA-256", "carol", "b", "pw")}
        users = {"alice": "pw", "carol": kept}
        self.authenticator = DigestAuthenticator("b", users.get)
        counts = []
        for username in ("nobody", "alice", "carol"):
            self.client = Client(username, "guess")
            self.begin()
            field = self.client.field()
            with counted(computed):
                self.judge(field)
            counts.append(len(computed))
            computed.clear()
        self.assertEqual(len(set(counts)), 1, counts)
        self.assertGreaterEqual(counts[0], 3)

    def test_dummy_is_no_password(self) -> None:
        """There is no password for who does not exist, not even a hashed name (fault:E6)."""
        self.begin()
        name, value = self.client.field()
        hashed = value.replace('username="alice"', 'username="alice", userhash=true')
        self.assertEqual(self.judge((name, hashed)).status, 401)


@contextmanager
def counted(noted: list[str]) -> Iterator[None]:
    """While this is entered, each hash that is computed is noted."""

    def profiler(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_name == "hash_of":
            noted.append(event)

    sys.setprofile(profiler)
    try:
        yield
    finally:
        sys.setprofile(None)


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
