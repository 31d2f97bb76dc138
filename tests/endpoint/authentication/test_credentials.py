"""Who may be told what."""

from __future__ import annotations

from typing import Any, cast
from unicodedata import normalize

from sip_p2p import Credentials, Target
from sip_p2p.sip.auth import parse_auth_value
from sip_p2p.sip.digest import Challenge, ha1_of
from tests.support import SynchronousTestCase

TARGET = Target("UDP", "proxy.example")
ELSEWHERE = Target("UDP", "other.example")


class Way:
    """A flow, as far as credentials look at one."""

    def __init__(self, *names: str, port: int = 5060) -> None:
        self.peer = " ".join(names)
        self.transport = "TLS" if names else "UDP"
        self.remote_host = "192.0.2.1"
        self.remote_port = port

    def proves(self, host: str) -> bool:
        """Whether it is one of the names."""
        return host in self.peer.split(" ")


def way(*names: str, port: int = 5060) -> Any:
    """The same, as its users take it."""
    return Way(*names, port=port)


def challenge(algorithm: str = "SHA-256", *, nonce: str = "n", is_proxy: bool = False) -> Challenge:
    """A challenge for the realm r."""
    text = f'Digest realm="r", nonce="{nonce}", qop="auth", algorithm={algorithm}'
    return Challenge(parse_auth_value(text, "WWW-Authenticate"), is_proxy)


class EntryTests(SynchronousTestCase):
    """What an application adds."""

    def add(self, **changes: Any) -> Credentials:
        """Credentials with one entry."""
        credentials = Credentials()
        given: dict[str, Any] = {"realm": "r", "username": "alice", "password": "pw", "peer": "Proxy.Example."}
        credentials.add(**{name: value for name, value in (given | changes).items() if value is not None})
        return credentials

    def test_found(self) -> None:
        """An entry is for its realm, as it is written, and for who proves its peer's name (fault:E2, row:F10)."""
        credentials = self.add()
        [entry] = credentials
        self.assertIs(credentials.find("r", way("proxy.example"), ELSEWHERE, False), entry)
        self.assertIsNone(credentials.find("R", way("proxy.example"), TARGET, True))
        self.assertIsNone(credentials.find("r", way("evil.example"), TARGET, True))
        self.assertIsNone(credentials.find("r", way(), TARGET, True))
        self.assertEqual(credentials.why_not("R"), "there are no credentials for it")
        self.assertIn("proxy.example", credentials.why_not("r"))

    def test_unverified(self) -> None:
        """Without proof it is for where its peer's name was dialled, if that is wanted; never for who proves another
        name (fault:E2)."""
        credentials = self.add(send_to_unverified_peers=True)
        self.assertIsNone(credentials.find("r", way(), TARGET, False))
        self.assertIsNone(credentials.find("r", way(), ELSEWHERE, True))
        self.assertIsNotNone(credentials.find("r", way(), TARGET, True))
        self.assertIsNotNone(credentials.find("r", way(), ELSEWHERE, False))
        self.assertIsNone(credentials.find("r", way(port=5062), ELSEWHERE, False))
        self.assertIsNone(credentials.find("r", way("evil.example"), TARGET, True))

    def test_places(self) -> None:
        """Of places where it was dialled the newest are remembered."""
        credentials = self.add(send_to_unverified_peers=True)
        for port in range(1, 18):
            credentials.find("r", way(port=port), TARGET, True)
        known = [credentials.find("r", way(port=port), TARGET, False) is not None for port in (1, 2, 17)]
        self.assertEqual(known, [False, True, True])

    def test_one_for_each_peer(self) -> None:
        """The same realm can be known to several peers; what is added again takes the place of what was there."""
        credentials = self.add()
        credentials.add(realm="r", username="bob", password="x", peer="other.example")
        credentials.add(realm="r", username="carol", password="x", peer="proxy.example")
        self.assertEqual([entry.username for entry in credentials], ["bob", "carol"])
        credentials.remove("r", "OTHER.example")
        credentials.remove("r", "nobody.example")
        self.assertEqual((len(credentials), bool(Credentials())), (1, False))

    def test_wrong_arguments(self) -> None:
        """What cannot be is refused at once, in words."""
        for changes in (
            {"realm": ""},
            {"realm": "a\r\nb"},
            {"username": ""},
            {"username": "a\x00"},
            {"peer": "not a name"},
            {"password": None},
            {"ha1": {"MD5": "0" * 32}},
            {"password": None, "ha1": {"SHA-1": "0"}},
            {"password": None, "ha1": {}},
            {"password": None, "ha1": {"MD5": "0" * 32}},
            {"password": None, "ha1": {"SHA-256": "0" * 32}},
            {"password": None, "ha1": {"SHA-256": "x" * 64}},
            {"password": "\ud800"},
        ):
            with self.assertRaises(ValueError, msg=str(changes)):
                self.add(**changes)

    def test_algorithms(self) -> None:
        """MD5 only where it is allowed, and hashes for what there are hashes for (fault:E4)."""
        hashes = {"md5": "0" * 32, "SHA-256": "0" * 64}
        for changes, expected in (
            ({}, ("SHA-512-256", "SHA-256")),
            ({"allow_md5": True}, ("SHA-512-256", "SHA-256", "MD5")),
            ({"password": None, "ha1": hashes}, ("SHA-256",)),
            ({"password": None, "ha1": hashes, "allow_md5": True}, ("SHA-256", "MD5")),
        ):
            [entry] = self.add(**cast("Any", changes))
            self.assertEqual(entry.algorithms, expected)

    def test_same_either_way(self) -> None:
        """A password and its hash make the same answers."""
        ha1 = ha1_of("SHA-256", "alice", "r", "pw")
        fields = set()
        for changes in ({}, {"password": None, "ha1": {"SHA-256": ha1.upper()}}):
            [entry] = self.add(**cast("Any", changes))
            for algorithm in ("SHA-256", "SHA-256-sess"):
                fields.add(entry.answering(challenge(algorithm), "c").field("BYE", "sip:b", b""))
        self.assertEqual(len(fields), 2)

    def test_composed(self) -> None:
        """A peer that has its names and passwords in Unicode's form C is answered with theirs (RFC 7616 section 4)."""
        parts = {"username": "Jäsøn", "password": "Ångström"}
        [composed] = self.add(**parts)
        [decomposed] = self.add(**{name: normalize("NFD", text) for name, text in parts.items()})
        for charset, is_same in (("", False), (", charset=utf-8", True)):
            text = f'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256{charset}'
            asked = Challenge(parse_auth_value(text, "WWW-Authenticate"), False)
            fields = {entry.answering(asked, "c").field("BYE", "sip:b", b"") for entry in (composed, decomposed)}
            self.assertEqual(len(fields) == 1, is_same)

    def test_no_secret_shown(self) -> None:
        """Nothing that shows credentials shows a password (fault:E2)."""
        credentials = self.add(password="hunter2")
        [entry] = credentials
        self.assertEqual(repr(credentials), "<Credentials: 1 entries>")
        self.assertEqual(repr(entry), "<credentials of 'alice' for 'r' at proxy.example>")


