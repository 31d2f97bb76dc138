"""Sessions of connections that we dialled, for the next connection to the same peer (RFC 8446 section 2.2, RFC 5077).

A resumed handshake proves that the peer is the one of the session, without a certificate and at a fraction of the cost.
It must not prove more than a full one would: a session belongs to one state of the TLS settings, and is forgotten when
that is replaced; and when it is resumed the peer's certificate is judged again, by :mod:`.trust.judgement`, as of now.

Sessions are kept by peer, not by connection, and each is used once (RFC 8446 appendix C.4); the connection that resumes
it gives the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import datetime
    from collections.abc import Hashable

    from OpenSSL.SSL import Session

__all__ = ["LONGEST_LIFE", "KeptSession", "SessionStore"]

LONGEST_LIFE = 6 * 3600.0
"""Seconds after its full handshake for which a session is resumed; then a full handshake is made again."""

MOST_SESSIONS = 1024
"""Sessions that are kept, for one state of the settings; the one kept for longest gives way."""


@final
class KeptSession:
    """A session that can be resumed once.

    :ivar session: OpenSSL's.
    :ivar began: when its full handshake was, on the scale of the connection's clock.
    :ivar good_until: until when the OCSP response that was stapled then holds; None if nothing rests on one.
    """

    __slots__ = ("began", "good_until", "session")

    def __init__(self, session: Session, began: float, good_until: datetime.datetime | None) -> None:
        self.session = session
        self.began = began
        self.good_until = good_until


@final
class SessionStore:
    """The sessions of one state of the TLS settings, one a peer."""

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int = MOST_SESSIONS) -> None:
        """
        :param limit: how many are kept; 0 for none.
        """
        self._kept: dict[Hashable, KeptSession] = {}
        self._limit = limit

    def keep(self, key: Hashable, session: KeptSession) -> None:
        """Keep *session* for the next connection to *key*, in the place of an older one."""
        self._kept.pop(key, None)
        while self._kept and len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        if self._limit > 0:
            self._kept[key] = session

    def take(self, key: Hashable, now: float, moment: datetime.datetime) -> KeptSession | None:
        """The session to resume on a new connection to *key*, which is not kept any more then; or None.

        :param now: on the scale of :attr:`KeptSession.began`.
        :param moment: the same by the calendar, aware.
        """
        kept = self._kept.pop(key, None)
        if kept is None or not 0 <= now - kept.began < LONGEST_LIFE:
            return None
        return kept if kept.good_until is None or moment < kept.good_until else None

    def __len__(self) -> int:
        return len(self._kept)
