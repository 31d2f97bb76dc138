"""Certificates that change, and that run out, while a connection manager has traffic (faults F9 and F13)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p import ConnectionFailure, Credential, Limits, Revocation
from sip_p2p.pki import CertificateAuthority
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.transport.tls.expiry import CertificateExpiring


class RenewalTestCase(SynchronousTestCase):
    """Two parties whose certificates, authorities and lists are files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.network = Network()
        self.addCleanup(self.network.finish)
        self.authority = CertificateAuthority.create("authority", self.folder)
        self.list = self.folder / "ca.crl"
        self.revoke()
        for name in ("a.example", "b.example"):
            self.authority.issue(name).write(self.folder)

    def revoke(self, *certificates: Any) -> None:
        """Write the list anew."""
        self.list.write_bytes(self.authority.revocation_list(certificates).public_bytes(Encoding.PEM))

    def party(self, name: str, **options: Any) -> Any:
        """A party that reads everything from files."""
        manager = {
            "certificate": self.folder / f"{name}.pem",
            "trust": self.folder / "ca.pem",
            "allow": [".example"],
            "revocation": Revocation.from_files(self.list, mode="hard"),
        }
        party = self.network.party(f"sip:x@{name}", manager=manager | options)
        party.message_received.subscribe(lambda event: None)
        return party

    def renew(self, name: str, **options: Any) -> Any:
        """Give a party another certificate, in its file."""
        issued = self.authority.issue(name, **options)
        issued.write(self.folder, replace=True)
        return issued

    def send(self, sender: Any, name: str) -> int:
        """The status that a message gets."""
        status: int = self.network.run_until(sender.send_message(f"sip:x@{name}", "x")).status
        return status


class UnderTrafficTests(RenewalTestCase):
    """Renewal while messages go both ways."""

    def test_nothing_is_lost(self) -> None:
        """While both parties renew three times, every message is answered and no connection is closed. fault:F13"""
        alice, bob = self.party("a.example"), self.party("b.example")
        statuses: list[int] = []
        lost: list[object] = []
        for party in (alice, bob):
            party.connection_manager.flow_lost.subscribe(lost.append)
        for round_ in range(4):
            for sender, name in ((alice, "b.example"), (bob, "a.example")):
                for _ in range(5):
                    sending = sender.send_message(f"sip:x@{name}", "x")
                    sending.addCallbacks(lambda response: statuses.append(response.status), lost.append)
            if round_ < 3:
                renewed = [self.renew(name) for name in ("a.example", "b.example")]
            self.network.advance(13)
        self.assertEqual((statuses, lost), ([200] * 40, []))
        for party, issued in zip((alice, bob), renewed, strict=True):
            manager = party.connection_manager
            self.assertEqual(manager.credential.certificate, issued.certificate)
            self.assertEqual(manager.metrics()["certificate_reloads"], 3)
            failures = {name: count for name, count in manager.metrics().items() if name.startswith("tls_failures_")}
            self.assertFalse(any(failures.values()), failures)

    def test_told(self) -> None:
        """When told to, a manager reads everything at once, and says what has changed. fault:F13 row:D2"""
        alice, bob = self.party("a.example"), self.party("b.example")
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.assertEqual(bob.connection_manager.reload(), [])
        renewed = self.renew("b.example")
        (change,) = bob.connection_manager.reload()
        self.assertIn("b.example", change)
        self.assertEqual(bob.connection_manager.credential.certificate, renewed.certificate)
        self.assertEqual(self.send(alice, "b.example"), 200)

    def test_half_written(self) -> None:
        """A file that is cut off or gone leaves the old certificate in use, and is one of the troubles. fault:F13"""
        alice, bob = self.party("a.example"), self.party("b.example")
        before = bob.connection_manager.credential
        (self.folder / "b.example.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB")
        self.network.advance(20)
        self.assertIs(bob.connection_manager.credential, before)
        self.assertEqual(bob.connection_manager.metrics()["certificate_troubles"], 1)
        self.assertEqual(self.send(alice, "b.example"), 200)

    def test_revoked_while_it_runs(self) -> None:
        """Who comes to be on the list is refused from then on, and what it had open lives on. fault:F7 row:D17"""
        limits = Limits(idle_timeout=60)
        alice, bob = (self.party(name, limits=limits) for name in ("a.example", "b.example"))
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.revoke(alice.connection_manager.credential.certificate)
        self.network.advance(13)
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.network.advance(100)
        refused = alice.send_message("sip:x@b.example", "x")
        self.network.advance(5)
        self.assertIsInstance(self.failureResultOf(refused).value, ConnectionFailure)
        self.assertGreater(bob.connection_manager.metrics()["tls_failures_remote_certificate_revoked"], 0)
        self.renew("c.example")
        self.assertEqual(self.send(self.party("c.example"), "b.example"), 200)

    def test_sessions(self) -> None:
        """A connection that is made anew resumes; after a change on either side it does not. fault:F9"""
        limits = Limits(idle_timeout=5)
        alice, bob = (self.party(name, limits=limits) for name in ("a.example", "b.example"))
        counts = alice.connection_manager.metrics

        def connect_anew() -> tuple[int, int]:
            self.assertEqual(self.send(alice, "b.example"), 200)
            self.network.advance(30)
            return counts()["tls_handshakes"], counts()["tls_resumptions"]

        self.assertEqual(connect_anew(), (1, 0))
        self.assertEqual(connect_anew(), (1, 1))
        bob.connection_manager.set_trust_policy([".example", "other.test"])
        self.assertEqual(connect_anew(), (2, 1))
        self.assertEqual(connect_anew(), (2, 2))
        self.renew("a.example")
        self.network.advance(13)
        self.assertEqual(connect_anew(), (3, 2))
        self.revoke(self.authority.issue("z.example").certificate)
        self.network.advance(13)
        self.assertEqual(connect_anew(), (4, 2))
        self.assertEqual(connect_anew(), (4, 3))


