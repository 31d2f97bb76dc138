"""What is judged before a handler sees a request, and how answers are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from sip_p2p.service.http.access import Tokens
from sip_p2p.service.http.exchange import HEADERS, accepts
from tests.service.http.support import ApiCase, Client
from tests.support import SynchronousTestCase

TOKEN = "3f9a1c5b7e2d4860"


class AcceptTests(SynchronousTestCase):
    """Accept as RFC 9110 section 12.5.1 has it."""

    def test_accept(self) -> None:
        """The most specific range counts, with its quality."""
        for accept, is_taken in (
            ("*/*", True),
            ("application/*", True),
            ("text/html, application/json;q=0.1", True),
            ("application/json;q=0, */*", False),
            ("text/html", False),
            ("", False),
            ("application/json;q=x", False),
        ):
            self.assertIs(accepts(accept, "application/json"), is_taken, accept)

    @given(some.text(max_size=60))
    def test_any_text(self, accept: str) -> None:
        """Whatever the field holds, there is an answer."""
        self.assertIn(accepts(accept, "application/json"), (True, False))


class JudgeTests(ApiCase):
    """Requests that come to nothing."""

    def test_order(self) -> None:
        """row:M14: errors are problems of RFC 9457, each with the status that RFC 9110 gives it."""
        for method, path, content, headers, status, kind in (
            ("GET", "/v1/nothing", None, {}, 404, "not-found"),
            ("GET", "/v1/flows/%00%ff", None, {}, 404, "not-found"),
            ("PUT", "/v1/flows", None, {}, 405, "method-not-allowed"),
            ("OPTIONS", "/v1/flows", None, {}, 405, "method-not-allowed"),
            ("GET", "/v1/flows", None, {"Accept": "text/html"}, 406, "not-acceptable"),
            ("GET", "/v1/flows?nothing=1", None, {}, 400, "bad-query"),
            ("GET", "/v1/flows?limit=x", None, {}, 400, "bad-query"),
            ("GET", "/v1/flows?limit=0", None, {}, 400, "bad-query"),
            ("GET", "/v1/flows?limit=1&limit=2", None, {}, 400, "bad-query"),
            ("GET", "/v1/flows?" + "a&" * 99, None, {}, 400, "bad-query"),
            ("GET", "/v1/flows?peer=%ff", None, {}, 400, "bad-query"),
            ("GET", "/v1/flows", {"a": 1}, {}, 400, "bad-request"),
            ("POST", "/v1/messages", None, {}, 400, "malformed-json"),
            ("POST", "/v1/messages", b"{", {}, 400, "malformed-json"),
            ("POST", "/v1/messages", b"NaN", {}, 400, "malformed-json"),
            ("POST", "/v1/messages", b"\xff", {}, 400, "malformed-json"),
            ("POST", "/v1/messages", b"[" * 9999, {}, 400, "malformed-json"),
            ("POST", "/v1/messages", {"to": "x"}, {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
            ("POST", "/v1/messages", {"to": "x"}, {"Content-Encoding": "gzip"}, 415, "unsupported-media-type"),
            ("POST", "/v1/messages", {}, {}, 422, "invalid-content"),
            ("POST", "/v1/messages", {"to": "sip:b@b.example", "subject": 1}, {}, 422, "invalid-content"),
            ("GET", "/v1", None, {"Host": "evil.example"}, 421, "misdirected"),
            ("GET", "/v1", None, {"Host": ""}, 421, "misdirected"),
            ("POST", "/v1/reload", None, {"Origin": "https://evil.example"}, 403, "cross-site"),
            ("GET", "/v1/events", None, {"Sec-Fetch-Site": "cross-site"}, 403, "cross-site"),
            ("GET", "/v1", None, {"Host": "\xff"}, 400, "bad-request"),
            ("GET", "/v1", None, {"Accept": "\xff"}, 400, "bad-request"),
        ):
            self.assert_problem(self.ask(method, path, content, headers), status, kind)

    def test_phrases(self) -> None:
        """A status that is younger than twisted.web has its phrase all the same (RFC 9110 section 15.5.20)."""
        self.ask("GET", "/v1", None, {"Host": "evil.example"})
        self.assertTrue(self.client.wire.value().startswith(b"HTTP/1.1 421 Misdirected Request\r\n"))

    def test_a_field_twice(self) -> None:
        """A second Host, Origin or Authorization is not chosen from: the request is refused."""
        for name in ("Host", "Authorization", "Origin"):
            client = Client(self.factory)
            client.send(f"GET /v1 HTTP/1.1\r\nHost: localhost\r\n{name}: a\r\n{name}: b\r\n\r\n".encode())
            self.assert_problem(client.got, 400, "bad-request")

    def test_what_does_not_fit_is_named(self) -> None:
        """RFC 9457 section 3: each place of the content that does not fit is named, up to a bound."""
        wrong = {"to": "", "text": 1, "headers": [{"name": "X"}], **{f"x{number}": 1 for number in range(99)}}
        members = self.assert_problem(self.ask("POST", "/v1/messages", wrong), 422, "invalid-content")
        places = [each["pointer"] for each in members["errors"]]
        self.assertEqual(places[:3], ["/to", "/text", "/headers/0/value"])
        self.assertEqual(len(places), 16)

    def test_headers(self) -> None:
        """Every answer, problems among them, tells browsers to keep nothing, run nothing and show it nowhere."""
        for path in ("/v1", "/v1/nothing", "/v1/openapi.json"):
            got = self.ask("GET", path)
            for name, value in HEADERS:
                self.assertEqual(got.headers[name.lower()], value)
            self.assertIn("date", got.headers)
            self.assertNotIn("access-control-allow-origin", got.headers)
            self.assertNotIn("server", got.headers)

    def test_head(self) -> None:
        """RFC 9110 section 9.3.2: HEAD has the fields of GET, and no content."""
        self.get("/v1/identities")
        length = self.client.got.headers["content-length"]
        got = self.ask("HEAD", "/v1/identities")
        self.assertEqual((got.status, got.headers["content-length"], got.content), (200, length, b""))
        self.assertEqual(self.ask("HEAD", "/v1/events").status, 200)
        self.assertEqual(len(self.server.followers), 0)

    def test_absolute_form(self) -> None:
        """RFC 9112 section 3.2.2: a request may name its target in full."""
        self.assertEqual(self.ask("GET", "http://localhost:8080/v1").status, 200)
        self.assert_problem(self.ask("GET", "http://evil.example/v1"), 421, "misdirected")
        self.assert_problem(self.ask("GET", "http://["), 400, "bad-request")

    def test_a_mistake_of_ours(self) -> None:
        """A handler that fails is logged with its traceback; who asked hears only that it failed."""
        self.server.jobs = None  # type: ignore[assignment]
        got = self.ask("GET", "/v1/doctor")
        self.assert_problem(got, 500, "internal-error")
        self.assertNotIn(b"Traceback", got.content)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        from sip_p2p.service.http.doctor import Jobs

        self.server.jobs = Jobs()


class TokenTests(ApiCase):
    """Where a token is needed."""

    def setUp(self) -> None:
        """A listener that needs one."""
        super().setUp()
        path = self.mktemp()
        with open(path, "w", encoding="ascii") as file:
            file.write(TOKEN)
        self.client = Client(self.factory_for(tokens=Tokens(path)))

    def test_without(self) -> None:
        """Without a token, or with another, everything but health, problems and the console is 401 (RFC 6750)."""
        for authorization in ("", "Basic abc", "Bearer", "Bearer wrong", f"Token {TOKEN}"):
            for path in ("/v1", "/v1/events", "/metrics", "/v1/nothing", "/v1/openapi.json"):
                got = self.ask("GET", path, None, {"Authorization": authorization})
                self.assert_problem(got, 401, "unauthorized")
                self.assertTrue(got.headers["www-authenticate"].startswith('Bearer realm="sip_p2p"'))
                self.assertNotIn(TOKEN.encode(), got.content)
        for path in ("/health/live", "/health/ready", "/v1/problems/unauthorized", "/console/"):
            self.assertEqual(self.ask("GET", path).status, 200, path)

    def test_with(self) -> None:
        """With a token the API answers; the scheme may be written in any case (RFC 9110 section 11.1)."""
        for scheme in ("Bearer", "bearer"):
            self.assertEqual(self.ask("GET", "/v1", None, {"Authorization": f"{scheme} {TOKEN}"}).status, 200)

    def test_before_anything_else(self) -> None:
        """Content of somebody without a token is not even read as JSON."""
        self.assert_problem(self.ask("POST", "/v1/messages", b"{"), 401, "unauthorized")
