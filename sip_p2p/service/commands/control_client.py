"""Asks a running service over its HTTP API: what ``sip-p2p show``, ``ladder``, ``trace`` and ``control`` stand on.

The API is named as ``--http`` names it: a Unix socket as ``unix:/run/sip-p2p/control.sock``, a port of this machine as
``8080`` or ``127.0.0.1:8080``, or a URL, ``https://host:8443``. Over TLS the server must prove its name by the rules of
:mod:`sip_p2p.transport.trust.https`. The token of a file is sent to nobody else: redirections are not followed, there
are no cookies, and no proxy is taken from the environment. A token goes in clear text only over loopback and a Unix
socket.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast, final
from urllib.parse import quote, urlencode, urlsplit

from treq import collect
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, ConnectionLost
from twisted.web.client import URI, Agent, RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from sip_p2p.observe.text import printable
from sip_p2p.service.words import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IReactorTime

__all__ = ["LARGEST_ANSWER", "LARGEST_EVENT", "ControlAnswer", "ControlClient", "ControlError", "ControlPlace"]

LARGEST_ANSWER = 64 * 1024 * 1024
"""How many octets of an answer are read; a larger one is refused."""

LARGEST_EVENT = 4 * 1024 * 1024
"""How many octets one event of a stream may have."""

_TIMEOUT = 30.0


class ControlError(Exception):
    """The service cannot be asked, or says no; the text is one line.

    :ivar status: the status of its answer; 0 where there was none.
    """

    def __init__(self, line: str, status: int = 0) -> None:
        super().__init__(line)
        self.status = status


class ControlPlace(NamedTuple):
    """Where an API is.

    :ivar scheme: ``http`` or ``https``.
    :ivar host: its name or address, without brackets; ``localhost`` for a Unix socket.
    :ivar port: its port.
    :ivar path: of the Unix socket; empty for TCP.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> ControlPlace:
        """What *text* names.

        :raises ValueError: nothing; one line.
        """
        if text.startswith("unix:"):
            path = text.removeprefix("unix:").partition(":")[0]
            if not path.startswith("/") or "\0" in path:
                raise ValueError("unix: wants a path from the root, such as unix:/run/sip-p2p/control.sock")
            return cls("http", "localhost", 80, path)
        if text.isascii() and text.isdigit():
            text = f"http://127.0.0.1:{text}"
        elif "://" not in text:
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError("it is no address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("name it as unix:/PATH, PORT, HOST:PORT or https://HOST:PORT")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("only the address of the API is wanted, without a path")
        return cls(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))

    @property
    def is_private(self) -> bool:
        """Whether nobody is on the way who could read along: TLS, loopback, or a Unix socket."""
        if self.scheme == "https" or self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """What the paths of the API are put behind."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else self.url


class ControlAnswer(NamedTuple):
    """An answer of the API.

    :ivar status: its status.
    :ivar content_type: what the body is; empty without one.
    :ivar location: where something that was made is found.
    :ivar body: all of it.
    """

    status: int
    content_type: str
    location: str
    body: bytes

    def json(self) -> Any:
        """The body, read.

        :raises ControlError: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ControlError("the service answered with what is no JSON", self.status) from None

    def problem(self) -> str:
        """What the service says against the request, on one line."""
        try:
            said = json.loads(self.body)
            words = said.get("detail") or said.get("title") if isinstance(said, dict) else None
        except (ValueError, RecursionError):
            words = None
        what = printable(str(words), 512) if words else "the service said no more than that"
        if self.status == 401:
            what += " (give the file with the token: --control-token-file)"
        return f"{self.status}: {what}"


