"""JSON lines: what they hold, and that nothing a peer wrote gets out of its line."""

from __future__ import annotations

import json

from sip_p2p.service.json_lines import JsonLines
from tests.support import SynchronousTestCase


class JsonLinesTests(SynchronousTestCase):
    """One event, one line."""

    def test_nothing_ends_a_line(self) -> None:
        """fault:B4: what a peer wrote is escaped, so that a line stays one line and a terminal is not driven."""
        written: list[str] = []
        JsonLines(written.append, lambda: 1.5).emit("message", text="a\r\nb\x1b[2J\u2028\udc80é")
        (line,) = written
        self.assertTrue(line.isascii() and line.count("\n") == 1 and line.endswith("\n"))
        self.assertTrue(line.rstrip("\n").isprintable())
        self.assertEqual(
            json.loads(line),
            {"time": "1970-01-01T00:00:01.500Z", "event": "message", "text": "a\r\nb\x1b[2J\u2028\udc80é"},
        )

    def test_a_reader_that_went_away(self) -> None:
        """fault:J10: an error while writing is not raised, and what follows is not tried any more."""
        calls: list[str] = []

        def refuse(line: str) -> None:
            calls.append(line)
            raise BrokenPipeError("gone")

        lines = JsonLines(refuse)
        lines.emit("one")
        lines.emit("two")
        self.assertEqual(len(calls), 1)
