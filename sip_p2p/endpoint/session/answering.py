"""A session that a peer wants to establish, from its INVITE to the ACK (rows H4 to H6, H8, H9, H13, H14; RFC 3261
section 13.3).

What SIP has to say about it is :class:`~sip_p2p.sip.dialog.server_invitation.ServerInvitation`'s; here the application
says what it wants, and is asked for its answer. Nothing of this is kept once the session stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.session.offers import Fixed, ask, described, refusal_of, source_of
from sip_p2p.endpoint.session.participant import EarlyDialog, early_usage
from sip_p2p.endpoint.session.set_up import SetUp
from sip_p2p.endpoint.session.states import (
    SignalingInput,
    SignalingState,
    SignalingTransitionReason,
    reason_of_error,
    reason_of_status,
)
from sip_p2p.errors import AlreadyResponded, InvalidOperation, OfferRejected, OperationTimeout, SessionTerminated
from sip_p2p.sip.dialog.offer_answer import OfferAnswerState
from sip_p2p.sip.readings import warning_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.transfer.replacing import Replacement
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import InvitationEnded
    from sip_p2p.sip.dialog.server_invitation import ServerInvitation
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.name_addr import NameAddr

__all__ = ["Answering"]


@final
class Answering(SetUp):
    """What a session that a peer wants to establish has beside the session itself, until it stands.

    :ivar invitation: the core's part.
    :ivar replacement: what it wants with another session; None for nothing.
    """

    __slots__ = ("invitation", "replacement")

    def __init__(self, invitation: ServerInvitation, replacement: Replacement | None = None) -> None:
        super().__init__()
        self.invitation = invitation
        self.replacement = replacement

    @property
    def early_usages(self) -> tuple[InviteUsage, ...]:
        """The early dialogs that live."""
        return self.invitation.usages

    def belongs_to(self, session: SignalingSession) -> None:
        """*session* is the one; called once."""
        super().belongs_to(session)
        self.invitation.user = session

    # -- what the application decides ----------------------------------------------------------------------------------

    def ring(
        self,
        session: SignalingSession,
        status: int,
        reason: str | None,
        answer: Any,
        fields: Iterable[tuple[str, str]],
        reliable: bool | None,
        dialog: EarlyDialog | None,
    ) -> EarlyDialog:
        """Send a provisional response; see :meth:`.SignalingSession.ring`."""
        driver = session.endpoint.connection_manager.driver
        description = described(answer)
        usage = None if dialog is None else early_usage(session, dialog)
        used = self.invitation.ring(driver.now(), status, reason, description, fields, reliable, usage)
        if description is not None:
            session.remote_description = self.invitation.offer
        session.hold_flow(used)
        rang = session.endpoint.connection_manager.sessions.rang
        if rang:
            rang.tell(session)
        driver.drain()
        return EarlyDialog(session, used)

    def early_dialog(self, session: SignalingSession) -> EarlyDialog:
        """Begin one more early dialog."""
        return EarlyDialog(session, self.invitation.early_dialog())

    def end_early(self, session: SignalingSession, dialog: EarlyDialog, fields: Iterable[tuple[str, str]]) -> None:
        """Give up one early dialog."""
        driver = session.endpoint.connection_manager.driver
        self.invitation.end_early(early_usage(session, dialog), driver.now(), fields)
        driver.drain()

    def accept(
        self, session: SignalingSession, answer: Any, fields: list[tuple[str, str]], dialog: EarlyDialog | None
    ) -> Deferred[SignalingSession]:
        """Answer 200; see :meth:`.SignalingSession.accept`."""
        if session.state is not SignalingState.INCOMING:
            raise InvalidOperation("the session has been accepted already")
        source = source_of(answer)
        usage = None if dialog is None else early_usage(session, dialog)
        done: Deferred[SignalingSession] = Deferred(lambda _: session.give_up())
        is_agreed = self._is_agreed(usage)
        if isinstance(source, Fixed) or is_agreed:
            # Nobody has to be asked: what is wrong is told at once, and nothing has changed then.
            self._accept(session, source.description if isinstance(source, Fixed) else None, fields, usage)
            if answer is not None:
                session.source = source
            self._done = done
            session.become(SignalingInput.ESTABLISH, SignalingTransitionReason.NONE)
            session.endpoint.connection_manager.driver.drain()
            return done
        session.source = source
        self._done = done
        session.become(SignalingInput.ESTABLISH, SignalingTransitionReason.NONE)
        if not self.is_over:
            manager = session.endpoint.connection_manager
            offer = self.invitation.offer
            question = (source.get_offer, session) if offer is None else (source.get_answer, session, offer)
            asked = self._asked = ask(manager.reactor, manager.limits.answer_timeout, *question)
            asked.addCallback(self._answered, fields, usage).addErrback(self._no_answer)
        return done

    def _is_agreed(self, usage: InviteUsage | None) -> bool:
        """Whether the session was described in reliable provisional responses, and the 2xx says no more of it."""
        usages = self.invitation.usages
        if usage is None and usages:
            usage = usages[0]
        return usage is not None and usage.offer_answer.state in (OfferAnswerState.AGREED, OfferAnswerState.LOCAL_OFFER)

    def _accept(
        self,
        session: SignalingSession,
        description: ContentDescription | None,
        fields: list[tuple[str, str]],
        usage: InviteUsage | None,
    ) -> None:
        driver = session.endpoint.connection_manager.driver
        won = self.invitation.accept(driver.now(), description, fields, usage)
        session.remote_description = session.remote_description or self.invitation.offer
        session.usage = won
        session.hold_flow(won)

    def _answered(
        self,
        description: ContentDescription | None,
        fields: list[tuple[str, str]],
        usage: InviteUsage | None,
    ) -> None:
        self._asked = None
        session = self._session
        if description is None:
            raise OfferRejected("there is nothing to answer with")
        if session is not None and session.state is not SignalingState.DISCONNECTED:
            self._accept(session, description, fields, usage)
            session.endpoint.connection_manager.driver.drain()

    def _no_answer(self, failure: Failure) -> None:
        """The application has none: the INVITE is refused, unless nobody waits for it any more."""
        is_withdrawn = self._asked is None and failure.check(CancelledError) is not None
        self._asked = None
        session = self._session
        status = refusal_of(failure)
        if session is None or session.state is SignalingState.DISCONNECTED or is_withdrawn:
            return
        error = failure.value
        fields = []
        if isinstance(error, OfferRejected):
            fields.append(("Warning", warning_value(error.warning)))
        else:
            session.failed(failure)
        self.refuse(session, status, None, fields, error)

    def reject(self, session: SignalingSession, status: int, reason: str | None, fields: list[tuple[str, str]]) -> None:
        """Refuse; see :meth:`.SignalingSession.reject`."""
        self.refuse(session, status, reason, fields, None)

    def refuse(
        self,
        session: SignalingSession,
        status: int,
        reason: str | None,
        fields: list[tuple[str, str]],
        error: BaseException | None,
    ) -> None:
        """Refuse, because of *error* if there is one."""
        driver = session.endpoint.connection_manager.driver
        try:
            self.invitation.reject(status, driver.now(), reason, fields)
        except AlreadyResponded:
            if error is None:
                raise
        self._decided(session, error)

    def redirect(
        self,
        session: SignalingSession,
        contacts: Sequence[NameAddr | str],
        status: int,
        fields: list[tuple[str, str]],
    ) -> None:
        """Name where to go instead; see :meth:`.SignalingSession.redirect`."""
        driver = session.endpoint.connection_manager.driver
        self.invitation.redirect(contacts, driver.now(), status, fields)
        self._decided(session, None)

    def _decided(self, session: SignalingSession, error: BaseException | None) -> None:
        """Our final response says no."""
        reason = SignalingTransitionReason.TERMINATED_LOCALLY if error is None else reason_of_error(error)
        session.become(SignalingInput.ENDED, reason)
        self.settle(error or SessionTerminated("we refused the session", reason.name))
        session.endpoint.connection_manager.driver.drain()

    def terminate(self, fields: list[tuple[str, str]]) -> bool:
        """The session is given up before it stands: it is refused, or ended as soon as it may be.

        :returns: whether the peer is still to be heard of.
        """
        session = self._session
        self.stop_asking()
        if session is None:
            return False
        driver = session.endpoint.connection_manager.driver
        try:
            self.invitation.reject(480, driver.now(), None, fields)
        except AlreadyResponded:
            # Accepted: section 15 has us wait for the ACK before the BYE.
            usage = session.usage
            if usage is None:
                return False
            usage.bye(driver.now(), fields)
            return False
        return True

    # -- what the core tells -------------------------------------------------------------------------------------------

    def ended(self, effect: InvitationEnded) -> None:
        """It came to nothing: the caller gave up, its connection was lost, or nobody decided in time."""
        session = self._session
        if session is None:
            return
        response = effect.response
        if effect.request is not None and effect.request.method == "BYE":
            reason = SignalingTransitionReason.TERMINATED_REMOTELY
            error: BaseException = SessionTerminated("the caller hung up", reason.name)
        elif effect.request is not None:
            reason = SignalingTransitionReason.CANCELED
            error = SessionTerminated("the caller cancelled it", reason.name)
        elif effect.reason is not None:
            error, reason = effect.reason, reason_of_error(effect.reason)
        else:
            status = 408 if response is None else response.status
            reason = SignalingTransitionReason.TIMEOUT if status in (480, 487) else reason_of_status(status)
            error = OperationTimeout("nobody decided in time")
        session.become(SignalingInput.ENDED, reason, effect.request)
        self.settle(error)
        session.set_up_over()