class ExpiryTests(RenewalTestCase):
    """Certificates that run out."""

    def test_notice(self) -> None:
        """A certificate that will not last is told of once, and how many days are left is a figure. row:D2 row:M10"""
        self.renew("b.example", days=5.5)
        bob = self.party("b.example")
        told: list[CertificateExpiring] = []
        bob.connection_manager.certificate_expiring.subscribe(told.append)
        self.network.advance(3600)
        self.assertEqual([int(each.days_left) for each in told], [5])
        self.assertIn("renew it", str(told[0]))
        metrics = bob.connection_manager.metrics()
        self.assertEqual(metrics["certificate_days_left"], 5)
        self.assertGreater(metrics["trust_days_left"], 3000)
        self.renew("b.example", days=0.5)
        self.network.advance(3600)
        self.assertEqual([int(each.days_left) for each in told], [5, 0])

    def test_of_a_listener(self) -> None:
        """A certificate that only a listener shows is listed, counted and told of as any other. row:D2 row:M10"""
        self.authority.issue("c.example", days=5.5).write(self.folder)
        manager = self.party("b.example").connection_manager
        told: list[CertificateExpiring] = []
        manager.certificate_expiring.subscribe(told.append)
        before = list(manager.certificates())
        text = f"tls:port=5071:certKey={self.folder / 'c.example.pem'}:trustRoots={self.folder / 'ca.pem'}"
        self.network.run_until(manager.start_listening(text))
        more = [name for name, _ in manager.certificates()][len(before) :]
        self.assertEqual([name.partition(" (")[0] for name in more], [f"our certificate, certKey of {text}"])
        self.assertEqual(manager.metrics()["certificate_days_left_c.example"], 5)
        self.network.advance(3600)
        self.assertEqual([int(each.days_left) for each in told], [5])
        self.network.run_until(manager.stop_listening())
        self.assertEqual(list(manager.certificates()), before)

    def test_by_name(self) -> None:
        """Certificates by name have figures of their own. row:D26"""
        named = Credential.from_files(self.folder / "a.example.pem")
        bob = self.party("b.example", server_certificates={"a.example": named})
        self.assertGreater(bob.connection_manager.metrics()["certificate_days_left_a.example"], 360)

    def test_nothing_is_left(self) -> None:
        """After the end of the manager there is no timer, and nobody is told of anything. fault:J2"""
        bob = self.party("b.example", reload_interval=1.0)
        self.network.advance(10)
        self.network.run_until(bob.connection_manager.terminate())
        reloads = bob.connection_manager.metrics()["certificate_reloads"]
        self.renew("b.example")
        self.network.advance(10)
        self.assertEqual(bob.connection_manager.metrics()["certificate_reloads"], reloads)
