"""What asks a running service: where it is, what it says, its streams, and what goes wrong on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.ssl import PrivateCertificate
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.commands.control_client import ControlClient, ControlError, ControlPlace
from sip_p2p.transport.trust.https import HttpsPolicy
from tests.service.support import keys
from tests.support import SynchronousTestCase, TestCase, reactor


class Api(Resource):
    """Answers everything with what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[Any] = []

    def render(self, request: Any) -> Any:
        """The request as JSON, a problem, a stream, or something else."""
        path = request.path.decode("ascii")
        request.setHeader("content-type", "application/json")
        if path == "/problem":
            request.setResponseCode(401)
            return b'{"title": "Who are you?", "detail": "A token is \\u001b missing."}'
        if path == "/moved":
            request.setResponseCode(307)
            request.setHeader("location", "http://127.0.0.1:1/")
            return b""
        if path == "/nonsense":
            return b"<html>"
        if path == "/stream":
            request.write(
                b'retry: 2000\n\n: \n\nid: 1\nevent: message\ndata: {"a":\ndata: 1}\n\nevent: note\r\ndata: 2\r\n\r\n'
            )
            request.write(b"event: left\ndata: un")
            self.streams.append(request)
            request.finish() if b"end" in request.args else None
            return NOT_DONE_YET
        headers = {name: request.getHeader(name) for name in ("authorization", "content-type", "host", "prefer")}
        said = {
            "method": request.method.decode("ascii"),
            "path": request.uri.decode("ascii"),
            "body": request.content.read().decode("utf-8"),
            **headers,
        }
        return json.dumps(said).encode("ascii")


class PlaceTests(SynchronousTestCase):
    """What names an API."""

    def test_it_is_taken_apart(self) -> None:
        """A socket, a port of this machine, an address, a URL."""
        cases = {
            "unix:/run/control.sock": ("http", "localhost", 80, "/run/control.sock"),
            "unix:/run/control.sock:mode=660": ("http", "localhost", 80, "/run/control.sock"),
            "8080": ("http", "127.0.0.1", 8080, ""),
            "localhost:8080": ("http", "localhost", 8080, ""),
            "[::1]:8080": ("http", "::1", 8080, ""),
            "https://a.example": ("https", "a.example", 443, ""),
            "https://a.example:8443/": ("https", "a.example", 8443, ""),
        }
        for text, expected in cases.items():
            self.assertEqual(ControlPlace.parse(text), expected)
        self.assertEqual(str(ControlPlace.parse("[::1]:8080")), "http://[::1]:8080")
        self.assertEqual(str(ControlPlace.parse("unix:/a")), "unix:/a")

    def test_what_names_none(self) -> None:
        """Everything else is refused."""
        for text in ("unix:a", "ftp://a", "http://", "a:b", "http://me:secret@a", "http://a/v1", "http://a:99999"):
            self.assertRaises(ValueError, ControlPlace.parse, text)

    def test_a_token_in_clear_text(self) -> None:
        """It is not sent where others can read it; on this machine and over TLS it is."""
        for text, is_private in (("8080", True), ("localhost:1", True), ("192.0.2.1:1", False), ("a.example:1", False)):
            place = ControlPlace.parse(text)
            self.assertEqual(place.is_private, is_private)
            if is_private:
                ControlClient(reactor, place, "token")
            else:
                self.assertRaises(ControlError, ControlClient, reactor, place, "token")


class ClientTests(TestCase):
    """A client and a server on this machine."""

    timeout = 20

    def setUp(self) -> None:
        """The server."""
        self.api = Api()
        site = Site(self.api)
        site.noisy = False
        self.site = site

    async def listening(self) -> ControlPlace:
        """Where it listens by TCP."""
        port = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return ControlPlace.parse(str(port.getHost().port))

    async def failing(self, client: ControlClient, path: str) -> ControlError:
        """How asking for *path* fails."""
        try:
            await client.get(path)
        except ControlError as error:
            return error
        raise self.failureException("it did not fail")

    async def test_a_request(self) -> None:
        """Method, path, query, token, body and further fields go out as they are given."""
        client = ControlClient(reactor, await self.listening(), "s3cret")
        said = (await client.ask("POST", "/v1/x", {"a": "b c"}, b"{}", {"Prefer": "wait=2"})).json()
        self.assertEqual((said["method"], said["path"], said["body"]), ("POST", "/v1/x?a=b+c", "{}"))
        self.assertEqual((said["authorization"], said["prefer"]), ("Bearer s3cret", "wait=2"))
        self.assertEqual(said["content-type"], "application/json")

    async def test_a_unix_socket(self) -> None:
        """The same over a Unix socket."""
        path = f"/tmp/{self.mktemp().replace('/', '-')[-60:]}"
        port = reactor.listenUNIX(path, self.site)
        client = ControlClient(reactor, ControlPlace.parse(f"unix:{path}"))
        self.assertEqual((await client.get("/v1"))["host"], "localhost")
        await port.stopListening()
        self.assertIn("is the service there, with --http?", str(await self.failing(client, "/v1")))

    async def test_tls(self) -> None:
        """The server proves its name to the authorities that were named, and no other server is asked."""
        folder = Path(self.mktemp())
        CertificateAuthority.create("an authority", folder).issue("localhost").write(folder)
        certificate = PrivateCertificate.loadPEM((folder / "localhost.pem").read_bytes())
        port = reactor.listenSSL(0, self.site, certificate.options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        place = ControlPlace("https", "127.0.0.1", port.getHost().port)
        client = ControlClient(reactor, place, "s3cret", HttpsPolicy(str(folder / "ca.pem")))
        self.assertEqual((await client.get("/v1"))["authorization"], "Bearer s3cret")
        other = ControlClient(reactor, place, "s3cret", HttpsPolicy(str(keys() / "ca.pem")))
        self.assertEqual((await self.failing(other, "/v1")).status, 0)

    async def test_a_problem(self) -> None:
        """What the service says against it is one line, made safe, with what to do; a redirection is not followed."""
        client = ControlClient(reactor, await self.listening())
        error = await self.failing(client, "/problem")
        self.assertEqual(error.status, 401)
        self.assertIn("401: A token is \\x1b missing. (give the file with the token", str(error))
        self.assertEqual((await self.failing(client, "/moved")).status, 307)
        self.assertIn("no JSON", str(await self.failing(client, "/nonsense")))

    async def test_a_stream(self) -> None:
        """Events come as they are, whatever their line ends; comments mean nothing, and half an event is none."""
        client = ControlClient(reactor, await self.listening())
        told: list[tuple[str, Any]] = []
        await client.follow("/stream", {"end": 1}, lambda event, value: told.append((event, value)))
        self.assertEqual(told, [("message", {"a": 1}), ("note", 2)])

    async def test_a_stream_that_breaks_off(self) -> None:
        """It is an error, and so is one that is refused."""
        client = ControlClient(reactor, await self.listening())

        def break_off(*_: object) -> None:
            self.api.streams[0].channel.transport.abortConnection()

        for path in ("/stream", "/problem"):
            try:
                await client.follow(path, {}, break_off)
            except ControlError as error:
                self.assertIn("the connection was lost" if path == "/stream" else "401", str(error))
            else:
                self.fail("it did not fail")
