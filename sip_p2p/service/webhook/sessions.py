"""A session that the hook decides about, from its INVITE to its end.

The hook is asked while the INVITE waits. It accepts, refuses, redirects or lets it ring; one that rings is asked about
again when the hook wants that (``ask_again``), or decided by the HTTP API, or refused after ``--max-ring``. A caller
who gives up ends the question: the hook hears of it as ``session-state``. In a session that stands, messages, the
requests that ``--webhook-methods`` names, and offers go to the hook as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import InvalidOperation, SipError
from sip_p2p.service.silence import Silence
from sip_p2p.service.webhook.decision import (
    Decision,
    RequestAnswer,
    SessionAnswer,
    parse_description,
    parse_session_answer,
)
from sip_p2p.service.webhook.failure import STATUS, HookFailure
from sip_p2p.service.webhook.payload import offer_data, session_data
from sip_p2p.service.words import explain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.events import RemoteAnswer
    from sip_p2p.endpoint.session.exchange import IncomingOffer
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.service.applications.base import Answer
    from sip_p2p.service.happenings import Happenings
    from sip_p2p.service.webhook.deliverer import Deliverer
    from sip_p2p.sip.dialog.description import ContentDescription

__all__ = ["DecidedSession"]


@final
class DecidedSession:
    """One session that the hook decides about.

    :param ask: asks the hook about a request in it.
    :param retry_after: the Retry-After field for a failure.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        deliverer: Deliverer,
        happenings: Happenings,
        session: SignalingSession,
        ask: Callable[[IncomingRequest, SignalingSession], Awaitable[Answer]],
        retry_after: Callable[[HookFailure], tuple[str, str]],
    ) -> None:
        self._reactor = reactor
        self._deliverer = deliverer
        self._happenings = happenings
        self._session = session
        self._ask = ask
        self._retry_after = retry_after
        self._waits_for: Deferred[object] | None = None
        self._is_ringing = False

    async def decide(self, methods: tuple[str, ...]) -> None:
        """Ask the hook until the session is decided, or wants no decision any more.

        :param methods: whose requests in the session go to the hook, beside MESSAGE.
        """
        session = self._session
        session.state_changed.subscribe(self._changed)
        session.message_received.subscribe(self._request_in)
        if methods:
            session.request_received.subscribe(lambda event: self._request_in(event, methods))
        session.offer_received.subscribe(self._offer_in)
        session.answer_received.subscribe(self._answer_in)
        try:
            while session.state is SignalingState.INCOMING:
                answer = await self._asked()
                if answer is None or not await self._follow(answer):
                    return
        except CancelledError:
            # The caller gave up while the hook was thinking.
            return

    async def _asked(self) -> SessionAnswer | None:
        """What the hook says; None where it said nothing that counts, and the session is refused."""
        session = self._session
        data = session_data(session, is_ringing=self._is_ringing)
        try:
            answer = await self._waiting(self._deliverer.ask("session", data, parse_session_answer, session.call_id))
        except HookFailure as failure:
            if session.state is SignalingState.INCOMING:
                session.reject(STATUS, headers=[self._retry_after(failure)])
            return None
        return answer if session.state is SignalingState.INCOMING else None

    async def _follow(self, answer: SessionAnswer) -> bool:
        """Do what the hook wants; whether it is to be asked again."""
        session = self._session
        try:
            if answer.decision is Decision.ACCEPT:
                await session.accept(answer.description or Silence(), headers=answer.headers)
            elif answer.decision is Decision.REJECT:
                session.reject(answer.status, answer.reason, headers=answer.headers)
            elif answer.decision is Decision.REDIRECT:
                session.redirect(answer.contacts, answer.status, headers=answer.headers)
            else:
                session.ring(answer.status, answer.reason, headers=answer.headers)
                self._is_ringing = True
                if answer.ask_again is not None:
                    await self._waiting(deferLater(self._reactor, answer.ask_again))
                    return True
        except (SipError, ValueError) as error:
            self._failed(error)
        return False

    def _failed(self, error: Exception) -> None:
        """What the hook wants cannot be, or came to nothing afterwards."""
        session = self._session
        words = explain(error)
        self._happenings.emit("session-failed", call_id=session.call_id, words=words.what, remedy=words.remedy)
        if session.state is SignalingState.INCOMING:
            try:
                session.reject(500)
            except InvalidOperation:
                session.terminate()

    async def _waiting(self, waited_for: Deferred[SessionAnswer] | Deferred[None]) -> SessionAnswer | None:
        """Wait for that, or for the end of the session, which cancels it."""
        self._waits_for = waited_for  # type: ignore[assignment]
        try:
            return await waited_for
        finally:
            self._waits_for = None

    def _changed(self, event: SignalingStateChanged) -> None:
        if event.state is SignalingState.INCOMING:
            return
        waits_for, self._waits_for = self._waits_for, None
        if waits_for is not None:
            waits_for.cancel()

    # -- within it -----------------------------------------------------------------------------------------------------

    def _request_in(self, event: IncomingRequest, methods: tuple[str, ...] = ("MESSAGE",)) -> Awaitable[Answer]:
        """A request in the session."""
        if event.method not in methods:
            allow = ("Allow", self._session.endpoint.profile.allow_value)
            event.respond(405, headers=[allow])
            return _nothing()
        return self._ask(event, self._session)

    async def _offer_in(self, offer: IncomingOffer) -> ContentDescription | None:
        """The peer would change what was agreed."""
        session = self._session
        data: dict[str, object] = {"call_id": session.call_id}
        if offer.description is not None:
            data = offer_data(session, offer.description)
        data["session"] = session.number
        try:
            answer = await self._deliverer.ask("session-offer", data, parse_description, session.call_id)
        except HookFailure as failure:
            if not offer.is_decided and session.state is not SignalingState.DISCONNECTED:
                offer.decline(STATUS, headers=[self._retry_after(failure)])
            return None
        if isinstance(answer, RequestAnswer):
            if not offer.is_decided and session.state is not SignalingState.DISCONNECTED:
                offer.decline(answer.status)
            return None
        return answer

    def _answer_in(self, answer: RemoteAnswer) -> None:
        """The peer has answered an offer of the hook's."""
        session = self._session
        if answer.is_preview:
            return
        data = offer_data(session, answer.description, "answer") | {"session": session.number}
        self._deliverer.tell("session-answer", data, session.call_id)


async def _nothing() -> None:
    """There is nothing to wait for."""
