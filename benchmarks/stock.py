"""Twisted's own TLS protocol in the place of ours, to measure ours beside it.

What :class:`~twisted.protocols.tls.TLSMemoryBIOFactory` uses where nobody says otherwise gathers small writes until the
end of the turn. Verification of the peer, and that nothing is sent before it, are as with ours.
"""

from __future__ import annotations

from typing import final

from twisted.protocols.tls import BufferingTLSTransport

from sip_p2p.transport.tls.protocol import HoldingTlsProtocol

__all__ = ["StockTlsProtocol"]


@final
class StockTlsProtocol(BufferingTLSTransport, HoldingTlsProtocol):
    """Twisted's default, which gathers what is written, over what holds it back until the peer is verified."""
