"""What happens within one of two sessions that are one goes across to the other (RFC 3261 section 14, RFC 3311).

* a re-INVITE or an UPDATE with an offer goes across as one of the same kind, a PRACK with one as an UPDATE; the answer,
  or the refusal, goes back, and so does a CANCEL go across.
* a re-INVITE that asks for an offer goes across as one; the answer in its ACK goes into the other's ACK.
* any other request, INFO and MESSAGE above all, is answered with the other side's answer.

Left out: INFO of packages (RFC 6086), of which each side says for itself what it takes, and we take none; and requests
other than these before the call is accepted, which are answered 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from twisted.python.failure import Failure

from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import InvalidOperation, OperationTimeout, SipError
from sip_p2p.service.applications.passing import (
    answer_to,
    body_of,
    hops_left,
    outcome_of,
    passed,
    time_for_an_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.events import RemoteAnswer
    from sip_p2p.endpoint.session.exchange import IncomingOffer
    from sip_p2p.endpoint.session.participant import EarlyDialog
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Response

__all__ = ["Crossing", "Leg"]


@final
class Leg:
    """One of the two.

    :ivar session: the session.
    :ivar other: the other one.
    :ivar asking: this peer's wish for an offer, until the other side has made one.
    :ivar owed: the other side's offers that wait for an answer of this peer, by the dialog in which it comes.
    """

    __slots__ = ("asking", "other", "owed", "session")

    def __init__(self, session: SignalingSession) -> None:
        self.session = session
        self.other = self
        self.asking: IncomingOffer | None = None
        self.owed: dict[InviteUsage, IncomingOffer] = {}

    @staticmethod
    def pair(one: SignalingSession, another: SignalingSession) -> tuple[Leg, Leg]:
        """Both, each the other's other."""
        first, second = Leg(one), Leg(another)
        first.other, second.other = second, first
        return first, second

    @property
    def is_over(self) -> bool:
        """Whether the session is."""
        return self.session.state is SignalingState.DISCONNECTED


_OF_ONE_SIDE = {"REFER": 603, "SUBSCRIBE": 489, "NOTIFY": 481}
"""What is not passed on, and how it is refused: it names dialogs, sequence numbers and parties of its own side only
(RFC 3515 section 2.4.6, RFC 3891 section 3), and whoever has him whom he calls call somebody else leaves the other side
with nobody."""


