"""One POST to the hook: bounded, never redirected, each of its failures told apart.

RFC 9110 and RFC 9112, by treq. What other HTTP clients do on their own is not done here: redirections are not followed
(whoever can make the hook redirect could have us POST anywhere), cookies are neither kept nor sent, compressed answers
are not asked for (a few octets could become gigabytes), and no proxy is taken from the environment. An answer that says
neither how long it is nor that it is empty may have been cut short: without a body it is taken as truncated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from sip_p2p.errors import TlsFailure
from sip_p2p.observe.text import printable
from sip_p2p.service.webhook.failure import FailureKind, HookFailure
from sip_p2p.service.words import explain
from sip_p2p.transport.bare_agent import BareAgent, is_compressed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
    from twisted.web.client import URI
    from twisted.web.iweb import IResponse

    from sip_p2p.transport.trust.https import HttpsPolicy

__all__ = ["CLOSE_TIMEOUT", "LARGEST_ANSWER", "LONGEST_RETRY_AFTER", "Poster", "make_agent"]

LARGEST_ANSWER = 262_144
"""How many octets of a hook's answer are read; what is larger ends the connection."""

LARGEST_HEAD = 65_536
"""The same for its header section."""

LONGEST_RETRY_AFTER = 3600.0
"""The most seconds that a hook's Retry-After is believed."""

CLOSE_TIMEOUT = 2.0
"""Seconds that a hook has to agree that a connection is over; then it is dropped. TLS would wait for ever."""

_IDLE_SECONDS = 60.0
# An answer without a body that nobody needs to read.
_NO_CONTENT = 204
_TOO_MANY = 429
# What treq is told: it reads URLs, and addresses of IPv6 do not survive that.
_ANYWHERE = "http://webhook.invalid/"


class _TooMuch(Exception):
    """The hook sends more than is read."""


@final
class Poster:
    """POSTs to one URL.

    :param agent: makes the requests; :func:`make_agent` makes the usual one.
    :param url: where to.
    :param refusal: why TLS refused the server, where the policy knows.
    """

    def __init__(self, agent: IAgent, url: str, refusal: Callable[[], TlsFailure | None] = lambda: None) -> None:
        self._client = HTTPClient(BareAgent(agent, url))
        self._refusal = refusal

    def post(self, body: bytes, fields: Mapping[str, str]) -> Deferred[bytes]:
        """POST *body* with further header *fields*.

        :returns: fires with the body of the hook's 2xx. Fails with :class:`.HookFailure`, or, when it is cancelled,
            with :class:`~twisted.internet.defer.CancelledError`; the connection is closed then.
        """
        headers = Headers({name: [value] for name, value in fields.items()})
        headers.setRawHeaders("content-type", ["application/json"])
        return Deferred.fromCoroutine(self._post(body, headers))

    async def _post(self, body: bytes, headers: Headers) -> bytes:
        failure: HookFailure | None = None
        try:
            response = await self._client.post(
                _ANYWHERE, data=_Octets(body), headers=headers, allow_redirects=False, unbuffered=True
            )
            failure = _failure_of(response)
            said = await _body_of(response)
        except HookFailure as failed:
            # What the head says against an answer counts more than what becomes of its body.
            raise failure or failed from None
        except CancelledError:
            raise
        except Exception as error:
            raise self._in_our_terms(error) from None
        if failure is not None:
            raise failure
        return said

    def _in_our_terms(self, error: Exception) -> HookFailure:
        reasons = _reasons(error)
        for each in reasons:
            if isinstance(each, CancelledError):
                raise each
            if isinstance(each, _TooMuch):
                return HookFailure(FailureKind.TOO_LARGE)
        for each in reasons:
            refusal = self._refusal() if isinstance(each, SSL.Error) else each
            if isinstance(refusal, TlsFailure):
                return HookFailure(FailureKind.TLS, explain(refusal, "hook").what)
            if isinstance(each, SSL.Error):
                return HookFailure(FailureKind.TLS, "the connection could not be agreed on")
        if isinstance(error, ConnectError | ConnectionLost | DNSLookupError | OSError):
            return HookFailure(FailureKind.UNREACHABLE, printable(str(error), 128))
        if any(isinstance(each, ConnectionLost | type(connectionDone.value)) for each in reasons):
            return HookFailure(FailureKind.UNREACHABLE, "the connection was lost before the answer")
        return HookFailure(FailureKind.UNREADABLE, "what it says is no HTTP")


