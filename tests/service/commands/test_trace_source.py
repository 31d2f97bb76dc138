"""Where ladders and traces come from: files that grow, and a running service."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage

from sip_p2p.service.commands.drawing import LadderOptions
from sip_p2p.service.commands.trace_source import BETWEEN_LOOKS, GrowingFile, TraceSourceOptions
from sip_p2p.service.words import ExitCode
from tests.observe.test_pcapng import message
from tests.support import SynchronousTestCase


class FileTests(SynchronousTestCase):
    """A file that somebody appends to."""

    def grown(self) -> tuple[str, GrowingFile]:
        """One, with what reads it."""
        path = self.mktemp()
        Path(path).write_bytes(b"one\ntw")
        growing = GrowingFile(path)
        self.addCleanup(growing.close)
        self.assertEqual(list(growing.lines()), [b"one"])
        return path, growing

    def test_it_grows(self) -> None:
        """A line is told once it is whole, and nothing twice."""
        path, growing = self.grown()
        with open(path, "ab") as file:
            file.write(b"o\nthree\n")
        self.assertEqual((list(growing.lines()), list(growing.lines())), ([b"two", b"three"], []))

    def test_it_is_replaced(self) -> None:
        """Another file of its name is read from the beginning; until there is one nothing comes."""
        path, growing = self.grown()
        os.replace(path, f"{path}.1")
        self.assertEqual(list(growing.lines()), [])
        Path(path).write_bytes(b"new\n")
        self.assertEqual(list(growing.lines()), [b"new"])

    def test_it_is_made_shorter(self) -> None:
        """It is read from the beginning."""
        path, growing = self.grown()
        Path(path).write_bytes(b"x\n")
        self.assertEqual(list(growing.lines()), [b"x"])


class OptionTests(SynchronousTestCase):
    """From where, and which."""

    def parsed(self, *arguments: str) -> TraceSourceOptions:
        """The options of a command that shows events."""
        options = LadderOptions()
        options.parseOptions(list(arguments))
        return options

    def test_the_flow(self) -> None:
        """Only what passed on one flow."""
        chosen = self.parsed("--flow", "7", "a").chosen([message(flow=7), message(flow=8)])
        self.assertEqual([event.flow for event in chosen], [7])


class FollowTests(SynchronousTestCase):
    """What comes."""

    def test_a_file(self) -> None:
        """Events are drawn as they are written; a line that is none is named, and the rest goes on (row:M10)."""
        path, out, err, clock = self.mktemp(), io.StringIO(), io.StringIO(), Clock()
        Path(path).write_text(message().to_json() + "\n")
        options = LadderOptions()
        options.parseOptions(["--follow", "--ascii", path])
        following: Deferred[Any] = Deferred.fromCoroutine(options.show(clock, out, err))
        self.assertEqual(len(out.getvalue().splitlines()), 2)
        with open(path, "a") as file:
            file.write("nonsense\n" + message(direction="in", head="SIP/2.0 200 OK").to_json() + "\n")
        clock.advance(BETWEEN_LOOKS)
        self.assertIn("200 OK", out.getvalue().splitlines()[2])
        self.assertIn("not a line of a trace", err.getvalue())
        following.cancel()
        self.failureResultOf(following)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_a_service_that_is_not_there(self) -> None:
        """One line, and the code for no connection."""
        out, err = io.StringIO(), io.StringIO()
        options = LadderOptions()
        options.parseOptions(["--control", "8080"])
        reactor = MemoryReactorClock()
        showing: Deferred[Any] = Deferred.fromCoroutine(options.show(reactor, out, err))
        reactor.advance(120)
        self.assertEqual(self.successResultOf(showing), ExitCode.CONNECTION)
        self.assertTrue(err.getvalue().startswith("sip-p2p: http://127.0.0.1:8080: "), err.getvalue())

    def test_an_interrupt(self) -> None:
        """Whoever has seen enough is told nothing."""
        out, err = io.StringIO(), io.StringIO()
        options = LadderOptions()
        options.parseOptions(["--control", "8080", "--follow"])
        showing: Deferred[Any] = Deferred.fromCoroutine(options.show(MemoryReactorClock(), out, err))
        showing.cancel()
        self.failureResultOf(showing, CancelledError)
        self.assertEqual(err.getvalue(), "")

    def test_standard_input_cannot_be_followed(self) -> None:
        """It has no name."""
        options = LadderOptions()
        options.parseOptions(["--follow", "-"])
        showing: Deferred[Any] = Deferred.fromCoroutine(options.show(Clock(), io.StringIO(), io.StringIO()))
        self.failureResultOf(showing, usage.UsageError)
