"""Event packages: what one's own events are derived from (RFC 6665 section 5).

A package is a name, the media types that its state can be told in, who may know it, and what it is::

    class Temperature(EventPackage):
        name = "x-temperature"
        content_types = ("text/plain",)

        def state(self, subscription):
            return "text/plain", b"21.5"

``endpoint.packages.add(package)`` lets peers subscribe, and ``package.changed()`` tells them. The rest is the stack's:
expiry and refreshes, one NOTIFY at a time, the rates that subscribers ask for, limits, and the last NOTIFY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.event.notifier import NotifierState
from sip_p2p.sip.event.terms import Terms
from sip_p2p.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.subscription.server import ServerSubscription
    from sip_p2p.sip.message import Request

__all__ = ["EventPackage", "Verdict", "check_media_type", "resource_name"]


@final
class Verdict:
    """What an event package says to somebody who wants to subscribe (section 4.2.1.3).

    :ivar status: 200; or the status to refuse it with.
    :ivar is_pending: whether nobody knows yet: the subscription stands, and learns nothing until it is approved.
    :ivar retry_after: the seconds after which whoever was refused may ask again; None for not saying.
    """

    __slots__ = ("is_pending", "retry_after", "status")

    def __init__(self, status: int = 200, *, is_pending: bool = False, retry_after: int | None = None) -> None:
        """
        :raises ValueError: for a status that is neither 200 nor a refusal, 400 to 699.
        """
        if status != 200 and not 400 <= status <= 699:
            raise ValueError(f"{status} is no verdict: 200, or 400 to 699")
        self.status = status
        self.is_pending = is_pending
        self.retry_after = retry_after

    @staticmethod
    def accept() -> Verdict:
        """It may know the state."""
        return _ACCEPT

    @staticmethod
    def pending() -> Verdict:
        """Nobody knows yet; :meth:`.ServerSubscription.approve` or :meth:`.ServerSubscription.terminate` tell. Also for
        one that is never to know that it was refused."""
        return _PENDING

    @staticmethod
    def reject(status: int = 403, *, retry_after: int | None = None) -> Verdict:
        """It may not: 403, or 603 where the party declines for itself.

        :raises ValueError: for a status that is no refusal.
        """
        return Verdict(status, retry_after=retry_after)

    def __repr__(self) -> str:
        return f"<Verdict {self.status}{' pending' if self.is_pending else ''}>"


_ACCEPT = Verdict()
_PENDING = Verdict(is_pending=True)


def resource_name(address: object) -> str:
    """The name under which a resource is known: ``sip:user@host``, without port, parameters and what else an address
    may have; what is no SIP URI is its own name."""
    uri = address
    if not isinstance(uri, SipUri):
        try:
            uri = parse_uri(str(address))
        except MalformedMessage:
            return str(address)
    if not isinstance(uri, SipUri):
        return str(uri)
    return f"sip:{uri.user}@{uri.host.lower()}" if uri.user else f"sip:{uri.host.lower()}"


def check_media_type(text: str) -> None:
    """
    :raises ValueError: when *text* is no media type.
    """
    try:
        parse_media_type(text)
    except MalformedMessage as error:
        raise ValueError(f"{text[:64]!r} is not a media type: {error.reason}") from None


class EventPackage:
    """Something that peers can subscribe to; derive from it, and override what is to be different.

    One package may serve several endpoints.

    :cvar name: the name of the package, as Event says it (section 5.4.1).
    :cvar content_types: the media types in which its state can be told, the usual one first (section 5.4.5).
    :cvar default_expires: seconds, for a SUBSCRIBE that does not say (section 5.4.4).
    :cvar minimum_expires: a SUBSCRIBE for fewer seconds is answered 423; at most 3600.
    :cvar maximum_expires: nobody is granted more seconds.
    :cvar shortest_interval: the seconds that changes are told apart to one subscriber, at least (section 5.4.10).
    """

    name: str = ""
    content_types: tuple[str, ...] = ()
    default_expires: int = 3600
    minimum_expires: int = 60
    maximum_expires: int = 86400
    shortest_interval: float = 0.0

    _terms: Terms | None = None
    _subscribers: dict[str, dict[ServerSubscription, None]] | None = None

    # -- what one overrides --------------------------------------------------------------------------------------------

    def authorise(self, request: IncomingRequest) -> Any:
        """Say who may know: by default whoever has proved the address in From, by TLS or by its password, and nobody
        else. It does not wait for a person to say so: for that there is :meth:`Verdict.pending` (section 4.2.1.1).

        :returns: a :class:`Verdict`, True or False (403); or a Deferred or coroutine of one of these. An exception is
            logged, and answered 500.
        """
        return Verdict.accept() if request.is_proved_sender else Verdict.reject()

    def state(self, subscription: ServerSubscription) -> tuple[str, bytes] | None:
        """The state that *subscription* is told now, as it is when the NOTIFY is sent.

        :returns: the media type, which should be one of ``subscription.content_types``, and the body; None for a
            NOTIFY without a body. An exception is logged, and counts as None.
        """
        return None

    def subscribed(self, subscription: ServerSubscription, request: IncomingRequest) -> None:
        """Somebody has subscribed, and will be told the state in a moment.

        :param request: its SUBSCRIBE; a body in it is for the package to read (section 5.4.3).
        """

    def refreshed(self, subscription: ServerSubscription, request: Request) -> None:
        """A subscription was refreshed, and is told the state in a moment."""

    def ended(self, subscription: ServerSubscription, reason: str) -> None:
        """A subscription is over.

        :param reason: what its last NOTIFY said; empty where there was none.
        """

    def resource_of(self, request: IncomingRequest) -> str:
        """The name of what a SUBSCRIBE asks about: that of its Request-URI; where that is our Contact, the address of
        its party (:attr:`.ServerSubscription.resource`)."""
        return ""

    # -- what one calls ------------------------------------------------------------------------------------------------

    def changed(self, resource: object = None) -> None:
        """The state has changed: tell everybody who has subscribed to *resource*; None for all.

        Many are told in rounds, the first ones now. Whoever has not been told of the change before does not miss this
        one: everybody is told the state as it is then.
        """
        check_thread()
        managers: dict[RealTimeConnectionManager, None] = {}
        for subscription in self.subscribers if resource is None else self.subscribers_of(resource):
            if subscription.state is NotifierState.ACTIVE:
                manager = subscription.endpoint.connection_manager
                manager.lives.crowd.put(subscription)
                managers[manager] = None
        for manager in managers:
            manager.lives.crowd.begin()
            manager.driver.drain()

    @property
    def subscribers(self) -> tuple[ServerSubscription, ...]:
        """Who has subscribed, those among them that are pending."""
        return tuple(one for some in (self._subscribers or {}).values() for one in some)

    def subscribers_of(self, resource: object) -> tuple[ServerSubscription, ...]:
        """Who has subscribed to *resource*, a name or an address."""
        return tuple((self._subscribers or {}).get(resource_name(resource), ()))

    # -- what the stack calls ------------------------------------------------------------------------------------------

    @property
    def terms(self) -> Terms:
        """For how long, and how often, one may be notified.

        :raises ValueError: when the seconds are not in order.
        """
        terms = self._terms
        if terms is None:
            terms = self._terms = Terms(
                self.default_expires,
                self.minimum_expires,
                self.maximum_expires,
                self.shortest_interval,
                self.content_types,
            )
        return terms

    def acceptable(self, request: Request) -> tuple[str, ...]:
        """Those of :attr:`content_types` that *request*, a SUBSCRIBE, accepts; the usual one where it does not say
        (section 3.1.3).

        :raises MalformedMessage: when Accept cannot be read.
        """
        return self.terms.acceptable(request)

    def add(self, subscription: ServerSubscription) -> None:
        """Somebody has subscribed."""
        if self._subscribers is None:
            self._subscribers = {}
        self._subscribers.setdefault(subscription.resource, {})[subscription] = None

    def discard(self, subscription: ServerSubscription) -> None:
        """A subscription is over."""
        known = (self._subscribers or {}).get(subscription.resource)
        if known is not None and self._subscribers is not None:
            known.pop(subscription, None)
            if not known:
                del self._subscribers[subscription.resource]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
