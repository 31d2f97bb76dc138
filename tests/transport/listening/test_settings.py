"""The settings of one listener: what its description says, what it leaves to the manager, and files of either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import IssuedCertificate
from sip_p2p.transport.listening.description_text import Description
from sip_p2p.transport.listening.settings import (
    ListenerSettings,
    given_credential,
    given_revocation,
    given_server_names,
    given_trust,
)
from sip_p2p.transport.tls.protocol import HoldingTlsProtocol
from sip_p2p.transport.tls.reload import Reloader
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.pins import PinnedKeys, pin_of
from sip_p2p.transport.trust.revocation import Revocation, RevocationList, RevocationMode
from sip_p2p.transport.trust.stack import TrustStack
from tests.support import SynchronousTestCase
from tests.transport.revoked import crl, ocsp_response, pem
from tests.transport.tls_pairs import (
    ANY,
    TlsPair,
    anchors,
    authority,
    other_authority,
    party_credential,
    rsa_key,
    settings,
)

Reason = TlsFailureReason


class SettingsTestCase(SynchronousTestCase):
    """A manager's settings, and a folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.clock = Clock()
        self.base = settings("b.example")

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    def listener(self, base: TlsSettings | None = None, mutual: bool = True, **given: Any) -> ListenerSettings:
        return ListenerSettings(self.clock, "tls:5061", base or self.base, given, mutual)


class FollowingTests(SettingsTestCase):
    """What comes from the manager."""

    def test_everything(self) -> None:
        """A description that says nothing has the manager's own settings."""
        self.assertIs(self.listener().refresh(), self.base)

    def test_the_rest(self) -> None:
        """What is not said follows the manager's settings when they change; what is said stays. row:D10"""
        own = party_credential("c.example")
        listener = self.listener(credential=own)
        settled = listener.refresh()
        self.assertIs(settled.credential, own)
        policy, revocation = TrustPolicy(["x.example"]), Revocation()
        self.base.replace(policy=policy, revocation=revocation, credential=party_credential("d.example"))
        self.assertIs(listener.refresh(), settled)
        self.assertEqual((settled.policy, settled.revocation, settled.credential), (policy, revocation, own))

    def test_excluded(self) -> None:
        """Whom the manager excludes is excluded where a listener says itself who is allowed, for as long. row:D10"""
        own = TrustPolicy(["a.example", "x.example"])
        listener = self.listener(policy=own)
        self.assertEqual(listener.refresh().policy, own)
        self.base.replace(policy=TrustPolicy(["z.example"]).excluding("a.example").excluding(".example"))
        excluding = listener.refresh().policy
        self.assertEqual(excluding.excluded, {"a.example", ".example"})
        self.assertEqual((excluding.hosts, own.hosts), ({"x.example"}, {"a.example", "x.example"}))
        self.base.replace(policy=TrustPolicy(["z.example"]))
        self.assertEqual(listener.refresh().policy, own)

    def test_protocol_and_mutual(self) -> None:
        """The protocol is the manager's; whether certificates are asked for can be said."""
        base = settings("b.example", protocol=HoldingTlsProtocol)
        lax = self.listener(base, mutual=False).refresh()
        self.assertFalse(lax.need_mutual_tls)
        self.assertIs(lax.protocol, HoldingTlsProtocol)

    def test_who_is_believed_here_alone(self) -> None:
        """A listener that believes others than its manager does, for its own authorities, without the manager's pins or
        with less of its revocation lists, is for callers alone, for as long as that is so. fault:G2"""
        lists = Revocation([RevocationList(crl())], "soft")
        pins = PinnedKeys({"b.example": pin_of(authority().certificate)})
        wider = TrustAnchors([authority().certificate, other_authority().certificate])
        base = settings("b.example")
        cases: tuple[tuple[Any, Any, dict[str, Any], bool], ...] = (
            (anchors(), None, {"policy": ANY, "credential": party_credential("c.example")}, False),
            (anchors(), None, {"anchors": anchors()}, False),
            (wider, None, {"anchors": anchors()}, False),
            (anchors(), None, {"anchors": wider}, True),
            ([anchors(), pins], None, {"anchors": anchors()}, True),
            ([anchors(), pins], None, {"policy": ANY}, False),
            (anchors(), None, {"revocation": Revocation((), "off")}, False),
            (anchors(), lists, {"policy": ANY}, False),
            (anchors(), lists, {"revocation": Revocation((), "off")}, True),
            (anchors(), lists, {"revocation": Revocation((), "hard")}, True),
            (anchors(), lists, {"revocation": Revocation(lists.lists, "hard")}, False),
        )
        for trust, revocation, given, expected in cases:
            base = TlsSettings(
                base.credential, TrustStack.of(trust), ANY, revocation=revocation or Revocation((), "off")
            )
            listener = self.listener(base, **given)
            self.assertIs(listener.refresh().is_for_callers, expected, (trust, revocation, given))
            base.replace(anchors=TrustStack.of(wider), revocation=Revocation((), "off"))
            self.assertFalse(listener.refresh().is_for_callers)
        listener = self.listener(settings("b.example"), anchors=wider)
        for expected in (True, False):
            verified = TlsPair(settings("a.example"), listener.refresh()).run().server.transport.verified
            self.assertIs(verified.is_for_callers, expected)
            listener = self.listener(settings("b.example"), anchors=anchors())

    def test_without_a_manager(self) -> None:
        """Without a manager, trust must be said."""
        given = {"credential": party_credential("b.example"), "policy": ANY}
        error = self.assertRaises(ValueError, ListenerSettings, self.clock, "sips:5061", None, given, True)
        self.assertIn("trustRoots", str(error))


