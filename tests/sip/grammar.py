"""What the tests of the grammar share: texts to try, and a way to see that a parser takes linear time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from sip_p2p.sip.abnf import has_octets

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.trial.unittest import SynchronousTestCase

__all__ = ["ANY_TEXT", "HOSTS", "NASTY_TEXT", "TOKENS", "assert_linear", "garbled"]

TOKENS = st.text("ABCxyz019-.!%*_+`'~", min_size=1, max_size=12)
"""Tokens."""

HOSTS = st.sampled_from(
    [
        "a.example",
        "A.Example",
        "localhost",
        "h-1.example.",
        "x--y.example",
        "192.0.2.1",
        "[2001:db8::1]",
        "[::ffff:192.0.2.1]",
    ]
)
"""Hosts as the wire spells them."""

ANY_TEXT = st.text(max_size=24)
"""Any text at all, lone surrogates included."""

NASTY_TEXT = st.text(
    st.sampled_from(
        'ab09 \t"\\<>;,=?:@&/%#[]()\r\n\0\x7f\x85\u00e9\u2028\u212a\u0661\U0001f600\ud800\udc80\udcc3\udca9'
    ),
    max_size=16,
)
"""Text of what delimits, escapes, ends lines or only looks as if it did."""


def garbled(text: str) -> st.SearchStrategy[str]:
    """*text* with one piece of it replaced by something else; always something that octets can decode to."""
    pieces = ["", " ", "\t", ";", ",", '"', "\\", "<", ">", "=", ":", "/", "?", "@", "%00"]
    return st.builds(
        lambda start, length, piece: text[:start] + piece + text[start + length :],
        st.integers(0, len(text)),
        st.integers(0, 3),
        st.one_of(NASTY_TEXT, st.sampled_from(pieces)),
    ).filter(has_octets)


def assert_linear(
    case: SynchronousTestCase, action: Callable[[str], object], make: Callable[[int], str], size: int = 1_000
) -> None:
    """Fail if *action* takes more than linear time on what *make* makes of a size.

    A quadratic one takes sixteen times as long for four times the size, and the bound is 2.8 a doubling. Times are of
    the processor, the best of several; a measurement that a busy machine has spoilt is taken again.
    """
    small, large = make(size), make(size * 4)
    growth = 0.0
    for _ in range(5):
        before = min(_time(action, small) for _ in range(3))
        growth = (min(_time(action, large) for _ in range(3)) / before) ** 0.5
        if growth < 2.8:
            return
    case.fail(f"twice the text takes {growth:.1f} times as long: {small[:40]!r}...")


def _time(action: Callable[[str], object], text: str) -> float:
    """The processor seconds of one call, never zero."""
    started = time.process_time()
    action(text)
    return max(time.process_time() - started, 5e-5)