@final
class Crossing:
    """The traffic between two sessions.

    :param opposite: in which of the other side's early dialogs goes on what came in one of a leg's; None once both
        stand. It raises InvalidOperation where there is none.
    :param first_offer: takes an offer that answers the wish of an INVITE; False where it cannot be passed on.
    """

    __slots__ = ("_changes", "_endpoint", "_first_offer", "_opposite")

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        opposite: Callable[[Leg, InviteUsage], EarlyDialog | None],
        first_offer: Callable[[IncomingOffer], bool],
    ) -> None:
        self._endpoint = endpoint
        self._opposite = opposite
        self._first_offer = first_offer
        # What is under way on the other side for an offer of this one.
        self._changes: dict[IncomingOffer, Deferred[ContentDescription | None]] = {}

    def follow(self, leg: Leg) -> None:
        """From now on what happens in *leg* goes across."""
        session = leg.session
        session.offer_received.subscribe(lambda offer: self._offered(leg, offer))
        session.offer_withdrawn.subscribe(lambda offer: self._withdrawn(leg, offer))
        session.answer_received.subscribe(lambda answer: self._answered(leg, answer))
        session.message_received.subscribe(lambda event: self._requested(leg, event))
        session.request_received.subscribe(lambda event: self._requested(leg, event))

    def close(self) -> None:
        """One of the two is over: nothing goes across any more."""
        changes, self._changes = self._changes, {}
        for changing in changes.values():
            changing.cancel()

    # -- offers and answers --------------------------------------------------------------------------------------------

    def _offered(self, leg: Leg, offer: IncomingOffer) -> None:
        """An offer in *leg*, or the wish for one."""
        offer.defer()
        if offer.request is not None:
            self._change(leg, offer, offer.request.method)
        elif leg.other.asking is not None:
            asking, leg.other.asking = leg.other.asking, None
            usage = leg.other.session.usage
            if usage is None or not _answer(asking, offer.description):
                _decline(offer, 488)
            else:
                leg.other.owed[usage] = offer
        elif not self._first_offer(offer):
            _decline(offer, 488)

    def _change(self, leg: Leg, offer: IncomingOffer, method: str) -> None:
        """A request in *leg* makes *offer*, or asks for one: so does one to the other side."""
        other = leg.other.session
        reactor = self._endpoint.connection_manager.reactor
        try:
            dialog = self._opposite(leg, offer.usage)
            if offer.description is None:
                leg.asking = offer
            changing = other.renegotiate(
                offer.description,
                headers=() if offer.request is None else passed(offer.request, described=True),
                method=_method_for(other, method, is_early=dialog is not None),
                dialog=dialog,
            )
        except (SipError, ValueError) as error:
            if leg.asking is offer:
                leg.asking = None
            _decline(offer, 491 if isinstance(error, InvalidOperation) and error.retryable else 488)
            return
        self._changes[offer] = changing
        changing.addTimeout(self._endpoint.answer_options.max_ring, reactor, onTimeoutCancel=_too_late)
        changing.addCallbacks(self._change_done, self._change_failed, (leg, offer), errbackArgs=(leg, offer))

    def _change_done(self, answer: ContentDescription | None, leg: Leg, offer: IncomingOffer) -> None:
        """The other side has answered; where it was asked for an offer, that has gone across already."""
        self._changes.pop(offer, None)
        if offer.description is not None:
            _answer(offer, answer)

    def _change_failed(self, failure: Failure, leg: Leg, offer: IncomingOffer) -> None:
        """The other side has refused, or did not answer."""
        self._changes.pop(offer, None)
        if leg.asking is offer:
            leg.asking = None
        outcome = outcome_of(cast("BaseException", failure.value))
        _decline(offer, outcome.status, outcome.reason, outcome.headers)

    def _withdrawn(self, leg: Leg, offer: IncomingOffer) -> None:
        """The peer of *leg* wants no answer any more: the other side is told so."""
        if leg.asking is offer:
            leg.asking = None
        changing = self._changes.pop(offer, None)
        if changing is not None:
            changing.cancel()

    def _answered(self, leg: Leg, answer: RemoteAnswer) -> None:
        """The peer of *leg* has answered an offer that the other side made."""
        usage = leg.session.usage if answer.dialog is None else answer.dialog.usage
        offer = None if usage is None else leg.owed.pop(usage, None)
        if offer is not None:
            _answer(offer, answer.description)

    # -- other requests ------------------------------------------------------------------------------------------------

    async def _requested(self, leg: Leg, event: IncomingRequest) -> Response | int:
        """A request within *leg* is one within the other."""
        refusal = _OF_ONE_SIDE.get(event.method)
        if refusal is not None:
            return refusal
        if hops_left(event.request) < 1:
            return 483
        body, content_type = body_of(event.request)
        try:
            response = await leg.other.session.request(
                event.method,
                body=body,
                content_type=content_type,
                headers=passed(event.request),
                timeout=time_for_an_answer(self._endpoint),
            )
        except (SipError, ValueError) as error:
            return answer_to(event, error)
        return answer_to(event, response)


def _method_for(session: SignalingSession, method: str, *, is_early: bool) -> str | None:
    """By what *session* is changed where the other one was by *method*; None for what is usual."""
    if method == "INVITE":
        return None
    participant = session.participant
    takes_none = participant is not None and participant.is_update_supported is False
    return None if takes_none and not is_early else "UPDATE"


def _answer(offer: IncomingOffer, description: ContentDescription | None) -> bool:
    """Answer *offer*, or make the offer that it asks for; returns whether that could be said."""
    if offer.is_decided:
        return False
    try:
        offer.accept(description)
    except (SipError, ValueError):
        _decline(offer, 488)
        return False
    return True


def _decline(
    offer: IncomingOffer, status: int, reason: str | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> None:
    """Refuse *offer*, unless that is decided."""
    if offer.is_decided:
        return
    try:
        offer.decline(status, reason, headers=headers)
    except SipError:
        # It was withdrawn in the same moment, or the session is over.
        return


def _too_late(_: Any, seconds: float) -> Failure:
    return Failure(OperationTimeout(f"no answer within {seconds:g} s"))
