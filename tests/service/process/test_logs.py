"""The log file: moved away, rotated, and on a disk that is full."""

from __future__ import annotations

import json
import os
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from sip_p2p.service.process.logs import ServiceLog, open_log, open_standard_log, take_over
from tests.support import SynchronousTestCase


class LogTests(SynchronousTestCase):
    """By itself."""

    def opened(self, path: str, *, is_json: bool = False) -> ServiceLog:
        """A log that writes to *path*, and what its complaints go to."""
        self.errors = StringIO()
        self.patch(sys, "__stderr__", self.errors)
        before = signal.getsignal(signal.SIGUSR1)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        log = ServiceLog(path, is_json=is_json)
        log.observer()
        self.addCleanup(log.close)
        return log

    def test_moved_away(self) -> None:
        """row:M15: once it is opened anew, a log that somebody has moved away goes to a new file of the old name."""
        path = Path(self.mktemp())
        log = self.opened(str(path))
        log.write(b"one\n")
        moved = path.rename(f"{path}.old")
        log.write("two\n")
        log.reopen()
        log.write("three\n")
        log.flush()
        self.assertEqual((moved.read_text(), path.read_text()), ("one\ntwo\n", "three\n"))

    def test_full_disk(self) -> None:
        """fault:J10: what a full disk refuses is told of once and counted, and when there is room again the log says
        how much is missing."""
        path = Path(self.mktemp())
        path.symlink_to("/dev/full")
        log = self.opened(str(path))
        for number in range(5):
            log.write(f"{number}\n")
        self.assertEqual((log.lost, self.errors.getvalue().count("\n")), (5, 1))
        self.assertIn("No space left on device", self.errors.getvalue())
        path.unlink()
        log.reopen()
        log.write("here again\n")
        self.assertEqual(path.read_text(), "(5 lines before this one could not be written)\nhere again\n")
        self.assertEqual(log.lost, 0)

    def test_full_disk_under_json(self) -> None:
        """fault:J10: a log of JSON says what is missing as JSON, on a line of its own after one that was cut."""
        path = Path(self.mktemp())
        path.symlink_to("/dev/full")
        log = self.opened(str(path), is_json=True)
        log.write("{}\n")
        path.unlink()
        path.write_text('{"cut')
        log.reopen()
        log.write('{"whole": 1}\n')
        cut, told, whole = path.read_text().splitlines()
        self.assertEqual((cut, whole), ('{"cut', '{"whole": 1}'))
        self.assertEqual(json.loads(told)["message"], "1 line before this one could not be written")

    def test_its_folder_is_gone(self) -> None:
        """fault:J10: a log that cannot be opened anew is an error for whoever asked, and nothing for whoever writes."""
        folder = Path(self.mktemp())
        folder.mkdir()
        log = self.opened(str(folder / "log"))
        (folder / "log").unlink()
        folder.rmdir()
        self.assertRaises(OSError, log.reopen)
        log.write("nowhere\n")
        self.assertEqual(log.lost, 1)

    def test_it_cannot_be_opened_at_all(self) -> None:
        """fault:J10: a log that cannot be opened at the start is one line and the end."""
        error = self.assertRaises(SystemExit, ServiceLog("/dev/null/log").observer)
        self.assertEqual(str(error), "sip-p2p: the log /dev/null/log cannot be written: Not a directory")


class TakeOverTests(SynchronousTestCase):
    """Which logs of ``twistd`` are ours."""

    def options(self, **given: object) -> dict[str, Any]:
        """The options of ``twistd``."""
        return {"nodaemon": True, "logfile": None, "logger": None, "syslog": False, **given}

    def test_a_file(self) -> None:
        """row:M15: the log of a daemon, and every log with a name, is written through ours."""
        for options, name in ((self.options(nodaemon=False), "twistd.log"), (self.options(logfile="x.log"), "x.log")):
            log = take_over(options)
            assert log is not None
            self.assertEqual(log.path, os.path.abspath(name))
            self.assertEqual(options["logger"], f"{open_log.__module__}.open_log")

    def test_others(self) -> None:
        """A log on the terminal, in syslog or of the user's own stays as it is; so does another program's."""
        for options in (
            self.options(), self.options(logfile="-", nodaemon=False), self.options(syslog=True, nodaemon=False),
            self.options(logger="a.b", logfile="x"), {"logfile": "x"}, None,
        ):  # fmt: skip
            before = None if options is None else dict(options)
            self.assertIsNone(take_over(options))
            self.assertEqual(options, before)

    def test_json(self) -> None:
        """A log of JSON is taken over in a file and on the terminal alike; syslog keeps its own form."""
        terminal = {"nodaemon": True, "logfile": "-", "syslog": False}
        self.assertIsNone(take_over(terminal, is_json=True))
        self.assertEqual(terminal["logger"], "sip_p2p.service.process.logs.open_standard_log")
        syslog = {"nodaemon": True, "syslog": True}
        self.assertIsNone(take_over(syslog, is_json=True))
        self.assertNotIn("logger", syslog)
        log = take_over({"nodaemon": False, "logfile": self.mktemp(), "syslog": False}, is_json=True)
        self.assertTrue(log is not None and log.is_json)
        output = StringIO()
        self.patch(sys, "stdout", output)
        open_standard_log()({"log_format": "hello", "log_time": 0.0})
        self.assertIn('"message": "hello"', output.getvalue())
