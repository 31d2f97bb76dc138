"""Options of how the service runs: in how many processes, and on which ports each can be reached by itself."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ClassVar

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.process.shared_sockets import SharedSockets
from sip_p2p.service.process.worker import this_seat
from sip_p2p.service.settings.command_line import CommandOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_WORKERS", "PLACE", "RunOptions"]

MOST_WORKERS = 64
"""How many workers one parent may have."""

PLACE = "{worker}"
"""What stands for the worker's number in the value of any option."""

_OF_ONE = ("http", "outbox", "pcapng", "trace")


class RunOptions(CommandOptions):
    """How the service runs.

    :ivar workers: how many processes there are to be.
    :ivar seat: which of them this one is; None for the only one, and for the parent.
    """

    optParameters: ClassVar = [
        [
            "workers",
            None,
            "1",
            "how many processes share the listening ports, or auto for one on each processor; {worker} in any other "
            "value stands for the number of the worker, from 1",
        ],
        [
            "worker-port",
            None,
            None,
            "the first of the ports of their own on which workers are reached within dialogs; without it any that are "
            "free",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.workers = 1
        self.seat = this_seat()
        self.listen: list[str] = []
        self.shared = SharedSockets((), 1)
        self._as_given: list[str] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read *options*, with the number of the worker in its place.

        :raises UsageError: one line that says what is wrong.
        """
        given = list(sys.argv[1:] if options is None else options)
        number = "1" if self.seat is None else str(self.seat.number)
        self._as_given = given
        super().parseOptions([each.replace(PLACE, number) for each in given])

    def postOptions(self) -> None:
        """Check how many workers there are to be, and that none stands in the way of another.

        :raises UsageError: they cannot be had.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        self.workers = _workers(self["workers"])
        port = _port(self["worker-port"])
        if self.seat is not None:
            self.listen = list(self.seat.listen)
        if self.workers == 1:
            if port is not None:
                raise usage.UsageError("--worker-port is given without --workers: there is one process, and --listen")
            return
        named, _ = self.named(self._as_given)
        for name, option, value in named:
            if name in _OF_ONE and PLACE not in value:
                raise usage.UsageError(
                    f"{option} {printable(value)} would be the same for all --workers: put {PLACE} into it"
                )
            if name == "state" and PLACE not in value and self["state"]:
                self["state"] = os.path.join(self["state"], f"worker-{1 if self.seat is None else self.seat.number}")
        if self.seat is not None:
            return
        if not self.listen:
            raise usage.UsageError("--workers share what --listen names, and there is no --listen")
        try:
            self.shared = SharedSockets(self.listen, self.workers, port)
        except ValueError as error:
            raise usage.UsageError(f"--workers: {printable(str(error), 512)}") from None


def _workers(text: str) -> int:
    if text == "auto":
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_WORKERS):
        raise usage.UsageError(f"--workers {printable(text)} is neither auto nor a number from 1 to {MOST_WORKERS}")
    return int(text)


def _port(text: str | None) -> int | None:
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise usage.UsageError(f"--worker-port {printable(text)} is not a number from 1 to 65535")
    return None if text is None else int(text)
