"""Flows that are kept, and which of them may carry a request (RFC 5923, RFC 5922).

The key of a flow that we opened is where it leads, *which name it was verified for*, which credential of ours it was
made with, and which client endpoint made it, if not ours: two names at one address never share a connection. A flow
that a peer opened is used for requests to that peer only if TLS proved the name that is asked for, and only when the
request names the domain itself or a sent-by under which the peer presented itself there. However many requests wait for
one key, one connection is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast, final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from sip_p2p.errors import ConnectionFailure, EndpointTerminated, InvalidOperation, SipError
from sip_p2p.transport.stream import StreamFactory, StreamFlow
from sip_p2p.transport.target import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint

    from sip_p2p.transport.stream import FlowOwner, StreamProtocol
    from sip_p2p.transport.target import Target

__all__ = ["Pool"]

_Key: TypeAlias = "tuple[Target, object, object]"


@final
class _Dial(StreamFactory):
    """One connection being made, and everybody who waits for it."""

    def __init__(self, owner: FlowOwner, target: Target, done: Callable[[_Dial, StreamFlow | Failure], None]) -> None:
        super().__init__(owner, target.transport.value, is_incoming=False)
        self.target = target
        self._done = done
        self.waiting: list[Deferred[StreamFlow]] = []
        self.attempt: Deferred[IProtocol] | None = None
        self._connection: StreamProtocol | None = None
        self._ended = False

    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol:
        """The protocol of the one connection that this factory makes."""
        self._connection = super().buildProtocol(addr)
        return self._connection

    def give_up(self) -> None:
        """Nobody waits any more: make no connection, and drop one that has not come to carry messages."""
        self._ended = True
        if self.attempt is not None:
            self.attempt.addErrback(lambda _: None)
            self.attempt.cancel()
        if self._connection is not None and self._connection.transport is not None:
            self._connection.abort()

    def flow_ready(self, flow: StreamFlow) -> None:
        """The connection carries messages."""
        self._finish(flow)

    def connection_ended(self, error: ConnectionFailure, flow: StreamFlow | None) -> None:
        """The connection ended before it could carry anything."""
        if flow is None:
            self._finish(Failure(error))

    def failed(self, reason: Failure) -> None:
        """No connection could be made at all."""
        where = f"{self.target.host}:{self.target.port}"
        if reason.check(SipError):
            self._finish(reason)
            return
        if reason.check(ConnectTimeout):
            words = f"no connection to {where} in time"
        elif reason.check(ConnectError):
            words = f"could not connect to {where}: {reason.getErrorMessage()}"
        else:
            words = f"could not connect to {where}: {type(reason.value).__name__}: {reason.getErrorMessage()}"
        failure = ConnectionFailure(words)
        failure.__cause__ = reason.value
        self._finish(Failure(failure))

    def _finish(self, outcome: StreamFlow | Failure) -> None:
        if not self._ended:
            self._ended = True
            self._done(self, outcome)


@final
class Pool:
    """Every stream flow of one connection manager."""

    def __init__(
        self,
        reactor: object,
        owner: FlowOwner,
        secure: Callable[[Target, IProtocolFactory], IProtocolFactory],
        credential: Callable[[], object],
    ) -> None:
        """
        :param secure: wraps a factory so that its connections are TLS and prove the target's name.
        :param credential: what identifies our own certificate at the moment.
        """
        self._reactor = reactor
        self._owner = owner
        self._secure = secure
        self._credential = credential
        self._dialled: dict[_Key, StreamFlow] = {}
        self._dials: dict[_Key, _Dial] = {}
        self._flows: dict[StreamFlow, None] = {}
        self._by_identity: dict[str, dict[StreamFlow, None]] = {}
        self._flows_of_peer: dict[str, int] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[StreamFlow]:
        return iter(list(self._flows))

    @property
    def dialling(self) -> int:
        """How many connections are being made."""
        return len(self._dials)

    def find(self, target: Target, through: IStreamClientEndpoint | None = None) -> StreamFlow | None:
        """A flow that may carry a request to *target* now, or None.

        What is to go by a client endpoint of its own goes by no other way: the application has its reasons for it.
        """
        flow = self._dialled.get((target, self._credential(), through))
        if flow is not None and flow.is_open:
            return flow
        if through is None and target.transport.is_secure:
            return self._find_incoming(target)
        return None

    def _find_incoming(self, target: Target) -> StreamFlow | None:
        """A flow that the peer opened and on which it proved the name that *target* asks for."""
        for flow in self._by_identity.get(target.name, ()):
            if not flow.is_open or not flow.is_incoming or flow.transport != target.transport.value:
                continue
            if not target.has_port or (target.host, target.port) in flow.aliases:
                return flow
        return None

    def connect(self, target: Target, through: IStreamClientEndpoint | None = None) -> Deferred[StreamFlow]:
        """The flow to *target*: one that is there, or a new one.

        Fails with :class:`~sip_p2p.errors.ConnectionFailure` or :class:`~sip_p2p.errors.TlsFailure`. Cancelling it
        gives up the wait, and the connection too when nobody else waits.

        :raises InvalidOperation: for a target that is neither TCP nor TLS.
        :raises EndpointTerminated: after :meth:`close`.
        """
        found = self.find(target, through)
        if found is not None:
            return succeed(found)
        if self._closed:
            raise EndpointTerminated("the connection manager has been terminated")
        if target.transport not in (Transport.TCP, Transport.TLS):
            raise InvalidOperation(f"{target!r} is no connection that can be made here: there are TCP and TLS")
        key = (target, self._credential(), through)
        dial = self._dials.get(key)
        fresh = dial is None
        if dial is None:
            dial = self._dials[key] = _Dial(
                self._owner, target, lambda ended, outcome: self._dial_ended(key, ended, outcome)
            )
        pending = dial
        waiting: Deferred[StreamFlow] = Deferred(lambda gone: self._give_up(key, pending, gone))
        dial.waiting.append(waiting)
        if fresh:
            self._dial(dial, through)
        return waiting

    def _dial(self, dial: _Dial, through: IStreamClientEndpoint | None) -> None:
        target = dial.target
        limits = self._owner.limits
        endpoint: IStreamClientEndpoint = (
            HostnameEndpoint(self._reactor, target.host, target.port, timeout=limits.connect_timeout)
            if through is None
            else through
        )
        factory = cast("IProtocolFactory", dial)
        try:
            if target.transport.is_secure:
                factory = self._secure(target, factory)
            attempt = endpoint.connect(factory)
        except Exception:
            dial.failed(Failure())
            return
        dial.attempt = attempt
        attempt.addErrback(dial.failed)

    def _give_up(self, key: _Key, dial: _Dial, gone: Deferred[StreamFlow]) -> None:
        """One of those who wait does not want to any more."""
        if gone in dial.waiting:
            dial.waiting.remove(gone)
        if not dial.waiting and self._dials.get(key) is dial:
            del self._dials[key]
            dial.give_up()

    def _dial_ended(self, key: _Key, dial: _Dial, outcome: StreamFlow | Failure) -> None:
        if self._dials.get(key) is dial:
            del self._dials[key]
        waiting, dial.waiting = dial.waiting, []
        if isinstance(outcome, StreamFlow):
            outcome.key = key
            self._dialled[key] = outcome
            for waiter in waiting:
                # One of them may have given up another meanwhile.
                if not waiter.called:
                    waiter.callback(outcome)
            return
        _fail(waiting, outcome.value)

    def add(self, flow: StreamFlow) -> None:
        """A flow is open."""
        self._flows[flow] = None
        for identity in _identities(flow):
            self._by_identity.setdefault(identity, {})[flow] = None
        if flow.peer:
            self._flows_of_peer[flow.peer] = self._flows_of_peer.get(flow.peer, 0) + 1

    def remove(self, flow: StreamFlow) -> None:
        """A flow is gone."""
        if flow not in self._flows:
            return
        del self._flows[flow]
        key = cast("_Key | None", flow.key)
        if key is not None and self._dialled.get(key) is flow:
            del self._dialled[key]
        for identity in _identities(flow):
            flows = self._by_identity[identity]
            del flows[flow]
            if not flows:
                del self._by_identity[identity]
        if flow.peer:
            self._flows_of_peer[flow.peer] -= 1
            if not self._flows_of_peer[flow.peer]:
                del self._flows_of_peer[flow.peer]

    def count_of_peer(self, peer: str) -> int:
        """How many flows lead to the party that *peer* is the key of."""
        return self._flows_of_peer.get(peer, 0)

    def close(self) -> None:
        """Make no more connections, and fail those that are being made."""
        self._closed = True
        for key, dial in list(self._dials.items()):
            self._dials.pop(key, None)
            waiting, dial.waiting = dial.waiting, []
            dial.give_up()
            _fail(waiting, EndpointTerminated("the connection manager has been terminated"))


def _fail(waiting: list[Deferred[StreamFlow]], error: BaseException | None) -> None:
    """Tell everybody who waits that there will be no connection."""
    for waiter in waiting:
        # One of them may have given up another meanwhile.
        if not waiter.called:
            # A Failure each: what one of them does to its own must not reach the others.
            waiter.errback(Failure(error))


def _identities(flow: StreamFlow) -> tuple[str, ...]:
    """What the peer at the end of *flow* has proved."""
    verified = flow.verified
    return () if verified is None or verified.identities is None else verified.identities.identities
