"""What ends a server of the benchmarks together with the process that started it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.internet.protocol import Protocol, connectionDone

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["Lifeline"]


class Lifeline(Protocol):
    """On standard input: when that closes the reactor stops."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reactor.running:
            reactor.stop()
