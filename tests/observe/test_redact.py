"""What a trace withholds: credentials, passwords in URIs, bodies."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.observe.redact import (
    SECRET_FIELDS,
    BodyPolicy,
    redact_body,
    redact_head,
    split_message,
    without_passwords,
)
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

    def test_a_second_at_sign(self) -> None:
        """row:M11: a password behind an at sign in the part before it is withheld as well, though no URI has that."""
        self.assertEqual(redact_head("INFO sip:a@b:hunter2@d SIP/2.0"), "INFO sip:a@b:***@d SIP/2.0")

    def test_names_that_say_so(self) -> None:
        """row:M11: a field whose name says that it is secret is withheld, whoever invented it."""
        for name in ("Cookie", "Set-Cookie", "X-Api-Token", "X-API-Key", "P-Password", "X-Client-Secret"):
            with self.subTest(name):
                self.assertEqual(
                    redact_head(f"X sip:b SIP/2.0\r\n{name}: hunter2"), f"X sip:b SIP/2.0\r\n{name}: (withheld)"
                )

    def test_secrets_in_uris(self) -> None:
        """row:M11: headers and parameters of URIs whose names say so lose their values (RFC 3261 section 19.1.1)."""
        cases = {
            "Refer-To: <sip:b@b.example?Authorization=Digest%20x&Subject=y>": (
                "Refer-To: <sip:b@b.example?Authorization=***&Subject=y>"
            ),
            "Call-Info: <https://a.example/card?access_token=hunter2>;purpose=card": (
                "Call-Info: <https://a.example/card?access_token=***>;purpose=card"
            ),
            "Contact: <sip:a@a.example;x-secret=hunter2;ob>": "Contact: <sip:a@a.example;x-secret=***;ob>",
        }
        for line, expected in cases.items():
            with self.subTest(line):
                self.assertEqual(redact_head(line), expected)

    def test_challenges_stay(self) -> None:
        """A nonce is worth nothing without the password, and shows why a request was refused."""
        head = 'SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="a", nonce="17"'
        self.assertEqual(redact_head(head), head)

    @given(
        st.lists(
            st.sampled_from(
                [
                    "\r\n",
                    "\n",
                    "y: s",
                    "Y:s",
                    "identity: s",
                    "sip:a:s@b",
                    "a:s@b:",
                    "<sip:",
                    "://x:s@",
                    " ",
                    "Cookie: s",
                ]
            )
        ).map("".join)
    )
    def test_the_short_way_is_no_other(self, head: str) -> None:
        """What is passed over at a glance has nothing to withhold in any of its lines."""
        looked_at = redact_head(f"{head}\r\nX-Token: 1")
        self.assertEqual(redact_head(head), looked_at.removesuffix("\r\nX-Token: (withheld)"))

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

    def test_letters_that_fold(self) -> None:
        """row:M11: a secret word is known in letters, too, that become its own only when they are folded."""
        self.assertEqual(without_passwords("<sip:a@b;\u017fecret=1>"), "<sip:a@b;\u017fecret=***>")
        self.assertEqual(
            redact_head("INFO sip:a SIP/2.0\r\nX-\u017fecret: 1"), "INFO sip:a SIP/2.0\r\nX-\u017fecret: (withheld)"
        )


class BodyTests(SynchronousTestCase):
    """Whose bodies are kept, and what they lose all the same."""

    def test_the_keys_of_a_description(self) -> None:
        """row:M11: wherever their line begins and ends, keys in SDP are withheld, in a multipart body, too."""
        for content_type in ("application/sdp", "multipart/mixed"):
            for end in (b"\r\n", b"\n", b"\r"):
                body = end.join(
                    [b"v=0", b"k=clear:hunter2", b"A=Crypto:1 hunter2", b"a=key-mgmt:mikey hunter2", b"b=AS:1"]
                )
                with self.subTest(content_type=content_type, end=end):
                    kept = redact_body(content_type, body)
                    self.assertNotIn(b"hunter2", kept)
                    self.assertTrue(kept.startswith(b"v=0") and kept.endswith(b"b=AS:1"))

    def test_a_message_in_a_body(self) -> None:
        """row:M11: a piece of a message loses what a head loses, and nothing else of it changes."""
        body = b"SIP/2.0 200 OK\r\nAuthorization: Digest hunter2\r\nSubject: \xff\r\n\r\nrest"
        self.assertEqual(
            redact_body("message/sipfrag", body),
            b"SIP/2.0 200 OK\r\nAuthorization: Digest (withheld)\r\nSubject: \xff\r\n\r\nrest",
        )

    def test_a_message_in_a_part(self) -> None:
        """row:M11: so does a part of a multipart body."""
        head = b"INFO sip:a SIP/2.0\r\nAuthorization: Digest hunter2\r\n x"
        body = b"--a\r\nContent-Type: message/sip\r\n\r\n" + head + b"\r\n\xff--a--"
        kept = redact_body("multipart/mixed", body)
        self.assertEqual(kept, body.replace(b"hunter2\r\n x", b"(withheld)"))

    def test_other_bodies(self) -> None:
        """A text is no description, whatever it looks like."""
        self.assertEqual(redact_body("text/plain", b"k=5"), b"k=5")

    def test_what_a_policy_says(self) -> None:
        """none, all, and lists of types are read, and written the same; anything else is refused with its name."""
        for text in ("none", "all", "application/sdp,text/*"):
            self.assertEqual(str(BodyPolicy.parse(text)), text)
        policy = BodyPolicy.parse("Application/SDP, text/*")
        self.assertEqual(
            [policy.keeps(each) for each in ("application/sdp", "text/x", "image/png")], [True, True, False]
        )
        for text in ("", "some", "text/", "text/plain;x=y", "text/plain,", "*/*"):
            with self.subTest(text):
                self.assertIn("is neither none nor all", str(self.assertRaises(ValueError, BodyPolicy.parse, text)))

    def test_the_type_of_a_body(self) -> None:
        """It is read from the head in either form, whatever its case and parameters; without one only all keeps it."""
        sdp, everything = BodyPolicy("application/sdp"), BodyPolicy(is_all=True)
        for field in (
            "Content-Type: application/sdp",
            "c:Application/SDP;charset=x",
            "CONTENT-TYPE : application/sdp ",
        ):
            self.assertEqual(sdp.kept(f"X sip:b SIP/2.0\r\n{field}\r\nl: 3", b"v=0"), b"v=0")
        self.assertIsNone(sdp.kept("X sip:b SIP/2.0\r\nl: 3", b"v=0"))
        self.assertEqual(everything.kept("X sip:b SIP/2.0\r\nl: 3", b"v=0"), b"v=0")

    def test_what_cannot_be_looked_into(self) -> None:
        """row:M11: a body in a content encoding is kept only where all are."""
        head = "X sip:b SIP/2.0\r\nc: application/sdp\r\ne: gzip\r\nl: 3"
        self.assertIsNone(BodyPolicy("application/sdp").kept(head, b"\x1f\x8b"))
        self.assertEqual(BodyPolicy(is_all=True).kept(head, b"\x1f\x8b"), b"\x1f\x8b")

    def test_a_single_value(self) -> None:
        """The value of one field loses its passwords, too."""
        self.assertEqual(without_passwords("<sip:a:b@c>;tag=1"), "<sip:a:***@c>;tag=1")