class FilesTests(SettingsTestCase):
    """Files that a description names."""

    def renew(self, path: Path, issued: IssuedCertificate) -> IssuedCertificate:
        self.file(path.name, issued.pem)
        return issued

    def shown(self, listener: ListenerSettings) -> Any:
        pair = TlsPair(settings("a.example"), listener.refresh(), "c.example").run()
        return pair.client.transport.verified.certificate

    def test_watched_by_the_manager(self) -> None:
        """While the listener listens, the manager looks at its files; afterwards it does not. fault:F13"""
        self.base.reloader = reloader = Reloader(self.clock)
        path = self.file("c.pem", authority().issue("c.example").pem)
        listener = self.listener(credential=Credential.from_files(path))
        listener.start()
        renewed = self.renew(path, authority().issue("c.example"))
        self.assertEqual(len(reloader.reload()), 1)
        self.assertEqual(self.shown(listener), renewed.certificate)
        self.file("c.pem", b"broken")
        self.assertEqual(reloader.reload(), [])
        self.assertIn("certKey of tls:5061", reloader.troubles[0])
        self.assertEqual(self.shown(listener), renewed.certificate)
        listener.stop()
        listener.stop()
        self.renew(path, authority().issue("c.example"))
        self.assertEqual(reloader.reload(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_useless_to_openssl(self) -> None:
        """What only OpenSSL finds to be of no use changes nothing either. fault:F13"""
        self.base.reloader = reloader = Reloader(self.clock)
        first = authority().issue("c.example")
        path = self.file("c.pem", first.pem)
        listener = self.listener(credential=Credential.from_files(path))
        listener.start()
        self.renew(path, authority().issue("c.example", key=rsa_key(1024)))
        self.assertEqual(reloader.reload(), [])
        self.assertEqual(self.shown(listener), first.certificate)
        listener.stop()

    def test_watched_by_itself(self) -> None:
        """Without a manager that looks, the listener looks itself, and leaves no timer behind. fault:F13 fault:J2"""
        path = self.file("c.pem", authority().issue("c.example").pem)
        given = {"credential": Credential.from_files(path), "anchors": anchors(), "policy": ANY}
        listener = ListenerSettings(self.clock, "sips:5061", None, given, True)
        listener.start()
        renewed = self.renew(path, authority().issue("c.example"))
        self.clock.pump([10, 1])
        self.assertEqual(self.shown(listener), renewed.certificate)
        listener.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_to_watch(self) -> None:
        """A listener without files of its own has nobody look."""
        listener = self.listener(policy=ANY)
        listener.start()
        listener.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class KeyTests(SettingsTestCase):
    """What the keys of a description give."""

    def parsed(self, **values: object) -> Description:
        return Description("tls", ["5061"], {name: str(value) for name, value in values.items()})

    def test_none(self) -> None:
        """What is not there gives nothing."""
        nothing = self.parsed()
        for given in (given_credential, given_trust, given_revocation, given_server_names):
            self.assertIsNone(given(nothing))

    def test_staple(self) -> None:
        """A staple belongs to a certificate, and must be for it. row:D26"""
        issued = authority().issue("c.example")
        path = self.file("c.pem", issued.pem)
        staple = self.file("c.ocsp", ocsp_response(issued.certificate))
        made = given_credential(self.parsed(certKey=path, staple=staple))
        assert made is not None
        self.assertEqual((made.staple, made.files), (staple.read_bytes(), (path, staple)))
        wrong = self.file("d.ocsp", ocsp_response(authority().issue("d.example").certificate))
        for values, expected in (
            ({"staple": staple}, "without certKey"),
            ({"certKey": path, "staple": wrong}, "for another certificate"),
            ({"certKey": path, "staple": self.folder / "missing"}, "cannot be read"),
        ):
            self.assertIn(expected, str(self.assertRaises(ValueError, given_credential, self.parsed(**values))))

    def test_revocation(self) -> None:
        """Lists come with a mode, soft by default; a mode without lists is a mistake but for off. row:D17"""
        one, two = self.file("1.crl", pem(crl())), self.file("2.crl", pem(crl()))
        soft = given_revocation(self.parsed(crl=f"{one},{two}"))
        hard = given_revocation(self.parsed(crl=one, revocation="hard"))
        off = given_revocation(self.parsed(revocation="off"))
        assert soft is not None and hard is not None and off is not None
        self.assertEqual((len(soft.lists), soft.mode), (2, RevocationMode.SOFT))
        self.assertEqual((hard.mode, off.mode), (RevocationMode.HARD, RevocationMode.OFF))
        for values, expected in (
            ({"revocation": "hard"}, "without crl"),
            ({"crl": one, "revocation": "strict"}, "off, soft, hard"),
            ({"crl": self.folder / "missing"}, "cannot be read"),
        ):
            self.assertIn(expected, str(self.assertRaises(ValueError, given_revocation, self.parsed(**values))))

    def test_revoked(self) -> None:
        """A list of a listener's own holds for its callers. fault:F7 row:D17"""
        caller = settings("a.example")
        assert caller.credential is not None
        listed = self.file("ca.crl", pem(crl([caller.credential.certificate])))
        listener = self.listener(revocation=given_revocation(self.parsed(crl=listed)))
        refused = TlsPair(caller, listener.refresh()).run().server.failure
        self.assertEqual(refused.reason, Reason.REMOTE_CERTIFICATE_REVOKED)

    def test_names(self) -> None:
        """Certificates by name come from files and folders. row:D26"""
        names = self.folder / "names"
        authority().issue("c.example").write(names)
        single = self.file("d.pem", authority().issue("d.example").pem)
        given = given_server_names(self.parsed(sni=f"{names},{single}"))
        assert given is not None
        self.assertEqual(sorted(given), ["c.example", "d.example"])
        error = self.assertRaises(ValueError, given_server_names, self.parsed(sni=self.folder / "missing"))
        self.assertIn("sni=", str(error))
