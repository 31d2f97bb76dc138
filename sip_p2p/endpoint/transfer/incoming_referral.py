"""A REFER of a peer's, and what becomes of it (rows I5 to I7, I10, faults D4 and D5; RFC 3515 section 2.4, RFC 4488,
RFC 7614).

Whoever refers somebody has him make requests in his own name, so nothing is done unless a handler says so: a REFER that
nobody has decided about is declined (603). What the peer is told afterwards, in NOTIFYs, is the status of the responses
to that request and nothing else of it (RFC 3515 section 5).
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.documents.sipfrag import SipFragment
from sip_p2p.endpoint.peer import holder_of
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.endpoint.transfer.explicit import ReferralEvents
from sip_p2p.endpoint.transfer.following import Following, follow
from sip_p2p.errors import AlreadyResponded, MalformedMessage
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.incoming_invite import has_option
from sip_p2p.sip.dialog.references import TargetDialog
from sip_p2p.sip.dialog.replacing import is_from_party
from sip_p2p.sip.event.notifier import Notifier, NotifierEnded, StateWanted
from sip_p2p.sip.event.refer import (
    EXPLICITSUB,
    NOSUB,
    REFER_PACKAGE,
    SIPFRAG,
    parse_refer_sub,
    read_refer_to,
    read_referred_by,
)
from sip_p2p.sip.event.terms import Terms
from sip_p2p.sip.fields import EventValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.peer import Peer
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.errors import EndpointTerminated
    from sip_p2p.sip.event.notifier import Content
    from sip_p2p.sip.event.refer import ReferredBy, ReferTo
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.uri import SipUri, Uri
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["IncomingReferral"]

_TERMS = Terms(default=3600, minimum=60, maximum=3600, interval=1.0)
"""How long a peer may be told of a referral: longer than any call rings; and how often: once a second, but for the
outcome, which waits for nothing (RFC 3515 sections 3.4 and 3.10)."""


@final
class IncomingReferral:
    """A REFER that was given to the handlers of ``endpoint.refer_received``.

    A handler calls :meth:`accept` or :meth:`decline`, at once or, after :meth:`defer` or from a coroutine, later. What
    no handler decides about is declined; a handler that fails declines it with 500.

    :ivar endpoint: whom it is for.
    :ivar request: the REFER.
    :ivar refer_to: what it asks for.
    :ivar referred_by: who is said to have asked; a claim that nobody has proved (RFC 3892). None for nobody.
    :ivar session: the session that it came in; None outside of one.
    :ivar target_session: the session that it names as the reason why it should be done (RFC 4538), where its sender is
        the party that this is with; None for none.
    :ivar wants_notifications: whether the peer wants to hear what becomes of it.
    :ivar following: the request that was made because of it, and that the peer hears of; None for none.
    :ivar holder: to whose account its subscription is put: who has proved a name, or an address.
    :ivar status: with what it was decided: 200, or the status that declined it; None before.
    """

    __slots__ = (
        "_events", "_incoming", "_is_deferred", "_last", "_notifier", "_session_dialog", "endpoint", "following",
        "holder", "refer_to", "referred_by", "request", "session", "status", "target_session", "wants_notifications",
    )  # fmt: skip

    kind = "notifiers"

    def __init__(
        self, endpoint: RealTimeEndpoint, incoming: IncomingRequest, session: SignalingSession | None = None
    ) -> None:
        """
        :raises MalformedMessage: when its fields cannot be read, or exclude each other (400).
        """
        request = incoming.request
        self.endpoint = endpoint
        self.request: Request = request
        self.refer_to: ReferTo = read_refer_to(request)
        self.referred_by: ReferredBy | None = read_referred_by(request)
        self.session = session
        self.target_session = session or _target_session(endpoint, incoming)
        self.wants_notifications = _wants_notifications(request)
        self.following: Following | None = None
        self._incoming: IncomingRequest | None = incoming
        self.holder = ""
        self.status: int | None = None
        self._is_deferred = False
        self._last: SipFragment | None = None
        self._notifier: Notifier | None = None
        self._events: ReferralEvents | None = None
        usage = None if session is None else session.usage
        self._session_dialog = None if usage is None else usage.dialog
        if self.wants_notifications and self._session_dialog is None:
            # It makes a dialog if it is accepted. What that needs is missed now (400), and not by who accepts it.
            Dialog.of_callee(request, "", incoming.flow)
        elif self._session_dialog is not None:
            # RFC 4488 section 4: REFER is a target refresh request.
            self._session_dialog.refresh_target(request, incoming.flow)

    # -- what it says --------------------------------------------------------------------------------------------------

    @property
    def peer(self) -> Peer | None:
        """Who has sent it, as far as was verified; None once that is decided, and its connection may be gone."""
        return None if self._incoming is None else self._incoming.peer

    @property
    def flow(self) -> LiveFlow | None:
        """The connection that it came by; None once that is decided."""
        return None if self._incoming is None else self._incoming.flow

    @property
    def target(self) -> Uri:
        """Whom to ask."""
        return self.refer_to.uri

    @property
    def method(self) -> str:
        """With which method (row I7)."""
        return self.refer_to.method

    @property
    def is_decided(self) -> bool:
        """Whether it was accepted or declined, or nobody waits for that any more."""
        return self._incoming is None or self._incoming.is_answered

    @property
    def is_told(self) -> bool:
        """Whether the peer can be told something still."""
        if self._events is not None:
            return not self._events.is_final
        return self._notifier is not None and not self._notifier.is_over

    @property
    def is_explicit(self) -> bool:
        """Whether the peer wants to subscribe by itself to what becomes of it (RFC 7614)."""
        return has_option(self.request, "Require", EXPLICITSUB)

    @property
    def events_uri(self) -> SipUri | None:
        """Where peers can subscribe to what becomes of it; None where nobody can, or can any more."""
        return None if self._events is None else self._events.uri

    def referral_fields(self) -> list[tuple[str, str]]:
        """The header fields that belong into the request that it asks for: those of its URI that anybody may put there,
        and Referred-By as it came (RFC 3892 section 2.2)."""
        fields = list(self.refer_to.fields)
        if self.referred_by is not None:
            fields.append(("Referred-By", self.request.headers["Referred-By"]))
        return fields

    # -- what is decided -----------------------------------------------------------------------------------------------

    def defer(self) -> None:
        """Tell that the decision comes later."""
        self._is_deferred = True

    def accept(
        self,
        follow_with: bool | Callable[[IncomingReferral], Any] = True,
        *,
        offer: Any = None,
        headers: Iterable[tuple[str, str]] = (),
        may_subscribe: Callable[[IncomingRequest], Any] | None = None,
        **arguments: Any,
    ) -> SignalingSession | None:
        """Do it: 200, and the peer hears how it goes, or subscribes to that by itself.

        :param follow_with: True makes the request; False leaves that to the application, which reports with
            :meth:`progress`; a callable makes it, and returns the session, or a ``Deferred`` or coroutine of it.
        :param offer: what the session that is asked for offers, as for :meth:`.SignalingSession.establish`; None asks
            for an offer.
        :param headers: header fields of the 200.
        :param may_subscribe: where the REFER :attr:`is_explicit`: given each SUBSCRIBE to what becomes of it, says as
            :meth:`.EventPackage.authorise` does who may. By default whoever has sent the REFER, as far as that was
            verified, and nobody else.
        :param arguments: further ones of the call that is made, as for ``endpoint.create_session``.
        :returns: the session that is being established, where there is one by then.
        :raises InvalidOperation: when that has been decided, or nobody waits for it any more; and when *follow_with* is
            True and the method is one that no request by itself can have, or the target leaves the TLS by which the
            REFER came, or the ``sips`` that it asked for, or leads to this machine from elsewhere. Nothing has been
            decided then.
        :raises ValueError: for what cannot be called, or cannot stand in a response.
        """
        check_thread()
        self._check_open()
        following = None
        if follow_with is True:
            following = follow(self, offer, arguments)
        fields = application_fields(headers)
        self._begin(fields, may_subscribe)
        if following is not None:
            self.following = following
            following.start()
        elif callable(follow_with):
            self.following = Following(self)
            self.following.run(follow_with)
        self.endpoint.connection_manager.driver.drain()
        self._say_decided()
        return None if self.following is None else self.following.session

    def decline(self, status: int = 603, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Do not do it.

        :param status: 300 to 699.
        :raises InvalidOperation: when that has been decided, or nobody waits for it any more.
        :raises ValueError: for another status.
        """
        check_thread()
        if not 300 <= status <= 699:
            raise ValueError(f"{status} declines nothing: 300 to 699")
        incoming = self._check_open()
        incoming.respond(status, reason, headers=headers)
        self._incoming = None
        self.status = status
        self._say_decided()

    def progress(self, status: int, reason: str | None = None) -> None:
        """Tell the peer the status of the response that was had (rows I5, I6); a final one is the last that it hears.
        Nothing happens where nothing can be told any more.

        :raises ValueError: for what is no status.
        """
        check_thread()
        fragment = SipFragment.of_status(status, reason)
        notifier = self._notifier
        self._last = fragment
        if self._events is not None:
            self._events.told(_content(fragment), status >= 200)
        if notifier is None or notifier.is_over:
            return
        driver = self.endpoint.connection_manager.driver
        if status < 200:
            notifier.changed(driver.now(), _content(fragment))
        else:
            # RFC 3515 section 2.4.7: there is nothing more to subscribe to.
            notifier.terminate(driver.now(), "noresource", content=_content(fragment))
        driver.drain()

    # -- how it is asked for -------------------------------------------------------------------------------------------

    def ask(self, handlers: Iterable[Callable[[IncomingReferral], Any]]) -> None:
        """Ask the handlers. The library's own."""
        for handler in handlers:
            try:
                result: Any = handler(self)
            except KeyboardInterrupt:
                raise
            except BaseException:
                self._failed(Failure())
                continue
            if iscoroutine(result) or isinstance(result, Deferred):
                self._is_deferred = True
                deferred = Deferred.fromCoroutine(result) if iscoroutine(result) else result
                deferred.addCallbacks(self._undecided, self._failed)
        if not self._is_deferred:
            self._undecided(None)

    def _undecided(self, _: object) -> None:
        """Nobody wants to do it."""
        if not self.is_decided:
            self.decline()

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if not (isinstance(error, AlreadyResponded) and self.is_decided):
            self.endpoint.connection_manager.dispatch.handler_failed("REFER", failure)
        if not self.is_decided:
            self.decline(500)

    def _say_decided(self) -> None:
        lives = self.endpoint.connection_manager.lives
        if lives.referred:
            lives.referred.tell(self)

    def _check_open(self) -> IncomingRequest:
        incoming = self._incoming
        if incoming is None or incoming.is_answered:
            raise AlreadyResponded("the REFER has been answered, or its sender has gone")
        return incoming

    # -- what is told --------------------------------------------------------------------------------------------------

    def _begin(self, fields: list[tuple[str, str]], may_subscribe: Callable[[IncomingRequest], Any] | None) -> None:
        """200 (RFC 7647 section 5), and the subscription that it gives rise to, if it does."""
        incoming = self._check_open()
        manager, profile, request = self.endpoint.connection_manager, self.endpoint.profile, self.request
        response = incoming.response(200)
        dialog = self._session_dialog
        if self.wants_notifications and dialog is None:
            # RFC 3515 section 2.4.4: the dialog is as that of a SUBSCRIBE.
            echo = incoming.transaction.echo
            dialog = Dialog.of_callee(request, echo.to_tag, incoming.flow)
            dialog.username = incoming.authenticated_as
            # RFC 3261 section 12.1.1, RFC 6665 section 4.4.4: what the answer says that makes it.
            recorded = [("Record-Route", value) for value in request.headers.get_all("Record-Route")]
            fields = [*recorded, *self.endpoint.packages.allow_events, *fields]
        is_secure = dialog.is_secure if dialog is not None else request.uri_text[:5].lower() == "sips:"
        contact = profile.contact_value(incoming.flow, is_secure)
        response.headers.add("Contact", contact)
        if dialog is not None and self.is_explicit:
            self._last = SipFragment.of_status(100)
            self._events = ReferralEvents(self, dialog, contact, _content(self._last), may_subscribe)
            response.headers.add("Refer-Events-At", f"<{self._events.uri}>")
        elif not self.wants_notifications and "Refer-Sub" in request.headers:
            response.headers.add("Refer-Sub", "false")
        for name, value in fields:
            response.headers.add(name, value)
        incoming.respond(response)
        self._incoming = None
        self.status = response.status
        if not self.wants_notifications or dialog is None:
            return
        self.holder = holder_of(incoming.flow)
        manager.lives.add(self)
        manager.lives.crowd.add(self.holder)
        if self._events is not None:
            return
        # RFC 3515 section 2.4.6: a dialog may have several, but not one that the REFER itself has made.
        params = {} if self._session_dialog is None else {"id": str(request.cseq.number)}
        notifier = self._notifier = Notifier(
            manager.core, profile, dialog, EventValue(REFER_PACKAGE, params), _TERMS, self
        )
        self._last = SipFragment.of_status(100)
        notifier.begin(manager.driver.now(), _TERMS.default)

    def take(self, effect: Any) -> None:
        """What its machine says."""
        notifier = self._notifier
        if notifier is None:
            return
        if isinstance(effect, StateWanted):
            last = self._last
            content = None if last is None else _content(last)
            notifier.give(content, self.endpoint.connection_manager.driver.now())
        elif isinstance(effect, NotifierEnded):
            self._let_go()

    def end(self) -> None:
        """Its party ends: the peer hears that nothing more comes."""
        if self._events is not None:
            self._events.end()
        notifier = self._notifier
        if notifier is not None and not notifier.is_over:
            now = self.endpoint.connection_manager.driver.now()
            notifier.terminate(now, "noresource", content=None if self._last is None else _content(self._last))

    def abandon(self, error: EndpointTerminated) -> None:
        """There is no time left."""
        if self._events is not None:
            self._events.close()
        if self._notifier is not None:
            self._notifier.abandon()
            self._let_go()

    def events_closed(self) -> None:
        """Nobody can subscribe to it any more; called by its events."""
        self._events = None
        manager = self.endpoint.connection_manager
        manager.lives.crowd.left(self.holder)
        manager.lives.gone(self)

    def _let_go(self) -> None:
        notifier, self._notifier = self._notifier, None
        if notifier is not None:
            notifier.user = None
            manager = self.endpoint.connection_manager
            if notifier.dialog not in manager.core.dialogs:
                manager.sessions.errands.dialog_ended(notifier.dialog)
            manager.lives.crowd.left(self.holder)
            manager.lives.gone(self)

    def __repr__(self) -> str:
        return f"<IncomingReferral to {self.method} {self.target}>"


