"""The table of routes."""

from __future__ import annotations

from sip_p2p.service.http.table import ROUTES
from tests.support import SynchronousTestCase


class TableTests(SynchronousTestCase):
    """The table as a value."""

    def test_one_row_each(self) -> None:
        """No method of a path stands twice."""
        rows = [(route.method, route.path) for route in ROUTES]
        self.assertEqual(len(rows), len(set(rows)))

    def test_what_is_open(self) -> None:
        """Only health, the words for problems and the console's own files need no token."""
        opened = {route.path for route in ROUTES if route.is_open}
        for path in opened:
            self.assertTrue(path.startswith(("/health/", "/v1/problems", "/console")) or path == "/", path)

    def test_what_changes_something(self) -> None:
        """Nothing is changed by a GET: those are the methods that pages of others may not use."""
        for route in ROUTES:
            verbs = ("Send", "Begin", "End", "Close", "Accept", "Refuse", "Change", "Read every", "Take no")
            if route.summary.startswith(verbs):
                self.assertNotEqual(route.method, "GET", route.path)

    def test_what_sends_may_be_repeated(self) -> None:
        """Whatever sends something takes an Idempotency-Key."""
        for route in ROUTES:
            if (
                route.path.endswith(("/messages", "/requests", "/v1/sessions", "/renegotiate"))
                and route.method == "POST"
            ):
                self.assertIn("Idempotency-Key", [each.name for each in route.parameters], route.path)

    def test_words(self) -> None:
        """Every row says what it does, and every answer when it is given."""
        for route in ROUTES:
            self.assertTrue(route.summary and route.tag and route.replies)
            self.assertTrue(all(reply.words for reply in route.replies.values()))
