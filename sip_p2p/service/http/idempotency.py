"""``Idempotency-Key``: who has lost an answer may ask again, and nothing is sent twice.

As in draft-ietf-httpapi-idempotency-key-header: a key that comes again with the same request gets what the first one
made; with another request it is refused (422).
"""

from __future__ import annotations

import collections
import hashlib
import re
from typing import TYPE_CHECKING, Generic, TypeVar, final

from sip_p2p.service.http.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.service.http.routes import Call

__all__ = ["MOST_KEYS", "Keys"]

MOST_KEYS = 1024
"""How many keys are remembered; the oldest gives way."""

_KEY = re.compile(r'"?([!#-\[\]-~]{1,255})"?')

T = TypeVar("T")


@final
class Keys(Generic[T]):
    """What was made under which key."""

    def __init__(self) -> None:
        self._made: collections.OrderedDict[str, tuple[bytes, T]] = collections.OrderedDict()

    def once(self, call: Call, make: Callable[[], T]) -> T:
        """What *make* makes for *call*, or has made for it before.

        :raises Problem: the key is none, or stands for another request.
        """
        text = call.header("idempotency-key")
        if text is None:
            return make()
        matched = _KEY.fullmatch(text)
        if matched is None:
            raise Problem("bad-request", "The Idempotency-Key is not 1 to 255 visible characters.")
        key = matched[1]
        digest = hashlib.sha256(call.request.uri + b"\0" + call.octets).digest()
        found = self._made.get(key)
        if found is not None:
            if found[0] != digest:
                raise Problem("key-reused", "The Idempotency-Key was sent before with another request.")
            return found[1]
        made = make()
        self._made[key] = (digest, made)
        if len(self._made) > MOST_KEYS:
            self._made.popitem(last=False)
        return made
