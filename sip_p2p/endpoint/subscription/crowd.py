"""All subscribers of one connection manager: how many there may be, and how many of them are told at once.

A state that changes may have a hundred thousand subscribers, and so may a party that goes. Told in one turn they would
keep the reactor from everything else, fill the connections over their bounds and use up the transactions. So they are
told in rounds: each event package has its turn in each round, and no one is told whose connection has enough to write
already, or while too many NOTIFYs wait for their answers. Whoever waits for its round is told what is true when its
turn comes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, cast, final

from sip_p2p.endpoint.peer import holder_of
from sip_p2p.transport.stream.flow import StreamFlow

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.subscription.package import EventPackage
    from sip_p2p.endpoint.subscription.server import ServerSubscription
    from sip_p2p.sip.flow import Flow
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Crowd"]

_AT_ONCE = 100
_PAUSE = 0.01
"""Seconds between two rounds."""
_PASSED_OVER = 4
"""How many times as many as have their turn are looked at, where connections have enough to write."""


@final
class Crowd:
    """The subscribers of one connection manager.

    :ivar count: how many there are.
    """

    __slots__ = ("_budget", "_holders", "_manager", "_round", "_timer", "_waiting", "count")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._holders: Counter[str] = Counter()
        # Those who wait for their round, by their package, each with the reason for which it ends, if it does.
        self._waiting: dict[EventPackage, OrderedDict[ServerSubscription, str]] = {}
        self._timer: IDelayedCall | None = None
        self._round = float("-inf")
        self._budget = 0
        self.count = 0

    # -- how many ------------------------------------------------------------------------------------------------------

    def refuses(self, flow: Flow) -> bool:
        """Whether there is no room for one more of who is behind *flow*; that is counted as a limit reached."""
        limits = self._manager.limits
        if self.count >= limits.subscriptions:
            self._manager.keeper.limit_hit("subscriptions")
        elif self._holders[holder_of(flow)] >= limits.subscriptions_per_identity:
            self._manager.keeper.limit_hit("subscriptions_per_identity")
        elif self._manager.core.dialogs.is_full:
            self._manager.core.counters.refused_dialogs += 1
        else:
            return False
        return True

    def add(self, holder: str) -> None:
        """There is one more."""
        self.count += 1
        self._holders[holder] += 1

    def gone(self, subscription: ServerSubscription) -> None:
        """One is over."""
        self.left(subscription.holder)
        waiting = self._waiting.get(subscription.package)
        if waiting is not None and waiting.pop(subscription, None) is not None:
            self._tidy(subscription.package)

    def left(self, holder: str) -> None:
        """One of *holder*'s is over, which never waited for a round."""
        self.count -= 1
        self._holders[holder] -= 1
        if not self._holders[holder]:
            del self._holders[holder]

    def __len__(self) -> int:
        """How many wait for their round."""
        return sum(map(len, self._waiting.values()))

    # -- the rounds ----------------------------------------------------------------------------------------------------

    def tell(self, subscription: ServerSubscription, reason: str = "") -> None:
        """Tell *subscription* the state, or for what *reason* it ends, now if this round has room."""
        self.put(subscription, reason)
        self.begin()

    def put(self, subscription: ServerSubscription, reason: str = "") -> None:
        """Let *subscription* wait for its turn; one that waits already keeps its place. :meth:`begin` begins."""
        waiting = self._waiting.get(subscription.package)
        if waiting is None:
            waiting = self._waiting[subscription.package] = OrderedDict()
        waiting[subscription] = waiting.get(subscription) or reason

    def begin(self) -> None:
        """Tell whoever has a place in this round; the others in their turn."""
        if self._timer is None:
            self._go_on()

    def _due(self) -> None:
        self._timer = None
        self._go_on()
        self._manager.driver.drain()

    def _go_on(self) -> None:
        now = self._manager.driver.now()
        if now - self._round >= _PAUSE:
            self._round, self._budget = now, _AT_ONCE
        room = self._room
        share = -(-_AT_ONCE // max(1, len(self._waiting)))
        for package, waiting in tuple(self._waiting.items()):
            told = self._take_turn(waiting, min(share, self._budget, room), now)
            self._budget -= told
            room -= told
            self._tidy(package)
        if self._waiting and self._timer is None:
            self._timer = self._manager.reactor.callLater(_PAUSE, self._due)

    def _take_turn(self, waiting: OrderedDict[ServerSubscription, str], share: int, now: float) -> int:
        """Tell the first *share* of those who wait, and return how many that were."""
        told, passed = 0, _PASSED_OVER * share
        while waiting and told < share and passed > 0:
            subscription = next(iter(waiting))
            if self._is_full(subscription.flow):
                waiting.move_to_end(subscription)
                passed -= 1
                continue
            reason = waiting.pop(subscription)
            told += 1
            if reason:
                subscription.end_now(now, reason)
            else:
                subscription.tell_now(now)
        return told

    def _tidy(self, package: EventPackage) -> None:
        """Forget a package of which nobody waits, and the timer with the last one."""
        if not self._waiting.get(package, True):
            del self._waiting[package]
            if not self._waiting and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    @property
    def _room(self) -> int:
        """How many more requests may wait for their answers: a quarter of what there may be in all."""
        return max(1, self._manager.limits.transactions // 4) - len(self._manager.sessions.errands)

    def _is_full(self, flow: Flow | None) -> bool:
        """Whether a connection has enough to write already."""
        live = cast("LiveFlow | None", flow)
        return isinstance(live, StreamFlow) and live.queued > self._manager.limits.write_buffer // 2
