"""What is fetched is remembered, within bounds, and what could not be had is not asked for at once again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from sip_p2p.endpoint.identity.certificates import CertificateStore
from sip_p2p.endpoint.identity.fetching import NotFetched
from tests.endpoint.identity.support import ISSUED, OPEN, URL, WebCase, ok, web_policy


class StoreTests(WebCase):
    """On a network in memory."""

    def setUp(self) -> None:
        """An empty store."""
        super().setUp()
        self.store = CertificateStore(OPEN, web_policy())

    def get(self, url: str = URL, **limits: Any) -> Any:
        """The certificate's chain, or why there is none."""
        try:
            return self.network.run_until(self.store.get(url, self.around(**limits)))
        except NotFetched as error:
            return str(error)

    def test_remembered(self) -> None:
        """It is fetched once in its time, which is an hour, or what the server says within a minute and an hour."""
        for field, kept in (("", 3600), ("Cache-Control: max-age=100\r\n", 100), ("Cache-Control: no-store\r\n", 60)):
            self.web.answer, self.web.asked[:] = ok(fields=field), []
            self.assertEqual(self.get(), (ISSUED.certificate,))
            self.network.advance(kept - 5)
            self.assertEqual(self.successResultOf(self.store.get(URL, self.around())), (ISSUED.certificate,))
            self.assertEqual(len(self.web.asked), 1)
            self.network.advance(10)
            self.get()
            self.assertEqual(len(self.web.asked), 2)
            self.network.advance(4000)

    def test_one_at_a_time(self) -> None:
        """Many who want the same wait for one fetch, and one who gives up leaves the others alone."""
        waiting = [self.store.get(URL, self.around()) for _ in range(5)]
        waiting[2].cancel()
        self.failureResultOf(waiting[2], CancelledError)
        self.network.advance(2)
        for each in waiting[:2] + waiting[3:]:
            self.assertEqual(self.successResultOf(each), (ISSUED.certificate,))
        self.assertEqual((len(self.web.asked), self.store.fetched, self.store.under_way), (1, 1, 0))

    def test_failure(self) -> None:
        """What could not be had is not asked for again for half a minute, and then it is (fault:E7)."""
        self.web.answer = ok(b"no certificate")
        self.assertIn("no certificate", self.get())
        self.web.answer = ok()
        self.assertIn("no certificate", self.get())
        self.assertEqual(len(self.web.asked), 1)
        self.network.advance(31)
        self.assertEqual(self.get(), (ISSUED.certificate,))

    def test_most_fetches(self) -> None:
        """limit:passport_fetches: of many URLs that are wanted at once the last ones are not fetched, and it is
        counted."""
        waiting = [self.ask(number, f"{number}.example", passport_fetches=3) for number in range(5)]
        for each in waiting[3:]:
            self.failureResultOf(each, NotFetched)
        self.assertEqual(self.hits, ["passport_fetches"] * 2)
        self.network.advance(2)
        for each in waiting[:3]:
            self.successResultOf(each)
        self.assertEqual(self.get("https://certs.example/4"), (ISSUED.certificate,))

    def ask(self, number: int, asker: str, **limits: Any) -> Any:
        """One of many URLs, wanted because of a request of *asker*'s."""
        around = self.around(**limits)
        around.asker = asker
        return self.store.get(f"https://certs.example/{number}", around)

    def test_most_for_one(self) -> None:
        """limit:passport_fetches: whoever names many servers leaves three quarters of the room to others
        (fault:E7)."""
        greedy = [self.ask(number, "m.example", passport_fetches=8) for number in range(4)]
        for each in greedy[2:]:
            self.failureResultOf(each, NotFetched)
        other = self.ask(9, "a.example", passport_fetches=8)
        self.assertEqual(self.hits, ["passport_fetches"] * 2)
        self.network.advance(2)
        for each in (*greedy[:2], other, self.ask(10, "m.example", passport_fetches=8)):
            self.network.run_until(each)

    def test_most_remembered(self) -> None:
        """limit:passport_certificates: the one not asked for longest gives way, and it is counted."""
        for number in (0, 1, 2, 0, 3):
            self.get(f"https://certs.example/{number}", passport_certificates=3)
        self.assertEqual((len(self.store), self.hits), (3, ["passport_certificates"]))
        self.get("https://certs.example/0")
        self.assertEqual(len(self.web.asked), 4)
        self.get("https://certs.example/1")
        self.assertEqual(len(self.web.asked), 5)

    def test_too_large(self) -> None:
        """limit:passport_octets: a file with more is not taken, and it is counted."""
        self.assertIn("too large", self.get(passport_octets=100))
        self.assertEqual(self.hits, ["passport_octets"])

    def test_too_slow(self) -> None:
        """limit:passport_fetch_timeout: it is counted."""
        self.web.answer = b""
        self.assertIn("longer than 2 s", self.get(passport_fetch_timeout=2.0))
        self.assertEqual(self.hits, ["passport_fetch_timeout"])

    def test_forgotten(self) -> None:
        """A store that is not needed any more ends what it has begun, and who waits is told."""
        self.web.answer = b""
        waiting = self.store.get(URL, self.around())
        self.network.advance(1)
        self.store.forget()
        self.failureResultOf(waiting, NotFetched)
        self.network.advance(1)
        self.assertEqual((len(self.store), self.store.under_way, self.web.open), (0, 0, 0))
