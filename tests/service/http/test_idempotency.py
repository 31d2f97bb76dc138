"""A request that is sent twice has one effect."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sip_p2p.service.http.idempotency import MOST_KEYS, Keys
from sip_p2p.service.http.problems import Problem
from tests.support import SynchronousTestCase


def call(key: str | None, octets: bytes = b"{}", uri: bytes = b"/v1/messages") -> Any:
    """A request with this key."""
    return SimpleNamespace(header={"idempotency-key": key}.get, octets=octets, request=SimpleNamespace(uri=uri))


class KeyTests(SynchronousTestCase):
    """The keys."""

    def setUp(self) -> None:
        """None yet; what is made is counted."""
        self.made: list[int] = []
        self.keys: Keys[int] = Keys()

    def make(self) -> int:
        """Make one more."""
        self.made.append(len(self.made))
        return self.made[-1]

    def test_once(self) -> None:
        """The same key with the same request makes it once; without a key each request is its own."""
        self.assertEqual([self.keys.once(call("k"), self.make) for _ in range(3)], [0, 0, 0])
        self.assertEqual(self.keys.once(call('"k"'), self.make), 0)
        self.assertEqual([self.keys.once(call(None), self.make) for _ in range(2)], [1, 2])

    def test_another_request(self) -> None:
        """The same key with other content, or elsewhere, is refused, and nothing is done."""
        self.keys.once(call("k"), self.make)
        for other in (call("k", b"[]"), call("k", uri=b"/v1/requests")):
            with self.assertRaises(Problem) as caught:
                self.keys.once(other, self.make)
            self.assertEqual(caught.exception.kind, "key-reused")
        self.assertEqual(self.made, [0])

    def test_no_key(self) -> None:
        """What is no key is refused."""
        for key in ("", "a b", "x" * 256, "\u00e9", 'a"b'):
            with self.assertRaises(Problem) as caught:
                self.keys.once(call(key), self.make)
            self.assertEqual(caught.exception.status, 400)

    def test_what_fails_is_not_kept(self) -> None:
        """A request that was refused may be sent again with its key."""
        self.assertRaises(ZeroDivisionError, self.keys.once, call("k"), lambda: 1 // 0)
        self.assertEqual(self.keys.once(call("k"), self.make), 0)

    def test_bound(self) -> None:
        """The oldest key gives way."""
        for number in range(MOST_KEYS + 1):
            self.keys.once(call(f"k{number}"), self.make)
        self.assertEqual(self.keys.once(call("k1"), self.make), 1)
        self.assertEqual(self.keys.once(call("k0"), self.make), MOST_KEYS + 1)
