"""Trust as two parties meet it: pins, first use and purposes on their managers, revocation by name, late refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import (
    ConnectionFailure,
    Credential,
    FirstUse,
    KeyUsagePolicy,
    PinnedKeys,
    SipPeerToPeerEndpoint,
    TlsFailure,
    TlsFailureReason,
    TrustAnchors,
    TrustedBy,
    TrustPolicy,
    pin_of,
)
from sip_p2p.pki import CertificateAuthority
from tests.endpoint.test_server_managers import TlsTestCase, logged_warnings

Reason = TlsFailureReason


class TrustTestCase(TlsTestCase):
    """Parties whose certificates the tests choose."""

    def own(self, name: str, **options: Any) -> Credential:
        """A credential that nobody vouches for."""
        return Credential.from_pem(self.network.authority.issue(name, self_signed=True, **options).pem)

    def anchors(self) -> TrustAnchors:
        """The authority of the network."""
        return TrustAnchors.from_pem(self.network.authority.pem)

    def failures_of(self, party: SipPeerToPeerEndpoint) -> list[TlsFailure]:
        """What its manager tells of failed connections from now on."""
        told: list[TlsFailure] = []
        self.manager_of(party).tls_failed.subscribe(told.append)
        return told


class TrustGivenTests(TrustTestCase):
    """trust= and its friends."""

    def test_pins_without_any_authority(self) -> None:
        """Two parties with self-signed certificates that have exchanged their pins talk, and know by what. row:D12"""
        a, b = self.own("a.example"), self.own("b.example")
        bob = self.party("b.example", certificate=b, trust=PinnedKeys({"a.example": pin_of(a.certificate)}))
        alice = self.party(
            "a.example", listen=(), certificate=a, trust=PinnedKeys.parse(f"b.example={pin_of(b.certificate)}")
        )
        seen: list[Any] = []
        bob.message_received.subscribe(lambda event: seen.append(event.peer))
        self.assertEqual(self.send(alice, "b.example"), 200)
        peer = seen[0]
        self.assertEqual((peer.identity, peer.identities), ("a.example", ("a.example",)))
        self.assertEqual((peer.trusted_by, peer.certificate), (TrustedBy.PINNED_KEY, a.certificate))
        self.assertEqual((peer.tls_version, peer.flow.is_incoming), ("TLSv1.3", True))

    def test_pin_beside_an_authority(self) -> None:
        """Beside an authority a pin must match, and nobody else's pin matters; the failure says both keys."""
        bob = self.party("b.example")
        bobs = self.manager_of(bob).credential
        assert bobs is not None
        good = PinnedKeys({"b.example": pin_of(bobs.certificate)}, is_sufficient=False)
        alice = self.party("a.example", listen=(), trust=[self.anchors(), good])
        self.assertEqual(self.send(alice, "b.example"), 200)
        wrong = PinnedKeys({"b.example": pin_of(self.own("b.example").certificate)})
        carol = self.party("c.example", listen=(), trust=[self.anchors(), wrong])
        with self.assertRaises(TlsFailure) as caught:
            self.send(carol, "b.example")
        self.assertIs(caught.exception.reason, Reason.REMOTE_KEY_NOT_PINNED)
        self.assertIn(pin_of(bobs.certificate), str(caught.exception))

    def test_first_use(self) -> None:
        """A stranger is believed when we dial it, and again after a restart; with another key it is refused."""
        path = Path(self.mktemp())
        lines = logged_warnings(self)
        bob = self.party("b.example", certificate=self.own("b.example"))
        alice = self.party("a.example", listen=(), trust=FirstUse(path))
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.assertTrue(any("is believed, and remembered in" in line for line in lines))
        self.manager_of(alice).set_trust(FirstUse(path))
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.manager_of(bob).set_local_certificate(self.own("b.example"))
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.assertIs(self.refusal(alice, "b.example"), Reason.REMOTE_KEY_CHANGED)

    def test_purposes(self) -> None:
        """key_usage and required_eku hold for both directions, and a wrong one is an error at once. row:D13 fault:F4"""
        purposes = CertificateAuthority.issue.__kwdefaults__["key_purposes"][:2]
        plain = Credential.from_pem(self.network.authority.issue("a.example", key_purposes=purposes).pem)
        bob = self.party("b.example", required_eku={"sipDomain"})
        carol = self.party("c.example", key_usage=KeyUsagePolicy.SIP_DOMAIN_ONLY)
        told = self.failures_of(bob)
        alice = self.party("a.example", certificate=plain)
        for name in ("b.example", "c.example"):
            self.assertIs(self.refusal(alice, name), Reason.LOCAL_CERTIFICATE_REJECTED)
        for party in (bob, carol):
            self.assertIs(self.refusal(party, "a.example"), Reason.REMOTE_CERTIFICATE_INVALID_USAGE)
        self.assertEqual([failure.reason for failure in told[:1]], [Reason.REMOTE_CERTIFICATE_INVALID_USAGE])
        self.assertEqual(self.send(bob, "c.example"), 200)
        with self.assertRaises(ValueError):
            self.party("d.example", key_usage="lax")

    def test_address_literal(self) -> None:
        """A party that is dialled by its address must prove that address; its domain is not enough. fault:F12"""
        named = self.network.host("192.0.2.7", names=["b.example"])
        both = self.network.authority.issue("b.example", "192.0.2.8")
        self.network.host("192.0.2.8", names=["c.example"])
        self.party("b.example")
        self.party("c.example", certificate=Credential.from_pem(both.pem))
        alice = self.party("a.example", listen=())
        for address, reason in (("192.0.2.7", Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE), ("192.0.2.8", None)):
            if reason is None:
                answer = self.network.run_until(alice.send_message(f"sip:x@{address}", "x"))
                self.assertEqual(answer.status, 200)
            else:
                with self.assertRaises(TlsFailure) as caught:
                    self.network.run_until(alice.send_message(f"sip:x@{address}", "x"))
                self.assertIs(caught.exception.reason, reason)
        self.assertIsNotNone(named)


