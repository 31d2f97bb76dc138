"""What a party can do with REFER outside of sessions: send it, and take it (rows I5 and I8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack, cast

from sip_p2p.endpoint.transfer import referring
from sip_p2p.endpoint.transfer.explicit import ReferralPackage
from sip_p2p.sip.event.refer import REFER_PACKAGE

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.events import Event
    from sip_p2p.endpoint.incoming import RequestHandler
    from sip_p2p.endpoint.subscription.registry import EventPackages
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.endpoint.transfer.referral import Referral
    from sip_p2p.endpoint.transfer.referring import ReferArguments, Referred
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.uri import SipUri, TelUri

__all__ = ["ReferringParty"]


class ReferringParty:
    """The part of :class:`~sip_p2p.endpoint.endpoint.RealTimeEndpoint` that has to do with REFER.

    :ivar refer_received: told of each REFER, within sessions and outside of them; its handlers decide, and what none of
        them decides about is declined.
    """

    refer_received: Event[IncomingReferral]
    packages: EventPackages
    profile: Profile
    _handlers: dict[str, RequestHandler]

    def refer(
        self,
        peer: str | SipUri | TelUri | RealTimeAddress,
        refer_to: Referred,
        **arguments: Unpack[ReferArguments],
    ) -> Deferred[Referral]:
        """Ask *peer*, outside of a session, to make a request to *refer_to*, a call as a rule (row I8).

        :param arguments: see :class:`~sip_p2p.endpoint.transfer.referring.ReferArguments`.
        :returns: as that of :meth:`.SignalingSession.refer`.
        :raises InvalidOperation: when this endpoint does not send.
        :raises ValueError: for what cannot be referred to, and what cannot stand in a request.
        :raises EndpointTerminated: when it was terminated.
        """
        return referring.refer(cast("RealTimeEndpoint", self), peer, refer_to, arguments)

    @property
    def takes_referrals(self) -> bool:
        """Whether a peer's REFER outside of a session goes to :attr:`refer_received`; a handler of ``handle`` comes
        before that."""
        return bool(self.refer_received) and "REFER" not in self._handlers

    @property
    def tells_subscribers(self) -> bool:
        """Whether peers can subscribe to what becomes of their REFERs (RFC 7614): not where the application has a
        handler of its own for SUBSCRIBE, or an event package of this name."""
        package = self.packages.get(REFER_PACKAGE)
        return "SUBSCRIBE" not in self._handlers and (package is None or isinstance(package, ReferralPackage))

    def _refer_handlers_changed(self) -> None:
        if self.refer_received:
            self.profile.allow("REFER")
        elif "REFER" not in self._handlers:
            self.profile.disallow("REFER")
