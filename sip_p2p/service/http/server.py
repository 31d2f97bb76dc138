"""The part of the service that speaks HTTP: where it listens, what its handlers reach, and how it ends."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, final

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, FirstError, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from sip_p2p.observe.text import printable
from sip_p2p.service.http.access import Access, Tokens
from sip_p2p.service.http.channel import ControlFactory
from sip_p2p.service.http.console import Console
from sip_p2p.service.http.doctor import Jobs
from sip_p2p.service.http.exchange import handle
from sip_p2p.service.http.idempotency import Keys
from sip_p2p.service.http.listening import is_private_port, listen_at
from sip_p2p.service.http.messages import Requests
from sip_p2p.service.http.openapi import document
from sip_p2p.service.http.party import Failures
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Routes
from sip_p2p.service.http.sessions import SessionBook
from sip_p2p.service.http.streams import Followers
from sip_p2p.service.http.table import ROUTES
from sip_p2p.service.parts import Part

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort

    from sip_p2p.service.http.channel import ControlRequest
    from sip_p2p.service.http.listening import Place
    from sip_p2p.service.service import SipService
    from sip_p2p.service.settings.options import Options

__all__ = ["ControlServer"]

_log = Logger()


@final
class ControlServer(Part):
    """The HTTP API.

    :ivar service: what it steers.
    :ivar instruments: what looks at the wire; None where nothing does.
    :ivar options: the command line.
    :ivar reactor: the service's reactor.
    :ivar routes: the table.
    :ivar document: the OpenAPI document.
    :ivar instance: another text after each start, so that a follower knows that numbers began anew.
    :ivar started_at: when, in seconds since 1970.
    :ivar followers: who follows events.
    :ivar requests: what was sent.
    :ivar sessions: those that live, and for a while those that have ended.
    :ivar keys_of_lives: subscriptions, publications and referrals that were begun with an Idempotency-Key.
    :ivar jobs: what the doctor does.
    :ivar console: the files of the console.
    :ivar failures: the handshakes that failed.
    :ivar is_draining: whether no new work is taken, because somebody asked for that.
    """

    def __init__(self, service: SipService, instruments: Any, options: Options) -> None:
        """
        :raises ValueError: the file of tokens holds none.
        :raises OSError: it cannot be read.
        """
        self.service = service
        self.instruments = instruments
        self.options = options
        self.reactor: Any = service.manager.reactor
        self.routes = Routes(ROUTES)
        self.document = document(self.routes)
        self.instance = secrets.token_hex(8)
        self.started_at = time.time()
        self.followers = Followers(self.reactor)
        self.requests = Requests(self.reactor)
        self.sessions = SessionBook(service.manager)
        self.keys_of_lives: Keys[Any] = Keys()
        self.jobs = Jobs()
        self.console = Console()
        self.failures = Failures()
        self.is_draining = False
        self._is_running = False
        path = options["http-token-file"]
        self._tokens = None if path is None else Tokens(path)
        self._listening: list[tuple[Place, ControlFactory, IListeningPort]] = []

    # -- as a part of the service --------------------------------------------------------------------------------------

    def listen(self) -> Deferred[None]:
        """Bind every place of ``--http``; fails where one cannot be bound."""
        manager, options = self.service.manager, self.options
        manager.tls_failed.subscribe(self.failures.note)
        self.sessions.listen()
        starting: list[Deferred[Any]] = []
        for place in options.http_places:
            factory = ControlFactory(self.reactor, self, Access(self._tokens, is_local=place.is_loopback))
            port = maybeDeferred(listen_at, place, self.reactor, factory, manager, options.http_allow)
            starting.append(port.addCallbacks(self._bound, _not_bound, (place, factory), errbackArgs=(place,)))
        return gatherResults(starting, consumeErrors=True).addCallbacks(lambda _: None, _first)

    def _bound(self, port: IListeningPort, place: Place, factory: ControlFactory) -> None:
        self._listening.append((place, factory, port))
        if place.kind == "systemd":
            # Only now it is known where that is.
            is_private = is_private_port(port)
            factory.access = Access(self._tokens, is_local=is_private and not _is_unix(port))
            if not is_private and (self._tokens is None or not self.options["http-allow-clear-text"]):
                raise ValueError(
                    f"--http {place.text}: other machines reach that socket: it needs --http-token-file, and "
                    "--http-allow-clear-text where something in front of it does TLS"
                )
        if place.kind == "tcp" and not place.is_private:
            _log.warn("--http-allow-clear-text: tokens come to {place} in clear text", place=place.text)
        _log.info("the HTTP API listens on {where}", where=_where(place, port))

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs; ``unix:`` and a path for sockets in the file system."""
        return [_where(place, port) for place, _, port in self._listening]

    def started(self) -> None:
        """The party listens."""
        self._is_running = True

    def reload(self) -> list[str]:
        """Read the file of tokens anew; one that cannot be read leaves the old ones in use."""
        if self._tokens is None:
            return []
        try:
            return ["the tokens of the HTTP API"] if self._tokens.reload() else []
        except (OSError, ValueError) as error:
            _log.error("the tokens of the HTTP API stay as they were: {error}", error=printable(str(error), 256))
            return []

    def stopping(self) -> None:
        """A stop has begun: what is asked is answered until the party is gone, and nothing new is begun."""
        self._is_running = False

    def ended(self) -> Deferred[None]:
        """Close everything, the streams in order."""
        self.requests.cancel_all()
        self.jobs.cancel_all()
        self.followers.close()
        self.service.manager.tls_failed.unsubscribe(self.failures.note)
        self.sessions.close()
        ending: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for _, _, port in self._listening]
        ending += [factory.close() for _, factory, _ in self._listening]
        self._listening = []
        return gatherResults(ending, consumeErrors=True).addCallback(lambda _: None)

    # -- for its handlers ----------------------------------------------------------------------------------------------

    def handle(self, request: ControlRequest) -> None:
        """Answer *request*."""
        handle(self, request)

    @property
    def why_not_ready(self) -> str:
        """Why no new work is taken, as a sentence; empty where it is."""
        if not self._is_running:
            return "The service is starting or stopping."
        if self.is_draining:
            return "The service drains."
        if self.options.listen and not self.service.manager.is_listening:
            return "Nothing listens any more."
        return ""

    @property
    def is_ready(self) -> bool:
        """Whether new work is taken."""
        return not self.why_not_ready

    def check_running(self) -> None:
        """That the service runs.

        :raises Problem: it does not.
        """
        if not self._is_running:
            raise Problem("unavailable", "The service is starting or stopping.", headers=[("Retry-After", "5")])

    def counters(self) -> dict[str, int]:
        """What the API counts of itself."""
        return {
            "connections": sum(len(factory.connections) for _, factory, _ in self._listening),
            "connections_turned_away": sum(factory.turned_away for _, factory, _ in self._listening),
            "followers": len(self.followers),
            "followers_dropped": self.followers.dropped,
            "requests_pending": self.requests.pending,
        }


def _not_bound(failure: Failure, place: Place) -> Failure:
    """What stands in the way at *place*, in one line."""
    error = failure.value
    if not isinstance(error, CannotListenError | OSError):
        return failure
    # A folder that is not there is found out about at the lock that stands beside a Unix socket.
    cause = error if isinstance(error, OSError) else error.socketError
    words = getattr(cause, "strerror", None) or str(cause)
    return Failure(ValueError(f"cannot listen on --http {place.text}: {words}"))


def _first(failure: Failure) -> Failure:
    """What failed first, of several places."""
    return failure.value.subFailure if isinstance(failure.value, FirstError) else failure


def _is_unix(port: IListeningPort) -> bool:
    return isinstance(port.getHost(), UNIXAddress)


def _where(place: Place, port: IListeningPort) -> str:
    host: Any = port.getHost()
    if _is_unix(port):
        name = host.name
        return f"unix:{name.decode('utf-8', 'replace') if isinstance(name, bytes) else name}"
    bracketed = f"[{host.host}]" if ":" in host.host else host.host
    return f"{'https' if place.is_tls else 'http'}://{bracketed}:{host.port}"