class OwnListenerTests(TrustTestCase):
    """A listener that believes others than its manager."""

    def test_only_for_its_callers(self) -> None:
        """Who has proved a name to a listener's own authority may ask there, and gets nothing of what is for that name:
        that is dialled, and proved to the manager (fault:G2, row:D8)."""
        customers = CertificateAuthority.create("customers")
        folder = Path(self.mktemp())
        certificate = self.network.authority.issue("b.example").write(folder)
        roots = folder / "customers.pem"
        roots.write_bytes(customers.pem)
        bob = self.party(
            "b.example",
            listen=["tls:port=5061", f"tls:port=5071:certKey={certificate}:trustRoots={roots}:allow=victim.example"],
        )
        victim = self.party("victim.example")
        forged = Credential.from_pem(customers.issue("victim.example", "evil.example").pem)
        evil = self.party("evil.example", listen=(), certificate=forged)
        stolen: list[Any] = []
        got: list[Any] = []
        evil.message_received.subscribe(stolen.append)
        victim.message_received.subscribe(got.append)
        self.assertEqual(self.send(evil, "b.example:5071"), 200)
        self.assertEqual(self.send(bob, "victim.example"), 200)
        self.assertEqual((len(stolen), len(got)), (0, 1))


class RevokeTests(TrustTestCase):
    """manager.revoke."""

    def setUp(self) -> None:
        """Bob, called by Alice and Carol, who allows everybody."""
        super().setUp()
        self.bob = self.party("b.example")
        self.alice = self.party("a.example")
        self.carol = self.party("c.example", listen=())
        self.manager = self.manager_of(self.bob)

    def test_live_flows_end(self) -> None:
        """The peer's connections are dropped, both ways, those of others stay; it is let in and dialled no more,
        until another policy allows it again (row:D10)."""
        self.assertEqual([self.send(party, "b.example") for party in (self.alice, self.carol)], [200, 200])
        self.assertEqual(self.manager.revoke("A.example"), 1)
        self.network.advance(1)
        flows = {flow.peer for flow in self.manager.pool}
        self.assertEqual(flows, {"c.example"})
        self.assertIs(self.refusal(self.alice, "b.example"), Reason.LOCAL_CERTIFICATE_REJECTED)
        self.assertIs(self.refusal(self.bob, "a.example"), Reason.CONNECTION_AUTHORIZATION_FAILED)
        self.assertEqual(self.send(self.carol, "b.example"), 200)
        self.manager.set_trust_policy(TrustPolicy.any_authenticated())
        self.network.advance(60)
        self.assertEqual(self.send(self.alice, "b.example"), 200)

    def test_requests_in_flight(self) -> None:
        """What is in flight to a revoked peer fails with the reason, and nothing of it is left (row:D10)."""
        self.network.link("b.example", "a.example", delay=1.0)
        self.assertEqual(self.send(self.bob, "a.example"), 200)
        sent = self.bob.send_message("sip:a.example@a.example", "x")
        self.network.advance(0.5)
        self.assertEqual(self.manager.revoke(".example"), 1)
        with self.assertRaises(TlsFailure) as caught:
            self.network.run_until(sent)
        self.assertIs(caught.exception.reason, Reason.CONNECTION_AUTHORIZATION_FAILED)
        self.assertIn("a.example was revoked", str(caught.exception))
        self.network.advance(60)
        self.assertEqual(self.manager.inventory()["flows"], 0)

    def test_handshake_under_way(self) -> None:
        """A peer that is revoked while it shakes hands gets no further, in either direction (row:D10)."""
        self.network.link("b.example", "a.example", delay=1.0)
        received: list[Any] = []
        self.bob.message_received.subscribe(received.append)
        calling = self.alice.send_message("sip:b.example@b.example", "x")
        dialling = self.bob.send_message("sip:a.example@a.example", "x")
        self.network.advance(2.5)
        self.manager.revoke("a.example")
        for sent in (calling, dialling):
            with self.assertRaises(ConnectionFailure):
                self.network.run_until(sent)
        self.assertEqual((received, len(list(self.manager.pool))), ([], 0))

    def test_listener_with_a_list_of_its_own(self) -> None:
        """A listener whose description lists the peer does not let it stay, either (row:D10)."""
        folder = Path(self.mktemp())
        certificate = self.network.authority.issue("d.example").write(folder)
        dave = self.party(
            "d.example", listen=f"tls:port=5061:certKey={certificate}:allow=a.example", key_usage="sip-domain-only"
        )
        self.assertEqual(self.send(self.alice, "d.example"), 200)
        self.assertEqual(self.manager_of(dave).revoke("a.example"), 1)
        self.network.advance(1)
        with self.assertRaises(ConnectionFailure):
            self.send(self.alice, "d.example")
        self.assertEqual(len(list(self.manager_of(dave).pool)), 0)
        purposes = CertificateAuthority.issue.__kwdefaults__["key_purposes"][:2]
        plain = Credential.from_pem(self.network.authority.issue("a.example", key_purposes=purposes).pem)
        told = self.failures_of(dave)
        self.manager_of(dave).set_trust_policy(TrustPolicy.any_authenticated())
        self.manager_of(self.alice).set_local_certificate(plain)
        self.network.advance(700)
        self.assertIs(self.refusal(self.alice, "d.example"), Reason.LOCAL_CERTIFICATE_REJECTED)
        self.assertEqual([failure.reason for failure in told], [Reason.REMOTE_CERTIFICATE_INVALID_USAGE])

    def test_what_is_no_name(self) -> None:
        """A name that is none is a ValueError, and changes nothing (row:D10)."""
        policy = self.manager.policy
        with self.assertRaises(ValueError):
            self.manager.revoke("*.example")
        self.assertEqual(self.manager.policy, policy)


