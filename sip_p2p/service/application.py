"""What the service does with what arrives: log it, echo it, or hand it to a class of the user's own.

A class of your own is made without arguments::

    # myapp.py, run with: twistd -n sip-p2p --application myapp:Greeter ...
    from sip_p2p.service.application import Application

    class Greeter(Application):
        def started(self, endpoint):
            self.endpoint = endpoint

        async def message(self, event):
            if event.peer.identity != "b.example":
                return 403
            await self.endpoint.send_message(event.from_.uri, "hello yourself")
            return 202

        async def session(self, session):
            session.ring()
            await session.accept(answer_to(session.offer))

A method ``authorize`` of its own is asked about each connection before that carries anything. All of them run in the
reactor's thread. What they raise is logged with its traceback and answered with 500, and nothing else notices.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import MalformedMessage, SipError
from sip_p2p.observe.text import printable
from sip_p2p.service.json_lines import JsonLines, described, described_session, place
from sip_p2p.service.silence import Echo
from sip_p2p.service.words import explain
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeAlias

    from sip_p2p.endpoint.connection_request import ConnectionRequest
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.events import StateChanged
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.listener_watch import ListenerLost
    from sip_p2p.endpoint.load_events import OverloadChanged
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.errors import TlsFailure
    from sip_p2p.sip.message import Response
    from sip_p2p.transport.tls.expiry import CertificateExpiring

    Answer: TypeAlias = Response | int | Awaitable[Response | int | None] | None

__all__ = [
    "Application",
    "ApplicationError",
    "EchoApplication",
    "LogApplication",
    "load_application",
]

_log = Logger()


class ApplicationError(Exception):
    """The application that was named cannot be had; the text is one line that says why."""


class Application:
    """The base of every application that the service runs. Every method may be left out.

    :cvar methods: the methods other than MESSAGE whose requests go to :meth:`request`; the endpoint's ``Allow`` names
        them.
    """

    methods: ClassVar[tuple[str, ...]] = ()

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """The service runs: it listens where it was told to, and *endpoint* can send."""

    def message(self, event: IncomingRequest) -> Answer:
        """A MESSAGE came.

        :return: None for 200 OK, a status, a response, or something awaitable with one of these as its result.
        """
        return None

    def request(self, event: IncomingRequest) -> Answer:
        """A request came with one of :attr:`methods`; the answer is given as for :meth:`message`."""
        return 501

    def session(self, session: SignalingSession) -> Awaitable[object] | None:
        """A peer wants to establish a session; asked only of a class that has this method of its own: where none does,
        INVITE is answered 405.

        It decides with :meth:`~.SignalingSession.accept`, :meth:`~.SignalingSession.reject` or
        :meth:`~.SignalingSession.redirect`, at once or later; what nobody decides within ``--max-ring`` is answered
        480. Requests within the session go to the session's own events.

        :param session: incoming, with its ``offer`` and the ``peer`` that was verified.
        """
        return None

    def authorize(self, connection: ConnectionRequest) -> bool | Awaitable[bool]:
        """Whether a connection, in or out, may carry messages; asked before it carries any, and only of a class that
        has this method of its own. What takes longer than ``--limit authorization_timeout`` is a no."""
        return True

    def stopped(self) -> Awaitable[None] | None:
        """The service has stopped listening and what was in flight is finished; nothing more will come.

        The end of the process waits for what this returns, within the drain time.
        """
        return None


class LogApplication(Application):
    """``log``: every event is one JSON line; messages are accepted, and sessions refused with 480.

    The lines hold what the peers wrote: they are this application's product, and belong to whoever started it.
    """

    def __init__(self, lines: JsonLines | None = None) -> None:
        self.lines = JsonLines() if lines is None else lines

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Tell where the party can be found, and follow its state and whatever an operator should know."""
        endpoint.state_changed.subscribe(self._state_changed)
        manager = endpoint.connection_manager
        manager.tls_failed.subscribe(self._tls_failed)
        manager.listener_lost.subscribe(self._listener_lost)
        manager.overload_changed.subscribe(self._overload_changed)
        if isinstance(manager, RealTimeServerTlsConnectionManager):
            manager.certificate_expiring.subscribe(self._certificate_expiring)
        self.lines.emit(
            "started",
            uri=str(endpoint.aor),
            contact=str(endpoint.contact_uri),
            state=endpoint.state.value,
            listening=[place(listener) for listener in manager.listeners],
        )

    def message(self, event: IncomingRequest) -> Answer:
        """Log it and accept it."""
        self.lines.emit("message", **described(event))
        return None

    def session(self, session: SignalingSession) -> Awaitable[object] | None:
        """Log it and refuse it: here is nobody to talk to."""
        self._session_came(session)
        session.reject(480)
        return None

    def _session_came(self, session: SignalingSession) -> None:
        """Log a session, and from now on what becomes of it."""
        call_id = session.call_id

        def changed(event: SignalingStateChanged) -> None:
            self.lines.emit(
                "session-state",
                call_id=call_id,
                state=event.state.name.lower(),
                previous_state=event.previous_state.name.lower(),
                reason=event.reason.name.lower(),
            )

        self.lines.emit("session", **described_session(session))
        session.state_changed.subscribe(changed)

    def stopped(self) -> Awaitable[None] | None:
        """Log the end."""
        self.lines.emit("stopped")
        return None

    def _state_changed(self, event: StateChanged) -> None:
        self.lines.emit(
            "state", state=event.state.value, previous_state=event.previous_state.value, reason=event.reason.value
        )

    def _tls_failed(self, failure: TlsFailure) -> None:
        words = explain(failure)
        self.lines.emit(
            "tls-failure", reason=failure.reason.name, peer=failure.peer, words=words.what, remedy=words.remedy
        )

    def _listener_lost(self, event: ListenerLost) -> None:
        self.lines.emit("listener-lost", **place(event.listener), reason=event.reason, retry_in=event.retry_in)

    def _overload_changed(self, event: OverloadChanged) -> None:
        self.lines.emit(
            "overload", state=event.state.value, previous_state=event.previous_state.value, reason=event.reason
        )

    def _certificate_expiring(self, notice: CertificateExpiring) -> None:
        self.lines.emit("certificate-expiring", days_left=round(notice.days_left, 1), words=str(notice))