class NonceTests(SynchronousTestCase):
    """What is remembered of challenges."""

    def setUp(self) -> None:
        self.credentials = Credentials()
        self.credentials.add(realm="r", username="alice", password="pw", peer="proxy.example")
        [self.entry] = self.credentials

    def remember(self, space: str, *, is_proxy: bool = False, nonce: str = "n", most: int = 9) -> bool:
        """Remember one."""
        made = self.entry.answering(challenge(nonce=nonce, is_proxy=is_proxy), "c")
        return self.credentials.remember(self.entry, space, made, most)

    def known(self, space: str) -> list[str]:
        """The nonces that a request for *space* may carry."""
        return [nonce.nonce for _, nonce in self.credentials.known(space)]

    def test_spaces(self) -> None:
        """A UAS's is for its host alone, a proxy's for all that goes its way (RFC 3261 sections 22.2 and 22.3)."""
        self.remember("a.example", nonce="uas")
        self.remember("a.example", nonce="proxy", is_proxy=True)
        self.assertEqual((self.known("a.example"), self.known("b.example")), (["uas", "proxy"], ["proxy"]))

    def test_replaced(self) -> None:
        """The newest takes the place of the one before it; one that is no good is forgotten."""
        self.remember("a.example", nonce="1")
        self.remember("a.example", nonce="2")
        [(_, nonce)] = self.credentials.known("a.example")
        self.assertEqual(nonce.nonce, "2")
        self.credentials.forget(nonce)
        self.assertEqual(self.known("a.example"), [])

    def test_used_up(self) -> None:
        """One that cannot be counted any further is not carried."""
        self.remember("a.example")
        self.credentials.known("a.example")[0][1].uses = 0xFFFFFFFF
        self.assertEqual(self.known("a.example"), [])

    def test_bounds(self) -> None:
        """As many are kept as are wanted, the newest; none that is very long; and none of an entry that is gone
        (row:E21)."""
        said = [self.remember(f"{each}.example", nonce=each, most=2) for each in "abc"]
        self.assertEqual((said, self.known("a.example"), self.known("c.example")), ([False, False, True], [], ["c"]))
        self.remember("d.example", nonce="n" * 513)
        self.remember("d.example", nonce=f'n", opaque="{"o" * 513}')
        self.assertEqual(self.known("d.example"), [])
        self.credentials.remove("r", "proxy.example")
        self.assertEqual(self.known("c.example"), [])
        self.remember("c.example")
        self.assertEqual(self.known("c.example"), [])
