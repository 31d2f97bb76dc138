"""Whether what listens still does, and whether the addresses that it listens on are still ours (rows C9, C10).

A listening socket can be lost: it is shut down or closed by somebody else, or the system cannot accept on it any more.
Twisted tells nobody, so :class:`ListenerWatch` says how often to look, and whether to listen again. The addresses of
the machine come and go with its interfaces; on Linux they stand in ``/proc``, elsewhere the application says what they
are.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.listener import Listener

__all__ = [
    "USUAL_WATCH",
    "AddressesChanged",
    "ListenerLost",
    "ListenerWatch",
    "machine_addresses",
    "serves",
    "trouble_with",
]

_LOCAL_V4 = Path("/proc/net/fib_trie")
_LOCAL_V6 = Path("/proc/net/if_inet6")
_HOST_ENTRY = re.compile(r"\|-- ([0-9.]+)\n[ ]+/32 host LOCAL")
_WILDCARDS = ("0.0.0.0", "::", "")


def machine_addresses() -> frozenset[str] | None:
    """The IP addresses of this machine, loopback among them; None where the system does not tell."""
    found: set[str] = set()
    try:
        found.update(_HOST_ENTRY.findall(_LOCAL_V4.read_text("ascii")))
        if _LOCAL_V6.exists():
            for line in _LOCAL_V6.read_text("ascii").splitlines():
                found.add(str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))))
    except (OSError, ValueError, IndexError):
        return None
    return frozenset(found)


@final
class ListenerWatch:
    """How closely a connection manager looks after its listeners.

    :ivar interval: the seconds between two looks.
    :ivar relisten: whether a listener that was lost is started again: after :attr:`first_delay`, then after twice as
        long each time, at most :attr:`longest_delay`, until it is stopped.
    :ivar first_delay: in seconds.
    :ivar longest_delay: in seconds.
    :ivar addresses: gives the IP addresses of this machine; None where they are not known.
    """

    __slots__ = ("addresses", "first_delay", "interval", "longest_delay", "relisten")

    def __init__(
        self,
        interval: float = 2.0,
        *,
        relisten: bool = True,
        first_delay: float = 1.0,
        longest_delay: float = 60.0,
        addresses: Callable[[], Iterable[str] | None] | None = None,
    ) -> None:
        """
        :param addresses: None asks the machine.
        :raises ValueError: when a time is not positive.
        """
        for name, value in (("interval", interval), ("first_delay", first_delay), ("longest_delay", longest_delay)):
            if not value > 0:
                raise ValueError(f"{name}={value} is no time: give seconds, more than 0")
        self.interval = interval
        self.relisten = relisten
        self.first_delay = first_delay
        self.longest_delay = longest_delay
        self.addresses = machine_addresses if addresses is None else addresses

    def delay(self, attempt: int) -> float:
        """How long to wait before the *attempt*-th try, counted from 0."""
        return min(self.longest_delay, self.first_delay * 2.0 ** min(attempt, 30))


USUAL_WATCH = ListenerWatch()
"""Looks every two seconds, and starts again what was lost."""


@final
class ListenerLost:
    """A listener accepts nothing any more, and nobody has stopped it (row C9).

    :ivar listener: which.
    :ivar reason: in words.
    :ivar retry_in: in how many seconds it is started again; None for never.
    """

    __slots__ = ("listener", "reason", "retry_in")

    def __init__(self, listener: Listener, reason: str, retry_in: float | None) -> None:
        self.listener = listener
        self.reason = reason
        self.retry_in = retry_in

    def __repr__(self) -> str:
        return f"<ListenerLost {self.listener!r}: {self.reason}>"


@final
class AddressesChanged:
    """The machine has other IP addresses than before (row C10).

    :ivar addresses: all that it has now.
    :ivar added: those that have come.
    :ivar removed: those that have gone.
    :ivar is_reachable: whether a listener is left that peers can reach by one of them.
    """

    __slots__ = ("added", "addresses", "is_reachable", "removed")

    def __init__(self, before: frozenset[str], addresses: frozenset[str], is_reachable: bool) -> None:
        self.addresses = addresses
        self.added = addresses - before
        self.removed = before - addresses
        self.is_reachable = is_reachable

    def __repr__(self) -> str:
        changes = [*(f"+{each}" for each in sorted(self.added)), *(f"-{each}" for each in sorted(self.removed))]
        return f"<AddressesChanged {' '.join(changes)}>"


def serves(bound: str, addresses: frozenset[str]) -> bool:
    """Whether a socket that is bound to *bound* can be reached by one of *addresses*; all of them, for a wildcard that
    is more than loopback."""
    if bound not in _WILDCARDS:
        return bound in addresses or _is_no_address(bound)
    return any(not ipaddress.ip_address(each).is_loopback for each in addresses)


def _is_no_address(bound: str) -> bool:
    try:
        ipaddress.ip_address(bound)
    except ValueError:
        # A Unix socket.
        return True
    return False


def trouble_with(port: Any) -> str:
    """Why a Twisted port does not listen any more; the empty string where it does, or where that cannot be told."""
    handle = getattr(port, "getHandle", None)
    sock = None if handle is None else handle()
    if sock is None or not hasattr(sock, "getsockopt"):
        return ""
    try:
        accepts = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        is_stream = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    except OSError as error:
        return f"its socket was closed: {error}"
    return "its socket was shut down" if is_stream and not accepts else ""
