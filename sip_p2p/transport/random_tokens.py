"""Unguessable tokens from the operating system, 128 bits each."""

from __future__ import annotations

import os
from typing import final

from sip_p2p.sip.tokens import TokenSource

__all__ = ["RandomTokens"]

_OCTETS = 16
_BATCH = 256


@final
class RandomTokens(TokenSource):
    """Takes random octets in batches: one system call for a few hundred tokens, none of them used twice."""

    __slots__ = ("_batch", "_next")

    def __init__(self) -> None:
        self._batch = ""
        self._next = 0

    def token(self) -> str:
        """32 hexadecimal digits."""
        start = self._next
        if start >= len(self._batch):
            self._batch = os.urandom(_OCTETS * _BATCH).hex()
            start = 0
        self._next = start + 2 * _OCTETS
        return self._batch[start : self._next]
