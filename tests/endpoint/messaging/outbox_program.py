"""A program that sends two messages through an outbox, again and again, and is killed at one step after the other.

    python outbox_program.py FOLDER TARGET

For each step there is a file of its own. The first process that uses it kills itself at the step; then another one goes
on, as after a restart, until everything is settled. Every line that is printed is a list: the number of the step, what
happened, and the id of a message. It forks, so that Python and the library are loaded once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred

from sip_p2p import Messenger, Outbox, OutboxEntry, RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.endpoint.messaging.outbox_database import OutboxDatabase

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

TEXTS = ("first", "second")
_MOST_STEPS = 500


class Fuse:
    """Burns down step by step; at its end the process is killed as ``kill -9`` does it, in whatever thread it is."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def burn(self) -> None:
        """One step."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class BurningConnection:
    """A connection to the file that burns before and after each commit, and before each statement."""

    def __init__(self, connection: Any, fuse: Fuse) -> None:
        self._connection = connection
        self._fuse = fuse

    def execute(self, statement: str, *arguments: Any) -> Any:
        """Execute it."""
        self._fuse.burn()
        result = self._connection.execute(statement, *arguments)
        if statement == "COMMIT":
            self._fuse.burn()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class BurningDatabase:
    """The database of an outbox on the disk, in its own thread."""

    def __init__(self, reactor: Any, path: str, fuse: Fuse) -> None:
        self._database = OutboxDatabase(reactor, path)
        self._fuse = fuse

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Call it, with a connection that burns."""

        def burning(connection: Any, *rest: Any) -> Any:
            return function(BurningConnection(connection, self._fuse), *rest)

        return self._database.run(burning, *arguments)

    def close(self) -> Deferred[None]:
        """Close the file."""
        return self._database.close()


class BurningEndpoint(SipPeerToPeerEndpoint):
    """A party that burns before a MESSAGE is sent, when it has gone out, and when its answer has come."""

    fuse = Fuse(0)

    def send_message(self, *arguments: Any, **options: Any) -> Deferred[Any]:
        """Send it."""
        self.fuse.burn()
        sending = super().send_message(*arguments, **options)
        self.connection_manager.reactor.callLater(0, self.fuse.burn)

        def answered(result: Any) -> Any:
            self.fuse.burn()
            return result

        return sending.addBoth(answered)


def say(step: int, what: str, identifier: str) -> None:
    """One line, at once and in one piece."""
    os.write(1, (json.dumps([step, what, identifier]) + "\n").encode())


async def play(reactor: Any, step: int, fuse: Fuse, path: str, target: str) -> None:
    """Accept what was not known to be accepted, and wait until all of it is settled."""
    manager = RealTimeServerTcpConnectionManager(reactor)
    alice = BurningEndpoint("sip:alice@127.0.0.1", manager, default_transport="tcp")
    alice.fuse = fuse
    outbox = Outbox(
        reactor, path, alice, messenger=Messenger(alice), database=cast("Any", BurningDatabase(reactor, path, fuse))
    )
    names = [f"{step}-{text}" for text in TEXTS]
    settled: set[str] = set()
    empty: Deferred[None] = Deferred()

    @outbox.settled.subscribe
    def known(entry: OutboxEntry) -> None:
        fuse.burn()
        say(step, entry.state.value, entry.id)
        settled.add(entry.id)
        if len(settled) == len(names) and not empty.called:
            empty.callback(None)

    await outbox.open()
    for name, text in zip(names, TEXTS, strict=True):
        entry = await outbox.send(text, target, id=name, want=("delivered",))
        say(step, "accepted", name)
        if entry.state.is_final:
            settled.add(name)
    if len(settled) < len(names):
        await empty
    await manager.terminate()


def live(step: int, fuse: Fuse, path: str, target: str) -> None:
    """The life of one process."""
    from twisted.internet.task import react

    try:
        react(lambda reactor: Deferred.fromCoroutine(play(reactor, step, fuse, path, target)), ())
    except SystemExit as leaving:
        os._exit(0 if leaving.code in (0, None) else 1)


def main(folder: str, target: str) -> None:
    """Each step, until there is none more at which a process could be killed."""
    for step in range(1, _MOST_STEPS):
        path = os.path.join(folder, f"{step}.sqlite")
        if not run(step, Fuse(step), path, target):
            # It had no step so late.
            return
        run(step, Fuse(0), path, target)


def run(step: int, fuse: Fuse, path: str, target: str) -> bool:
    """One process, from its beginning to its end; whether it was killed.

    :raises SystemExit: when it failed in another way.
    """
    child = os.fork()
    if not child:
        live(step, fuse, path, target)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if status:
        raise SystemExit(f"step {step} failed with {status}")
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
