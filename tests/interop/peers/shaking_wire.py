"""A wire that loses, doubles and delays packets: ``shaking_wire.py LEFT RIGHT LOSS DOUBLE LATE``.

It passes Ethernet frames between two interfaces. Of those that carry IP a share is lost, a share arrives twice, and a
share is held back so that others overtake it. ``shaking_wire.py prepare INTERFACE`` is for the hosts at its ends:
virtual interfaces leave checksums and segments to hardware that is not there, and here they have to be right.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import heapq
import json
import random
import select
import socket
import struct
import sys
import time

__all__: list[str] = []

_ALL_FRAMES = 3
_IP = b"\x08\x00"
_LONGEST_DELAY = 0.06
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17


def prepare(interface: str) -> None:
    """Have the kernel compute checksums on *interface*."""
    request = array.array("B", struct.pack("II", _ETHTOOL_STXCSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP", interface.encode(), request.buffer_info()[0]))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _open(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
    end.bind((interface, _ALL_FRAMES))
    return end


def shake(left: str, right: str, loss: float, double: float, late: float) -> None:
    """Pass frames until the process is ended; ``report`` on standard input asks what has happened."""
    ends = (_open(left), _open(right))
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    held: list[tuple[float, int, socket.socket, bytes]] = []
    counts = {"passed": 0, "lost": 0, "doubled": 0, "late": 0}
    number = 0
    _say("ready")
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        readable, _, _ = select.select([*ends, sys.stdin], [], [], wait)
        for source in readable:
            if source is sys.stdin:
                if not sys.stdin.readline():
                    return
                _say(json.dumps(counts))
                continue
            frame, address = source.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            copies, delay = 1, 0.0
            if frame[12:14] == _IP:
                if random.random() < loss:
                    counts["lost"] += 1
                    continue
                counts["passed"] += 1
                if random.random() < double:
                    counts["doubled"] += 1
                    copies = 2
                if random.random() < late:
                    counts["late"] += 1
                    delay = random.uniform(0.005, _LONGEST_DELAY)
            for copy in range(copies):
                number += 1
                due = time.monotonic() + delay + copy * random.uniform(0, _LONGEST_DELAY)
                heapq.heappush(held, (due, number, other[source], frame))
        while held and held[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(held)
            with contextlib.suppress(OSError):
                end.send(frame)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(sys.argv[2])
    else:
        shake(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6]))
