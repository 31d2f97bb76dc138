"""What a server is put under while somebody else's answers are timed. An attack goes on until standard input closes.

``handshakes``
    So many TCP connections a second, each with the ClientHello of one that was recorded: the server answers with its
    certificate and a signature, and the connection is dropped.
``trickles``
    So many peers with a certificate that the server trusts, each of which has begun a message and sends one octet of it
    ten times a second.

A line on standard input asks for what has been done so far.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import ssl
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from benchmarks.channels import connect, tls_context
from benchmarks.descriptors import raise_limit
from benchmarks.plan import Plan, Target
from benchmarks.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Handshakes", "Trickles", "main"]

_GIVEN_UP_AFTER = 3.0
_MOST_UNDER_WAY = 4000
_EVERY = 0.1
_RESET = struct.pack("ii", 1, 0)


class Handshakes:
    """Attempts at so many connections a second."""

    def __init__(self, plan: Plan, port: int, rate: int) -> None:
        self.done = {"attempted": 0, "answered": 0}
        self._to = (plan.host, port)
        self._rate = rate
        self._hello = _client_hello(plan)
        self._poll = select.epoll()
        self._under_way: dict[int, tuple[socket.socket, float]] = {}
        self._began = time.perf_counter()

    def step(self) -> None:
        """Begin what is due, and drop what was answered or takes too long."""
        due = int((time.perf_counter() - self._began) * self._rate) - self.done["attempted"]
        for _ in range(min(due, _MOST_UNDER_WAY - len(self._under_way))):
            self._begin()
        for number, events in self._poll.poll(0.002):
            connected, _ = self._under_way[number]
            if events & select.EPOLLOUT and not events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                connected.send(self._hello)
                self._poll.modify(number, select.EPOLLIN)
                continue
            with suppress(OSError):
                self.done["answered"] += bool(connected.recv(65_536))
            self._drop(number)
        now = time.perf_counter()
        for number, (_, began) in list(self._under_way.items()):
            if now - began < _GIVEN_UP_AFTER:
                break
            self._drop(number)

    def _begin(self) -> None:
        connected = socket.socket()
        connected.setblocking(False)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connected.connect_ex(self._to)
        self.done["attempted"] += 1
        self._under_way[connected.fileno()] = (connected, time.perf_counter())
        self._poll.register(connected, select.EPOLLOUT)

    def _drop(self, number: int) -> None:
        connected, _ = self._under_way.pop(number)
        self._poll.unregister(number)
        connected.close()

    def close(self) -> None:
        for number in list(self._under_way):
            self._drop(number)
        self._poll.close()


def _client_hello(plan: Plan) -> bytes:
    out = ssl.MemoryBIO()
    tls = tls_context(plan).wrap_bio(ssl.MemoryBIO(), out, server_hostname=plan.server_name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise RuntimeError("a handshake was over before it began")


class Trickles:
    """Connections on which a message is begun and goes on an octet at a time."""

    def __init__(self, plan: Plan, port: int, count: int) -> None:
        context, wording = tls_context(plan), Wording("tls")
        self.done = {"connected": count, "octets": 0, "closed": 0}
        self._held = []
        for _ in range(count):
            connected, channel = connect(plan, port, context)
            (message,) = wording.requests(wording.template(connected.getsockname(), plan.server_name), 1, {})
            self._held.append((channel, message))
        self._round = 0
        self._at = 0
        self._next = time.perf_counter()

    def step(self) -> None:
        """An octet on each connection whose turn has come: they are spread over the tenth of a second."""
        if not self._held:
            time.sleep(_EVERY)
            return
        for _ in range(max(1, len(self._held) // 50)):
            channel, message = self._held[self._at]
            try:
                channel.write([message[self._round : self._round + 1]])
                self.done["octets"] += 1
            except OSError:
                self.done["closed"] += 1
                del self._held[self._at]
                if not self._held:
                    return
                self._at -= 1
            self._at += 1
            if self._at >= len(self._held):
                self._at = 0
                self._round += 1
        self._next += _EVERY / 50
        time.sleep(max(0.0, self._next - time.perf_counter()))

    def close(self) -> None:
        self._held.clear()


def main() -> None:
    """Attack until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attack", description=__doc__)
    parser.add_argument("kind", choices=("handshakes", "trickles"))
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int, help="a second, or at a time")
    parser.add_argument("--certificate", required=True, help="PEM file with our certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    options = parser.parse_args()
    raise_limit()
    gc.disable()
    plan = Plan("tls", [Target("server", options.port, [])], certificate=options.certificate, trust=options.trust)
    make: Callable[[Plan, int, int], Handshakes | Trickles] = Handshakes if options.kind == "handshakes" else Trickles
    attack = make(plan, options.port, options.count)
    print(json.dumps({}), flush=True)
    commands = select.poll()
    commands.register(sys.stdin, select.POLLIN)
    while True:
        attack.step()
        if commands.poll(0):
            if not sys.stdin.readline():
                break
            print(json.dumps(attack.done), flush=True)
    attack.close()


if __name__ == "__main__":
    main()
