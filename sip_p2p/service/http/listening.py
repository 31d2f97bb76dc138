r"""``--http``: where the API listens, and why some places are refused.

==========================================  ===========================================================================
written                                     means
==========================================  ===========================================================================
``8080``, ``127.0.0.1:8080``, ``[::1]:80``  TCP on loopback, or on the address that is named
``tcp:8080:interface=127.0.0.1``            the same as Twisted writes it; ``tcp:127.0.0.1:8080`` does as well
``unix:/run/sip-p2p/control.sock:mode=600``  a Unix socket; 600 without ``mode``
``tls:port=8443:interface=...:certKey=...``  TLS, with the keys of ``--listen tls:``; certificate and authorities are
                                            the party's where it names none
``systemd:name=control``                    a socket that systemd has opened
==========================================  ===========================================================================

Whoever reaches the API steers the service, so a place that others can reach needs a token or client certificates, and
a token needs TLS on its way there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Any, final

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, execute

from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.service.http.access import is_loopback
from sip_p2p.transport.listening.description_text import Description, number
from sip_p2p.transport.listening.endpoints import TcpSource
from sip_p2p.transport.listening.inherited import InheritedSocket
from sip_p2p.transport.listening.tls_layer import TLS_KEYS, tls_layer
from sip_p2p.transport.tls.settings import HTTP_PROTOCOL, TlsSettings
from sip_p2p.transport.trust.identity import TrustPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IListeningPort

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager

__all__ = ["HANDSHAKE_TIMEOUT", "Place", "listen_at"]

HANDSHAKE_TIMEOUT = 5.0
"""Seconds from a connection to the end of its TLS handshake; then it is closed."""

_BACKLOG = 64
_TCP_KEYS = ("port", "interface", "backlog")
_LONGEST_PATH = 107
_UNIX_MODE = 0o600


@final
class Place:
    """Somewhere to listen, checked as far as that needs no file.

    :ivar text: as it was written.
    :ivar kind: ``tcp``, ``tls``, ``unix`` or ``systemd``.
    :ivar host: the address; empty for all of them.
    :ivar path: of a Unix socket.
    :ivar mode: its permissions.
    """

    __slots__ = ("host", "kind", "mode", "parsed", "path", "port", "text")

    def __init__(self, text: str, kind: str, parsed: Description) -> None:
        self.text = text
        self.kind = kind
        self.parsed = parsed
        self.host = ""
        self.port = 0
        self.path = ""
        self.mode = _UNIX_MODE

    @classmethod
    def parse(cls, text: str) -> Place:
        """What *text* means.

        :raises ValueError: it means nothing; one line.
        """
        parsed = Description.parse(_written_out(text))
        place = cls(text, parsed.prefix, parsed)
        if parsed.prefix == "tcp":
            if len(parsed.positional) == 2 and "interface" not in parsed.values:
                parsed.values["interface"] = parsed.positional.pop(0)
            place.port, place.host, _ = parsed.where(_TCP_KEYS)
        elif parsed.prefix == "tls":
            place.port, place.host, _ = parsed.where((*_TCP_KEYS, *TLS_KEYS))
        elif parsed.prefix == "unix":
            place._unix()
        elif parsed.prefix == "systemd":
            parsed.check_keys(("domain", "index", "name"))
            if parsed.positional:
                parsed.values["name"] = parsed.positional.pop(0)
            given = [value for key, value in parsed.values.items() if key != "domain"]
            if parsed.positional or len(given) != 1 or not given[0]:
                raise ValueError("systemd: wants index= or name=, and one of them only")
        else:
            raise ValueError(f"{parsed.prefix}: is none of tcp, tls, unix and systemd")
        return place

    def _unix(self) -> None:
        parsed = self.parsed
        parsed.check_keys(("mode",))
        if len(parsed.positional) != 1 or not parsed.positional[0].startswith("/"):
            raise ValueError("unix: wants one path from the root, such as unix:/run/sip-p2p/control.sock")
        self.path = parsed.positional[0]
        if len(self.path.encode()) > _LONGEST_PATH or "\0" in self.path:
            raise ValueError(f"the path of a Unix socket has at most {_LONGEST_PATH} octets")
        mode = parsed.values.get("mode", "600")
        if not (3 <= len(mode) <= 4 and all("0" <= digit <= "7" for digit in mode) and int(mode, 8) <= 0o777):
            raise ValueError(f"mode={mode} is not three octal digits, such as 660")
        self.mode = int(mode, 8)

    @property
    def is_tls(self) -> bool:
        """Whether TLS is spoken there."""
        return self.kind == "tls"

    @property
    def allows(self) -> bool:
        """Whether its description names by itself who may connect."""
        return "allow" in self.parsed.values

    def is_mutual(self, allow: Sequence[str]) -> bool:
        """Whether who connects has to show a certificate, where *allow* are the names of ``--http-allow``."""
        if not self.is_tls:
            return False
        value = self.parsed.values.get("mutual", "yes" if allow or self.allows else "no")
        if value not in ("yes", "no"):
            raise ValueError(f"mutual={value} is neither yes nor no")
        return value == "yes"

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches it, and of a Unix socket only its owner and group."""
        if self.kind == "unix":
            return not self.mode & 0o007
        return self.is_loopback

    @property
    def is_loopback(self) -> bool:
        """Whether it is a port that only this machine reaches, the browsers on it among others."""
        return self.kind in ("tcp", "tls") and is_loopback(self.host)

    def check(self, has_token: bool, allow: Sequence[str], may_be_clear: bool) -> None:
        """That nobody steers the service who was not meant to.

        :raises ValueError: what is missing; one line.
        """
        is_mutual = self.is_mutual(allow)
        if is_mutual and not allow and not self.allows:
            raise ValueError(
                "whose certificates may steer the service? Name them with --http-allow: those whom --allow lets send "
                "you requests are not meant by that"
            )
        if self.is_private or self.kind == "systemd":
            return
        if not has_token and not is_mutual:
            where = "other users" if self.kind == "unix" else "other machines"
            raise ValueError(
                f"{where} reach it, so it needs --http-token-file, or tls: with --http-allow; without a host it is "
                "only for this machine"
            )
        if self.kind == "tcp" and not may_be_clear:
            raise ValueError(
                "the token would go over the network in clear text: use tls:, or say --http-allow-clear-text where "
                "something in front of it does TLS"
            )

    def __repr__(self) -> str:
        return f"<Place {self.text}>"


