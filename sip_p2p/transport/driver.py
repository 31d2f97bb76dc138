"""The one place where both worlds are visible: it feeds the core, drains its outputs and keeps the time.

What a turn of the reactor brings, on however many flows, goes to the core together at the end of that turn, and all
that it gives rise to leaves in one write per flow. Between system calls the same code takes half as long again, and a
peer that sleeps is woken once and not for each answer: with fifty busy connections a message costs two thirds of what
it costs by itself.

Where each turn brings one delivery, there is nothing to wait for, and the end of the turn costs a lone message more
than anything else that could be left out: after some such turns in a row a delivery goes to the core at once, until
two come so close together that they may be of one turn. On a clock that a test advances that never happens.

There is one delayed call for time however many transactions, deadlines and flows there are; it is moved only when
something is due earlier than it.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Protocol, cast, final

from twisted.internet.base import ReactorBase

from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import (
    AckReceived,
    CloseFlow,
    RequestAbandoned,
    RequestReceived,
    ResponseReceived,
    SendMessage,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.transport.clock import time_source
from sip_p2p.transport.flow import PAUSED_FOR_ANSWERS
from sip_p2p.transport.throttle import LogBounds, ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from sip_p2p.sip.dialog.effects import InviteEffect
    from sip_p2p.sip.event.usage import EventEffect
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.outputs import Output
    from sip_p2p.sip.transaction.base import Transaction
    from sip_p2p.sip.transaction.layer import ClientTransaction, ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore
    from sip_p2p.transport.alarms import Alarms
    from sip_p2p.transport.deadlines import Deadlines
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.load.overload import OverloadMonitor

__all__ = ["Driver", "Tap", "TransactionUser"]

_CLOCK_STEP = 0.05
# As many messages wait for the end of a turn; with more the end is not waited for.
_MOST_WAITING = 512
# After so many turns in a row with one delivery each, the next one is expected to be alone as well.
_TURNS_ALONE = 8
# Deliveries less than this apart, in seconds from the end of what the first gave rise to, may be of one turn.
_ONE_TURN = 0.0001


class Tap(Protocol):
    """Sees every message as it is read from or written to a flow (TLS is off by then). It must not raise."""

    def message(self, direction: str, flow: LiveFlow, data: bytes, now: float) -> None:
        """*data* went ``in`` or ``out``; *now* is the wall clock, seconds since 1970."""


class TransactionUser(Protocol):
    """Whoever the outputs are for (RFC 3261 section 5): the endpoints, behind the connection manager."""

    def request_received(self, output: RequestReceived) -> None:
        """A request waits for an answer."""

    def ack_received(self, output: AckReceived) -> None:
        """A 2xx was acknowledged."""

    def request_abandoned(self, output: RequestAbandoned) -> None:
        """Nobody waits for this answer any more."""

    def response_received(self, output: ResponseReceived) -> None:
        """A response to a request of ours."""

    def transaction_ended(self, output: TransactionTimedOut | TransactionFailed) -> None:
        """A request of ours ended without a final response."""

    def invite_effect(self, effect: InviteEffect | EventEffect) -> None:
        """What a dialog, an INVITE or a subscription wants, or has to tell."""


@final
class Driver:
    """Runs one core on one reactor.

    :ivar now: the time source; seconds, monotonic.
    """

    __slots__ = (
        "_alone",
        "_armed_for",
        "_call",
        "_core",
        "_deadlines",
        "_done",
        "_draining",
        "_drift",
        "_log",
        "_look_again",
        "_may_be_alone",
        "_monitor",
        "_peers_log",
        "_reactor",
        "_received",
        "_stopped",
        "_taps",
        "_turn_end",
        "_user",
        "_waiting",
        "log_bounds",
        "now",
    )

    def __init__(
        self, reactor: IReactorTime, core: UserAgentCore, user: TransactionUser, log_bounds: LogBounds | None = None
    ) -> None:
        """:param log_bounds: how much may be logged of what peers cause."""
        self._reactor = reactor
        self.now = time_source(reactor)
        self._core = core
        self._user = user
        self.log_bounds = LogBounds() if log_bounds is None else log_bounds
        # Two, so that what peers do every day does not keep from us what should not happen.
        self._peers_log = ThrottledLog("sip_p2p.transport.driver", self.now, self.log_bounds)
        self._log = ThrottledLog("sip_p2p.transport.driver", self.now, self.log_bounds)
        self._taps: tuple[Tap, ...] = ()
        self._deadlines: tuple[Deadlines[LiveFlow] | Alarms[LiveFlow] | OverloadMonitor, ...] = ()
        self._draining = False
        self._look_again = False
        self._monitor: OverloadMonitor | None = None
        self._stopped = False
        self._call: IDelayedCall | None = None
        self._turn_end: IDelayedCall | None = None
        self._received: list[tuple[LiveFlow, Sequence[object]]] = []
        self._waiting = 0
        self._may_be_alone = isinstance(reactor, ReactorBase)
        self._alone = 0
        self._done = 0.0
        self._armed_for = 0.0
        self._drift = 0.0

    def received(self, flow: LiveFlow, framed: Sequence[object]) -> None:
        """Everything that one delivery completed on *flow*; the core has it before this turn of the reactor is over."""
        if self._stopped:
            return
        turn_end = self._turn_end
        if turn_end is None:
            if self._alone >= _TURNS_ALONE:
                if self.now() - self._done > _ONE_TURN:
                    self._take_at_once(flow, framed)
                    return
                self._alone = 0
            self._turn_end = self._reactor.callLater(0, self._take_received)
            monitor = self._monitor
            if monitor is not None:
                monitor.touched = True
                if not monitor.is_running:
                    self._start_monitor(monitor)
        elif turn_end.getTime() > self._reactor.seconds():
            # The wall clock was set back, and the turn that is meant is over.
            turn_end.reset(0)
        self._received.append((flow, framed))
        self._waiting += len(framed)
        if self._waiting > _MOST_WAITING:
            self._take_received()

    def _start_monitor(self, monitor: OverloadMonitor) -> None:
        monitor.start(self.now())
        self.rearm()

    def _take_at_once(self, flow: LiveFlow, framed: Sequence[object]) -> None:
        """A delivery that is expected to be the only one of its turn."""
        monitor = self._monitor
        if monitor is not None:
            monitor.touched = True
            if not monitor.is_running:
                self._start_monitor(monitor)
        self._give(flow, framed, self.now())
        self.drain()
        self._done = self.now()

    def _give(self, flow: LiveFlow, framed: Sequence[object], now: float) -> None:
        """Give the core one delivery; it can harm nobody but its sender."""
        core = self._core
        receive = core.receive
        try:
            for item in framed:
                receive(item, flow, now)
                if type(item) is Response and core.has_dialog_to_tell:
                    # What follows may be a request in the dialog that this one makes.
                    self.drain()
        except Exception:
            self._log.failure("what came on {flow} could not be dealt with", flow=flow)
            flow.abort()

    def _take_received(self) -> None:
        """Give the core what came since the last time, in order; it never comes to what was lost or is due later."""
        if not self._received:
            return
        call, self._turn_end = self._turn_end, None
        if call is not None and call.active():
            call.cancel()
        received, self._received = self._received, []
        self._waiting = 0
        now = self.now()
        for flow, framed in received:
            self._give(flow, framed, now)
        self.drain()
        if len(received) > 1:
            self._alone = 0
        elif self._may_be_alone:
            self._alone += 1
            self._done = self.now()

    def request(self, request: Request, flow: LiveFlow, user: object) -> ClientTransaction:
        """Start a client transaction; its outcome comes to the transaction user, with *user* on the transaction."""
        transaction = self._core.request(request, flow, self.now())
        if flow.is_throttled:
            # The answer has to be read.
            flow.resume_reading(PAUSED_FOR_ANSWERS)
        # Before anything is written: a write can find the flow gone.
        transaction.user = user
        self.drain()
        return transaction

    def respond(self, transaction: ServerTransaction, response: Response) -> None:
        """Answer a request."""
        self._core.respond(transaction, response, self.now())
        self.drain()

    def abandon(self, transaction: ClientTransaction) -> None:
        """Nobody waits for the answer to this request any more."""
        self._core.layer.abandon(transaction, self.now())
        self.drain()

    def flow_failed(self, flow: LiveFlow, reason: BaseException) -> None:
        """*flow* is closed or lost; what it carried ends, once what came before that has been dealt with."""
        self._take_received()
        for deadlines in self._deadlines:
            deadlines.stop(flow)
        self._core.flow_failed(flow, reason, self.now())
        self.drain()

    def requests_failed(self, flow: LiveFlow, reason: BaseException) -> bool:
        """What was sent on *flow*, which is no connection, did not arrive: our requests end.

        :returns: False, and nothing has ended, where no request of the peer's lives there: then the flow may go.
        """
        self._take_received()
        layer = self._core.layer
        if not layer.answers(flow):
            return False
        layer.requests_failed(flow, reason)
        self.drain()
        return True

    def transactions_on(self, flow: Flow) -> tuple[Transaction, ...]:
        """What lives on *flow* now, in the order of its beginning."""
        return tuple(self._core.layer.table.flows.get(flow, ()))

    def busy_flows(self) -> list[Flow]:
        """The flows on which transactions live."""
        return list(self._core.layer.table.flows)

    def watch(self, deadlines: Deadlines[LiveFlow] | Alarms[LiveFlow]) -> None:
        """Serve one more kind of deadline."""
        self._deadlines = (*self._deadlines, deadlines)

    @property
    def deadlines(self) -> int:
        """How many deadlines wait, those of transactions not among them."""
        return sum(map(len, self._deadlines))

    def watch_load(self, monitor: OverloadMonitor) -> None:
        """Let *monitor* know when something comes, and give it time while it wants some."""
        self._monitor = monitor
        self._deadlines = (*self._deadlines, monitor)

    def add_tap(self, tap: Tap) -> None:
        """Show every message to *tap* from now on."""
        self._taps = (*self._taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        """Stop showing messages to *tap*; nothing happens when it is not there."""
        self._taps = tuple(present for present in self._taps if present is not tap)

    @property
    def is_tapped(self) -> bool:
        """Whether anybody looks."""
        return bool(self._taps)

    def show(self, direction: str, flow: LiveFlow, data: bytes) -> None:
        """Show one message to every tap; one that raises is logged and stays harmless."""
        now = time()
        for tap in self._taps:
            try:
                tap.message(direction, flow, data, now)
            except Exception:
                self._log.failure("a tap raised")

    def stop(self) -> None:
        """Take the delayed call away: nothing is due any more."""
        self._stopped = True
        if self._turn_end is not None and self._turn_end.active():
            self._turn_end.cancel()
        self._turn_end = None
        self._received.clear()
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def drain(self) -> None:
        """Carry out what the core said, until it has nothing more to say.

        Re-entrant calls return at once: the outer one goes on with what they caused, in order.
        """
        if self._draining:
            return
        self._draining = True
        touched: list[LiveFlow] = []
        closing: list[LiveFlow] = []
        core = self._core
        try:
            while True:
                outputs = core.take_outputs()
                if not outputs:
                    # A flush may find its connection gone, which is an input of its own.
                    if touched:
                        flows, touched = touched, []
                        for flow in flows:
                            self._flush(flow)
                    elif closing:
                        flows, closing = closing, []
                        for flow in flows:
                            flow.close()
                    else:
                        break
                    continue
                for output in outputs:
                    if type(output) is SendMessage:
                        flow = cast("LiveFlow", output.flow)
                        if self._taps:
                            self.show("out", flow, output.data)
                        if flow.cork(output.data):
                            touched.append(flow)
                    elif type(output) is CloseFlow:
                        # At the end of the turn: requests that came before may be answered in this one.
                        flow = cast("LiveFlow", output.flow)
                        self._peers_log.info("closing {flow}: {reason}", flow=flow, reason=output.reason)
                        closing.append(flow)
                    else:
                        self._tell(output)
        finally:
            self._draining = False
        if self._look_again:
            self._look_again = False
            self._arm(self._next_deadline())
        else:
            self._arm(core.next_deadline())

    def _flush(self, flow: LiveFlow) -> None:
        """Write what is held for *flow*; one that cannot be written to is dropped, and the others are written."""
        try:
            flow.flush()
        except Exception:
            self._log.failure("writing to {flow} failed", flow=flow)
            flow.abort()

    def _tell(self, output: Output) -> None:
        """Hand an output to the transaction user; what it raises harms nobody else."""
        user = self._user
        try:
            if type(output) is RequestReceived:
                user.request_received(output)
            elif type(output) is ResponseReceived:
                user.response_received(output)
            elif type(output) is TransactionTimedOut or type(output) is TransactionFailed:
                user.transaction_ended(output)
            elif type(output) is RequestAbandoned:
                user.request_abandoned(output)
            elif type(output) is AckReceived:
                user.ack_received(output)
            else:
                user.invite_effect(cast("InviteEffect | EventEffect", output))
        except Exception:
            self._log.failure("the application failed on {output}", output=type(output).__name__)

    def _next_deadline(self) -> float | None:
        earliest = self._core.next_deadline()
        for deadlines in self._deadlines:
            deadline = deadlines.next_deadline()
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    def rearm(self) -> None:
        """Look again at what is due first, at the end of this turn if there is one; for whoever starts a deadline."""
        if self._draining:
            self._look_again = True
        else:
            self._arm(self._next_deadline())

    def _arm(self, deadline: float | None) -> None:
        """See that the delayed call comes no later than *deadline*, the earliest of those that may be new.

        A call that comes too early costs one look; so it is not moved when deadlines go away, as they do with every
        answer. When the wall clock was set, which the call follows, it is made anew.
        """
        if self._stopped:
            return
        now = self.now()
        drift = self._reactor.seconds() - now
        call = self._call
        if call is not None and call.active():
            if abs(drift - self._drift) >= _CLOCK_STEP:
                deadline = self._next_deadline()
            elif deadline is None or deadline >= self._armed_for:
                return
            call.cancel()
            self._call = None
        if deadline is None:
            return
        self._armed_for = deadline
        self._drift = drift
        self._call = self._reactor.callLater(max(0.0, deadline - now), self._wake)

    def _wake(self) -> None:
        self._call = None
        # What has come is in time, though nobody has looked at it yet.
        self._take_received()
        now = self.now()
        try:
            self._core.handle_timer(now)
            for deadlines in self._deadlines:
                deadlines.handle_timer(now)
        except Exception:
            # One that fails must not stop the clock of all the others.
            self._log.failure("a timer failed")
        self._look_again = True
        self.drain()
