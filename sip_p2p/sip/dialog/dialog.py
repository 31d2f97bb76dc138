"""What two user agents know of each other while they talk: a dialog (RFC 3261 section 12, RFC 5630, RFC 5057).

:class:`Dialog` holds what section 12 calls the dialog's state, makes the plans of the requests that are sent in it, and
judges those that come. Two rules go beyond the RFC, because a request in a dialog says of itself no more than two tags:

* A dialog that was made with a verified party is that party's. A request of anybody else, whatever tags it knows, is
  answered as if there were no such dialog (:meth:`Dialog.may_come_from`).
* A dialog that was made over TLS stays there. Where a Contact or a route would lead out of it, the next hop is taken
  over TLS all the same, or not at all.

Left out: what the usages of a dialog do (:mod:`sip_p2p.sip.dialog.usage`, :mod:`sip_p2p.sip.event.usage`), and where
its requests find a flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.fields import parse_contact, split_values
from sip_p2p.sip.message import Request
from sip_p2p.sip.name_addr import NameAddr, parse_name_addr
from sip_p2p.sip.routing import route_request, route_set_of_callee, route_set_of_caller
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.event.usage import EventUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Message, Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.uri import Uri

__all__ = ["INVITE_USAGE", "Dialog", "dialog_id"]

INVITE_USAGE = "invite"
"""The name of what INVITE makes of a dialog (RFC 5057 section 4.1)."""

_LARGEST_CSEQ = 2**31 - 1
_OVER_TLS = (None, "tcp", "tls", "ws", "wss")


def dialog_id(call_id: str, local_tag: str, remote_tag: str) -> str:
    """What a dialog is found by (section 12): no header field holds a line feed, so no two dialogs have one key."""
    return f"{call_id}\n{local_tag}\n{remote_tag}"


@final
class Dialog:
    """The state of section 12, with the identity of the party at the other end.

    :ivar id: the key of :class:`~sip_p2p.sip.dialog.table.DialogTable`.
    :ivar call_id: the Call-ID.
    :ivar flow: the one by which the peer was heard last in this dialog; None before that, and once it is lost.
    :ivar local_tag: our tag.
    :ivar remote_tag: the peer's tag; empty where a peer of RFC 2543 has none.
    :ivar local: our address as From writes it in our requests, without the tag.
    :ivar remote: the peer's, as To writes it, without the tag.
    :ivar is_caller: whether our request made the dialog: then the Call-ID is ours.
    :ivar is_early: whether there is no final response yet.
    :ivar is_near: whether the peer was on this machine when it was heard last, for when there is no flow that tells.
    :ivar is_secure: the secure flag: the request that made it went to a ``sips`` URI, over TLS.
    :ivar is_tls: whether TLS carried what made it, ``sips`` or not; nothing of it leaves TLS then.
    :ivar local_cseq: the sequence number of our last request; 0 before the first.
    :ivar remote_cseq: that of the peer's last one; None before the first.
    :ivar route_set: the Route values of our requests.
    :ivar remote_target: where our requests go through these routes: the peer's last Contact.
    :ivar peer: whose dialog it is: the :attr:`~sip_p2p.sip.flow.Flow.peer` of the flow that made it; empty where
        nothing was verified.
    :ivar username: whose password the sender knew of the request that made it, where we asked; else empty. What comes
        in it under another user name is a stranger's.
    :ivar usages: the names of what it is used for (RFC 5057 section 2); it lives as long as there is one.
    :ivar user: the usage that INVITE made of it; None before, and after that has ended.
    :ivar subscriptions: the usages that SUBSCRIBE and REFER made of it, ours and the peer's, by their names in
        *usages*; None where there never was one.
    :ivar credentials: the fields that our last INVITE was accepted with, which its ACK repeats (section 13.2.2.4).
    """

    __slots__ = (
        "call_id",
        "credentials",
        "flow",
        "id",
        "is_caller",
        "is_early",
        "is_near",
        "is_secure",
        "is_tls",
        "local",
        "local_cseq",
        "local_tag",
        "peer",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "route_set",
        "subscriptions",
        "usages",
        "user",
        "username",
    )

    def __init__(
        self,
        call_id: str,
        local_tag: str,
        remote_tag: str,
        local: str,
        remote: str,
        is_caller: bool,
        is_early: bool,
        is_secure: bool,
        local_cseq: int,
        remote_cseq: int | None,
        route_set: tuple[str, ...],
        remote_target: Uri,
        peer: str,
        is_tls: bool = False,
    ) -> None:
        """Take parts that were checked where they were read; :meth:`of_caller` and :meth:`of_callee` are the usual ways
        in."""
        self.call_id = call_id
        self.flow: Flow | None = None
        self.local_tag = local_tag
        self.remote_tag = remote_tag
        self.id = dialog_id(call_id, local_tag, remote_tag)
        self.local = local
        self.remote = remote
        self.is_caller = is_caller
        self.is_early = is_early
        self.is_near = False
        self.is_secure = is_secure
        self.is_tls = is_tls or is_secure or bool(peer)
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.route_set = route_set
        self.remote_target = remote_target
        self.peer = peer
        self.username = ""
        self.usages: tuple[str, ...] = ()
        self.user: InviteUsage | None = None
        self.subscriptions: dict[str, EventUsage] | None = None
        self.credentials: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_caller(cls, request: Request, response: Response, flow: Flow) -> Dialog:
        """What *response*, which came by *flow*, makes of *request*, our own (section 12.1.2).

        A provisional response often lacks Contact; our requests go where this one went until a Contact comes. What
        cannot be read of Contact and Record-Route counts as missing: a 2xx has to be acknowledged whatever it holds.

        :raises MalformedMessage: when a tag cannot be read.
        """
        to = response.to
        # 12.1.2: the secure flag wants both TLS and a sips Request-URI.
        is_secure = flow.is_secure and request.uri.scheme == "sips"
        dialog = cls(
            request.call_id,
            request.from_.tag or "",
            to.tag or "",
            _without_tag(request.from_),
            _without_tag(request.to),
            True,
            response.status < 200,
            is_secure,
            # 12.1.2: the remote sequence number is empty, the local one is the request's.
            request.cseq.number,
            None,
            (),
            request.uri,
            flow.peer,
            flow.is_secure,
        )
        dialog.flow = flow
        dialog._take_route_and_target(response)
        return dialog

    @classmethod
    def of_callee(cls, request: Request, local_tag: str, flow: Flow) -> Dialog:
        """What our response with *local_tag* makes of *request*, which came by *flow* (section 12.1.1); early at first.

        :raises MalformedMessage: when the request lacks a Contact to answer it at, or when its Contact or its
            Record-Route cannot be read (400), or leaves the security that its Request-URI asks for (RFC 5630).
        """
        is_secure = flow.is_secure and request.uri.scheme == "sips"
        recorded = [
            parse_name_addr(text, "Record-Route")
            for value in request.headers.get_all("Record-Route")
            for text in split_values(value)
        ]
        target = _contact_of(request)
        if target is None:
            raise MalformedMessage("a request that makes a dialog needs a Contact (RFC 3261 section 12.1.1)")
        if is_secure:
            _check_secure(target)
        dialog = cls(
            request.call_id,
            local_tag,
            request.from_.tag or "",
            _without_tag(request.to),
            _without_tag(request.from_),
            False,
            True,
            is_secure,
            # 12.1.1: the remote sequence number is the request's, the local one is empty.
            0,
            request.cseq.number,
            _route_texts(route_set_of_callee(recorded), is_secure),
            target,
            flow.peer,
            flow.is_secure,
        )
        dialog.flow = flow
        return dialog

    @property
    def profile(self) -> Profile | None:
        """Whose dialog it is on our side; None while nothing uses it."""
        if self.user is not None:
            return self.user.profile
        for usage in (self.subscriptions or {}).values():
            return usage.profile
        return None

    @property
    def is_verified(self) -> bool:
        """Whether it is the dialog of a party that proved who it is."""
        return bool(self.peer)

    @property
    def remote_uri(self) -> Uri:
        """The peer's address, without name and parameters (section 12: the remote URI)."""
        return parse_name_addr(self.remote, "To").uri

    @property
    def local_uri(self) -> Uri:
        """Our own address (section 12: the local URI)."""
        return parse_name_addr(self.local, "From").uri

    def confirm(self, response: Response | None = None, flow: Flow | None = None) -> None:
        """There is a 2xx: the dialog is early no more.

        :param response: the peer's 2xx. The route set and the target come from it anew, whatever provisional responses
            said (section 13.2.2.4); None where the 2xx was ours.
        :param flow: the flow that it came by; an early dialog of nobody's becomes that of the party that sent the 2xx.
        """
        self.is_early = False
        if response is not None:
            self._take_route_and_target(response)
        if flow is not None:
            self.flow = flow
        if flow is not None and not self.peer and flow.peer:
            self.peer = flow.peer
            self.is_tls = True

    def refresh_target(self, message: Message, flow: Flow) -> None:
        """Take the Contact of *message*, a target refresh request or its 2xx that came by *flow* (section 12.2).

        The route set never changes here. Of a response, what cannot be read or would leave ``sips`` is passed over.

        :raises MalformedMessage: when a request's Contact is none, or leaves the ``sips`` that the dialog has (RFC 5630
            section 5.1.1.2): the status to refuse it with. Nothing has changed then.
        """
        is_request = isinstance(message, Request)
        try:
            target = _contact_of(message)
            if target is None:
                # 12.2.1.2, 12.2.2: the target is replaced if there is a Contact.
                return
            if self.is_secure:
                if is_request:
                    _check_secure(target)
                target = _secured(target)
        except MalformedMessage:
            if is_request:
                raise
            return
        self.remote_target = target

    def plan(self, method: str) -> RequestPlan:
        """A request in the dialog, with the next sequence number (section 12.2.1.1).

        :raises InvalidOperation: when the dialog has used up its sequence numbers.
        """
        if self.local_cseq >= _LARGEST_CSEQ:
            raise InvalidOperation("the dialog has no sequence number left (RFC 3261 section 8.1.1.5)")
        self.local_cseq += 1
        return self._plan(method, self.local_cseq)

    def ack_plan(self, cseq: int) -> RequestPlan:
        """The ACK for a 2xx to our INVITE with the sequence number *cseq*, which it shares (section 13.2.2.4)."""
        return self._plan("ACK", cseq)

    def check(self, request: Request, flow: Flow) -> int:
        """Judge *request*, no ACK and no CANCEL, and take its sequence number.

        :returns: 0; or the status to refuse it with: 481 for a stranger's, 500 for one that is out of order.
        """
        if not self.may_come_from(flow):
            return 481
        number = request.cseq.number
        # 12.2.2: a lower number is out of order. The same one is a second request in the place of the first: those
        # that were only sent again never come here.
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return 500
        # 12.2.2: any gap is allowed.
        self.remote_cseq = number
        self.flow = flow
        return 0

    def may_come_from(self, flow: Flow) -> bool:
        """Whether a request of this dialog may come by *flow*.

        By one of the party whose dialog it is; and by one that proves the host of the remote target, of the peer's
        address or of the first route: these are the names under which we look for the peer ourselves. Where nobody was
        verified, by any; but what was made over TLS does not come in clear.
        """
        if not self.peer:
            return flow.is_secure or not self.is_tls
        if flow.peer == self.peer:
            return True
        if not flow.peer:
            return False
        return any(flow.proves(host) for host in self._peer_hosts())

    def is_from_peer(self, request: Request) -> bool:
        """Whether *request* gives the peer the address that the dialog was made with (RFC 4916 lets it change).

        :raises MalformedMessage: when From cannot be read.
        """
        from_, known = request.from_, parse_name_addr(self.remote, "From")
        return from_.uri_text == known.uri_text or from_.uri == known.uri

    def join(self, usage: str) -> None:
        """Let the dialog be used for *usage* as well."""
        if usage not in self.usages:
            self.usages = (*self.usages, usage)

    def leave(self, usage: str) -> bool:
        """The *usage* is over.

        :returns: whether it was the last one, and the dialog is over with it (RFC 5057 section 4).
        """
        if usage == INVITE_USAGE:
            self.user = None
        elif self.subscriptions is not None:
            self.subscriptions.pop(usage, None)
        self.usages = tuple(present for present in self.usages if present != usage)
        return not self.usages

    def _take_route_and_target(self, response: Response) -> None:
        """12.1.2: the route set is the Record-Route of the response, last first, and the target is its Contact."""
        recorded: list[NameAddr] = []
        for value in response.headers.get_all("Record-Route"):
            for text in split_values(value):
                try:
                    route = parse_name_addr(text, "Record-Route")
                    route.uri  # noqa: B018 - reading it is the check
                except MalformedMessage:
                    continue
                recorded.append(route)
        self.route_set = _route_texts(route_set_of_caller(recorded), self.is_secure)
        try:
            target = _contact_of(response)
        except MalformedMessage:
            target = None
        if target is not None:
            self.remote_target = _secured(target) if self.is_secure else target

    def _plan(self, method: str, cseq: int) -> RequestPlan:
        routed = route_request([parse_name_addr(text, "Route") for text in self.route_set], self.remote_target)
        plan = RequestPlan(method, str(routed.request_uri), self.local, self.local_tag, self.call_id)
        # 12.2.1.1: what a peer of RFC 2543 left out stays out.
        plan.to = f"{self.remote};tag={self.remote_tag}" if self.remote_tag else self.remote
        plan.cseq = cseq
        plan.routes = [str(route) for route in routed.route]
        plan.dialog = self
        hop = routed.next_hop
        if isinstance(hop, SipUri):
            plan.next_hop = _over_tls(hop) if self.is_tls else hop
        return plan

    def _peer_hosts(self) -> list[str]:
        """The hosts under which we look for the peer."""
        hosts = []
        for uri in (self.remote_target, *self._named()):
            if isinstance(uri, SipUri) and uri.host not in hosts:
                hosts.append(uri.host)
        return hosts

    def _named(self) -> list[Uri]:
        named = []
        for text in (self.remote, *self.route_set[:1]):
            try:
                named.append(parse_name_addr(text, "To").uri)
            except MalformedMessage:
                continue
        return named

    def __repr__(self) -> str:
        kind = "early dialog" if self.is_early else "dialog"
        return f"<{kind} {self.call_id} with {self.remote}>"