@final
class ControlClient:
    """One API, asked as often as one likes.

    :param place: where it is.
    :param token: the bearer token; empty for none.
    :param trust: for ``https``, what says whom to trust: an :class:`~sip_p2p.transport.trust.https.HttpsPolicy`.
    :param timeout: for how many seconds an answer is waited for; a stream may then last as long as it likes.
    :raises ControlError: the token would go in clear text.
    """

    def __init__(
        self, reactor: IReactorTime, place: ControlPlace, token: str = "", trust: Any = None, timeout: float = _TIMEOUT
    ) -> None:
        if token and not place.is_private:
            raise ControlError(f"the token would go to {place} in clear text: use https, or a Unix socket")
        self.place = place
        self._reactor = reactor
        self._timeout = timeout
        self._token = token
        self._trust = trust
        self._agent = Agent.usingEndpointFactory(reactor, cast("Any", _Endpoints(reactor, place, trust)))

    async def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """What ``GET`` of *path* gives, read as JSON.

        :raises ControlError: it cannot be asked, or says no.
        """
        return (await self.ask("GET", path, query)).json()

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ControlAnswer:
        """The answer to a request; one that refuses it is an error.

        :param path: from the root, such as ``/v1/flows``.
        :param body: JSON.
        :raises ControlError: it cannot be asked, or answers 300 or above.
        """
        answer = await self.answer(method, path, query, body, headers)
        if answer.status >= 300:
            raise ControlError(f"{self.place}{path}: {answer.problem()}", answer.status)
        return answer

    async def answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ControlAnswer:
        """The answer to a request, whatever it is.

        :raises ControlError: there is none.
        """
        response = await self._response(method, path, query, body, headers or {})
        pieces: list[bytes] = []
        octets = [0]

        def take(piece: bytes) -> None:
            octets[0] += len(piece)
            if octets[0] <= LARGEST_ANSWER:
                pieces.append(piece)

        try:
            waiting: Deferred[None] = collect(response, take)
            waiting.addTimeout(self._timeout, self._reactor, _too_late)
            await waiting
        except Exception as error:
            raise self._lost(error) from None
        if octets[0] > LARGEST_ANSWER:
            raise ControlError(f"{self.place}{path}: the answer has more than {LARGEST_ANSWER} octets")
        return ControlAnswer(
            response.code, _header(response, b"content-type"), _header(response, b"location"), b"".join(pieces)
        )

    async def follow(self, path: str, query: Mapping[str, str | int], told: Callable[[str, Any], object]) -> None:
        """Call *told* with the kind and the value of every event of a stream, until it ends.

        :raises ControlError: it cannot be had, or ends in the middle.
        """
        response = await self._response("GET", path, query, None, {"Accept": "text/event-stream"})
        if response.code != 200:
            pieces: list[bytes] = []
            await collect(response, pieces.append)
            answer = ControlAnswer(response.code, "", "", b"".join(pieces))
            raise ControlError(f"{self.place}{path}: {answer.problem()}", answer.status)
        reader = _EventReader(told)
        try:
            await collect(response, reader.take)
        except ControlError:
            raise
        except Exception as error:
            raise self._lost(error) from None

    async def _response(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Any:
        target = self.place.url + quote(path, safe="/%?=&:@,;+-._~") + (f"?{urlencode(query)}" if query else "")
        fields = {"User-Agent": ["sip-p2p"], **{name: [value] for name, value in headers.items()}}
        if self._token:
            fields["Authorization"] = [f"Bearer {self._token}"]
        if body is not None:
            fields.setdefault("Content-Type", ["application/json"])
        producer = None if body is None else cast("IBodyProducer", _Body(body))
        try:
            waiting = self._agent.request(
                method.encode("ascii"), target.encode("ascii"), Headers(cast("Any", fields)), producer
            )
            waiting.addTimeout(self._timeout, self._reactor, _too_late)
            return await waiting
        except Exception as error:
            raise self._lost(error) from None

    def _refused(self) -> str:
        """Why there was no connection by TLS, or what may be the reason."""
        refusal = self._trust.refusal_of(self.place.host, self.place.port)
        if refusal is not None:
            return explain(refusal).what
        return (
            "it ended the connection: does it want a certificate (--control-certificate) that its --http-allow names?"
        )

    def _lost(self, error: Exception) -> ControlError:
        """What *error* means, in words.

        :raises CancelledError: nobody wants to know any more.
        """
        reasons = getattr(error, "reasons", None)
        first = reasons[0].value if reasons else error
        if isinstance(first, CancelledError | ConnectingCancelledError):
            # Whoever waited for it does so no more.
            raise CancelledError from None
        if isinstance(first, DeferredTimeout):
            words = f"no answer within {self._timeout:g} seconds"
        elif isinstance(first, ConnectError):
            words = f"is the service there, with --http? ({printable(str(first))})"
        elif isinstance(
            first,
            ConnectionClosed | ConnectionLost | ResponseFailed | ResponseNeverReceived | RequestTransmissionFailed,
        ):
            words = self._refused() if self.place.scheme == "https" else "the connection was lost"
        elif self.place.scheme == "https" and type(first).__module__.startswith("OpenSSL"):
            words = self._refused()
        else:
            words = printable(str(first) or type(first).__name__, 512)
        return ControlError(f"{self.place}: {words}")


def _too_late(result: object, seconds: float) -> NoReturn:
    raise DeferredTimeout(seconds)


def _header(response: Any, name: bytes) -> str:
    found = response.headers.getRawHeaders(name)
    return found[0].decode("latin-1") if found else ""


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Leads every request to the one place."""

    def __init__(self, reactor: Any, place: ControlPlace, trust: Any) -> None:
        self._reactor = reactor
        self._place = place
        self._trust = trust

    def endpointForURI(self, uri: URI) -> Any:
        """Where the API is."""
        place = self._place
        if place.path:
            return UNIXClientEndpoint(self._reactor, place.path)
        endpoint = HostnameEndpoint(self._reactor, place.host, place.port)
        if place.scheme == "https":
            creator = self._trust.creatorForNetloc(place.host.encode("ascii"), place.port)
            return wrapClientTLS(creator, endpoint)
        return endpoint


@implementer(IBodyProducer)
class _Body:
    """A body that is there already."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Write all of it."""
        consumer.write(self._octets)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """It is written already."""

    def resumeProducing(self) -> None:
        """It is written already."""

    def stopProducing(self) -> None:
        """It is written already."""


@final
class _EventReader:
    """Reads server-sent events (WHATWG HTML, section 9.2.6) whose data is JSON; comments and other fields are passed
    over."""

    def __init__(self, told: Callable[[str, Any], object]) -> None:
        self._told = told
        self._rest = b""
        self._event = ""
        self._data: list[bytes] = []
        self._octets = 0

    def take(self, piece: bytes) -> None:
        """More of the stream.

        :raises ControlError: an event is too long, or no JSON.
        """
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) + self._octets > LARGEST_EVENT:
            raise ControlError(f"the service sent an event of more than {LARGEST_EVENT} octets")
        for line in lines:
            self._line(line.removesuffix(b"\r"))

    def _line(self, line: bytes) -> None:
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                self._data.append(value)
                self._octets += len(value)
            elif name == b"event":
                self._event = value.decode("utf-8", "replace")
            return
        data, self._data, self._octets = b"\n".join(self._data), [], 0
        event, self._event = self._event, ""
        if not data:
            return
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise ControlError("the service sent an event that is no JSON") from None
        self._told(event, value)
