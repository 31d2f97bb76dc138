"""Subscriptions to what becomes of a REFER: where they go, who may have one, and for how long (RFC 7614 section 4).

A REFER that requires ``explicitsub`` makes no subscription. Its 2xx names a URI in Refer-Events-At, which nobody can
guess, and which is there until the outcome has been told; whoever may know can subscribe to ``refer`` at it, several
times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sip_p2p.endpoint.subscription.package import EventPackage, Verdict
from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.redirection import may_name
from sip_p2p.sip.dialog.replacing import is_from_party
from sip_p2p.sip.event.refer import REFER_PACKAGE, SIPFRAG, parse_refer_events_at
from sip_p2p.sip.name_addr import parse_name_addr
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.subscription.server import ServerSubscription
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.event.notifier import Content
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response

__all__ = ["MOST_SUBSCRIBERS", "ReferralEvents", "ReferralPackage", "events_uri", "package_of"]

MOST_SUBSCRIBERS = 32
"""How many may be subscribed to one referral at a time; a further one is to come again."""

_PARAMETER = "refer"
_LONGEST = 3600
"""Seconds after which a referral of which nobody says anything is forgotten, unless somebody is subscribed to it."""
_TYPE = f"{SIPFRAG};version=2.0"


def events_uri(response: Response | None, flow: Flow | None) -> SipUri:
    """Where *response*, a 2xx to a REFER that came by *flow*, says to subscribe to what becomes of it.

    :raises InvalidOperation: when it does not say, or names what is not a peer's to name: it leaves TLS, or leads to
        this machine.
    """
    values = [] if response is None else response.headers.get_all("Refer-Events-At")
    if len(values) != 1:
        raise InvalidOperation("the peer does not say where to subscribe to what becomes of the referral (RFC 7614)")
    try:
        uri = parse_refer_events_at(values[0])
    except MalformedMessage as error:
        raise InvalidOperation(f"the peer does not say where to subscribe: {error.reason}") from None
    if flow is not None and not may_name(flow, uri):
        raise InvalidOperation(f"Refer-Events-At {str(uri)[:128]} leaves TLS, or leads to this machine")
    return uri.as_request_uri()


@final
class ReferralPackage(EventPackage):
    """What becomes of the REFERs of peers that required ``explicitsub`` at one endpoint."""

    name = REFER_PACKAGE
    content_types = (_TYPE,)
    maximum_expires = 3600
    # RFC 3515 section 3.10.
    shortest_interval = 1.0

    def __init__(self) -> None:
        self._events: dict[str, ReferralEvents] = {}

    def put(self, events: ReferralEvents) -> None:
        """Let peers subscribe to *events*."""
        self._events[events.token] = events

    def take_out(self, events: ReferralEvents) -> None:
        """Let nobody subscribe to *events* any more."""
        self._events.pop(events.token, None)

    def resource_of(self, request: IncomingRequest) -> str:
        """The token in the URI that Refer-Events-At has named."""
        uri = request.request.uri
        return (uri.params.get(_PARAMETER) or "") if isinstance(uri, SipUri) else ""

    def authorise(self, request: IncomingRequest) -> Any:
        """Who has referred may know, and whom the one who accepted that lets."""
        events = self._events.get(self.resource_of(request))
        return Verdict.reject(404) if events is None else events.authorise(request)

    def state(self, subscription: ServerSubscription) -> Content | None:
        """The last that is known of it."""
        events = self._events.get(subscription.resource)
        return None if events is None else events.content

    def subscribed(self, subscription: ServerSubscription, request: IncomingRequest) -> None:
        """Who comes late hears the outcome, and nothing more."""
        events = self._events.get(subscription.resource)
        if events is None:
            subscription.terminate("noresource")
        elif events.is_final:
            events.tell_outcome(subscription)


@final
class ReferralEvents:
    """What becomes of one REFER, for those who subscribe to it.

    :ivar uri: where they do.
    :ivar token: what tells that from others.
    :ivar content: what they are told: the last that is known.
    :ivar is_final: whether that is the outcome.
    """

    __slots__ = ("_dialog", "_may_subscribe", "_owner", "_package", "content", "is_final", "token", "uri")

    def __init__(
        self,
        owner: IncomingReferral,
        dialog: Dialog,
        contact: str,
        content: Content,
        may_subscribe: Callable[[IncomingRequest], Any] | None,
    ) -> None:
        """
        :param dialog: that of the REFER, or the one that it would have made: whose it is may subscribe.
        :param contact: our Contact in the answer.
        :param content: what is known now.
        :param may_subscribe: who may, instead; as :meth:`.EventPackage.authorise`.
        :raises InvalidOperation: when peers cannot subscribe to it here.
        """
        manager = owner.endpoint.connection_manager
        self._owner: IncomingReferral | None = owner
        self._dialog = dialog
        self._may_subscribe = may_subscribe
        self._package = package_of(owner.endpoint)
        self.content = content
        self.is_final = False
        self.token = manager.core.tokens.token()
        where = parse_name_addr(contact, "Contact").uri
        if not isinstance(where, SipUri):
            raise InvalidOperation("a party without a SIP URI cannot be subscribed to")
        self.uri = where.replace(params={**where.params, _PARAMETER: self.token})
        self._package.put(self)
        manager.core.appointments.set(self, manager.driver.now() + _LONGEST)

    @property
    def subscriptions(self) -> tuple[ServerSubscription, ...]:
        """Those who have subscribed."""
        return self._package.subscribers_of(self.token)

    def authorise(self, request: IncomingRequest) -> Any:
        """Whether the sender of *request*, a SUBSCRIBE, may know."""
        if len(self.subscriptions) >= MOST_SUBSCRIBERS:
            return Verdict.reject(500, retry_after=30)
        if self._may_subscribe is not None:
            return self._may_subscribe(request)
        dialog, user = self._dialog, self._dialog.username
        if user:
            return user == request.authenticated_as
        return is_from_party(dialog, request.request, request.flow)

    def told(self, content: Content, is_final: bool) -> None:
        """There is something new; nothing comes after what is final."""
        owner = self._owner
        if owner is None or self.is_final:
            return
        self.content, self.is_final = content, is_final
        if not is_final:
            self._package.changed(self.token)
            return
        for subscription in self.subscriptions:
            self.tell_outcome(subscription)
        # Who has the 2xx, and has not come yet, hears the outcome for as long as a SUBSCRIBE can be on its way.
        core, now = owner.endpoint.connection_manager.core, owner.endpoint.connection_manager.driver.now()
        core.appointments.set(self, now + 2 * core.layer.timers.timeout)

    def tell_outcome(self, subscription: ServerSubscription) -> None:
        """RFC 3515 section 2.4.7: there is nothing more to subscribe to."""
        media_type, body = self.content
        subscription.terminate("noresource", body=body, content_type=media_type)

    def end(self) -> None:
        """Its party ends, or nobody has said anything for too long."""
        for subscription in self.subscriptions:
            self.tell_outcome(subscription)
        self.close()

    def close(self) -> None:
        """Nobody can subscribe any more; the owner is told."""
        owner, self._owner = self._owner, None
        if owner is not None:
            self._package.take_out(self)
            owner.endpoint.connection_manager.core.appointments.set(self, None)
            owner.events_closed()

    def handle_timer(self, now: float) -> None:
        """It is time to forget it, unless it is not decided and somebody waits."""
        owner = self._owner
        if owner is not None and not self.is_final and self.subscriptions:
            owner.endpoint.connection_manager.core.appointments.set(self, now + _LONGEST)
        else:
            self.close()

    def __repr__(self) -> str:
        return f"<ReferralEvents of {self._owner!r}>"


def package_of(endpoint: RealTimeEndpoint) -> ReferralPackage:
    """The package of *endpoint*, which has it from the first REFER on that needs it.

    :raises InvalidOperation: when the application has one of this name.
    """
    present = endpoint.packages.get(REFER_PACKAGE)
    if present is None:
        present = endpoint.packages.add(ReferralPackage())
    if not isinstance(present, ReferralPackage):
        raise InvalidOperation(f"the event package {REFER_PACKAGE!r} is the application's")
    return present
