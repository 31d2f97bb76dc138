"""TLS over Twisted's memory BIO protocol, with the same semantics and about half of its cost a message.

:class:`CorkedTlsProtocol` is :class:`twisted.protocols.tls.TLSMemoryBIOProtocol` with other hot paths; handshake,
shutdown, producers, errors and every rare path are inherited. Three things are different:

* what is written while received bytes are being delivered leaves once, at the end of that delivery: one TLS record, one
  system call. Writes from elsewhere wait for the end of the reactor's turn, in one delayed call for all connections.
* reading ends when the TLS records that have arrived are used up, which their headers tell, not by an exception for
  each message. The plain text of several records is delivered at once.
* when the TCP connection has nothing waiting, a record is given to the socket at once; what does not fit, and every
  error, takes the reactor's usual way.

It also can *hold* writes until the peer has been verified, see :mod:`.tls.settings`.

The class leans on parts of Twisted that are not promised to stay. :func:`choose_protocol` looks whether they are
there, and gives :class:`HoldingTlsProtocol`, Twisted's own code, where they are not.
"""

# The base class has no annotations, and nearly every call here is one to it.
# mypy: allow-untyped-calls

from __future__ import annotations

import inspect
import weakref
from typing import TYPE_CHECKING, Any, cast

from OpenSSL.SSL import RECEIVED_SHUTDOWN, SENT_SHUTDOWN, Error, WantReadError, ZeroReturnError
from twisted.internet import tcp
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IProtocol

    from sip_p2p.transport.trust.judgement import VerifiedPeer

__all__ = ["CorkedTlsProtocol", "HoldingTlsProtocol", "TurnFlusher", "choose_protocol"]

_log = Logger()

_RECORD_HEADER = 5
# RFC 8446 section 5.1: no record holds more plain text, so one read of this size always takes a whole one.
_LONGEST_PLAIN_TEXT = 2**14
_READ_SIZE = 2**15
# What a delivery or a turn may gather before it is sent without waiting for the end; the same as Twisted's.
_MOST_GATHERED = 64_000


class TurnFlusher:
    """Calls the connections that have something to send once at the end of the reactor's turn."""

    __slots__ = ("__weakref__", "_clock", "_delayed_call", "_waiting")

    def __init__(self, clock: IReactorTime) -> None:
        # Held weakly, or an entry of the table below would keep its own key alive.
        self._clock = weakref.ref(clock)
        self._waiting: dict[CorkedTlsProtocol, None] = {}
        self._delayed_call: IDelayedCall | None = None

    @staticmethod
    def of(clock: IReactorTime) -> TurnFlusher:
        """The one flusher of *clock*."""
        flusher = _flushers.get(clock)
        if flusher is None:
            flusher = _flushers[clock] = TurnFlusher(clock)
        return flusher

    def add(self, connection: CorkedTlsProtocol) -> None:
        """Have *connection* flushed at the end of this turn."""
        self._waiting[connection] = None
        if self._delayed_call is None:
            clock = self._clock()
            assert clock is not None, "whoever sends holds the clock"
            self._delayed_call = clock.callLater(0, self.flush)

    def discard(self, connection: CorkedTlsProtocol) -> None:
        """Forget *connection*, which has nothing to send any more."""
        if connection not in self._waiting:
            return
        del self._waiting[connection]
        if not self._waiting and self._delayed_call is not None:
            self._delayed_call.cancel()
            self._delayed_call = None

    def flush(self) -> None:
        """The turn is over."""
        waiting, self._waiting = self._waiting, {}
        self._delayed_call = None
        for connection in waiting:
            try:
                connection.flush()
            except Exception:
                _log.failure("sending what {peer} is owed failed", peer=connection)


_flushers: weakref.WeakKeyDictionary[IReactorTime, TurnFlusher] = weakref.WeakKeyDictionary()


