"""The session: UCMA's ``SignalingSession`` (group H of the acceptance rows; RFC 3261 sections 12 to 15).

One object for either side. One that we establish is made by
:meth:`~sip_p2p.endpoint.endpoint.RealTimeEndpoint.create_session`, or at one go by ``invite``; one that a peer wants to
establish is given to the handlers of ``endpoint.session_received``. What only matters until it stands is in
:mod:`.calling` and :mod:`.answering`, and is let go then; offers and answers within it are in :mod:`.exchange`, other
requests in :mod:`.in_dialog`.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any, Unpack, cast, final

from sip_p2p.endpoint.composition import PLAIN_TEXT
from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.endpoint.peer import Peer
from sip_p2p.endpoint.session import exchange, in_dialog, saving
from sip_p2p.endpoint.session.answering import Answering
from sip_p2p.endpoint.session.calling import Calling, Redirecting
from sip_p2p.endpoint.session.events import (
    InvitationAccepted,
    ProvisionalResponseReceived,
    RemoteAnswer,
    SessionEvent,
)
from sip_p2p.endpoint.session.life import SessionLife
from sip_p2p.endpoint.session.offers import described
from sip_p2p.endpoint.session.participant import EarlyDialog, SignalingParticipant, early_usage
from sip_p2p.endpoint.session.recovery import RouteSetStatusChanged
from sip_p2p.endpoint.session.states import SignalingState, SignalingStateChanged
from sip_p2p.endpoint.session.watching import TracedMessage
from sip_p2p.endpoint.subscription import subscribing
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.endpoint.transfer.transferable import Transferable
from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.abnf import is_token, octets_of
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.privacy import asserted_identities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.subscription.arguments import SubscribeArguments
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.endpoint.transfer.replacing import Replacement
    from sip_p2p.sip.diagnostics import ReasonValue
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.name_addr import NameAddr
    from sip_p2p.sip.uri import Uri
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["SignalingSession"]


@final
class SignalingSession(Transferable, SessionLife):
    """A session between two parties, from the wish to its end.

    Its Deferreds fail with :class:`~sip_p2p.errors.SessionTerminated` when the session ends before what they stand for.

    :ivar endpoint: the party of ours.
    :ivar is_incoming: whether the peer wanted it.
    :ivar call_id: the Call-ID (row H2).
    :ivar passport: the judgement on the signature of the peer's INVITE (RFC 8224); None for a session of ours, and
        where the endpoint has no verifier.
    :ivar number: its place among all sessions of its connection manager, counted from 1.
    :ivar application_context: for the application's own use.
    :ivar recovery: what is done when the way to the peer is lost (row H32).
    :ivar remote_description: the peer's last offer or answer; None before there was one.
    :ivar state_changed: told when :attr:`state` is another one.
    :ivar provisional_response_received: told of each provisional response to our INVITE, 100 apart.
    :ivar forked: told of each early dialog beyond the first: the INVITE rings at one more place (row H12).
    :ivar redirecting: told when the peer is to be found elsewhere; its handlers decide (row H7).
    :ivar invitation_accepted: told when our INVITE was accepted (row H15).
    :ivar answer_received: told of each answer to an offer of ours, those in provisional responses among them.
    :ivar offer_received: told of offers within the session; its handlers decide (row H20).
    :ivar offer_withdrawn: told when one of these wants no answer any more (row H20).
    :ivar early_dialog_ended: told of each early dialog that is over before the session stands (row H35).
    :ivar request_received: told of the peer's requests within the session; its handlers answer them (row H25).
    :ivar message_received: the same for MESSAGE.
    :ivar route_set_changed: told when the way to the peer is lost, and found (row H32).
    :ivar traced: told of each message of this session as it is read or written (row H29).
    """

    __slots__ = ()

    state_changed = SessionEvent[SignalingStateChanged]("The session's state is another one.")
    provisional_response_received = SessionEvent[ProvisionalResponseReceived]("A provisional response came.")
    forked = SessionEvent[EarlyDialog]("The INVITE rings at one more place.")
    redirecting = SessionEvent[Redirecting]("The peer is to be found elsewhere.")
    invitation_accepted = SessionEvent[InvitationAccepted]("The peer accepted our INVITE.")
    answer_received = SessionEvent[RemoteAnswer]("The peer answered our offer.")
    offer_received = SessionEvent[exchange.IncomingOffer]("The peer made an offer, or asks for one.")
    offer_withdrawn = SessionEvent[exchange.IncomingOffer]("An offer of the peer wants no answer any more.")
    early_dialog_ended = SessionEvent[EarlyDialog]("An early dialog is over before the session stands.")
    request_received = SessionEvent[IncomingRequest]("The peer sent a request in the session.")
    message_received = SessionEvent[IncomingRequest]("The peer sent a MESSAGE in the session.")
    route_set_changed = SessionEvent[RouteSetStatusChanged]("The way to the peer was lost, or found.")
    traced = SessionEvent[TracedMessage]("A message of the session was read or written.", "traced_changed")

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def invite(self) -> Request | None:
        """The peer's INVITE, until the session stands."""
        return self.set_up.invitation.request if isinstance(self.set_up, Answering) else None

    @property
    def authenticated_as(self) -> str:
        """The user name whose password the sender of the INVITE knows, as :attr:`.IncomingRequest.authenticated_as`
        says it, until the session stands."""
        return self.set_up.invitation.transaction.authenticated_as if isinstance(self.set_up, Answering) else ""

    @property
    def asserted_identities(self) -> tuple[NameAddr, ...]:
        """Who the network says that the caller is, until the session stands; as for an
        :class:`~sip_p2p.endpoint.incoming.IncomingRequest`.

        :raises MalformedMessage: when it cannot be read.
        """
        invite = self.invite
        return () if invite is None else asserted_identities(invite.headers)

    @property
    def request_uri(self) -> Uri | None:
        """Whom the INVITE is for: the peer's as it came, until the session stands."""
        invite = self.invite
        return None if invite is None else invite.uri

    @property
    def offer(self) -> ContentDescription | None:
        """The offer in the peer's INVITE; None where it asks for ours, and once the session stands."""
        return self.set_up.invitation.offer if isinstance(self.set_up, Answering) else None

    @property
    def is_forked(self) -> bool:
        """Whether the peer's INVITE may ring elsewhere too: a hint not to accept without a human (row H14)."""
        return isinstance(self.set_up, Answering) and self.set_up.invitation.is_forked

    @property
    def replacement(self) -> Replacement | None:
        """What the peer's INVITE wants with another session of ours, which it is allowed to; None for nothing, and once
        this session stands (row I9)."""
        return self.set_up.replacement if isinstance(self.set_up, Answering) else None

    @property
    def peer(self) -> Peer | None:
        """Who is at the end of the connection, as far as it was verified; None before there is one, and when it is
        lost."""
        if self.usage is not None and self.usage.dialog.flow is not None:
            return Peer(cast("LiveFlow", self.usage.dialog.flow))
        if isinstance(self.set_up, Answering):
            return Peer(cast("LiveFlow", self.set_up.invitation.flow))
        return None

    @property
    def participant(self) -> SignalingParticipant | None:
        """The other end, with what it has said it can do (row H30); None before there is one."""
        return None if self.usage is None else SignalingParticipant(self.usage)

    @property
    def local_description(self) -> ContentDescription | None:
        """Our own last offer or answer; None before there was one."""
        return None if self.usage is None else self.usage.local_description

    @property
    def early_dialogs(self) -> tuple[EarlyDialog, ...]:
        """The early dialogs, the first one first; none once the session stands."""
        usages = () if self.set_up is None else self.set_up.early_usages
        return tuple(EarlyDialog(self, usage) for usage in usages)

    def __repr__(self) -> str:
        side = "incoming" if self.is_incoming else "outgoing"
        return f"<SignalingSession {self._state.name} {side} {self.call_id}>"

    # -- establishing it -----------------------------------------------------------------------------------------------

    def establish(self, offer: Any = None) -> Deferred[SignalingSession]:
        """Call (row H3).

        :param offer: text or octets of SDP, a :class:`~sip_p2p.sip.dialog.description.ContentDescription`, or an
            object that provides :class:`~.offers.IOfferAnswer`; None asks the peer for an offer (row H22).
        :returns: fires with this session when it stands. Fails with :class:`~sip_p2p.errors.RequestFailed`,
            :class:`~sip_p2p.errors.OperationTimeout`, :class:`~sip_p2p.errors.ConnectionFailure` and what derives from
            it, :class:`~sip_p2p.errors.OfferRejected` and whatever else *offer* raised. Cancelling it ends the session.
        :raises InvalidOperation: when that was done before, or it is not ours to establish.
        :raises TypeError: when *offer* is none.
        """
        check_thread()
        set_up = self.set_up
        if not isinstance(set_up, Calling) or self._state is not SignalingState.IDLE:
            raise InvalidOperation("a session is established once, by whoever made it")
        return set_up.establish(self, offer)

    def acknowledge(self, answer: Any = None, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send the ACK of a session with ``automatic_ack=False`` (row H15); it has to leave within 64*T1.

        :param answer: the answer, where the 2xx made an offer.
        :raises InvalidOperation: when none is due.
        """
        check_thread()
        if self.usage is None:
            raise InvalidOperation("there is nothing to acknowledge")
        driver = self.endpoint.connection_manager.driver
        self.usage.acknowledge(described(answer), application_fields(headers), driver.now())
        driver.drain()

    # -- answering it --------------------------------------------------------------------------------------------------

    def ring(
        self,
        status: int = 180,
        reason: str | None = None,
        *,
        answer: Any = None,
        headers: Iterable[tuple[str, str]] = (),
        reliable: bool | None = None,
        dialog: EarlyDialog | None = None,
    ) -> EarlyDialog:
        """Send a provisional response (rows H8 to H10); the last one is sent again each minute.

        :param status: 101 to 198.
        :param answer: text, octets or a description: an early answer; or an offer where the INVITE had none.
        :param reliable: whether it is to be acknowledged by PRACK; None leaves that to the endpoint's policy.
        :param dialog: in which early dialog; by default the first.
        :returns: the early dialog.
        :raises InvalidOperation: when that cannot be said any more, or here.
        :raises ValueError: for a status or header field that cannot be.
        """
        check_thread()
        return self._answering().ring(self, status, reason, answer, self._answer_fields(headers), reliable, dialog)

    def create_early_dialog(self) -> EarlyDialog:
        """Begin one more early dialog (row H13), for :meth:`ring` and :meth:`accept`.

        :raises InvalidOperation: when the session is decided.
        """
        check_thread()
        return self._answering().early_dialog(self)

    def end_early_dialog(self, dialog: EarlyDialog, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Give up one early dialog and keep the session (row H35, RFC 6228).

        :raises InvalidOperation: when the session is decided, or *dialog* is none of its own.
        """
        check_thread()
        self._answering().end_early(self, dialog, self._answer_fields(headers))

    def accept(
        self,
        answer: Any = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        dialog: EarlyDialog | None = None,
    ) -> Deferred[SignalingSession]:
        """Accept it (row H4).

        :param answer: as for :meth:`establish`: the answer, or our offer where the INVITE had none; None where that was
            settled in a reliable provisional response.
        :param dialog: the early dialog that becomes the session; by default the first.
        :returns: fires with this session when the ACK came. Fails with :class:`~sip_p2p.errors.OperationTimeout` when
            it never came. Cancelling it ends the session.
        :raises InvalidOperation: when the session is decided, or *answer* is missing or one too many.
        :raises TypeError: when *answer* is none.
        """
        check_thread()
        return self._answering().accept(self, answer, self._answer_fields(headers), dialog)

    def reject(self, status: int = 486, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse it (row H5).

        :param status: 400 to 699.
        :raises InvalidOperation: when the session is decided.
        :raises ValueError: for another status.
        """
        check_thread()
        self._answering().reject(self, status, reason, self._answer_fields(headers))

    def redirect(
        self, contacts: Sequence[NameAddr | str], status: int = 302, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Say where to go instead (row H6).

        :param contacts: URIs, or addresses with ``q``.
        :param status: 300 to 399.
        :raises InvalidOperation: when the session is decided.
        :raises ValueError: for another status, and for contacts that lead back here.
        """
        check_thread()
        self._answering().redirect(self, contacts, status, self._answer_fields(headers))

    def _answer_fields(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The fields of a response of the application, without what this peer may not see (RFC 3325 section 5)."""
        fields, peer = application_fields(headers), self.peer
        return fields if peer is None else self.endpoint.trust_domain.clean_fields(fields, peer.flow)

    def _answering(self) -> Answering:
        set_up = self.set_up
        if not isinstance(set_up, Answering) or self._state is SignalingState.DISCONNECTED:
            raise InvalidOperation(f"a session that is {self._state.name.lower()} has nothing to answer")
        return set_up

    # -- within it -----------------------------------------------------------------------------------------------------

    def renegotiate(
        self,
        offer: Any = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        method: str | None = None,
        dialog: EarlyDialog | None = None,
    ) -> Deferred[ContentDescription | None]:
        """Change what was agreed (row H19); one change at a time.

        :param offer: as for :meth:`establish`; None asks the peer for an offer.
        :param method: ``INVITE`` or ``UPDATE``; by default INVITE in a session that stands, and UPDATE before (H11).
        :param dialog: in which early dialog, before the session stands.
        :returns: fires with the peer's answer, or with its offer where it was asked for one. Fails with
            :class:`~sip_p2p.errors.RequestFailed` when it was refused; the session is then as it was before (RFC 6141).
            Cancelling it cancels a re-INVITE (row H21).
        :raises InvalidOperation: when there is nothing to change; ``retryable`` when another change is under way.
        """
        check_thread()
        usage = self.usage if dialog is None else early_usage(self, dialog)
        return exchange.renegotiate(self, self._standing(usage), offer, application_fields(headers), method)

    def cancel_renegotiation(self) -> bool:
        """Call off the re-INVITE that :meth:`renegotiate` sent (row H21); its outcome is told as ever.

        :returns: False where there is none, or it is an UPDATE, which cannot be cancelled.
        """
        check_thread()
        if self.usage is None:
            return False
        driver = self.endpoint.connection_manager.driver
        is_cancelled = self.usage.cancel_modification(driver.now())
        driver.drain()
        return is_cancelled

    def send_message(
        self,
        body: str | bytes,
        content_type: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        timeout: float | None = None,
    ) -> Deferred[Response]:
        """Send a MESSAGE in the session (RFC 3428); see :meth:`request`."""
        if content_type is None and isinstance(body, str):
            content_type = PLAIN_TEXT
        return self.request("MESSAGE", body=body, content_type=content_type, headers=headers, timeout=timeout)

    def send_info(
        self,
        package: str,
        body: str | bytes = b"",
        content_type: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        timeout: float | None = None,
    ) -> Deferred[Response]:
        """Send an INFO of an Info Package (RFC 6086 section 4.2.1); see :meth:`request`.

        :param package: the package; its body has the disposition ``info-package``, unless *headers* say otherwise.
        :raises InvalidOperation: also when the peer has not said that it takes this package.
        """
        fields = [("Info-Package", package), *headers]
        if body and not any(name.lower() == "content-disposition" for name, _ in fields):
            fields.append(("Content-Disposition", "info-package"))
        return self.request("INFO", body=body, content_type=content_type, headers=fields, timeout=timeout)

    def request(
        self,
        method: str,
        *,
        body: str | bytes = b"",
        content_type: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        timeout: float | None = None,
    ) -> Deferred[Response]:
        """Send a request of any other method in the session (row H25).

        :param timeout: in seconds; by default as long as the transaction.
        :returns: the final response below 300. Fails as ``endpoint.request`` does.
        :raises InvalidOperation: when the session does not stand, or the method is the session's own.
        :raises ValueError: for what cannot stand in a request.
        """
        check_thread()
        if not is_token(method):
            raise ValueError(f"{method!r} is not a method: it must be a token of RFC 3261 section 25.1")
        octets = octets_of(body)
        # Written so that a NaN, which is neither more nor less than anything, is refused as well.
        if timeout is not None and not timeout > 0:
            raise ValueError(f"a timeout of {timeout} s leaves no time")
        if octets and content_type is None:
            raise ValueError("a body needs a content type (RFC 3261 section 7.4.1)")
        usage = self._standing(self.usage)
        return in_dialog.send(self, usage, method, octets, content_type, application_fields(headers), timeout)

    def subscribe(self, event: str, **arguments: Unpack[SubscribeArguments]) -> Deferred[Subscription]:
        """Subscribe to *event* of the peer within the session's dialog (RFC 6665 section 4.5.2), as peers of RFC 3265
        want it. It outlives the session, is never begun anew, and ends with the dialog.

        :param arguments: as for ``endpoint.subscribe``, without what says where it goes.
        :returns: fires with the subscription at its first notification, and fails as that of ``endpoint.subscribe``.
        :raises InvalidOperation: when the session does not stand, or has this subscription already; and where
            ``participant.gruu`` is to be subscribed to instead, with ``endpoint.subscribe``.
        :raises ValueError: for anything that cannot stand in a request.
        """
        return subscribing.subscribe_in(self, self._standing(self.usage).dialog, event, arguments)

    def save(self) -> str:
        """It as one line of text, which ``endpoint.resume_session`` of another process makes this session of again
        (row H33). It changes nothing here.

        :raises InvalidOperation: when it does not stand.
        """
        check_thread()
        return saving.save(self, time())

    def _standing(self, usage: InviteUsage | None) -> InviteUsage:
        if self._state is SignalingState.DISCONNECTED or usage is None:
            raise InvalidOperation(f"a session that is {self._state.name.lower()} carries no requests")
        return usage

    # -- ending it -----------------------------------------------------------------------------------------------------

    def terminate(
        self, *, headers: Iterable[tuple[str, str]] = (), reason: ReasonValue | str | None = None
    ) -> Deferred[None]:
        """End it, as its state demands: CANCEL, a refusal (480) or BYE (rows H16, H17).

        It is disconnected at once, and nothing more is told of it.

        :param headers: header fields for what is sent, if anything is.
        :param reason: a Reason value for it (RFC 3326), such as ``Q.850;cause=16``.
        :returns: fires when nothing more is to be said to the peer, or to be expected of it; never fails. It may be
            called any number of times, in every state.
        :raises ValueError: for header fields that cannot be.
        """
        check_thread()
        fields = application_fields(headers)
        if reason is not None:
            fields += application_fields([("Reason", str(reason))])
        self.end(fields)
        return self.when_gone()
