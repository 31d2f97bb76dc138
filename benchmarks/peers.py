"""Peers that hold connections: mutual TLS, one MESSAGE on each, which offers keep-alives (RFC 6223), and then nothing.

Once they all stand this process says how many. A line on standard input has each of them ping (RFC 5626 section 4.4.1)
and hear the pong; the answer is how many did. The end of the input is the end.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import sys
from array import array

from benchmarks.channels import Channel, connect, tls_context
from benchmarks.descriptors import raise_limit
from benchmarks.load import Conversation
from benchmarks.plan import Plan, Target
from benchmarks.wording import Wording

__all__ = ["Peers", "main"]

_PATIENCE = 20.0


class Peers:
    """The connections of one process."""

    def __init__(self, plan: Plan, port: int, count: int) -> None:
        self._held: list[tuple[socket.socket, Channel]] = []
        context, wording, latencies = tls_context(plan), Wording("tls"), array("d")
        # A server that a thousand handshakes have made late may refuse a message; who sent it is a peer all the same.
        wording.refused = 0
        for _ in range(count):
            connected, channel = connect(plan, port, context)
            template = wording.template(connected.getsockname(), plan.server_name).replace(b";rport", b";rport;keep", 1)
            conversation = Conversation(channel, template, wording, latencies)
            conversation.send(1)
            while conversation.sent:
                _readable(connected)
                conversation.receive()
            self._held.append((connected, channel))

    def ping(self) -> int:
        """Ping on every connection; how many pongs came."""
        pongs = 0
        for connected, channel in self._held:
            channel.write([b"\r\n\r\n"])
            _readable(connected)
            pongs += channel.read() == b"\r\n"
        return pongs

    def close(self) -> None:
        """Drop them all."""
        for connected, _ in self._held:
            connected.close()


def _readable(connected: socket.socket) -> None:
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    if not poll.poll(_PATIENCE * 1e3):
        raise TimeoutError("the server does not answer")


def main() -> None:
    """Connect, and serve pings until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--certificate", required=True, help="PEM file with our certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    options = parser.parse_args()
    raise_limit()
    gc.disable()
    plan = Plan("tls", [Target("server", options.port, [])], certificate=options.certificate, trust=options.trust)
    peers = Peers(plan, options.port, options.count)
    print(json.dumps({"count": options.count}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"pongs": peers.ping()}), flush=True)
    peers.close()


if __name__ == "__main__":
    main()
