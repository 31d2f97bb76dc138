"""What the tests share: cases that notice leaks, measures of memory, and the files of ``tests/data``.

* :class:`TestCase` and :class:`SynchronousTestCase` are trial's, and fail a test that leaves a descriptor, a socket or
  a reader or writer of the reactor behind. (Delayed calls and logged errors trial reports by itself.) Close what a test
  opens with ``addCleanup``; a connection may take its few turns of the reactor to go, the case waits for it.
* :class:`MemoryTestCase` adds assertions about growth, reference cycles and what is still alive; :func:`nothing_left`
  shows that no collector is needed.
* :func:`torture_messages`, :func:`call_flows` and :func:`vectors` read ``tests/data``.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial import unittest
from twisted.trial.itrial import IReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "DATA",
    "MemoryTestCase",
    "SynchronousTestCase",
    "TestCase",
    "TortureMessage",
    "call_flows",
    "nothing_left",
    "open_descriptors",
    "torture_messages",
    "vectors",
]

reactor: Any = _reactor

DATA = Path(__file__).parent / "data"

#: How long the connections of a finished test may take to close, in seconds.
SETTLE_SECONDS = 3.0

# What Python, OpenSSL and Twisted keep open on purpose once they have needed it: the random device, and the spare
# descriptor that a Twisted port sacrifices when the process has run out of them.
_KEPT_OPEN = frozenset({"/dev/urandom", "/dev/random", "/dev/null"})


def open_descriptors() -> dict[int, str]:
    """Every open file descriptor of this process and what it leads to, but for those that libraries keep on purpose."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the descriptor by which the folder itself was being read
        if target not in _KEPT_OPEN:
            found[int(name)] = target
    return found


def watched_by_reactor() -> set[Any]:
    """The readers and writers of the reactor, without its own wakers."""
    return {
        selectable
        for selectable in (*reactor.getReaders(), *reactor.getWriters())
        if type(selectable).__module__ != "twisted.internet._signals"
    }


class SynchronousTestCase(unittest.SynchronousTestCase):
    """trial's case for tests without a reactor, which fails a test that leaves a descriptor open."""

    def run(self, result: Any) -> None:
        """Run the test; what it left open, whatever became of it, is an error of its own."""
        before = open_descriptors()
        super().run(result)
        _report_leaks(self, result, before)


class TestCase(unittest.TestCase):
    """trial's case for tests with the reactor, which fails a test that leaves a descriptor, reader or writer behind.

    A subclass that overrides :meth:`tearDown` calls this one and returns its result.
    """

    def run(self, result: Any) -> None:
        """Run the test; what it left open, whatever became of it, is an error of its own."""
        before = open_descriptors()
        super().run(result)
        _report_leaks(self, result, before)

    async def tearDown(self) -> None:
        """Wait for the connections that the test has closed to be gone; trial reports those that stay."""
        deadline = reactor.seconds() + SETTLE_SECONDS
        while watched_by_reactor() and reactor.seconds() < deadline:
            await deferLater(reactor, 0.002)


def _report_leaks(case: unittest.SynchronousTestCase, result: Any, before: dict[int, str]) -> None:
    leaked = [f"descriptor {fd}: {target}" for fd, target in open_descriptors().items() if before.get(fd) != target]
    if not leaked:
        return
    error = AssertionError("the test left open:\n  " + "\n  ".join(leaked))
    result.addError(case, Failure(error) if IReporter.providedBy(result) else (AssertionError, error, None))
    # What only a cycle holds is let go here, so that it is not charged to the next test as well.
    gc.collect()