class HoldingTlsProtocol(TLSMemoryBIOProtocol):
    """Twisted's TLS protocol, which can in addition hold writes back until the peer has been verified.

    :ivar verified: what is known of the peer, once :mod:`.tls.settings` has verified it.
    """

    verified: VerifiedPeer | None = None
    _holding = False
    _ending = False
    _told_of_end: IProtocol | None = None

    def __init__(self, factory: TLSMemoryBIOFactory, wrapped: IProtocol, connect_wrapped: bool = True) -> None:
        super().__init__(factory, wrapped, connect_wrapped)
        self._pending: list[bytes] = []

    def hold_writes(self) -> None:
        """Keep everything that is written from now on."""
        self._holding = True

    def release_writes(self) -> None:
        """Send what was held, and from now on everything."""
        self._holding = False
        self.flush()

    def hand_over(self, protocol: IProtocol) -> None:
        """Let *protocol* have what is received from now on; the end is still told to the one that is wrapped."""
        if not self._ending:
            self._told_of_end, self.wrappedProtocol = self.wrappedProtocol, protocol

    def flush(self) -> None:
        """Send what was gathered, unless it is held."""
        if self._holding or not self._pending:
            return
        data = b"".join(self._pending)
        self._pending.clear()
        super().write(data)

    def write(self, data: bytes) -> None:
        """Send *data*, or hold it. After ``loseConnection`` it is dropped, as Twisted does."""
        if self._holding:
            if not self.disconnecting:
                self._pending.append(bytes(data))
        else:
            super().write(data)

    def write_at_once(self, data: bytes) -> None:
        """:meth:`write`, for whoever has gathered what belongs together: it does not wait for the end of the turn."""
        self.write(data)

    def loseConnection(self) -> None:
        """Close with a close_notify when everything is sent; before the peer is verified, drop what is held, abort."""
        if self._holding:
            self._pending.clear()
        super().loseConnection()

    def abortConnection(self) -> None:
        """Close at once and without ceremony."""
        self._pending.clear()
        super().abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: tell whoever is to know, once."""
        if self.verified is not None and self.verified.is_client and not self._lostTLSConnection:
            # TCP has ended before TLS. For OpenSSL that is an error, for which it drops the session; but it says
            # nothing against the session (RFC 5246 section 7.2.1), which the next connection is to resume.
            self.getHandle().set_shutdown(SENT_SHUTDOWN | RECEIVED_SHUTDOWN)
            reason = Failure(ConnectionLost())
        self._ending = True
        if self._told_of_end is not None:
            self.wrappedProtocol, self._told_of_end = self._told_of_end, None
        super().connectionLost(reason)
        self._pending.clear()


class CorkedTlsProtocol(HoldingTlsProtocol):
    """A TLS connection that sends once a delivery and reads by counting records: see the module."""

    _corked = False
    _gathered = 0
    # Where in the stream of TLS records the received bytes end: how much of a record is missing, or the start of a
    # header.
    _missing = 0
    _partial_header = b""
    _socket: tcp.Connection | None = None
    _send_at_once: Callable[[bytes], int] | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """TCP is connected: start the handshake."""
        # Only Twisted's own plain sockets: whatever else can stand here (another TLS layer, a shaper, a recorder, a
        # test's transport) must see every byte.
        if type(transport) in (tcp.Server, tcp.Client) and hasattr(transport, "_tempDataBuffer"):
            self._socket = cast(tcp.Connection, transport)
            self._send_at_once = self._socket.getHandle().send
        self._flusher = TurnFlusher.of(self.factory._clock)
        super().makeConnection(transport)

    # Receiving

    def dataReceived(self, data: bytes) -> None:
        """Decrypt *data*, deliver what it holds, then send in one piece what that has given rise to."""
        if (
            len(data) >= _RECORD_HEADER
            and not self._missing
            and not self._partial_header
            and len(data) == _RECORD_HEADER + (data[3] << 8 | data[4])
        ):
            reads = 1
        else:
            reads = self._reads_for(data)
        nested, self._corked = self._corked, True
        try:
            if self._handshakeDone and not self._appSendBuffer and not self._lostTLSConnection:
                self._tlsConnection.bio_write(data)
                self._read_records(reads)
            else:
                super().dataReceived(data)
        finally:
            self._corked = nested
        if self._pending and not nested:
            self.flush()

    def _reads_for(self, data: bytes) -> int:
        """Follow the record headers through *data*: how many reads use it up, or find its end not to be there yet."""
        if self._partial_header:
            data = self._partial_header + data
            self._partial_header = b""
        size = len(data)
        complete = 0
        position = self._missing
        if 0 < position <= size:
            complete = 1
        while position + _RECORD_HEADER <= size:
            position += _RECORD_HEADER + (data[position + 3] << 8 | data[position + 4])
            if position <= size:
                complete += 1
        if position == size:
            self._missing = 0
            return complete
        if position < size:
            self._missing = 0
            self._partial_header = data[position:]
        else:
            self._missing = position - size
        # One more, so that OpenSSL looks at the beginning of a record and refuses a bad one before its end arrives.
        return complete + 1

    def _read_records(self, reads: int) -> None:
        """Read *reads* records, or until OpenSSL wants more input, and deliver their plain text in one piece."""
        receive = self._tlsConnection.recv
        text = b""
        more: list[bytes] | None = None
        closed = exhausted = False
        failure = None
        try:
            text = receive(_LONGEST_PLAIN_TEXT)
            if reads > 1:
                more = [text]
                while reads > 1:
                    reads -= 1
                    more.append(receive(_LONGEST_PLAIN_TEXT))
        except WantReadError:
            exhausted = True
        except ZeroReturnError:
            closed = True
        except Error:
            failure = Failure()
        if more is not None:
            text = b"".join(more)
        if text and not self._aborted:
            self.wrappedProtocol.dataReceived(text)
        if exhausted:
            # A record that held nothing for the application may ask for an answer of OpenSSL's own.
            if not self._lostTLSConnection:
                self._flushSendBIO()
        elif (closed or failure is not None) and not self._lostTLSConnection:
            self.flush()
            if closed:
                self._shutdownTLS()
            self._tlsShutdownFinished(failure)

    # Sending

    def release_writes(self) -> None:
        """Send what was held, at the end of this delivery if there is one, and from now on everything."""
        self._holding = False
        if not self._corked:
            self.flush()

    def write(self, data: bytes) -> None:
        """Send *data* with everything else of this delivery or turn. After ``loseConnection`` it is dropped."""
        if self.disconnecting and self._producer is None:
            return
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        self._pending.append(data)
        if self._holding:
            return
        self._gathered += len(data)
        if self._gathered > _MOST_GATHERED:
            self.flush()
        elif not self._corked:
            self._flusher.add(self)

    def write_at_once(self, data: bytes) -> None:
        """:meth:`write`, for whoever has gathered what belongs together: it does not wait for the end of the turn."""
        nested, self._corked = self._corked, True
        self.write(data)
        self._corked = nested
        if not nested:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered, unless it is held."""
        if self._holding or not self._pending:
            return
        pending = self._pending
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        pending.clear()
        self._gathered = 0
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self._lostTLSConnection:
            return
        send = self._tlsConnection.send
        size = len(data)
        sent = 0
        try:
            if size <= _LONGEST_PLAIN_TEXT:
                if size:
                    sent = send(data)
            else:
                view = memoryview(data)
                while sent < size:
                    sent += send(view[sent:])
        except WantReadError:
            self._bufferedWrite(data[sent:])
        except Error:
            self._tlsShutdownFinished(Failure())
            return
        self._flushSendBIO()

    def _flushSendBIO(self) -> None:
        """Give what OpenSSL has to say to the socket, at once where nothing is waiting before it."""
        if self._corked and self._pending and not self._holding and not self._lostTLSConnection:
            # The end of a handshake leaves together with the first that the application says.
            return
        read = self._tlsConnection.bio_read
        try:
            data = read(_READ_SIZE)
        except WantReadError:
            return
        if len(data) == _READ_SIZE:
            parts = [data]
            try:
                while len(parts[-1]) == _READ_SIZE:
                    parts.append(read(_READ_SIZE))
            except WantReadError:
                parts.append(b"")
            data = b"".join(parts)
        waiting = self._socket
        if waiting is not None and not waiting.dataBuffer and not waiting._tempDataBuffer:
            try:
                sent = self._send_at_once(data)  # type: ignore[misc]
            except OSError:
                # The socket is full, or broken. That is left for the reactor to find: it reads first, and an alert may
                # tell why.
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        assert self.transport is not None
        self.transport.write(data)

    # Ending

    def loseConnection(self) -> None:
        """Close with a close_notify when everything is sent; before the peer is verified, drop what is held, abort."""
        self.flush()
        super().loseConnection()

    def abortConnection(self) -> None:
        """Close at once and without ceremony."""
        # Not even close_notify may overtake the reset: to the peer this is no end in order.
        self._socket = None
        super().abortConnection()

    def unregisterProducer(self) -> None:
        """The producer has finished; if the connection is to close, what it wrote leaves first."""
        self.flush()
        super().unregisterProducer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone: tell whoever is to know, once."""
        super().connectionLost(reason)
        # Whatever is still written is dropped at the door.
        self.disconnecting, self._producer = True, None
        self._socket = self._send_at_once = None
        self._flusher.discard(self)


def choose_protocol() -> type[HoldingTlsProtocol]:
    """The corked protocol, if the installed Twisted and pyOpenSSL have what it leans on, else Twisted's own."""
    return CorkedTlsProtocol if not missing_foundations() else HoldingTlsProtocol


