"""Health, reload and drain over HTTP."""

from __future__ import annotations

from tests.service.http.support import ApiCase


class OperationTests(ApiCase):
    """A service that is operated."""

    def test_health(self) -> None:
        """row:M14: it lives while it answers, and is ready while it takes new work."""
        self.assertEqual(self.get("/health/live"), {"status": "live"})
        self.assertEqual(self.get("/health/ready"), {"status": "ready"})

    def test_drain(self) -> None:
        """row:B15: a drain takes no new work, says so to whoever looks, and keeps the API."""
        got = self.ask("POST", "/v1/drain", {"deadline": 5, "redirect_to": ["sip:user@c.example"]})
        self.assertEqual((got.status, got.json["sessions"]), (202, 0))
        members = self.assert_problem(self.ask("GET", "/health/ready"), 503, "unavailable")
        self.assertIn("drains", members["detail"])
        self.assertEqual(got.headers["location"], "/v1")
        self.assertTrue(self.get(got.headers["location"])["is_draining"])
        self.assertEqual(self.get("/health/live"), {"status": "live"})

    def test_drain_elsewhere(self) -> None:
        """A drain to what is no URI is refused, and does nothing."""
        self.assert_problem(self.ask("POST", "/v1/drain", {"redirect_to": ["nobody"]}), 422, "invalid-content")
        self.assertEqual(self.ask("GET", "/health/ready").status, 200)

    def test_reload(self) -> None:
        """row:M15: files are read anew, as at SIGHUP, and what has changed is said."""
        self.assertEqual(self.ask("POST", "/v1/reload").json, {"changes": []})

    def test_stopping(self) -> None:
        """While a stop goes on nothing new is begun, and what there is can still be seen."""
        self.server.stopping()
        for path, content in (
            ("/v1/reload", None),
            ("/v1/drain", None),
            ("/v1/messages", {"to": "sip:user@b.example", "text": "a"}),
            ("/v1/sessions", {"to": "sip:user@b.example"}),
            ("/v1/doctor", {"patient": "sip:user@b.example"}),
        ):
            self.assert_problem(self.ask("POST", path, content), 503, "unavailable")
        self.assertEqual(self.ask("GET", "/v1/flows").status, 200)
        self.assert_problem(self.ask("GET", "/health/ready"), 503, "unavailable")
