"""What a connection manager does about its load: the state of overload, and what is refused because of it (row E20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from twisted.internet.base import ReactorBase

from sip_p2p.endpoint.load_events import OverloadChanged
from sip_p2p.sip.shedding import DRAINING, NEW_WORK, NON_ESSENTIAL, NOTHING
from sip_p2p.transport.load.overload import OverloadJudge, OverloadMonitor, OverloadState, Signals, resident_memory

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.transport.limits import Limits

__all__ = ["Load"]

_SHEDDING = {
    OverloadState.NORMAL: NOTHING,
    OverloadState.REJECT_NEW_WORK: NEW_WORK,
    OverloadState.REJECT_NON_ESSENTIAL: NON_ESSENTIAL,
}
_LOSS_WHEN_SAID = {
    OverloadState.NORMAL: 0,
    OverloadState.REJECT_NEW_WORK: 50,
    OverloadState.REJECT_NON_ESSENTIAL: 95,
}


@final
class Load:
    """The load of one connection manager.

    :ivar changes: how often the state has changed.
    """

    __slots__ = ("_judge", "_manager", "_said", "changes", "is_draining", "monitor")

    def __init__(self, manager: RealTimeConnectionManager, limits: Limits) -> None:
        self._manager = manager
        self._judge = OverloadJudge(limits)
        self._said: OverloadState | None = None
        self.is_draining = False
        self.changes = 0
        self.monitor = OverloadMonitor(
            self._judge, self._read, self._judged, measures_lag=isinstance(manager.reactor, ReactorBase)
        )

    @property
    def state(self) -> OverloadState:
        """The state that holds: as it was said, or else as it was judged."""
        return self._judge.state if self._said is None else self._said

    @property
    def loss(self) -> int:
        """The percentage of new requests that peers had better not send (RFC 7339)."""
        return self._judge.loss if self._said is None else _LOSS_WHEN_SAID[self._said]

    def say(self, state: OverloadState | None) -> None:
        """Let *state* hold whatever the load is; None lets the load decide again."""
        before = self.state
        self._said = state
        self._changed(before, "it was set" if state is not None else self._judge.reason)

    def drain(self) -> None:
        """Take no new work any more."""
        self.is_draining = True
        self._apply()

    def limits_changed(self, limits: Limits) -> None:
        """Judge by other marks from now on."""
        self._judge.limits = limits

    def stop(self) -> None:
        """Look no more."""
        self.monitor.halt()

    def _read(self, signals: Signals) -> None:
        manager = self._manager
        limits = manager.limits
        table = manager.core.layer.table
        signals.transactions = max(len(table.servers) / limits.transactions, len(table.answered) / limits.dialogs)
        # A few peers that take nothing are not read from, and no overload: of each a small part counts.
        signals.writing = manager.keeper.write_queues.breadth(limits.write_buffer // 4) / limits.write_buffer_total
        if limits.resident_memory:
            signals.memory = resident_memory()

    def _judged(self, before: OverloadState) -> None:
        if self._said is None:
            self._changed(before, self._judge.reason)

    def _changed(self, before: OverloadState, reason: str) -> None:
        after = self.state
        self._apply()
        if after is not before:
            self.changes += 1
            self._manager.overload_told(OverloadChanged(before, after, reason))

    def _apply(self) -> None:
        shedding = _SHEDDING[self.state]
        self._manager.core.shedding = DRAINING if shedding == NOTHING and self.is_draining else shedding
