"""``control``: whoever has the HTTP API decides about sessions and referrals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.applications.base import Answer, Application
from sip_p2p.service.lives.referrals import WaitingReferrals

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral

__all__ = ["ControlApplication"]


class ControlApplication(Application):
    """Lets each session ring until the HTTP API accepts, refuses or redirects it, and each REFER wait until it accepts
    or declines it; messages are accepted.

    What nobody decides within ``--max-ring`` is answered 480. A change that the peer offers within a session is refused
    with 488, unless it is none.
    """

    _endpoint: SipPeerToPeerEndpoint | None = None
    _referrals: WaitingReferrals | None = None

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Take messages within sessions that the API begins, too."""
        self._endpoint = endpoint
        manager = endpoint.connection_manager
        manager.sessions.begun.subscribe(_begun)
        self._referrals = WaitingReferrals(manager.reactor, manager.lives)

    def stopped(self) -> Awaitable[None] | None:
        """Whoever takes over looks after the sessions that begin from now on."""
        if self._endpoint is not None:
            self._endpoint.connection_manager.sessions.begun.unsubscribe(_begun)
        if self._referrals is not None:
            self._referrals.close()
        return None

    def message(self, event: IncomingRequest) -> Answer:
        """Accept it: the event tells what it says."""
        return None

    def session(self, session: SignalingSession) -> Awaitable[object] | None:
        """Let it ring; messages within it are accepted."""
        session.message_received.subscribe(_accept)
        session.ring()
        return None

    def referral(self, referral: IncomingReferral) -> Awaitable[object] | None:
        """Let it wait, for as long as its sender does."""
        return None if self._referrals is None else self._referrals.wait(referral)


def _begun(session: SignalingSession) -> None:
    if not session.is_incoming:
        session.message_received.subscribe(_accept)


def _accept(event: IncomingRequest) -> None:
    """200: the event tells what it says."""
