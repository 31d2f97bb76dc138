"""What the peer of a dialog has said of itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.capabilities import Capabilities
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response


def heard(*fields: tuple[str, str]) -> Capabilities:
    """What a request with *fields* tells."""
    capabilities = Capabilities()
    capabilities.heard(Request("INVITE", "sip:b@b.example", Headers(fields), b""))
    return capabilities


class CapabilityTests(SynchronousTestCase):
    """RFC 3261 sections 20.1, 20.5, 20.37 and 20.41, RFC 3840."""

    def test_silence(self) -> None:
        """20.5: a peer that says nothing has neither agreed nor refused. row:H30"""
        for capabilities in (Capabilities(), heard(("Subject", "x"))):
            self.assertIsNone(capabilities.methods)
            self.assertIsNone(capabilities.extensions)
            self.assertIsNone(capabilities.allows("UPDATE"))
            self.assertIsNone(capabilities.supports("100rel"))
            self.assertIsNone(capabilities.accepts("application/sdp"))
            self.assertIsNone(capabilities.contact)
            self.assertEqual(capabilities.features, {})
            self.assertEqual((capabilities.is_focus, capabilities.instance_id, capabilities.gruu), (False, None, None))
            self.assertEqual(capabilities.user_agent, "")

    def test_in_a_log(self) -> None:
        """It reads as what the peer can do. row:H30"""
        self.assertEqual(repr(heard(("Allow", "INVITE, ACK"))), "<Capabilities: ACK INVITE>")
        self.assertEqual(repr(Capabilities()), "<Capabilities: unknown>")

    def test_what_it_says(self) -> None:
        """Methods, extensions, bodies, program and features are as its fields say. row:H30"""
        capabilities = heard(
            ("Allow", "INVITE, ACK"),
            ("Allow", "UPDATE"),
            ("Supported", "100REL, timer"),
            ("Accept", "application/sdp, text/*;q=0.5, text/html;q=0"),
            ("User-Agent", "phone/1"),
            ("Contact", '<sip:x@y.example;gr=urn:uuid:1>;+sip.instance="<urn:uuid:1>";isfocus;audio;q=0.5;expires=5'),
        )
        self.assertEqual(capabilities.methods, {"INVITE", "ACK", "UPDATE"})
        self.assertEqual((capabilities.allows("UPDATE"), capabilities.allows("INFO")), (True, False))
        self.assertEqual((capabilities.supports("Timer"), capabilities.supports("gruu")), (True, False))
        self.assertEqual(
            [capabilities.accepts(name) for name in ("application/sdp", "text/plain", "text/html", "image/png")],
            [True, True, False, False],
        )
        self.assertEqual(capabilities.features, {"+sip.instance": "<urn:uuid:1>", "isfocus": None, "audio": None})
        self.assertTrue(capabilities.is_focus)
        self.assertEqual(capabilities.instance_id, "urn:uuid:1")
        self.assertEqual(capabilities.gruu, "sip:x@y.example;gr=urn:uuid:1")
        self.assertEqual(capabilities.user_agent, "phone/1")

    def test_shared(self) -> None:
        """Peers of one make hold one string, however many they are, and a long one is each peer's own. row:H30"""
        for length, is_shared in ((10, True), (1000, False)):
            said = [heard(("User-Agent", "".join(["x"] * length))).user_agent for _ in range(2)]
            self.assertEqual((said[0], said[0] is said[1]), ("x" * length, is_shared))
        many = [heard(("User-Agent", f"phone/{number}")).user_agent for number in range(1000)]
        self.assertEqual(many, [f"phone/{number}" for number in range(1000)])

    def test_the_last_word_counts(self) -> None:
        """Each field of a later message takes the place of the one before; what it leaves out stays. row:H30"""
        capabilities = heard(("Allow", "INVITE"), ("Supported", "timer"), ("User-Agent", "phone/1"))
        fields = [("Allow", "INVITE, UPDATE"), ("Server", "phone/2"), ("Contact", "<sip:x@y>;video")]
        capabilities.heard(Response(200, "OK", Headers(fields), b""))
        self.assertTrue(capabilities.allows("UPDATE"))
        self.assertTrue(capabilities.supports("timer"))
        self.assertEqual((capabilities.user_agent, capabilities.features), ("phone/2", {"video": None}))
        # 20.37: an empty Supported says that there are no extensions.
        capabilities.heard(Response(200, "OK", Headers([("Supported", "")]), b""))
        self.assertEqual(capabilities.supports("timer"), False)

    def test_over_a_restart(self) -> None:
        """What was heard is saved and taken up again, all of it; what is no text is refused with a reason. row:H33"""
        said = heard(
            ("Allow", "INVITE"), ("Supported", "timer"), ("Accept", "text/plain"), ("Recv-Info", "x, y"),
            ("Contact", "<sip:x@y>;video"), ("User-Agent", "phone/1"),
        )  # fmt: skip
        for before in (said, Capabilities()):
            after = heard(("Allow", "BYE"), ("Recv-Info", "z"), ("User-Agent", "other"))
            after.restore(before.save())
            for name in ("methods", "extensions", "contact", "features", "user_agent", "info_packages"):
                self.assertEqual(getattr(after, name), getattr(before, name), name)
            self.assertEqual(after.accepts("text/plain"), before.accepts("text/plain"))
        self.assertEqual(len(said.save()), 6)
        for name in said.save():
            self.assertRaises(ValueError, Capabilities().restore, {name: 5})

    def test_nonsense(self) -> None:
        """A field that cannot be read says nothing, and nothing raises."""
        capabilities = heard(
            ("Allow", "IN VITE"), ("Supported", "a b"), ("Accept", "nonsense"), ("Contact", "<<>>"), ("User-Agent", "x")
        )
        self.assertIsNone(capabilities.methods)
        self.assertIsNone(capabilities.supports("timer"))
        self.assertIsNone(capabilities.accepts("application/sdp"))
        self.assertIsNone(capabilities.contact)
        self.assertIsNone(capabilities.gruu)
        self.assertIsNone(heard(("Recv-Info", "a b")).info_packages)
        self.assertIsNone(heard(("Contact", "*")).contact)
        for contact in ("<tel:+15550100>", "<sip:@>", "<sip:x@y>"):
            self.assertIsNone(heard(("Contact", contact)).gruu)
        with self.assertRaises(MalformedMessage):
            capabilities.accepts("no type")
