"""Tests of :mod:`sip_p2p.documents.cpim`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.documents.cpim import CORE, MAX_FIELDS, MAX_HEAD, CpimAddress, CpimField, CpimMessage
from sip_p2p.errors import MalformedDocument
from tests.support import SynchronousTestCase

EXAMPLE = """From: MR SANDERS <im:piglet@100akerwood.com>
To: Depressed Donkey <im:eeyore@100akerwood.com>
DateTime: 2000-12-13T13:40:00-08:00
Subject: the weather will be fine today
Subject:;lang=fr beau temps prevu pour aujourd'hui
NS: MyFeatures <mid:MessageFeatures@id.foo.com>
Require: MyFeatures.VitalMessageOption
MyFeatures.VitalMessageOption: Confirmation-requested
MyFeatures.WackyMessageOption: Use-silly-font

Content-type: text/xml; charset=utf-8
Content-ID: <1234567890@foo.com>

<body>
Here is the text of my message.
</body>
""".replace("\n", "\r\n").encode()
FEATURES = "mid:MessageFeatures@id.foo.com"

_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


class ReadingTests(SynchronousTestCase):
    """What a peer has sent."""

    def test_example(self) -> None:
        """The example of RFC 3862 section 5.1, with its namespaces, languages and dates."""
        message = CpimMessage.parse(EXAMPLE)
        assert message.from_ is not None
        self.assertEqual((message.from_.name, message.from_.uri), ("MR SANDERS", "im:piglet@100akerwood.com"))
        self.assertEqual([str(each) for each in message.to], ['"Depressed Donkey"<im:eeyore@100akerwood.com>'])
        self.assertEqual((message.cc, message.date), ([], 976743600.0))
        self.assertEqual([each.params for each in message.get_all("Subject")], ["", ";lang=fr"])
        self.assertEqual(message.subject, "the weather will be fine today")
        self.assertEqual(message.get("VitalMessageOption", FEATURES), "Confirmation-requested")
        self.assertIsNone(message.get("VitalMessageOption"))
        self.assertEqual(message.mime["Content-ID"], "<1234567890@foo.com>")
        self.assertEqual((str(message.content_type), message.text()[:6]), ("text/xml;charset=utf-8", "<body>"))

    def test_required(self) -> None:
        """A field that must be understood and is not is named (section 3.5)."""
        message = CpimMessage.parse(EXAMPLE)
        self.assertEqual(message.unmet(lambda space, name: space == CORE), [f"{FEATURES} VitalMessageOption"])
        self.assertEqual(message.unmet(lambda space, name: (space, name) == (FEATURES, "VitalMessageOption")), [])

    def test_prefixes_mean_nothing(self) -> None:
        """The three ways of RFC 3862 section 3.4 to write one field are one field."""
        wily = b"<http://id.acme.widgets/wily-headers/>\r\n"
        fields = {
            CpimMessage.parse(b"NS: " + prefix + wily + name + b"runner-trap: set\r\n\r\n\r\n").fields
            for prefix, name in ((b"acme ", b"acme."), (b"widget ", b"widget."), (b"", b""), (b"acme", b"acme."))
        }
        self.assertEqual(fields, {(CpimField("runner-trap", "set", "http://id.acme.widgets/wily-headers/"),)})

    def test_default_namespace(self) -> None:
        """An NS field without a prefix changes what names without one mean (section 3.4)."""
        message = CpimMessage.parse(b"NS: <urn:x>\r\nMood: fine\r\n\r\n\r\nx")
        self.assertEqual((message.get("Mood", "urn:x"), message.get("Mood")), ("fine", None))

    def test_escapes(self) -> None:
        """Escapes in values are undone, a pair of halves is one character, and what is no escape is the character after
        the backslash; a backslash at the end is nothing (section 2.3.1)."""
        message = CpimMessage.parse(b'Subject: a\\tb\\u00e9\\\\\r\nFrom: "x \\"y\\"" <im:a@b>\r\n\r\n\r\n')
        assert message.from_ is not None
        self.assertEqual((message.subject, message.from_.name), ("a\tb\xe9\\", 'x "y"'))
        for written, meant in (
            (b"\\q\\U0041", "qU0041"),
            (b"\\ud800", "ud800"),
            (b"\\udc00\\ud800", "udc00ud800"),
            (b"\\u12", "u12"),
            (b"\\ud83d\\uDE00", "\U0001f600"),
            (b"x\\", "x"),
        ):
            self.assertEqual(CpimMessage.parse(b"Subject: " + written + b"\r\n\r\n\r\n").subject, meant)

    def test_names_are_exact(self) -> None:
        """A field in other letters is another field, and means nothing to anybody (section 2.2)."""
        message = CpimMessage.parse(
            b"from: nobody\r\nSUBJECT: x\r\nrequire: applause\r\nns: x\r\nSubject: y\r\n\r\n\r\n"
        )
        self.assertEqual((message.from_, message.subject, message.unmet(lambda _, __: False)), (None, "y", []))
        self.assertEqual([each.name for each in message.fields], ["from", "SUBJECT", "require", "ns", "Subject"])

    def test_parameters(self) -> None:
        """A value in quotes may have escaped quotes, and what else ends a parameter elsewhere (section 3.6)."""
        [field] = CpimMessage.parse(b'Subject:;lang=en;x="a\\": ;b" So\r\n\r\n\r\n').fields
        self.assertEqual((field.params, field.text), (';lang=en;x="a\\": ;b"', "So"))
        self.assertRaises(MalformedDocument, CpimMessage.parse, b"Subject:;x=\1 So\r\n\r\n\r\n")

    def test_empty_parts(self) -> None:
        """Either header section may be empty; what is in it then is plain text."""
        message = CpimMessage.parse(b"\r\n\r\nhello")
        self.assertEqual((message.fields, message.content_type, message.text()), ((), None, "hello"))

    def test_malformed(self) -> None:
        """What cannot be read is refused, and so is what has more fields, or larger ones, than we take."""
        for octets in (
            b"",
            b"From: <im:a@b>\r\n",
            b"From <im:a@b>\r\n\r\n\r\n",
            b"x.y: z\r\n\r\n\r\n",
            b"NS: x\r\n\r\n\r\n",
            b"Require: x.y\r\n\r\n\r\n",
            b"From: \xff\r\n\r\n\r\n",
            b"From: a\0b\r\n\r\n\r\n",
            b"\r\nContent-Type\r\n\r\n",
            b"\r\nno empty line",
            b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n\r\n",
            b"\r\n" + b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n",
            b"A: " + b"b" * MAX_HEAD + b"\r\n\r\n\r\n",
        ):
            self.assertRaises(MalformedDocument, CpimMessage.parse, octets)
        for octets in (b"From: nobody\r\n\r\n\r\n", b"DateTime: today\r\n\r\n\r\n", b"\r\nContent-Type: x\r\n\r\n"):
            message = CpimMessage.parse(octets)
            with self.assertRaises(MalformedDocument):
                _ = (message.from_, message.date, message.content_type)

    def test_long_blanks(self) -> None:
        """Many blanks cost no more than their number."""
        blank = b" " * (MAX_HEAD - 200)
        message = CpimMessage.parse(b"From:" + blank + b"x\r\n\r\n\r\n")
        with self.assertRaises(MalformedDocument):
            _ = message.from_

    @given(st.binary(max_size=200))
    def test_anything(self, octets: bytes) -> None:
        """Any octets are a message or refused, and a message says what it has or refuses."""
        try:
            message = CpimMessage.parse(octets)
            _ = (message.from_, message.to, message.cc, message.date, message.subject, message.content_type)
        except MalformedDocument:
            return
        CpimMessage.parse(message.to_bytes())


class WritingTests(SynchronousTestCase):
    """What we send."""

    def test_namespaces_are_said(self) -> None:
        """A namespace is said before its first field, also one that only a Require names."""
        fields = (
            CpimField("Require", "urn:y Now"),
            CpimField("Mood", "fine", "urn:x"),
            CpimField("Now", "yes", "urn:y"),
        )
        octets = CpimMessage(b"x", "text/plain", fields=fields).to_bytes()
        self.assertEqual(
            octets,
            b"NS: ns1 <urn:y>\r\nRequire: ns1.Now\r\nNS: ns2 <urn:x>\r\nns2.Mood: fine\r\nns1.Now: yes\r\n\r\n"
            b"Content-Type: text/plain\r\n\r\nx",
        )
        self.assertEqual(CpimMessage.parse(octets).fields, fields)

    def test_injection(self) -> None:
        """Nothing that is written ends a field early (fault:B1)."""
        for wrong in ("a\r\nb", "a\nb", "a\0b"):
            self.assertRaises(ValueError, CpimField, "X", wrong)
            self.assertRaises(ValueError, CpimField, wrong, "x")
            self.assertRaises(ValueError, CpimField, "X", "x", wrong)
            self.assertRaises(ValueError, CpimField, "X", "x", CORE, f";{wrong}")
            self.assertRaises(ValueError, CpimAddress, f"im:{wrong}")
            self.assertRaises(ValueError, CpimMessage, b"", "text/plain", mime=(("X", wrong),))
        self.assertNotIn(b"\nb", CpimMessage(b"", subject="a\r\nb").to_bytes())
        self.assertNotIn(b"\nb", CpimMessage(b"", from_=CpimAddress("im:a", "a\r\nb")).to_bytes())
        self.assertRaises(ValueError, CpimField, "X", "x", CORE, "lang=fr")

    def test_names_of_people(self) -> None:
        """A name in quotes stands right before the angle bracket (sections 3.6 and 4.1)."""
        self.assertEqual(str(CpimAddress("im:a@b", 'A "B" \\')), '"A \\"B\\" \\\\"<im:a@b>')
        self.assertEqual(str(CpimAddress("im:a@b")), "<im:a@b>")

    def test_control_characters(self) -> None:
        """What came with control characters in it goes out with escapes instead of them (section 2.2)."""
        message = CpimMessage.parse(b"Subject: a\tb\x01\x7f\\t\r\n\r\n\r\n")
        self.assertEqual(message.to_bytes(), b"Subject: a\\tb\\u0001\\u007f\\t\r\n\r\n\r\n")

    def test_what_is_escaped(self) -> None:
        """Control characters and backslashes are escaped, the common ones by their letter, and nothing else is (section
        2.3.1)."""
        octets = CpimMessage(b"", subject="\\\b\t\n\r\0\x1f\x7f\"'\x85\u2028\xe9").to_bytes()
        self.assertEqual(
            octets, b"Subject: \\\\\\b\\t\\n\\r\\u0000\\u001f\\u007f\"'" + "\x85\u2028\xe9\r\n\r\n\r\n".encode()
        )

    @given(_texts, _texts, st.binary(max_size=60), st.integers(0, 2**32))
    def test_round_trip(self, name: str, subject: str, content: bytes, date: int) -> None:
        """What is written is read as what it was."""
        sender = CpimAddress("im:a@b.example", name.strip(" \t"))
        written = CpimMessage(
            content, "text/plain", from_=sender, to=(sender,), cc=(sender,), date=date, subject=subject
        )
        read = CpimMessage.parse(written.to_bytes())
        self.assertEqual(read.fields, written.fields)
        self.assertEqual((read.from_, read.to, read.cc, read.date), (sender, [sender], [sender], date))
        self.assertEqual((read.subject.strip(" "), read.content), (subject.strip(" "), content))
