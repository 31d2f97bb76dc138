"""The part as a whole: on loopback, on a Unix socket and by TLS."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives.serialization import Encoding
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.assembly import make
from sip_p2p.service.commands.showing import ShowOptions
from sip_p2p.service.http.server import ControlServer
from sip_p2p.service.service import StartFailed
from sip_p2p.service.words import ExitCode
from sip_p2p.transport.tls.settings import HTTP_PROTOCOL, TlsSettings, client_tls_factory
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.revocation import Revocation
from tests.service.http.loopback import LoopbackCase
from tests.service.http.support import ApiCase
from tests.service.support import keys, parsed
from tests.support import TestCase, reactor

if TYPE_CHECKING:
    from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager

TOKEN = "3f9a1c5b7e2d4860"


@implementer(IAgentEndpointFactory)
class ToPath:
    """Leads every URL to one Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def endpointForURI(self, uri: object) -> UNIXClientEndpoint:
        """The socket."""
        return UNIXClientEndpoint(reactor, self._path)


def client_of() -> HTTPClient:
    """A client without connections that outlive the test."""
    return HTTPClient(Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False)))


class LoopbackTests(LoopbackCase):
    """A port of this machine."""

    async def test_whole(self) -> None:
        """row:M14: any HTTP client can ask; what is not from this place is turned away."""
        client: Any = client_of()
        answer = await client.get(f"{self.url}/v1")
        found = await answer.json()
        self.assertEqual((answer.code, found["uri"]), (200, "sip:user@127.0.0.1"))
        answer = await client.post(f"{self.url}/v1/reload", headers={"Origin": "https://evil.example"})
        self.assertEqual(answer.code, 403)
        await answer.content()

    async def test_a_stream_to_the_end(self) -> None:
        """A follower hears of the stop, and of the end of its stream as such."""
        client: Any = client_of()
        answer = await client.get(f"{self.url}/v1/events?event=stopping")
        ended = answer.text()
        await self.service.stopService()
        self.assertIn("event: stopping", await ended)


class UnixTests(TestCase):
    """A Unix socket."""

    async def test_unix(self) -> None:
        """row:M14: on a Unix socket no token is needed, and no browser has to be kept out by its Host."""
        folder = tempfile.mkdtemp(dir="/tmp", prefix="sip-p2p-")
        self.addCleanup(os.rmdir, folder)
        path = os.path.join(folder, "control.sock")
        options = parsed(
            "--uri=sip:a@127.0.0.1",
            "--proxy=tcp:127.0.0.1:9",
            f"--http=unix:{path}",
            "--application=control",
            "--drain=0",
        )
        service = make(reactor, options)
        service.startService()
        self.addCleanup(service.stopService)
        pool = HTTPConnectionPool(reactor, persistent=False)
        client: Any = HTTPClient(Agent.usingEndpointFactory(reactor, ToPath(path), pool))
        answer = await client.get("http://control/v1")
        self.assertEqual((answer.code, (await answer.json())["uri"]), (200, "sip:a@127.0.0.1"))


