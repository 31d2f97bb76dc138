"""A core and its driver on a clock, with flows whose writes are counted, and a user that keeps what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import (
    AckReceived,
    RequestAbandoned,
    RequestReceived,
    ResponseReceived,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.transaction.timers import Timers
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore
from sip_p2p.transport.driver import Driver
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.load.shared_octets import SharedOctets
from sip_p2p.transport.stream.authorization import Authorization
from sip_p2p.transport.stream.browsers import Browsers
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.protocol import StreamFactory, StreamProtocol
from sip_p2p.transport.udp.datagram import DatagramFlow

__all__ = [
    "Bench",
    "CountedFlow",
    "CountedTransport",
    "Owner",
    "StreamBench",
    "User",
    "outgoing",
    "request",
    "statuses",
]


def request(
    method: str = "MESSAGE", number: int = 1, *, body: bytes = b"x", via: str = "TLS peer.example:5061;rport"
) -> bytes:
    """A peer's request as octets; *number* makes it one of its own."""
    return (
        f"{method} sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bKp{number}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:peer@peer.example>;tag=ft\r\nTo: <sip:user@example.com>\r\nCall-ID: call-{number}\r\n"
        f"CSeq: 1 {method}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode("ascii") + body


def outgoing(method: str = "MESSAGE", number: int = 1) -> Request:
    """A request of ours; its Via is the core's business."""
    fields = {
        "Max-Forwards": "70",
        "From": "<sip:user@example.com>;tag=us",
        "To": "<sip:peer@peer.example>",
        "Call-ID": f"own-{number}",
        "CSeq": f"1 {method}",
    }
    return Request(method, "sip:user@example.com", list(fields.items()))


def statuses(octets: bytes) -> list[int]:
    """The statuses of the responses that stand one after the other in *octets*."""
    return [int(line[8:11]) for line in octets.split(b"\r\n") if line.startswith(b"SIP/2.0 ")]


class User:
    """A transaction user that keeps what it is told, and does what the test says.

    :ivar told: the outputs.
    :ivar answers: called with each request.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.answers: Callable[[RequestReceived], object] | None = None
        self.hears: Callable[[Any], object] | None = None

    def request_received(self, output: RequestReceived) -> None:
        self.told.append(output)
        if self.answers is not None:
            self.answers(output)

    def ack_received(self, output: AckReceived) -> None:
        self._tell(output)

    def request_abandoned(self, output: RequestAbandoned) -> None:
        self._tell(output)

    def response_received(self, output: ResponseReceived) -> None:
        self._tell(output)

    def transaction_ended(self, output: TransactionTimedOut | TransactionFailed) -> None:
        self._tell(output)

    def _tell(self, output: Any) -> None:
        self.told.append(output)
        if self.hears is not None:
            self.hears(output)

    @property
    def names(self) -> list[str]:
        """What kinds of output came, in order."""
        return [type(output).__name__ for output in self.told]


class CountedFlow(LiveFlow):
    """A flow that keeps each write.

    :ivar writes: what each flush wrote.
    :ivar log: a list that several flows may share: ``write``, ``close`` and ``abort`` with this flow's port.
    :ivar on_flush: called before something is written.
    """

    __slots__ = ("log", "on_flush", "writes")

    def __init__(self, port: int = 40000, *, reliable: bool = True, log: list[str] | None = None) -> None:
        transport = "TLS" if reliable else "UDP"
        super().__init__(
            transport, reliable, "us.example:5061", ("192.0.2.1", 5061), ("192.0.2.9", port), is_incoming=True
        )
        self.writes: list[bytes] = []
        self.log = [] if log is None else log
        self.on_flush: Callable[[], object] | None = None

    def flush(self) -> None:
        if not self._parts:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        if self.on_flush is not None:
            self.on_flush()
        self.log.append(f"write {self.remote_port}")
        self.writes.append(data)

    def close(self) -> None:
        self.log.append(f"close {self.remote_port}")
        self.is_open = False

    def abort(self) -> None:
        self.log.append(f"abort {self.remote_port}")
        self.is_open = False


class Bench:
    """A driver with a core that takes MESSAGE and INVITE for ``sip:user@example.com``."""

    def __init__(self, timers: Timers | None = None) -> None:
        self.clock = Clock()
        self.core = UserAgentCore(CountingTokens(), timers)
        self.profile = Profile("party", ("MESSAGE", "INVITE"))
        self.core.directory.add(self.profile, SipUri.parse("sip:user@example.com"), "token")
        self.user = User()
        self.driver = Driver(self.clock, self.core, self.user)

    def receive(self, flow: LiveFlow, *octets: bytes) -> None:
        """One delivery of one or more messages, and the end of the turn that it came in."""
        self.driver.received(flow, [parse_message(each) for each in octets])
        self.end_turn()

    def end_turn(self) -> None:
        """The reactor has read what there was, and calls what is to be called before it waits again."""
        self.clock.advance(0)

    def answer(self, output: RequestReceived, status: int = 200) -> None:
        """Answer a request, as a handler would."""
        self.driver.respond(output.transaction, self.core.response(output.transaction, status))

    def reply(self, flow: CountedFlow, status: int = 200) -> bytes:
        """The peer's response to the request that was written last on *flow*."""
        sent = parse_message(flow.writes[-1])
        names = ("Via", "From", "To", "Call-ID", "CSeq", "Content-Length")
        fields = [(name, sent.headers.get(name) or "0") for name in names]
        return Response(status, None, fields).serialise()

    def calls(self) -> list[float]:
        """When each delayed call is due."""
        return [call.getTime() for call in self.clock.getDelayedCalls()]


class CountedTransport(StringTransport):
    """A transport that keeps each write, and what is done to it.

    :ivar writes: each write.
    :ivar done: what else was asked of it, in order.
    :ivar full_after: after so many further writes its buffer is full; 0 for never.
    """

    disconnected = False

    def __init__(self, local: tuple[str, int] = ("192.0.2.1", 5061), remote: tuple[str, int] = ("192.0.2.9", 40000)):
        super().__init__(IPv4Address("TCP", *local), IPv4Address("TCP", *remote))
        self.writes: list[bytes] = []
        self.done: list[str] = []
        self.options: list[str] = []
        self.full_after = 0

    def write(self, data: bytes) -> None:
        super().write(data)
        self.writes.append(data)
        if self.full_after:
            self.full_after -= 1
            if not self.full_after and self.producer is not None:
                self.producer.pauseProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.options.append(f"nodelay {enabled}")

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.options.append(f"keepalive {enabled}")

    def pauseProducing(self) -> None:
        self.done.append("pause")

    def resumeProducing(self) -> None:
        self.done.append("resume")

    def unregisterProducer(self) -> None:
        super().unregisterProducer()
        self.done.append("unregister")

    def loseConnection(self) -> None:
        super().loseConnection()
        self.done.append("lose")

    def abortConnection(self) -> None:
        self.disconnected = True
        self.disconnecting = True
        self.done.append("abort")


class Owner:
    """Whoever keeps the flows, as far as a connection needs it: remembers what it is told.

    :ivar log: what happened, in order.
    :ivar too_many: why the next accepted flow is one too many.
    """

    def __init__(self, driver: Driver, limits: Limits | None = None) -> None:
        self.driver = driver
        self.limits = Limits() if limits is None else limits
        self.log: list[str] = []
        self.flows: list[StreamFlow] = []
        self.reasons: list[BaseException] = []
        self.takes_more = True
        self.too_many = ""
        self.hits: list[str] = []
        self.restraint = None
        self.keep_alives = None
        self.authorization: Authorization | None = None
        self.browsers = Browsers()
        self.reactor: Any = Clock()
        self.write_queues = SharedOctets("write_buffer_total", self.limits, self.hits.append)
        self.partial = SharedOctets("partial_octets", self.limits, self.hits.append)

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        return f"us.example:{local[1]}"

    def connection_made(self, connection: StreamProtocol) -> bool:
        self.log.append("made")
        return self.takes_more

    def connection_ended(self, connection: StreamProtocol) -> None:
        self.log.append("ended")

    def flow_opened(self, flow: StreamFlow) -> None:
        self.log.append("opened")
        self.flows.append(flow)

    def flow_active(self, flow: StreamFlow, partial: bool) -> None:
        self.log.append("partial" if partial else "active")

    def datagram_flow_lost(self, flow: DatagramFlow, reason: ConnectionFailure) -> None:
        self.log.append("lost")
        self.reasons.append(reason)
        self.driver.flow_failed(flow, reason)

    def flow_answers(self, flow: StreamFlow) -> None:
        self.log.append("pong")

    def flow_closing(self, flow: StreamFlow) -> None:
        self.log.append("closing")

    def flow_lost(self, flow: StreamFlow, reason: BaseException) -> None:
        self.log.append("lost")
        self.reasons.append(reason)
        self.driver.flow_failed(flow, reason)

    def flow_stalled(self, flow: StreamFlow, waits: bool) -> None:
        self.log.append("stalled" if waits else "flowing")

    def flow_throttled(self, flow: StreamFlow) -> None:
        self.log.append("throttled" if flow.is_throttled else "unthrottled")

    def limit_hit(self, name: str) -> None:
        self.hits.append(name)

    def connection_denied(self, error: ConnectionFailure) -> None:
        self.log.append("denied")
        self.reasons.append(error)

    def has_room(self) -> bool:
        return True

    def refusal(self, flow: StreamFlow) -> str:
        return self.too_many


class StreamBench(Bench):
    """A bench whose flows are connections."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__()
        self.owner = Owner(self.driver, limits)

    def connect(
        self, *, transport: str = "TCP", is_incoming: bool = True, over: CountedTransport | None = None
    ) -> tuple[StreamProtocol, Any]:
        """A connection, as a listener would have accepted it: its protocol and its transport."""
        protocol = StreamFactory(self.owner, transport, is_incoming=is_incoming).buildProtocol(None)
        wire = CountedTransport() if over is None else over
        protocol.makeConnection(wire)
        return protocol, wire

    def deliver(self, protocol: StreamProtocol, data: bytes) -> None:
        """What a turn of the reactor brings on a connection, to the end of that turn."""
        protocol.dataReceived(data)
        self.clock.advance(0)
