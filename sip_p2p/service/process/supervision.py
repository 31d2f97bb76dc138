"""What a supervisor is told of a service: that it is ready, that it reads its files anew, that it stops, that it lives.

systemd takes it on a datagram socket whose name is in ``NOTIFY_SOCKET`` (``sd_notify(3)``, ``systemd.service(5)``), and
so do the other supervisors that have learned to. With ``WATCHDOG_USEC`` it wants a sign of life in that time; ours
comes out of the reactor's turns, so that a program that is stuck gives none. A parent of workers is told in the same
words, over a pair of sockets (:mod:`.workers`).

Left out: descriptors kept by the supervisor (``FDSTORE``), ``MAINPID`` (``twistd -n`` is the process that was started),
and virtual sockets (``vsock:``).
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Protocol, final

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from sip_p2p.observe.text import printable
from sip_p2p.service.parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.service import SipService
    from sip_p2p.service.settings.options import Options

__all__ = ["MOST_STATUS_CHARACTERS", "SECONDS_BETWEEN_STATES", "Messenger", "NotifySocket", "Supervision"]

MOST_STATUS_CHARACTERS = 200
"""How long the state in words may be; what is longer is cut."""

SECONDS_BETWEEN_STATES = 10.0
"""How often the state in words is told anew where there is no watchdog, if it has changed."""

_SPARE_SECONDS = 10.0
"""What a stop may take beyond what was said of it, for what has no time of its own: closing, and writing."""

_log = Logger("sip_p2p.service")


class Messenger(Protocol):
    """Whoever carries the words to a supervisor."""

    def tell(self, **fields: str | int) -> bool:
        """Send *fields* as one message, without waiting.

        :returns: whether it has gone.
        """

    def close(self) -> None:
        """There is nothing more to tell."""


def message(fields: dict[str, str | int]) -> bytes:
    """*fields* as ``sd_notify`` has them: one ``NAME=value`` a line, in one line each whatever the value holds."""
    return "\n".join(f"{name}={printable(str(value), 1024)}" for name, value in fields.items()).encode()


@final
class NotifySocket:
    """The socket of ``NOTIFY_SOCKET``. A supervisor that is gone, or too busy to listen, delays nobody."""

    __slots__ = ("_address", "_is_told", "_socket")

    def __init__(self, address: str) -> None:
        """
        :param address: a path, or a name that begins with ``@`` (Linux's abstract ones).
        :raises ValueError: for another kind of address.
        """
        if not address.startswith(("/", "@")) or len(address) < 2 or "\0" in address:
            raise ValueError(f"NOTIFY_SOCKET={printable(address)} is neither a path nor a name behind @")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._is_told = False

    def tell(self, **fields: str | int) -> bool:
        """Send *fields* as one message; the first failure is logged."""
        try:
            self._socket.sendto(message(fields), self._address)
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                _log.warn("the supervisor cannot be told how we are: {error}", error=error.strerror or str(error))
            return False
        return True

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


@final
class Supervision(Part):
    """Tells a supervisor of each step of the service's life, and gives it signs of life.

    It is the last part that is added: when it hears of the start, everything has started.

    :param messenger: who carries it.
    :param watchdog: the seconds in which the supervisor wants a sign of life; two are given in that time. None where
        it wants none.
    :param stop_seconds: how long a stop may take; the supervisor is asked for as much.
    :param state: the state in words.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        messenger: Messenger,
        *,
        watchdog: float | None = None,
        stop_seconds: float = 0.0,
        state: Callable[[], str] = str,
    ) -> None:
        self._messenger = messenger
        self._has_watchdog = watchdog is not None
        self._interval = SECONDS_BETWEEN_STATES if watchdog is None else watchdog / 2
        self._stop_seconds = stop_seconds
        self._state = state
        self._told = ""
        self._is_stopping = False
        self._looping = LoopingCall(self._turn)
        self._looping.clock = reactor

    @classmethod
    def from_environment(
        cls, reactor: IReactorTime, service: SipService, stop_seconds: float, environment: MutableMapping[str, str]
    ) -> Supervision | None:
        """What the supervisor asks for in *environment*; its variables are taken out, so that no child answers for us.

        :param stop_seconds: how long a stop may take.
        :returns: None where no supervisor listens.
        """
        found = asked_for(environment)
        if found is None:
            return None
        messenger, watchdog = found
        return cls(
            reactor, messenger, watchdog=watchdog, stop_seconds=stop_seconds, state=lambda: service_state(service)
        )

    def started(self) -> None:
        """Everything listens and runs."""
        self._tell(READY=1)
        self._looping.start(self._interval, now=self._has_watchdog)

    def reloading(self) -> None:
        """Files are about to be read anew."""
        self._messenger.tell(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def reload(self) -> list[str]:
        """They have been."""
        self._tell(READY=1)
        return []

    def configure(self, options: Options, changed: frozenset[str]) -> set[str]:
        """A stop may take another time from now on; whoever stops the party takes the options themselves over."""
        self._stop_seconds = options.drain + options.finish_sessions
        return set()

    def stopping(self) -> None:
        """A stop has begun, and takes as long as what is in flight may."""
        self._is_stopping = True
        self._tell(STOPPING=1, EXTEND_TIMEOUT_USEC=self._asked_for())

    def extend(self, stop_seconds: float) -> None:
        """The stop that has begun may take *stop_seconds*, if that is longer than what was asked for."""
        if stop_seconds > self._stop_seconds:
            self._stop_seconds = stop_seconds
            self._messenger.tell(EXTEND_TIMEOUT_USEC=self._asked_for())

    def _asked_for(self) -> int:
        return int((self._stop_seconds + _SPARE_SECONDS) * 1_000_000)

    def ended(self) -> None:
        """Nothing more will happen."""
        if self._looping.running:
            self._looping.stop()
        self._messenger.close()

    def _tell(self, **fields: str | int) -> None:
        self._told = self._words()
        self._messenger.tell(**fields, STATUS=self._told)

    def _words(self) -> str:
        words = self._state()
        return printable(f"stopping; {words}" if self._is_stopping else words, MOST_STATUS_CHARACTERS)

    def _turn(self) -> None:
        fields: dict[str, str | int] = {"WATCHDOG": 1} if self._has_watchdog else {}
        words = self._words()
        if words != self._told:
            self._told = words
            fields["STATUS"] = words
        if fields:
            self._messenger.tell(**fields)


def asked_for(environment: MutableMapping[str, str]) -> tuple[Messenger, float | None] | None:
    """How to reach the supervisor that *environment* names, and in how many seconds it wants a sign of life.

    The variables are taken out of it, so that no child of ours answers for us.
    """
    address = environment.pop("NOTIFY_SOCKET", "")
    microseconds = environment.pop("WATCHDOG_USEC", "")
    process = environment.pop("WATCHDOG_PID", "")
    if not address:
        return None
    try:
        messenger = NotifySocket(address)
    except ValueError as error:
        _log.warn("no supervisor is told how we are: {error}", error=str(error))
        return None
    watchdog = None
    if microseconds.isascii() and microseconds.isdigit() and process in ("", str(os.getpid())):
        watchdog = int(microseconds) / 1_000_000 or None
    return messenger, watchdog


def service_state(service: SipService) -> str:
    """How a service is, in words: where it listens, and what it has to do."""
    manager = service.manager
    places = ", ".join(f"{each.transport} {_where(each.address)}" for each in manager.listeners)
    counts = f"{_count(len(manager.pool), 'connection')}, {_count(len(manager.sessions), 'session')}"
    return f"{service.endpoint.aor} {f'listens on {places}' if places else 'only sends'}; {counts}"


def _where(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
