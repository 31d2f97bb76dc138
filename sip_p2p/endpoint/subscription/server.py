"""One subscription of a peer's, as an application and its event package see it (row J9, RFC 6665 section 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from twisted.python.failure import Failure

from sip_p2p.endpoint.peer import Peer, holder_of
from sip_p2p.endpoint.subscription.package import check_media_type
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.sip.event.notifier import NotifierEnded, NotifierState, StateWanted, SubscriptionRefreshed

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.subscription.package import EventPackage
    from sip_p2p.errors import EndpointTerminated
    from sip_p2p.sip.event.notifier import Content, Notifier
    from sip_p2p.sip.event.usage import EventEffect
    from sip_p2p.sip.fields import EventValue
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.uri import Uri
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["ServerSubscription", "check_content"]


def check_content(content: object) -> Content | None:
    """*content* as a NOTIFY can carry it: a media type and a body, text as UTF-8; None for no body.

    :raises ValueError: when the media type is none.
    :raises TypeError: when it is something else.
    """
    if content is None:
        return None
    if not isinstance(content, tuple) or len(content) != 2 or not isinstance(content[0], str):
        raise TypeError("a state is a pair of media type and body, or None")
    media_type, body = content
    check_media_type(media_type)
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        raise TypeError(f"the body of a NOTIFY is octets or text, not {type(body).__name__}")
    return media_type, body


@final
class ServerSubscription:
    """A peer's subscription to an event of ours.

    :ivar endpoint: whose event it is.
    :ivar package: its event package.
    :ivar notifier: its machine.
    :ivar resource: the name of what was subscribed to.
    :ivar content_types: the media types of the package that the subscriber takes, the usual one first.
    :ivar holder: to whose account it is put: who has proved a name, or an address.
    :ivar context: for the event package's own use.
    :ivar reason: what the last NOTIFY said of its end; empty while it lives, and where there was none.
    """

    __slots__ = ("content_types", "context", "endpoint", "holder", "notifier", "package", "reason", "resource")

    kind = "notifiers"

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        package: EventPackage,
        notifier: Notifier,
        resource: str,
        content_types: tuple[str, ...],
    ) -> None:
        self.endpoint = endpoint
        self.package = package
        self.notifier = notifier
        self.resource = resource
        self.content_types = content_types
        flow = notifier.dialog.flow
        self.holder = "" if flow is None else holder_of(flow)
        self.context: Any = None
        self.reason = ""

    def begin(self) -> None:
        """It stands, or is about to: it is known from now on."""
        manager = self.endpoint.connection_manager
        self.notifier.user = self
        manager.lives.add(self)
        manager.lives.crowd.add(self.holder)
        self.package.add(self)

    # -- what one sees -------------------------------------------------------------------------------------------------

    @property
    def event(self) -> EventValue:
        """The event, with the ``id`` that tells two subscriptions of one dialog apart."""
        return self.notifier.event

    @property
    def flow(self) -> Flow | None:
        """By what the subscriber was heard last; None once that is lost."""
        return self.notifier.dialog.flow

    @property
    def peer(self) -> Peer | None:
        """The subscriber, as far as it was verified, on the flow by which it was heard last; None once that is lost."""
        flow = self.flow
        return None if flow is None else Peer(cast("LiveFlow", flow))

    @property
    def subscriber(self) -> Uri:
        """Who claims to have subscribed: the URI of From."""
        return self.notifier.dialog.remote_uri

    @property
    def is_verified(self) -> bool:
        """Whether it is a party's that proved who it is."""
        return self.notifier.dialog.is_verified

    @property
    def state(self) -> NotifierState:
        """Where it is."""
        return self.notifier.state

    @property
    def is_pending(self) -> bool:
        """Whether it waits for :meth:`approve`."""
        return self.notifier.state is NotifierState.PENDING

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or ends: nothing more can be told."""
        return self.notifier.is_over

    @property
    def expires(self) -> float:
        """The seconds until it ends unless it is refreshed; 0 where it is over."""
        if self.is_over:
            return 0.0
        return max(0.0, self.notifier.expires_at - self.endpoint.connection_manager.driver.now())

    # -- what one wants ------------------------------------------------------------------------------------------------

    def notify(self, body: bytes | str, content_type: str | None = None) -> None:
        """Tell this subscriber something else than the package's state, as soon as may be; of several the last one.

        One that is pending, or over, is told nothing.

        :param content_type: by default the first of :attr:`content_types`.
        :raises ValueError: when *content_type* is no media type, or there is none.
        """
        check_thread()
        media_type = content_type or next(iter(self.content_types), None)
        if media_type is None:
            raise ValueError("a body needs a content type (RFC 3261 section 7.4.1)")
        driver = self.endpoint.connection_manager.driver
        self.notifier.changed(driver.now(), check_content((media_type, body)))
        driver.drain()

    def changed(self) -> None:
        """The state has changed: tell it, in its turn where many are to be told."""
        check_thread()
        if self.notifier.state is NotifierState.ACTIVE:
            crowd = self.endpoint.connection_manager.lives.crowd
            crowd.tell(self)
            self.endpoint.connection_manager.driver.drain()

    def approve(self) -> None:
        """It may know the state, and is told it; nothing happens where it may already, or is over."""
        check_thread()
        driver = self.endpoint.connection_manager.driver
        self.notifier.approve(driver.now())
        driver.drain()
        self._say_changed()

    def terminate(
        self,
        reason: str = "noresource",
        *,
        retry_after: int | None = None,
        body: bytes | str | None = None,
        content_type: str | None = None,
    ) -> None:
        """End it with a NOTIFY that says why; nothing happens where it is over.

        :param reason: ``deactivated`` (subscribe anew at once), ``probation`` (later), ``rejected`` (never),
            ``giveup``, ``noresource`` (there is no such thing any more), or ``invariant`` (it will never change);
            section 4.1.3.
        :param retry_after: for ``probation`` and ``giveup``: after how many seconds; ``invariant`` says a year by
            itself.
        :param body: a last word.
        :raises ValueError: when *reason* is no token, *retry_after* is negative or *content_type* no media type.
        """
        check_thread()
        if retry_after is not None and not 0 <= retry_after < 2**31:
            raise ValueError(f"one cannot try again in {retry_after} s")
        content = None
        if body is not None:
            content = check_content((content_type or next(iter(self.content_types), ""), body))
        driver = self.endpoint.connection_manager.driver
        self.notifier.terminate(driver.now(), reason, retry_after, content)
        driver.drain()

    def _say_changed(self) -> None:
        lives = self.endpoint.connection_manager.lives
        if lives.changed and not self.is_over:
            lives.changed.tell(self)

    # -- what the stack calls ------------------------------------------------------------------------------------------

    def stands(self) -> None:
        """Its SUBSCRIBE was accepted."""
        self._say_changed()

    def tell_now(self, now: float) -> None:
        """Its turn has come to be told of a change."""
        self.notifier.changed(now)

    def end_now(self, now: float, reason: str) -> None:
        """Its turn has come to end, for this *reason*."""
        self.notifier.terminate(now, reason)

    def end(self, reason: str = "deactivated") -> None:
        """It ends in its turn, because its party goes: another one may take its place (section 4.4.2)."""
        if not self.is_over:
            self.endpoint.connection_manager.lives.crowd.tell(self, reason)

    def abandon(self, error: EndpointTerminated) -> None:
        """There is no time left for a last NOTIFY."""
        if self.notifier.user is not None:
            self.notifier.abandon()
            self._gone("")

    def take(self, effect: EventEffect) -> None:
        """What its machine says."""
        kind = type(effect)
        if kind is StateWanted:
            self.notifier.give(self._state(), self.endpoint.connection_manager.driver.now())
        elif kind is SubscriptionRefreshed:
            self._refreshed(cast("SubscriptionRefreshed", effect))
        elif kind is NotifierEnded:
            self._gone(cast("NotifierEnded", effect).reason)

    def _state(self) -> Content | None:
        try:
            return check_content(self.package.state(self))
        except Exception:
            self._failed()
            return None

    def _refreshed(self, effect: SubscriptionRefreshed) -> None:
        try:
            if "Accept" in effect.request.headers:
                # What it takes may be said anew.
                self.content_types = self.package.acceptable(effect.request)
            self.package.refreshed(self, effect.request)
        except Exception:
            self._failed()

    def _gone(self, reason: str) -> None:
        """It is over: nothing leads here any more."""
        manager, dialog = self.endpoint.connection_manager, self.notifier.dialog
        self.notifier.user = None
        self.reason = reason
        self.package.discard(self)
        if not dialog.usages:
            manager.sessions.errands.dialog_ended(dialog)
        manager.lives.crowd.gone(self)
        manager.lives.gone(self)
        try:
            self.package.ended(self, reason)
        except Exception:
            self._failed()

    def _failed(self) -> None:
        """The event package raised."""
        self.endpoint.connection_manager.dispatch.handler_failed("SUBSCRIBE", Failure())

    def __repr__(self) -> str:
        return f"<ServerSubscription {self.event} of {self.resource} {self.state.name}>"
