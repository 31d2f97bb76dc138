"""What every benchmark needs: how large a run is, a temporary folder, and certificates for the two sides."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sip_p2p.pki import CertificateAuthority

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FULL", "QUICK", "SMOKE", "Scale", "Setting"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    :ivar rounds: turns that each server has in each case of the exchange.
    :ivar seconds: the length of a turn; a fixed number of messages, *count*, where that is not 0.
    :ivar batches: timed batches of each in-process figure, each of *batch_seconds*.
    :ivar connections: idle connections that are held.
    :ivar live: transactions that wait for their answer.
    :ivar finished: answered UDP transactions that wait out Timer J.
    :ivar growth: transactions over which the server must not grow.
    :ivar idle: mutual TLS peers that are held at a time, from several processes.
    :ivar rate: UDP requests a second, for *paced_seconds*.
    :ivar attack_seconds: how long the canary sings under each attack.
    :ivar attempts: handshakes a second that are attempted meanwhile.
    :ivar trickles: peers that trickle meanwhile.
    :ivar dialogs: dialogs that are held.
    :ivar calls: calls over which neither side must grow.
    :ivar watchers: subscribers who are told of each change.
    :ivar watched: subscriptions that are held.
    """

    rounds: int
    seconds: float
    count: int
    batches: int
    batch_seconds: float
    connections: int
    live: int
    finished: int
    growth: int
    idle: int
    rate: float
    paced_seconds: float
    attack_seconds: float
    attempts: int
    trickles: int
    dialogs: int
    calls: int
    watchers: int
    watched: int


FULL = Scale(
    25,
    0.08,
    0,
    40,
    0.02,
    1000,
    5000,
    30_000,
    1_000_000,
    10_000,
    6000.0,
    40.0,
    8.0,
    1000,
    500,
    20_000,
    100_000,
    1000,
    10_000,
)
QUICK = Scale(6, 0.05, 0, 12, 0.01, 500, 1000, 5_000, 100_000, 500, 6000.0, 5.0, 2.0, 1000, 500, 1000, 5000, 200, 1000)
SMOKE = Scale(1, 0.0, 24, 1, 0.0005, 4, 10, 20, 100, 6, 200.0, 0.3, 0.3, 50, 5, 20, 100, 6, 20)


class Setting:
    """A temporary folder with an authority and the certificates of ``alice.example`` (the load), ``bob.example`` and a
    hook on ``localhost``."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.folder = Path(tempfile.mkdtemp(prefix="sip-p2p-bench-"))
        authority = CertificateAuthority.create("benchmark authority")
        self.trust = authority.write(self.folder)
        self.client = authority.issue("alice.example").write(self.folder)
        self.server = authority.issue("bob.example").write(self.folder)
        self.hook = authority.issue("localhost").write(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
