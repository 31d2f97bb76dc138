"""How a party is to be reached again: the Contact of its messages, and what of it stays the same over restarts (RFC
3261 section 8.1.1.8, RFC 5626 section 4.1, RFC 5627), and what it says of the party (RFC 3840).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast, final

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.party_options import parse_instance_id
from sip_p2p.sip.preferences import FeatureParameters
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.sip.flow import Flow
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Transport

__all__ = ["ContactAddress"]


@final
class ContactAddress:
    """Where exactly one party can be reached: an opaque user part, at a host and port of its connection manager.

    :ivar user: the user part; it tells this party from every other one behind the same manager.
    :ivar instance_id: ``urn:uuid:...``.
    :ivar routable: the GRUU that was given, or None.
    :ivar unnamed: a GRUU that does not tell whose it is, for messages that name nobody; None where there is none.
    :ivar features: what else the Contact says of the party.
    """

    __slots__ = ("_manager", "features", "instance_id", "routable", "unnamed", "user")

    def __init__(
        self, owner: SipUri, manager: RealTimeConnectionManager, instance_id: str | None, gruu: str | None
    ) -> None:
        """
        :raises ValueError: when the instance id or the GRUU is none.
        """
        self._manager = manager
        self.instance_id = parse_instance_id(instance_id)
        self.routable = None if gruu is None else to_sip_uri(gruu)
        self.unnamed: SipUri | None = None
        self.features = FeatureParameters()
        self.user = f"{owner.user or 'sip'}-{hashlib.sha256(self.instance_id.encode()).hexdigest()[:12]}"

    def uri(self, preferred: Transport) -> SipUri:
        """Where peers can reach the party while something listens; the host alone while nothing does.

        :param preferred: the transport, if it is listened on.
        """
        open_ones = [listener.transport for listener in self._manager.listeners]
        transport = preferred.value
        if preferred.is_secure and transport not in open_ones:
            transport = "TLS"
        if open_ones and transport not in open_ones:
            transport = open_ones[0]
        host, port = self._manager.contact_address(transport, ("", 0))
        where = f"{host}:{port}" if port else host
        return SipUri.parse(_with_transport(f"{self.user}@{where}", transport))

    def value(self, uri: object) -> str:
        """*uri* as a Contact value."""
        return f'<{uri}>;+sip.instance="<{self.instance_id}>"{self.features.text}'

    def value_on(self, flow: LiveFlow, *, for_sips: bool, names_nobody: bool = False) -> str:
        """The Contact for a message on *flow*: reachable over it, also when nothing listens (row C11).

        :param for_sips: whether the message is a request to a ``sips:`` URI, which wants one back (RFC 3261 section
            8.1.1.8).
        :param names_nobody: whether it is to say where we are, and neither who nor on which device (RFC 3323 section
            4.1.1.2). It leads back in the dialog that it is said in, and nowhere else, unless it is a GRUU.
        """
        if names_nobody:
            if self.unnamed is not None:
                # RFC 5627 section 4.4: in an anonymous request it is the temporary one.
                return f"<{_under(self.unnamed, for_sips)}>"
            return f"<{self._uri_on(flow, for_sips=for_sips, user='anonymous')}>"
        if self.routable is not None:
            return self.value(_under(self.routable, for_sips))
        uri = self._uri_on(flow, for_sips=for_sips)
        if not self._manager.is_listening:
            # RFC 5626 section 4.3: whoever wants to reach us has to use this very flow.
            uri += ";ob"
        return self.value(uri)

    def in_dialog(self, flow: Flow, secure: bool) -> str:
        """The Contact of a message of a dialog, as a :class:`~sip_p2p.sip.profile.Profile` wants it."""
        return self.value_on(cast("LiveFlow", flow), for_sips=secure)

    def in_anonymous_dialog(self, flow: Flow, secure: bool) -> str:
        """The same where it names nobody."""
        return self.value_on(cast("LiveFlow", flow), for_sips=secure, names_nobody=True)

    def binding_on(self, flow: LiveFlow, reg_id: int | None, *, for_sips: bool) -> str:
        """The Contact for a REGISTER on *flow*: where we are, and never a GRUU, which is what a registrar makes of it.

        :param reg_id: the number of the flow (RFC 5626 section 4.2.1); None for a registrar that is told of none.
        :param for_sips: whether the address of record is a ``sips:`` URI.
        """
        value = self.value(self._uri_on(flow, for_sips=for_sips))
        return value if reg_id is None else f"{value};reg-id={reg_id}"

    def _uri_on(self, flow: LiveFlow, *, for_sips: bool, user: str = "") -> str:
        manager = self._manager
        host, port = manager.contact_address(flow.transport, (flow.local_host, flow.local_port))
        where = f"{user or self.user}@{host}:{port}"
        return f"sips:{where}" if for_sips and flow.transport == "TLS" else _with_transport(where, flow.transport)


def _under(gruu: SipUri, for_sips: bool) -> SipUri:
    """*gruu* under the scheme that is asked for: whoever has one has it under both (RFC 5630 section 5.1.1.4)."""
    return gruu.replace(scheme="sips" if for_sips else "sip")


def _with_transport(where: str, transport: str) -> str:
    """The URI of *where* over *transport*: WebSocket with TLS has no name of its own there, but the scheme (RFC 7118
    sections 5.2 and 5.5)."""
    return f"sips:{where};transport=ws" if transport == "WSS" else f"sip:{where};transport={transport.lower()}"
