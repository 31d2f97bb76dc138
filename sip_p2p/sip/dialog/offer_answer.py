"""Where an offer and where an answer may stand: the offer/answer model in one dialog (RFC 3264, RFC 6337).

What an offer says is nobody's business here, not even whether it is SDP. The machine is told which message goes out or
came in and whether it carries a session description, and says what that description is: an offer, an answer, the
preview of an answer, or something that has no meaning there.

::

    Offer in        Answer in                              Standard                  Table 1 of RFC 6337
    INVITE          2xx to it, or a reliable 1xx           RFC 3261 13.2.1           patterns 1 and 3
    2xx to INVITE   ACK                                    RFC 3261 13.2.1           pattern 2
    reliable 1xx    PRACK                                  RFC 3262 section 5        pattern 4
    PRACK           2xx to it                              RFC 3262 section 5        pattern 5
    UPDATE          2xx to it                              RFC 3311 section 5        pattern 6

One machine belongs to one dialog, early or established, and both sides have one. A caller whose INVITE reached several
callees has one for each, all of which were told of the INVITE. Messages that come again are not told again.

Left out: whether an INVITE or an UPDATE may be sent at all (:mod:`~sip_p2p.sip.dialog.modification`), what order
reliable responses have (:mod:`~sip_p2p.sip.dialog.reliable`), and what offers say. That the description of every
unreliable response is the same as that of the 2xx (RFC 3261 section 13.2.1) is for whoever has the octets.
"""

from __future__ import annotations

import enum
from typing import final

from sip_p2p.errors import InvalidOperation

__all__ = ["OfferAnswer", "OfferAnswerState", "Place", "Role"]


class Place(enum.Enum):
    """A message that may carry a session description."""

    INVITE = "an INVITE"
    UNRELIABLE = "a provisional response that may be lost"
    RELIABLE = "a reliable provisional response"
    INVITE_2XX = "a 2xx to INVITE"
    ACK = "an ACK"
    PRACK = "a PRACK"
    PRACK_2XX = "a 2xx to PRACK"
    UPDATE = "an UPDATE"
    UPDATE_2XX = "a 2xx to UPDATE"


class Role(enum.Enum):
    """What a session description is."""

    NOTHING = "there is none, or it has no meaning there"
    OFFER = "an offer"
    ANSWER = "the answer"
    PREVIEW = "the answer as the 2xx will repeat it; this one may be lost (RFC 3261 section 13.2.1)"


class OfferAnswerState(enum.Enum):
    """Who waits for whom."""

    NOTHING_YET = "nobody has offered anything"
    LOCAL_OFFER = "the peer owes an answer"
    REMOTE_OFFER = "we owe an answer"
    AGREED = "the last offer was answered"
    FAILED = "the answer that had to come did not, and nothing had been agreed before: the session has to end"


class _Invite(enum.Enum):
    """How far the INVITE is, the first one or one that changes the session."""

    NONE_YET = 0
    ASKS = 1  # It carried no offer: the first reliable response, provisional or 2xx, has to.
    OFFERS = 2  # It carried one: the 2xx has to answer, unless a reliable provisional response did.
    SERVED = 3  # Its own exchange stands in reliable provisional responses and PRACK; the 2xx carries nothing.
    OVER = 4


class _Prack(enum.Enum):
    """How far the PRACK is that acknowledges a session description."""

    NONE = 0
    DUE = 1  # The reliable response with the description is out, or waits for its turn.
    OPEN = 2  # The PRACK is out, its 2xx is not.


_NOTHING = Role.NOTHING
_NOTHING_YET = OfferAnswerState.NOTHING_YET
_LOCAL_OFFER = OfferAnswerState.LOCAL_OFFER
_REMOTE_OFFER = OfferAnswerState.REMOTE_OFFER
_AGREED = OfferAnswerState.AGREED
_FAILED = OfferAnswerState.FAILED
_NONE_YET = _Invite.NONE_YET
_ASKS = _Invite.ASKS
_OFFERS = _Invite.OFFERS
_SERVED = _Invite.SERVED
_OVER = _Invite.OVER
_NO_PRACK = _Prack.NONE
_PRACK_DUE = _Prack.DUE
_PRACK_OPEN = _Prack.OPEN

_ANSWERS = {
    Place.RELIABLE: Place.INVITE,
    Place.INVITE_2XX: Place.INVITE,
    Place.ACK: Place.INVITE_2XX,
    Place.PRACK: Place.RELIABLE,
    Place.PRACK_2XX: Place.PRACK,
    Place.UPDATE_2XX: Place.UPDATE,
}
"""Which offer an answer in each place belongs to (RFC 6337 section 2.2, Table 1)."""

_REFUSABLE = frozenset({Place.INVITE, Place.PRACK, Place.UPDATE})
_AFTER_THE_ANSWER = frozenset({Place.UNRELIABLE, Place.RELIABLE, Place.INVITE_2XX})


