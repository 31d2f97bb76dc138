"""The load generator: MESSAGE requests out, or calls, and answers checked, in a process of its own, with the standard
library alone.

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
import select
import socket
import sys
import time
from array import array
from dataclasses import asdict
from typing import TYPE_CHECKING

from benchmarks.call_wording import Calls
from benchmarks.channels import TlsChannel, connect, tls_context
from benchmarks.cpu import cpu_seconds
from benchmarks.plan import Plan, Result, Target
from benchmarks.wording import Wording

if TYPE_CHECKING:
    import ssl

    from benchmarks.channels import Channel

__all__ = ["CallConversation", "Conversation", "KeptLoad", "ReconnectingLoad", "main", "run"]

_STALLED_AFTER = 10.0
_RESEND_AFTER = 0.5


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

    def send_late(self, since: float, before: float) -> int:
        """Send once more what was sent between *since* and *before* and is unanswered; how many those were."""
        late = {number: moment for number, moment in self.sent.items() if since <= moment < before}
        if late:
            self._channel.write(self._wording.again(self._template, late))
        return len(late)

    def receive(self) -> int:
        """Read what has arrived: how many answers were complete."""
        data = self._channel.read()
        if self._rest:
            data = self._rest + data
        count, self._rest = self._wording.answers(data, self.sent, self._latencies)
        return count

    def close(self) -> None:
        self._channel.close()


class CallConversation:
    """One connection and the calls that are under way on it."""

    __slots__ = ("_calls", "_channel", "_latencies")

    def __init__(self, channel: Channel, calls: Calls, latencies: array[float]) -> None:
        self._channel = channel
        self._calls = calls
        self._latencies = latencies

    def send(self, count: int) -> None:
        """Begin *count* more calls, in one write."""
        self._channel.write(self._calls.begin(count))

    def send_again(self) -> int:
        """Send what is unanswered once more; how many those were."""
        messages = self._calls.again()
        self._channel.write(messages)
        return len(messages)

    def receive(self) -> int:
        """Read what has arrived and say what there is to say to it: how many calls are over."""
        replies, count = self._calls.receive(self._channel.read(), self._latencies)
        if replies:
            self._channel.write(replies)
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
        self._conversations: dict[int, Conversation | CallConversation] = {}
        wording = Wording(plan.transport)
        context = tls_context(plan) if plan.transport == "tls" else None
        for _ in range(plan.connections):
            connected, channel = connect(plan, port, context)
            local = connected.getsockname()
            if plan.calls:
                calls = Calls(plan.transport, local, plan.server_name)
                conversation: Conversation | CallConversation = CallConversation(channel, calls, self.latencies)
            else:
                template = wording.template(local, plan.server_name)
                conversation = Conversation(channel, template, wording, self.latencies)
            self._conversations[connected.fileno()] = conversation
            self._poll.register(connected, select.EPOLLIN)
            if isinstance(channel, TlsChannel):
                self.tls = channel.description

    def turn(self, count: int = 0) -> None:
        """Send *count* requests, or for as long, or as many, as the plan says, and wait for every answer."""
        conversations, poll, window = self._conversations, self._poll.poll, self._plan.window
        left, until = (count, float("inf")) if count else _turn_limits(self._plan)
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
    parser.add_argument("--calls", action="store_true", help="calls instead of requests")
    parser.add_argument("--certificate", default="", help="PEM file with our certificate and key")
    parser.add_argument("--trust", default="", help="PEM file with the authority's certificate")
    parser.add_argument("--server-name", default="bob.example", dest="server_name", help="as in its certificate")
    for result in run(Plan(**vars(parser.parse_args()))):
        print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
