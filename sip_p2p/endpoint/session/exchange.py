"""Offers and answers within a session: those of the peer, which the application answers, and ours (rows H11 and H19 to
H22; RFC 3261 section 14, RFC 3311, RFC 3264, RFC 6141).

An offer of the peer's goes, in this order, to

1. the session's own :class:`~.offers.IOfferAnswer`, if it was given one;
2. the handlers of ``session.offer_received``; the first that decides counts;
3. nobody: then an offer that is the same as the last one is answered as the last one was, an INVITE that asks for an
   offer gets our last description, and everything else is refused with 488 (section 14.2). So a peer that refreshes its
   session by re-INVITE can do so with an application that knows nothing of that.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.session.calling import Calling
from sip_p2p.endpoint.session.events import RemoteAnswer
from sip_p2p.endpoint.session.offers import Fixed, ask, described, refusal_of, source_of, tell_source
from sip_p2p.endpoint.session.participant import EarlyDialog
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import InvalidOperation, OfferRejected, RequestFailed
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.readings import warning_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import AnswerReceived, ModificationEnded, OfferReceived, OfferWithdrawn
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request

__all__ = [
    "IncomingOffer",
    "change_ended",
    "receive_answer",
    "receive_offer",
    "renegotiate",
    "withdraw_offer",
]

_REFUSED = 488


@final
class IncomingOffer:
    """An offer of the peer within a session, or its wish for one of ours.

    A handler decides with :meth:`accept` or :meth:`decline`, at once or, after :meth:`defer`, later; or it returns the
    answer, or a ``Deferred`` or coroutine of it. Where the offer is withdrawn meanwhile, what the handler still does is
    cancelled.

    :ivar session: the session.
    :ivar description: the offer; None where the peer asks for one of ours.
    :ivar request: the re-INVITE, UPDATE or PRACK that carried it; None where a response did.
    :ivar is_decided: whether it has its answer, or wants none any more.
    """

    __slots__ = ("_asked", "_is_deferred", "_usage", "description", "is_decided", "request", "session")

    def __init__(
        self,
        session: SignalingSession,
        usage: InviteUsage,
        description: ContentDescription | None,
        request: Request | None,
    ) -> None:
        self.session = session
        self.description = description
        self.request = request
        self.is_decided = False
        self._usage = usage
        self._is_deferred = False
        # One for each handler that decides later.
        self._asked: list[Deferred[Any]] = []

    @property
    def usage(self) -> InviteUsage:
        """The dialog's usage that it came in."""
        return self._usage

    def defer(self) -> None:
        """Tell that the decision comes later."""
        self._is_deferred = True

    def accept(self, answer: Any, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer it; or make our offer, where the peer asked for one.

        :param answer: text, octets or a description.
        :raises InvalidOperation: when it was decided, or is wanted no longer.
        :raises ValueError: for what cannot be an answer.
        """
        description = described(answer)
        fields = application_fields(headers)
        self._check_open()
        driver = self.session.endpoint.connection_manager.driver
        self._usage.answer(description, driver.now(), fields)
        self.is_decided = True
        if self.description is not None:
            set_up = self.session.set_up
            if isinstance(set_up, Calling):
                set_up.heard(self._usage, self.description)
            self.session.remote_description = self.description
        driver.drain()

    def decline(
        self, status: int = _REFUSED, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Refuse it: the session stays as it was. An offer that came in a 2xx ends the session when it is refused.

        :raises InvalidOperation: when it was decided, or is wanted no longer.
        :raises ValueError: for a status below 300 or above 699.
        """
        fields = application_fields(headers)
        if status == _REFUSED and all(name != "Warning" for name, _ in fields):
            # 14.2, RFC 3311 section 5.2: it should have one.
            fields.append(("Warning", warning_value("the offer is not acceptable")))
        self._check_open()
        driver = self.session.endpoint.connection_manager.driver
        self._usage.decline(status, driver.now(), fields, reason)
        self.is_decided = True
        driver.drain()

    def progress(
        self, status: int = 183, reason: str | None = None, *, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Send a provisional response: a decision that takes a while (row H20).

        :raises InvalidOperation: when it was decided, or did not come in a re-INVITE.
        """
        fields = application_fields(headers)
        self._check_open()
        driver = self.session.endpoint.connection_manager.driver
        self._usage.progress(status, driver.now(), fields, reason)
        driver.drain()

    def _check_open(self) -> None:
        check_thread()
        if self.is_decided or self.session.state is SignalingState.DISCONNECTED:
            raise InvalidOperation("the offer has been decided, or is wanted no longer")

    # -- asking the application ----------------------------------------------------------------------------------------

    def put(self) -> None:
        """Ask whoever decides."""
        session = self.session
        source = session.source
        if source is not None and not isinstance(source, Fixed):
            if self.description is None:
                self._ask(source.get_offer, session)
            else:
                self._ask(source.get_answer, session, self.description)
            return
        for handler in session.handlers("offer_received"):
            if self.is_decided:
                break
            try:
                result: Any = handler(self)
            except KeyboardInterrupt:
                raise
            except BaseException:
                self._refuse(Failure())
                return
            if result is not None:
                self._conclude(result)
        if not self.is_decided and not self._is_deferred and not session.is_over:
            self._decide_alone()

    def _ask(self, question: Any, *arguments: Any) -> None:
        manager = self.session.endpoint.connection_manager
        asked = ask(manager.reactor, manager.limits.answer_timeout, question, *arguments)
        if not asked.called:
            self._asked.append(asked)
        asked.addCallback(self._answered).addErrback(self._refuse)

    def _conclude(self, result: Any) -> None:
        """What a handler returned."""
        if iscoroutine(result) or isinstance(result, Deferred):
            self._is_deferred = True
            self._ask(lambda: result)
        else:
            try:
                self._answered(result)
            except Exception:
                self._refuse(Failure())

    def _answered(self, answer: Any) -> None:
        if self.is_decided:
            return
        if answer is None:
            # Who was asked and has none says no.
            self.decline()
        else:
            self.accept(answer)

    def _decide_alone(self) -> None:
        """Nobody else does: what is as it was is answered as it was."""
        session = self.session
        ours = session.local_description
        try:
            if ours is not None and (self.description is None or self.description == session.remote_description):
                self.accept(ours)
            else:
                self.decline()
        except InvalidOperation:
            # It was withdrawn in the same moment, which is told next.
            self.is_decided = True

    def _refuse(self, failure: Failure) -> None:
        status = refusal_of(failure)
        if self.is_decided or self.session.state is SignalingState.DISCONNECTED:
            return
        error = failure.value
        fields: list[tuple[str, str]] = []
        if isinstance(error, OfferRejected):
            fields.append(("Warning", warning_value(error.warning)))
        driver = self.session.endpoint.connection_manager.driver
        self.is_decided = True
        set_up = self.session.set_up
        if isinstance(set_up, Calling):
            set_up.refused = error
        try:
            self._usage.decline(status, driver.now(), fields)
        except InvalidOperation:
            if isinstance(error, InvalidOperation):
                # It was withdrawn in the same moment: nothing is wrong with the answer.
                return
        if not isinstance(error, OfferRejected):
            self.session.failed(failure)
        driver.drain()

    def withdraw(self) -> None:
        """It wants no answer any more."""
        self.is_decided = True
        waiting, self._asked = self._asked, []
        for asked in waiting:
            asked.cancel()


def receive_offer(session: SignalingSession, effect: OfferReceived) -> None:
    """The peer made an offer, or asked for one."""
    if session.is_over:
        # It was ended in the same moment, and with it whatever it owed.
        return
    incoming = IncomingOffer(session, effect.owner, effect.description, effect.request)
    session.waiting.offers[effect.owner] = incoming
    incoming.put()
    if incoming.is_decided:
        session.waiting.offers.pop(effect.owner, None)


def withdraw_offer(session: SignalingSession, effect: OfferWithdrawn) -> None:
    """The peer's offer wants no answer any more: who was asked is told."""
    incoming = session.waiting.offers.pop(effect.owner, None)
    if incoming is not None and not incoming.is_decided:
        incoming.withdraw()
        session.tell("offer_withdrawn", incoming)


def receive_answer(session: SignalingSession, effect: AnswerReceived) -> None:
    """The peer answered our offer; whoever made that is told, but not of the same once more after a preview."""
    if session.state is SignalingState.DISCONNECTED:
        return
    description = effect.description
    is_known = False
    if isinstance(session.set_up, Calling):
        is_known = session.set_up.heard(effect.owner, description)
    session.remote_description = description
    if session.hears("answer_received"):
        is_early = session.state is not SignalingState.CONNECTED and effect.owner is not session.usage
        dialog = EarlyDialog(session, effect.owner) if is_early else None
        session.tell("answer_received", RemoteAnswer(description, effect.is_preview, dialog))
    if not is_known:
        tell_source(session, description)


def renegotiate(
    session: SignalingSession,
    usage: InviteUsage,
    offer: Any,
    fields: list[tuple[str, str]],
    method: str | None,
) -> Deferred[ContentDescription | None]:
    """Change the session; see :meth:`.SignalingSession.renegotiate`."""
    source = source_of(offer)
    if usage in session.waiting.changes:
        raise InvalidOperation("another change of the session is under way", retryable=True)
    manager = session.endpoint.connection_manager
    if isinstance(source, Fixed):
        done: Deferred[ContentDescription | None] = Deferred(lambda _: _cancelled(session, usage))
        usage.modify(source.description, manager.driver.now(), fields, method)
        session.waiting.changes[usage] = done
        manager.driver.drain()
        return done
    done = Deferred(lambda _: _cancelled(session, usage) if asked.called else asked.cancel())
    session.source = source
    session.waiting.changes[usage] = done
    asked = ask(manager.reactor, manager.limits.answer_timeout, source.get_offer, session)

    def begin(description: ContentDescription | None) -> None:
        if session.waiting.changes.get(usage) is done:
            usage.modify(description, manager.driver.now(), fields, method)
            manager.driver.drain()

    def give_up(failure: Failure) -> None:
        if session.waiting.changes.get(usage) is done:
            del session.waiting.changes[usage]
            done.errback(failure)

    asked.addCallback(begin).addErrback(give_up)
    session.keep_asking(asked)
    return done


def _cancelled(session: SignalingSession, usage: InviteUsage) -> None:
    """Nobody waits for the outcome of a change any more."""
    driver = session.endpoint.connection_manager.driver
    usage.cancel_modification(driver.now())
    driver.drain()


def change_ended(session: SignalingSession, effect: ModificationEnded) -> None:
    """A change of ours has its outcome."""
    done = session.waiting.changes.pop(effect.owner, None)
    if done is None or done.called:
        return
    response = effect.response
    if response is not None and response.status < 300:
        done.callback(session.remote_description)
    elif response is not None:
        done.errback(Failure(effect.reason or RequestFailed(response)))
    else:
        done.errback(Failure(effect.reason or InvalidOperation("the change was given up")))
