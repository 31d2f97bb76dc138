"""What lives and what has been counted: one connection manager in figures (row M10).

Nothing is counted here for each message: the figures are read where they arise, when somebody asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.dns.dns_resolver import dns_beneath
from sip_p2p.transport.load.overload import OverloadState
from sip_p2p.transport.stream.flow import StreamFlow

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.errors import TlsFailure
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["COUNTED_LIMITS", "OTHER_FIGURES", "Accounts"]

COUNTED_LIMITS = tuple(
    """
    answer_timeout attempts authenticated_first_message_timeout authorization_timeout close_timeout
    connect_timeout connection_rate_per_address connections connections_per_address connections_per_identity
    conversations datagram_amplification datagram_flows dead_targets dialogs digest_nonces digest_tries
    dns_cache dns_records dns_servers dns_timeout drain_timeout failover_attempts failover_timeout
    failures_remembered finished_octets finished_transactions first_message_timeout forks handshake_rate
    handshake_timeout handshakes handshakes_per_address idle_timeout longest_hold message_ids notification_queue
    notifications partial_message_timeout partial_octets passport_certificates passport_fetch_timeout
    passport_fetches passport_octets passport_replays pending_requests publication_octets publications
    publications_per_identity receive_buffer recovery_queue recovery_timeout redial_delay remembered_peers
    reports reserved_descriptors stall_timeout subscriptions subscriptions_per_identity transactions
    websocket_fragments write_buffer_hard write_buffer_total
    """.split()
)
"""The limits of which it is counted how often they were reached, each as ``limit_`` and its name."""

OTHER_FIGURES = {
    "attempt_delay": "connections_dialled",
    "dead_target_timeout": "dead_targets",
    "log_burst": "log_lines_withheld",
    "log_rate": "log_lines_withheld",
    "overload_fill": "overload_changes",
    "overload_lag": "overload_changes",
    "redial_delay_longest": "limit_redial_delay",
    "resident_memory": "overload_changes",
    "unacknowledged_timeout": "connections_lost",
    "write_buffer": "throttled",
}
"""What shows that the other limits were reached, which have no figure to themselves."""

_STATES = list(OverloadState)


@final
class Accounts:
    """The figures of one connection manager.

    :ivar connections: connections that came to carry messages: those that peers opened, and those that we did.
    :ivar lost: how many of them ended without a goodbye, and not by us.
    :ivar throttled: how often a peer was not read from for a while.
    """

    __slots__ = ("_manager", "_tls_failures", "connections", "lost", "throttled")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._tls_failures = dict.fromkeys(TlsFailureReason, 0)
        self.connections = {"in": 0, "out": 0}
        self.lost = 0
        self.throttled = 0

    def tls_failure(self, failure: TlsFailure) -> None:
        """A TLS connection came to nothing, or to an early end."""
        self._tls_failures[failure.reason] += 1

    def connection_lost(self, flow: LiveFlow) -> None:
        """A flow is gone."""
        self.lost += isinstance(flow, StreamFlow) and not (flow.is_ended_by_us or flow.is_ended_in_order)

    def inventory(self) -> dict[str, int]:
        """How much of everything lives; all of it is nought after the manager has been terminated.

        ``connections`` are sockets, with or without a flow; ``handshakes`` those that were accepted and carry nothing
        yet, ``undecided`` those of which the application has not said whether they may; ``looking_up`` are questions
        that DNS has not answered; ``clients``, ``servers`` and ``finished`` are transactions, ``timers`` theirs and
        ``deadlines`` those of connections; ``requests`` and ``unanswered`` what applications wait for and what peers
        wait for; ``sessions`` are those to whose peers something is to be said still, ``invitations`` those of them
        that do not stand yet, ``recovering`` those that have lost the way to their peers, ``errands`` their requests
        under way and ``appointments`` the times that they wait for; ``subscriptions``, ``notifiers``, ``publications``,
        ``registrations`` and ``referrals`` are what lives on beside sessions (:data:`~sip_p2p.endpoint.lives.KINDS`);
        ``queued_octets`` and ``partial_octets`` what waits to be written, and what came of incomplete messages.
        """
        manager = self._manager
        keeper = manager.keeper
        resolver = dns_beneath(manager.resolver)
        counts = {
            "listeners": len(manager.listeners),
            "connections": len(keeper.connections),
            "flows": len(manager.pool),
            "handshakes": keeper.handshakes,
            "undecided": 0 if keeper.authorization is None else keeper.authorization.undecided,
            "looking_up": 0 if resolver is None else resolver.looking_up,
            "dialling": manager.pool.dialling,
            "resting": manager.pool.resting,
            "standing": manager.standing,
            "leases": sum(flow.leases for flow in manager.pool),
            "throttled": sum(flow.is_throttled for flow in manager.pool),
            "queued_octets": keeper.write_queues.total,
            "partial_octets": keeper.partial.total,
            "unanswered": len(manager.dispatch.waiting_answers),
            "requests": sum(endpoint.requests_under_way for endpoint in manager.endpoints),
            "sessions": len(manager.sessions),
            "invitations": manager.sessions.invitations,
            "recovering": len(manager.sessions.errands.recoveries),
            "errands": len(manager.sessions.errands),
            "dialogs": len(manager.core.dialogs),
            "appointments": len(manager.core.appointments),
        }
        counts |= manager.lives.counts()
        transactions = manager.core.layer.inventory()
        transactions["busy_flows"] = transactions.pop("flows")
        counts["deadlines"] = manager.driver.deadlines
        return counts | transactions

    def metrics(self) -> dict[str, int]:
        """Everything that is counted, by name: running totals, and what lives now as ``live_...``.

        ``limit_...`` is how often each bound of :class:`~sip_p2p.transport.limits.Limits` was reached;
        ``requests_in_...``, ``requests_out_...``, ``responses_in_...`` and ``responses_out_...`` are messages by method
        and status, and are here as soon as there was one; ``overload_state`` is 0 for normal, 1 and 2 for the others.
        """
        manager = self._manager
        core = manager.core
        keeper = manager.keeper
        totals = {f"core_{name}": getattr(core.counters, name) for name in type(core.counters).__slots__}
        layer = core.layer.counters
        totals |= {f"transactions_{name}": getattr(layer, name) for name in type(layer).__slots__}
        totals |= {f"tls_failures_{reason.name.lower()}": count for reason, count in self._tls_failures.items()}
        totals |= {f"limit_{name}": keeper.hits.get(name, 0) for name in COUNTED_LIMITS}
        totals |= {f"limit_{name}": count for name, count in self._hits_elsewhere().items()}
        totals |= core.traffic.figures()
        totals["connections_in"] = self.connections["in"]
        totals["connections_out"] = self.connections["out"]
        totals["connections_dialled"] = manager.pool.dialled
        totals["connections_lost"] = self.lost
        totals["connections_refused"] = keeper.refused
        totals["accepting_pauses"] = keeper.admission.pauses
        totals["throttled"] = self.throttled
        totals["overload_state"] = _STATES.index(manager.overload)
        totals["overload_changes"] = manager.load.changes
        totals["log_lines_withheld"] = manager.driver.log_bounds.withheld
        totals["dead_targets"] = len(manager.dead_targets)
        totals["held_back"] = manager.restraint.held_back
        totals["datagrams_ignored"] = keeper.datagrams.ignored
        totals["datagrams_forged"] = keeper.datagrams.forged
        for name in ("pings", "pongs", "missed", "agreed"):
            totals[f"keep_alive_{name}"] = 0 if keeper.keep_alives is None else getattr(keeper.keep_alives, name)
        totals["senders_refused"] = manager.senders_refused
        totals |= manager.sessions.totals
        totals |= manager.lives.totals
        return totals | {f"live_{name}": count for name, count in self.inventory().items()}

    def _hits_elsewhere(self) -> dict[str, int]:
        """How often those bounds were reached that the keeper of the flows does not see."""
        manager = self._manager
        keeper = manager.keeper
        refused, layer, finished = manager.core.counters, manager.core.layer.counters, manager.core.layer.table.finished
        resolver = dns_beneath(manager.resolver)
        return {
            "answer_timeout": layer.unanswered,
            "authorization_timeout": 0 if keeper.authorization is None else keeper.authorization.late,
            "dead_targets": manager.dead_targets.forgotten,
            "dialogs": refused.refused_dialogs,
            "failures_remembered": manager.pool.forgotten,
            "forks": refused.refused_forks,
            "finished_octets": finished.dropped_octets,
            "finished_transactions": finished.dropped,
            "handshake_timeout": self._tls_failures[TlsFailureReason.HANDSHAKE_TIMEOUT],
            "longest_hold": manager.restraint.shortened,
            "notifications": refused.refused_notifications,
            "receive_buffer": keeper.datagrams.overflowed,
            "remembered_peers": manager.restraint.forgotten,
            "transactions": refused.refused_full - refused.refused_dialogs + layer.requests_unsent,
            **({} if resolver is None else resolver.hits),
        }
