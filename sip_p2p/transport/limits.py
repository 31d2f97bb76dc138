"""Every bound on what a peer can make us hold or wait for, by name.

A :class:`Limits` belongs to one connection manager. All times are in seconds. What happens at each bound is said beside
it; nothing here is ever exceeded in silence.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any, final

from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.transaction.finished import LIMIT_OCTETS

__all__ = ["MAY_BE_ZERO", "Limits"]

MAY_BE_ZERO = frozenset(
    "connection_rate_per_address drain_timeout handshake_rate idle_timeout overload_lag resident_memory".split()
)
"""The bounds that 0 switches off."""


def _default_connections() -> int:
    """80 % of the descriptors that the process may open: what is left is for dialling, files and listeners."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65536 if soft == resource.RLIM_INFINITY else max(8, min(soft * 8 // 10, soft - 32))


@final
class Limits:
    """The bounds of one connection manager. They do not change; :meth:`replace` makes others.

    :ivar message: sizes within one message; see :class:`~sip_p2p.sip.limits.MessageLimits`.
    :ivar handshake_timeout: from the TCP connection to a verified peer; then the connection is closed.
    :ivar authorization_timeout: for an application that is asked about a connection; then the answer is no.
    :ivar connect_timeout: to establish one outgoing connection, handshake not included; then the request fails.
    :ivar attempt_delay: between the attempts at two addresses of one server (RFC 8305); the first that connects is
        used.
    :ivar attempts: addresses of one server that are tried for one connection; those after them are not.
    :ivar redial_delay: for how long a peer is left alone after one failure, at most; twice as long after each further
        one. A request that comes sooner fails at once, with the reason of the last failure.
    :ivar redial_delay_longest: the most that this grows to.
    :ivar failures_remembered: peers that are left alone at a time; the one that failed longest ago is dialled again.
    :ivar dns_timeout: for all look-ups that one target needs; then the request fails.
    :ivar dns_cache: answers of DNS that are remembered; the oldest gives way.
    :ivar dns_records: records of one answer of DNS that are looked at; the rest is left out.
    :ivar dns_servers: servers of one target whose addresses are asked for; those that would be tried last are left out.
    :ivar failover_attempts: servers that one request is sent to, one after the other; then it fails as the last did.
    :ivar failover_timeout: from the start of a request until no further server is tried.
    :ivar dead_target_timeout: for how long a server that failed is tried only after those that did not.
    :ivar dead_targets: servers of which that is remembered; the oldest gives way.
    :ivar first_message_timeout: from an accepted connection to its first complete message; then it is closed.
    :ivar authenticated_first_message_timeout: the same for a peer that proved who it is.
    :ivar partial_message_timeout: from a message's first octet to its last, however it trickles; then 408 is not sent
        and the connection is closed.
    :ivar partial_octets: octets of messages that are not complete, on all connections; then the connection with the
        most is aborted.
    :ivar close_timeout: from our closing of a connection to its end, for what is left to say and the peer's goodbye;
        then it is aborted.
    :ivar idle_timeout: without a message and without a live transaction; 0 means never. Then the connection is closed,
        an eighth later at the latest.
    :ivar stall_timeout: for a peer to take something of what waits to be written to it; then it is aborted.
    :ivar answer_timeout: how long an application may take to answer a request, or an offer; then it is answered 500,
        and an offer 504.
    :ivar drain_timeout: how long :meth:`terminate` waits for what is in flight.
    :ivar recovery_timeout: for how long the peer of a session whose connection was lost is looked for; then the session
        ends, or waits for the peer if that is what it is to do.
    :ivar recovery_queue: requests of one session that wait for that; more fail at once.
    :ivar connections: accepted connections altogether, also those in their handshake; then nothing is accepted until
        some have gone, and what was accepted in the same moment is closed at once.
    :ivar connections_per_address: accepted connections from one address, loopback excepted; more are closed at once. Of
        IPv6 a network of /64 counts as one address, here and below.
    :ivar connections_per_identity: accepted connections of one verified identity; more are closed after the handshake.
    :ivar connection_rate_per_address: connections a second from one address, loopback excepted, twice as many at once;
        more are closed at once. 0 means any number.
    :ivar handshakes: accepted connections that have not finished their handshake; more are closed at once.
    :ivar handshakes_per_address: the same from one address, loopback excepted; more are closed at once.
    :ivar handshake_rate: accepted connections a second; more wait in the system until their turn comes. 0 means any
        number.
    :ivar reserved_descriptors: descriptors that accepted connections leave for dialling, files and listeners; where
        fewer are left, nothing is accepted for a second.
    :ivar pending_requests: requests of one connection, INVITEs apart, that an application has been given and has not
        answered; then nothing is read from it until half of them are answered. Where we wait for answers of the
        same peer, and must read on for them, four times as many are answered 503 with Retry-After instead; and as many
        of one session, by whatever transport, 500 with Retry-After.
    :ivar write_buffer: octets waiting to be written to one connection, beyond the 64 KiB that its transport takes; over
        it reading from that peer is paused.
    :ivar write_buffer_hard: the same; over this the connection is aborted.
    :ivar write_buffer_total: the same for all connections; over this the one with the most is aborted.
    :ivar notifications: NOTIFYs of one subscription of ours in a second; more are answered 500 with Retry-After.
    :ivar notification_queue: notifications of one subscription of ours that wait to be taken by whoever iterates over
        them, unless the subscription says otherwise; over this the oldest is given up.
    :ivar subscriptions: subscriptions of peers to events of ours, altogether; a further SUBSCRIBE is answered 500 with
        Retry-After, and so is one that would need a dialog over ``dialogs``.
    :ivar subscriptions_per_identity: the same of one verified identity, or else of one address.
    :ivar publications: what peers have published here, altogether; a further initial PUBLISH is answered 500 with
        Retry-After.
    :ivar publications_per_identity: the same of one verified identity, or else of one address.
    :ivar publication_octets: how long the bodies of these are altogether; a PUBLISH beyond it is answered the same.
    :ivar transactions: live transactions without a final response, each way; more are answered 503 with Retry-After,
        and likewise INVITEs of one sender that take half of that. A sender is who has proved a name, an address that a
        connection comes from, or everybody by UDP.
    :ivar dialogs: dialogs, early ones among them; and answered INVITEs that wait for their ACK, or for another 2xx,
        each way. A peer's INVITE beyond either is answered the same.
    :ivar forks: branches that one call of ours may have at a time, a quarter of those that it may have in all: of a
        further one no early dialog is kept and, once another has accepted, its 2xx is not heard.
    :ivar finished_transactions: finished transactions that wait out their timers on UDP; the oldest gives way.
    :ivar finished_octets: octets of theirs that are kept for it, altogether; the same.
    :ivar receive_buffer: octets of datagrams that may wait in the system, as far as it grants them; what comes when it
        is full is lost, and sent again by its sender.
    :ivar unacknowledged_timeout: for how long the peer's system may leave unacknowledged what was written to it, and
        the probes that follow a minute of silence; then the connection is lost. Where the system can do that (Linux).
    :ivar datagram_amplification: octets that we write to a UDP peer to whom we have not written first, for each octet
        that came under its name; what is over is withheld.
    :ivar datagram_flows: UDP peers remembered at a time; the one not heard of for longest gives way, and one to whom we
        have not written before others.
    :ivar remembered_peers: peers whose Retry-After or wish for fewer requests is remembered; the oldest gives way.
    :ivar longest_hold: for how long a peer is asked nothing because of its 503 with Retry-After, whatever it says.
    :ivar overload_lag: how late the reactor may be, in the 95th percentile over two seconds, before new work is
        rejected; 0 leaves it out of account.
    :ivar overload_fill: how full the transactions and ``write_buffer_total`` may be, as a part of 1, before new work
        is rejected.
    :ivar resident_memory: octets that the process may occupy before new work is rejected; 0 means any number.
    :ivar passport_fetches: certificates of signed identities that are fetched at a time, a quarter of them for one
        verified identity or else one address; a further signature proves nothing, and its request is answered 436 where
        one is required (RFC 8224).
    :ivar passport_certificates: such certificates that are remembered; the one not asked for longest gives way.
    :ivar passport_octets: octets that a file with such a certificate may have; then it is not taken.
    :ivar passport_fetch_timeout: to fetch one, look-up and handshake included; then the same.
    :ivar passport_replays: signatures that are remembered while they are good, so that none is used twice; the oldest
        gives way.
    :ivar log_burst: lines in the log, of each kind that peers can cause, at once; what is over is counted.
    :ivar log_rate: the same, a second.
    :ivar conversations: parties of whose texts a messenger knows more than that they came; beyond that the one that was
        quiet for longest is forgotten, and while none is quiet, whether others write is not noticed.
    :ivar message_ids: texts that a messenger knows again when they come a second time; the oldest gives way.
    :ivar reports: delivery reports of one messenger that are under way; more are not sent.
    :ivar websocket_fragments: frames in which one message may come on a WebSocket; with more of them it is closed.
    :ivar digest_tries: how often one request of ours goes out again with an answer to a challenge; then the next
        challenge is its outcome.
    :ivar digest_nonces: nonces of challenges that are remembered: by who answers them, to carry an answer at once, and
        by each authenticator, to know how often they were used. The oldest gives way, and who uses it is challenged
        anew.
    """

    __slots__ = (
        "answer_timeout",
        "attempt_delay",
        "attempts",
        "authenticated_first_message_timeout",
        "authorization_timeout",
        "close_timeout",
        "connect_timeout",
        "connection_rate_per_address",
        "connections",
        "connections_per_address",
        "connections_per_identity",
        "conversations",
        "datagram_amplification",
        "datagram_flows",
        "dead_target_timeout",
        "dead_targets",
        "dialogs",
        "digest_nonces",
        "digest_tries",
        "dns_cache",
        "dns_records",
        "dns_servers",
        "dns_timeout",
        "drain_timeout",
        "failover_attempts",
        "failover_timeout",
        "failures_remembered",
        "finished_octets",
        "finished_transactions",
        "first_message_timeout",
        "forks",
        "handshake_rate",
        "handshake_timeout",
        "handshakes",
        "handshakes_per_address",
        "idle_timeout",
        "log_burst",
        "log_rate",
        "longest_hold",
        "message",
        "message_ids",
        "notification_queue",
        "notifications",
        "overload_fill",
        "overload_lag",
        "partial_message_timeout",
        "partial_octets",
        "passport_certificates",
        "passport_fetch_timeout",
        "passport_fetches",
        "passport_octets",
        "passport_replays",
        "pending_requests",
        "publication_octets",
        "publications",
        "publications_per_identity",
        "receive_buffer",
        "recovery_queue",
        "recovery_timeout",
        "redial_delay",
        "redial_delay_longest",
        "remembered_peers",
        "reports",
        "reserved_descriptors",
        "resident_memory",
        "stall_timeout",
        "subscriptions",
        "subscriptions_per_identity",
        "transactions",
        "unacknowledged_timeout",
        "websocket_fragments",
        "write_buffer",
        "write_buffer_hard",
        "write_buffer_total",
    )

    def __init__(
        self,
        *,
        message: MessageLimits | None = None,
        handshake_timeout: float = 5.0,
        authorization_timeout: float = 5.0,
        connect_timeout: float = 10.0,
        attempt_delay: float = 0.25,
        attempts: int = 8,
        redial_delay: float = 0.5,
        redial_delay_longest: float = 30.0,
        failures_remembered: int = 4096,
        dns_timeout: float = 10.0,
        dns_cache: int = 4096,
        dns_records: int = 32,
        dns_servers: int = 16,
        failover_attempts: int = 8,
        failover_timeout: float = 60.0,
        dead_target_timeout: float = 600.0,
        dead_targets: int = 1024,
        first_message_timeout: float = 10.0,
        authenticated_first_message_timeout: float = 30.0,
        partial_message_timeout: float = 10.0,
        partial_octets: int = 64 * 1024 * 1024,
        close_timeout: float = 5.0,
        idle_timeout: float = 120.0,
        stall_timeout: float = 30.0,
        answer_timeout: float = 24.0,
        drain_timeout: float = 5.0,
        recovery_timeout: float = 180.0,
        recovery_queue: int = 32,
        connections: int | None = None,
        connections_per_address: int = 256,
        connections_per_identity: int = 64,
        connection_rate_per_address: float = 50.0,
        handshakes: int = 256,
        handshakes_per_address: int = 32,
        handshake_rate: float = 400.0,
        reserved_descriptors: int = 16,
        pending_requests: int = 32,
        write_buffer: int = 256 * 1024,
        write_buffer_hard: int = 1024 * 1024,
        write_buffer_total: int = 32 * 1024 * 1024,
        notifications: int = 100,
        notification_queue: int = 64,
        publications: int = 8192,
        publications_per_identity: int = 64,
        publication_octets: int = 16 * 2**20,
        subscriptions: int = 32768,
        subscriptions_per_identity: int = 4096,
        transactions: int = 16384,
        dialogs: int = 65536,
        forks: int = 64,
        finished_transactions: int = 1_000_000,
        finished_octets: int = LIMIT_OCTETS,
        unacknowledged_timeout: float = 30.0,
        datagram_amplification: float = 5.0,
        datagram_flows: int = 4096,
        remembered_peers: int = 4096,
        receive_buffer: int = 4 * 1024 * 1024,
        longest_hold: float = 60.0,
        overload_lag: float = 0.1,
        overload_fill: float = 0.8,
        resident_memory: int = 0,
        passport_fetches: int = 16,
        passport_certificates: int = 256,
        passport_octets: int = 64 * 1024,
        passport_fetch_timeout: float = 5.0,
        passport_replays: int = 16384,
        log_burst: int = 10,
        log_rate: float = 1.0,
        websocket_fragments: int = 256,
        conversations: int = 1024,
        message_ids: int = 4096,
        reports: int = 256,
        digest_tries: int = 2,
        digest_nonces: int = 4096,
    ) -> None:
        """
        :raises ValueError: when a bound is negative, or zero where zero has no meaning.
        """
        given = dict(locals())
        given["message"] = MessageLimits() if message is None else message
        given["connections"] = _default_connections() if connections is None else connections
        for name in self.__slots__:
            value = given[name]
            # Written so that a NaN, which is neither more nor less than anything, is refused as well.
            if name != "message" and not (value > 0 or (value == 0 and name in MAY_BE_ZERO)):
                raise ValueError(f"the limit {name!r} cannot be {value}")
            object.__setattr__(self, name, value)

    if TYPE_CHECKING:
        answer_timeout: float
        attempt_delay: float
        attempts: int
        authenticated_first_message_timeout: float
        authorization_timeout: float
        close_timeout: float
        connect_timeout: float
        connection_rate_per_address: float
        connections: int
        connections_per_address: int
        connections_per_identity: int
        conversations: int
        datagram_amplification: float
        datagram_flows: int
        dead_target_timeout: float
        dead_targets: int
        dialogs: int
        digest_nonces: int
        digest_tries: int
        forks: int
        dns_cache: int
        dns_records: int
        dns_servers: int
        dns_timeout: float
        drain_timeout: float
        failover_attempts: int
        failover_timeout: float
        failures_remembered: int
        finished_octets: int
        finished_transactions: int
        first_message_timeout: float
        handshake_rate: float
        handshake_timeout: float
        handshakes: int
        handshakes_per_address: int
        idle_timeout: float
        log_burst: int
        log_rate: float
        longest_hold: float
        message: MessageLimits
        message_ids: int
        overload_fill: float
        overload_lag: float
        partial_message_timeout: float
        partial_octets: int
        passport_certificates: int
        passport_fetch_timeout: float
        passport_fetches: int
        passport_octets: int
        passport_replays: int
        pending_requests: int
        receive_buffer: int
        recovery_queue: int
        recovery_timeout: float
        redial_delay: float
        redial_delay_longest: float
        remembered_peers: int
        reports: int
        reserved_descriptors: int
        resident_memory: int
        stall_timeout: float
        notifications: int
        notification_queue: int
        publications: int
        publications_per_identity: int
        publication_octets: int
        subscriptions: int
        subscriptions_per_identity: int
        transactions: int
        unacknowledged_timeout: float
        websocket_fragments: int
        write_buffer: int
        write_buffer_hard: int
        write_buffer_total: int

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Limits does not change: set manager.limits to one made with replace({name}=...)")

    def replace(self, **changes: Any) -> Limits:
        """The same bounds but for *changes*, which are named as in the constructor.

        :raises TypeError: for a name that is no limit.
        :raises ValueError: as for the constructor.
        """
        return Limits(**({name: getattr(self, name) for name in self.__slots__} | changes))
