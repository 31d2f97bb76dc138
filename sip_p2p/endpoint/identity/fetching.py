"""A signer's certificate fetched over HTTPS (RFC 8224 section 7.3), by treq and our own rule of who a server is.

A peer says what is to be fetched, so it is fetched with suspicion: ``https`` only, from a usual port, from a public
address, whatever name leads there; nothing is followed, nothing unpacked, no cookie kept, no proxy of the environment
used; what is larger than a certificate can be, or slower, is dropped. The connection goes to the very address that was
looked at, so that a name cannot mean another one a moment later.

Left out: ``http``, ``cid:`` and ``sip:`` URIs; connections that are kept; HTTP/2.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, cast, final
from urllib.parse import urlsplit

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IResolutionReceiver, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from sip_p2p.errors import SipError
from sip_p2p.transport.bare_agent import BareAgent, is_compressed
from sip_p2p.transport.trust.identity import is_ip_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IHostResolution, IProtocolFactory
    from twisted.web.client import URI
    from twisted.web.iweb import IResponse

    from sip_p2p.transport.trust.https import HttpsPolicy

__all__ = ["PORTS", "FetchRules", "NotFetched", "fetch", "is_public"]

PORTS = frozenset((443, 8443))
"""The ports that certificates are fetched from, unless it is said otherwise."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,252}[A-Za-z0-9])?")
_LONGEST_URL = 1024
_LARGEST_HEAD = 16384
_MOST_ADDRESSES = 4
_ACCEPT = "application/pem-certificate-chain, application/pkix-cert, application/x-pem-file"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotFetched(SipError):
    """A certificate could not be had; the text says why, in words for our own log.

    :ivar limit: the limit that was reached; empty where it was another reason.
    """

    def __init__(self, words: str, limit: str = "") -> None:
        super().__init__(words)
        self.limit = limit


@final
class FetchRules:
    """What may be fetched.

    :ivar hosts: from which hosts only, in small letters; None for any.
    :ivar ports: from which ports.
    :ivar private_addresses: whether also from addresses that are not public.
    """

    __slots__ = ("hosts", "ports", "private_addresses")

    def __init__(
        self,
        *,
        hosts: Iterable[str] | None = None,
        ports: Iterable[int] = PORTS,
        private_addresses: bool = False,
    ) -> None:
        self.hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self.ports = frozenset(ports)
        self.private_addresses = private_addresses

    def check(self, url: str) -> tuple[str, int]:
        """The host and port that *url* leads to.

        :raises NotFetched: when it may not be fetched.
        """
        if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
            raise NotFetched("the URL of the certificate is too long, or holds what no URL does")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", 443 if parts.port is None else parts.port
        except ValueError:
            raise NotFetched("the URL of the certificate is none") from None
        if parts.scheme.lower() != "https":
            raise NotFetched("the URL of the certificate is not https")
        if "@" in parts.netloc or parts.fragment or "\\" in url:
            raise NotFetched("the URL of the certificate holds a user or a fragment")
        if _HOST.fullmatch(host) is None and not is_ip_address(host):
            raise NotFetched("the URL of the certificate names no host")
        if port not in self.ports:
            raise NotFetched(f"the URL of the certificate names port {port}, from which nothing is fetched")
        if self.hosts is not None and host.lower() not in self.hosts:
            raise NotFetched("the URL of the certificate names a host from which nothing is fetched")
        return host, port

    def usable(self, addresses: Iterable[str]) -> list[str]:
        """Those of *addresses* that may be connected to, in their order, and not too many."""
        found = [each for each in dict.fromkeys(addresses) if self.private_addresses or is_public(each)]
        return found[:_MOST_ADDRESSES]


