"""Waiting for what is in flight: the requests of ours, and those for us, that have no outcome yet (fault J6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from twisted.internet.defer import Deferred, gatherResults, succeed

from sip_p2p.endpoint.address import to_sip_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.listener import Listeners

__all__ = ["Drain"]


@final
class Drain:
    """What one connection manager still has to finish."""

    __slots__ = ("_manager", "_waiting")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        # Who waits for what, and for which party's sake; None for that of all.
        self._waiting: dict[Deferred[None], tuple[Callable[[], bool], RealTimeEndpoint | None]] = {}

    @property
    def is_quiet(self) -> bool:
        """Whether no request, of ours or for us, waits for its outcome, and no session is left."""
        manager = self._manager
        return (
            manager.sessions.is_quiet
            and not len(manager.lives)
            and not manager.dispatch.waiting_answers
            and not any(endpoint.requests_under_way for endpoint in manager.endpoints)
        )

    def drain(self, listeners: Listeners, deadline: float, redirect_to: Sequence[str]) -> Deferred[None]:
        """Close every port, take no new work and fire when all is quiet, or *deadline* seconds have passed.

        :param redirect_to: where those are sent who would begin a session with us meanwhile.
        """
        manager = self._manager
        manager.core.redirect_to = tuple(str(to_sip_uri(each)) for each in redirect_to)
        # Nobody but us can end these; where we notify, it tells the others to go elsewhere.
        manager.lives.end()
        quiet = self.begin(deadline)
        # What a peer sends in a session by UDP comes to the port, and to nothing else.
        stopped = listeners.stop_streams() if manager.sessions.use_datagrams else listeners.stop()
        return gatherResults([stopped, quiet]).addCallback(lambda _: listeners.stop())

    def end(self, listeners: Listeners) -> Deferred[None]:
        """The same, sessions being ended and not waited for, and then the end of everything that the manager has: the
        parties, the flows, the clock."""
        manager = self._manager
        manager.sessions.terminate()
        manager.lives.end()

        def end_flows(_: object) -> Deferred[None]:
            for endpoint in manager.endpoints:
                endpoint.connection_manager_terminated()
            return manager.keeper.close()

        def finish(result: object) -> None:
            self.hurry()
            manager.lives.abandon()
            manager.sessions.abandon()
            manager.load.stop()
            manager.driver.stop()
            manager.core.layer.table.finished.clear()
            manager.core.appointments.clear()

        quiet = self.begin(manager.limits.drain_timeout)
        return gatherResults([listeners.close(), quiet]).addCallback(end_flows).addBoth(finish)

    def begin(self, deadline: float) -> Deferred[None]:
        """Take no new work from now on; see :meth:`when_quiet`."""
        self._manager.load.drain()
        return self.when_quiet(deadline)

    def maybe_quiet(self, party: RealTimeEndpoint | None = None) -> None:
        """Something ended: tell those who wait for the last of it.

        :param party: whose it was; None where nobody knows.
        """
        if self._waiting:
            for waiting, (is_over, whose) in list(self._waiting.items()):
                is_asked = party is None or whose is None or whose is party
                if is_asked and is_over() and self._waiting.pop(waiting, None) is not None:
                    waiting.callback(None)

    def hurry(self) -> None:
        """Whoever waits has waited long enough: what is still in flight is given up."""
        waiting, self._waiting = self._waiting, {}
        for each in waiting:
            each.callback(None)

    def when_quiet(self, deadline: float) -> Deferred[None]:
        """Fires when no request, of ours or for us, waits for its answer any more, or *deadline* seconds have
        passed."""
        return self._when(lambda: self.is_quiet, deadline)

    def when_answered(self, endpoint: RealTimeEndpoint) -> Deferred[None]:
        """Fires when *endpoint* owes nobody an answer any more and has ended its sessions, or the time for that has
        passed."""
        manager = self._manager
        sessions, lives = manager.sessions, manager.lives

        def is_over() -> bool:
            return not (manager.dispatch.owes(endpoint) or sessions.has_any(endpoint) or lives.has_any(endpoint))

        def abandon(_: object) -> None:
            lives.abandon(endpoint)
            sessions.abandon(endpoint)

        return self._when(is_over, manager.limits.drain_timeout, endpoint).addCallback(abandon)

    def _when(
        self, is_over: Callable[[], bool], deadline: float, party: RealTimeEndpoint | None = None
    ) -> Deferred[None]:
        if is_over() or not deadline:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting[waiting] = (is_over, party)
        waiting.addTimeout(deadline, self._manager.reactor, onTimeoutCancel=self._too_long)

        def forget(result: None) -> None:
            self._waiting.pop(waiting, None)
            return result

        return waiting.addBoth(forget)

    def _too_long(self, _: object, __: float) -> None:
        self._manager.keeper.limit_hit("drain_timeout")
