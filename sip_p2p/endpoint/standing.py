"""Connections that are kept: made at once, held, and made anew when they are lost (row E14, RFC 5626 section 4.5).

By default a connection that a peer closes is made anew with the next request for it. Whoever needs it to be there all
the time, such as an endpoint that is reached through its proxy and listens for nobody, has it kept: by ``reconnect=
"eager"`` for the outbound proxies of its endpoints, or by :meth:`RealTimeConnectionManager.keep_connected` for any
peer.

A kept connection is dialled again at once when it is lost, and then ever more slowly as long as that fails or does not
last, as :mod:`sip_p2p.transport.pool.backoff` says. A peer that many have lost at once thus has them back spread over
time.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, succeed

from sip_p2p.errors import ConnectionFailure, EndpointTerminated, SipError
from sip_p2p.transport.pool.backoff import Backoff
from sip_p2p.transport.proxy import ProxyConnector
from sip_p2p.transport.target import Target, Transport, race_groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
    from twisted.python.failure import Failure

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.flow_events import FlowLost
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.pool.lease import Lease
    from sip_p2p.transport.stream.flow import StreamFlow

__all__ = ["StandingConnection", "StandingConnections"]

# One that lasts for less is no success: the second such in a row is not followed by another one at once.
_SHORT_LIFE = 10.0


@final
class StandingConnection:
    """One connection that is kept until :meth:`stop`.

    :ivar target: where it leads.
    :ivar failure: why there is none at the moment; None while there is one, and before the first attempt has ended.
    """

    __slots__ = (
        "_alarm",
        "_backoff",
        "_groups",
        "_is_stopped",
        "_lease",
        "_manager",
        "_short_lives",
        "_since",
        "_step",
        "_stopped",
        "_through",
        "_waiting",
        "failure",
        "target",
    )

    def __init__(
        self,
        manager: RealTimeConnectionManager,
        target: Target,
        through: IStreamClientEndpoint | None,
        stopped: Callable[[StandingConnection], None],
    ) -> None:
        self._manager = manager
        self.target = target
        self.failure: SipError | None = None
        self._through = through
        self._stopped = stopped
        self._lease: Lease | None = None
        self._since = 0.0
        self._short_lives = 0
        self._groups: list[list[Target]] = []
        self._step: Deferred[Any] | None = None
        self._alarm: IDelayedCall | None = None
        self._is_stopped = False
        self._waiting: list[Deferred[LiveFlow]] = []
        self._backoff: Backoff[None] = Backoff(self._redialling, random.random)

    def _redialling(self) -> tuple[float, float, int]:
        limits = self._manager.limits
        return limits.redial_delay, limits.redial_delay_longest, 1

    @property
    def flow(self) -> LiveFlow | None:
        """The connection; None while there is none."""
        return None if self._lease is None else self._lease.flow

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at the moment."""
        return self._lease is not None

    def when_connected(self) -> Deferred[LiveFlow]:
        """Fires with the connection as soon as there is one; fails with
        :class:`~sip_p2p.errors.EndpointTerminated` when it is not kept any more."""
        if self._lease is not None:
            return succeed(self._lease.flow)
        waiting: Deferred[LiveFlow] = Deferred(self._forget)
        if self._is_stopped:
            waiting.errback(EndpointTerminated("the connection is not kept any more"))
        else:
            self._waiting.append(waiting)
        return waiting

    def _forget(self, waiting: Deferred[LiveFlow]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def start(self) -> None:
        """See that there is a connection."""
        self._alarm = None
        found = self._manager.pool.find(self.target, self._through)
        if found is not None:
            self._connected(found)
            return
        try:
            looking_up = self._manager.resolver.resolve(self.target)
        except SipError as error:
            self._failed(error)
            return
        self._step = looking_up
        looking_up.addCallbacks(self._resolved, self._could_not)

    def _resolved(self, targets: list[Target]) -> None:
        self._step = None
        self._groups = race_groups(targets)
        self._try_next(ConnectionFailure(f"there is nothing to connect to at {self.target.host}"))

    def _try_next(self, failure: SipError) -> None:
        """The next server of those that the target led to; *failure* is what became of the one before."""
        if self._is_stopped:
            return
        if not self._groups:
            self._failed(failure)
            return
        try:
            connecting = self._manager.pool.connect(self._groups.pop(0), self._through, self.target)
        except SipError as error:
            self._failed(error)
            return
        self._step = connecting
        connecting.addCallbacks(self._connected, self._could_not)

    def _could_not(self, reason: Failure) -> None:
        self._step = None
        if self._is_stopped:
            return
        error = reason.value
        if not isinstance(error, SipError):
            error = ConnectionFailure(f"{type(error).__name__}: {reason.getErrorMessage()}")
        self._try_next(error)

    def _failed(self, error: SipError) -> None:
        """There is no connection for now."""
        self.failure = error
        if isinstance(error, ConnectionFailure):
            # Another request may have found the peer gone a moment ago: that counts once.
            wait = error.retry_after or self._backoff.failed(None, error, self._now())
            self._again_in(wait)
        elif not isinstance(error, EndpointTerminated):
            self._again_in(self._manager.limits.redial_delay_longest)

    def _again_in(self, wait: float) -> None:
        self._alarm = self._manager.reactor.callLater(wait, self.start)

    def _now(self) -> float:
        return self._manager.driver.now()

    def _connected(self, flow: StreamFlow) -> None:
        self._step = None
        if self._is_stopped:
            return
        self.failure = None
        self._groups = []
        self._since = self._now()
        self._lease = flow.lease()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(flow)

    def lost(self, reason: BaseException) -> None:
        """The connection is gone: make another one."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()
        self.failure = reason if isinstance(reason, SipError) else ConnectionFailure(str(reason))
        if self._now() - self._since >= _SHORT_LIFE:
            self._short_lives = 0
            self._backoff.clear()
        else:
            self._short_lives += 1
        wait = 0.0
        if self._short_lives > 1 and isinstance(self.failure, ConnectionFailure):
            wait = self._backoff.failed(None, self.failure, self._now())
        self._again_in(wait)

    def stop(self) -> None:
        """Do not keep it any more: it lives on as any other connection does. Nothing happens the second time."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
        step, self._step = self._step, None
        if step is not None:
            step.addErrback(lambda _: None)
            step.cancel()
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()
        self._stopped(self)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.errback(EndpointTerminated("the connection is not kept any more"))

    def __repr__(self) -> str:
        how = "stopped" if self._is_stopped else "connected" if self.is_connected else "not connected"
        return f"<StandingConnection to {self.target.host}:{self.target.port}, {how}>"


@final
class StandingConnections:
    """The connections that one manager keeps."""

    __slots__ = ("_is_eager", "_kept", "_manager", "_proxies")

    def __init__(self, manager: RealTimeConnectionManager, reconnect: str) -> None:
        """
        :param reconnect: ``eager`` to keep those to the outbound proxies of the manager's endpoints, else ``lazy``.
        :raises ValueError: for any other word.
        """
        if reconnect not in ("lazy", "eager"):
            raise ValueError(f"reconnect is 'lazy' or 'eager', not {reconnect!r}")
        self._manager = manager
        self._is_eager = reconnect == "eager"
        self._kept: dict[StandingConnection, None] = {}
        self._proxies: dict[RealTimeEndpoint, StandingConnection] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def endpoint_added(self, endpoint: RealTimeEndpoint) -> None:
        """An endpoint is there, perhaps with a proxy that is to be connected to all the time."""
        if self._is_eager and endpoint.proxy is not None and endpoint.proxy.target.transport is not Transport.UDP:
            self._proxies[endpoint] = self.add(endpoint.proxy)

    def endpoint_gone(self, endpoint: RealTimeEndpoint) -> None:
        """It is gone, and needs its proxy no more."""
        standing = self._proxies.pop(endpoint, None)
        if standing is not None:
            standing.stop()

    def add(self, to: Target | ProxyConnector | str) -> StandingConnection:
        """Keep one more.

        :raises ValueError: for what is neither a target nor a proxy, and for UDP, which has no connections.
        """
        if isinstance(to, str):
            to = ProxyConnector.parse(to)
        target, through = (to, None) if isinstance(to, Target) else (to.target, to.endpoint)
        if target.transport is Transport.UDP:
            raise ValueError(f"{target!r} has no connection that could be kept")
        if not self._kept:
            self._manager.flow_lost.subscribe(self._flow_lost)
        standing = StandingConnection(self._manager, target, through, self._forget)
        self._kept[standing] = None
        standing.start()
        return standing

    def _forget(self, standing: StandingConnection) -> None:
        self._kept.pop(standing, None)
        if not self._kept:
            self._manager.flow_lost.unsubscribe(self._flow_lost)

    def _flow_lost(self, event: FlowLost) -> None:
        for standing in tuple(self._kept):
            if standing.flow is event.flow:
                standing.lost(event.reason)

    def stop(self) -> None:
        """Keep none any more."""
        for standing in tuple(self._kept):
            standing.stop()
