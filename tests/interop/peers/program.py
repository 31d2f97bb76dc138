"""A peer's process: started, listened to, waited for and ended by its own process id."""

from __future__ import annotations

import datetime
import glob
import os
import re
import shutil
import signal
import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

__all__ = ["FAR_AHEAD", "FakeClock", "PeerFailed", "Program", "StepClock", "find_program", "free_port", "until"]

FAR_AHEAD = "+30d"
"""A clock that far ahead finds a certificate expired that is valid for a day."""

STARTING = 20.0
"""Seconds that a peer has to open its ports: far more than any needs on a busy machine."""

POLLING = 0.02
"""Seconds between two looks at something that announces itself to nobody."""


class PeerFailed(AssertionError):
    """A peer did not start, did not do as told, or ended early; carries what it wrote."""


def find_program(name: str) -> str | None:
    """The path of a program, looked for in the folders of the system's daemons too."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")


def free_port(interface: str = "127.0.0.1") -> int:
    """A port that was free for UDP and for TCP a moment ago: for peers that cannot choose one and tell which."""
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    for _ in range(100):
        with (
            socket.socket(family, socket.SOCK_STREAM) as stream,
            socket.socket(family, socket.SOCK_DGRAM) as datagram,
        ):
            stream.bind((interface, 0))
            port: int = stream.getsockname()[1]
            try:
                datagram.bind((interface, port))
            except OSError:
                continue
            return port
    raise OSError("no port is free for both UDP and TCP")


def is_bound(transport: str, port: int) -> bool:
    """Whether some process listens on *port*: read from the kernel's tables, so the peer sees no probe."""
    suffix = f":{port:04X}"
    kind = "udp" if transport == "udp" else "tcp"
    for table in (f"/proc/net/{kind}", f"/proc/net/{kind}6"):
        with open(table, encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                if words[1].endswith(suffix) and (kind == "udp" or words[3] == "0A"):
                    return True
    return False


async def until(reactor: IReactorTime, condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Look again and again until *condition* holds.

    :raises PeerFailed: when it does not within *seconds*.
    """
    deadline = reactor.seconds() + seconds
    while not condition():
        if reactor.seconds() >= deadline:
            raise PeerFailed(f"not within {seconds:g} s: {what}")
        await deferLater(reactor, POLLING)


class FakeClock:
    """libfaketime: lets a peer believe in another day."""

    packages = "faketime"

    @staticmethod
    def missing() -> str | None:
        """What is not installed, or None."""
        return None if FakeClock._libraries() else "libfaketime.so.1"

    @staticmethod
    def _libraries() -> list[str]:
        return glob.glob("/usr/lib/*/faketime/libfaketime.so.1")

    @staticmethod
    def environment(clock: str) -> dict[str, str]:
        """What to add to the environment of a program whose clock is to be off by *clock*; empty for none."""
        if not clock:
            return {}
        return {"LD_PRELOAD": FakeClock._libraries()[0], "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class StepClock:
    """A clock that is set while the program runs which has it; its monotonic clock goes on as it was.

    :ivar environment: what to add to the environment of the program.
    """

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "clock")
        self.set(datetime.timedelta())
        self.environment = {
            # The library for programs with threads.
            "LD_PRELOAD": FakeClock._libraries()[0].replace("libfaketime.", "libfaketimeMT."),
            "FAKETIME_TIMESTAMP_FILE": self._path,
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, off: datetime.timedelta) -> None:
        """Let it be off by so much from now on."""
        with open(f"{self._path}.new", "w", encoding="ascii") as file:
            file.write(f"{off.total_seconds():+.0f}")
        # At once: whoever reads half a number would be in another century.
        os.replace(f"{self._path}.new", self._path)


class _Process(ProcessProtocol):
    def __init__(self, program: Program) -> None:
        self.program = program

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.program._wrote(childFD, data)

    def processEnded(self, reason: Failure) -> None:
        self.program._ended(reason)


class Program:
    """One process of a peer, its standard output and error gathered as text.

    :ivar text: all that it wrote so far, both streams as they came.
    :ivar exit_code: None while it runs; negative for a signal.
    """

    def __init__(self, reactor: Any, arguments: Sequence[str]) -> None:
        self.reactor = reactor
        self.arguments = list(arguments)
        self.text = ""
        self.output = ""
        self.exit_code: int | None = None
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._transport: Any = None
        self._group = 0

    @property
    def pipes(self) -> dict[int, Any]:
        """Its descriptors, as ``spawnProcess`` takes them."""
        return {0: "w", 1: "r", 2: "r"}

    def start(self, directory: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it in *directory*, with this process's environment plus *environment*."""
        # A session of its own: what the peer forks can be ended with it, and it cannot signal the tests' group.
        self._transport = self.reactor.spawnProcess(
            _Process(self),
            "/usr/bin/setsid",
            ["setsid", *self.arguments],
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            path=directory,
            childFDs=self.pipes,
        )
        self._group = self.pid

    @property
    def is_reaped(self) -> bool:
        """Whether the process itself is gone; what it has forked may still hold its pipes, and is waited for."""
        return self._transport is None or self._transport.pid is None

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self._transport.pid)

    def write(self, text: str) -> None:
        """Type *text* on its standard input."""
        self._transport.write(text.encode())

    def close_input(self) -> None:
        """End its standard input."""
        self._transport.closeStdin()

    def _wrote(self, descriptor: int, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        self.text += text
        if descriptor == 1:
            self.output += text
        self._look()

    def _ended(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.exit_code = ended.exitCode if ended.exitCode is not None else -ended.signal
        self._look()

    def _look(self) -> None:
        for entry in self._waiting[:]:
            if entry[0]() and entry in self._waiting:
                self._waiting.remove(entry)
                entry[1].callback(None)

    async def _when(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        if not condition():
            waiting: Deferred[None] = Deferred()
            entry = (condition, waiting)
            self._waiting.append(entry)

            def late() -> None:
                self._waiting.remove(entry)
                waiting.errback(PeerFailed(f"not within {seconds:g} s: {what}\n{self.report()}"))

            call = self.reactor.callLater(seconds, late)
            try:
                await waiting
            finally:
                if call.active():
                    call.cancel()

    async def ended(self, seconds: float = 30.0) -> int:
        """Wait for it to end by itself; its exit code."""
        await self._when(lambda: self.exit_code is not None, seconds, "the end of the process")
        return -1 if self.exit_code is None else self.exit_code

    async def find(self, pattern: str, seconds: float = 15.0, start: int = 0) -> re.Match[str]:
        """Wait until what it writes matches *pattern* at or after the offset *start*.

        :raises PeerFailed: when it does not in time, or ends without.
        """
        compiled = re.compile(pattern, re.MULTILINE)
        await self._when(
            lambda: self.exit_code is not None or compiled.search(self.text, start) is not None, seconds, pattern
        )
        found = compiled.search(self.text, start)
        if found is None:
            raise PeerFailed(f"ended without {pattern!r}\n{self.report()}")
        return found

    async def bound(self, *ports: tuple[str, int], seconds: float = STARTING) -> None:
        """Wait until the process has every (transport, port) open.

        :raises PeerFailed: when it does not in time, or ends before.
        """
        await until(
            self.reactor,
            lambda: self.exit_code is not None or all(is_bound(*port) for port in ports),
            seconds,
            f"{ports} open\n{self.report()}",
        )
        if self.exit_code is not None:
            raise PeerFailed(f"ended before it listened\n{self.report()}")

    async def stop(self, seconds: float = 10.0) -> None:
        """End it, if it still runs, with all that it forked: politely, and by force when that does not help in time."""
        if self._transport is None or self.exit_code is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                # The process itself may be gone, and what it forked holds the pipes still.
                os.killpg(self._group, number)
                await self.ended(seconds)
            except PeerFailed:
                continue
            except ProcessLookupError:
                await self.ended(seconds)
            return
        raise PeerFailed(f"cannot be ended\n{self.report()}")

    def report(self) -> str:
        """The command line, how it ended and the end of what it wrote: for failure messages."""
        state = "running" if self.exit_code is None else f"exit code {self.exit_code}"
        return f"$ {' '.join(self.arguments)}\n[{state}]\n{self.text[-6000:]}"
