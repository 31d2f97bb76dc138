"""Names of parties in options."""

from __future__ import annotations

from sip_p2p.service.lives.names import checked_name, names_sender
from sip_p2p.sip.uri import SipUri
from tests.support import SynchronousTestCase


class NameTests(SynchronousTestCase):
    """The forms that there are."""

    def test_table(self) -> None:
        """A domain names all in it, one with a dot all below it, an address one party."""
        for name, yes, no in (
            ("b.example", "sip:any@B.example", "sip:any@x.b.example"),
            (".b.example", "sip:any@x.b.example", "sip:any@b.example"),
            ("bob@B.example", "sips:bob@b.example;transport=tls", "sip:BOB@b.example"),
        ):
            known = [checked_name(name)]
            self.assertTrue(names_sender(known, SipUri.parse(yes)), name)
            self.assertFalse(names_sender(known, SipUri.parse(no)), name)
        self.assertFalse(names_sender(["b.example"], "sip:any@b.example"))

    def test_wrong(self) -> None:
        """What nobody can prove is no name."""
        for text in ("", "192.0.2.1", "a b", "bob@", "@b.example", "."):
            self.assertRaises(ValueError, checked_name, text)
