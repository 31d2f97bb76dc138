"""Sessions whose connection was lost, taken up again on a new one (row H32; RFC 3261 section 12.2, RFC 5626 section
4.5).

A dialog does not end with a connection, but its requests have no way to the peer then. Following UCMA, what is done
about it is the session's :class:`Recovery`, and what is known of the way is its :class:`RouteSetStatus`::

    Healthy --lost--> Recovering --heard---------------------> Healthy
                        |     +----in vain, Limited----------> Lost
                        +----------in vain, Maximum--> Waiting --heard--> Healthy

The way counts as lost when a connection breaks, when a request finds none, and when a proxy answers 430. While it is
looked for, requests wait, but for BYE, and the session timer stands still. The target is looked up anew, the identity
is the one that the dialog was made with (:mod:`.dialog_flow`), and the first request on the new flow is an UPDATE, or a
re-INVITE where the peer takes none, so that each side learns the other's new Contact. Whoever opened the connection
that was lost tries first; the other side gives it a moment.

A connection that the peer closes in order is no such loss, as long as there is another way to us: anybody may close
what is idle (section 18), and the next request finds a new one.

:class:`RouteSet` is the machine; :class:`Recoveries` is what it moves. Left out: what the application does meanwhile.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol, cast, final

from sip_p2p.errors import ConnectionFailure, InvalidOperation, OperationTimeout
from sip_p2p.sip.dialog.effects import Ending, Purpose, RequestWanted
from sip_p2p.sip.dialog.refreshing import refresh
from sip_p2p.sip.dialog.usage import UsageState
from sip_p2p.transport.stream.flow import StreamFlow

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.session.errands import Errands
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Recoverable", "Recoveries", "Recovery", "RouteSet", "RouteSetStatus", "RouteSetStatusChanged"]

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_KEPT = 60.0
_OTHER_SIDE_FIRST = 2.0
_STEPS = 1000

_NOT_THE_PEER = frozenset((408, 430, 503, 504))
"""What a proxy says when it did not reach the peer. Without a proxy in the route set 503 is the peer's own."""


class Recovery(enum.Enum):
    """What is done when the way to a session's peer is lost, after UCMA's ``RouteSetRecoveryMode``."""

    NONE = "nothing: the next request finds a new one or fails"
    LIMITED = "it is looked for, for a few minutes; then the session ends"
    MAXIMUM = "it is looked for, and then waited for: the session lasts until somebody ends it"


class RouteSetStatus(enum.Enum):
    """What is known of the way to a session's peer, after UCMA's."""

    HEALTHY = "requests reach the peer, as far as is known"
    RECOVERING = "it is lost and looked for: requests wait"
    WAITING = "it was looked for in vain, and is the peer's to find: requests are tried"
    LOST = "it is lost for good, and the session ends"


@final
class RouteSetStatusChanged:
    """Something has become known of the way to a session's peer.

    :ivar previous_status: what was known before.
    :ivar status: what is known now.
    :ivar reason: what happened, where it is worse than before; else None.
    """

    __slots__ = ("previous_status", "reason", "status")

    def __init__(
        self, previous_status: RouteSetStatus, status: RouteSetStatus, reason: BaseException | None = None
    ) -> None:
        self.previous_status = previous_status
        self.status = status
        self.reason = reason

    def __repr__(self) -> str:
        return f"<RouteSetStatusChanged {self.previous_status.name} -> {self.status.name}>"


class Recoverable(Protocol):
    """What recovery wants of a session."""

    recovery: Recovery

    def tell(self, name: str, what: object) -> None:
        """Tell whoever has subscribed to the event *name*."""