def missing_foundations() -> list[str]:
    """What the corked protocol leans on and this Twisted does not have."""
    wanted: list[tuple[Any, str, tuple[str, ...]]] = [
        (TLSMemoryBIOProtocol, "dataReceived", ("self", "bytes")),
        (TLSMemoryBIOProtocol, "_write", ("self", "bytes")),
        (TLSMemoryBIOProtocol, "_bufferedWrite", ("self", "octets")),
        (TLSMemoryBIOProtocol, "_flushSendBIO", ("self",)),
        (TLSMemoryBIOProtocol, "_flushReceiveBIO", ("self",)),
        (TLSMemoryBIOProtocol, "_shutdownTLS", ("self",)),
        (TLSMemoryBIOProtocol, "_tlsShutdownFinished", ("self", "reason")),
        (tcp.Connection, "getHandle", ("self",)),
    ]
    missing = [] if "clock" in _arguments(TLSMemoryBIOFactory, "__init__") else ["TLSMemoryBIOFactory(clock)"]
    missing += [f"{owner.__name__}.{name}" for owner, name, arguments in wanted if _arguments(owner, name) != arguments]
    for owner, names in (
        (TLSMemoryBIOProtocol, ("_handshakeDone", "_lostTLSConnection", "_aborted", "_producer", "disconnecting")),
        (tcp.Connection, ("dataBuffer",)),
    ):
        missing.extend(f"{owner.__name__}.{name}" for name in names if not hasattr(owner, name))
    return missing


def _arguments(owner: type, name: str) -> tuple[str, ...]:
    method = getattr(owner, name, None)
    return () if method is None else tuple(inspect.signature(method).parameters)