def _content(fragment: SipFragment) -> Content:
    return f"{SIPFRAG};version=2.0", fragment.to_bytes()


def _wants_notifications(request: Request) -> bool:
    """Whether a REFER is to give rise to a subscription (RFC 3515 section 2.4.4, RFC 4488 section 4, RFC 7614).

    :raises MalformedMessage: when what it says of that cannot be read (400).
    """
    if has_option(request, "Require", EXPLICITSUB):
        if has_option(request, "Require", NOSUB):
            raise MalformedMessage("a REFER wants to be told by a subscription of its own, or not at all (RFC 7614)")
        return True
    value = request.headers.get("Refer-Sub")
    return not has_option(request, "Require", NOSUB) and (value is None or parse_refer_sub(value))


def _target_session(endpoint: RealTimeEndpoint, incoming: IncomingRequest) -> SignalingSession | None:
    """The session that a REFER outside of one names, where it is from the party that this is with (RFC 4538 section
    4)."""
    value = incoming.request.headers.get(TargetDialog.name)
    try:
        dialog = None if value is None else TargetDialog.parse(value).find(endpoint.connection_manager.core.dialogs)
        if dialog is None or not is_from_party(dialog, incoming.request, incoming.flow):
            return None
    except MalformedMessage:
        # It names nothing that could speak for it.
        return None
    for session in endpoint.sessions:
        if session.usage is not None and session.usage.dialog is dialog:
            return session
    return None