def _without_tag(address: NameAddr) -> str:
    """The text of From or To, its tag left out: the tag stands in the dialog by itself."""
    if address.tag is None:
        return str(address)
    return str(address.with_params({name: value for name, value in address.params.items() if name != "tag"}))


def _contact_of(message: Message) -> SipUri | None:
    """The URI of the Contact, or None without one. Of a response that has several it is the first.

    :raises MalformedMessage: when it cannot be read, is ``*`` or no SIP URI, or when a request has more than one
        (section 8.1.1.8).
    """
    contacts: list[NameAddr] = []
    for value in message.headers.get_all("Contact"):
        addresses = parse_contact(value)
        if addresses is None:
            raise MalformedMessage("Contact is * where an address has to stand")
        contacts += addresses
    if not contacts:
        return None
    if len(contacts) > 1 and isinstance(message, Request):
        raise MalformedMessage("Contact has to be one address (RFC 3261 section 8.1.1.8)")
    uri = contacts[0].uri
    if not isinstance(uri, SipUri):
        raise MalformedMessage("Contact has to be a sip or sips URI (RFC 3261 section 8.1.1.8)")
    return uri


def _check_secure(target: SipUri) -> None:
    """Refuse a Contact that is no ``sips`` URI in a request that is (RFC 5630 sections 5.1.1 and 5.1.1.2).

    :raises MalformedMessage: as section 5.1.2 answers URIs that contradict each other (400).
    """
    if not target.is_secure:
        raise MalformedMessage("a sips request has to name a sips Contact (RFC 5630 section 5.1.1)")