def make_agent(reactor: IReactorTime, policy: HttpsPolicy | None, connections: int, timeout: float) -> IAgent:
    """The usual agent: connections are kept for the next delivery, and every octet that comes is counted.

    :param policy: which servers are believed; None where no URL with ``https`` is asked for.
    :param connections: how many are kept.
    :param timeout: how long a connection may take, in seconds.
    """
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = connections
    pool.cachedConnectionTimeout = int(_IDLE_SECONDS)
    pool.retryAutomatically = False
    agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, policy, timeout), pool)
    return cast("IAgent", _Closing(agent, pool))


@implementer(IBodyProducer)
@final
class _Octets:
    """A body that is there at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Write all of it."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written already."""

    def resumeProducing(self) -> None:
        """It is written already."""

    def stopProducing(self) -> None:
        """It is written already."""


@implementer(IAgent)
@final
class _Closing:
    """An agent that can let go of the connections that it keeps."""

    def __init__(self, agent: Agent, pool: HTTPConnectionPool) -> None:
        self._agent = agent
        self._pool = pool

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """As the agent does."""
        return self._agent.request(method, uri, headers, bodyProducer)

    def close(self) -> Deferred[None]:
        """Close the connections that are kept; fires when they are."""
        return cast("Deferred[None]", self._pool.closeCachedConnections())


def _failure_of(response: IResponse) -> HookFailure | None:
    """What the head of an answer says against it; None where the hook took the delivery."""
    code = response.code
    if response.version[:2] != (b"HTTP", 1):
        return HookFailure(FailureKind.UNREADABLE, "what it says is no HTTP")
    if 200 <= code < 300:
        if is_compressed(response):
            return HookFailure(FailureKind.UNREADABLE, "its answer is compressed, which nobody asked for")
        return None
    if code >= 500:
        return HookFailure(FailureKind.SERVER_ERROR, f"status {code}", _retry_after(response.headers))
    if code == _TOO_MANY:
        return HookFailure(FailureKind.BUSY, f"status {code}", _retry_after(response.headers))
    if 300 <= code < 400:
        return HookFailure(FailureKind.REDIRECTED, f"status {code}")
    return HookFailure(FailureKind.REFUSED if code >= 400 else FailureKind.UNREADABLE, f"status {code}")


def _retry_after(headers: Headers) -> float | None:
    """The hook's Retry-After in seconds (RFC 9110 section 10.2.3); a date is nothing that is believed."""
    (text,) = headers.getRawHeaders("retry-after", [""])[:1]
    text = text.strip()
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _body_of(response: IResponse) -> Deferred[bytes]:
    done: Deferred[bytes] = Deferred(lambda _: reader.cancelled())
    reader = _Reader(done, response.code)
    response.deliverBody(reader)
    return done