def is_public(address: str) -> bool:
    """Whether *address* is one of the Internet: neither of this machine nor of any network behind it, however it is
    written."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_site_local:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour or (None if ip.teredo is None else ip.teredo[1])
        if inner is None and (ip in _NAT64 or int(ip) < 2**32):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def fetch(
    reactor: Any, url: str, rules: FetchRules, policy: HttpsPolicy, most: int, timeout: float
) -> Deferred[tuple[bytes, float | None]]:
    """Fetch *url*.

    :param most: the octets that it may have.
    :param timeout: for all of it, in seconds.
    :returns: fires with what it holds, and for how many seconds the server says that this is good; None where it does
        not say. Fails with :class:`NotFetched`. Cancelling it closes the connection.
    """
    fetching = Deferred.fromCoroutine(_fetch(reactor, url, rules, policy, most))
    fetching.addTimeout(timeout, reactor, onTimeoutCancel=_too_late)
    return fetching


def _too_late(_: object, timeout: float) -> Failure:
    return Failure(NotFetched(f"it took longer than {timeout:g} s", "passport_fetch_timeout"))


async def _fetch(
    reactor: Any, url: str, rules: FetchRules, policy: HttpsPolicy, most: int
) -> tuple[bytes, float | None]:
    host, port = rules.check(url)
    try:
        addresses = [host] if is_ip_address(host) else await _resolve(reactor, host, port)
        usable = rules.usable(addresses)
        if not usable:
            raise NotFetched("the host of the certificate has no public address")
        endpoint = _Straight(reactor, usable, host, port, policy, most + _LARGEST_HEAD)
        pool = HTTPConnectionPool(reactor, persistent=False)
        agent = Agent.usingEndpointFactory(reactor, endpoint, pool)
        client = HTTPClient(cast("IAgent", BareAgent(agent)))
        response = await client.get(url, headers=Headers({"Accept": [_ACCEPT]}), allow_redirects=False, unbuffered=True)
        return await _body_of(response, most), _good_for(response.headers)
    except (NotFetched, CancelledError):
        raise
    except Exception as error:
        # Many libraries speak here, each with errors of its own; a certificate is there or it is not.
        refusal = policy.refusal_of(host, port)
        raise NotFetched(f"the server of the certificate could not be asked: {str(refusal or error)[:200]}") from None


@implementer(IResolutionReceiver)
@final
class _Addresses:
    """Gathers what a name leads to."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.done: Deferred[list[str]] = Deferred(lambda _: None)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """It has begun; there is nothing to keep."""

    def addressResolved(self, address: Any) -> None:
        """One more."""
        if len(self.found) < 64:
            self.found.append(address.host)

    def resolutionComplete(self) -> None:
        """That was all."""
        if not self.done.called:
            self.done.callback(self.found)


def _resolve(reactor: Any, host: str, port: int) -> Deferred[list[str]]:
    receiver = _Addresses()
    reactor.nameResolver.resolveHostName(receiver, host, port)
    return receiver.done


async def _body_of(response: IResponse, most: int) -> bytes:
    if response.version[:2] != (b"HTTP", 1):
        raise NotFetched("the server of the certificate speaks no HTTP")
    if response.code != 200:
        raise NotFetched(f"the server of the certificate answers {response.code}")
    if is_compressed(response):
        raise NotFetched("the certificate is compressed, which nobody asked for")
    done: Deferred[bytes] = Deferred(lambda _: reader.cancelled())
    reader = _Reader(done, most)
    response.deliverBody(reader)
    return await done


def _good_for(headers: Headers) -> float | None:
    """The seconds of ``max-age`` (RFC 9111 section 5.2.2.1); nothing else is looked at."""
    for line in headers.getRawHeaders("cache-control", []):
        for each in line.lower().split(","):
            name, _, value = each.strip().partition("=")
            if name in ("no-store", "no-cache"):
                return 0.0
            if name == "max-age" and value.isascii() and value.isdigit() and len(value) < 10:
                return float(value)
    return None


@final
class _Reader(Protocol):
    """Reads a body up to its bound."""

    def __init__(self, done: Deferred[bytes], most: int) -> None:
        self._done: Deferred[bytes] | None = done
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        """One more part of it."""
        self._size += len(data)
        if self._size <= self._most:
            self._parts.append(data)
        else:
            self._parts.clear()
            done, self._done = self._done, None
            if done is not None:
                done.errback(Failure(NotFetched("the certificate is too large", "passport_octets")))
            self.cancelled()

    def cancelled(self) -> None:
        """Nobody wants it any more."""
        self._done = None
        if self.transport is not None:
            cast("Any", self.transport).loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The body is over, or what there was of it."""
        done, self._done = self._done, None
        if done is None:
            return
        if reason.check(ResponseDone) is not None:
            done.callback(b"".join(self._parts))
        else:
            done.errback(Failure(NotFetched("the certificate came in part only")))


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
@final
class _Straight:
    """The way to one server: by the addresses that were looked at, one after the other, with TLS that proves its
    name."""

    def __init__(
        self, reactor: Any, addresses: Sequence[str], host: str, port: int, policy: HttpsPolicy, most: int
    ) -> None:
        self._reactor = reactor
        self._addresses = addresses
        self._host = host
        self._port = port
        self._policy = policy
        self._most = most

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Itself: it was made for one URI."""
        return cast("IStreamClientEndpoint", self)

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect; the protocol is the factory's own."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        failure: Exception = NotFetched("there is no address")
        # A line in the log for each connection says nothing to those who read it.
        factory.noisy = False  # type: ignore[attr-defined]
        for address in self._addresses:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            creator = self._policy.creatorForNetloc(self._host.encode("ascii"), self._port)
            counting = _CountingFactory(factory)  # type: ignore[no-untyped-call]
            counting.most = self._most
            # Not by wrapClientTLS, which leaves the time to the global reactor.
            secured = TLSMemoryBIOFactory(creator, True, counting, self._reactor)
            try:
                tls: Any = await kind(self._reactor, address, self._port, timeout=30).connect(secured)
            except CancelledError:
                raise
            except Exception as error:
                failure = error
                continue
            return tls.wrappedProtocol.wrappedProtocol
        raise failure


class _Counting(ProtocolWrapper):
    """Counts what comes, and drops the connection when it is more than any certificate."""

    factory: _CountingFactory
    _came = 0

    def dataReceived(self, data: bytes) -> None:
        """Count it, and hand it on while it may be."""
        self._came += len(data)
        if self._came > self.factory.most:
            cast("Any", self.transport).abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        """There is nothing more to be said, and no goodbye to wait for."""
        cast("Any", self.transport).abortConnection()


class _CountingFactory(WrappingFactory[_Counting]):
    protocol = _Counting
    noisy = False
    most: int
