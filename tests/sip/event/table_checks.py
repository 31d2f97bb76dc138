"""What the table of a machine is held to: it has every pair, and each leads where it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.trial.unittest import SynchronousTestCase

    B = TypeVar("B", bound="_InState")

__all__ = ["check_outcomes", "check_pairs"]


class _InState(Protocol):
    @property
    def state(self) -> str:
        """Where the machine is, in the words of its table."""


def check_pairs(
    case: SynchronousTestCase, table: Sequence[tuple[str, str, str]], states: Sequence[str], inputs: Sequence[str]
) -> None:
    """Each pair of a state and an input stands in *table* once."""
    pairs = [(state, what) for state, what, _ in table]
    case.assertEqual(pairs, [(state, what) for state in states for what in inputs])


def check_outcomes(
    case: SynchronousTestCase,
    table: Sequence[tuple[str, str, str]],
    bring: Callable[[str], B],
    apply: Callable[[B, str], str],
) -> None:
    """Each input in each state leads where *table* says.

    :param bring: makes a bench whose machine is in a state.
    :param apply: gives it an input, and says what follows, or that it is impossible.
    """
    for state, what, expected in table:
        bench = bring(state)
        case.assertEqual(bench.state, state)
        words = apply(bench, what)
        outcome = words if words == "impossible" else " ".join(filter(None, (bench.state, words)))
        case.assertEqual(outcome, expected, (state, what))
