"""The options of the applications that are built in."""

from __future__ import annotations

from twisted.python import usage

from tests.service.support import parsed
from tests.support import SynchronousTestCase

PARTY = ("--uri", "sip:user@a.example", "--proxy", "tcp:127.0.0.1:9")


class ApplicationOptionsTests(SynchronousTestCase):
    """:class:`ApplicationOptions`."""

    def test_what_is_said(self) -> None:
        """row:M14: each value is what the application is told."""
        options = parsed(
            *PARTY, "--application", "forward", "--forward-to", "bob@b.example", "--forward-methods", "INFO, PUBLISH",
            "--answer-status", "486", "--answer-after", "2.5",
        )  # fmt: skip
        self.assertEqual(
            (options["forward-to"], options.forward_methods, options.answer_status, options.answer_after),
            ("sip:bob@b.example", ("INFO", "PUBLISH"), 486, 2.5),
        )

    def test_mistakes(self) -> None:
        """row:M14: each mistake has its one line."""
        cases = (
            (("--application", "forward"), "--forward-to is missing: where is everything to go on to?"),
            (("--forward-to", "sip:"), "--forward-to: "),
            (("--forward-methods", "IN FO"), "--forward-methods: IN FO is no method"),
            (("--forward-methods", "BYE"), "--forward-methods: BYE cannot go on: it belongs to a session"),
            (("--forward-methods", "SUBSCRIBE"), "--forward-methods: SUBSCRIBE cannot go on: it makes a dialog"),
            (("--answer-status", "18x"), "--answer-status 18x is no final status from 200 to 699"),
            (("--answer-status", "302"), "--answer-status 302 is a redirection, and there is nowhere to go"),
            (("--answer-after", "-1"), "--answer-after -1 "),
            (("--answer-type", "sdp"), "--answer-type: "),
        )
        for arguments, expected in cases:
            with self.subTest(arguments):
                error = self.assertRaises(usage.UsageError, parsed, *PARTY, *arguments)
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertEqual(str(error).count("\n"), 0)