@final
class RouteSet:
    """The way to one peer, as far as it is known.

    :ivar recovery: what is done about its loss.
    :ivar status: what is known of it.
    :ivar next_attempt: when to look for it next; None for not at all, or not before the last attempt has failed.
    """

    __slots__ = ("_lost_at", "_pause", "_until", "next_attempt", "recovery", "status")

    def __init__(self, recovery: Recovery) -> None:
        self.recovery = recovery
        self.status = RouteSetStatus.HEALTHY
        self.next_attempt: float | None = None
        self._until = 0.0
        self._pause = _FIRST_PAUSE
        self._lost_at = float("-inf")

    def lost(self, now: float, pause: float, timeout: float) -> None:
        """The way is gone. One that was found, and is gone again within a minute, is left alone for longer each time.

        :param pause: for how many seconds not to look for it at least.
        :param timeout: how long it may be looked for.
        """
        if self.status is not RouteSetStatus.HEALTHY or self.recovery is Recovery.NONE:
            return
        self.status = RouteSetStatus.RECOVERING
        self._until = now + timeout
        if now - self._lost_at > _KEPT:
            self._pause = _FIRST_PAUSE
        else:
            pause = max(pause, self._pause)
            self._pause = min(2.0 * self._pause, _LONGEST_PAUSE)
        self._lost_at = now
        self.next_attempt = now + pause

    def attempted(self) -> None:
        """It is being looked for: the outcome is :meth:`heard` or :meth:`failed`."""
        self.next_attempt = None

    def failed(self, now: float) -> None:
        """It was looked for in vain."""
        if self.status is not RouteSetStatus.RECOVERING:
            return
        if now < self._until:
            self.next_attempt = min(now + self._pause, self._until)
            self._pause = min(2.0 * self._pause, _LONGEST_PAUSE)
            return
        self.next_attempt = None
        is_waited_for = self.recovery is Recovery.MAXIMUM
        self.status = RouteSetStatus.WAITING if is_waited_for else RouteSetStatus.LOST

    def heard(self) -> None:
        """The peer was heard: there is a way."""
        if self.status is not RouteSetStatus.LOST:
            self.status = RouteSetStatus.HEALTHY
            self.next_attempt = None


@final
class _Case:
    """One session whose way is lost, or was lost within the last minute.

    :ivar dialog: its dialog.
    :ivar route: what is known of the way.
    :ivar probe: the UPDATE or re-INVITE that is to find it; None before there is one.
    :ivar queue: the requests that wait for it.
    :ivar reason: why it is lost.
    """

    __slots__ = ("_recoveries", "dialog", "probe", "queue", "reason", "route")

    def __init__(self, recoveries: Recoveries, dialog: Dialog, recovery: Recovery, reason: BaseException) -> None:
        self._recoveries = recoveries
        self.dialog = dialog
        self.route = RouteSet(recovery)
        self.probe: Errand | None = None
        self.queue: list[Errand] = []
        self.reason = reason

    def handle_timer(self, now: float) -> None:
        """It is time to look for it."""
        self._recoveries.attempt(self, now)


