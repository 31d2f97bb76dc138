"""TLS on a listening port: how the keys of a description and the manager's settings go together."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.protocols import wire
from zope.interface.verify import verifyObject

from sip_p2p.pki import CertificateAuthority
from sip_p2p.testing import Network
from sip_p2p.transport.listening.description_text import Description
from sip_p2p.transport.listening.tls_layer import TLS_KEYS, tls_layer
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from tests import support

AUTHORITY = CertificateAuthority.create()
ANCHORS = TrustAnchors.from_pem(AUTHORITY.pem)


class EndpointTests(support.SynchronousTestCase):
    """What a TLS endpoint needs."""

    def test_settings(self) -> None:
        """The manager's settings are enough; without them the certificate and the authorities are missing. row:C12"""
        host = Network().host("10.0.0.2")
        settings = TlsSettings(Credential.from_pem(AUTHORITY.issue("b.example").pem), ANCHORS)
        text = "tls:5061"
        layer = tls_layer(host, text, Description.parse(text), settings, 5.0)
        self.assertTrue(verifyObject(IProtocolFactory, layer(Factory.forProtocol(wire.Echo))))
        self.assertRaises(ValueError, tls_layer, host, text, Description.parse(text), None, 5.0)
        self.assertIn("certKey", TLS_KEYS)
