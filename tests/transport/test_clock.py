"""The wall clock may be set to whatever one likes: no timer of ours minds."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from sip_p2p.transport.clock import time_source, use_monotonic_time

ROOT = Path(__file__).resolve().parent.parent.parent
DAY = 86400
LIBRARIES = ("/usr/lib/*", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib/*")

# A timer, and a request to somebody who does not answer; the wall clock is set while both run.
CHILD = """
import json, os, signal, socket, sys, time
from twisted.internet import reactor
from sip_p2p import RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint, Timers
from sip_p2p.transport.clock import use_monotonic_time

signal.alarm(20)
use_monotonic_time(reactor)
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 0))
endpoint = SipPeerToPeerEndpoint(
    "sip:alice@127.0.0.1", RealTimeServerTcpConnectionManager(reactor, timers=Timers(t1=0.02)), default_transport="udp"
)
began, wall, found = time.monotonic(), time.time(), {}

def note(name):
    found[name] = time.monotonic() - began
    if len(found) == 2:
        found["jump"] = time.time() - wall
        endpoint.connection_manager.terminate().addCallback(lambda _: reactor.stop())

def step():
    with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w") as file:
        file.write(sys.argv[1])

reactor.callLater(1.0, note, "timer")
sending = endpoint.send_message("sip:bob@127.0.0.1:%d" % silent.getsockname()[1], "x")
sending.addErrback(lambda failure: note(failure.type.__name__))
reactor.callLater(0.2, step)
reactor.run()
print(json.dumps(found))
"""


class WallClockReactor(ReactorBase):
    """A reactor without sockets, whose wall clock a test sets."""

    def __init__(self, wall: float = 1e9) -> None:
        self.wall = wall
        super().__init__()  # type: ignore[no-untyped-call]

    def installWaker(self) -> None:
        """Nothing wakes it."""

    def removeAll(self) -> list[Any]:
        """It has no sockets."""
        return []

    def seconds(self) -> float:  # type: ignore[override]
        """The wall clock."""
        return self.wall

    def run_until(self, done: list[Any]) -> float:
        """Run what is due until something is *done*, and tell how long that took."""
        began = time.monotonic()
        while not done and time.monotonic() < began + 5:
            self.runUntilCurrent()
        return time.monotonic() - began


class TimeSourceTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.clock.time_source`."""

    def test_scales(self) -> None:
        """A real reactor is given the monotonic clock, one that a test advances keeps its own (fault:J1)."""
        clock = Clock()
        self.assertEqual(time_source(clock), clock.seconds)
        self.assertIs(time_source(reactor), time.monotonic)  # type: ignore[arg-type]
        self.assertIs(time_source(WallClockReactor()), time.monotonic)


class UseMonotonicTimeTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.clock.use_monotonic_time`."""

    def test_steps(self) -> None:
        """After it a call is due when its time has passed, however the wall clock is set meanwhile (fault:J1)."""
        for wall, step in ((1e9, DAY), (1e9, -DAY), (0.0, DAY)):
            changed = WallClockReactor(wall)
            use_monotonic_time(changed)
            fired: list[str] = []
            changed.callLater(0.02, fired.append, "x")
            changed.wall += step
            changed.runUntilCurrent()
            self.assertEqual(fired, [])
            self.assertGreaterEqual(changed.run_until(fired), 0.015)
            self.assertEqual(fired, ["x"])

    def test_pending_calls(self) -> None:
        """Calls that were pending keep the time that they had left, be the monotonic clock ahead or behind
        (fault:J1)."""
        for wall in (1e9, 0.0):
            changed = WallClockReactor(wall)
            fired: list[str] = []
            changed.callLater(30, fired.append, "never")
            changed.runUntilCurrent()
            changed.callLater(0.02, fired.append, "x")
            put_off = changed.callLater(0.001, fired.append, "later")
            put_off.reset(40)
            use_monotonic_time(changed)
            left = [round(call.getTime() - time.monotonic()) for call in changed.getDelayedCalls()]
            self.assertEqual(sorted(left), [0, 30, 40])
            changed.wall += DAY
            self.assertGreaterEqual(changed.run_until(fired), 0.015)
            self.assertEqual(fired, ["x"])

    def test_cancelled_calls(self) -> None:
        """A call that was cancelled before stands in nobody's way (fault:J1)."""
        changed = WallClockReactor()
        fired: list[str] = []
        first = changed.callLater(0.001, fired.append, "cancelled")
        changed.callLater(0.002, fired.append, "x")
        changed.runUntilCurrent()
        first.cancel()
        use_monotonic_time(changed)
        self.assertLess(changed.run_until(fired), 5)
        self.assertEqual(fired, ["x"])

    def test_moved_afterwards(self) -> None:
        """A pending call that is moved later on is moved by the new clock."""
        changed = WallClockReactor()
        fired: list[str] = []
        call = changed.callLater(1000, fired.append, "x")
        use_monotonic_time(changed)
        call.reset(0.002)
        self.assertLess(changed.run_until(fired), 5)
        self.assertEqual(fired, ["x"])

    def test_twice(self) -> None:
        """The second time, and for what is no real reactor, nothing happens."""
        changed = WallClockReactor()
        use_monotonic_time(changed)
        call = changed.callLater(30, list)
        due = call.getTime()
        use_monotonic_time(changed)
        self.assertEqual(call.getTime(), due)
        clock = Clock()
        use_monotonic_time(clock)
        self.assertEqual(clock.seconds(), 0.0)


class SetClockTests(SynchronousTestCase):
    """A real process whose clock is set, by libfaketime."""

    def child(self, step: str) -> dict[str, float]:
        """What a process measured whose wall clock was set by *step* while it waited."""
        libraries = [path for place in LIBRARIES for path in glob.glob(f"{place}/faketime/libfaketimeMT.so.1")]
        if not libraries:
            raise SkipTest("libfaketime is not installed: apt-get install faketime")
        stamp = Path(self.mktemp()).resolve()
        stamp.write_text("+0")
        environment = os.environ | {
            "LD_PRELOAD": libraries[0],
            "FAKETIME_TIMESTAMP_FILE": str(stamp),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", CHILD, step],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return json.loads(done.stdout)

    def test_a_day_ahead(self) -> None:
        """A clock that is set a day ahead makes no timer early, neither a delayed call nor SIP's own (fault:J1)."""
        found = self.child("+1d")
        self.assertLess(abs(found["jump"] - DAY), 60)
        self.assertGreater(found["timer"], 0.99)
        self.assertGreater(found["OperationTimeout"], 1.27)

    def test_a_day_back(self) -> None:
        """A clock that is set back by a day stops no timer (fault:J1)."""
        found = self.child("-1d")
        self.assertLess(abs(found["jump"] + DAY), 60)
        self.assertLess(found["timer"], 10)
        self.assertLess(found["OperationTimeout"], 10)
