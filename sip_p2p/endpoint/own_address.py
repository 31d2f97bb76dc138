"""Under which host and port the messages of a connection manager name it, in Via and Contact (rows A2, E28, fault
J8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.transport.trust.identity import normalise_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OwnAddress"]


@final
class OwnAddress:
    """What one connection manager calls itself: the advertised host, else the name that its own certificate proves,
    else the address of the flow."""

    __slots__ = ("_advertise", "_certified_host", "_last_sent_by", "_port_of")

    def __init__(
        self,
        advertise: str | None,
        port_of: Callable[[str], int | None],
        certified_host: Callable[[str], str],
    ) -> None:
        """
        :param port_of: the port that is listened on over a transport, if any.
        :param certified_host: the name that our certificate proves where a transport shows it, or the empty string.
        :raises ValueError: for an advertised host that is neither a host name nor an address.
        """
        self._advertise = None if advertise is None else normalise_name(advertise)
        self._port_of = port_of
        self._certified_host = certified_host
        self._last_sent_by = ""

    @property
    def advertise(self) -> str | None:
        """The host that is always named; None lets the flow and the certificate decide."""
        return self._advertise

    @advertise.setter
    def advertise(self, host: str | None) -> None:
        self._advertise = None if host is None else normalise_name(host)

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        """What our Via names."""
        host, port = self.on(transport, local)
        named = f"{host}:{port}" if port else host
        # The flows of a listener name the same place: one string for all of them.
        if named != self._last_sent_by:
            self._last_sent_by = named
        return self._last_sent_by

    def on(self, transport: str, local: tuple[str, int]) -> tuple[str, int]:
        """The host (IPv6 in brackets) and port under which we can be reached over *transport*.

        :param local: our own address on the flow.
        """
        port = self._port_of(transport) or local[1]
        host = self._advertise or self._certified_host(transport) or local[0]
        if host in ("0.0.0.0", "::", ""):
            host = "localhost"
        return (f"[{host}]" if ":" in host and not host.startswith("[") else host), port
