"""Sessions that are kept: how many, for how long, and how often each is used."""

from __future__ import annotations

import datetime
from typing import Any

from sip_p2p.transport.tls.resumption import LONGEST_LIFE, KeptSession, SessionStore
from tests.support import SynchronousTestCase

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


def kept(began: float = 0.0, good_until: datetime.datetime | None = None) -> KeptSession:
    """A session; what OpenSSL has in it is no concern of the store."""
    session: Any = object()
    return KeptSession(session, began, good_until)


class SessionStoreTests(SynchronousTestCase):
    """The store of one state of the settings."""

    def test_used_once(self) -> None:
        """A session is taken out to be resumed, and put back by whoever resumed it (RFC 8446 appendix C.4)."""
        store, session = SessionStore(), kept()
        store.keep("b", session)
        self.assertIsNone(store.take("c", 0, NOW))
        self.assertIs(store.take("b", 0, NOW), session)
        self.assertIsNone(store.take("b", 0, NOW))

    def test_latest(self) -> None:
        """One session a peer, the latest."""
        store, session = SessionStore(), kept()
        store.keep("b", kept())
        store.keep("b", session)
        self.assertEqual(len(store), 1)
        self.assertIs(store.take("b", 0, NOW), session)

    def test_bound(self) -> None:
        """The one kept for longest gives way; with a bound of 0 none is kept."""
        store = SessionStore(2)
        for key in "abc":
            store.keep(key, kept())
        self.assertEqual([store.take(key, 0, NOW) is None for key in "abc"], [True, False, False])
        none = SessionStore(0)
        none.keep("a", kept())
        self.assertEqual(len(none), 0)

    def test_lifetime(self) -> None:
        """After some hours, and on a clock that has been set back, a full handshake is made again. fault:F9"""
        for now, expected in ((LONGEST_LIFE - 1, True), (LONGEST_LIFE, False), (-1.0, False)):
            store = SessionStore()
            store.keep("b", kept())
            self.assertEqual(store.take("b", now, NOW) is not None, expected)

    def test_staple(self) -> None:
        """What was accepted for a stapled response is resumed as long as that holds. fault:F9"""
        second = datetime.timedelta(seconds=1)
        for good_until, expected in ((NOW + second, True), (NOW, False)):
            store = SessionStore()
            store.keep("b", kept(0, good_until))
            self.assertEqual(store.take("b", 0, NOW) is not None, expected)
