"""CPU time of small pieces of work in this process.

The pieces take turns, batch by batch, so that whatever else the machine does hits all of them alike.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.setting import Scale

__all__ = ["Piece", "Timed", "measure_pieces"]


@dataclass(slots=True)
class Piece:
    """Work to be measured: *work* does it *units* times each time it is called."""

    name: str
    work: Callable[[], object]
    units: int = 1


@dataclass(slots=True)
class Timed:
    """CPU microseconds for one unit of a piece: the median of the batches, and the best of them."""

    name: str
    median: float
    best: float


def measure_pieces(pieces: Sequence[Piece], scale: Scale) -> list[Timed]:
    """Run each piece in *scale*'s number of batches. The collector stays on: what it costs belongs to the work."""
    repeats = [_repeats(piece, scale.batch_seconds) for piece in pieces]
    times: list[list[float]] = [[] for _ in pieces]
    gc.collect()
    gc.freeze()
    for _ in range(scale.batches):
        for at, piece in enumerate(pieces):
            times[at].append(_batch(piece, repeats[at]))
    gc.unfreeze()
    return [Timed(piece.name, median(batches), min(batches)) for piece, batches in zip(pieces, times, strict=True)]


def _batch(piece: Piece, repeats: int) -> float:
    work = piece.work
    began = time.process_time_ns()
    for _ in repeat(None, repeats):
        work()
    return (time.process_time_ns() - began) / (repeats * piece.units * 1e3)


def _repeats(piece: Piece, seconds: float) -> int:
    """How often to call a piece so that a batch takes about *seconds*."""
    repeats = 1
    while True:
        took = _batch(piece, repeats) * repeats * piece.units / 1e6
        if took >= seconds / 2:
            return max(1, round(repeats * seconds / took))
        repeats *= 4
