"""One of several processes that share their listening sockets: what its parent says to it, and what it says back.

The parent (:mod:`.workers`) starts it with the sockets as systemd would pass them, from descriptor 3 on, and with a
:class:`Seat` in the environment. Its standard input is a pipe on which orders come, a word a line: ``reload``, ``stop``
and ``hurry``. When the pipe ends the parent is gone, and the worker stops as politely as if it were asked to. What the
worker says goes over another pipe in the words of ``sd_notify``, each message with an empty line behind it.

Orders and not signals, because a supervisor or a terminal may send a signal to parent and workers alike: a worker that
got one from both would think that it was asked twice, and give up what is in flight.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, final

from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from sip_p2p.service.parts import Part
from sip_p2p.service.process.supervision import Supervision, message, service_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.service.service import SipService

__all__ = [
    "SEAT",
    "SIGNS_OF_LIFE",
    "Orders",
    "PipeMessenger",
    "Seat",
    "ears_and_mouth",
    "leave_seat",
    "main",
    "take_seat",
    "this_seat",
]

SEAT = "WORKER_OF_SIP_P2P"
"""The variable of the environment that makes a process a worker."""

SIGNS_OF_LIFE = 10.0
"""The seconds in which a worker gives two signs of life."""

_MOST_OCTETS = 64
"""What is kept of an order that has no end."""


@final
class Seat:
    """What makes a process one of several.

    :ivar number: which one it is, from 1.
    :ivar of: how many there are.
    :ivar listen: where it listens: descriptions with the sockets that were passed to it.
    :ivar words: the descriptor on which it speaks to its parent.
    :ivar is_daemon: whether standard output leads nowhere, because the parent has left its terminal.
    """

    __slots__ = ("is_daemon", "listen", "number", "of", "words")

    def __init__(self, number: int, of: int, listen: tuple[str, ...], words: int, is_daemon: bool) -> None:
        self.number = number
        self.of = of
        self.listen = listen
        self.words = words
        self.is_daemon = is_daemon

    def text(self) -> str:
        """The seat as it stands in the environment."""
        return json.dumps([self.number, self.of, self.listen, self.words, self.is_daemon])

    @classmethod
    def parse(cls, text: str) -> Seat:
        """The seat that :meth:`text` gave."""
        number, of, listen, words, is_daemon = json.loads(text)
        return cls(number, of, tuple(listen), words, is_daemon)


@final
class PipeMessenger:
    """Speaks to the parent. One that does not listen delays nobody."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)

    def tell(self, **fields: str | int) -> bool:
        """Send *fields* as one message; it is short enough for a pipe to take it whole or not at all."""
        try:
            os.write(self._descriptor, message(fields) + b"\n\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """There is nothing more to tell."""
        os.close(self._descriptor)


@final
@implementer(IReadDescriptor)
class Orders(Part):
    """Follows what the parent says.

    :param descriptor: the pipe on which it comes.
    :param reload: called for ``reload``.
    :param hurry: called for ``hurry``, and for a second ``stop``.
    """

    def __init__(
        self, reactor: Any, descriptor: int, reload: Callable[[], object], hurry: Callable[[], object]
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._buffer = b""
        self._is_stopping = False
        self._reload = reload
        self._hurry = hurry

    def started(self) -> None:
        """The service runs: hear what the parent says."""
        os.set_blocking(self._descriptor, False)
        self._reactor.addReader(self)

    def stopping(self) -> None:
        """A stop has begun."""
        self._is_stopping = True

    def ended(self) -> None:
        """Nothing can be ordered any more."""
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        """The pipe; for the reactor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """Who reads; for the reactor."""
        return "orders"

    def doRead(self) -> None:
        """Read what has come, and follow it."""
        try:
            octets = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        if not octets:
            self.connectionLost(Failure(EOFError()))
            return
        *lines, rest = (self._buffer + octets).split(b"\n")
        self._buffer = rest[-_MOST_OCTETS:]
        for line in lines:
            self._follow(line)

    def connectionLost(self, reason: Failure) -> None:
        """The parent is gone: nobody would start us again, nor end us."""
        self._reactor.removeReader(self)
        self._stop()

    def _follow(self, order: bytes) -> None:
        if order == b"reload" and not self._is_stopping:
            self._reload()
        elif order == b"stop":
            self._stop()
        elif order == b"hurry":
            self._hurry()

    def _stop(self) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            # A signal was quicker, in this very turn.
            return


_taken: list[Seat] = []


def take_seat(seat: Seat) -> None:
    """This process is a worker from now on."""
    _taken[:] = [seat]


def leave_seat() -> None:
    """This process is nobody's worker any more."""
    _taken.clear()


def this_seat() -> Seat | None:
    """The seat of this process; None where it is nobody's worker."""
    return _taken[0] if _taken else None


def ears_and_mouth(reactor: Any, service: SipService, seat: Seat, stop_seconds: float) -> tuple[Part, Part]:
    """What a worker has beside its party: ears for its parent, and words to it."""
    supervision = Supervision(
        reactor,
        PipeMessenger(seat.words),
        watchdog=SIGNS_OF_LIFE,
        stop_seconds=stop_seconds,
        state=lambda: service_state(service),
    )
    return Orders(reactor, sys.__stdin__.fileno() if sys.__stdin__ else 0, service.reload, service.hurry), supervision


def main(arguments: list[str]) -> None:
    """Be a worker: ``twistd`` with *arguments*, in a process group of its own, so that a terminal's Ctrl-C reaches it
    through its parent alone."""
    os.setpgid(0, 0)
    take_seat(Seat.parse(os.environ.pop(SEAT)))
    from twisted.scripts.twistd import run

    sys.argv = ["twistd", *arguments]
    run()
