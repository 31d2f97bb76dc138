"""Flows that are kept, and which of them may carry a request (RFC 5923, RFC 5922).

The key of a flow that we opened is its transport, the address and port where it leads, *which name it was verified
for*, which credential of ours it was made with, and which client endpoint made it, if not ours: two names at one
address never share a connection. So that a request need not ask DNS first, what was asked for is remembered beside the
key that it led to.

The flows of one key are its *bundle*: one as a rule, several where the pool's size says so. A flow that a peer opened
is used for requests to that peer only if TLS proved the name that is asked for, and only when the request names the
domain itself or a place that the peer has called its own there. However many requests wait for one server, one
connection is made; where that has failed, nobody dials again for a while (:mod:`.pool.backoff`).
"""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from sip_p2p.errors import ConnectionFailure, EndpointTerminated, InvalidOperation, TlsFailure
from sip_p2p.transport.pool.backoff import Backoff
from sip_p2p.transport.pool.bundle import Bundle
from sip_p2p.transport.pool.dial import Dial, fail_all
from sip_p2p.transport.pool.dialler import Dialler
from sip_p2p.transport.stream.browsers import MADE_UP, Browsers
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.websocket import WebSocketOptions, dialling
from sip_p2p.transport.target import Target, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint

    from sip_p2p.transport.pool.dial import Question, Server
    from sip_p2p.transport.stream.flow import FlowOwner

__all__ = ["Pool"]

_Key: TypeAlias = "tuple[Target, object, object]"
"""Where a flow leads; our credential; the client endpoint."""


_LINGER = 60.0


