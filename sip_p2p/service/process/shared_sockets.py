"""Listening sockets that several workers share: bound once, by their parent, and passed on as systemd passes its own.

All workers accept on one socket. A worker that dies takes with it the connections that it had, and none that still
waits: the others accept those. (With ``SO_REUSEPORT`` each would have a queue of its own, which would die with it.)

Whoever is in a dialog with one worker has to find that very worker again, by a connection of its own if need be. Each
worker therefore listens on one more port for each of TLS and TCP, which its Contact names. The parent keeps these
sockets as well: a worker that was started again is found where the one before it was, and says 481 for what it does
not know.

Left out: UDP, which has no connections that could stay with whoever accepted them; sockets of Twisted's own
descriptions; and WebSocket as a port of one's own, as nobody can dial a browser, and a browser keeps its connection.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, final

from sip_p2p.observe.text import printable
from sip_p2p.transport.listening.description_text import BACKLOG, Description
from sip_p2p.transport.listening.inherited import InheritedSocket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SharedSockets"]

_SECURE = ("tls", "sips")
_CLEAR = ("tcp", "sip")
_SHARED = (*_SECURE, *_CLEAR, "ws", "wss")
_KEYS = ("port", "interface", "backlog", "systemd")


@final
class _Place:
    """One description, and what of it says where."""

    __slots__ = ("inner", "outer", "text")

    def __init__(self, text: str) -> None:
        """
        :raises ValueError: it cannot be shared.
        """
        self.text = text
        self.outer: Description | None = None
        self.inner = Description.parse(text)
        if self.inner.prefix == "haproxy":
            self.outer, self.inner = self.inner, self.inner.within("proxies")
        if self.inner.prefix == "systemd":
            name = self.inner.values.get("name", self.inner.values.get("index", ""))
            self.inner = Description("tcp", [], {"systemd": name})
        if self.inner.prefix == "udp":
            raise ValueError(
                "UDP has no connections that stay with one worker: listen on TCP or TLS, or start several services"
            )
        if self.inner.prefix not in _SHARED:
            raise ValueError(f"{self.inner.prefix}: cannot be shared; {', '.join(_SHARED)}, systemd and haproxy can")

    @property
    def transport(self) -> str:
        """``TLS`` or ``TCP`` where others can dial it; empty for what only browsers do."""
        return "TLS" if self.inner.prefix in _SECURE else "TCP" if self.inner.prefix in _CLEAR else ""

    def where(self) -> tuple[int, str, int]:
        """Port, interface and backlog.

        :raises ValueError: one of them is none.
        """
        kept = {key: value for key, value in self.inner.values.items() if key in _KEYS}
        return Description(self.inner.prefix, self.inner.positional, kept).where(_KEYS)

    def passed(self, name: str) -> str:
        """The description for whoever gets its socket passed as *name*."""
        values = {key: value for key, value in self.inner.values.items() if key not in _KEYS} | {"systemd": name}
        inner = Description(self.inner.prefix, [], values)
        if self.outer is None:
            return inner.text()
        proxies = {key: value for key, value in self.outer.values.items() if key == "proxies"}
        return Description("haproxy", [inner.prefix], {**inner.values, **proxies}).text()

    def own(self, name: str) -> str:
        """The description of a worker's own port, whose socket is passed as *name*: nobody stands before that one."""
        values = {key: value for key, value in self.inner.values.items() if key not in _KEYS}
        return Description(self.inner.prefix, [], {**values, "systemd": name}).text()


