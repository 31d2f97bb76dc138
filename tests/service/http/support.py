"""What the tests of the HTTP API share: a service on the network in memory, and a client that reads octets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twisted.internet.testing import StringTransport

from sip_p2p.observe.recorder import Recorder
from sip_p2p.service.applications.base import Application
from sip_p2p.service.applications.control import ControlApplication
from sip_p2p.service.applications.running import RunningApplication
from sip_p2p.service.chronicle import Chronicle
from sip_p2p.service.http.access import Access, Tokens
from sip_p2p.service.http.channel import ControlFactory
from sip_p2p.service.http.server import ControlServer
from sip_p2p.service.instruments.instruments import Instruments
from sip_p2p.service.party import Party
from sip_p2p.service.service import SipService
from sip_p2p.testing.network import Network
from tests.service.support import parsed
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.service.http.channel import ControlChannel

__all__ = ["SDP", "ApiCase", "Client", "Got", "Wire"]

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n"


class Wire(StringTransport):
    """A connection in memory that says whether it was dropped.

    :ivar ends_late: whether who drops it is not told at once that it is gone, as with real ones.
    """

    aborted = ends_late = False

    def __init__(self, channel: ControlChannel) -> None:
        super().__init__()
        self._channel = channel
        self._is_gone = False
        self.pauses: ControlChannel | None = None

    def write(self, data: bytes) -> None:
        """Take octets; a connection that pauses takes no more after each event."""
        super().write(data)
        if self.pauses is not None and b"data: " in data:
            self.pauses.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """The same in pieces."""
        self.write(b"".join(data))

    def abortConnection(self) -> None:
        """It is dropped."""
        self.aborted = True
        if not self.ends_late:
            self.end()

    def end(self) -> None:
        """It is gone; once."""
        if not self._is_gone:
            self._is_gone = True
            self._channel.connectionLost()


class Got:
    """An answer: its status, its header fields with lower-case names, and its content."""

    def __init__(self, octets: bytes) -> None:
        head, _, content = octets.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
        self.content = _pieces(content) if self.headers.get("transfer-encoding") == "chunked" else content

    @property
    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The server-sent events so far, each with its kind."""
        found = []
        for block in self.content.decode("ascii").split("\n\n"):
            lines = dict(line.partition(": ")[::2] for line in block.splitlines())
            if "data" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
        return found


def _pieces(content: bytes) -> bytes:
    found = b""
    while content:
        size, _, content = content.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            break
        found, content = found + content[:length], content[length + 2 :]
    return found


class Client:
    """One connection to the API."""

    def __init__(self, factory: ControlFactory) -> None:
        channel = factory.buildProtocol(None)
        assert channel is not None
        self.channel = channel
        self.wire = Wire(channel)
        self.channel.makeConnection(self.wire)

    def send(self, octets: bytes) -> None:
        """These octets."""
        self.channel.dataReceived(octets)

    def ask(self, method: str, path: str, content: object = None, headers: dict[str, str] | None = None) -> None:
        """A request, its content as JSON unless it is octets."""
        fields = {"Host": "localhost:8080"} | (headers or {})
        octets = b"" if content is None else content if isinstance(content, bytes) else json.dumps(content).encode()
        if octets:
            fields.setdefault("Content-Type", "application/json")
            fields["Content-Length"] = str(len(octets))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + octets)

    @property
    def got(self) -> Got:
        """What has come since the last :meth:`clear`."""
        return Got(self.wire.value())

    def clear(self) -> None:
        """Forget what has come."""
        self.wire.clear()


class ApiCase(SynchronousTestCase):
    """Two parties on one clock: one runs as a service with the API, the other talks to it."""

    arguments: tuple[str, ...] = ()
    token_file: str | None = None
    record = 64

    def setUp(self) -> None:
        """The two, and the API of the first."""
        super().setUp()
        self.network = Network()
        self.addCleanup(self.network.finish)
        self.ours = self.network.party("sip:user@a.example")
        self.theirs: SipPeerToPeerEndpoint = self.network.party("sip:user@b.example")
        self.server = self.serve(ControlApplication())
        self.factory = self.factory_for()
        self.client = Client(self.factory)

    def serve(self, application: Application) -> ControlServer:
        """A service that runs *application*, with the API."""
        options = parsed("--uri", "sip:user@a.example", "--proxy", "tcp:127.0.0.1:9", *self.arguments)
        manager = self.ours.connection_manager
        service = SipService(manager.reactor, Party(manager, self.ours), RunningApplication(application))
        recorder = Recorder(self.record) if self.record else None
        instruments = Instruments(manager.reactor, manager, recorder=recorder)
        server = ControlServer(service, instruments, options)
        for part in (instruments, Chronicle(service.happenings, self.ours), server):
            service.add_part(part)
        service.startService()
        self.addCleanup(lambda: self.network.run_until(service.stopService()))
        return server

    def factory_for(self, *, is_local: bool = True, tokens: Tokens | None = None) -> ControlFactory:
        """Where connections come in."""
        factory = ControlFactory(self.server.reactor, self.server, Access(tokens, is_local=is_local))
        self.addCleanup(self._close, factory)
        return factory

    @staticmethod
    def _close(factory: ControlFactory) -> None:
        for channel in tuple(factory.connections):
            channel.abort()

    def ask(self, method: str, path: str, content: object = None, headers: dict[str, str] | None = None) -> Got:
        """Ask, and let everything happen that happens at once."""
        self.client.clear()
        if self.client.wire.disconnecting:
            self.client = Client(self.client.channel.factory)
        self.client.ask(method, path, content, headers)
        self.network.settle()
        return self.client.got

    def get(self, path: str, **headers: str) -> Any:
        """The JSON that is there."""
        got = self.ask("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})
        self.assertEqual(got.status, 200, got.content)
        return got.json

    def assert_problem(self, got: Got, status: int, kind: str) -> Any:
        """That *got* is a problem of this kind, in the form of RFC 9457."""
        self.assertEqual((got.status, got.headers["content-type"]), (status, "application/problem+json"), got.content)
        members = got.json
        self.assertEqual((members["type"], members["status"]), (f"/v1/problems/{kind}", status))
        self.assertTrue(members["title"] and members["detail"])
        return members
