"""What this machine knows about names by itself: its hosts file, its name servers, and which addresses it can reach.

The files are read again when they have changed, so that neither a timer nor a restart is needed. Search lists are not
used: a host in SIP is a whole name.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Generic, TypeVar, final

from sip_p2p.transport.dns.records import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HostsFile", "ResolverConfiguration", "has_route", "parse_name_server"]

_PORT = 53
_MOST_NAME_SERVERS = 3
"""As many name servers count, as for the C library."""

_LOOPBACK = ("127.0.0.1", "::1")

_T = TypeVar("_T")


class _Watched(Generic[_T]):
    """A file that is read when it is first needed, and again when it has changed."""

    def __init__(self, path: str, parse: Callable[[str], _T]) -> None:
        self._path = path
        self._parse = parse
        self._seen: tuple[int, int, int] | None = None
        self._value = parse("")

    def value(self) -> _T:
        """What the file says now; what an empty one would say, where it cannot be read."""
        try:
            status = os.stat(self._path)
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._seen:
                with open(self._path, encoding="utf-8", errors="replace") as file:
                    self._value = self._parse(file.read())
                self._seen = stamp
        except OSError:
            self._seen, self._value = None, self._parse("")
        return self._value


@final
class HostsFile:
    """The table of names and addresses of this machine, hosts(5). It goes before DNS.

    ``localhost``, and what ends in ``.localhost``, is this machine wherever it is not listed (RFC 6761 section 6.3).
    """

    def __init__(self, path: str = "/etc/hosts") -> None:
        self._file = _Watched(path, _parse_hosts)

    def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of *name*, in the order of the file."""
        name = name.lower()
        found = self._file.value().get(name, ())
        if not found and (name == "localhost" or name.endswith(".localhost")):
            return _LOOPBACK
        return found


def _parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if not is_address(address) or "%" in address:
            continue
        for name in names:
            known = table.get(name.lower(), ())
            if address not in known:
                table[name.lower()] = (*known, address)
    return table


@final
class ResolverConfiguration:
    """The name servers that this machine is configured with, resolv.conf(5)."""

    def __init__(self, path: str = "/etc/resolv.conf") -> None:
        self._file = _Watched(path, _parse_name_servers)

    def name_servers(self) -> list[tuple[str, int]]:
        """Addresses and ports; one on this machine where none is configured."""
        return self._file.value() or [("127.0.0.1", _PORT)]


def _parse_name_servers(text: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and is_address(words[1]) and "%" not in words[1]:
            found.append((words[1], _PORT))
    return found[:_MOST_NAME_SERVERS]


def parse_name_server(text: str) -> tuple[str, int]:
    """A name server from ``192.0.2.1``, ``192.0.2.1:5353``, ``2001:db8::1`` or ``[2001:db8::1]:5353``.

    :raises ValueError: when it is none of these.
    """
    host, port = text.strip(), ""
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":") if port else ""
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0 if port else _PORT
    if not is_address(host) or "%" in host or not 1 <= number <= 65535:
        raise ValueError(f"{text!r} is not a name server: write its address, or address:port")
    return host, number


def has_route(address: str) -> bool:
    """Whether this machine has any way to *address*; nothing is sent to find out (RFC 6724 section 5, rule 1)."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _PORT))
    except OSError:
        return False
    return True
