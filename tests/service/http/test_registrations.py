"""Registrations over HTTP."""

from __future__ import annotations

from tests.service.http.support import ApiCase


class WithoutTests(ApiCase):
    """A service that registers nowhere."""

    def test_none(self) -> None:
        """There is none, and nothing to refresh."""
        self.assertEqual(self.get("/v1/registrations"), {"registrations": []})
        self.assert_problem(self.ask("GET", "/v1/registrations/1"), 404, "not-found")
        self.assert_problem(self.ask("POST", "/v1/registrations/1/refresh"), 404, "not-found")
