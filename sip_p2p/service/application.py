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

A method ``authorize`` of its own is asked about each connection before that carries anything. All of them run in the
reactor's thread. What they raise is logged with its traceback and answered with 500, and nothing else notices.
"""

from __future__ import annotations

import base64
import datetime
import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import MalformedMessage, SipError
from sip_p2p.observe.text import printable
from sip_p2p.service.words import explain
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from sip_p2p.endpoint.connection_request import ConnectionRequest
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.events import StateChanged
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.listener import Listener
    from sip_p2p.endpoint.listener_watch import ListenerLost
    from sip_p2p.endpoint.load_events import OverloadChanged
    from sip_p2p.endpoint.peer import Peer
    from sip_p2p.errors import TlsFailure
    from sip_p2p.sip.message import Response
    from sip_p2p.transport.tls.expiry import CertificateExpiring

    Answer: TypeAlias = Response | int | Awaitable[Response | int | None] | None

__all__ = [
    "Application",
    "ApplicationError",
    "EchoApplication",
    "JsonLines",
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

    def authorize(self, connection: ConnectionRequest) -> bool | Awaitable[bool]:
        """Whether a connection, in or out, may carry messages; asked before it carries any, and only of a class that
        has this method of its own. What takes longer than ``--limit authorization_timeout`` is a no."""
        return True

    def stopped(self) -> Awaitable[None] | None:
        """The service has stopped listening and what was in flight is finished; nothing more will come.

        The end of the process waits for what this returns, within the drain time.
        """
        return None


@final
class JsonLines:
    """Writes one JSON object a line, in ASCII: nothing that a peer sends can end a line or drive a terminal.

    :param write: where a line goes; by default the process's standard output, as it was before any logging took it
        over.
    :param clock: seconds since 1970.
    """

    def __init__(self, write: Callable[[str], object] | None = None, clock: Callable[[], float] = time.time) -> None:
        self._write = _to_standard_output if write is None else write
        self._clock = clock
        self._broken = False

    def emit(self, event: str, **fields: object) -> None:
        """Write one event with its time; a reader that has gone away is told of once, in the log."""
        moment = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
        stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": stamp, "event": event, **fields})
        if self._broken:
            return
        try:
            self._write(f"{line}\n")
        except (OSError, ValueError) as error:
            self._broken = True
            _log.error("events are not written any more: {error}", error=str(error))


def _to_standard_output(line: str) -> None:
    stream = sys.__stdout__
    if stream is None:
        raise OSError("there is no standard output")
    stream.write(line)
    stream.flush()


class LogApplication(Application):
    """``log``: every event is one JSON line; messages are accepted.

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
            listening=[_place(listener) for listener in manager.listeners],
        )

    def message(self, event: IncomingRequest) -> Answer:
        """Log it and accept it."""
        self.lines.emit("message", **_described(event))
        return None

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
        self.lines.emit("listener-lost", **_place(event.listener), reason=event.reason, retry_in=event.retry_in)

    def _overload_changed(self, event: OverloadChanged) -> None:
        self.lines.emit(
            "overload", state=event.state.value, previous_state=event.previous_state.value, reason=event.reason
        )

    def _certificate_expiring(self, notice: CertificateExpiring) -> None:
        self.lines.emit("certificate-expiring", days_left=round(notice.days_left, 1), words=str(notice))


ECHO_FIELD = "X-Sip-P2p-Echo"
"""Marks an echo, so that two echoing parties do not talk for ever."""


class EchoApplication(LogApplication):
    """``echo``: as ``log``, and the text of each MESSAGE goes back to its sender in a MESSAGE of our own.

    It goes to the URI in From, and only where the sender has proved that URI's domain (on clear text: where it names
    the very address that the message came from): nobody can make us write to somebody else.
    """

    _endpoint: SipPeerToPeerEndpoint | None = None

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

    def _not_echoed(self, event: IncomingRequest) -> str:
        """Why this message gets no echo; empty when it gets one."""
        if ECHO_FIELD in event.request.headers:
            return "it is an echo"
        try:
            sender = event.from_.uri
            content_type = event.content_type
            text = event.text
        except (MalformedMessage, ValueError) as error:
            return str(error)
        if not isinstance(sender, SipUri):
            return "its sender has no SIP URI"
        if not text or (content_type is not None and content_type.type != "text"):
            return "it holds no text"
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


def _described(event: IncomingRequest) -> dict[str, object]:
    """An incoming request as JSON: what was proved first, then what was said."""
    fields: dict[str, object] = {"method": event.method, **_proved(event.peer)}
    request = event.request
    for key, name in (("from", "From"), ("to", "To"), ("call_id", "Call-ID"), ("content_type", "Content-Type")):
        value = request.headers.get(name)
        if value is not None:
            fields[key] = value
    try:
        fields["text"] = event.text
    except (MalformedMessage, ValueError):
        fields["body_base64"] = base64.b64encode(event.body).decode("ascii")
    return fields


def _place(listener: Listener) -> dict[str, object]:
    """Where a listener can be reached: a port of 0 in its description is a real one here."""
    return {
        "transport": listener.transport,
        "address": _address(*listener.address),
        "description": listener.description,
    }


def _proved(peer: Peer) -> dict[str, object]:
    return {
        "peer": peer.identity,
        "identities": list(peer.identities),
        "transport": peer.transport,
        "tls_version": peer.tls_version,
        "address": _address(*peer.address),
    }


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
