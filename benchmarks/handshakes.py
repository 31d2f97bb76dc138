"""What a handshake costs the CPU of both sides, in full and resumed: mutual TLS between two parties of ours, in memory.

Both parties are in this process, with the library's own TLS factories and a transport that hands the octets over; there
is no socket, no SIP and no reactor in the figures. A connection is counted from its making to the first octet that the
server says on it, with which the client has its ticket for the next one.
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from benchmarks.report import Goal, goals_table, machine, table
from benchmarks.setting import FULL, QUICK, Setting
from sip_p2p import Credential, TrustAnchors, TrustPolicy
from sip_p2p.transport.tls.protocol import HoldingTlsProtocol
from sip_p2p.transport.tls.settings import TlsSettings, client_tls_factory, server_tls_factory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.setting import Scale

__all__ = ["Handshake", "goals", "main", "measure_handshakes", "tables"]

_VERSIONS = (("TLSv1.3", 0), ("TLSv1.2", SSL.TLS1_2_VERSION))
_MOST_OF_A_FULL_ONE = 0.5


@dataclass(slots=True)
class Handshake:
    """One kind of connection; CPU microseconds of the median connection, for each side.

    :ivar ratio: what both sides together pay for it, as a part of what they pay for a full one.
    """

    version: str
    kind: str
    client: float
    server: float
    ratio: float = 1.0

    @property
    def both(self) -> float:
        """What both sides pay."""
        return self.client + self.server


@implementer(ITransport)
class _Wire:
    """One side of a connection: keeps what is written for the other side to fetch."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.disconnecting = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.written.extend(data)

    def loseConnection(self) -> None:
        self.disconnecting = True

    abortConnection = loseConnection

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 5061)

    getHost = getPeer

    def registerProducer(self, producer: object, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass


@implementer(IHandshakeListener)
class _Greets(Protocol):
    """The server says something as soon as it knows who is there."""

    def handshakeCompleted(self) -> None:
        assert self.transport is not None
        self.transport.write(b"x")


@implementer(IHandshakeListener)
class _Listens(Protocol):
    """The client hears something."""

    heard = 0

    def handshakeCompleted(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        self.heard += len(data)


class _Side:
    """A party with the CPU time that it has used."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self.used = 0.0

    def begin(self) -> None:
        self.wire = _Wire()
        began = time.thread_time()
        self.tls = self._factory.buildProtocol(None)
        self.tls.makeConnection(self.wire)
        self.used += time.thread_time() - began

    def take(self, data: bytes) -> None:
        began = time.thread_time()
        self.tls.dataReceived(data)
        self.used += time.thread_time() - began

    def end(self) -> None:
        self.tls.loseConnection()
        self.tls.connectionLost(Failure(ConnectionDone()))


def _connect(client: _Side, server: _Side) -> None:
    """One connection, from its beginning to its end."""
    server.begin()
    client.begin()
    sides = ((client, server), (server, client))
    while any(giver.wire.written for giver, _ in sides):
        for giver, taker in sides:
            data, giver.wire.written = b"".join(giver.wire.written), []
            if data:
                taker.take(data)
    if client.tls.verified is None or server.tls.verified is None:
        raise RuntimeError("the two parties do not come to trust each other")
    client.end()
    server.end()


def measure_handshakes(setting: Setting, *, stock_tls: bool = False) -> list[Handshake]:
    """Connect two parties again and again, in full and resumed by turns; and likewise OpenSSL alone with itself."""
    found = []
    for version, maximum in _VERSIONS:
        for who in ("", ", OpenSSL alone"):
            pairs: list[_Parties | _Bare] = []
            for resumes in (False, True):
                pairs.append(
                    _Bare(setting, maximum, resumes) if who else _Parties(setting, maximum, resumes, stock_tls)
                )
            for _ in range(_count(setting.scale)):
                for pair in pairs:
                    pair.connect()
            full, resumed = (
                Handshake(version, f"{kind}{who}", *pair.medians())
                for kind, pair in zip(("in full", "resumed"), pairs, strict=True)
            )
            resumed.ratio = resumed.both / full.both
            found += [full, resumed]
    return found


class _Measured:
    """Two parties that connect to each other, and what each connection has cost them."""

    def __init__(self) -> None:
        self.used: list[tuple[float, float]] = []

    def medians(self) -> tuple[float, float]:
        """CPU microseconds of the median connection, of the client and of the server."""
        # The first is a full one in any case.
        client, server = (median(each[side] for each in self.used[1:]) * 1e6 for side in (0, 1))
        return client, server


class _Parties(_Measured):
    """Two parties of ours."""

    def __init__(self, setting: Setting, maximum: int, resumes: bool, stock_tls: bool) -> None:
        super().__init__()
        trust = TrustAnchors.from_files(setting.trust)
        ours, theirs = (
            TlsSettings(
                Credential.from_files(path),
                trust,
                TrustPolicy.any_authenticated(),
                maximum_version=maximum,
                resumes=resumes,
                protocol=HoldingTlsProtocol if stock_tls else None,
            )
            for path in (setting.client, setting.server)
        )
        self._resumes = resumes
        self._theirs = theirs
        self._clock = Clock()
        self._client = _Side(client_tls_factory(ours, "bob.example", Factory.forProtocol(_Listens), self._clock, 5.0))
        self._server = _Side(server_tls_factory(theirs, Factory.forProtocol(_Greets), self._clock, 5.0))

    def connect(self) -> None:
        """Connect once.

        :raises RuntimeError: it was not the kind of handshake that is measured.
        """
        self._client.used = self._server.used = 0.0
        _connect(self._client, self._server)
        self._clock.advance(0)
        self.used.append((self._client.used, self._server.used))
        if self._theirs.resumptions != (len(self.used) - 1 if self._resumes else 0):
            raise RuntimeError(f"{self._theirs.resumptions} of {len(self.used)} sessions were resumed")


class _Bare(_Measured):
    """OpenSSL with itself: the same certificates and versions, nobody who judges them, and no Twisted."""

    def __init__(self, setting: Setting, maximum: int, resumes: bool) -> None:
        super().__init__()
        self._resumes = resumes
        self._session: SSL.Session | None = None
        self._contexts = [self._context(setting, path, maximum) for path in (setting.client, setting.server)]

    def _context(self, setting: Setting, path: object, maximum: int) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(maximum)
        context.use_certificate_file(str(path))
        context.use_privatekey_file(str(path))
        context.load_verify_locations(str(setting.trust))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"benchmark")
        return context

    def connect(self) -> None:
        """Connect once."""
        used = [0.0, 0.0]
        began = time.thread_time()
        client = SSL.Connection(self._contexts[0], None)
        client.set_connect_state()
        if self._session is not None:
            client.set_session(self._session)
        used[0] += time.thread_time() - began
        began = time.thread_time()
        server = SSL.Connection(self._contexts[1], None)
        server.set_accept_state()
        used[1] += time.thread_time() - began
        for _ in range(3):
            for side, (giver, taker) in enumerate(((client, server), (server, client))):
                began = time.thread_time()
                with suppress(SSL.WantReadError):
                    giver.do_handshake()
                with suppress(SSL.WantReadError):
                    taker.bio_write(giver.bio_read(65536))
                used[side] += time.thread_time() - began
        began = time.thread_time()
        with suppress(SSL.WantReadError):
            client.recv(1)
        if self._resumes:
            self._session = client.get_session()
        used[0] += time.thread_time() - began
        self.used.append((used[0], used[1]))
        for each in (client, server):
            each.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)


def _count(scale: Scale) -> int:
    return max(3, scale.connections // 2)


def tables(handshakes: Sequence[Handshake]) -> str:
    """One row for each kind of connection."""
    columns = ["CPU microseconds a connection", "client", "server", "both", "of full"]
    rows = []
    for each in handshakes:
        times = [f"{number:.0f}" for number in (each.client, each.server, each.both)]
        rows.append([f"{each.version}, {each.kind}", *times, f"{each.ratio:.2f}"])
    return table("Connections that resume", columns, rows)


def goals(handshakes: Sequence[Handshake]) -> list[Goal]:
    """A resumed connection is to cost at most half of a full one."""
    return [
        Goal(f"{each.version}: a resumed connection, of a full one", each.ratio, _MOST_OF_A_FULL_ONE, "")
        for each in handshakes
        if each.kind == "resumed"
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handshakes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer connections")
    parser.add_argument("--stock-tls", action="store_true", help="with Twisted's own TLS protocol")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        handshakes = measure_handshakes(setting, stock_tls=options.stock_tls)
    print(tables(handshakes))
    print(goals_table(goals(handshakes)))


if __name__ == "__main__":
    main()
