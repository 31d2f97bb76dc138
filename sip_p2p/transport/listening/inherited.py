"""Listening sockets that were opened by whoever started us: systemd's socket activation (``systemd.socket(5)``).

Such a socket stays open between two starts, so that no peer is refused while the service restarts, and may have a port
for which this process has no right. It comes as a descriptor, by number or by name.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import serverFromString

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort

__all__ = ["InheritedSocket"]


@final
class InheritedSocket:
    """A socket that listens already.

    :ivar name: its number, counted from 0, or its name.
    """

    __slots__ = ("_descriptor", "_family", "_reactor", "name")

    def __init__(self, reactor: Any, name: str) -> None:
        """
        :raises ValueError: there is no such socket, or it is not a listening stream socket.
        """
        self._reactor = reactor
        self.name = name
        kind = "index" if name.isascii() and name.isdigit() else "name"
        quoted = name.replace("\\", "\\\\").replace(":", "\\:").replace("=", "\\=")
        try:
            # Twisted takes the variables of the environment away when its plugins are loaded: it alone surely knows.
            # Which family it is told does not matter; the socket knows better.
            found: Any = serverFromString(reactor, f"systemd:domain=INET:{kind}={quoted}")
        except (IndexError, KeyError):
            raise ValueError(
                f"no socket {name!r} was passed to this process: see LISTEN_FDS and LISTEN_FDNAMES in systemd.socket(5)"
            ) from None
        self._descriptor = int(found.fileno)
        try:
            # A copy: a socket object closes its descriptor when it goes.
            with socket.socket(fileno=os.dup(self._descriptor)) as copy:
                self._family = copy.family
                listens = copy.type == socket.SOCK_STREAM and copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise ValueError(f"the descriptor that was passed as {name!r} is no socket: {error}") from error
        if not listens:
            raise ValueError(f"the socket {name!r} does not listen for streams: set ListenStream= in its unit")

    def copy(self) -> int:
        """Another descriptor of the same socket, for whoever passes it on; it is the caller's to close."""
        return os.dup(self._descriptor)

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Accept on it. It stays open when that ends: it is not ours, and peers wait in it for the next one."""
        return execute(self._adopt, factory)

    def _adopt(self, factory: Any) -> Any:
        os.set_blocking(self._descriptor, False)
        return self._reactor.adoptStreamPort(self._descriptor, self._family, factory)
