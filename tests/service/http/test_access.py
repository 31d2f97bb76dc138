"""Who may ask: tokens, and web pages of others that may not."""

from __future__ import annotations

import os

from sip_p2p.service.http.access import MOST_TOKENS, Access, Tokens, is_loopback
from sip_p2p.service.http.problems import Problem
from tests.support import SynchronousTestCase

TOKEN = "3f9a1c5b7e2d4860"
OTHER = "aaaabbbbccccdddd"


class TokenTests(SynchronousTestCase):
    """The file of tokens."""

    def file(self, text: str) -> str:
        """A file that holds *text*."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_accepts(self) -> None:
        """Each of the file's tokens is accepted, whatever stands around it, and nothing else is."""
        tokens = Tokens(self.file(f"# ours\n\n  {TOKEN}\r\n{OTHER}\n"))
        self.assertTrue(tokens.accepts(TOKEN) and tokens.accepts(OTHER))
        for wrong in ("", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "# ours", "\ud800"):
            self.assertFalse(tokens.accepts(wrong), wrong)

    def test_files_of_no_use(self) -> None:
        """A file without a token, with a short one, with too many or too much is refused, and never quoted."""
        for text in (
            "",
            "# nothing\n",
            "secret",
            "secret with a space in it",
            f"{TOKEN}\n" * (MOST_TOKENS + 1),
            "x" * 9000,
        ):
            with self.assertRaises(ValueError) as caught:
                Tokens(self.file(text))
            self.assertNotIn("secret", str(caught.exception))

    def test_reload(self) -> None:
        """The file is read anew; what cannot be used leaves the old tokens in use."""
        path = self.file(TOKEN)
        tokens = Tokens(path)
        self.assertFalse(tokens.reload())
        with open(path, "w", encoding="utf-8") as file:
            file.write(OTHER)
        self.assertTrue(tokens.reload())
        self.assertEqual((tokens.accepts(TOKEN), tokens.accepts(OTHER)), (False, True))
        os.unlink(path)
        self.assertRaises(OSError, tokens.reload)
        self.assertTrue(tokens.accepts(OTHER))
        self.assertNotIn(OTHER, repr(tokens))


class PlaceTests(SynchronousTestCase):
    """Host, Origin and Sec-Fetch-Site."""

    def judge(self, method: str = "POST", path: str = "/v1/messages", *, is_local: bool = True, **headers: str) -> str:
        """The kind of problem that a request with these header fields has; empty for none."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            Access(None, is_local=is_local).check_place(method, path, fields.get)
        except Problem as problem:
            return problem.kind
        return ""

    def test_host(self) -> None:
        """A listener on loopback answers to loopback's names alone, so that no other name can be made to lead there."""
        for host in ("localhost", "LocalHost:8080", "127.0.0.1:1", "127.8.9.1", "[::1]:8080", "localhost."):
            self.assertEqual(self.judge(host=host), "", host)
        for host in (
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "",
            "[::1",
            "a@b",
        ):
            self.assertEqual(self.judge(host=host), "misdirected", host)
        self.assertEqual(self.judge(), "misdirected")
        self.assertEqual(self.judge(host="sip.example:8443", is_local=False), "")

    def test_origin(self) -> None:
        """A page may ask where it came from itself; one of another host, port or of none may not, even only to read."""
        for origin in ("http://localhost:8080", "https://localhost:8080", "http://LOCALHOST:8080"):
            self.assertEqual(self.judge(host="localhost:8080", origin=origin), "", origin)
        for origin in (
            "null",
            "",
            "http://localhost",
            "http://localhost:81",
            "https://evil.example",
            "file://",
            "http://[",
        ):
            self.assertEqual(self.judge("GET", host="localhost:8080", origin=origin), "cross-site", origin)

    def test_fetch_metadata(self) -> None:
        """What a browser says comes from elsewhere is refused, but for links to the console."""
        for site in ("cross-site", "same-site", "whatever"):
            self.assertEqual(self.judge(host="localhost", sec_fetch_site=site), "cross-site", site)
            self.assertEqual(self.judge("GET", "/v1/events", host="localhost", sec_fetch_site=site), "cross-site")
        linked = {"host": "localhost", "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
        self.assertEqual(self.judge("GET", "/console/", **linked), "")
        self.assertEqual(self.judge("GET", "/v1/flows", **linked), "cross-site")
        self.assertEqual(self.judge("POST", "/console/", **linked), "cross-site")
        self.assertEqual(self.judge(host="localhost", sec_fetch_site="same-origin"), "")
        self.assertEqual(self.judge("GET", "/console/", host="localhost", sec_fetch_site="none"), "")

    def test_loopback(self) -> None:
        """Loopback is an address, written in any way."""
        for host in ("127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(is_loopback(host), host)
        for host in ("", "0.0.0.0", "::", "192.0.2.1", "localhost", "::ffff:192.0.2.1", "fe80::1%eth0"):
            self.assertFalse(is_loopback(host), host)
