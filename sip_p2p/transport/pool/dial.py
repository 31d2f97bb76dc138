"""One connection being made, and everybody who waits for it: between the pool and the dialler."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.transport.stream.protocol import StreamFactory

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress

    from sip_p2p.errors import ConnectionFailure, SipError
    from sip_p2p.transport.pool.dialler import Dialler
    from sip_p2p.transport.stream.flow import FlowOwner, StreamFlow
    from sip_p2p.transport.stream.protocol import StreamProtocol
    from sip_p2p.transport.target import Target, Transport

__all__ = ["Dial", "Question", "Server", "fail_all"]

Question: TypeAlias = "tuple[Target, bool, object, object]"
"""What a request asks for; whether it names a port; our credential; the client endpoint."""

Server: TypeAlias = "tuple[Transport, str, int, str, object, object, int]"
"""Whom a dial is for, whatever the order of its addresses: transport, host or origin, port, the name to prove, our
credential, the client endpoint, and a number where nobody shares it."""


@final
class Dial(StreamFactory):
    """One connection being made, and everybody who waits for it.

    :ivar server: whom it is for.
    :ivar asked: what those who wait have asked for.
    :ivar is_wanted: whether it is made though nobody waits.
    :ivar credential: our credential when TCP was connected, which is the one that TLS uses.
    """

    def __init__(
        self,
        owner: FlowOwner,
        transport: Transport,
        server: Server,
        done: Callable[[Dial, StreamFlow | Failure], None],
        credential: Callable[[], object],
    ) -> None:
        super().__init__(owner, transport.value, is_incoming=False)
        self.server = server
        self._done = done
        self._current = credential
        self.credential: object = None
        self.asked: dict[Question, None] = {}
        self.waiting: list[Deferred[StreamFlow]] = []
        self.is_wanted = False
        self.dialler: Dialler | None = None
        self._connection: StreamProtocol | None = None
        self._ended = False

    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol:
        """The protocol of the one connection that this factory makes."""
        self.credential = self._current()
        self._connection = super().buildProtocol(addr)
        return self._connection

    def give_up(self) -> None:
        """Nobody waits any more: make no connection, and drop one that has not come to carry messages."""
        self._ended = True
        if self.dialler is not None:
            self.dialler.give_up()
        if self._connection is not None and self._connection.transport is not None:
            self._connection.abort()

    def flow_ready(self, flow: StreamFlow) -> None:
        """The connection carries messages."""
        self._finish(flow)

    def connection_ended(self, error: ConnectionFailure, flow: StreamFlow | None) -> None:
        """The connection ended before it could carry anything."""
        if flow is None:
            self._finish(Failure(error))

    def failed(self, error: SipError) -> None:
        """No connection could be made at all."""
        self._finish(Failure(error))

    def _finish(self, outcome: StreamFlow | Failure) -> None:
        if not self._ended:
            self._ended = True
            self._done(self, outcome)


def fail_all(waiting: list[Deferred[StreamFlow]], error: BaseException | None) -> None:
    """Tell everybody who waits that there will be no connection."""
    for waiter in waiting:
        # One of them may have given up another meanwhile.
        if not waiter.called:
            # A Failure each: what one of them does to its own must not reach the others.
            waiter.errback(Failure(error))