class MemoryTestCase(SynchronousTestCase):
    """A case with assertions about memory. Each collects garbage first, so none depends on what ran before it."""

    def assert_no_growth(
        self, action: Callable[[], object], rounds: int = 1000, warm_up: int = 200, blocks_per_round: float = 0.05
    ) -> None:
        """Fail if calling *action* again and again keeps taking memory.

        :param rounds: how often to call it between the two measurements.
        :param warm_up: how often before the first one: caches and free lists fill up here.
        :param blocks_per_round: how many of the interpreter's memory blocks (512 octets at most each) one call may keep
            on average. The default lets a dictionary grow once, and catches one object kept for every twenty calls.
        """
        for _ in range(warm_up):
            action()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(rounds):
            action()
        gc.collect()
        kept = (sys.getallocatedblocks() - before) / rounds
        self.assertLessEqual(kept, blocks_per_round, f"each call keeps {kept:.2f} blocks of memory")

    def assert_no_cycles(self, action: Callable[[], object]) -> None:
        """Fail if *action* leaves objects that only the cyclic garbage collector can free; name their types."""
        gc.collect()
        was_enabled, flags = gc.isenabled(), gc.get_debug()
        gc.disable()
        kept_before = len(gc.garbage)
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            action()
            gc.collect()
            found = Counter(type(thing).__qualname__ for thing in gc.garbage[kept_before:])
        finally:
            gc.set_debug(flags)
            del gc.garbage[kept_before:]
            if was_enabled:
                gc.enable()
            gc.collect()
        self.assertEqual(dict(found), {}, "these objects were left in reference cycles")

    def run(self, result: Any) -> None:
        """Run the test, remembering what was alive before it: that is somebody else's."""
        gc.collect()
        self._alive_before = {id(thing) for thing in gc.get_objects()}
        super().run(result)
        self._alive_before = set()

    def assert_none_alive(self, *types: type) -> None:
        """Fail if an instance of any of *types* that the test has made is still alive after a collection.

        Sees what the garbage collector tracks: instances of ordinary and slotted classes, not bytes, str or numbers.
        """
        gc.collect()
        found = Counter(
            type(thing).__qualname__
            for thing in gc.get_objects()
            if isinstance(thing, types) and id(thing) not in self._alive_before
        )
        self.assertEqual(dict(found), {}, "these objects are still alive")


@contextmanager
def nothing_left(case: SynchronousTestCase, *kinds: type) -> Iterator[None]:
    """Fail *case* if an instance of any of *kinds* that was made within is alive at the end, though no garbage was
    collected meanwhile."""
    gc.collect()
    before = {id(thing) for thing in gc.get_objects() if isinstance(thing, kinds)}
    gc.disable()
    try:
        yield
        left = [thing for thing in gc.get_objects() if isinstance(thing, kinds) and id(thing) not in before]
    finally:
        gc.enable()
    case.assertEqual(left, [], "these objects are still alive")


class TortureMessage:
    """One message of RFC 4475 or RFC 5118 and the verdict that belongs to it.

    :ivar name: the file's name, as the RFC calls it.
    :ivar data: the octets.
    :ivar expect: ``accept``, ``reject-400``, ``drop``, ... as explained under ``_meta`` in the set's ``index.json``.
    :ivar allowed_status: the statuses that an answer may have.
    :ivar entry: the whole entry of the index.
    """

    __slots__ = ("allowed_status", "data", "entry", "expect", "name")

    def __init__(self, name: str, data: bytes, entry: dict[str, Any]) -> None:
        self.name = name
        self.data = data
        self.expect: str = entry["expect"]
        self.allowed_status: tuple[int, ...] = tuple(entry["allowed_status"])
        self.entry = entry

    def __repr__(self) -> str:
        return f"<TortureMessage {self.name} {self.expect}>"


def torture_messages(which: str) -> list[TortureMessage]:
    """Every message of the set *which*: ``rfc4475`` or ``rfc5118``."""
    return [TortureMessage(name, data, entry) for name, data, entry in _indexed(which)]


def call_flows(framed_only: bool = False) -> list[tuple[str, bytes]]:
    """The example call flows of RFCs 3665, 3327, 3515, 4916 and 5626, as (``flow/F01.sip``, octets), flow by flow.

    :param framed_only: leave out the messages whose printed Content-Length is not the length of their printed body.
    """
    return sorted(
        (name, data) for name, data, entry in _indexed("callflows") if entry["framing_consistent"] or not framed_only
    )


def vectors(name: str) -> Any:
    """The vectors of ``tests/data/vectors/<name>.json``: digest, rfc3263, route, timers, uri_compare or uri_parse."""
    return json.loads((DATA / "vectors" / f"{name}.json").read_text("utf-8"))


def _indexed(folder: str) -> Iterable[tuple[str, bytes, dict[str, Any]]]:
    index = json.loads((DATA / folder / "index.json").read_text("utf-8"))
    for name, entry in index["files"].items():
        yield name, (DATA / folder / name).read_bytes(), entry
