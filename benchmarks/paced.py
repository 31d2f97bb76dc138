"""A load that paces itself: so many MESSAGEs a second over UDP, whatever the server does; the answers are counted.

A request without an answer is sent again after half a second and one and a half, as T1 has it. Beside them one request
a second is sent whose answer is kept; at the end those of the last 30 seconds are repeated, and a server that has held
what it answered gives the very same octets again.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import socket
import time
from array import array
from typing import TYPE_CHECKING

from benchmarks.channels import connect
from benchmarks.load import Conversation
from benchmarks.plan import Plan, Target
from benchmarks.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Witness", "main", "run"]

_SOCKETS = 8
_TICK = 0.002
_RESEND_AFTER = 0.5
_PATIENCE = 5.0
_HELD = 30.0


class Witness:
    """Requests whose answers are kept, to be asked again later."""

    def __init__(self, plan: Plan, port: int) -> None:
        self._socket, self._channel = connect(plan, port, None)
        self._wording = Wording("udp")
        self._template = self._wording.template(self._socket.getsockname(), plan.server_name)
        self._asked: list[tuple[float, bytes]] = []
        self._answers: dict[bytes, bytes] = {}

    def ask(self) -> None:
        """One more."""
        (request,) = self._wording.requests(self._template, 1, {})
        self._asked.append((time.monotonic(), request))
        self._socket.send(request)

    def hear(self) -> None:
        """Keep what has come."""
        for answer in self._read():
            self._answers.setdefault(_branch(answer), answer)

    def _read(self) -> list[bytes]:
        found = []
        try:
            while True:
                found.append(self._socket.recv(65_536))
        except BlockingIOError:
            return found

    def held(self) -> tuple[int, int]:
        """Of how many requests the answer was held, and of how many it was looked for."""
        self.hear()
        since = time.monotonic() - _HELD
        again = [request for moment, request in self._asked if moment > since]
        for request in again:
            self._socket.send(request)
        until = time.monotonic() + _PATIENCE
        same = 0
        heard = 0
        while heard < len(again) and time.monotonic() < until:
            _wait([self._socket], 0.1)
            for answer in self._read():
                heard += 1
                same += self._answers.get(_branch(answer)) == answer
        return same, len(again)

    def close(self) -> None:
        self._channel.close()


def _branch(octets: bytes) -> bytes:
    at = octets.find(b"branch=")
    return octets[at : octets.find(b";", at)]


def _wait(sockets: Sequence[socket.socket], seconds: float) -> list[socket.socket]:
    poll = select.poll()
    by_number = {each.fileno(): each for each in sockets}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(max(0.0, seconds) * 1e3)]


def run(plan: Plan, rate: float) -> dict[str, float]:
    """Send ``plan.seconds`` long at *rate* and say what came of it."""
    port = plan.targets[0].port
    latencies = array("d")
    lines: dict[socket.socket, Conversation] = {}
    for _ in range(_SOCKETS):
        connected, channel = connect(plan, port, None)
        wording = Wording("udp")
        lines[connected] = Conversation(
            channel, wording.template(connected.getsockname(), plan.server_name), wording, latencies
        )
    witness = Witness(plan, port)
    sockets, turns = list(lines), list(lines.values())
    began = time.perf_counter()
    own = time.process_time()
    sent = resent = answered = 0
    looked = asked = began
    while (now := time.perf_counter()) - began < plan.seconds or (
        any(each.sent for each in turns) and now - began < plan.seconds + _PATIENCE
    ):
        due = int(min(now - began, plan.seconds) * rate) - sent
        for at in range(_SOCKETS):
            share = due // _SOCKETS + (at < due % _SOCKETS)
            if share > 0:
                turns[at].send(share)
                sent += share
        if now - asked >= 1.0 and now - began < plan.seconds:
            asked = now
            witness.ask()
            witness.hear()
        if now - looked >= _RESEND_AFTER / 2:
            looked += _RESEND_AFTER / 2
            now = looked
            # As Timer E has it for the first two: T1 after the request, and twice that after the repetition.
            for after in (_RESEND_AFTER, 3 * _RESEND_AFTER):
                until = now - after
                resent += sum(each.send_late(until - _RESEND_AFTER / 2, until) for each in turns)
        for ready in _wait(sockets, _TICK):
            answered += lines[ready].receive()
    own = (time.process_time() - own) / (time.perf_counter() - began)
    same, looked_for = witness.held()
    witness.close()
    for each in turns:
        each.close()
    ordered = sorted(latencies)
    return {
        "sent": sent,
        "answered": answered,
        "resent": resent,
        "median": ordered[len(ordered) // 2] * 1e3 if ordered else 0.0,
        "tail": ordered[len(ordered) * 99 // 100] * 1e3 if ordered else 0.0,
        "worst": ordered[-1] * 1e3 if ordered else 0.0,
        "held": same,
        "looked_for": looked_for,
        "generator": own,
    }


def main() -> None:
    """Run the plan of the command line; the result is one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paced", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=6000.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    plan = Plan("udp", [Target("server", options.port, [])], seconds=options.seconds)
    gc.disable()
    print(json.dumps(run(plan, options.rate)))


if __name__ == "__main__":
    main()
