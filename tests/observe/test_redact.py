"""What a trace withholds: credentials, passwords in URIs, bodies."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.observe.redact import SECRET_FIELDS, redact_head, split_message
from tests.support import SynchronousTestCase


class SplitTests(SynchronousTestCase):
    """Where the head ends."""

    def test_head_and_body(self) -> None:
        """The empty line belongs to neither."""
        self.assertEqual(
            split_message(b"OPTIONS sip:a SIP/2.0\r\nl: 2\r\n\r\nhi"), ("OPTIONS sip:a SIP/2.0\r\nl: 2", b"hi")
        )

    def test_without_an_empty_line_all_is_head(self) -> None:
        """A message that was cut short is still shown."""
        self.assertEqual(split_message(b"OPTIONS sip:a SIP/2.0\r\nl: 2"), ("OPTIONS sip:a SIP/2.0\r\nl: 2", b""))

    def test_other_line_ends_hide_no_body(self) -> None:
        """fault:B5: the body of a message with bare line feeds is not taken for its head."""
        self.assertEqual(split_message(b"X sip:a SIP/2.0\n\nsecret"), ("X sip:a SIP/2.0", b"secret"))

    def test_octets_that_are_not_text(self) -> None:
        """They are shown as escapes, not lost."""
        self.assertEqual(split_message(b"\xff\xfe"), ("\\xff\\xfe", b""))


class RedactTests(SynchronousTestCase):
    """:func:`redact_head` keeps the shape and drops the secret."""

    def test_credentials_go_and_the_scheme_stays(self) -> None:
        """row:M11 fault:B5: Authorization keeps its scheme, so that one still sees what kind of credential was sent."""
        head = 'MESSAGE sip:b SIP/2.0\r\nAuthorization: Digest username="a", response="5ec"\r\nCall-ID: 1'
        self.assertEqual(redact_head(head), "MESSAGE sip:b SIP/2.0\r\nAuthorization: Digest (withheld)\r\nCall-ID: 1")

    def test_every_secret_field_in_every_dress(self) -> None:
        """fault:B5: capitals, blanks before the colon, folded lines and bare line ends hide nothing."""
        for field in sorted(SECRET_FIELDS):
            for name in (field, field.upper(), field.title()):
                for template in (
                    "X sip:b SIP/2.0\r\n{0}: hunter2",
                    "X sip:b SIP/2.0\r\n{0} \t : hunter2",
                    "X sip:b SIP/2.0\r\n{0}:hunter2",
                    "X sip:b SIP/2.0\r\n{0}: Bearer x,\r\n hunter2\r\n\thunter2",
                    "X sip:b SIP/2.0\n{0}: hunter2",
                    "X sip:b SIP/2.0\r{0}: hunter2",
                    "{0}: hunter2",
                ):
                    with self.subTest(name=name, template=template):
                        redacted = redact_head(template.format(name))
                        self.assertNotIn("hunter2", redacted)
                        self.assertIn("(withheld)", redacted)

    def test_a_fold_after_a_public_field_stays(self) -> None:
        """Only what continues a secret is dropped with it."""
        head = "X sip:b SIP/2.0\r\nAuthorization: a\r\n b\r\nSubject: one\r\n two"
        self.assertEqual(redact_head(head), "X sip:b SIP/2.0\r\nAuthorization: (withheld)\r\nSubject: one\r\n two")

    def test_passwords_in_uris(self) -> None:
        """fault:B5: the password of a URI is replaced wherever the URI stands (RFC 3261 section 19.1.1)."""
        cases = {
            "MESSAGE sip:alice:hunter2@a.example SIP/2.0": "MESSAGE sip:alice:***@a.example SIP/2.0",
            'To: "A" <sips:alice:hunter2@a.example;x=y>;tag=1': 'To: "A" <sips:alice:***@a.example;x=y>;tag=1',
            "Contact:sip:alice:hunter2@a.example": "Contact:sip:alice:***@a.example",
            "Call-Info: <https://alice:hunter2@a.example/>": "Call-Info: <https://alice:***@a.example/>",
            "From: <sip:alice@a.example:5061>": "From: <sip:alice@a.example:5061>",
            "Call-ID: 17:18@a.example": "Call-ID: 17:18@a.example",
        }
        for line, expected in cases.items():
            with self.subTest(line):
                self.assertEqual(redact_head(line), expected)

    def test_the_time_grows_with_the_length_only(self) -> None:
        """fault:A8: no text makes redaction quadratic."""
        for unit in ("sip:", "sip:a:", "Authorization:", "\r\n ", "a@", ":", "<"):
            with self.subTest(unit):
                took = []
                for size in (20_000, 160_000):
                    text = unit * (size // len(unit))
                    started = time.perf_counter()
                    redact_head(text)
                    took.append(time.perf_counter() - started)
                self.assertLess(took[1], max(took[0], 0.002) * 40)

    @given(st.text())
    def test_any_text_can_be_redacted(self, text: str) -> None:
        """Nothing that arrives makes it raise, and doing it twice changes nothing more."""
        once = redact_head(text)
        self.assertEqual(redact_head(once), once)