@final
class SharedSockets:
    """What the workers of one parent listen on.

    :ivar workers: how many workers there are.
    """

    __slots__ = ("_first_port", "_own", "_places", "_shared", "workers")

    def __init__(self, descriptions: Iterable[str], workers: int, first_port: int | None = None) -> None:
        """
        :param first_port: the first of the workers' own ports, each worker having one more for each of TLS and TCP;
            None for any that are free.
        :raises ValueError: one description cannot be shared, or the ports do not suffice; the message says why.
        """
        self.workers = workers
        self._first_port = first_port
        self._places: list[_Place] = []
        self._shared: list[socket.socket] = []
        self._own: list[list[socket.socket]] = []
        for text in descriptions:
            try:
                place = _Place(text)
                if "systemd" not in place.inner.values:
                    place.where()
                self._places.append(place)
            except ValueError as error:
                raise ValueError(f"{printable(text)}: {error}") from None
        last = (first_port or 0) + workers * len(self._own_places()) - 1
        if last > 65535:
            raise ValueError(f"the last worker's own port would be {last}, and 65535 is the highest")

    def _own_places(self) -> list[_Place]:
        """The first description of each transport: a worker's own port is like it."""
        first: dict[str, _Place] = {}
        for place in self._places:
            if place.transport:
                first.setdefault(place.transport, place)
        return list(first.values())

    def bind(self, reactor: Any) -> None:
        """Open all of them.

        :param reactor: knows what systemd has passed to this process.
        :raises OSError: one cannot be bound; its text says which, and nothing is left open.
        :raises ValueError: there is no such socket of systemd's.
        """
        try:
            for place in self._places:
                self._shared.append(_opened(reactor, place))
            interfaces = {id(place): _host(each) for place, each in zip(self._places, self._shared, strict=True)}
            port = self._first_port
            for _ in range(self.workers):
                self._own.append([])
                for place in self._own_places():
                    self._own[-1].append(_bound(interfaces[id(place)], port or 0, _backlog(place)))
                    port = None if port is None else port + 1
        except (OSError, ValueError):
            self.close()
            raise

    def descriptors(self, number: int) -> list[int]:
        """What the worker *number* (from 1) is passed, in the order of the names in :meth:`names`."""
        return [each.fileno() for each in (*self._own[number - 1], *self._shared)]

    def names(self) -> list[str]:
        """What the sockets that a worker is passed are called."""
        own = [f"own-{index}" for index in range(len(self._own_places()))]
        return own + [f"shared-{index}" for index in range(len(self._places))]

    def descriptions(self) -> tuple[str, ...]:
        """Where a worker listens: its own ports first, which its Contact names."""
        own = [place.own(f"own-{index}") for index, place in enumerate(self._own_places())]
        return (*own, *(place.passed(f"shared-{index}") for index, place in enumerate(self._places)))

    def shared_addresses(self) -> list[str]:
        """Where all of them can be reached together, such as ``127.0.0.1:5061``."""
        return [_address(each) for each in self._shared]

    def own_addresses(self, number: int) -> list[str]:
        """Where the worker *number* (from 1) can be reached alone."""
        return [_address(each) for each in self._own[number - 1]]

    def close(self) -> None:
        """Let go of all of them; workers that have them keep them."""
        everything: Sequence[socket.socket] = [*self._shared, *(each for own in self._own for each in own)]
        self._shared, self._own = [], []
        for each in everything:
            each.close()


def _opened(reactor: Any, place: _Place) -> socket.socket:
    name = place.inner.values.get("systemd")
    if name is not None:
        return socket.socket(fileno=InheritedSocket(reactor, name).copy())
    port, interface, backlog = place.where()
    return _bound(interface or "0.0.0.0", port, backlog)


def _backlog(place: _Place) -> int:
    return BACKLOG if "systemd" in place.inner.values else place.where()[2]


def _bound(host: str, port: int, backlog: int) -> socket.socket:
    """A socket that listens on *host* and *port*.

    :raises OSError: it cannot.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind((host, port))
        made.listen(backlog)
    except OSError as error:
        made.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise OSError(error.errno, f"cannot listen on {where}: {error.strerror or error}") from None
    return made


def _host(found: socket.socket) -> str:
    return str(found.getsockname()[0])


def _address(found: socket.socket) -> str:
    host, port = found.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
