"""Trust on first use: what is believed, remembered and refused, alone and over TLS."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import IssuedCertificate
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.certificate_facts import Refused, certificate_facts
from sip_p2p.transport.trust.first_use import MOST_KNOWN_KEYS, FirstUse
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.pins import pin_of
from sip_p2p.transport.trust.stack import Doubt, Grant, Shown, TrustedBy, TrustStack
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import ANY, Party, TlsPair, anchors, authority, credential, settings

Reason = TlsFailureReason
UNTRUSTED = Refused(Reason.UNTRUSTED_REMOTE_CERTIFICATE, "self-signed", is_of_chain=True)
B = authority().issue("b.example", self_signed=True)
OTHER = authority().issue("b.example", self_signed=True)


def shown(issued: IssuedCertificate = B, expected: str | None = "b.example", policy: TrustPolicy = ANY) -> Shown:
    """What a peer with this certificate has shown."""
    return Shown(certificate_facts(issued.certificate.public_bytes(Encoding.DER)), expected, UNTRUSTED, (), policy)


class FirstUseTestCase(SynchronousTestCase):
    """Has a folder for the store."""

    def setUp(self) -> None:
        """No store yet."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "known_keys"
        self.now = 0.0

    def trust(self, **options: Any) -> FirstUse:
        """Trust on first use with this store."""
        return FirstUse(self.path, monotonic=lambda: self.now, **options)

    def meet(self, trust: FirstUse, what: Shown) -> tuple[str, ...] | TlsFailureReason:
        """Look at a peer and, if it is known, complete the handshake: as whom it is known, or why not."""
        answer = trust.consider(what)
        if isinstance(answer, Doubt):
            return answer.reason
        assert isinstance(answer, Grant)
        self.assertIs(answer.trusted_by, TrustedBy.FIRST_USE)
        try:
            trust.remember(what, answer)
        except Refused as refused:
            return refused.reason
        return answer.identities.identities


