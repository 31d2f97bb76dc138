"""Where unguessable tokens come from: an argument of the core, so that tests can name every one of them.

RFC 3261 section 19.3 asks for 32 random bits in a tag; we use 128 everywhere, because guessing one must never be a
plan.
"""

from __future__ import annotations

import hashlib

__all__ = ["BRANCH_COOKIE", "CountingTokens", "TokenSource"]

BRANCH_COOKIE = "z9hG4bK"
"""What every branch of RFC 3261 starts with (section 8.1.1.7)."""


class TokenSource:
    """Makes branches, tags and Call-IDs. A source overrides :meth:`token`; the rest follows from it."""

    __slots__ = ()

    def token(self) -> str:
        """A string of token characters that nobody can guess and that never comes twice."""
        raise TypeError("TokenSource is abstract: override token()")

    def branch(self) -> str:
        """A Via branch (section 8.1.1.7)."""
        return BRANCH_COOKIE + self.token()

    def tag(self) -> str:
        """A From or To tag (section 19.3)."""
        return self.token()

    def call_id(self) -> str:
        """A Call-ID; it names no host, so that none leaks (section 8.1.1.4)."""
        return self.token()

    def number(self, below: int) -> int:
        """A whole number from 0 up to, but without, *below*, each as likely as the others; *below* is at most 2**32.

        For what the standards ask to be chosen at random: the first RSeq (RFC 3262 section 3), the time until a
        request that met another one is sent again (section 14.1).
        """
        digest = hashlib.sha256(self.token().encode()).digest()
        return int.from_bytes(digest[:16], "big") % below


class CountingTokens(TokenSource):
    """A source for tests: ``t1``, ``t2``, ... with a prefix that keeps two parties apart."""

    __slots__ = ("_count", "_prefix")

    def __init__(self, prefix: str = "t") -> None:
        self._prefix = prefix
        self._count = 0

    def token(self) -> str:
        """The next of the sequence."""
        self._count += 1
        return f"{self._prefix}{self._count}"
