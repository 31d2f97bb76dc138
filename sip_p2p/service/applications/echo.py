"""``echo``: the text of each MESSAGE goes back to its sender, and each session is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sip_p2p.errors import MalformedMessage, SipError
from sip_p2p.observe.redact import without_passwords
from sip_p2p.service.applications.base import Answer
from sip_p2p.service.applications.log import LogApplication
from sip_p2p.service.silence import Echo
from sip_p2p.service.words import explain
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession

__all__ = ["ECHO_FIELD", "EchoApplication"]

_log = Logger()

ECHO_FIELD = "X-Sip-P2p-Echo"
"""Marks an echo, so that two echoing parties do not talk for ever."""


class EchoApplication(LogApplication):
    """As ``log``, and the text of each MESSAGE goes back to its sender in a MESSAGE of our own; every session rings and
    is accepted, and each offer in it answered with itself.

    It goes to the URI in From, and only where the sender has proved that URI's domain (on clear text: where it names
    the very address that the message came from): nobody can make us write to somebody else. What is said in a session
    goes back in that session.
    """

    _endpoint: SipPeerToPeerEndpoint | None = None
    _offers = Echo()

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Keep the endpoint to answer with."""
        super().started(endpoint)
        self._endpoint = endpoint

    def message(self, event: IncomingRequest) -> Answer:
        """Accept it, and send its text back."""
        reason = self._not_echoed(event)
        if reason:
            self.happenings.emit("not-echoed", call_id=event.call_id, reason=reason)
        else:
            # The answer goes first: the sender need not wait for what it is sent.
            event.respond(200)
            Deferred.fromCoroutine(self._echo(event)).addErrback(
                lambda failure: _log.failure("the echo failed", failure=failure)
            )
        return None

    async def session(self, session: SignalingSession) -> None:
        """Let it ring, and accept it."""
        session.message_received.subscribe(lambda event: self._message_in(session, event))
        session.ring()
        try:
            await session.accept(self._offers)
        except SipError as error:
            words = explain(error)
            self.happenings.emit("session-failed", call_id=session.call_id, words=words.what, remedy=words.remedy)

    def _message_in(self, session: SignalingSession, event: IncomingRequest) -> None:
        """Accept a message in a session, and send its text back there."""
        event.respond(200)
        reason = _no_text(event)
        if reason:
            self.happenings.emit("not-echoed", call_id=event.call_id, reason=reason)
            return
        back = session.send_message(event.text, headers=((ECHO_FIELD, "1"),))
        back.addErrback(lambda failure: failure.trap(SipError))

    def _not_echoed(self, event: IncomingRequest) -> str:
        """Why this message gets no echo; empty when it gets one."""
        reason = _no_text(event)
        if reason:
            return reason
        try:
            sender = event.from_.uri
        except MalformedMessage as error:
            return str(error)
        if not isinstance(sender, SipUri):
            return "its sender has no SIP URI"
        proved = event.peer.identities if event.peer.is_verified else event.peer.address[:1]
        return "" if sender.host in proved else "its sender has not proved the domain in From"

    async def _echo(self, event: IncomingRequest) -> None:
        if self._endpoint is None:
            return
        target = str(event.from_.uri)
        try:
            response = await self._endpoint.send_message(target, event.text, headers=((ECHO_FIELD, "1"),))
        except SipError as error:
            words = explain(error)
            self.happenings.emit("echo-failed", call_id=event.call_id, words=words.what, remedy=words.remedy)
        else:
            to = without_passwords(target)
            self.happenings.emit("echoed", call_id=event.call_id, to=to, status=response.status)


def _no_text(event: IncomingRequest) -> str:
    """Why a message has nothing to be sent back; empty where it has."""
    if ECHO_FIELD in event.request.headers:
        return "it is an echo"
    try:
        content_type = event.content_type
        text = event.text
    except (MalformedMessage, ValueError) as error:
        return str(error)
    if not text or (content_type is not None and content_type.type != "text"):
        return "it holds no text"
    return ""