@final
class Recoveries:
    """Every session of one connection manager whose way is lost. One whose way was found stays here for a minute,
    during which the next loss counts as one of the same illness; the others are not here."""

    __slots__ = ("_again", "_cases", "_errands", "_manager")

    def __init__(self, errands: Errands, manager: RealTimeConnectionManager) -> None:
        self._errands = errands
        self._manager = manager
        self._cases: dict[Dialog, _Case] = {}
        # What was sent again after a 430: a second one is the peer's affair.
        self._again: set[Errand] = set()

    def __len__(self) -> int:
        """How many sessions look for their peer."""
        return sum(case.route.status is not RouteSetStatus.HEALTHY for case in self._cases.values())

    def status_of(self, dialog: Dialog) -> RouteSetStatus:
        """What is known of the way to the peer of *dialog*."""
        case = self._cases.get(dialog)
        return RouteSetStatus.HEALTHY if case is None else case.route.status

    # -- the way is lost -----------------------------------------------------------------------------------------------

    def flow_lost(self, flow: LiveFlow, dialogs: list[Dialog], reason: BaseException) -> None:
        """*flow* is gone, on which *dialogs* were."""
        if self.is_loss(flow):
            for dialog in dialogs:
                self._lose(dialog, reason, self.pause_after(flow))

    def is_loss(self, flow: LiveFlow) -> bool:
        """Whether the end of *flow* means that its peers are out of reach: not where it was ended in order, and there
        is another way to us."""
        return not (isinstance(flow, StreamFlow) and flow.is_ended_in_order and self._manager.is_listening)

    def resume(self, dialog: Dialog) -> None:
        """*dialog* was taken up again after a restart: nobody knows yet how its peer is reached."""
        self._lose(dialog, ConnectionFailure("the session was saved, and is taken up again"), 0.0)

    def pause_after(self, flow: LiveFlow) -> float:
        """How long to leave the way alone: both sides lose a connection at once, and one of them makes a new one."""
        chance = self._manager.core.tokens.number(_STEPS) / _STEPS
        return _OTHER_SIDE_FIRST * (1.0 + chance) if flow.is_incoming else _FIRST_PAUSE / 2 * chance

    def _lose(self, dialog: Dialog, reason: BaseException, pause: float) -> _Case | None:
        """Begin to look for the way; None where nothing is to be done."""
        case = self._cases.get(dialog)
        usage = dialog.user
        if case is not None and case.route.status is not RouteSetStatus.HEALTHY:
            return None
        if usage is None or usage.user is None or usage.state is not UsageState.CONFIRMED:
            return None
        if cast("RealTimeEndpoint", usage.profile.user).is_terminated:
            return None
        recovery = _session_of(usage).recovery
        if recovery is Recovery.NONE:
            return None
        if case is None:
            case = self._cases[dialog] = _Case(self, dialog, recovery, reason)
        case.reason, case.route.recovery = reason, recovery
        case.route.lost(self._manager.driver.now(), pause, self._manager.limits.recovery_timeout)
        if usage.session_timer is not None:
            usage.session_timer.pause()
            usage.appoint()
        self._appoint(case)
        self._tell(case, RouteSetStatus.HEALTHY, reason)
        return case

    # -- what the errands ask ------------------------------------------------------------------------------------------

    def holds_back(self, errand: Errand) -> bool:
        """Whether the request of *errand* has to wait, and does."""
        dialog, purpose = errand.plan.dialog, errand.purpose
        case = None if dialog is None else self._cases.get(dialog)
        if case is None or case.route.status is not RouteSetStatus.RECOVERING or purpose is Purpose.BYE:
            return False
        if purpose is Purpose.UPDATE or purpose is Purpose.REINVITE:
            # 12.2: what refreshes the target finds the way, whoever wanted it to be sent.
            case.probe = errand
            case.route.attempted()
            self._appoint(case)
            return False
        manager = self._manager
        if len(case.queue) >= manager.limits.recovery_queue:
            manager.keeper.limit_hit("recovery_queue")
            errand.owner.errand_failed(errand, case.reason, manager.driver.now())
        else:
            case.queue.append(errand)
        return True

    def takes_answer(self, errand: Errand, status: int) -> bool:
        """Whether a final response with *status* says that the way is lost, and the request waits for a new one."""
        dialog = errand.plan.dialog
        if dialog is None or errand.purpose is Purpose.BYE:
            return False
        case = self._cases.get(dialog)
        if case is not None and case.probe is errand:
            if status in _NOT_THE_PEER and (dialog.route_set or status != 503):
                return self._attempt_failed(case)
            case.probe = None
        if status != 430 or errand in self._again:
            self._again.discard(errand)
            return False
        # RFC 5626 section 11.5: the proxy has no flow to the peer, or to us.
        return self._waits(dialog, errand, ConnectionFailure("a proxy has lost the way to the peer: 430 Flow Failed"))

    def takes_failure(self, errand: Errand, reason: BaseException) -> bool:
        """Whether *errand*, which will have no final response for this *reason*, waits for a new way."""
        self._again.discard(errand)
        dialog = errand.plan.dialog
        if dialog is None or errand.purpose is Purpose.BYE:
            return False
        if not isinstance(reason, (ConnectionFailure, OperationTimeout)):
            return False
        case = self._cases.get(dialog)
        if case is not None and case.probe is errand:
            case.reason = reason
            return self._attempt_failed(case)
        if isinstance(reason, OperationTimeout) or errand.transaction is not None:
            # It may have been read: to send it again is the application's decision.
            return False
        return self._waits(dialog, errand, reason)

    def _waits(self, dialog: Dialog, errand: Errand, reason: BaseException) -> bool:
        """Let *errand* wait for the way to the peer, which it has not found."""
        case = self._lose(dialog, reason, _FIRST_PAUSE) or self._cases.get(dialog)
        if case is None or case.route.status is not RouteSetStatus.RECOVERING:
            return False
        if errand.purpose is Purpose.UPDATE or errand.purpose is Purpose.REINVITE:
            case.probe = errand
        else:
            case.queue.append(errand)
        return True

    def withdraw(self, errand: Errand) -> None:
        """*errand* is wanted no longer."""
        self._again.discard(errand)
        dialog = errand.plan.dialog
        case = None if dialog is None else self._cases.get(dialog)
        if case is None:
            return
        if errand in case.queue:
            case.queue.remove(errand)
        elif case.probe is errand:
            case.probe = None
            if case.route.next_attempt is None and case.route.status is RouteSetStatus.RECOVERING:
                self._attempt_failed(case)

    # -- the way is looked for -----------------------------------------------------------------------------------------

    def attempt(self, case: _Case, now: float) -> None:
        """Look for the way of *case*: with what waits to refresh the target, or with a refresh of our own."""
        usage = case.dialog.user
        if usage is None or case.route.status is RouteSetStatus.HEALTHY:
            self.forget(case.dialog)
            return
        case.route.attempted()
        if case.probe is not None:
            self._send(case.probe)
        elif not _refreshes(usage, now):
            # The session is being changed at this moment: either the peer will be heard, or there is another time.
            self._attempt_failed(case)

    def _attempt_failed(self, case: _Case) -> bool:
        """An attempt came to nothing; return whether there is another one."""
        before = case.route.status
        case.route.failed(self._manager.driver.now())
        status = case.route.status
        if status is RouteSetStatus.RECOVERING:
            self._appoint(case)
            return True
        if status is RouteSetStatus.LOST:
            self._give_up(case)
        else:
            self._wait(case, before)
        return False

    def _give_up(self, case: _Case) -> None:
        """It was looked for long enough: what waits fails, and the session ends."""
        self._manager.keeper.limit_hit("recovery_timeout")
        now = self._manager.driver.now()
        usage = case.dialog.user
        waiting, case.queue = case.queue, []
        self.forget(case.dialog)
        for errand in waiting:
            errand.owner.errand_failed(errand, case.reason, now)
        if usage is not None:
            self._tell(case, RouteSetStatus.RECOVERING, case.reason)
            usage.bye(now, ending=Ending.UNREACHABLE)

    def _wait(self, case: _Case, before: RouteSetStatus) -> None:
        """From now on it is the peer's to find; what waits is tried, and fails by itself."""
        self._manager.keeper.limit_hit("recovery_timeout")
        case.probe = None
        self._appoint(case)
        self._send_queue(case)
        self._tell(case, before, case.reason)

    # -- the way is found ----------------------------------------------------------------------------------------------

    def heard(self, dialog: Dialog) -> None:
        """The peer of *dialog* was heard."""
        case = self._cases.get(dialog)
        if case is None or case.route.status is RouteSetStatus.HEALTHY:
            return
        before = case.route.status
        case.route.heard()
        usage = dialog.user
        if usage is None:
            self.forget(dialog)
            return
        now = self._manager.driver.now()
        self._manager.core.appointments.set(case, now + _KEPT)
        self._manager.driver.rearm()
        if usage.session_timer is not None:
            usage.session_timer.resume(now)
            usage.appoint()
        probe, case.probe = case.probe, None
        if probe is not None and not self._errands.carries(probe):
            # The peer was faster.
            case.queue.insert(0, probe)
        # Before a handler has others sent.
        self._send_queue(case)
        self._tell(case, before)

    def _send_queue(self, case: _Case) -> None:
        waiting, case.queue = case.queue, []
        for errand in waiting:
            if self._send(errand):
                self._again.add(errand)

    def _send(self, errand: Errand) -> bool:
        """Let *errand* be sent with what the dialog says now: a later sequence number than all that went before, and
        the target as it was refreshed last. Not where the dialog is over."""
        plan, dialog = errand.plan, errand.plan.dialog
        if dialog is None or dialog not in self._manager.core.dialogs:
            gone = ConnectionFailure("the dialog ended before the request could be sent")
            errand.owner.errand_failed(errand, gone, self._manager.driver.now())
            return False
        try:
            fresh = dialog.plan(plan.method)
        except InvalidOperation as error:
            # 8.1.1.5: it has no sequence number left.
            errand.owner.errand_failed(errand, error, self._manager.driver.now())
            return False
        plan.uri, plan.to, plan.routes, plan.next_hop = fresh.uri, fresh.to, fresh.routes, fresh.next_hop
        plan.cseq = fresh.cseq
        errand.transaction = None
        self._manager.core.say(RequestWanted(errand))
        return True

    def forget(self, dialog: Dialog) -> None:
        """Look for nothing any more: the way is found, or the session is over. What waits belongs to what the dialog is
        used for besides, which finds the way by itself; or to nothing that could still be."""
        case = self._cases.pop(dialog, None)
        if case is None:
            return
        self._manager.core.appointments.set(case, None)
        waiting, case.queue = case.queue, []
        usages: tuple[object, ...] = tuple((dialog.subscriptions or {}).values())
        for errand in waiting:
            if errand.owner in usages:
                self._send(errand)
            else:
                errand.owner.errand_failed(errand, case.reason, self._manager.driver.now())

    def _appoint(self, case: _Case) -> None:
        self._manager.core.appointments.set(case, case.route.next_attempt)
        self._manager.driver.rearm()

    def _tell(self, case: _Case, before: RouteSetStatus, reason: BaseException | None = None) -> None:
        usage = case.dialog.user
        if usage is not None and usage.user is not None:
            _session_of(usage).tell("route_set_changed", RouteSetStatusChanged(before, case.route.status, reason))


def _refreshes(usage: InviteUsage, now: float) -> bool:
    """Whether a refresh of our own is on its way now."""
    if usage.outgoing is not None:
        return False
    refresh(usage, now)
    return usage.outgoing is not None


def _session_of(usage: InviteUsage) -> Recoverable:
    return cast("Recoverable", usage.user)