def _written_out(text: str) -> str:
    """*text* with its prefix."""
    if text.isascii() and text.isdigit():
        return f"tcp:{text}:interface=127.0.0.1"
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit():
        bare = host.removeprefix("[").removesuffix("]")
        if host == "localhost":
            bare = "127.0.0.1"
        if bare.replace(".", "").isdigit() or host.startswith("["):
            quoted = bare.replace(":", "\\:")
            return f"tcp:{port}:interface={quoted}"
    return text


def listen_at(
    place: Place, reactor: Any, factory: Any, manager: RealTimeConnectionManager, allow: Sequence[str]
) -> Deferred[IListeningPort]:
    """Listen there.

    :returns: the port. Fails with ``CannotListenError``.
    :raises ValueError: a file of its description cannot be used; or a socket of systemd's is not one.
    """
    if place.kind == "unix":
        _remove_remains(place.path)
        return execute(reactor.listenUNIX, place.path, factory, backlog=_BACKLOG, mode=place.mode, wantPID=True)
    if place.kind == "systemd":
        values = place.parsed.values
        return InheritedSocket(reactor, values.get("name", values.get("index", ""))).listen(factory)
    if place.is_tls:
        factory = _secured(place, reactor, factory, manager, allow)
    backlog = number("backlog", place.parsed.values.get("backlog", str(_BACKLOG)), 1)
    return TcpSource(reactor, place.port, place.host, backlog).listen(factory)


def _remove_remains(path: str) -> None:
    """Remove the socket at *path* and its lock where nobody listens any more: the process was killed.

    Twisted asks whether a process with the number in the lock is alive, and after a restart of the machine, or in a
    container, another one, or even this one, may have that number.

    :raises ValueError: what is there is no socket.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ValueError(f"{path} is there already, and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            return
    for each in (f"{path}.lock", path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(each)


def _secured(place: Place, reactor: Any, factory: Any, manager: RealTimeConnectionManager, allow: Sequence[str]) -> Any:
    """TLS in front of *factory*: with the party's certificate and authorities, and never with the party's --allow."""
    base = None
    is_mutual = place.is_mutual(allow)
    if isinstance(manager, RealTimeServerTlsConnectionManager):
        policy = TrustPolicy.parse(allow) if allow else TrustPolicy()
        base = TlsSettings(
            manager.credential,
            manager.trust,
            policy,
            need_mutual_tls=is_mutual,
            revocation=manager.revocation,
        )
        # Its own files are looked at together with the party's, which also tells when a certificate runs out.
        base.reloader = manager.tls_settings().reloader
    parsed = Description(place.parsed.prefix, list(place.parsed.positional), dict(place.parsed.values))
    parsed.values.setdefault("mutual", "yes" if is_mutual else "no")
    if base is None and allow:
        parsed.values.setdefault("allow", ",".join(allow))
    layer = tls_layer(reactor, place.text, parsed, base, HANDSHAKE_TIMEOUT, HTTP_PROTOCOL)
    secured = layer(factory)
    if base is None or not isinstance(manager, RealTimeServerTlsConnectionManager):
        return secured
    return _Following(secured, base, manager)


class _Following:
    """Has each connection judged, and shown the certificate, as the party has it by then."""

    def __init__(self, secured: Any, base: TlsSettings, manager: RealTimeServerTlsConnectionManager) -> None:
        self._secured = secured
        self._base = base
        self._manager = manager
        self.doStart = secured.doStart
        self.doStop = secured.doStop

    def buildProtocol(self, addr: Any) -> Any:
        """The protocol for a connection."""
        manager, base = self._manager, self._base
        theirs = (manager.credential, manager.trust, manager.revocation)
        now = (base.credential, base.trust, base.revocation)
        if any(one is not other for one, other in zip(theirs, now, strict=True)):
            base.replace(credential=manager.credential, anchors=manager.trust, revocation=manager.revocation)
        return self._secured.buildProtocol(addr)


def is_private_port(port: Any) -> bool:
    """Whether only this machine reaches *port*, by the address that it really has."""
    host = port.getHost()
    return isinstance(host, UNIXAddress) or is_loopback(host.host)
