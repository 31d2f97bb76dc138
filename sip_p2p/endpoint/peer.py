"""Who is at the other end of a flow, for applications."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.endpoint.from_policy import proves

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.uri import OpaqueUri, SipUri, TelUri
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.trust.stack import TrustedBy

__all__ = ["Peer", "holder_of"]


def holder_of(flow: Flow) -> str:
    """To whose account what comes by *flow* is put, where a bound is for one peer: who has proved a name goes by it,
    everybody else by the address."""
    return flow.peer or flow.remote_host


@final
class Peer:
    """The party behind a flow, as far as it was verified (rows D12, E12).

    :ivar flow: the flow.
    """

    __slots__ = ("flow",)

    def __init__(self, flow: LiveFlow) -> None:
        self.flow = flow

    @property
    def identity(self) -> str:
        """The identity by which the peer was accepted, or for which it was dialled; empty where nothing was proved."""
        verified = self.flow.verified
        return "" if verified is None else verified.matched

    @property
    def identities(self) -> tuple[str, ...]:
        """Every identity that the peer's certificate proves."""
        verified = self.flow.verified
        if verified is None or verified.identities is None:
            return ()
        return tuple(verified.identities.identities)

    def proves(self, uri: SipUri | TelUri | OpaqueUri) -> bool:
        """Whether the peer has proved the domain of *uri*, such as that of a From (RFC 5922 section 7.2): what a URI
        says is a claim otherwise."""
        verified = self.flow.verified
        return verified is not None and verified.identities is not None and proves(verified.identities, uri)

    @property
    def certificate(self) -> Certificate | None:
        """The peer's certificate."""
        verified = self.flow.verified
        return None if verified is None else verified.certificate

    @property
    def trusted_by(self) -> TrustedBy | None:
        """By what it is known: an authority, a pinned key, or first use; None where nothing was proved."""
        verified = self.flow.verified
        return None if verified is None else verified.trusted_by

    @property
    def tls_version(self) -> str:
        """Such as ``TLSv1.3``; empty on clear text."""
        verified = self.flow.verified
        return "" if verified is None else verified.tls_version

    @property
    def is_verified(self) -> bool:
        """Whether TLS proved who it is."""
        return bool(self.identities)

    @property
    def transport(self) -> str:
        """``TLS``, ``TCP`` or ``UDP``."""
        return self.flow.transport

    @property
    def address(self) -> tuple[str, int]:
        """Its socket address."""
        return (self.flow.remote_host, self.flow.remote_port)

    @property
    def local_address(self) -> tuple[str, int]:
        """Our own socket address on the flow."""
        return (self.flow.local_host, self.flow.local_port)

    @property
    def is_incoming(self) -> bool:
        """Whether the peer opened the flow."""
        return self.flow.is_incoming

    @property
    def is_throttled(self) -> bool:
        """Whether nothing is read from it at the moment, because it takes nothing or waits for too many answers (row
        E19)."""
        return self.flow.is_throttled

    def __repr__(self) -> str:
        who = self.identity or "unverified"
        return f"<Peer {who} at {self.flow.remote_host}:{self.flow.remote_port} over {self.transport}>"
