"""What lives on in time beside sessions: subscriptions, publications, registrations, and their like.

Each of them refreshes itself, and says a last word to its peer when it ends. Here all of one connection manager are
known, so that they end with their party, within the time that is given for that, and can be counted.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, cast, final

from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.leaving import Leaving
from sip_p2p.endpoint.subscription.crowd import Crowd
from sip_p2p.errors import EndpointTerminated
from sip_p2p.sip.event.subscriber import Subscriber

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.event.usage import EventEffect
    from sip_p2p.sip.flow import Flow
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["KINDS", "Life", "Lives"]

KINDS = ("subscriptions", "notifiers", "publications", "registrations", "referrals", "messengers", "outboxes")
"""What there is, by the names under which it is counted: what we subscribed to, what others did, what we published,
where we are registered, the REFERs of ours whose outcome is awaited, and what sends texts and keeps them."""


class Life(Protocol):
    """One of them.

    :ivar kind: one of :data:`KINDS`.
    :ivar endpoint: whose it is.
    """

    kind: str
    endpoint: RealTimeEndpoint

    @property
    def flow(self) -> Flow | None:
        """By what its last word is likely to go; None where nobody knows, or it has none."""

    def end(self) -> None:
        """End it politely: say the last word, and call :meth:`Lives.gone` once nothing more is to be said. Nothing
        happens the second time."""

    def abandon(self, error: EndpointTerminated) -> None:
        """There is no time left: let go of everything at once, and call :meth:`Lives.gone`."""

    def take(self, effect: Any) -> None:
        """Something that its machine says; see :class:`~sip_p2p.sip.event.usage.EventEffect`."""


@final
class Lives:
    """All of one connection manager.

    :ivar begun: told of each that begins.
    :ivar changed: told of each whose state is another one, and of a peer's subscription as soon as it stands; for who
        looks at all of them. Nothing is told of what has ended before that.
    :ivar crowd: the subscribers of its event packages.
    :ivar ended: told of each that is gone.
    :ivar notified: told of each notification and the subscription of ours that it is for, before the subscription's own
        handlers are.
    :ivar referred: told of each REFER of a peer's that somebody is asked about, before he is, and when it is decided.
    :ivar totals: how many of each kind there ever were.
    """

    __slots__ = (
        "_count", "_leaving", "_manager", "_parties", "begun", "changed", "crowd", "ended", "notified", "referred",
        "totals",
    )  # fmt: skip

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        # Those of each party, the oldest first: asked for whenever one of many parties ends.
        self._parties: dict[RealTimeEndpoint, dict[Life, None]] = {}
        self._count = 0
        self.begun: Event[Life] = Event()
        self.changed: Event[Life] = Event()
        self.ended: Event[Life] = Event()
        self.notified: Event[tuple[Subscription, Notification]] = Event()
        self.referred: Event[IncomingReferral] = Event()
        self.crowd = Crowd(manager)
        self._leaving = Leaving(manager)
        self.totals = dict.fromkeys(KINDS, 0)

    def __len__(self) -> int:
        """How many are not gone yet."""
        return self._count

    def counts(self) -> dict[str, int]:
        """How many of each kind live."""
        counts = dict.fromkeys(KINDS, 0)
        for life in chain.from_iterable(self._parties.values()):
            counts[life.kind] += 1
        return counts

    def of(self, endpoint: RealTimeEndpoint, kind: str | None = None) -> tuple[Life, ...]:
        """Those of one party, the oldest first.

        :param kind: those of this kind only.
        """
        return tuple(life for life in self._parties.get(endpoint, ()) if kind in (None, life.kind))

    def has_any(self, endpoint: RealTimeEndpoint) -> bool:
        """Whether *endpoint* has one left."""
        return endpoint in self._parties

    def add(self, life: Life) -> None:
        """One has begun."""
        self._parties.setdefault(life.endpoint, {})[life] = None
        self._count += 1
        self.totals[life.kind] += 1
        if self.begun:
            self.begun.tell(life)

    def gone(self, life: Life) -> None:
        """Nothing more is to be done for it; nothing happens the second time."""
        endpoint = life.endpoint
        theirs = self._parties.get(endpoint)
        if theirs is None or life not in theirs:
            return
        del theirs[life]
        if not theirs:
            del self._parties[endpoint]
        self._count -= 1
        self._leaving.forget(life)
        if self.ended:
            self.ended.tell(life)
        self._manager.drain_state.maybe_quiet(endpoint)

    # -- what the core says --------------------------------------------------------------------------------------------

    def effect(self, effect: EventEffect) -> None:
        """What a subscription or publication has to tell."""
        user = effect.owner.user
        if user is not None:
            cast("Life", user).take(effect)

    def request_received(self, output: InDialogRequestReceived, name: str) -> bool:
        """A SUBSCRIBE or NOTIFY came in a dialog; return whether it is for one of the dialog's subscriptions.

        :param name: the name of the usage that it is for.
        """
        usage = (output.dialog.subscriptions or {}).get(name)
        if usage is None:
            return False
        usage.request_received(output, self._manager.driver.now())
        self._manager.sessions.errands.heard(output.dialog)
        return True

    def flow_lost(self, flow: LiveFlow, dialogs: list[Dialog]) -> None:
        """*flow* is gone, on which *dialogs* were: their notifiers have to learn where we are now."""
        recoveries = self._manager.sessions.errands.recoveries
        if not recoveries.is_loss(flow):
            return
        now = self._manager.driver.now()
        for dialog in dialogs:
            for usage in tuple((dialog.subscriptions or {}).values()):
                if isinstance(usage, Subscriber):
                    usage.way_lost(now, recoveries.pause_after(flow))

    # -- their end -----------------------------------------------------------------------------------------------------

    def end(self, endpoint: RealTimeEndpoint | None = None) -> None:
        """End all of them, or those of one party, politely: the first ones now, the others in their turn."""
        self._leaving.end(self._those(endpoint))
        self._manager.driver.drain()

    def abandon(self, endpoint: RealTimeEndpoint | None = None) -> None:
        """There is no time left: let go of all of them, or of those of one party."""
        error = EndpointTerminated("the endpoint was terminated")
        for life in self._those(endpoint):
            self._leaving.forget(life)
            life.abandon(error)
        self._manager.driver.drain()

    def _those(self, endpoint: RealTimeEndpoint | None) -> tuple[Life, ...]:
        """Those of one party, or of all."""
        return tuple(chain.from_iterable(self._parties.values())) if endpoint is None else self.of(endpoint)