@final
class Pool:
    """Every stream flow of one connection manager.

    :ivar dialled: how many connections were begun, failures included.
    :ivar linger: how long a connection that we opened is kept after its last use, in seconds, while nobody holds it
        (row E6); None for a minute, or as long as any connection where that is shorter or for ever.
    """

    def __init__(
        self,
        reactor: object,
        owner: FlowOwner,
        secure: Callable[[Target, IProtocolFactory], IProtocolFactory],
        credential: Callable[[], object],
        is_busy: Callable[[StreamFlow], bool],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """
        :param secure: wraps a factory so that its connections are TLS and prove the target's name.
        :param credential: what identifies our own certificate at the moment.
        :param is_busy: whether a transaction lives on a flow.
        :param chance: a number from 0 to 1, another one each time, for how long to leave a failed peer alone.
        """
        self._reactor = reactor
        self._owner = owner
        self._secure = secure
        self._credential = credential
        self._is_busy = is_busy
        self.browsers = Browsers()
        self.websocket = WebSocketOptions()
        self._size: int | None = 1
        self._sizes: dict[str, int | None] = {}
        self._asked: dict[Question, Bundle] = {}
        self._bundles: dict[_Key, Bundle] = {}
        self._dials: dict[Server, Dial] = {}
        self._numbers = count(1)
        self._flows: dict[StreamFlow, None] = {}
        self._by_identity: dict[str, dict[StreamFlow, None]] = {}
        self._flows_of_peer: dict[str, int] = {}
        self._backoff: Backoff[Server] = Backoff(self._redialling, chance)
        self._closed = False
        self.dialled = 0
        self.linger: float | None = None

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[StreamFlow]:
        return iter(list(self._flows))

    @property
    def dialling(self) -> int:
        """How many connections are being made."""
        return len(self._dials)

    @property
    def resting(self) -> int:
        """How many servers are remembered as having failed."""
        return len(self._backoff)

    @property
    def forgotten(self) -> int:
        """How many of those had to make place for others."""
        return self._backoff.forgotten

    @property
    def size(self) -> int | None:
        """How many connections there may be to one server for one name (row E2); None for no sharing (row E3).

        Another one is opened when all that are there are busy: a transaction lives on each, or a lease holds it. With
        None a request that finds all of them busy waits for a connection of its own.
        """
        return self._size

    @size.setter
    def size(self, size: int | None) -> None:
        self._size = _checked(size)
        self._sizes_changed()

    def set_size(self, name: str, size: int | None) -> None:
        """Another :attr:`size` for whom *name* is to be proved.

        :raises ValueError: for a size below 1.
        """
        self._sizes[name.strip("[]").lower()] = _checked(size)
        self._sizes_changed()

    def _sizes_changed(self) -> None:
        for bundle in self._bundles.values():
            bundle.resize(self._size_for(bundle.target.name))

    def _size_for(self, name: str) -> int | None:
        return self._sizes.get(name, self._size)

    def lingers(self, idle_timeout: float) -> float:
        """How long a connection that we opened is kept unused, where any other is kept for *idle_timeout*."""
        if self.linger is not None:
            return self.linger
        return min(_LINGER, idle_timeout)

    def find(self, target: Target, through: IStreamClientEndpoint | None = None) -> StreamFlow | None:
        """A flow that may carry a request for *target* now, or None.

        What is to go by a client endpoint of its own goes by no other way: the application has its reasons for it.
        """
        if target.host.endswith(MADE_UP) and through is None:
            return self.browsers.find(target)
        bundle = self._asked.get((target, target.has_port, self._credential(), through))
        if bundle is not None:
            flow = bundle.only
            if flow is not None and flow.is_open:
                return flow
            flow = self._choose(bundle)
            if flow is not None or bundle.size is None:
                return flow
        # Another spelling may have led there.
        bundle = self._bundles.get((target, self._credential(), through))
        if bundle is not None:
            return self._choose(bundle)
        if through is None and target.transport.is_secure:
            return self._find_incoming(target)
        return None

    def _choose(self, bundle: Bundle) -> StreamFlow | None:
        """The next flow of a bundle (row E2); one that has room for more begins to grow when all of them are busy."""
        flow = bundle.choose(self._is_busy)
        if flow is not None and bundle.is_short:
            self._grow(bundle)
        return flow

    def _find_incoming(self, target: Target) -> StreamFlow | None:
        """A flow that the peer opened and on which it proved the name that *target* asks for.

        The one that was there first, while it lasts: a later one takes nothing over from it.
        """
        for flow in self._by_identity.get(target.name, ()):
            if flow.is_open and flow.transport == target.transport.value:
                if target.has_port:
                    if (target.host, target.port) in flow.aliases:
                        return flow
                elif target.host in (target.name, flow.remote_host):
                    return flow
        return None

    def connect(
        self,
        group: Target | Sequence[Target],
        through: IStreamClientEndpoint | None = None,
        asked: Target | None = None,
        *,
        elsewhere: bool = False,
    ) -> Deferred[StreamFlow]:
        """The flow to a server: one that is there, or a new one.

        Fails with :class:`~sip_p2p.errors.ConnectionFailure` or :class:`~sip_p2p.errors.TlsFailure`; at once, and with
        ``retry_after`` set, while the server is left alone after a failure. Cancelling it gives up the wait, and the
        connection too when nobody else waits.

        :param group: the addresses of one server, best first; they are raced (RFC 8305).
        :param asked: what the request asked for, if DNS made *group* of it.
        :param elsewhere: where *asked* leads already the request was not served: only *group* counts, and *asked* leads
            there from now on.
        :raises InvalidOperation: for a target that is neither TCP nor TLS, and for a group that would prove another
            name, or less, than what was asked for.
        :raises EndpointTerminated: after :meth:`close`.
        """
        targets = [group] if isinstance(group, Target) else list(group)
        if not targets:
            raise ValueError("there is no address to connect to")
        if asked is None:
            asked = targets[0]
        for target in targets:
            _check(target, asked)
        if self._closed:
            raise EndpointTerminated("the connection manager has been terminated")
        credential = self._credential()
        question = (asked, asked.has_port, credential, through)
        if elsewhere:
            self._forget(question)
        flow = None if elsewhere else self.find(asked, through)
        if flow is None:
            flow = self._find_among(targets, question)
        if flow is not None:
            return succeed(flow)
        server = _server(targets[0], credential, through)
        refusal = self._backoff.refusal(server, self._owner.driver.now())
        if refusal is not None:
            self._owner.limit_hit("redial_delay")
            return fail(refusal)
        if self._size_for(asked.name) is None:
            # Nobody shares it.
            server = (*server[:-1], next(self._numbers))
        dial = self._dials.get(server)
        pending = self._new_dial(targets, server) if dial is None else dial
        pending.asked[question] = None
        if _is_literally(targets[0], asked):
            # With its port written out it is the same question.
            pending.asked[(asked, True, credential, through)] = None
        waiting: Deferred[StreamFlow] = Deferred(lambda gone: self._give_up(pending, gone))
        pending.waiting.append(waiting)
        if dial is None:
            self._start(pending, targets, through)
        return waiting

    def _find_among(self, targets: list[Target], question: Question) -> StreamFlow | None:
        """A flow to one of these addresses, if another question has led there; remember that this one does, too."""
        _, _, credential, through = question
        for target in targets:
            bundle = self._bundles.get((target, credential, through))
            if bundle is not None:
                flow = self._choose(bundle)
                if flow is not None:
                    self._remember(question, bundle)
                    return flow
        return None

    def _forget(self, question: Question) -> None:
        """This question leads nowhere any more."""
        before = self._asked.pop(question, None)
        if before is not None:
            before.asked.pop(question, None)

    def _remember(self, question: Question, bundle: Bundle) -> None:
        """From now on this question leads to *bundle* without DNS."""
        before = self._asked.get(question)
        if before is bundle or not bundle.has_room_for_questions:
            return
        if before is not None:
            before.asked.pop(question, None)
        self._asked[question] = bundle
        bundle.asked[question] = None

    def _new_dial(self, targets: list[Target], server: Server) -> Dial:
        dial = Dial(self._owner, targets[0].transport, server, self._dial_ended, self._credential)
        if targets[0].transport in (Transport.WS, Transport.WSS):
            dial.websocket = dialling(targets[0], self.websocket)
        self._dials[server] = dial
        return dial

    def _start(self, dial: Dial, targets: list[Target], through: IStreamClientEndpoint | None) -> None:
        factory = cast("IProtocolFactory", dial)
        try:
            if targets[0].transport.is_secure:
                factory = self._secure(targets[0], factory)
        except Exception:
            self._dial_ended(dial, Failure())
            return
        self.dialled += 1
        dialler = dial.dialler = Dialler(
            self._reactor,
            self._owner.limits,
            targets,
            factory,
            dial.failed,
            in_order=True,
            hit=self._owner.limit_hit,
        )
        if through is None:
            dialler.start()
        else:
            dialler.start_through(through)

    def _grow(self, bundle: Bundle) -> None:
        """One connection more for a bundle whose flows are all busy; nobody waits for it."""
        _, credential, through = cast("_Key", bundle.key)
        server = _server(bundle.target, credential, through)
        if self._closed or server in self._dials or self._backoff.wait(server, self._owner.driver.now()):
            return
        dial = self._new_dial([bundle.target], server)
        dial.is_wanted = True
        self._start(dial, [bundle.target], cast("IStreamClientEndpoint | None", through))

    def _give_up(self, dial: Dial, gone: Deferred[StreamFlow]) -> None:
        """One of those who wait does not want to any more."""
        if gone in dial.waiting:
            dial.waiting.remove(gone)
        if not dial.waiting and not dial.is_wanted and self._dials.get(dial.server) is dial:
            del self._dials[dial.server]
            dial.give_up()

    def _dial_ended(self, dial: Dial, outcome: StreamFlow | Failure) -> None:
        if self._dials.get(dial.server) is dial:
            del self._dials[dial.server]
        waiting, dial.waiting = dial.waiting, []
        if isinstance(outcome, StreamFlow):
            self._bundle(dial, outcome)
            for waiter in waiting:
                # One of them may have given up another meanwhile.
                if not waiter.called:
                    waiter.callback(outcome)
            return
        if isinstance(outcome.value, ConnectionFailure):
            self._failed(_shared(dial.server), outcome.value)
        fail_all(waiting, outcome.value)

    def _bundle(self, dial: Dial, flow: StreamFlow) -> None:
        """Put a flow that we opened with its like, where it can be found again."""
        assert dial.dialler is not None and dial.dialler.winner is not None
        *_, credential, through, _number = dial.server
        if flow.is_secure and dial.credential is not credential:
            # Our certificate has changed while it was dialled: who waits may have it, and nobody after them.
            return
        target = dial.dialler.winner
        key = (target, credential, through)
        bundle = self._bundles.get(key)
        if bundle is None:
            bundle = self._bundles[key] = Bundle(key, target, _shared(dial.server), self._size_for(target.name))
        flow.key = bundle
        bundle.add(flow)
        for question in dial.asked:
            self._remember(question, bundle)

    def add(self, flow: StreamFlow) -> None:
        """A flow is open."""
        self._flows[flow] = None
        if flow.is_incoming:
            for identity in _identities(flow):
                self._by_identity.setdefault(identity, {})[flow] = None
        if flow.peer:
            self._flows_of_peer[flow.peer] = self._flows_of_peer.get(flow.peer, 0) + 1

    def remove(self, flow: StreamFlow, reason: BaseException) -> None:
        """A flow is gone."""
        if flow not in self._flows:
            return
        del self._flows[flow]
        self.browsers.forget(flow)
        bundle = flow.key
        if isinstance(bundle, Bundle):
            self._unbundle(flow, bundle, reason)
        if flow.is_incoming:
            for identity in _identities(flow):
                flows = self._by_identity[identity]
                del flows[flow]
                if not flows:
                    del self._by_identity[identity]
        if flow.peer:
            self._flows_of_peer[flow.peer] -= 1
            if not self._flows_of_peer[flow.peer]:
                del self._flows_of_peer[flow.peer]

    def _unbundle(self, flow: StreamFlow, bundle: Bundle, reason: BaseException) -> None:
        """Forget a flow that we opened, and judge by its life whether dialling its server was a success."""
        flow.key = None
        bundle.remove(flow)
        if not bundle.flows:
            self._bundles.pop(cast("_Key", bundle.key), None)
            for question in bundle.asked:
                self._asked.pop(cast("Question", question), None)
            bundle.asked.clear()
        server = cast("Server", bundle.server)
        if flow.messages or flow.is_ended_by_us:
            self._backoff.succeeded(server)
        elif isinstance(reason, TlsFailure):
            # In TLS 1.3 the peer's refusal comes after the handshake is over for us.
            self._failed(server, reason)

    def _failed(self, server: Server, error: ConnectionFailure) -> None:
        """Leave *server* alone for a while."""
        self._backoff.failed(server, error, self._owner.driver.now())

    def _redialling(self) -> tuple[float, float, int]:
        limits = self._owner.limits
        return limits.redial_delay, limits.redial_delay_longest, limits.failures_remembered

    def opened_by(self, peer: str) -> StreamFlow | None:
        """The latest flow that the party has opened which *peer*, not empty, is the key of; None where there is none.

        For what goes back to a party and to nobody else, such as a request of its dialog;
        :class:`~sip_p2p.sip.flow.Flow` says what the key means.
        """
        for flow in reversed(self._by_identity.get(peer.partition(" ")[0], {})):
            if flow.is_open and flow.peer == peer:
                return flow
        return None

    def count_of_peer(self, peer: str) -> int:
        """How many flows lead to the party that *peer* is the key of."""
        return self._flows_of_peer.get(peer, 0)

    def wait_for(self, target: Target, through: IStreamClientEndpoint | None = None) -> float:
        """For how many seconds the server *target* is still left alone after a failure; 0 when it may be dialled."""
        return self._backoff.wait(_server(target, self._credential(), through), self._owner.driver.now())

    def forget_failures(self) -> None:
        """Dial again at once whoever could not be reached: the reason for it may have gone."""
        self._backoff.clear()

    def close(self) -> None:
        """Make no more connections, and fail those that are being made."""
        self._closed = True
        self._backoff.clear()
        for server, dial in list(self._dials.items()):
            self._dials.pop(server, None)
            waiting, dial.waiting = dial.waiting, []
            dial.give_up()
            fail_all(waiting, EndpointTerminated("the connection manager has been terminated"))


def _check(target: Target, asked: Target) -> None:
    """Whatever DNS says, the name to be proved stays, and TLS is not given up.

    :raises InvalidOperation: when they do not, and for what is no connection that can be made.
    """
    if target.transport is Transport.UDP:
        raise InvalidOperation(f"{target!r} is no connection")
    if target.name != asked.name:
        raise InvalidOperation(f"{target!r} would prove another name than {asked!r}")
    if asked.transport.is_secure and not target.transport.is_secure:
        raise InvalidOperation(f"{target!r} has no TLS, and {asked!r} asks for it")


def _is_literally(target: Target, asked: Target) -> bool:
    """Whether *target* is the host and port that was asked for, and not where SRV or NAPTR has led."""
    return (target.origin or target.host) == asked.host and (target.transport, target.port) == (
        asked.transport,
        asked.port,
    )


def _checked(size: Any) -> int | None:
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise ValueError(f"a pool holds at least one connection to a server, or shares none: {size!r} is no size")
    return size


def _server(target: Target, credential: object, through: object) -> Server:
    return (target.transport, target.origin or target.host, target.port, target.name, credential, through, 0)


def _shared(server: Server) -> Server:
    """The server of a dial that is not shared with others."""
    return (*server[:-1], 0)


def _identities(flow: StreamFlow) -> tuple[str, ...]:
    """What the peer at the end of *flow* has proved as well as if we had dialled it."""
    verified = flow.verified
    if verified is None or verified.identities is None or verified.is_for_callers:
        return ()
    return verified.identities.identities
