"""Privacy, P-Asserted-Identity and P-Preferred-Identity as values."""

from __future__ import annotations

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.privacy import (
    ANONYMOUS,
    PREFERRED,
    asserted_identities,
    hides_user,
    is_anonymous,
    parse_privacy,
    privacy_fields,
)
from tests.support import SynchronousTestCase


class PrivacyTests(SynchronousTestCase):
    """RFC 3323."""

    def test_read(self) -> None:
        """Values are read in any case, from any number of fields, after semicolons or commas (RFC 3323 section
        4.2)."""
        for lines, values in (
            ([], set()),
            (["user"], {"user"}),
            (["Id; CRITICAL"], {"id", "critical"}),
            (["user, header", "session"], {"user", "header", "session"}),
        ):
            self.assertEqual(parse_privacy(Headers([("Privacy", line) for line in lines])), values)
        for line in ("", ";", "user;", "us er", '"user"', ";".join(f"v{number}" for number in range(20))):
            self.assertRaises(MalformedMessage, parse_privacy, Headers([("Privacy", line)]))

    def test_written(self) -> None:
        """One value or several are asked for, and who insists says so to proxies too (RFC 3323 sections 4.2 and
        4.3)."""
        for given, fields in (
            (None, []),
            ((), []),
            ("id", [("Privacy", "id")]),
            (["header", "ID", "id"], [("Privacy", "header;id")]),
            ("none", [("Privacy", "none")]),
            (("id", "critical"), [("Privacy", "id;critical"), ("Proxy-Require", "privacy")]),
            (("critical", "id", "header"), [("Privacy", "id;header;critical"), ("Proxy-Require", "privacy")]),
        ):
            self.assertEqual(privacy_fields(given), fields)
        for wrong in ("us er", "", ["id", "none"], "critical", [f"v{number}" for number in range(20)], "user\r\nX: y"):
            self.assertRaises(ValueError, privacy_fields, wrong)

    def test_what_the_user_does(self) -> None:
        """What a user agent does by itself it does not ask the network for (RFC 3323 section 4.2)."""
        for given, fields in (
            ("user", []),
            (["User", "critical"], []),
            (["user", "id"], [("Privacy", "id")]),
            (["user", "critical", "session"], [("Privacy", "session;critical"), ("Proxy-Require", "privacy")]),
        ):
            self.assertEqual(privacy_fields(given), fields)
        self.assertRaises(ValueError, privacy_fields, ["user", "none"])

    def test_who_is_hidden(self) -> None:
        """Who asks for user or id has no name, and who asks for anything else has (RFC 3323 section 4.1)."""
        for given, hidden in (
            ("user", True),
            (["Header", "ID"], True),
            ("header", False),
            ("none", False),
            (None, False),
        ):
            self.assertEqual(hides_user(given), hidden)
        self.assertTrue(is_anonymous(ANONYMOUS))
        self.assertFalse(is_anonymous("<sip:anonymous@a.example>"))


class AssertedTests(SynchronousTestCase):
    """RFC 3325."""

    def test_read(self) -> None:
        """One address, or one of each kind, is an identity that the network asserts (RFC 3325 sections 9.1 and
        9.2)."""
        for lines, found in (
            ([], []),
            (['"Alice" <sip:alice@a.example>'], ["sip:alice@a.example"]),
            (["<sips:alice@a.example>, <tel:+1555>"], ["sips:alice@a.example", "tel:+1555"]),
            (["tel:+1555", "sip:alice@a.example"], ["tel:+1555", "sip:alice@a.example"]),
        ):
            for name in ("P-Asserted-Identity", PREFERRED):
                headers = Headers([(name, line) for line in lines])
                self.assertEqual([each.uri_text for each in asserted_identities(headers, name)], found)

    def test_refused(self) -> None:
        """Two of one kind, three of any, and other schemes are malformed (fault:A13, RFC 3325 section 9.1)."""
        for line in (
            "<sip:a@a.example>, <sips:b@a.example>", "<tel:+1>, <tel:+2>", "<mailto:a@a.example>", "nonsense",
            "<sip:a@a.example>, <tel:+1>, <tel:+2>",
        ):  # fmt: skip
            self.assertRaises(MalformedMessage, asserted_identities, Headers([("P-Asserted-Identity", line)]))