@final
class _Reader(Protocol):
    """Reads a body up to its bound."""

    def __init__(self, done: Deferred[bytes], code: int) -> None:
        self._done: Deferred[bytes] | None = done
        self._code = code
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        """One more part of it."""
        self._size += len(data)
        if self._size > LARGEST_ANSWER:
            self._parts.clear()
            self._fail(HookFailure(FailureKind.TOO_LARGE))
            self._close()
        elif self._done is not None:
            self._parts.append(data)

    def cancelled(self) -> None:
        """Nobody wants it any more."""
        self._done = None
        self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The body is over, or what there was of it."""
        done = self._done
        if done is None:
            return
        is_whole = reason.check(ResponseDone) is not None
        # Without a length, only what can be read to its end says that it is whole.
        is_whole |= reason.check(PotentialDataLoss) is not None and (self._size > 0 or self._code == _NO_CONTENT)
        if is_whole:
            self._done = None
            done.callback(b"".join(self._parts))
        elif any(isinstance(each, _TooMuch) for each in _reasons(reason.value)):
            self._fail(HookFailure(FailureKind.TOO_LARGE))
        else:
            self._fail(HookFailure(FailureKind.TRUNCATED))

    def _fail(self, failure: HookFailure) -> None:
        done, self._done = self._done, None
        if done is not None:
            done.errback(failure)


def _reasons(error: BaseException | None) -> list[BaseException]:
    """The errors that an error of the HTTP client is made of, and itself."""
    if error is None:
        return []
    found = [error]
    for each in getattr(error, "reasons", ()):
        found += _reasons(each.value)
    return found


@implementer(IAgentEndpointFactory)
@final
class _Endpoints:
    """Where connections to a URI go: straight to its host."""

    def __init__(self, reactor: IReactorTime, policy: HttpsPolicy | None, timeout: float) -> None:
        self._reactor = reactor
        self._policy = policy
        self._timeout = timeout

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The endpoint for *uri*.

        :raises ValueError: there is no way to it that would be safe.
        """
        endpoint: Any = HostnameEndpoint(self._reactor, uri.host, uri.port, self._timeout)
        if uri.scheme == b"https" and self._policy is not None:
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        elif uri.scheme != b"http":
            raise ValueError(f"no way to {uri.scheme!r}")
        return cast("IStreamClientEndpoint", _Counted(endpoint, self._reactor))


@implementer(IStreamClientEndpoint)
@final
class _Counted:
    """An endpoint whose connections end when more comes than any answer may have."""

    def __init__(self, endpoint: IStreamClientEndpoint, reactor: IReactorTime) -> None:
        self._endpoint = endpoint
        self._reactor = reactor

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect; the protocol is the factory's own."""
        # A line in the log for each connection says nothing to those who read it.
        factory.noisy = False  # type: ignore[attr-defined]
        counting = _CountingFactory(factory)  # type: ignore[no-untyped-call]
        counting.call_later = self._reactor.callLater
        connecting = cast("Deferred[Any]", self._endpoint.connect(counting))
        return connecting.addCallback(lambda wrapper: wrapper.wrappedProtocol)


class _CountingProtocol(ProtocolWrapper):
    """Counts what has come since something was last said, and is over soon after it was closed."""

    factory: _CountingFactory
    _came = 0
    _is_too_much = False
    _dropping: IDelayedCall | None = None

    def write(self, data: bytes) -> None:
        """What is said begins a new count."""
        self._came = 0
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Any) -> None:
        """The same for several."""
        self._came = 0
        super().writeSequence(data)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Count it, and hand it on while it may be."""
        self._came += len(data)
        if self._came > LARGEST_ANSWER + LARGEST_HEAD:
            self._is_too_much = True
            cast("Any", self.transport).abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        """Close it; a hook that does not agree to that is left all the same."""
        if self._dropping is None:
            self._dropping = self.factory.call_later(CLOSE_TIMEOUT, self._drop)
        super().loseConnection()  # type: ignore[no-untyped-call]

    def _drop(self) -> None:
        cast("Any", self.transport).abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say why."""
        if self._dropping is not None and self._dropping.active():
            self._dropping.cancel()
        super().connectionLost(Failure(_TooMuch()) if self._is_too_much else reason)  # type: ignore[no-untyped-call]


class _CountingFactory(WrappingFactory[_CountingProtocol]):
    protocol = _CountingProtocol
    noisy = False
    call_later: Callable[..., IDelayedCall]
