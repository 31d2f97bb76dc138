"""The load generator: MESSAGE requests out, answers checked, in a process of its own, with the standard library
alone.

It is written to cost as little as it can, so that the server is what limits the rate; where it used most of a core
itself, its result says so. Every request has its own branch, Call-ID and CSeq, and an answer counts only when its
status is 200 and all three come back in it, once.

Several servers are measured in turns of a fraction of a second, round after round, so that whatever else the machine
does hits all of them alike and a round's ratio of two of them holds although the speed of the processor does not. A
turn begins and ends with nothing in flight; a server is charged with the CPU time that it uses from the start of its
turn to the start of its next one, so that what it puts off until later is counted too.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import socket
import ssl
import sys
import time
from array import array
from dataclasses import asdict, dataclass, field
from typing import Protocol

from benchmarks.cpu import cpu_seconds

__all__ = ["BODY", "Conversation", "Plan", "Result", "Target", "Wording", "connect", "main", "run", "tls_context"]

BODY = b"The quick brown fox jumps over the lazy dog."
_FIRST_NUMBER = 10_000_000
_STALLED_AFTER = 10.0
_RESEND_AFTER = 0.5
_READ_SIZE = 262_144


@dataclass(slots=True)
class Target:
    """One server.

    :ivar pids: its processes, whose CPU time is read.
    """

    name: str
    port: int
    pids: list[int]

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``NAME:PORT[:PID,PID...]``."""
        name, port, *pids = text.split(":")
        return cls(name, int(port), [int(pid) for pid in pids[0].split(",")] if pids else [])

    def __str__(self) -> str:
        return f"{self.name}:{self.port}:{','.join(map(str, self.pids))}" if self.pids else f"{self.name}:{self.port}"


@dataclass(slots=True)
class Plan:
    """What to send where.

    :ivar transport: ``tls``, ``tcp`` or ``udp``.
    :ivar window: requests in flight on each connection.
    :ivar seconds: how long a turn goes on sending; *count*, when it is not 0, says how many requests it sends instead.
    :ivar rounds: how many turns each server has, after one more that does not count.
    :ivar reconnect: a new connection for each request; *connections* is then how many are under way at a time.
    """

    transport: str
    targets: list[Target]
    host: str = "127.0.0.1"
    connections: int = 1
    window: int = 1
    seconds: float = 0.15
    count: int = 0
    rounds: int = 10
    reconnect: bool = False
    certificate: str = ""
    trust: str = ""
    server_name: str = "bob.example"


@dataclass(slots=True)
class Result:
    """What the turns of one server gave.

    :ivar cpu: for each turn, the server's CPU time for each transaction, in microseconds.
    :ivar rate: transactions a second, over all turns; :attr:`count` is how many there were.
    :ivar median: the median time from request to answer, in milliseconds; :attr:`tail` the 99th percentile.
    :ivar generator: which part of one core the generator itself used, 0 to 1.
    :ivar resent: requests that had to be sent again, over UDP.
    :ivar tls: protocol version and cipher, empty without TLS.
    """

    name: str
    cpu: list[float] = field(default_factory=list)
    count: int = 0
    rate: float = 0.0
    median: float = 0.0
    tail: float = 0.0
    generator: float = 0.0
    resent: int = 0
    tls: str = ""


class WrongAnswer(Exception):
    """The server's answer is not the one that the request asks for."""


