"""The options of the HTTP API."""

from __future__ import annotations

from twisted.python.usage import UsageError

from tests.service.support import parsed
from tests.support import SynchronousTestCase

PARTY = ("--uri", "sip:a@a.example", "--proxy", "tcp:127.0.0.1:9")


class OptionTests(SynchronousTestCase):
    """Command lines."""

    def test_places(self) -> None:
        """Several places may be given; without any there is no API."""
        options = parsed(*PARTY, "--http", "8080", "--http", "unix:/run/a.sock")
        self.assertEqual([place.kind for place in options.http_places], ["tcp", "unix"])
        self.assertEqual(parsed(*PARTY).http_places, [])

    def test_mistakes(self) -> None:
        """Each mistake has one line that says what to do."""
        for arguments, words in (
            (("--http", "nothing"), "--http nothing"),
            (("--http", "tcp:8080"), "--http-token-file"),
            (("--http", "8080", "--http", "8080"), "twice"),
            (("--http-token-file", "x"), "without --http"),
            (("--http-allow-clear-text",), "without --http"),
            (("--http", "8080", "--http-allow", "ops.example"), "without --http tls:"),
            (("--http", "tls:8443", "--http-allow", "*"), "--http-allow"),
            (("--http", "8080", "--http-token-file", ""), "--http-token-file"),
        ):
            with self.assertRaises(UsageError) as caught:
                parsed(*PARTY, *arguments)
            self.assertIn(words, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))