ECHO_FIELD = "X-Sip-P2p-Echo"
"""Marks an echo, so that two echoing parties do not talk for ever."""


class EchoApplication(LogApplication):
    """``echo``: as ``log``, and the text of each MESSAGE goes back to its sender in a MESSAGE of our own; every session
    rings and is accepted, and each offer in it answered with itself.

    It goes to the URI in From, and only where the sender has proved that URI's domain (on clear text: where it names
    the very address that the message came from): nobody can make us write to somebody else. What is said in a session
    goes back in that session.
    """

    _endpoint: SipPeerToPeerEndpoint | None = None
    _offers = Echo()

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Keep the endpoint to answer with."""
        self._endpoint = endpoint
        super().started(endpoint)

    def message(self, event: IncomingRequest) -> Answer:
        """Log it, accept it, and send its text back."""
        super().message(event)
        reason = self._not_echoed(event)
        if reason:
            self.lines.emit("not-echoed", call_id=event.call_id, reason=reason)
        else:
            # The answer goes first: the sender need not wait for what it is sent.
            event.respond(200)
            Deferred.fromCoroutine(self._echo(event)).addErrback(
                lambda failure: _log.failure("the echo failed", failure=failure)
            )
        return None

    async def session(self, session: SignalingSession) -> None:
        """Log it, let it ring, and accept it."""
        self._session_came(session)
        session.message_received.subscribe(lambda event: self._message_in(session, event))
        session.ring()
        try:
            await session.accept(self._offers)
        except SipError as error:
            words = explain(error)
            self.lines.emit("session-failed", call_id=session.call_id, words=words.what, remedy=words.remedy)

    def _message_in(self, session: SignalingSession, event: IncomingRequest) -> None:
        """Log a message in a session, accept it, and send its text back there."""
        LogApplication.message(self, event)
        event.respond(200)
        reason = _no_text(event)
        if reason:
            self.lines.emit("not-echoed", call_id=event.call_id, reason=reason)
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
            self.lines.emit("echo-failed", call_id=event.call_id, words=words.what, remedy=words.remedy)
        else:
            self.lines.emit("echoed", call_id=event.call_id, to=target, status=response.status)


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


def load_application(name: str, lines: JsonLines | None = None) -> Application:
    """The application called *name*: ``log``, ``echo``, or ``package.module:Class`` (a dot does as well as the colon).

    A module is looked for where Python looks, and then in the current folder.

    :param lines: where ``log`` and ``echo`` write.
    :raises ApplicationError: one line that says what is wrong with it.
    """
    if name == "log":
        return LogApplication(lines)
    if name == "echo":
        return EchoApplication(lines)
    separator = ":" if ":" in name else "."
    module_name, found, class_name = name.rpartition(separator)
    if not found or not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise ApplicationError(f"{printable(name)} is neither log nor echo nor a class such as package.module:Class")
    made = getattr(_module(module_name), class_name, None)
    if made is None:
        raise ApplicationError(f"the module {module_name} has no class {class_name}")
    if not inspect.isclass(made) or not issubclass(made, Application):
        raise ApplicationError(f"{name} is not a class that derives from sip_p2p.service.application.Application")
    try:
        application: Application = made()
    except Exception as error:
        raise ApplicationError(f"{name} cannot be made without arguments: {_where(error)}") from error
    _check_methods(name, application.methods)
    return application


def _check_methods(name: str, methods: object) -> None:
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise ApplicationError(
            f"{name}.methods is {printable(repr(methods))}: give a tuple of names, such as ('INFO',)"
        )
    for method in methods:
        if not isinstance(method, str) or TOKEN.fullmatch(method) is None:
            raise ApplicationError(f"{name}.methods holds {printable(repr(method))}, which is no method")
        if method in ("ACK", "CANCEL"):
            raise ApplicationError(f"{name}.methods holds {method}, which no application answers")
        if method == "MESSAGE":
            raise ApplicationError(f"{name}.methods holds MESSAGE, which goes to message() and need not be named")


def _module(name: str) -> object:
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ApplicationError(f"there is no module {error.name}, neither installed nor in {folder}") from error
        raise ApplicationError(f"the module {name} cannot be imported: {_where(error)}") from error
    except Exception as error:
        raise ApplicationError(f"the module {name} cannot be imported: {_where(error)}") from error


def _where(error: Exception) -> str:
    """An error in one line, with the place that raised it."""
    place = ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
    elif error.__traceback__ is not None:
        last = error.__traceback__
        while last.tb_next is not None:
            last = last.tb_next
        place = f" ({last.tb_frame.f_code.co_filename}, line {last.tb_lineno})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return printable(f"{type(error).__name__}: {text}{place}", 512)
