"""Two sessions that are one: a peer's, and the one that we establish for it (a back-to-back user agent; RFC 3261
section 6, RFC 7092).

The caller is answered as we are answered, and no side hears what the other has not said:

* the offer of the caller's INVITE is that of ours; the answer in a provisional response, reliable or not, and in the
  2xx goes back in one of the same kind. Where the caller cannot acknowledge a reliable response, none is asked for.
* where the caller asks for an offer, so do we; the caller's answer, in its PRACK or its ACK, goes into ours.
* each place that rings is an early dialog of its own for the caller, too (RFC 3261 section 12.1).
* a refusal goes back with its status, a redirection with where it leads.
* the end of one is the end of the other, whatever ended it: CANCEL, BYE, a refusal, a lost connection, a timer.

What happens within the two goes across by :mod:`.crossing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from twisted.logger import Logger

from sip_p2p.endpoint.session.participant import EarlyDialog
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import InvalidOperation, MalformedMessage, SipError
from sip_p2p.service.applications.crossing import Crossing, Leg
from sip_p2p.service.applications.passing import hops_left, outcome_of, passed, passed_on
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.incoming_invite import has_option
from sip_p2p.sip.dialog.offer_answer import OfferAnswerState

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.session.events import InvitationAccepted, ProvisionalResponseReceived
    from sip_p2p.endpoint.session.exchange import IncomingOffer
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request, Response

__all__ = ["Bridge"]

_RELIABLE = "100rel"
_SETTLED = (OfferAnswerState.AGREED, OfferAnswerState.LOCAL_OFFER)
"""Where nothing more is to be said of a description in the 2xx."""

_log = Logger("sip_p2p.service.applications")


@final
class Bridge:
    """A session of a peer's, and the one that we establish for it.

    :ivar outgoing: the second; it is established by :meth:`start`.
    :param incoming: the first, undecided.
    :param target: whom the second is for.
    :param token: what we call ourselves to whoever passes the INVITE on after us.
    :raises SipError: when there cannot be a second.
    :raises ValueError: likewise.
    """

    __slots__ = (
        "_accepted",
        "_callee",
        "_caller",
        "_crossing",
        "_dialogs",
        "_ending",
        "_is_decided",
        "_knows_reliable",
        "_offering",
        "_requires_reliable",
        "outgoing",
    )

    def __init__(self, endpoint: RealTimeEndpoint, incoming: SignalingSession, target: str, token: str) -> None:
        invite = incoming.invite
        assert invite is not None
        options = endpoint.answer_options
        self._requires_reliable = has_option(invite, "Require", _RELIABLE)
        self._knows_reliable = options.reliable != "off" and (
            self._requires_reliable or has_option(invite, "Supported", _RELIABLE)
        )
        reliable = "supported" if self._knows_reliable else "off"
        self.outgoing = endpoint.create_session(
            target,
            headers=passed_on(invite, token, described=True),
            max_ring=None,
            max_redirects=0,
            reliable="required" if self._requires_reliable else reliable,
            session_timer=options.session_timer,
            max_forwards=hops_left(invite) - 1,
        )
        self._caller, self._callee = Leg.pair(incoming, self.outgoing)
        self._crossing = Crossing(endpoint, self._opposite, self._offer_came)
        # By the callee's tag, what is the caller's early dialog for it.
        self._dialogs: dict[str, EarlyDialog] = {}
        # What carried the offer that is told next.
        self._offering: Response | None = None
        self._accepted: Response | None = None
        # Whether the call has come to its outcome, and what the callee said at its end.
        self._is_decided = False
        self._ending: list[tuple[str, str]] = []

    def start(self) -> None:
        """Call, and see both through."""
        for leg in (self._caller, self._callee):
            leg.session.state_changed.subscribe(lambda change, leg=leg: self._changed(leg, change))
            self._crossing.follow(leg)
        outgoing = self.outgoing
        outgoing.provisional_response_received.subscribe(self._rings)
        outgoing.invitation_accepted.subscribe(self._is_accepted)
        outgoing.establish(self._caller.session.offer).addCallbacks(self._stands, self._failed)

    # -- until the callee decides --------------------------------------------------------------------------------------

    def _rings(self, event: ProvisionalResponseReceived) -> None:
        """The callee is at work: the caller hears of it in the same way."""
        response = event.response
        caller = self._caller.session
        if caller.state is not SignalingState.INCOMING:
            return
        if response.status == 199:
            self._one_is_over(response)
            return
        description = _described(response)
        if description is not None and caller.offer is None:
            # It is told once more, as an offer that wants an answer; in a response that may be lost it counts nothing.
            if "RSeq" in response.headers:
                self._offering = response
                return
            description = None
        self._say(response, event.dialog, description)

    def _say(self, response: Response, dialog: EarlyDialog | None, description: ContentDescription | None) -> bool:
        """Say to the caller what *response* says; returns whether *description* went along."""
        caller = self._caller.session
        is_reliable = self._requires_reliable or (self._knows_reliable and "RSeq" in response.headers)
        ours = self._dialog_for(dialog)
        if ours is not None and ours.usage.offer_answer.state in _SETTLED:
            description = None
        fields = passed(response, described=True)
        for said in dict.fromkeys((description, None)):
            try:
                caller.ring(
                    response.status, response.reason, answer=said, headers=fields, reliable=is_reliable, dialog=ours
                )
            except (SipError, ValueError):
                # It may not be said there, or not any more: a provisional response may be lost at any time.
                continue
            return said is not None
        return False

    def _dialog_for(self, dialog: EarlyDialog | None) -> EarlyDialog | None:
        """The caller's early dialog for one of the callee's."""
        if dialog is None:
            return None
        tag = dialog.participant.tag
        found = self._dialogs.get(tag)
        if found is None:
            caller = self._caller.session
            try:
                known = caller.early_dialogs
                is_free = bool(known) and not self._dialogs
                found = known[0] if is_free else caller.create_early_dialog()
            except SipError:
                # There are too many: what rings there is told as if it rang in the first.
                return None
            self._dialogs[tag] = found
        return found

    def _one_is_over(self, response: Response) -> None:
        """RFC 6228: the phone of one early dialog will not be answered."""
        ours = self._dialogs.pop(response.to.tag or "", None)
        if ours is not None:
            try:
                self._caller.session.end_early_dialog(ours, headers=passed(response, described=True))
            except SipError:
                _log.debug("an early dialog of the caller's was over already")

    def _is_accepted(self, event: InvitationAccepted) -> None:
        """The callee has accepted; so is the caller, unless the callee's offer is told next."""
        caller, callee = self._caller.session, self._callee.session
        if caller.state is not SignalingState.INCOMING:
            return
        response = self._accepted = event.response
        ours = self._dialog_of_winner()
        if ours is not None and ours.usage.offer_answer.state in _SETTLED:
            self._accept(None, ours)
        elif caller.offer is not None:
            description = _described(response) or callee.remote_description
            if description is not None:
                self._accept(description, ours)

    def _dialog_of_winner(self) -> EarlyDialog | None:
        """The caller's early dialog for the callee that has accepted; None where the caller has heard of none."""
        usage = self._callee.session.usage
        if usage is None or (not self._dialogs and not self._caller.session.early_dialogs):
            return None
        return self._dialog_for(EarlyDialog(self._callee.session, usage))

    def _accept(self, description: ContentDescription | None, dialog: EarlyDialog | None) -> None:
        response = self._accepted
        fields = [] if response is None else passed(response, described=True)
        try:
            accepting = self._caller.session.accept(description, headers=fields, dialog=dialog)
        except (SipError, ValueError) as error:
            # One of the two understands something else: there is no session that both are in.
            _log.warn("what the callee accepted cannot be told to the caller: {error}", error=str(error))
            self.outgoing.terminate()
            self._refuse(error)
            return
        # What comes of it is told by the session's state.
        accepting.addErrback(lambda _: None)

    def _stands(self, _: object) -> None:
        self._is_decided = True
        if self._caller.session.state is SignalingState.INCOMING:
            self.outgoing.terminate()
            self._refuse(InvalidOperation("the callee accepted what the caller did not ask for"))

    def _failed(self, failure: Failure) -> None:
        """The call came to nothing."""
        self._is_decided = True
        error = cast("BaseException", failure.value)
        if not isinstance(error, SipError):
            _log.failure("a call that was passed on failed", failure)
        if self._caller.session.state is SignalingState.INCOMING:
            self._refuse(error)
        elif not self._caller.is_over:
            self._caller.session.terminate(headers=self._ending)

    def _refuse(self, error: BaseException) -> None:
        """The caller is told what has become of it."""
        caller = self._caller.session
        outcome = outcome_of(error, is_invite=True)
        try:
            if outcome.contacts:
                try:
                    caller.redirect(outcome.contacts, outcome.status, headers=outcome.headers)
                    return
                except ValueError:
                    _log.info("a redirection cannot be passed on: it leads back here, or nowhere")
            # A redirection that leads nowhere is none.
            status = outcome.status if outcome.status >= 400 else 480
            reason = outcome.reason if status == outcome.status else None
            caller.reject(status, reason, headers=outcome.headers)
        except SipError:
            _log.debug("the caller has given up in the same moment")

    # -- when both are there -------------------------------------------------------------------------------------------

    def _opposite(self, leg: Leg, usage: InviteUsage) -> EarlyDialog | None:
        """In which of the other side's early dialogs goes on what came in that of *usage*; None once both stand.

        :raises InvalidOperation: when there is none yet.
        """
        if usage is leg.session.usage and leg.other.session.usage is not None:
            return None
        for tag, ours in self._dialogs.items():
            for theirs in self._callee.session.early_dialogs:
                if theirs.participant.tag == tag and usage in (ours.usage, theirs.usage):
                    return theirs if leg is self._caller else ours
        raise InvalidOperation("the other side does not ring there yet", retryable=True)

    def _offer_came(self, offer: IncomingOffer) -> bool:
        """The callee made the offer that the caller's INVITE asks for; returns whether the caller has been told."""
        caller = self._caller.session
        description = offer.description
        if (
            offer.session is not self.outgoing
            or caller.state is not SignalingState.INCOMING
            or caller.offer is not None
        ):
            return False
        provisional, self._offering = self._offering, None
        theirs = EarlyDialog(self.outgoing, offer.usage)
        if provisional is not None:
            if not self._say(provisional, theirs, description):
                return False
            self._caller.owed[self._dialogs[theirs.participant.tag].usage] = offer
            return True
        self._accept(description, self._dialog_of_winner())
        if caller.usage is None:
            return False
        self._caller.owed[caller.usage] = offer
        return True

    def _changed(self, leg: Leg, change: SignalingStateChanged) -> None:
        """What ends one ends the other."""
        if change.state is not SignalingState.DISCONNECTED:
            return
        self._crossing.close()
        fields = _reasons(change.message)
        if leg is self._callee and not self._is_decided:
            # Why it came to nothing is told next.
            self._ending = fields
        elif not leg.other.is_over:
            leg.other.session.terminate(headers=fields)


def _described(response: Response) -> ContentDescription | None:
    """The session description in *response*; None where there is none that can be understood."""
    try:
        return description_of(response)
    except MalformedMessage:
        return None


def _reasons(message: Request | Response | None) -> list[tuple[str, str]]:
    """Why the peer ended it, as far as it has said (RFC 3326)."""
    if message is None:
        return []
    return [("Reason", value) for value in message.headers.get_all("Reason")]
