"""What the load generator is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Plan", "Result", "Target"]


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
    :ivar calls: calls instead of MESSAGE requests; *window*, *count* and what is measured are then of calls.
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
    calls: bool = False
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
