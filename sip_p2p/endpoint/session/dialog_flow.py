"""Which flow a request of a dialog takes, and who may be at its other end (RFC 3261 section 12.2.1, RFC 5630, RFC 5922
section 4).

A peer says in its Contact where it wants to be sent to, and anybody may write anything there. So a dialog that was made
with a verified party stays with that party, in three steps:

* the flow by which the peer was heard last serves while it is open, wherever the Contact leads (:meth:`Hop.own_flow`);
* where a new one is made, the *same identity* is to be proved as when the dialog was made, whatever host the Contact
  names; a domain name in a route proves itself (:attr:`Hop.target`);
* nothing that was made over TLS ever leaves it (:meth:`Hop.may_carry`).

A peer that cannot be dialled may have come back by itself: then the connection that it has opened serves
(:meth:`Hop.opened_by_peer`).

:class:`DialogFlows` holds a lease on each dialog's flow (row E7) and knows whose dialogs a lost flow carried. Not here:
what is done about that (:mod:`.recovery`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.host import is_loopback
from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.dns.records import is_address
from sip_p2p.transport.stream.browsers import MADE_UP
from sip_p2p.transport.target import Target, Transport, target_of

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.pool.lease import Lease
    from sip_p2p.transport.pool.pool import Pool
    from sip_p2p.transport.stream.flow import StreamFlow

__all__ = ["DialogFlows", "Hop"]


@final
class Hop:
    """Where one request of a dialog goes first, and what has to be proved there.

    :ivar dialog: whose request it is.
    :ivar target: where, over what, and the name that a new connection has to prove.
    :ivar through: the Twisted client endpoint that leads there: that of the outbound proxy, where the route names it.
    :ivar is_route: whether a route set says so; else it is the peer itself.
    """

    __slots__ = ("_goes_back", "_is_bound", "dialog", "is_route", "target", "through")

    def __init__(self, plan: RequestPlan, dialog: Dialog, endpoint: RealTimeEndpoint) -> None:
        """
        :raises ConnectionFailure: where the dialog leads to nothing that can be connected to.
        """
        uri = plan.next_hop
        if uri is None:
            raise ConnectionFailure(f"{dialog.remote_target} is no place that SIP can be sent to")
        self.dialog = dialog
        self.is_route = bool(dialog.route_set)
        # RFC 5626 section 4.3, RFC 7118 appendix B.1: whoever says so is reached by the flow that it came by, and by
        # no other.
        self._is_bound = uri.ob or uri.host.endswith(MADE_UP)
        self._goes_back = plan.goes_back
        self.through: IStreamClientEndpoint | None = None
        target = _target(uri, dialog, endpoint)
        proxy = endpoint.proxy
        if self.is_route and proxy is not None and proxy.target.host == target.host:
            target, self.through = proxy.first_hop(target.transport), proxy.endpoint
        elif dialog.peer:
            target = target.proving(_expected_name(dialog, target.host, self.is_route))
        self.target = target

    def own_flow(self, pool: Pool) -> LiveFlow | None:
        """The flow by which the peer was heard last, if it may carry this request; of a peer that can only be reached
        by flows of its own, another one of these."""
        flow = cast("LiveFlow | None", self.dialog.flow)
        if flow is None or not flow.is_open or not self.may_carry(flow):
            return self.opened_by_peer(pool) if self._is_bound else None
        if self._is_bound:
            return flow
        if self._goes_back and not flow.reliable:
            # What is written to a stranger is bounded by what came of it; what is written to a place of its choice is
            # not.
            return flow
        if flow.is_secure and not self.is_route:
            # The party that the dialog was made with is there; its Contact is a place that nobody has verified.
            return flow
        return flow if flow.reliable and self._leads_there(flow) else None

    def may_carry(self, flow: LiveFlow) -> bool:
        """Whether a request of the dialog may be written to *flow*.

        What was made over TLS stays there; and the dialog of a verified party is that party's: it has the same
        identity, or proves the domain of the peer's own address. For a route, its name does.
        """
        dialog = self.dialog
        if dialog.is_tls and not flow.is_secure:
            return False
        if not dialog.peer or flow.peer == dialog.peer:
            return True
        if self.is_route:
            return flow.proves(self.target.name)
        return flow.proves(_domain(dialog))

    def opened_by_peer(self, pool: Pool) -> StreamFlow | None:
        """A flow that the dialog's party has opened to us, for when it cannot be dialled; None where nobody was
        verified, and for routes, which lead to somebody else."""
        flow = None if self.is_route or not self.dialog.peer else pool.opened_by(self.dialog.peer)
        return flow if flow is not None and self.may_carry(flow) else None

    def _leads_there(self, flow: LiveFlow) -> bool:
        """Whether an open connection leads where the URI says, as far as that can be told without dialling."""
        target = self.target
        if target.host == flow.remote_host:
            # The port of one that the peer opened is any.
            is_there = flow.is_incoming or target.port == flow.remote_port
        else:
            is_there = flow.is_secure and flow.proves(target.host)
        return is_there and flow.transport == target.transport.value


@final
class DialogFlows:
    """The flows of all dialogs of one connection manager, each held while a dialog needs it (row E7)."""

    __slots__ = ("_dialogs", "_leases")

    def __init__(self) -> None:
        self._leases: dict[Dialog, Lease] = {}
        self._dialogs: dict[LiveFlow, dict[Dialog, None]] = {}

    def __len__(self) -> int:
        """How many leases there are."""
        return len(self._leases)

    def hold(self, dialog: Dialog) -> None:
        """See that *dialog* holds the flow that it has now, and no other; to be called as often as one likes."""
        flow = cast("LiveFlow | None", dialog.flow)
        lease = self._leases.get(dialog)
        if lease is not None:
            if lease.flow is flow:
                return
            self.release(dialog)
        if flow is not None and flow.is_open:
            self._leases[dialog] = flow.lease()
            self._dialogs.setdefault(flow, {})[dialog] = None

    def release(self, dialog: Dialog) -> None:
        """*dialog* needs its flow no longer; nothing happens when it holds none."""
        lease = self._leases.pop(dialog, None)
        if lease is None:
            return
        lease.release()
        dialogs = self._dialogs[lease.flow]
        del dialogs[dialog]
        if not dialogs:
            del self._dialogs[lease.flow]

    def lost(self, flow: LiveFlow) -> list[Dialog]:
        """*flow* is gone: the dialogs that held it, in the order in which they took it. They hold nothing now."""
        dialogs = list(self._dialogs.pop(flow, ()))
        for dialog in dialogs:
            self._leases.pop(dialog).release()
            if dialog.flow is flow:
                dialog.is_near = is_loopback(flow.remote_host)
                dialog.flow = None
        return dialogs


def _target(uri: SipUri, dialog: Dialog, endpoint: RealTimeEndpoint) -> Target:
    """What *uri* names; where it names no transport, that by which the peer was heard last.

    :raises ConnectionFailure: when it names what cannot be.
    """
    flow = dialog.flow
    default = endpoint.default_transport if flow is None else Transport.named(flow.transport)
    try:
        target = target_of(uri, default)
    except ValueError as error:
        raise ConnectionFailure(f"nothing can be sent to {uri}: {error}") from None
    if dialog.is_tls and not target.transport.is_secure:
        # RFC 5630 section 5.1.1.3: what the dialog's own plan should have seen to; it is not left to one place.
        target = target.over(target.transport.over_tls)
    return target if dialog.peer or not is_loopback(target.host) else _outside(target, dialog)


def _outside(target: Target, dialog: Dialog) -> Target:
    """Where a peer of whom nothing was verified is, though it says that it is here, at *target*: services of this
    machine may believe more of who comes from within. Only a peer on this machine means what it says.

    :raises ConnectionFailure: when nobody knows by now where it was heard.
    """
    flow = dialog.flow
    if flow is None:
        if dialog.is_near:
            return target
        raise ConnectionFailure(f"{target} is this machine, and where the peer is nobody knows any more")
    if is_loopback(flow.remote_host):
        return target
    return Target(target.transport, flow.remote_host, flow.remote_port)


def _expected_name(dialog: Dialog, host: str, is_route: bool) -> str:
    """The name that a new connection of a verified dialog has to prove.

    An address, and the host of a Contact, are only places: there the identity counts that the dialog was made with.
    """
    identities = dialog.peer.split(" ")
    if host in identities:
        return host
    if is_route and not is_address(host):
        # 12.2.1.1: the proxies of a route set are named by themselves.
        return host
    domain = _domain(dialog)
    return domain if domain in identities else identities[0]


def _domain(dialog: Dialog) -> str:
    """The domain of the peer's address; empty for one that has none, such as a ``tel`` URI."""
    uri = dialog.remote_uri
    return uri.host.strip("[]").lower() if isinstance(uri, SipUri) else ""