class TlsTests(TestCase):
    """TLS by our own rule of identity."""

    async def start(self, *arguments: str) -> ControlServer:
        """A service of a.example with the API by TLS."""
        folder = keys()
        options = parsed(
            "--uri=sip:a@a.example",
            f"--certificate={folder}/a.example.pem",
            f"--trust={folder}/ca.pem",
            "--allow=.example",
            "--application=control",
            "--drain=0",
            *arguments,
        )
        service = make(reactor, options)
        service.startService()
        self.addCleanup(service.stopService)
        (server,) = (each for each in service.parts if isinstance(each, ControlServer))
        return server

    async def ask(self, server: ControlServer, name: str) -> bytes:
        """What a client with the certificate of *name* is answered."""
        done: Deferred[bytes] = Deferred()
        octets: list[bytes] = []

        class Asking(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

            def dataReceived(self, data: bytes) -> None:
                octets.append(data)

            def connectionLost(self, reason: Any = None) -> None:
                if not done.called:
                    done.callback(b"".join(octets))

        folder = keys()
        credential = Credential.from_files(folder / f"{name}.pem")
        settings = TlsSettings(credential, TrustAnchors.from_files(folder / "ca.pem"))
        factory = client_tls_factory(
            settings, "a.example", ClientFactory.forProtocol(Asking), reactor, 5.0, HTTP_PROTOCOL
        )
        port = int(server.addresses[0].rpartition(":")[2])
        reactor.connectTCP("127.0.0.1", port, factory)
        return await done

    async def test_certificates(self) -> None:
        """row:M14: only whom --http-allow names steers the service, not everybody who may send it requests."""
        server = await self.start("--http=tls:port=0:interface=127.0.0.1", "--http-allow=b.example")
        self.assertIn(b'"uri": "sip:a@a.example"', await self.ask(server, "b.example"))

    async def test_others(self) -> None:
        """Whoever shows another certificate never gets a word of HTTP in."""
        server = await self.start("--http=tls:port=0:interface=127.0.0.1", "--http-allow=ops.example")
        self.assertEqual(await self.ask(server, "b.example"), b"")

    async def test_the_command(self) -> None:
        """row:M14: ``sip-p2p show`` proves who it is with a certificate, and says what is missing without one."""
        folder = keys()
        own = CertificateAuthority.load(folder).issue("127.0.0.1").write(Path(self.mktemp()))
        server = await self.start(f"--http=tls:port=0:interface=127.0.0.1:certKey={own}", "--http-allow=b.example")
        shared = ["--control", server.addresses[0], "--control-trust", str(folder / "ca.pem")]
        for more, code, expected in (
            (["--control-certificate", str(folder / "b.example.pem")], ExitCode.OK, "sip:a@a.example"),
            ([], ExitCode.CONNECTION, "--control-certificate"),
        ):
            options = ShowOptions()
            options.parseOptions([*shared, *more])
            out, err = io.StringIO(), io.StringIO()
            self.assertEqual(await options.show(reactor, out, err), code, err.getvalue())
            self.assertIn(expected, out.getvalue() + err.getvalue())

    async def test_revoked(self) -> None:
        """Whose certificate is revoked while the service runs steers it no more: the API follows the party's lists."""
        server = await self.start("--http=tls:port=0:interface=127.0.0.1", "--http-allow=b.example")
        self.assertIn(b" 200 ", await self.ask(server, "b.example"))
        authority = CertificateAuthority.load(keys())
        certificate = Credential.from_files(keys() / "b.example.pem").certificate
        path = Path(self.mktemp())
        path.write_bytes(authority.revocation_list([certificate]).public_bytes(Encoding.PEM))
        manager = cast("RealTimeServerTlsConnectionManager", server.service.manager)
        manager.set_revocation(Revocation.from_files(path, mode="hard"))
        self.assertEqual(await self.ask(server, "b.example"), b"")

    async def test_a_certificate_of_its_own(self) -> None:
        """row:M14: a certificate that only the API shows is listed and watched as the party's own is."""
        path = keys() / "b.example.pem"
        server = await self.start(f"--http=tls:port=0:interface=127.0.0.1:certKey={path}", "--http-allow=b.example")
        manager = cast("RealTimeServerTlsConnectionManager", server.service.manager)
        self.assertIn(Credential.from_files(path).certificate, [each for _, each in manager.certificates()])


class StartTests(TestCase):
    """Starts that fail."""

    async def test_taken(self) -> None:
        """A port that is taken ends the start with one line."""
        port = reactor.listenTCP(0, ClientFactory(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        options = parsed("--uri=sip:a@127.0.0.1", "--proxy=tcp:127.0.0.1:9", f"--http={port.getHost().port}")
        service = make(reactor, options)
        self.addCleanup(service.stopService)
        with self.assertRaises(StartFailed) as caught:
            service.startService()
        place = f"cannot listen on --http {port.getHost().port}: "
        self.assertEqual(str(caught.exception), f"sip-p2p: {place}{os.strerror(errno.EADDRINUSE)}")

    async def test_no_folder(self) -> None:
        """A socket in a folder that is not there ends the start with one line that names it."""
        place = "unix:/nowhere/at/all/control.sock"
        service = make(reactor, parsed("--uri=sip:a@127.0.0.1", "--proxy=tcp:127.0.0.1:9", f"--http={place}"))
        self.addCleanup(service.stopService)
        with self.assertRaises(StartFailed) as caught:
            service.startService()
        self.assertEqual(
            str(caught.exception), f"sip-p2p: cannot listen on --http {place}: {os.strerror(errno.ENOENT)}"
        )

    async def test_tokens(self) -> None:
        """A file without a token ends the start before anything is bound."""
        path = self.mktemp()
        with open(path, "w", encoding="ascii") as file:
            file.write("short\n")
        options = parsed("--uri=sip:a@127.0.0.1", "--proxy=tcp:127.0.0.1:9", "--http=0", f"--http-token-file={path}")
        self.assertRaises((ValueError, OSError), make, reactor, options)


class ReloadTests(ApiCase):
    """Tokens that change."""

    def setUp(self) -> None:
        """A file of tokens."""
        self.path = self.mktemp()
        self.write(TOKEN)
        self.arguments = ("--http=8080", f"--http-token-file={self.path}")
        super().setUp()

    def write(self, text: str) -> None:
        """What the file holds from now on."""
        with open(self.path, "w", encoding="ascii") as file:
            file.write(text)

    def test_reload(self) -> None:
        """row:M15: the file of tokens is read anew at SIGHUP; one of no use leaves the old tokens in use."""
        self.assertEqual(self.server.reload(), [])
        self.write(TOKEN[::-1])
        self.assertEqual(self.server.reload(), ["the tokens of the HTTP API"])
        self.write("short")
        self.assertEqual(self.server.reload(), [])
