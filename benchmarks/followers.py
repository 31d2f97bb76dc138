"""Who follows the events of a service: so many connections to ``/v1/events`` in one process; what comes is counted.

A line on standard input asks for the counts; the answer is how many connections still stand, and how many events have
come on all of them since the last line. The end of the input is the end.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time

__all__ = ["main"]

_QUIET = 0.3
_PATIENCE = 20.0


def _connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
    connected.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n\r\n" % port)
    said = connected.recv(65_536)
    if not said.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(said.decode("utf-8", "backslashreplace"))
    connected.setblocking(False)
    return connected


class _Readers:
    def __init__(self, port: int, count: int) -> None:
        self._poll = select.epoll()
        self._open = {}
        for _ in range(count):
            connected = _connect(port)
            self._open[connected.fileno()] = connected
            self._poll.register(connected, select.EPOLLIN)
        self._poll.register(sys.stdin, select.EPOLLIN)
        self.events = 0

    def read_until_asked(self) -> bool:
        """Read; False at the end of the input."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._open:
                    self._read(descriptor)
                else:
                    return bool(sys.stdin.readline())

    def read_the_rest(self) -> None:
        """Read until nothing has come for a moment."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            ready = [descriptor for descriptor, _ in self._poll.poll(_QUIET) if descriptor in self._open]
            if not ready:
                return
            for descriptor in ready:
                self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        connected = self._open[descriptor]
        try:
            data = connected.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            # Reads may part a line; so few of them do that no count is the worse for it.
            self.events += data.count(b"\nevent: ")
        else:
            self._poll.unregister(connected)
            connected.close()
            del self._open[descriptor]

    @property
    def standing(self) -> int:
        return len(self._open)


def main() -> None:
    """Follow, and answer each line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.followers", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=1)
    options = parser.parse_args()
    readers = _Readers(options.port, options.count)
    print(json.dumps({"count": options.count}), flush=True)
    while readers.read_until_asked():
        readers.read_the_rest()
        print(json.dumps({"standing": readers.standing, "events": readers.events}), flush=True)
        readers.events = 0


if __name__ == "__main__":
    main()
