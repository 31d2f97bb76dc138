"""What an authenticator makes of what it is shown: challenges, answers, replays, users that there are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p import DigestAuthenticator
from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.digest import ClientNonce, choose, ha1_of, parse_challenges
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.profile import Judgement
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
