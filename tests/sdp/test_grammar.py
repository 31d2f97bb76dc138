"""What the parts of a line may hold: :mod:`sip_p2p.sdp.grammar`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sdp.grammar import check_line, check_number, check_token, check_word, is_address, read_number


class GrammarTests(SynchronousTestCase):
    """Checks that match the whole of a text."""

    def test_a_trailing_newline_is_seen(self) -> None:
        """No check lets a line end pass at the end of a text."""
        for check in (check_token, check_word, check_line):
            with self.subTest(check=check):
                self.assertEqual(check("it", "abc"), "abc")
                self.assertRaises(ValueError, check, "it", "abc\n")
                self.assertRaises(ValueError, check, "it", "")

    def test_numbers(self) -> None:
        """Numbers are ASCII digits within their bounds."""
        self.assertEqual(read_number("it", "0123", 200), 123)
        for text in ("", "-1", "+1", "1_0", " 1", "٣", "201", "9" * 21):
            with self.subTest(text=text):
                self.assertRaises(ValueError, read_number, "it", text, 200)
        self.assertRaises(ValueError, check_number, "it", True, 200)

    def test_addresses(self) -> None:
        """An address is one of its type, or a host name."""
        for kind, address, is_one in (
            *(("IP4", "192.0.2.1", True), ("IP4", "host.example", True), ("IP4", "2001:db8::1", False)),
            *(("IP6", "2001:db8::1", True), ("IP6", "192.0.2.1", False), ("IP6", "host.example", True)),
            *(("IP4", "1.2.3", False), ("IP4", "a b", False), ("IP4", "", False), ("NSAP", "47.0091", True)),
        ):
            with self.subTest(address=address):
                self.assertEqual(is_address(kind, address), is_one)
