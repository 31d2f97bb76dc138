"""A signature is good for the request that it came with."""

from __future__ import annotations

from sip_p2p.endpoint.identity.replay import ReplayCache
from tests.endpoint.identity.support import request
from tests.support import SynchronousTestCase


class ReplayTests(SynchronousTestCase):
    """RFC 8224 section 12.1."""

    def test_whose_it_is(self) -> None:
        """The same request may come again with a higher CSeq; another one, and the same one once more, may not have its
        signature (fault:E1)."""
        cache = ReplayCache()
        self.assertTrue(cache.admit("s", request(), 60.0, 0.0))
        for other in (
            request(),
            request(call_id="c2"),
            request(from_="<sip:alice@a.example>;tag=2", cseq=2),
            request("MESSAGE", cseq=2),
        ):
            self.assertFalse(cache.admit("s", other, 60.0, 1.0))
        self.assertTrue(cache.admit("s", request(cseq=2), 60.0, 1.0))
        self.assertFalse(cache.admit("s", request(cseq=2), 60.0, 1.0))
        self.assertTrue(cache.admit("t", request(), 60.0, 1.0))

    def test_time(self) -> None:
        """It is forgotten when it is too old to be used, and not before."""
        cache = ReplayCache()
        cache.admit("s", request(), 60.0, 0.0)
        self.assertFalse(cache.admit("s", request(), 60.0, 59.9))
        self.assertTrue(cache.admit("t", request(), 120.0, 60.0))
        self.assertEqual(len(cache), 1)

    def test_most(self) -> None:
        """limit:passport_replays: the oldest give way, and it is told."""
        cache = ReplayCache()
        for number in range(5):
            cache.admit(str(number), request(), 60.0, 0.0)
        self.assertTrue(cache.forget(3))
        self.assertFalse(cache.forget(3))
        self.assertEqual(len(cache), 3)
        self.assertFalse(cache.admit("4", request(), 60.0, 1.0))
        self.assertTrue(cache.admit("0", request(), 60.0, 1.0))
