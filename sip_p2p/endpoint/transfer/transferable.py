"""What a session can do to have its peer talk to somebody else (rows I1 and I9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack, cast

from sip_p2p.endpoint.transfer import referring

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.transfer.referral import Referral
    from sip_p2p.endpoint.transfer.referring import ReferArguments, Referred
    from sip_p2p.endpoint.transfer.states import ReferProgress

__all__ = ["Transferable"]


class Transferable:
    """The part of :class:`.SignalingSession` that refers and transfers."""

    __slots__ = ()

    def refer(self, target: Referred, **arguments: Unpack[ReferArguments]) -> Deferred[Referral]:
        """Ask the peer to make a request to *target*, a call as a rule (row I1): ``async for progress in await
        session.refer("sip:carol@c.example")``. The session goes on.

        :param target: a URI, or a :class:`~sip_p2p.sip.event.refer.ReferTo` that says all there is to say.
        :param arguments: see :class:`~.referring.ReferArguments`.
        :returns: fires with the referral when the peer has accepted it. Fails as ``endpoint.request`` does, and with
            :class:`~sip_p2p.errors.SessionTerminated` when its dialog or its party ended before. Cancelling it stops
            the referral.
        :raises InvalidOperation: when the session does not stand; ``retryable`` when too many referrals wait.
        :raises ValueError: for what cannot be referred to.
        """
        return referring.refer_in(cast("SignalingSession", self), target, arguments)

    def transfer(self, target: Referred, **arguments: Unpack[ReferArguments]) -> Deferred[ReferProgress]:
        """Have the peer call *target* in our place (blind transfer, RFC 5589 section 6). When that call stands this
        session is ended; as long as it does not, and when it fails, it goes on.

        :param target: as for :meth:`refer`; so are *arguments*.
        :returns: fires with the outcome. Fails with :class:`~sip_p2p.errors.RequestFailed` when the REFER, or the call
            that the peer made, was refused, with :class:`~sip_p2p.errors.OperationTimeout` when nobody said what became
            of it, and as :meth:`refer`. Cancelling it gives up to hear of it.
        :raises InvalidOperation: as :meth:`refer`.
        :raises ValueError: likewise.
        """
        return referring.transfer(cast("SignalingSession", self), target, arguments)

    def transfer_to(self, other: SignalingSession, **arguments: Unpack[ReferArguments]) -> Deferred[ReferProgress]:
        """Bring the peers of two sessions of ours together (attended transfer, RFC 5589 section 7): the peer of this
        one calls that of *other*, in whose session it takes our place. Then both sessions are ended; when it fails both
        go on.

        The peer of *other* has to let it: see ``replaces_policy`` of the endpoint.

        :returns: as :meth:`transfer`.
        :raises InvalidOperation: when one of the two does not stand.
        :raises ValueError: when they are one, and as :meth:`refer`.
        """
        return referring.transfer_to(cast("SignalingSession", self), other, arguments)