@final
class OfferAnswer:
    """The offers and answers of one dialog.

    Tell it of each message with :meth:`sending` or :meth:`received`, in the order in which they go and come, whether or
    not it carries a description. After a message of the peer's look at :attr:`state`: FAILED means that the session
    has to end (:attr:`~sip_p2p.sip.dialog.effects.Ending.NO_AGREEMENT`).

    :ivar state: who waits for whom.
    :ivar offer_place: where the offer stood that has no answer yet; None where there is none.
    :ivar is_previewed: whether the answer to the offer in the INVITE stood in an unreliable response already.
    :ivar faults: how many descriptions of the peer's had no meaning where they stood, or were missing where they
        had to stand.
    """

    __slots__ = (
        "_behind",
        "_changed",
        "_had_agreement",
        "_invite",
        "_invites",
        "_open_pracks",
        "_prack",
        "_unacknowledged",
        "faults",
        "is_previewed",
        "offer_place",
        "state",
    )

    def __init__(self, is_agreed: bool = False) -> None:
        """
        :param is_agreed: the dialog is established and its session agreed on, as after a restart.
        """
        self.state = _AGREED if is_agreed else _NOTHING_YET
        self.offer_place: Place | None = None
        self.is_previewed = False
        self.faults = 0
        self._invite = _OVER if is_agreed else _NONE_YET
        # Whether the INVITE is ours.
        self._invites = False
        # What a rejected offer falls back to, and whether the INVITE under way has agreed on something by now.
        self._had_agreement = is_agreed
        self._changed = False
        # RFC 3262 section 4: PRACKs come in the order of the responses. How many are due, and behind how many of them
        # the one for the response with a description.
        self._prack = _NO_PRACK
        self._unacknowledged = 0
        self._behind = 0
        # PRACKs without a final response: the 2xx to one of them may overtake that of another.
        self._open_pracks = 0

    @property
    def owes_answer(self) -> bool:
        """Whether the peer waits for our answer."""
        return self.state is _REMOTE_OFFER

    @property
    def awaits_answer(self) -> bool:
        """Whether we wait for the peer's answer."""
        return self.state is _LOCAL_OFFER

    @property
    def has_failed(self) -> bool:
        """Whether the session has to end, because an answer that had to come did not."""
        return self.state is _FAILED

    @property
    def pracks_under_way(self) -> int:
        """How many PRACKs of the one who sent the INVITE have no final response yet."""
        return self._open_pracks

    @property
    def has_gone_on(self) -> bool:
        """Whether there was an offer or an answer since the INVITE, previews apart."""
        return self.state not in (_NOTHING_YET, _FAILED) and self.offer_place is not Place.INVITE

    @property
    def holds_2xx(self) -> bool:
        """Whether our 2xx to the INVITE has to wait: a reliable response of ours with a description was not
        acknowledged (RFC 3262 section 3)."""
        return self._prack is _PRACK_DUE and not self._invites

    def may_offer(self, place: Place) -> bool:
        """Whether a description of ours in *place* would be an offer now."""
        return self._meaning(place, True) is Role.OFFER

    def may_stand(self, place: Place) -> bool:
        """Whether a description of ours may stand in *place* now, as an offer, an answer or a preview."""
        return self._meaning(place, True) is not _NOTHING

    def must_stand(self, place: Place) -> bool:
        """Whether a description of ours has to stand in *place*, because the peer waits for it there."""
        return self._is_due(place, True)

    def sending(self, place: Place, has_body: bool) -> Role:
        """We are about to send *place*, with or without a session description.

        :returns: what the description is.
        :raises InvalidOperation: when it may not stand there, or has to and does not, or when the message has to wait
            for an exchange that is under way (then it is to be tried again later); nothing has changed.
        """
        role = self._meaning(place, True)
        if role is _NOTHING and (has_body or place is Place.INVITE):
            # 14.1, RFC 6337 section 4: an INVITE without an offer asks for one, and waits like one that has it.
            raise self._not_now(place)
        if place is Place.INVITE_2XX and self.holds_2xx:
            raise InvalidOperation("a 2xx waits until the reliable provisional response is acknowledged", True)
        if not has_body:
            if self._is_due(place, True):
                raise InvalidOperation(f"{place.value} needs a session description here: the peer waits for it")
            role = _NOTHING
        self._pass(place, role, True)
        return role

    def received(self, place: Place, has_body: bool) -> Role | int:
        """The peer's *place* came, with or without a session description.

        :returns: what the description is; or for a request that cannot be taken the status to refuse it with, and
            nothing has changed but that 400 stands for an answer that did not come.
        """
        role = self._meaning(place, False)
        if place in _REFUSABLE and role is _NOTHING and (has_body or place is Place.INVITE):
            self.faults += 1
            if place is Place.PRACK and not self._invites:
                # It acknowledges all the same.
                self._acknowledge()
            return self._refusal(place)
        if place is Place.INVITE_2XX and self.state is _REMOTE_OFFER and self.offer_place is Place.RELIABLE:
            # RFC 3262 section 3: it had to wait for our answer. Nobody can know any more what was agreed.
            return self._missed(place)
        if not has_body:
            if self._is_due(place, False):
                return self._missed(place)
            role = _NOTHING
        elif role is _NOTHING:
            # 13.2.1: what follows the answer is ignored. Many peers repeat it, and that is no fault.
            self.faults += self._invite is not _SERVED or place not in _AFTER_THE_ANSWER
        elif role is Role.PREVIEW and self.is_previewed:
            # 13.2.1: the first one counts.
            return _NOTHING
        self._pass(place, role, False)
        return role

    def decline(self) -> int:
        """We will not accept the peer's offer (RFC 6337 section 2.3, Table 2).

        :returns: 488 where its request can be refused, and the offer is forgotten; 0 where it cannot, because the
            offer stood in a response or in a PRACK: then it has to be answered, or the session to end.
        """
        if self.state is _REMOTE_OFFER and self.offer_place in (Place.INVITE, Place.UPDATE):
            self.rollback(self.offer_place)
            return 488
        return 0

    def rollback(self, place: Place | None = None) -> bool:
        """A request failed: what it offered is as if it had never been said (RFC 3261 section 14.1, RFC 3311 section
        5.3, RFC 6141 section 3.4).

        :param place: what failed: ``INVITE``, with what stood in its provisional responses and PRACKs; ``PRACK``,
            also one that carried an answer; or ``UPDATE``. None: whatever offer has no answer yet.
        :returns: whether a failed INVITE had agreed on something in the meantime. Then the two may not see the session
            alike, and one of them should offer anew (RFC 6141 section 3.4).
        """
        if place is Place.INVITE:
            changed = self._changed and self._is_inviting()
            self._invite = _OVER
            self._forget_pracks()
            if self.offer_place is not Place.UPDATE:
                self._forget_offer()
            return changed
        if place is Place.PRACK and self._close_prack() and self.offer_place is None and not self._had_agreement:
            # The answer in it never arrived.
            self.state = _FAILED
        if place is None or self.offer_place is place:
            self._forget_offer()
        return False

    def _meaning(self, place: Place, ours: bool) -> Role:
        """What a description in *place* would be."""
        if self.state is (_REMOTE_OFFER if ours else _LOCAL_OFFER):
            # RFC 6337 section 2.2: an answer stands where its offer says.
            if self.offer_place is _ANSWERS.get(place):
                return _NOTHING if place is Place.PRACK and self._behind else Role.ANSWER
            if place is Place.UNRELIABLE and self.offer_place is Place.INVITE:
                # 13.2.1, RFC 6337 section 3.1.1: in any provisional response before the answer, 180 or another.
                return Role.PREVIEW
            return _NOTHING
        # RFC 3264 section 4: no offer while another one waits for its answer.
        if self.offer_place is not None or self.state is _FAILED or not self._may_offer_in(place, ours):
            return _NOTHING
        return Role.OFFER

    def _may_offer_in(self, place: Place, ours: bool) -> bool:
        invite = self._invite
        if place is Place.INVITE:
            # 14.1: one INVITE at a time.
            return not self._is_inviting()
        if place is Place.RELIABLE or place is Place.INVITE_2XX:
            # 13.2.1: in the first reliable response to an INVITE that made none, and in no other.
            return invite is _ASKS and ours is not self._invites
        if place is Place.PRACK:
            # RFC 3262 section 5: by whoever sent the INVITE, once its own exchange is complete. One may meet our 2xx.
            is_time = invite is _SERVED or (invite is _OVER and not ours)
            return is_time and ours is self._invites and not self._behind
        if place is Place.UPDATE:
            # RFC 3311 section 5.1: not before the exchange of an INVITE under way is complete, its PRACK included.
            return self._prack is _NO_PRACK and (invite is _SERVED or invite is _OVER)
        return False

    def _is_inviting(self) -> bool:
        return self._invite is not _NONE_YET and self._invite is not _OVER

    def _is_due(self, place: Place, ours: bool) -> bool:
        """Whether a description has to stand in *place*."""
        if place is Place.RELIABLE or place is Place.INVITE_2XX:
            if self._invite is _ASKS and ours is not self._invites:
                # 13.2.1: the first reliable response that is no failure.
                return self.state is not _FAILED
            if place is Place.RELIABLE:
                # 13.2.1: any of them may answer, the 2xx at the latest.
                return False
        if place is Place.PRACK_2XX and self._open_pracks > 1:
            return False
        return self._meaning(place, ours) is Role.ANSWER

    def _not_now(self, place: Place) -> InvalidOperation:
        why = self.state.value if self.offer_place or self.state is _FAILED else "an INVITE is under way or over"
        is_passing = self.state is not _FAILED and place in _REFUSABLE
        return InvalidOperation(f"no offer and no answer may stand in {place.value} now: {why}", retryable=is_passing)

    def _refusal(self, place: Place) -> int:
        """491 where the peer has to wait for itself, 500 where it has to wait for us."""
        is_inviting = self._is_inviting()
        if place is Place.INVITE and is_inviting:
            # 14.2: 491 while an INVITE of ours is under way, 500 while the peer's is.
            return 491 if self._invites else 500
        if place is Place.UPDATE and self.offer_place in (Place.RELIABLE, Place.INVITE_2XX):
            # RFC 6337 section 4.3: of an offer in a response it counts who sent the INVITE, not who offers.
            return 491 if self._invites else 500
        if self.offer_place is not None:
            # RFC 3311 section 5.2: 491 while the peer has not answered our offer, 500 while we have not answered its.
            return 491 if self.state is _LOCAL_OFFER else 500
        # RFC 6337 section 4.3: the same, where the exchange of an INVITE is not complete.
        return 491 if is_inviting and self._invites else 500

    def _missed(self, place: Place) -> Role | int:
        """The peer's description had to stand in *place* and does not, or ours had to be waited for."""
        self.faults += 1
        if self.offer_place is not None:
            if place is Place.INVITE_2XX and self.is_previewed:
                # 13.2.1: the 2xx has to repeat it. The first description that came is the answer.
                self._agree(place)
            else:
                self._forget_offer()
                if self.state is _NOTHING_YET:
                    self.state = _FAILED
        self._pass(place, _NOTHING, False)
        if place is Place.PRACK:
            self._close_prack()
            return 400
        return _NOTHING

    def _pass(self, place: Place, role: Role, ours: bool) -> None:
        """The message goes its way."""
        if role is Role.OFFER:
            self._had_agreement = self._had_agreement or self.state is _AGREED
            self.state = _LOCAL_OFFER if ours else _REMOTE_OFFER
            self.offer_place = place
        elif role is Role.ANSWER:
            self._agree(place)
        if place is Place.INVITE:
            if ours is not self._invites:
                # Of PRACKs in the other direction nothing is to be told apart any more.
                self._open_pracks = 0
            self._invite = _OFFERS if role is Role.OFFER else _ASKS
            self._invites = ours
            self._changed = False
            self._forget_pracks()
        elif place is Place.UNRELIABLE:
            self.is_previewed = role is Role.PREVIEW or self.is_previewed
        elif place is Place.PRACK and ours is self._invites:
            self._acknowledge()
            self._open_pracks += 1
            self._prack = _PRACK_OPEN if role is Role.OFFER else self._prack
        elif place is Place.PRACK_2XX and ours is not self._invites:
            if self._close_prack():
                self._had_agreement = self._had_agreement or self.state is _AGREED
        elif ours is not self._invites and self._is_inviting():
            self._respond(place, role)

    def _respond(self, place: Place, role: Role) -> None:
        """A response to the INVITE under way."""
        if place is Place.RELIABLE:
            if role is not _NOTHING:
                self._invite = _SERVED
                self._prack = _PRACK_DUE
                self._behind = self._unacknowledged
            self._unacknowledged += 1
        elif place is Place.INVITE_2XX:
            # RFC 3262 section 3: it would not be here if the PRACK had not come.
            self._invite = _OVER
            self._forget_pracks()
            self._had_agreement = self._had_agreement or self.state is _AGREED

    def _agree(self, place: Place) -> None:
        self.state = _AGREED
        self.offer_place = None
        self.is_previewed = False
        self._changed = True
        # RFC 6141 section 3.3: an answer in a PRACK stands when the PRACK has succeeded.
        self._had_agreement = self._had_agreement or place is not Place.PRACK

    def _acknowledge(self) -> None:
        if self._unacknowledged:
            self._unacknowledged -= 1
        if self._behind:
            self._behind -= 1
        elif self._prack is _PRACK_DUE:
            self._prack = _PRACK_OPEN

    def _close_prack(self) -> bool:
        """A PRACK has its final response; whether it was the last one of an exchange."""
        self._open_pracks -= self._open_pracks > 0
        if self._open_pracks or self._prack is not _PRACK_OPEN:
            return False
        self._prack = _NO_PRACK
        return True

    def _forget_pracks(self) -> None:
        self._prack = _NO_PRACK
        self._unacknowledged = self._behind = 0

    def _forget_offer(self) -> None:
        if self.offer_place is not None:
            self.offer_place = None
            self.is_previewed = False
            self.state = _AGREED if self._had_agreement else _NOTHING_YET
