"""Who may change a session, and when (RFC 3261 section 14, RFC 3311 section 5, RFC 6141, RFC 5407 section 3).

One re-INVITE at a time, in either direction; one UPDATE at a time each way; where both sides start at once, one of them
is told 491 and tries again after a time that depends on who made the Call-ID. What an offer or an answer may do is
:mod:`~sip_p2p.sip.dialog.offer_answer`'s business; this is about the requests that carry them. Nothing here sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation

if TYPE_CHECKING:
    from sip_p2p.sip.tokens import TokenSource

__all__ = ["Modification"]

_LOCAL_INVITE = 1
_LOCAL_UPDATE = 2
_LOCAL_OFFER = 4
"""Our UPDATE carries an offer; an INVITE always has to do with one."""
_REMOTE_INVITE = 8
_REMOTE_UPDATE = 16
_REMOTE_OFFER = 32
_WAITS = 64
_LOCAL = _LOCAL_INVITE | _LOCAL_UPDATE
_REMOTE = _REMOTE_INVITE | _REMOTE_UPDATE
_SIDES = (
    ("our", _LOCAL_INVITE, _LOCAL_UPDATE, _LOCAL_OFFER),
    ("their", _REMOTE_INVITE, _REMOTE_UPDATE, _REMOTE_OFFER),
)
_MOST_ATTEMPTS = 8
_LONGEST_RETRY_AFTER = 10


@final
class Modification:
    """The requests of one dialog that change its session: INVITE and UPDATE, ours and the peer's.

    :ivar attempts: how often in a row a peer has told us 491.
    """

    __slots__ = ("_pending", "attempts")

    def __init__(self) -> None:
        self._pending = 0
        self.attempts = 0

    @property
    def local(self) -> str:
        """The method of ours that is on its way: an INVITE before an UPDATE; empty for none."""
        pending = self._pending
        return "INVITE" if pending & _LOCAL_INVITE else "UPDATE" if pending & _LOCAL_UPDATE else ""

    @property
    def remote(self) -> str:
        """The peer's method that has no final response yet: an INVITE before an UPDATE; empty for none."""
        pending = self._pending
        return "INVITE" if pending & _REMOTE_INVITE else "UPDATE" if pending & _REMOTE_UPDATE else ""

    @property
    def under_way(self) -> list[str]:
        """What has begun and not ended: ``our INVITE``, ``their UPDATE``, ...; a ``refresh`` is an UPDATE without an
        offer."""
        pending = self._pending
        words = []
        for whose, invite, update, offer in _SIDES:
            if pending & invite:
                words.append(f"{whose} INVITE")
            if pending & update:
                words.append(f"{whose} UPDATE" if pending & offer else f"{whose} refresh")
        return words

    @property
    def waits(self) -> bool:
        """Whether a request of ours met one of the peer's, and its time to be sent again has not come."""
        return bool(self._pending & _WAITS)

    def may_begin(self, method: str, *, has_offer: bool = True) -> bool:
        """Whether :meth:`begin` would let *method* go now."""
        pending = self._pending
        if method == "INVITE":
            # 14.1: no INVITE while another is in progress in either direction. An UPDATE that is on its way could
            # change what the INVITE offers: it is waited for as well.
            return not pending & (_LOCAL | _REMOTE)
        # RFC 3311 section 5.1: UPDATE may go during an INVITE; whether with an offer depends on offer and answer.
        # One that was received and has no answer carries an offer, and ours would meet it.
        if pending & _LOCAL_UPDATE:
            return False
        return not (has_offer and pending & _REMOTE_UPDATE)

    def begin(self, method: str, *, has_offer: bool = True) -> None:
        """INVITE or UPDATE is about to be sent.

        :param has_offer: whether an UPDATE carries an offer; one without only refreshes.
        :raises InvalidOperation: to be tried again later, when it must not go now; nothing has changed then.
        """
        if not self.may_begin(method, has_offer=has_offer):
            raise InvalidOperation(
                f"{method} has to wait for the answer to {' and '.join(self.under_way)}", retryable=True
            )
        if method == "INVITE":
            self._pending = self._pending & ~_WAITS | _LOCAL_INVITE
        elif has_offer:
            self._pending = self._pending & ~_WAITS | _LOCAL_UPDATE | _LOCAL_OFFER
        else:
            # What waits for its time goes on waiting: it was no refresh that met an offer.
            self._pending |= _LOCAL_UPDATE

    def incoming(self, method: str, *, has_offer: bool = True) -> int:
        """An INVITE or UPDATE came in the dialog; 0 lets it pass, and it counts until :meth:`answered`.

        :param has_offer: as for :meth:`begin`.
        :returns: 491, or 500, which wants a Retry-After of :meth:`retry_after`.
        """
        pending = self._pending
        if method == "INVITE":
            # 14.2: before the first has its answer, a second one is answered 500.
            if pending & (_REMOTE_INVITE | _REMOTE_OFFER):
                return 500
            # 14.2: ours is on its way, and both cannot be; RFC 3311 has the same for the offer of an UPDATE.
            if pending & (_LOCAL_INVITE | _LOCAL_OFFER):
                return 491
            self._pending = pending | _REMOTE_INVITE
            return 0
        # RFC 3311 section 5.2: before the previous one has its answer.
        if pending & _REMOTE_UPDATE:
            return 500
        # RFC 3311 section 5.2: two offers that meet. That of an INVITE is for offer and answer to judge, since it may
        # have been answered in a provisional response.
        if has_offer and pending & _LOCAL_OFFER:
            return 491
        self._pending = pending | _REMOTE_UPDATE | (_REMOTE_OFFER if has_offer else 0)
        return 0

    def answered(self, method: str) -> None:
        """The peer's *method* got its final response."""
        self._pending &= ~(_REMOTE_INVITE if method == "INVITE" else _REMOTE_UPDATE | _REMOTE_OFFER)

    def ended(self, method: str) -> None:
        """Our *method* has come to its end, well or not."""
        self._close(method)
        if not self._pending & _WAITS:
            self.attempts = 0

    def _close(self, method: str) -> None:
        self._pending &= ~(_LOCAL_INVITE if method == "INVITE" else _LOCAL_UPDATE | _LOCAL_OFFER)

    def refused_491(self, method: str, now: float, *, owns_call_id: bool, tokens: TokenSource) -> float | None:
        """Our *method* was answered 491: return when to send it again, or None when it has been tried often enough.

        :param owns_call_id: whether we made the dialog's Call-ID, by sending the INVITE that opened it.
        """
        self._close(method)
        self.attempts += 1
        if self.attempts >= _MOST_ATTEMPTS:
            self.attempts = 0
            return None
        self._pending |= _WAITS
        # 14.1: 2.1 to 4 seconds for the owner, 0 to 2 for the other, in steps of 10 ms: they cannot meet again.
        if owns_call_id:
            return now + (210 + tokens.number(191)) / 100
        return now + tokens.number(201) / 100

    def gave_up(self) -> None:
        """What waited to be sent again will not be."""
        self._pending &= ~_WAITS
        self.attempts = 0

    @staticmethod
    def retry_after(tokens: TokenSource) -> int:
        """The seconds of the Retry-After that goes with a 500: 0 to 10, at random (section 14.2)."""
        return tokens.number(_LONGEST_RETRY_AFTER + 1)