class JudgementTests(FirstUseTestCase):
    """Whom it believes."""

    def test_dialled(self) -> None:
        """The first key under a dialled name is believed, only that one ever after, by this process and the next."""
        trust = self.trust()
        self.assertEqual(self.meet(trust, shown()), ("b.example",))
        self.assertEqual(self.meet(trust, shown(OTHER)), Reason.REMOTE_KEY_CHANGED)
        self.assertEqual(self.meet(self.trust(), shown()), ("b.example",))
        self.assertEqual(self.meet(self.trust(), shown(OTHER)), Reason.REMOTE_KEY_CHANGED)
        self.assertEqual(trust.known_key("b.example"), pin_of(B.certificate))
        self.assertEqual(trust.count, 1)

    def test_nothing_before_the_end(self) -> None:
        """Looking at a certificate leaves no trace: only a complete handshake proves that its owner has the key."""
        trust = self.trust()
        for _ in range(3):
            self.assertIsInstance(trust.consider(shown(OTHER)), Grant)
        self.assertFalse(self.path.exists())
        self.assertEqual(self.meet(trust, shown()), ("b.example",))

    def test_name_that_was_dialled(self) -> None:
        """It is known by the name that was dialled, whatever names its certificate claims."""
        evil = authority().issue("evil.example", "c.example", self_signed=True)
        self.assertEqual(self.meet(self.trust(), shown(evil)), ("b.example",))
        self.assertEqual(self.path.read_text().split()[0], "b.example")

    def test_changed_says_where(self) -> None:
        """The refusal of a changed key names the file, the line and both keys, and is final."""
        trust = self.trust()
        self.meet(trust, shown(authority().issue("a.example", self_signed=True), "a.example"))
        self.meet(trust, shown())
        doubt = trust.consider(shown(OTHER))
        assert isinstance(doubt, Doubt)
        self.assertTrue(doubt.is_final)
        self.assertIn(f"{self.path}, line 2 has {pin_of(B.certificate)} for b.example", doubt.detail)
        self.assertIn(pin_of(OTHER.certificate), doubt.detail)
        self.assertIn("remove that line", doubt.detail)

    def test_edited_line(self) -> None:
        """A removed line counts at once, without a restart; the file is looked at once a second at most."""
        trust = self.trust()
        self.meet(trust, shown())
        self.assertEqual(self.meet(trust, shown(OTHER)), Reason.REMOTE_KEY_CHANGED)
        self.path.write_text("")
        self.assertEqual(self.meet(trust, shown(OTHER)), Reason.REMOTE_KEY_CHANGED)
        self.now = 1.0
        self.assertEqual(self.meet(trust, shown(OTHER)), ("b.example",))
        self.path.write_text("nonsense")
        self.now = 2.0
        self.assertEqual(self.meet(trust, shown()), Reason.REMOTE_KEY_CHANGED)
        with self.assertRaisesRegex(ValueError, "line 1"):
            trust.reload()
        self.path.write_text("")
        trust.reload()
        self.assertEqual(trust.count, 0)

    def test_incoming(self) -> None:
        """A caller is believed if its name is known with its key; unknown ones only by the long-named option."""
        trust = self.trust()
        self.assertEqual(self.meet(trust, shown(expected=None)), Reason.UNTRUSTED_REMOTE_CERTIFICATE)
        self.meet(trust, shown())
        self.assertEqual(self.meet(trust, shown(expected=None)), ("b.example",))
        self.assertEqual(self.meet(trust, shown(OTHER, None)), Reason.REMOTE_KEY_CHANGED)
        several = authority().issue("b.example", "c.example", key=B.key, self_signed=True)
        self.assertEqual(self.meet(trust, shown(several, None)), ("b.example",))
        self.assertEqual(
            trust.warnings, (f"a peer that we dial for the first time is believed, and remembered in {self.path}",)
        )
        new = authority().issue("d.example", "e.example", self_signed=True)
        refused = self.trust().consider(shown(new, None))
        assert isinstance(refused, Doubt)
        self.assertEqual(
            refused.detail, "no key is known for d.example, e.example, and who dials us is not believed at first sight"
        )
        opened = self.trust(accept_unknown_incoming_peers=True)
        self.assertIn("whatever allowed name it claims", opened.warnings[1])
        self.assertEqual(self.meet(opened, shown(new, None, TrustPolicy(["e.example"]))), ("e.example",))
        self.assertEqual(opened.known_key("d.example"), None)
        nameless = authority().issue("f.example", alternative_names=[], self_signed=True)
        self.assertEqual(self.meet(opened, shown(nameless, None)), Reason.UNTRUSTED_REMOTE_CERTIFICATE)

    def test_only_some(self) -> None:
        """It may be for some names only; what is known already stays known."""
        trust = self.trust(only=".example")
        self.assertEqual(self.meet(trust, shown()), ("b.example",))
        stranger = authority().issue("b.test", self_signed=True)
        self.assertEqual(self.meet(trust, shown(stranger, "b.test")), Reason.UNTRUSTED_REMOTE_CERTIFICATE)
        self.assertEqual(self.meet(self.trust(only=["c.example"]), shown()), ("b.example",))

    def test_cannot_be_remembered(self) -> None:
        """A full store, a full disk and a spoilt file refuse a new peer rather than forget it."""
        trust = self.trust(limit=1)
        self.meet(trust, shown())
        stranger = shown(authority().issue("c.example", self_signed=True), "c.example")
        self.assertEqual(self.meet(trust, stranger), Reason.KEY_NOT_REMEMBERED)
        self.assertEqual(self.meet(trust, shown()), ("b.example",))
        roomy = self.trust()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.path.stat().st_size, hard))
        try:
            self.assertEqual(self.meet(roomy, stranger), Reason.KEY_NOT_REMEMBERED)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.path.write_text("nonsense")
        self.assertEqual(self.meet(roomy, stranger), Reason.KEY_NOT_REMEMBERED)
        self.assertEqual(self.meet(roomy, shown()), ("b.example",))
        self.assertEqual(MOST_KNOWN_KEYS, 10000)

    def test_filled_by_another(self) -> None:
        """Room that another process has taken since is found out when the key is to be written."""
        one, two = self.trust(limit=1), self.trust(limit=1)
        self.meet(one, shown())
        stranger = shown(authority().issue("c.example", self_signed=True), "c.example")
        self.assertEqual(self.meet(two, stranger), Reason.KEY_NOT_REMEMBERED)

    def test_another_was_first(self) -> None:
        """Of two processes that meet a name at once with different keys, the second refuses its peer."""
        one, two = self.trust(), self.trust()
        answer = two.consider(shown(OTHER))
        assert isinstance(answer, Grant)
        self.assertEqual(self.meet(one, shown()), ("b.example",))
        with self.assertRaises(Refused) as caught:
            two.remember(shown(OTHER), answer)
        self.assertIs(caught.exception.reason, Reason.REMOTE_KEY_CHANGED)

    def test_start(self) -> None:
        """A spoilt store or a wrong list of names refuses the start."""
        self.path.write_text("b.example")
        with self.assertRaisesRegex(ValueError, "line 1"):
            self.trust()
        self.path.unlink()
        with self.assertRaises(ValueError):
            self.trust(only="*.example")
        self.assertEqual(repr(self.trust()), f"<FirstUse: 0 known in {self.path}>")


