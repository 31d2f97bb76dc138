"""The text of an endpoint description, taken apart."""

from __future__ import annotations

from sip_p2p.transport.listening.description_text import BACKLOG, Description, number
from tests import support


class DescriptionTests(support.SynchronousTestCase):
    """Parts, keys and quoting."""

    def test_parts(self) -> None:
        """A prefix in any case, values by place and by name, and quoted characters within them."""
        parsed = Description.parse("TLS:5061:certKey=a\\:b\\=c\\\\d:interface=\\:\\:")
        self.assertEqual((parsed.prefix, parsed.positional), ("tls", ["5061"]))
        self.assertEqual(parsed.values, {"certKey": "a:b=c\\d", "interface": "::"})
        self.assertEqual(parsed.where(("certKey", "interface")), (5061, "::", BACKLOG))
        self.assertEqual(parsed.path("certKey"), "a:b=c\\d")
        self.assertIsNone(parsed.path("privateKey"))

    def test_mistakes(self) -> None:
        """What is no description is told so."""
        for text in ("", ":1", "a=1", "tls:x=1:x=2", "tls:1\\"):
            self.assertRaises(ValueError, Description.parse, text)

    def test_numbers(self) -> None:
        """Numbers are decimal digits within their bounds."""
        self.assertEqual(number("port", "65535", 0), 65535)
        for text in ("", "-1", "65536", "1e3", "\u0665"):
            self.assertRaises(ValueError, number, "port", text, 0)