class LateRefusalTests(TrustTestCase):
    """In TLS 1.3 a client is done before the server has judged it."""

    def test_requests_in_flight_fail_with_the_reason(self) -> None:
        """A refusal that comes after our handshake fails every request that was sent by then, as the refusal of our
        certificate that it is, with the alert, and the loss of the flow names them (fault:F11, row:D18)."""
        self.party("b.example", allow=["c.example"])
        alice = self.party("a.example", listen=())
        manager = self.manager_of(alice)
        told: list[Any] = []
        manager.flow_opened.subscribe(lambda event: told.append("opened"))
        manager.flow_lost.subscribe(lambda event: told.append((type(event.reason), len(event.transactions))))
        sent: list[Deferred[Any]] = [alice.send_message("sip:b.example@b.example", str(n)) for n in range(3)]
        for each in sent:
            with self.assertRaises(TlsFailure) as caught:
                self.network.run_until(each)
            self.assertIs(caught.exception.reason, Reason.LOCAL_CERTIFICATE_REJECTED)
            self.assertEqual(caught.exception.alert, "internal_error")
        self.assertEqual(told, ["opened", (TlsFailure, 3)])
        self.network.advance(60)
        left = {what: count for what, count in manager.inventory().items() if count}
        # That the server refused us is remembered for a while.
        left.pop("resting", None)
        self.assertEqual(left, {})

    def test_the_alert_tells(self) -> None:
        """Where the refusing side's OpenSSL has a reason of its own, the failure names its alert (fault:F11)."""
        self.party("b.example")
        alice = self.party("a.example", listen=(), certificate=self.own("a.example"))
        with self.assertRaises(TlsFailure) as caught:
            self.send(alice, "b.example")
        self.assertEqual((caught.exception.reason, caught.exception.alert),
                         (Reason.LOCAL_CERTIFICATE_REJECTED, "unknown_ca"))  # fmt: skip
