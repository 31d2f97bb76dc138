"""Who is at the other end, as an application is told."""

from __future__ import annotations

from sip_p2p import Peer, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.endpoint.peer import holder_of
from sip_p2p.sip.flow import Flow
from sip_p2p.testing import Network
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from tests.support import SynchronousTestCase


class PeerTests(SynchronousTestCase):
    """Rows D12 and E12, as far as a message needs to know."""

    def setUp(self) -> None:
        """A network without anybody."""
        self.network = Network(delay=0.01)
        self.addCleanup(self.network.finish)

    def peer_of(self, sender: SipPeerToPeerEndpoint, receiver: SipPeerToPeerEndpoint, target: str) -> Peer:
        """The peer that *receiver* is told of when *sender* sends."""
        seen: list[Peer] = []
        receiver.handle("PING", lambda event: seen.append(event.peer))
        self.network.run_until(sender.request("PING", target))
        return seen[0]

    def test_who_dialled(self) -> None:
        """Of who dialled us TLS tells every identity, the one that was let in, the certificate and both addresses
        (row:D12, row:E12)."""
        issued = self.network.authority.issue("a.example", "sub.a.example")
        alice = self.network.party("sip:alice@a.example", manager={"certificate": Credential.from_pem(issued.pem)})
        bob = self.network.party("sip:bob@b.example", manager={"allow": ["sub.a.example"]})
        peer = self.peer_of(alice, bob, "sip:bob@b.example")
        self.assertEqual((peer.identity, peer.identities), ("sub.a.example", ("a.example", "sub.a.example")))
        self.assertEqual((peer.is_verified, peer.transport, peer.tls_version), (True, "TLS", "TLSv1.3"))
        self.assertEqual(peer.certificate, issued.certificate)
        self.assertEqual(peer.local_address, (self.network.addresses_of("b.example")[0], 5061))
        self.assertEqual(peer.address[0], self.network.addresses_of("a.example")[0])
        self.assertTrue(peer.is_incoming)
        self.assertIn("sub.a.example", repr(peer))

    def test_whom_we_dialled(self) -> None:
        """Of whom we dialled it tells the name that we asked for (row:D12)."""
        alice = self.network.party("sip:alice@a.example", listen=())
        bob = self.network.party("sip:bob@b.example")
        contacts = []
        bob.handle("LOOK", lambda event: contacts.append(event.request.headers["Contact"]))
        self.network.run_until(alice.request("LOOK", "sip:bob@b.example"))
        peer = self.peer_of(bob, alice, contacts[0].partition(">")[0].strip("<"))
        self.assertEqual((peer.identity, peer.is_incoming, peer.address[1]), ("b.example", False, 5061))

    def test_clear_text(self) -> None:
        """On UDP and TCP there is an address and nothing that was proved (row:E12)."""
        for transport in ("udp", "tcp"):
            alice = self.network.party(f"sip:alice@{transport}a.example", default_transport=transport)
            bob = self.network.party(f"sip:bob@{transport}b.example", default_transport=transport)
            peer = self.peer_of(alice, bob, f"sip:bob@{transport}b.example")
            self.assertEqual((peer.identity, peer.identities, peer.is_verified), ("", (), False))
            self.assertEqual((peer.certificate, peer.tls_version), (None, ""))
            self.assertEqual(peer.transport, transport.upper())
            self.assertIn("unverified", repr(peer))

    def test_tls_without_a_certificate(self) -> None:
        """Who shows no certificate, where that is allowed, is nobody in particular (row:D4)."""
        bob = self.network.party("sip:bob@b.example", manager={"need_mutual_tls": False})
        trust = TrustAnchors.from_pem(self.network.authority.pem)
        manager = RealTimeServerTlsConnectionManager(self.network.host(), trust=trust, need_mutual_tls=False)
        somebody = SipPeerToPeerEndpoint("sip:somebody@x.example", manager)
        peer = self.peer_of(somebody, bob, "sip:bob@b.example")
        self.assertEqual((peer.identity, peer.is_verified, peer.certificate), ("", False, None))
        self.assertEqual((peer.transport, peer.tls_version), ("TLS", "TLSv1.3"))
        self.network.run_until(manager.terminate())

    def test_after_the_end(self) -> None:
        """A peer can still be asked who it was when its flow has gone (row:E12)."""
        alice, bob = self.network.party("sip:alice@a.example"), self.network.party("sip:bob@b.example")
        peer = self.peer_of(alice, bob, "sip:bob@b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.assertFalse(peer.flow.is_open)
        self.assertEqual((peer.identity, peer.is_verified, peer.transport), ("a.example", True, "TLS"))

    def test_values_alone(self) -> None:
        """A peer is a view of its flow and holds nothing else."""
        flow = LiveFlow("TCP", True, "us:5060", ("192.0.2.1", 5060), ("192.0.2.2", 40000), is_incoming=True)
        peer = Peer(flow)
        self.assertEqual((peer.address, peer.local_address), (("192.0.2.2", 40000), ("192.0.2.1", 5060)))
        self.assertEqual(Peer.__slots__, ("flow",))


class HolderTests(SynchronousTestCase):
    """To whose account something is put."""

    def test_holders(self) -> None:
        """Who has proved a name goes by it, everybody else by the address."""
        self.assertEqual(holder_of(Flow("TLS", True, "here.example", "192.0.2.9", 5061, "a.example")), "a.example")
        self.assertEqual(holder_of(Flow("UDP", False, "here.example", "192.0.2.9", 5060)), "192.0.2.9")
