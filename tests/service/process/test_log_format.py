"""The log as JSON."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from sip_p2p.service.process.log_format import json_line, json_log_observer
from sip_p2p.service.process.worker import Seat, leave_seat, take_seat
from tests.support import SynchronousTestCase


def read(event: dict[str, Any]) -> dict[str, Any]:
    """The object that *event* becomes."""
    line = json_line({"log_time": 1.5, "log_level": LogLevel.warn, "log_namespace": "sip_p2p.service", **event})
    assert line is not None and line.endswith("\n") and line.count("\n") == 1 and line.isascii(), line
    found: dict[str, Any] = json.loads(line)
    return found


class LineTests(SynchronousTestCase):
    """One line."""

    def test_what_it_has(self) -> None:
        """Time, level, who says it, and what."""
        self.assertEqual(
            read({"log_format": "{who} is late", "who": "b.example"}),
            {
                "time": "1970-01-01T00:00:01.500Z",
                "level": "warn",
                "logger": "sip_p2p.service",
                "message": "b.example is late",
            },
        )

    def test_one_of_several(self) -> None:
        """A worker says which one it is."""
        take_seat(Seat(2, 3, (), 5, False))
        self.addCleanup(leave_seat)
        self.assertEqual(read({"log_format": "it runs"})["worker"], 2)

    def test_a_transaction(self) -> None:
        """What the log says of a transaction has its fields."""
        found = read({"log_format": "MESSAGE in 200", "transaction": {"call_id": "17", "status": 200}})
        self.assertEqual(found["transaction"], {"call_id": "17", "status": 200})

    def test_a_failure(self) -> None:
        """What should not have happened has its traceback, on the same line."""
        try:
            raise ValueError("odd")
        except ValueError:
            found = read({"log_format": "it failed", "log_failure": Failure()})
        self.assertIn("ValueError: odd", found["traceback"])

    def test_hostile_text(self) -> None:
        """Line ends and control characters of a peer stay inside the line."""
        self.assertEqual(read({"log_format": "{x}", "x": "a\nb\x1b[31m\u2028"})["message"], "a\nb\x1b[31m\u2028")

    def test_nothing_to_say(self) -> None:
        """An event without words and without a failure is no line."""
        self.assertIsNone(json_line({"log_format": "", "log_time": 0.0}))

    def test_the_observer(self) -> None:
        """It writes a line for each event of the log."""
        output = StringIO()
        Logger(observer=json_log_observer(output)).info("hello {name}", name="bob")
        self.assertEqual(json.loads(output.getvalue())["message"], "hello bob")
