"""Signatures that have been seen, so that none is taken for a second call (RFC 8224 section 12.1).

A signature belongs to the request that it came with: its Call-ID and From tag. That request may come again with a
higher CSeq, after a challenge for instance; anything else with the same signature was cut out of it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.sip.message import Request

__all__ = ["ReplayCache"]


@final
class ReplayCache:
    """The signatures of a while."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        # In the order of their ends, which is nearly that of their coming.
        self._seen: OrderedDict[str, tuple[float, str, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def admit(self, signature: str, request: Request, ends: float, now: float) -> bool:
        """Whether *request* may have *signature*, which is remembered then.

        :param ends: when it is too old anyway.
        """
        seen = self._seen
        while seen:
            first = next(iter(seen))
            if seen[first][0] > now:
                break
            del seen[first]
        whose = f"{request.call_id}\n{request.from_.tag or ''}\n{request.method}"
        number = request.cseq.number
        known = seen.get(signature)
        if known is not None:
            if known[1] != whose or known[2] >= number:
                return False
            seen[signature] = (known[0], whose, number)
            return True
        seen[signature] = (ends, whose, number)
        return True

    def forget(self, most: int) -> bool:
        """Remember no more than *most*: the oldest give way; return whether any had to."""
        is_full = len(self._seen) > most
        while len(self._seen) > most:
            self._seen.popitem(last=False)
        return is_full