class HandshakeTests(FirstUseTestCase):
    """Over TLS."""

    def dial(self, trust: Any, issued: IssuedCertificate = B) -> TlsPair:
        """We dial b.example."""
        odd = TlsSettings(credential(issued), anchors(), ANY)
        return TlsPair(settings("a.example", anchors=trust), odd, client=Party(b"x"), server=Party(b"y")).run()

    def test_remembered_after_the_handshake(self) -> None:
        """The key is on disk when the first octet of SIP leaves, and another key is refused with where to look."""
        trust = self.trust()
        party = Party(b"x")
        on_disk: list[bool] = []
        party.on_verified = lambda: on_disk.append(self.path.exists())
        odd = TlsSettings(credential(B), anchors(), ANY)
        pair = TlsPair(settings("a.example", anchors=trust), odd, client=party, server=Party(b"y")).run()
        self.assertEqual((on_disk, pair.client.heard), ([True], b"y"))
        self.assertIs(pair.client.transport.verified.trusted_by, TrustedBy.FIRST_USE)
        self.assertEqual(pair.client.transport.verified.identities.identities, ("b.example",))
        second = self.dial(trust, OTHER)
        self.assertIs(second.client.failure.reason, Reason.REMOTE_KEY_CHANGED)
        self.assertIn("line 1", str(second.client.failure))
        self.assertEqual((second.client.heard, second.server.heard), (b"", b""))

    def test_cannot_be_remembered(self) -> None:
        """If the disk is full the connection comes to nothing, though the handshake was complete."""
        trust = self.trust()
        self.path.parent.rename(self.path.parent.with_name("elsewhere-" + self.path.parent.name))
        pair = self.dial(trust)
        self.assertIs(pair.client.failure.reason, Reason.KEY_NOT_REMEMBERED)
        self.assertEqual((pair.client.events, pair.client.heard, pair.server.heard), (["made", "lost"], b"", b""))

    def test_read_again_with_the_rest(self) -> None:
        """The store is among the files that are watched, and is read again with them; a spoilt one says so."""
        trust = self.trust()
        stack = TrustStack.of([anchors(), trust])
        self.assertEqual(stack.files, (self.path,))
        self.path.write_text(f"b.example {pin_of(B.certificate)}\n")
        again = stack.read_again()
        self.assertEqual((again.content, trust.count), (stack.content, 1))
        self.path.write_text("nonsense")
        with self.assertRaisesRegex(ValueError, "line 1"):
            stack.read_again()

    def test_empty_store_counts_as_trust(self) -> None:
        """A trust that knows nobody yet is in the stack all the same."""
        stack = TrustStack.of([anchors(), self.trust()])
        self.assertEqual(len(stack.trusts), 2)
        self.assertIn(str(self.path), stack.warnings[0])
