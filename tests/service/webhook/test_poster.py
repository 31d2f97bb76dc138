"""One POST: what a hook can do wrong on real connections is told apart; what HTTP clients add is left out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.webhook import poster as poster_module
from sip_p2p.service.webhook.failure import FailureKind, HookFailure
from sip_p2p.service.webhook.poster import LARGEST_ANSWER, LARGEST_HEAD, LONGEST_RETRY_AFTER, Poster, make_agent
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.https import HttpsPolicy
from tests.interop.peers.program import free_port
from tests.support import TestCase, reactor
from tests.transport.trust.test_https import Server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Scripted(Protocol):
    """Answers the first request with fixed octets, and keeps what it hears."""

    factory: Any

    def connectionMade(self) -> None:
        """One more connection."""
        self.factory.connections.append(self)
        self.heard = b""

    def dataReceived(self, data: bytes) -> None:
        """A request is over with its body."""
        self.heard += data
        if self.heard.endswith(b"}"):
            self.factory.requests.append(self.heard)
            self.heard = b""
            self.factory.behave(self)


class Hook:
    """A listener that behaves in one way.

    :ivar requests: what has come.
    """

    def __init__(self, case: TestCase, behave: Callable[[Scripted], object]) -> None:
        factory: Any = Factory.forProtocol(Scripted)  # type: ignore[no-untyped-call]
        factory.behave = behave
        factory.noisy = False
        self.requests: list[bytes] = []
        self.connections: list[Scripted] = []
        factory.requests, factory.connections = self.requests, self.connections
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        case.addCleanup(port.stopListening)
        case.addCleanup(lambda: [each.transport.abortConnection() for each in self.connections])  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{port.getHost().port}/hook?token=t"


def answering(octets: bytes, *, closes: bool = False) -> Callable[[Scripted], None]:
    """Write that, and perhaps close."""

    def behave(protocol: Scripted) -> None:
        assert protocol.transport is not None
        protocol.transport.write(octets)
        if closes:
            protocol.transport.loseConnection()

    return behave


class PosterCase(TestCase):
    """A poster over the network."""

    timeout = 20

    def poster(self, url: str, policy: HttpsPolicy | None = None, host: str = "", port: int = 0) -> Poster:
        """One that lets go of its connections when the test ends."""
        agent: Any = make_agent(reactor, policy, 2, 5.0)
        self.addCleanup(agent.close)
        return Poster(agent, url, lambda: None if policy is None else policy.refusal_of(host, port))

    async def failure(self, behave: Callable[[Scripted], object]) -> HookFailure:
        """What is said of a hook that behaves in that way."""
        return await self.failed(self.poster(Hook(self, behave).url).post(b"{}", {}))

    async def failed(self, posting: Awaitable[bytes]) -> HookFailure:
        """The failure of a POST."""
        try:
            said = await posting
        except HookFailure as failure:
            return failure
        raise AssertionError(f"it did not fail: {said!r}")


class FailureTests(PosterCase):
    """Hooks that fail."""

    async def test_statuses(self) -> None:
        """5xx, 429, 3xx and other 4xx are told apart, and Retry-After is believed up to its bound."""
        for line, kind, wait in (
            (b"500 No", FailureKind.SERVER_ERROR, None),
            (b"503 No\r\nRetry-After: 7", FailureKind.SERVER_ERROR, 7.0),
            (b"503 No\r\nRetry-After: 999999999", FailureKind.SERVER_ERROR, LONGEST_RETRY_AFTER),
            (b"503 No\r\nRetry-After: soon", FailureKind.SERVER_ERROR, None),
            (b"429 No\r\nRetry-After: 2", FailureKind.BUSY, 2.0),
            (b"301 No\r\nLocation: http://127.0.0.1:1/", FailureKind.REDIRECTED, None),
            (b"307 No\r\nLocation: /elsewhere", FailureKind.REDIRECTED, None),
            (b"304 No", FailureKind.REDIRECTED, None),
            (b"401 No", FailureKind.REFUSED, None),
            (b"410 No", FailureKind.REFUSED, None),
        ):
            failure = await self.failure(answering(b"HTTP/1.1 " + line + b"\r\nContent-Length: 1\r\n\r\nx"))
            self.assertEqual((failure.kind, failure.retry_after), (kind, wait), line)

    async def test_nobody_there(self) -> None:
        """Where nobody listens, and where no such host is, the hook is unreachable."""
        for url in (f"http://127.0.0.1:{free_port()}/", "http://no-such-host.invalid/"):
            failure = await self.failed(self.poster(url).post(b"{}", {}))
            self.assertIs(failure.kind, FailureKind.UNREACHABLE)

    async def test_a_connection_that_is_lost(self) -> None:
        """One that ends before a word of the answer is unreachable, with or without a reset."""
        for behave in (
            lambda protocol: protocol.transport.loseConnection(),
            lambda protocol: protocol.transport.abortConnection(),
        ):
            self.assertIs((await self.failure(behave)).kind, FailureKind.UNREACHABLE)

    async def test_a_truncated_answer(self) -> None:
        """An answer that ends before the end that it has promised is truncated, and never taken for what it is."""
        for octets in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
            # It does not say how long it is, so nobody knows whether nothing is all of it.
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\n",
        ):
            failure = await self.failure(answering(octets, closes=True))
            self.assertIs(failure.kind, FailureKind.TRUNCATED, octets)

    async def test_a_truncated_head(self) -> None:
        """An answer that ends within its header section is no answer."""
        for octets in (b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"):
            failure = await self.failure(answering(octets, closes=True))
            self.assertIn(failure.kind, (FailureKind.UNREACHABLE, FailureKind.UNREADABLE), octets)

    async def test_garbage(self) -> None:
        """What is no HTTP is unreadable."""
        for octets in (b"\x15\x03\x01\x00\x02\x02\x28", b"SIP/2.0 200 OK\r\n\r\n{}", b"hello there\r\n\r\n"):
            failure = await self.failure(answering(octets + b"\r\n", closes=True))
            self.assertIs(failure.kind, FailureKind.UNREADABLE, octets)

    async def test_compression(self) -> None:
        """A compressed answer, which nobody asked for, is not unpacked."""
        failure = await self.failure(
            answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b")
        )
        self.assertIs(failure.kind, FailureKind.UNREADABLE)

    async def test_a_huge_body(self) -> None:
        """A body beyond the bound ends the connection, whether it says its length or not."""
        body = b"x" * (LARGEST_ANSWER + 1)
        for head in (b"Content-Length: %d" % len(body), b"X: y"):
            failure = await self.failure(answering(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body))
            self.assertIs(failure.kind, FailureKind.TOO_LARGE)

    async def test_an_endless_head(self) -> None:
        """A header section without an end is cut off at its bound, though each of its lines is short."""
        lines = b"X-A: %s\r\n" % (b"y" * 1000)
        octets = b"HTTP/1.1 200 OK\r\n" + lines * ((LARGEST_ANSWER + LARGEST_HEAD) // len(lines) + 10)
        self.assertIs((await self.failure(answering(octets))).kind, FailureKind.TOO_LARGE)

    async def test_nobody_waits_any_more(self) -> None:
        """When the POST is cancelled the connection is closed, before the answer and within it."""
        for octets in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"):
            hook = Hook(self, answering(octets))
            posting = self.poster(hook.url).post(b"{}", {})
            while not hook.requests:
                await deferLater(reactor, 0.005)
            await deferLater(reactor, 0.02)
            posting.cancel()
            with self.assertRaises(CancelledError):
                await posting
            while hook.connections[0].connected and hook.connections[0].transport.connected:  # type: ignore[union-attr]
                await deferLater(reactor, 0.005)


class RequestTests(PosterCase):
    """What goes to the hook."""

    async def test_an_answer(self) -> None:
        """The body of a 2xx is what is wanted; 204 has none, and a connection's end may end one that has no length."""
        for octets, said in (
            (OK, b"{}"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}"),
            (b"HTTP/1.0 200 OK\r\n\r\n{}", b"{}"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        ):
            hook = Hook(self, answering(octets, closes=octets.startswith(b"HTTP/1.0")))
            self.assertEqual(await self.poster(hook.url).post(b"{}", {}), said)

    async def test_what_is_sent(self) -> None:
        """The path and query are the URL's, the fields ours; nothing is asked for that we would not take."""
        hook = Hook(self, answering(OK))
        await self.poster(hook.url).post(b'{"a":1}', {"webhook-id": "msg_1"})
        head, body = hook.requests[0].split(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        self.assertEqual((lines[0], body), (b"post /hook?token=t http/1.1", b'{"a":1}'))
        self.assertTrue({b"webhook-id: msg_1", b"accept-encoding: identity", b"content-length: 7"} <= set(lines))

    async def test_no_cookies(self) -> None:
        """A cookie that the hook sets is not sent back."""
        hook = Hook(self, answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"))
        poster = self.poster(hook.url)
        await poster.post(b"{}", {})
        await poster.post(b"{}", {})
        self.assertNotIn(b"cookie", b"".join(hook.requests).lower())

    async def test_connections_are_kept(self) -> None:
        """The second delivery goes over the connection of the first; one that was closed meanwhile is unreachable."""
        hook = Hook(self, answering(OK))
        poster = self.poster(hook.url)
        await poster.post(b"{}", {})
        await poster.post(b"{}", {})
        self.assertEqual((len(hook.requests), len(hook.connections)), (2, 1))

    async def test_no_proxy(self) -> None:
        """A proxy that the environment names is not asked."""
        proxy = Hook(self, answering(OK))
        self.patch_environment("http_proxy", proxy.url)
        hook = Hook(self, answering(OK))
        await self.poster(hook.url).post(b"{}", {})
        self.assertEqual((len(hook.requests), proxy.requests), (1, []))

    def patch_environment(self, name: str, value: str) -> None:
        """Set a variable until the test ends."""
        import os

        os.environ[name] = value
        self.addCleanup(os.environ.pop, name, None)


class HttpsTests(PosterCase):
    """Over TLS."""

    async def serve(self, name: str) -> tuple[int, CertificateAuthority]:
        """A hook with a certificate for *name*; its port, and who has issued that."""
        authority = CertificateAuthority.create()
        factory: Any = Factory.forProtocol(Scripted)  # type: ignore[no-untyped-call]
        factory.behave, factory.noisy = answering(OK), False
        factory.requests, factory.connections = [], []
        secured = TLSMemoryBIOFactory(Server(authority.issue(name)), False, factory)
        listening = reactor.listenTCP(0, secured, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.addCleanup(lambda: [each.transport.loseConnection() for each in factory.connections])
        self.requests, self.connections = factory.requests, factory.connections
        return listening.getHost().port, authority

    async def test_a_hook_that_proves_who_it_is(self) -> None:
        """It is believed."""
        port, authority = await self.serve("localhost")
        policy = HttpsPolicy(TrustAnchors.from_pem(authority.pem))
        poster = self.poster(f"https://localhost:{port}/", policy, "localhost", port)
        self.assertEqual(await poster.post(b"{}", {}), b"{}")

    async def test_a_hook_that_does_not_agree_to_the_end(self) -> None:
        """A connection that is closed is over soon, also where the hook never answers the end of TLS."""
        self.patch(poster_module, "CLOSE_TIMEOUT", 0.05)
        port, authority = await self.serve("localhost")
        agent: Any = make_agent(reactor, HttpsPolicy(TrustAnchors.from_pem(authority.pem)), 2, 5.0)
        await Poster(agent, f"https://localhost:{port}/").post(b"{}", {})
        for each in self.connections:
            each.transport.transport.stopReading()
        await agent.close()
        for each in self.connections:
            each.transport.transport.abortConnection()

    async def test_a_hook_that_does_not(self) -> None:
        """One with another name, or by another authority, is a failure of TLS that says what is wrong."""
        port, authority = await self.serve("other.example")
        for trusted, words in ((authority, "it is not for the name"), (CertificateAuthority.create(), "not issued by")):
            policy = HttpsPolicy(TrustAnchors.from_pem(trusted.pem))
            poster = self.poster(f"https://localhost:{port}/", policy, "localhost", port)
            failure = await self.failed(poster.post(b"{}", {}))
            self.assertIs(failure.kind, FailureKind.TLS)
            self.assertIn(words, failure.detail)
        self.assertEqual(self.requests, [])

    async def test_clear_text_where_tls_was_wanted(self) -> None:
        """A hook that speaks no TLS is a failure of TLS."""
        hook = Hook(self, answering(OK))
        hook.connections.clear()
        policy = HttpsPolicy(TrustAnchors.from_pem(CertificateAuthority.create().pem))
        port = int(hook.url.rpartition(":")[2].partition("/")[0])

        posting: Deferred[bytes] = self.poster(f"https://127.0.0.1:{port}/", policy, "127.0.0.1", port).post(b"{}", {})
        while not hook.connections:
            await deferLater(reactor, 0.005)
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", closes=True)(hook.connections[0])
        self.assertIs((await self.failed(posting)).kind, FailureKind.TLS)

    async def test_https_without_a_policy(self) -> None:
        """Nothing goes to https where nobody says whom to believe."""
        failure = await self.failed(self.poster("https://localhost:1/").post(b"{}", {}))
        self.assertIs(failure.kind, FailureKind.UNREADABLE)
