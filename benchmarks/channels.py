"""Ways of the load generator to a server, as cheap as Python has them: TCP, UDP, and mutual TLS over memory BIOs."""

from __future__ import annotations

import select
import socket
import ssl
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from benchmarks.plan import Plan

__all__ = ["Channel", "DatagramChannel", "StreamChannel", "TlsChannel", "connect", "tls_context"]

_READ_SIZE = 262_144
_STALLED_AFTER = 10.0


class Channel(Protocol):
    """A way to the server: whole messages out, octets in."""

    def write(self, messages: list[bytes]) -> None: ...

    def read(self) -> bytes: ...

    def close(self) -> None: ...


class StreamChannel:
    """A TCP connection."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def write(self, messages: list[bytes]) -> None:
        _send_all(self._socket, b"".join(messages))

    def read(self) -> bytes:
        data = self._socket.recv(_READ_SIZE)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def close(self) -> None:
        self._socket.close()


class DatagramChannel:
    """A UDP socket; the answers are self-delimiting, so that several may be read as one."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def write(self, messages: list[bytes]) -> None:
        for message in messages:
            self._socket.send(message)

    def read(self) -> bytes:
        datagrams = []
        try:
            while True:
                datagrams.append(self._socket.recv(65_536))
        except BlockingIOError:
            return b"".join(datagrams)

    def close(self) -> None:
        self._socket.close()


class TlsChannel:
    """A mutual TLS connection over memory BIOs: one system call a turn, however many records it brings."""

    __slots__ = ("_in", "_out", "_socket", "_tls")

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        self._socket = connected
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_name)

    @property
    def description(self) -> str:
        """Version and cipher, as negotiated."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0] if cipher else ''}"

    def handshake(self) -> bool:
        """Take the handshake as far as what has arrived allows; True when it is done. flush() sends what it says."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def feed(self) -> None:
        """Read from the socket what is there."""
        data = self._socket.recv(_READ_SIZE)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._in.write(data)

    def flush(self) -> None:
        """Send what TLS has to say."""
        if self._out.pending:
            _send_all(self._socket, self._out.read())

    def write(self, messages: list[bytes]) -> None:
        self._tls.write(b"".join(messages))
        _send_all(self._socket, self._out.read())

    def read(self) -> bytes:
        self.feed()
        chunks = []
        try:
            while self._in.pending:
                chunks.append(self._tls.read(_READ_SIZE))
        except ssl.SSLWantReadError:
            return b"".join(chunks)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            self.flush()  # unwrap() has said close_notify and would now wait for the server's
        self._socket.close()


def _send_all(connected: socket.socket, data: bytes) -> None:
    try:
        sent = connected.send(data)
    except BlockingIOError:
        sent = 0
    while sent < len(data):
        poll = select.poll()
        poll.register(connected, select.POLLOUT)
        poll.poll(_STALLED_AFTER * 1e3)
        sent += connected.send(data[sent:])


def tls_context(plan: Plan) -> ssl.SSLContext:
    """A client context that shows the plan's certificate and trusts its authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(plan.certificate)
    context.load_verify_locations(plan.trust)
    return context


def connect(plan: Plan, port: int, context: ssl.SSLContext | None) -> tuple[socket.socket, Channel]:
    """One connection of the plan's kind, ready to be written to."""
    kind = socket.SOCK_DGRAM if plan.transport == "udp" else socket.SOCK_STREAM
    connected = socket.socket(socket.AF_INET, kind)
    connected.connect((plan.host, port))
    if plan.transport == "udp":
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_194_304)
        connected.setblocking(False)
        return connected, DatagramChannel(connected)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        connected.setblocking(False)
        return connected, StreamChannel(connected)
    channel = TlsChannel(connected, context, plan.server_name)
    while not channel.handshake():
        channel.flush()
        channel.feed()
    channel.flush()
    connected.setblocking(False)
    return connected, channel
