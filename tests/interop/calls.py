"""What the tests of calls with real peers share: parties that are called, what becomes of their sessions, a clock that
runs faster, and tshark's eye on every message that we send."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from sip_p2p import RealTimeServerTcpConnectionManager, SignalingState, Timers, Transport
from tests.interop.peers import tshark
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER
from tests.interop.support import STEADY, InteropTestCase, Party, reactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from sip_p2p import SignalingSession

__all__ = ["Call", "CallTestCase", "Called", "HurriedReactor"]


class HurriedReactor:
    """The reactor, with a clock that runs faster: for sessions that last minutes.

    The peers' clocks are what they are, so only what the peer does at once can be tested with it, and over a reliable
    transport, for retransmissions come faster too.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def seconds(self) -> float:
        """The time on this clock."""
        return float(reactor.seconds() * self.speed)

    def callLater(self, delay: float, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """As the reactor's, in seconds of this clock."""
        return _HurriedCall(reactor.callLater(delay / self.speed, function, *arguments, **named), self.speed)


class _HurriedCall:
    """A delayed call in seconds of a clock that runs faster."""

    def __init__(self, call: Any, speed: float) -> None:
        self._call = call
        self._speed = speed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def getTime(self) -> float:
        """When it is due."""
        return float(self._call.getTime() * self._speed)

    def reset(self, seconds: float) -> None:
        """Let it be due so many seconds from now."""
        self._call.reset(seconds / self._speed)

    def delay(self, seconds: float) -> None:
        """Let it be due so many seconds later."""
        self._call.delay(seconds / self._speed)


class Sent:
    """A tap that keeps what our side sends."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
        """Keep *data*, if it goes out and is no answer to a ping."""
        if direction == "out" and data.strip():
            self.messages.append(bytes(data))


class Call:
    """What became of one session.

    :ivar session: the session.
    :ivar states: the names of its states and reasons, in order.
    """

    def __init__(self, session: SignalingSession) -> None:
        self.session = session
        self.states: list[tuple[str, str]] = []
        session.state_changed.subscribe(self._changed)

    def _changed(self, change: Any) -> None:
        self.states.append((change.state.name, change.reason.name))

    async def reaches(self, state: str, seconds: float = 15.0) -> str:
        """Wait until it is in *state*; the reason for it."""
        wanted = SignalingState[state]
        await until(reactor, lambda: self.session.state is wanted, seconds, f"{state}; there was {self.states}")
        return next((reason for name, reason in reversed(self.states) if name == state), "")


class Called:
    """A party that takes calls: it rings, and accepts.

    :ivar calls: those that came.
    """

    def __init__(self, party: Party, answer: Any = ANSWER, *, rings: bool = True, accepts: bool = True) -> None:
        self.calls: list[Call] = []
        self.failures: list[Any] = []
        self._answer = answer
        self._rings = rings
        self._accepts = accepts
        party.endpoint.session_received.subscribe(self._received)

    def _received(self, session: SignalingSession) -> None:
        self.calls.append(Call(session))
        if self._rings:
            session.ring()
        if self._accepts:
            standing: Deferred[Any] = session.accept(self._answer)
            standing.addErrback(self.failures.append)

    async def call(self, number: int = 0, seconds: float = 15.0) -> Call:
        """The call of this number, when it has come."""
        await until(reactor, lambda: len(self.calls) > number, seconds, f"call {number}")
        return self.calls[number]


class CallTestCase(InteropTestCase):
    """A test of calls. When it is over, no party of ours has a session left, and tshark has understood every message
    that they have sent."""

    def setUp(self) -> None:
        """Begin to listen to ourselves."""
        super().setUp()
        self.sent = Sent()
        self.parties: list[Party] = []

    async def _party(self, manager: Any, listen: tuple[str, ...], options: dict[str, Any]) -> Party:
        manager.add_tap(self.sent)
        party = await super()._party(manager, listen, options)
        self.parties.append(party)
        return party

    async def tearDown(self) -> None:
        """See that nothing is left, and what was said."""
        try:
            for party in self.parties:
                await until(reactor, lambda party=party: not self.left(party), 5, f"the end {self.left(party)}")  # type: ignore[misc]
            await self.assert_well_formed()
        finally:
            await super().tearDown()

    def left(self, party: Party) -> dict[str, int]:
        """What *party* still has of calls."""
        names = ("sessions", "dialogs", "invitations")
        inventory = party.manager.inventory()
        return {name: inventory[name] for name in names if inventory[name]}

    async def assert_well_formed(self) -> None:
        """tshark finds nothing to complain of in what we have sent."""
        if tshark.Capture.missing() is not None or not self.sent.messages:
            return
        folder = self.folder()
        path = os.path.join(folder, "sent.pcap")
        tshark.write_messages(path, self.sent.messages)
        decoded = await tshark.decode(reactor, folder, path)
        self.assertEqual(len(decoded), len(self.sent.messages))
        for frame, data in zip(decoded, self.sent.messages, strict=True):
            self.assertEqual(frame.complaints, [], data)

    async def hurried_party(self, speed: float, *listen: str, t1: float = 0.5, **options: Any) -> Party:
        """Our side over TCP, with a clock that runs faster.

        :param t1: SIP's T1, by that clock: long enough for the peer to answer within it where that matters.
        """
        hurried = cast("Any", HurriedReactor(speed))
        manager = RealTimeServerTcpConnectionManager(hurried, timers=Timers(t1), limits=STEADY)
        return await self._party(manager, listen, {"default_transport": Transport.TCP, **options})

    def said(self, start: str) -> list[str]:
        """The messages of ours whose first line begins with *start*."""
        return [data.decode() for data in self.sent.messages if data.startswith(start.encode())]

    async def call(self, party: Party, uri: str, offer: Any = None, **options: Any) -> Call:
        """Call *uri* until the session stands."""
        calls = self.begin(party, uri, **options)
        await calls.session.establish(offer)
        return calls

    def begin(self, party: Party, uri: str, **options: Any) -> Call:
        """A session of *party* with *uri*, not established yet."""
        return Call(cast("SignalingSession", party.endpoint.create_session(uri, **options)))
