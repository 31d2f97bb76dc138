"""What the commands share that last for a while."""

from __future__ import annotations

import io
import json

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python import usage

from sip_p2p.errors import InvalidOperation, OperationTimeout, TlsFailure, TlsFailureReason
from sip_p2p.service.commands.telling import Told, as_fields, expiry, is_enough, staying, within
from sip_p2p.service.words import ExitCode, Words
from tests.support import SynchronousTestCase


class ToldTests(SynchronousTestCase):
    """The same for a person and as JSON."""

    def told(self, is_json: bool) -> tuple[str, str]:
        """What two events and a bad end come to: standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        told = Told({"json": is_json}, out, err)
        told.tell("begun", "it has\x1b begun", number=1)
        told.show("one\n\x07two")
        failure = TlsFailure(TlsFailureReason.OTHER)
        self.assertIs(told.ended(ExitCode.TLS, Words("It failed.", "Do this."), failure), ExitCode.TLS)
        return out.getvalue(), err.getvalue()

    def test_a_person(self) -> None:
        """fault:B4: a person gets lines in which nothing drives the terminal, and the failure on standard error."""
        self.assertEqual(
            self.told(False),
            ("it has\\x1b begun\n  one\n  \\x07two\n", "sip-p2p: It failed.\n         Do this.\n"),
        )

    def test_a_program(self) -> None:
        """A program gets one object a line, the last with the exit code, and nothing on standard error."""
        out, err = self.told(True)
        begun, ended = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((begun["event"], begun["number"], err), ("begun", 1, ""))
        self.assertEqual((ended["exit"], ended["outcome"], ended["words"]), (5, "tls", "It failed."))
        self.assertEqual((ended["remedy"], ended["tls_failure"]), ("Do this.", "OTHER"))

    def test_a_good_end(self) -> None:
        """Where nothing went wrong there is nothing to say."""
        out, err = io.StringIO(), io.StringIO()
        Told({"json": None}, out, err).ended(ExitCode.OK, None)
        self.assertEqual((out.getvalue(), err.getvalue()), ("", ""))

    def test_bodies(self) -> None:
        """A body is text where it is some, and Base64 otherwise."""
        self.assertEqual(as_fields(b"", "a/b"), {})
        self.assertEqual(as_fields("ü".encode(), "a/b"), {"content_type": "a/b", "body": "ü"})
        self.assertEqual(as_fields(b"\xff", "a/b"), {"content_type": "a/b", "body_base64": "/w=="})


class NumberTests(SynchronousTestCase):
    """The numbers that several commands take."""

    def test_staying(self) -> None:
        """``none`` is for as long as it goes."""
        self.assertIsNone(staying({"seconds": "none"}))
        self.assertEqual(staying({"seconds": "0.5"}), 0.5)
        self.assertRaises(usage.UsageError, staying, {"seconds": "-1"})

    def test_expiry(self) -> None:
        """A whole number of seconds, and no more than RFC 3261 can write."""
        self.assertEqual(expiry({"expires": "60"}), 60)
        for text in ("0", "-1", "1.5", "x", "", "²", "2147483648", "99999999999"):
            self.assertRaises(usage.UsageError, expiry, {"expires": text})


class WithinTests(SynchronousTestCase):
    """Waiting for no longer than somebody wants to."""

    def test_in_time(self) -> None:
        """What comes in time is what there is, and nothing is left of the time."""
        clock, waiting = Clock(), Deferred[int]()
        result = Deferred.fromCoroutine(within(clock, 5, waiting))
        waiting.callback(3)
        self.assertEqual((self.successResultOf(result), clock.getDelayedCalls()), (3, []))

    def test_late(self) -> None:
        """What is late is given up, whatever it says then."""
        for cancelled in (None, lambda waiting: waiting.errback(InvalidOperation("stopped"))):
            clock = Clock()
            waiting: Deferred[int] = Deferred(cancelled)
            result = Deferred.fromCoroutine(within(clock, 5, waiting))
            clock.advance(5)
            self.failureResultOf(result, OperationTimeout)

    def test_failing(self) -> None:
        """What fails by itself fails with its own error, and so does what somebody else gives up."""
        clock, waiting = Clock(), Deferred[int]()
        result = Deferred.fromCoroutine(within(clock, 5, waiting))
        waiting.errback(InvalidOperation("no"))
        self.failureResultOf(result, InvalidOperation)
        waiting = Deferred()
        result = Deferred.fromCoroutine(within(clock, 5, waiting))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_enough(self) -> None:
        """Whether it was enough, or is over by itself; without a time it goes on until that."""
        clock, over = Clock(), Deferred[None]()
        result = Deferred.fromCoroutine(is_enough(clock, 5, over))
        clock.advance(4)
        self.assertNoResult(result)
        clock.advance(1)
        self.assertTrue(self.successResultOf(result))
        for wait in (5, None):
            over = Deferred()
            result = Deferred.fromCoroutine(is_enough(clock, wait, over))
            over.callback(None)
            self.assertFalse(self.successResultOf(result))
        self.assertEqual(clock.getDelayedCalls(), [])