class Wording:
    """Makes the requests of one run, and recognises their answers."""

    __slots__ = ("_branch", "_call_id", "_number", "_run", "_transport", "repeated")

    def __init__(self, transport: str) -> None:
        self.repeated: set[bytes] = set()
        self._run = os.urandom(5).hex().encode()
        self._transport = transport.upper().encode()
        self._number = _FIRST_NUMBER
        self._branch = b"branch=z9hG4bK" + self._run
        self._call_id = b"\r\nCall-ID: " + self._run

    def template(self, local: tuple[str, int], server_name: str, body: bytes = BODY) -> bytes:
        """A request for one connection, with three places for its number."""
        peer, run = server_name.encode(), self._run
        lines = [
            b"MESSAGE sip:bob@%b SIP/2.0" % peer,
            b"Via: SIP/2.0/%b %b:%d;%b%%d;rport" % (self._transport, local[0].encode(), local[1], self._branch),
            b"From: <sip:alice@alice.example>;tag=%b" % run,
            b"To: <sip:bob@%b>" % peer,
            b"Call-ID: %b%%d@alice.example" % run,
            b"CSeq: %d MESSAGE",
            b"Max-Forwards: 70",
            b"User-Agent: benchmark",
            b"Content-Type: text/plain;charset=utf-8",
            b"Content-Length: %d" % len(body),
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def requests(self, template: bytes, count: int, sent: dict[bytes, float]) -> list[bytes]:
        """The next *count* requests, noted in *sent* under their numbers with the time at which they leave."""
        first = self._number
        self._number = first + count
        now = time.perf_counter()
        messages = []
        for number in range(first, first + count):
            sent[b"%d" % number] = now
            messages.append(template % (number, number, number))
        return messages

    def again(self, template: bytes, sent: dict[bytes, float]) -> list[bytes]:
        """The requests that are still in *sent*, once more."""
        self.repeated.update(sent)
        return [template % (number, number, number) for number in map(int, sent)]

    def answers(self, data: bytes, sent: dict[bytes, float], latencies: array[float]) -> tuple[int, bytes]:
        """Take whole answers from *data*: how many there were, and the octets after them.

        :raises WrongAnswer: for one that is not the 200 to a request in *sent*.
        """
        mark, call_id = self._branch, self._call_id
        now = time.perf_counter()
        start = count = 0
        while True:
            end = data.find(b"\r\n\r\n", start)
            if end < 0:
                break
            if not data.startswith(b"\r\nContent-Length: 0", end - 19):
                after = end + 4 + _content_length(data[start:end])
                if len(data) < after:
                    break
            else:
                after = end + 4
            at = data.find(mark, start, end) + len(mark)
            number = data[at : at + 8]
            sent_at = sent.pop(number, 0.0)
            if not sent_at and number in self.repeated:
                start = after  # what was sent twice may be answered twice
                continue
            if (
                not sent_at
                or not data.startswith(b"SIP/2.0 200 ", start)
                or data.find(call_id + number, start, end) < 0
                or data.find(b"\r\nCSeq: " + number + b" MESSAGE\r\n", start, end + 2) < 0
            ):
                raise WrongAnswer(data[start:end].decode("utf-8", "replace"))
            latencies.append(now - sent_at)
            count += 1
            start = after
        return count, data[start:]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-length", b"l"):
            return int(value)
    raise WrongAnswer("no Content-Length in " + head.decode("utf-8", "replace"))


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


class Conversation:
    """One connection and the requests in flight on it."""

    __slots__ = ("_channel", "_latencies", "_rest", "_template", "_wording", "sent")

    def __init__(self, channel: Channel, template: bytes, wording: Wording, latencies: array[float]) -> None:
        self._channel = channel
        self._template = template
        self._wording = wording
        self._latencies = latencies
        self._rest = b""
        self.sent: dict[bytes, float] = {}

    def send(self, count: int) -> None:
        """Send the next *count* requests in one write."""
        self._channel.write(self._wording.requests(self._template, count, self.sent))

    def send_again(self) -> int:
        """Send what is unanswered once more; how many those were."""
        self._channel.write(self._wording.again(self._template, self.sent))
        return len(self.sent)

    def receive(self) -> int:
        """Read what has arrived: how many answers were complete."""
        data = self._channel.read()
        if self._rest:
            data = self._rest + data
        count, self._rest = self._wording.answers(data, self.sent, self._latencies)
        return count

    def close(self) -> None:
        self._channel.close()


def _turn_limits(plan: Plan) -> tuple[int, float]:
    """How many requests a turn may send, and until when."""
    if plan.count:
        return plan.count, float("inf")
    return sys.maxsize, time.perf_counter() + plan.seconds


class KeptLoad:
    """Connections that stay, each with a window of requests in flight."""

    def __init__(self, plan: Plan, port: int) -> None:
        self.latencies = array("d")
        self.resent = 0
        self.tls = ""
        self._plan = plan
        self._poll = select.epoll()
        self._conversations: dict[int, Conversation] = {}
        wording = Wording(plan.transport)
        context = tls_context(plan) if plan.transport == "tls" else None
        for _ in range(plan.connections):
            connected, channel = connect(plan, port, context)
            template = wording.template(connected.getsockname(), plan.server_name)
            self._conversations[connected.fileno()] = Conversation(channel, template, wording, self.latencies)
            self._poll.register(connected, select.EPOLLIN)
            if isinstance(channel, TlsChannel):
                self.tls = channel.description

    def turn(self) -> None:
        """Send for as long, or as much, as the plan says, and wait for every answer."""
        conversations, poll, window = self._conversations, self._poll.poll, self._plan.window
        left, until = _turn_limits(self._plan)
        in_flight = 0
        for conversation in conversations.values():
            share = min(window, left)
            if share:
                conversation.send(share)
                in_flight += share
                left -= share
        patience = _RESEND_AFTER if self._plan.transport == "udp" else _STALLED_AFTER
        while in_flight:
            events = poll(patience)
            if not events:
                self._stalled()
            for descriptor, _ in events:
                conversation = conversations[descriptor]
                answered = conversation.receive()
                in_flight -= answered
                if time.perf_counter() >= until:
                    left = 0
                if left and answered:
                    share = min(answered, left)
                    conversation.send(share)
                    in_flight += share
                    left -= share

    def _stalled(self) -> None:
        if self._plan.transport != "udp":
            raise TimeoutError(f"no answer for {_STALLED_AFTER} s")
        self.resent += sum(conversation.send_again() for conversation in self._conversations.values())
        if self.resent > 100_000:
            raise TimeoutError("the server does not answer")

    def close(self) -> None:
        for conversation in self._conversations.values():
            conversation.close()
        self._poll.close()


class ReconnectingLoad:
    """A new connection for each request; several are under way at a time so that the server does not wait for us."""

    def __init__(self, plan: Plan, port: int) -> None:
        self.latencies = array("d")
        self.resent = 0
        self.tls = ""
        self._plan = plan
        self._port = port
        self._wording = Wording(plan.transport)
        self._context = tls_context(plan)
        self._poll = select.epoll()
        self._under_way: dict[int, Attempt] = {}

    def turn(self) -> None:
        """Connect for as long, or as often, as the plan says, and wait for every answer."""
        left, until = _turn_limits(self._plan)
        for _ in range(min(self._plan.connections, left)):
            self._begin()
            left -= 1
        while self._under_way:
            events = self._poll.poll(_STALLED_AFTER)
            if not events:
                raise TimeoutError(f"no answer for {_STALLED_AFTER} s")
            for descriptor, _ in events:
                attempt = self._under_way[descriptor]
                if not attempt.advance():
                    continue
                self.latencies.append(time.perf_counter() - attempt.began)
                self.tls = attempt.channel.description
                del self._under_way[descriptor]
                self._poll.unregister(descriptor)
                attempt.channel.close()
                if left and time.perf_counter() < until:
                    self._begin()
                    left -= 1

    def _begin(self) -> None:
        attempt = Attempt(self._plan, self._port, self._context, self._wording)
        descriptor = attempt.socket.fileno()
        self._under_way[descriptor] = attempt
        self._poll.register(descriptor, select.EPOLLIN)

    def close(self) -> None:
        self._poll.close()


class Attempt:
    """One connection of :class:`ReconnectingLoad`: handshake, request, answer."""

    __slots__ = ("_conversation", "_done", "began", "channel", "socket")

    def __init__(self, plan: Plan, port: int, context: ssl.SSLContext, wording: Wording) -> None:
        self.began = time.perf_counter()
        self.socket = socket.create_connection((plan.host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.channel = TlsChannel(self.socket, context, plan.server_name)
        template = wording.template(self.socket.getsockname(), plan.server_name)
        self._conversation = Conversation(self.channel, template, wording, array("d"))
        self._done = self.channel.handshake()
        self.channel.flush()

    def advance(self) -> bool:
        """Take one readable event; True once the answer is there."""
        if self._done:
            return self._conversation.receive() > 0
        self.channel.feed()
        self._done = self.channel.handshake()
        if self._done:
            self._conversation.send(1)  # leaves together with our Finished
        else:
            self.channel.flush()
        return False


class Lane:
    """One server's share of a run: its load, and what its turns have come to."""

    def __init__(self, plan: Plan, target: Target) -> None:
        self.load = ReconnectingLoad(plan, target.port) if plan.reconnect else KeptLoad(plan, target.port)
        self.result = Result(target.name)
        self._pids = target.pids
        self._counted = 0
        self._cpu_before = 0.0
        self._elapsed = 0.0
        self._own = 0.0

    def settle(self) -> None:
        """Charge the server with the CPU time since the start of its last turn."""
        now = cpu_seconds(self._pids)
        count = len(self.load.latencies)
        if count > self._counted:
            self.result.cpu.append((now - self._cpu_before) / (count - self._counted) * 1e6)
        self._counted = count
        self._cpu_before = now

    def turn(self) -> None:
        """Have the server's next turn."""
        began, own = time.perf_counter(), time.process_time()
        self.load.turn()
        self._elapsed += time.perf_counter() - began
        self._own += time.process_time() - own

    def forget(self) -> None:
        """Drop what the turns so far have come to: they were for warming up."""
        self.settle()
        del self.load.latencies[:]
        self.load.resent = self._counted = 0
        self._elapsed = self._own = 0.0
        self.result.cpu.clear()

    def finish(self) -> Result:
        """The result; the lane is of no more use."""
        latencies = sorted(self.load.latencies)
        result, count = self.result, len(latencies)
        result.count = count
        result.rate = count / self._elapsed
        result.median = latencies[count // 2] * 1e3
        result.tail = latencies[min(count - 1, count * 99 // 100)] * 1e3
        result.generator = self._own / self._elapsed
        result.resent = self.load.resent
        result.tls = self.load.tls
        return result


def run(plan: Plan) -> list[Result]:
    """Give each server its turns and say what came of them, in the order of the plan's targets.

    :raises WrongAnswer: when a server said anything but the 200 that each request is due.
    :raises TimeoutError: when one stopped answering.
    """
    lanes = [Lane(plan, target) for target in plan.targets]
    gc.freeze()
    gc.disable()
    try:
        for lane in lanes:
            lane.turn()
        for lane in lanes:
            lane.forget()
        for _ in range(plan.rounds):
            for lane in lanes:
                lane.settle()
                lane.turn()
        for lane in lanes:
            lane.settle()
    finally:
        for lane in lanes:
            lane.load.close()
        gc.enable()
    return [lane.finish() for lane in lanes]


def main() -> None:
    """Run the plan of the command line; each server's result is one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("transport", choices=("tls", "tcp", "udp"))
    parser.add_argument("targets", type=Target.parse, nargs="+", metavar="NAME:PORT[:PID,PID...]")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--window", type=int, default=1, help="requests in flight on each connection")
    parser.add_argument("--seconds", type=float, default=0.15, help="the length of a turn")
    parser.add_argument("--count", type=int, default=0, help="send so many requests a turn, however long it takes")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each server")
    parser.add_argument("--reconnect", action="store_true", help="a new connection for each request")
    parser.add_argument("--certificate", default="", help="PEM file with our certificate and key")
    parser.add_argument("--trust", default="", help="PEM file with the authority's certificate")
    parser.add_argument("--server-name", default="bob.example", dest="server_name", help="as in its certificate")
    for result in run(Plan(**vars(parser.parse_args()))):
        print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
