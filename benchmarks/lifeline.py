"""What ties a server of the benchmarks to the process that started it."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.internet.protocol import Protocol, connectionDone

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["Lifeline"]


class Lifeline(Protocol):
    """On standard input: a line asks how many blocks of memory the interpreter has in use; its end is the server's."""

    def dataReceived(self, data: bytes) -> None:
        gc.collect()
        print(sys.getallocatedblocks(), flush=True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reactor.running:
            reactor.stop()
