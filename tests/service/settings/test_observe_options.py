"""Options of what looks at the wire."""

from __future__ import annotations

from twisted.python import usage

from sip_p2p.service.settings.observe_options import DEFAULT_RECORD, MOST_RECORDED
from tests.service.support import parsed
from tests.support import SynchronousTestCase

URI = ("--uri", "sip:bob@b.example")


class ObserveOptionsTests(SynchronousTestCase):
    """What they say, and what is wrong with what they say."""

    def test_nothing_is_looked_at_by_itself(self) -> None:
        """Without the HTTP API and without being asked, nothing is recorded and no body kept."""
        options = parsed(*URI)
        self.assertEqual((options.record, options.keep_bodies.is_none), (0, True))

    def test_with_the_api(self) -> None:
        """With the HTTP API there is a record, unless it is switched off."""
        self.assertEqual(parsed(*URI, "--http", "8080").record, DEFAULT_RECORD)
        self.assertEqual(parsed(*URI, "--http", "8080", "--record", "0").record, 0)

    def test_what_is_asked_for(self) -> None:
        """row:M11: a record of that size, and bodies of those types."""
        options = parsed(*URI, "--record", "7", "--keep-bodies", "text/plain,application/sdp")
        self.assertEqual(options.record, 7)
        self.assertEqual(options.keep_bodies.types, {"text/plain", "application/sdp"})

    def test_mistakes(self) -> None:
        """Each has one line that names the option."""
        for arguments, words in (
            (("--record", "many"), "--record many is not a number of messages from 0 to"),
            (("--record", str(MOST_RECORDED + 1)), "--record 100001 is not a number"),
            (("--record", "-1"), "--record -1 is not a number"),
            (("--record", "\u0663"), "is not a number"),
            (("--keep-bodies", "some"), "--keep-bodies: 'some' is neither none nor all nor a content type"),
            (("--log-format", "xml"), "--log-format xml is neither text nor json"),
        ):
            with self.subTest(arguments):
                error = self.assertRaises(usage.UsageError, parsed, *URI, *arguments)
                self.assertIn(words, str(error))
                self.assertNotIn("\n", str(error))
