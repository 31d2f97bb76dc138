"""What lives and what has been counted: one connection manager in figures (row M10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import TlsFailureReason

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.errors import TlsFailure

__all__ = ["Accounts"]


@final
class Accounts:
    """The figures of one connection manager. Nothing is counted here for each message: they are read where they are."""

    __slots__ = ("_manager", "_tls_failures")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._tls_failures = dict.fromkeys(TlsFailureReason, 0)

    def tls_failure(self, failure: TlsFailure) -> None:
        """A TLS connection came to nothing, or to an early end."""
        self._tls_failures[failure.reason] += 1

    def inventory(self) -> dict[str, int]:
        """How much of everything lives: listeners, flows, connections being made, transactions, timers."""
        manager = self._manager
        counts = {
            "listeners": len(manager.listeners),
            "connections": len(manager.keeper.connections),
            "flows": len(manager.pool),
            "handshakes": manager.keeper.handshakes,
            "dialling": manager.pool.dialling,
            "resting": manager.pool.resting,
            "standing": manager.standing,
            "unanswered": len(manager.dispatch.waiting_answers),
        }
        transactions = manager.core.layer.inventory()
        transactions["busy_flows"] = transactions.pop("flows")
        return counts | transactions

    def metrics(self) -> dict[str, int]:
        """Everything that is counted, by name: running totals, and what lives now."""
        manager = self._manager
        core = manager.core
        totals = {f"core_{name}": getattr(core.counters, name) for name in type(core.counters).__slots__}
        layer = core.layer.counters
        totals |= {f"transactions_{name}": getattr(layer, name) for name in type(layer).__slots__}
        totals |= {f"tls_failures_{reason.name.lower()}": count for reason, count in self._tls_failures.items()}
        totals["connections_dialled"] = manager.pool.dialled
        totals["connections_refused"] = manager.keeper.refused
        totals["datagrams_ignored"] = manager.keeper.datagrams.ignored
        totals["senders_refused"] = manager.senders_refused
        return totals | {f"live_{name}": count for name, count in self.inventory().items()}
