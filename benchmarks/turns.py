"""What the sending sides of the benchmarks, each a process of its own, have in common: turns, told by standard input.

A line of JSON is one turn: ``window`` operations in flight at a time, for so many ``seconds`` or until ``count`` are
done; whatever else it says is for the operation. The answer is a line with how many were done, and the CPU time of this
process. An empty line asks how many blocks of memory the interpreter has in use. The end of the input is the end.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred
from twisted.protocols.basic import LineOnlyReceiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

__all__ = ["Command", "Turn", "TurnOfOperations", "serve_turns"]

Command = dict[str, float]


class Turn(Protocol):
    """Operations that follow each other.

    :ivar count: how many are done.
    :ivar done: fires when none is in flight and no more are to begin.
    """

    count: int
    done: Deferred[None]

    def begin(self, window: int) -> None:
        """Begin the first ones."""


class TurnOfOperations:
    """A turn whose operations are Deferreds: each is begun by the end of the one before it."""

    def __init__(self, operation: Callable[[], Deferred[Any]], command: Command) -> None:
        self.count = 0
        self.done: Deferred[None] = Deferred()
        self._operation = operation
        self._left = int(command["count"]) or sys.maxsize
        self._until = float("inf") if command["count"] else time.perf_counter() + command["seconds"]
        self._in_flight = 0

    def begin(self, window: int) -> None:
        """Begin the first ones."""
        for _ in range(window):
            self._next()
        self._maybe_over()

    def _next(self) -> None:
        if self._left > 0 and time.perf_counter() < self._until:
            self._left -= 1
            self._in_flight += 1
            self._operation().addCallbacks(self._ended, self._failed)

    def _ended(self, result: object) -> None:
        self.count += 1
        self._in_flight -= 1
        self._next()
        self._maybe_over()

    def _maybe_over(self) -> None:
        if not self._in_flight and not self.done.called:
            self.done.callback(None)

    def _failed(self, failure: Failure) -> None:
        if not self.done.called:
            self.done.errback(failure)


class _Commands(LineOnlyReceiver):
    """Standard input and output."""

    delimiter = b"\n"

    def __init__(self, turn_of: Callable[[Command], Turn]) -> None:
        self._turn_of = turn_of

    def lineReceived(self, line: bytes) -> None:
        if not line:
            gc.collect()
            print(sys.getallocatedblocks(), flush=True)
            return
        command = json.loads(line)
        turn = self._turn_of(command)
        began = time.process_time()
        turn.done.addCallbacks(lambda _: self._tell(turn, began), self._fail)
        turn.begin(int(command["window"]))

    def _tell(self, turn: Turn, began: float) -> None:
        print(json.dumps({"count": turn.count, "cpu": time.process_time() - began}), flush=True)

    def _fail(self, failure: Failure) -> None:
        print(failure, file=sys.stderr, flush=True)
        reactor.stop()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if reactor.running:
            reactor.stop()


def serve_turns(turn_of: Callable[[Command], Turn], ports: dict[str, int] | None = None) -> None:
    """Say that we are ready, and have the reactor serve turns until standard input closes.

    :param turn_of: makes the turn that a command asks for.
    :param ports: where we listen, by transport.
    """
    stdio.StandardIO(_Commands(turn_of))
    gc.collect()
    gc.freeze()
    print(json.dumps(ports or {}), flush=True)
