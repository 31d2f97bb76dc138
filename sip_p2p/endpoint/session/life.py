"""How a session lives: its state, its events, what waits in it, and its end (rows H1, H18; fault K5).

Everything that can happen to a session passes here once, so that the order of what is told is the same everywhere, and
that at the end nothing is left: no Deferred without an outcome, no question whose answer nobody wants, no handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from sip_p2p.endpoint.session.answering import Answering
from sip_p2p.endpoint.session.participant import EarlyDialog
from sip_p2p.endpoint.session.recovery import Recovery
from sip_p2p.endpoint.session.states import (
    SignalingInput,
    SignalingState,
    SignalingStateChanged,
    SignalingTransitionReason,
    following,
    reason_of_ending,
)
from sip_p2p.errors import MalformedMessage, OperationTimeout, SessionTerminated
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.effects import Ending

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.events import Event
    from sip_p2p.endpoint.identity.verdict import PassportVerdict
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.calling import Calling
    from sip_p2p.endpoint.session.exchange import IncomingOffer
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import Errand, Established, UsageEnded, UsageEnding
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request, Response

__all__ = ["SessionLife", "Waiting"]


class Waiting:
    """What waits in a session; made when something does, and gone when nothing does any more.

    :ivar changes: our changes of the session, by the dialog's usage.
    :ivar offers: the peer's offers, likewise.
    :ivar requests: our other requests.
    :ivar unanswered: the peer's, by their transactions.
    :ivar asked: what the application was asked beside that.
    """

    __slots__ = ("asked", "changes", "offers", "requests", "unanswered")

    def __init__(self) -> None:
        self.changes: dict[InviteUsage, Deferred[ContentDescription | None]] = {}
        self.offers: dict[InviteUsage, IncomingOffer] = {}
        self.requests: dict[Errand, Deferred[Response]] = {}
        self.unanswered: list[IncomingRequest] = []
        self.asked: list[Deferred[Any]] = []


class SessionLife:
    """What a :class:`~.session.SignalingSession` is beneath what an application does with it. Its methods are the
    library's own."""

    __slots__ = (
        "_events",
        "_gone",
        "_state",
        "_waiting",
        "application_context",
        "call_id",
        "endpoint",
        "is_incoming",
        "number",
        "passport",
        "recovery",
        "remote_description",
        "set_up",
        "source",
        "usage",
    )

    def __init__(self, endpoint: RealTimeEndpoint, set_up: Calling | Answering | None, call_id: str) -> None:
        """
        :param set_up: what brings it about; None for one that is taken up again as it stood.
        """
        self.endpoint = endpoint
        self.call_id = call_id
        self.passport: PassportVerdict | None = None
        self.number = 0
        self.is_incoming = isinstance(set_up, Answering)
        self.application_context: object = None
        self.recovery = Recovery.LIMITED
        self.remote_description: ContentDescription | None = None
        self.source: Any = None
        self.usage: InviteUsage | None = None
        self.set_up = set_up
        self._state = SignalingState.INCOMING if self.is_incoming else SignalingState.IDLE
        self._waiting: Waiting | None = None
        self._events: dict[str, Event[Any]] | None = None
        self._gone: list[Deferred[None]] | None = None
        if set_up is not None:
            set_up.belongs_to(self._self)

    @property
    def state(self) -> SignalingState:
        """Where it stands."""
        return self._state

    def resumed(self, usage: InviteUsage, is_incoming: bool) -> None:
        """It was saved, and stands as it stood (row H33)."""
        self.usage = usage
        self.call_id = usage.dialog.call_id
        self.is_incoming = is_incoming
        self._state = SignalingState.CONNECTED

    @property
    def is_over(self) -> bool:
        """Whether it is disconnected."""
        return self._state is SignalingState.DISCONNECTED

    # -- its events ----------------------------------------------------------------------------------------------------

    @property
    def events(self) -> dict[str, Event[Any]]:
        """Those that somebody has asked for, by name."""
        if self._events is None:
            self._events = {}
        return self._events

    def hears(self, name: str) -> bool:
        """Whether anybody has subscribed to the event *name*."""
        event = None if self._events is None else self._events.get(name)
        return event is not None and bool(event)

    def handlers(self, name: str) -> tuple[Any, ...]:
        """Who has."""
        event = None if self._events is None else self._events.get(name)
        return () if event is None else event.handlers

    def tell(self, name: str, what: object) -> None:
        """Tell them."""
        event = None if self._events is None else self._events.get(name)
        if event is not None:
            event.tell(what)

    def traced_changed(self) -> None:
        """The first who wants to see its messages came, or the last one went."""
        watching = self.endpoint.connection_manager.sessions.watching
        if self.hears("traced") and not self._is_gone:
            watching.watch(self._self)
        else:
            watching.forget(self._self)

    def failed(self, failure: Failure) -> None:
        """Something of the application's raised."""
        self.endpoint.connection_manager.dispatch.handler_failed("INVITE", failure)

    @property
    def _self(self) -> SignalingSession:
        return cast("SignalingSession", self)

    def hold_flow(self, usage: InviteUsage) -> None:
        """The connection of a dialog is kept as long as the dialog is (row E7)."""
        manager = self.endpoint.connection_manager
        if usage.dialog in manager.core.dialogs:
            manager.sessions.errands.flows.hold(usage.dialog)

    # -- its state -----------------------------------------------------------------------------------------------------

    def become(
        self,
        happened: SignalingInput,
        reason: SignalingTransitionReason,
        message: Request | Response | None = None,
    ) -> bool:
        """*happened*: the state is what follows; returns whether that is another one."""
        previous = self._state
        state = self._state = following(previous, happened)
        if state is previous:
            return False
        everybody = self.endpoint.connection_manager.sessions.state_changed
        is_heard = self.hears("state_changed")
        if is_heard or everybody:
            change = SignalingStateChanged(previous, state, reason, message)
            everybody.tell((self._self, change))
            if is_heard:
                self.tell("state_changed", change)
        return True

    @property
    def waiting(self) -> Waiting:
        """What waits in it."""
        if self._waiting is None:
            self._waiting = Waiting()
        return self._waiting

    @property
    def unanswered(self) -> int:
        """How many requests of the peer's wait in it for the application."""
        return 0 if self._waiting is None else sum(not each.is_answered for each in self._waiting.unanswered)

    def keep_asking(self, asked: Deferred[Any]) -> None:
        """The application was asked for something that nobody wants any more when the session is over."""
        if not asked.called:
            waiting = self.waiting.asked
            waiting[:] = [*(each for each in waiting if not each.called), asked]

    def established(self, effect: Established) -> None:
        """It stands."""
        if effect.owner is not self.usage:
            return
        self.endpoint.connection_manager.sessions.totals["sessions_established"] += 1
        if self.is_incoming and self.remote_description is None:
            # The answer to our offer is in the ACK: it is told next, and known before anybody hears of the session.
            try:
                self.remote_description = description_of(effect.message)
            except MalformedMessage:
                self.remote_description = None
        set_up, self.set_up = self.set_up, None
        self.become(SignalingInput.ESTABLISHED, SignalingTransitionReason.NONE, effect.message)
        if set_up is not None:
            set_up.settle(None)
            set_up.close()
        if isinstance(set_up, Answering) and set_up.replacement is not None and not set_up.replacement.is_join:
            # RFC 3891 section 3: its place is taken; CANCEL or BYE, as its state demands.
            set_up.replacement.session.end([])

    def usage_ended(self, effect: UsageEnded) -> None:
        """A dialog of it is over; where it is the session's own, so is the session."""
        usage, ending = effect.owner, effect.ending
        self._forget(usage, SessionTerminated("the early dialog is over", SignalingTransitionReason.CANCELED.name))
        if usage is not self.usage:
            if not self.is_over and self.set_up is not None and self.hears("early_dialog_ended"):
                self.tell("early_dialog_ended", EarlyDialog(self._self, usage))
            return
        if ending is Ending.EARLY and self.set_up is not None:
            # Accepted, but the 2xx was never sent: what ended the INVITE is told next.
            self.usage = None
            return
        self._is_decided(ending, effect.message)
        self.usage = None
        self.set_up_over()

    def usage_ending(self, effect: UsageEnding) -> None:
        """It is decided that the session's dialog ends: for the application that is the end, and what is still said to
        the peer happens behind its back."""
        if effect.owner is not self.usage or self.is_over:
            return
        self._is_decided(effect.ending, effect.message)
        set_up, self.set_up = self.set_up, None
        if set_up is not None:
            set_up.close()

    def _is_decided(self, ending: Ending, message: Request | Response | None) -> None:
        """The session has ended like that; nobody is told so twice."""
        reason = reason_of_ending(ending)
        error: BaseException = SessionTerminated(f"the session ended: {ending.value}", reason.name)
        if ending is Ending.NO_ACK:
            error = OperationTimeout("the peer never acknowledged the session")
        self.become(SignalingInput.ENDED, reason, message)
        self._fail_all(error)

    def set_up_over(self) -> None:
        """What brought it about came to an end."""
        set_up, self.set_up = self.set_up, None
        if set_up is not None:
            set_up.close()
        self._look()

    # -- its end -------------------------------------------------------------------------------------------------------

    def end(self, fields: list[tuple[str, str]]) -> None:
        """End it by ourselves, as its state demands; nothing happens the second time."""
        if self._state is SignalingState.DISCONNECTED:
            return
        set_up, usage = self.set_up, self.usage
        was_standing = self._state is SignalingState.CONNECTED
        # What is to be sent is said before anybody hears of the end, and goes out whatever they do.
        driver = self.endpoint.connection_manager.driver
        if was_standing and usage is not None:
            usage.bye(driver.now(), fields)
        is_waiting = set_up is not None and set_up.terminate(fields)
        self.become(SignalingInput.ENDED, SignalingTransitionReason.TERMINATED_LOCALLY)
        words = SessionTerminated("the session was terminated", SignalingTransitionReason.TERMINATED_LOCALLY.name)
        self._fail_all(words)
        if not is_waiting and set_up is not None:
            self.set_up = None
            set_up.close()
        driver.drain()
        self._look()

    def give_up(self) -> None:
        """The application has cancelled what it waited for."""
        self.end([])

    def abandon(self, error: BaseException) -> None:
        """There is no time left: whatever waits fails, and no answer to anything is waited for."""
        if self.set_up is not None and self.usage is None and not self.is_over:
            self.set_up.terminate([])
        self.become(SignalingInput.ENDED, SignalingTransitionReason.TERMINATED_LOCALLY)
        self._fail_all(error)
        usage, self.usage = self.usage, None
        if usage is not None:
            usage.ended(Ending.LOCAL_BYE, self.endpoint.connection_manager.driver.now())
        self.set_up_over()

    @property
    def _is_gone(self) -> bool:
        return self._state is SignalingState.DISCONNECTED and self.set_up is None and self.usage is None

    def when_gone(self) -> Deferred[None]:
        """Fires when nothing of it is left."""
        if self._is_gone:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        if self._gone is None:
            self._gone = []
        self._gone.append(waiting)
        return waiting

    def _look(self) -> None:
        """See whether anything of it is left."""
        if not self._is_gone:
            return
        manager = self.endpoint.connection_manager
        manager.sessions.watching.forget(self._self)
        manager.sessions.gone(self._self)
        self._events = None
        self.source = None
        gone, self._gone = self._gone, None
        for waiting in gone or ():
            waiting.callback(None)

    def _fail_all(self, error: BaseException) -> None:
        """Whoever waits for something hears that it will not come."""
        if self.set_up is not None:
            self.set_up.settle(error)
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        for offer in waiting.offers.values():
            offer.withdraw()
        for asked in waiting.asked:
            asked.cancel()
        for incoming in waiting.unanswered:
            self.endpoint.connection_manager.dispatch.forget(incoming)
        unsettled: list[Deferred[Any]] = [*waiting.changes.values(), *waiting.requests.values()]
        for done in unsettled:
            if not done.called:
                done.errback(Failure(error))

    def _forget(self, usage: InviteUsage, error: BaseException) -> None:
        """A dialog of it is over: what waits there does so in vain."""
        waiting = self._waiting
        if waiting is None:
            return
        for incoming in waiting.unanswered:
            if incoming.is_answered:
                # 15.1.2: by the dialog, with 487.
                self.endpoint.connection_manager.dispatch.forget(incoming)
        offer = waiting.offers.pop(usage, None)
        if offer is not None:
            offer.withdraw()
        done = waiting.changes.pop(usage, None)
        if done is not None and not done.called:
            done.errback(Failure(error))