def _secured(uri: SipUri) -> SipUri:
    """*uri* as a ``sips`` one (RFC 5630 section 5.1.1: no SIP URI stands beside a SIPS Request-URI)."""
    return uri if uri.is_secure else uri.replace(scheme="sips")


def _route_texts(routes: list[NameAddr], is_secure: bool) -> tuple[str, ...]:
    """The route set as texts.

    :raises MalformedMessage: when a route is no URI.
    """
    texts = []
    for route in routes:
        uri = route.uri
        if is_secure and isinstance(uri, SipUri) and not uri.is_secure:
            # RFC 5630 section 5.1.1: a route set behind a SIPS Request-URI is all SIPS.
            route = NameAddr(uri.replace(scheme="sips"), route.display_name, route.params)
        texts.append(str(route))
    return tuple(texts)


def _over_tls(hop: SipUri) -> SipUri:
    """*hop* over TLS: for finding the next element only, never written to the wire.

    A port that belongs to a transport in clear is not the port of TLS.
    """
    transport = hop.transport
    if hop.is_secure and transport in _OVER_TLS:
        return hop
    if transport in ("tls", "wss"):
        return hop
    if transport == "ws":
        # RFC 7118 sections 5.2 and 5.5: WebSocket over TLS has no name of its own there, but the scheme.
        return hop.replace(scheme="sips")
    port = hop.port if transport is None and hop.port != 5060 else None
    return hop.replace(port=port, params={**hop.params, "transport": "tls"})
