"""Reading descriptions, strictly and leniently: :mod:`sip_p2p.sdp.reading`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedDescription
from sip_p2p.sdp import Connection, Origin, SessionDescription, Timing
from sip_p2p.sdp.reading import MOST_LINES, Fault
from tests.sdp.samples import ALICE_3264, SEMINAR, lines

LEAST = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"

STRICT_FAULTS = [
    # octets, the line, what is said of it
    ("", 1, "v= is missing"),
    ("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n", 3, "t= is missing"),
    ("v=0\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n", 4, "o= is missing"),
    ("v=1\r\n", 1, "the version is '1', not 0"),
    ("v=0\r\no=- 1 1 IN IP4\r\n", 2, "an origin has six parts, not 5"),
    ("v=0\r\no=- x 1 IN IP4 192.0.2.1\r\n", 2, "a session id must be a number, not 'x'"),
    ("v=0\r\no=- 1 1 IN IP4 2001:db8::1\r\n", 2, "the address of an origin must be one of IP4, not '2001:db8::1'"),
    ("v=0\r\no=- 1 1 IN IP4 192.0.2.256\r\n", 2, "the address of an origin must be one of IP4, not '192.0.2.256'"),
    (LEAST + "s=again\r\n", 5, "s= stands after t="),
    (LEAST + "x=y\r\n", 5, "'x' is no letter of this part"),
    (LEAST + "nonsense\r\n", 5, "a line is a letter, an equals sign and a value"),
    (LEAST + "\r\n", 5, "a line is a letter, an equals sign and a value"),
    (LEAST + "a=\r\n", 5, "the value of a= is empty"),
    (LEAST + "a=a b\r\n", 5, "the name of an attribute must be a token, not 'a b'"),
    (LEAST + "a=x\x00y\r\n", 5, "the value of a= holds CR, LF or NUL"),
    (LEAST + "a=x\ny\r\n", 5, "the line ends in LF alone, and CRLF is asked for"),
    (LEAST.replace("\r", ""), 1, "the line ends in LF alone, and CRLF is asked for"),
    ("\n", 1, "the line ends in LF alone, and CRLF is asked for"),
    (LEAST + "a=x\ry\r\n", 5, "the value of a= holds CR, LF or NUL"),
    (LEAST + "a=x\r", 5, "the last line does not end in CRLF"),
    (LEAST + "z=0 1\r\nk=clear:x\r\nz=0 1\r\n", 7, "z= stands after k="),
    (LEAST.replace("t=0", "r=7d 1h 0 0\r\nt=0"), 4, "r= repeats a t=, and none stands before it"),
    (LEAST + "c=IN IP4 192.0.2.1\r\n", 5, "c= stands after t="),
    (LEAST + "m=audio 9 RTP/AVP\r\n", 5, "a media line has at least four parts, not 3"),
    (LEAST + "m=audio 65536 RTP/AVP 0\r\n", 5, "a port must lie between 0 and 65535, not 65536"),
    (LEAST + "m=audio -1 RTP/AVP 0\r\n", 5, "a port must be a number, not '-1'"),
    (LEAST + "m=audio 9 RTP//AVP 0\r\n", 5, "a part of a protocol must be a token, not ''"),
    (LEAST + "m=audio 9  RTP/AVP 0\r\n", 5, "a part of a protocol must be a token, not ''"),
    (LEAST + "m=audio 9 RTP/AVP 0\r\n", 5, "neither the session nor this media line has a c="),
    (LEAST + "m=audio 9 RTP/AVP 0\r\na=x\r\nc=IN IP4 192.0.2.1\r\n", 7, "c= stands after a="),
    (
        LEAST + "m=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1/1/2/3\r\n",
        6,
        "too many slashes in the address '192.0.2.1/1/2/3'",
    ),
    (LEAST + "m=audio 9 RTP/AVP 0\r\ni=one\r\ni=two\r\n", 7, "i= stands twice"),
    (LEAST + "b=AS\r\n", 5, "b= stands after t="),
    ("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nb=AS\r\n", 4, "a bandwidth has a kind, a colon and a number"),
    ("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0\r\n", 4, "a time has a start and a stop, not 1 parts"),
    ("v=0\r\no=- ١ 1 IN IP4 192.0.2.1\r\n", 2, "a session id must be a number, not '١'"),
]


class StrictTests(SynchronousTestCase):
    """The grammar and nothing else (RFC 8866 section 9)."""

    def test_the_rfcs_own(self) -> None:
        """The example of RFC 8866 section 5 is read into its parts, and is written as it was (row:K11)."""
        read = SessionDescription.parse(SEMINAR)
        self.assertEqual(read.origin, Origin("198.51.100.1", 3724394400, 3724394405, "jdoe"))
        self.assertEqual((read.name, read.information), ("Call to John Smith", "SDP Offer #1"))
        self.assertEqual(read.timings, (Timing(),))
        self.assertEqual([media.port for media in read.media], [49170, 49180, 51372])
        self.assertEqual(read.connection_of(read.media[2]), Connection("2001:db8::2"))
        self.assertEqual(read.connection_of(read.media[0]), Connection("198.51.100.1"))
        self.assertEqual(bytes(read), SEMINAR)

    def test_every_fault_has_its_line(self) -> None:
        """What the grammar does not allow is refused with the number of its line and words that say why (row:K11)."""
        for octets, line, reason in STRICT_FAULTS:
            with self.subTest(octets=octets):
                error = self.assertRaises(MalformedDescription, SessionDescription.parse, octets)
                # What is missing is noticed where the next part begins; an empty text has no line.
                expected = line if octets else 0
                self.assertEqual((error.line if octets else 0, error.reason), (expected, reason))

    def test_repetitions_belong_to_their_time(self) -> None:
        """Several times with their repetitions stay together, and z= comes after all of them (section 5.10)."""
        octets = LEAST + "r=7d 1h 0 25h\r\nt=5 6\r\nr=1d 1h 0\r\nr=2d 1h 0\r\nz=0 -1h\r\n"
        read = SessionDescription.parse(octets)
        self.assertEqual(read.timings, (Timing(0, 0, ("7d 1h 0 25h",)), Timing(5, 6, ("1d 1h 0", "2d 1h 0"))))
        self.assertEqual(str(read), octets)

    def test_media_with_several_connections(self) -> None:
        """A media line may have more than one c= (section 5.7), and layered multicast counts them."""
        octets = LEAST + "m=video 9/2 RTP/AVP 31\r\nc=IN IP4 233.252.0.1/127/3\r\nc=IN IP6 ff00::db8:0:101/3\r\n"
        read = SessionDescription.parse(octets)
        media = read.media[0]
        self.assertEqual((media.ports, media.connection), (2, Connection("233.252.0.1", 127, 3)))
        self.assertEqual(media.connections, (Connection("ff00::db8:0:101", None, 3),))
        self.assertEqual(str(read), octets)

    def test_octets_that_are_no_utf8_stay(self) -> None:
        """A value in another character set is neither lost nor changed (section 4.5)."""
        octets = LEAST.replace("s=-", "s=caf\xe9").encode("latin-1")
        self.assertEqual(bytes(SessionDescription.parse(octets)), octets)


class LenientTests(SynchronousTestCase):
    """What is meant is understood, and what was wrong is said."""

    def faults(self, octets: bytes | str) -> list[str]:
        """The faults that a lenient reader notes."""
        return [str(fault) for fault in SessionDescription.parse(octets, lenient=True).faults]

    def test_nothing_wrong(self) -> None:
        """A description without faults has none, however it is read (row:K11)."""
        strict, lenient = SessionDescription.parse(ALICE_3264), SessionDescription.parse(ALICE_3264, lenient=True)
        self.assertEqual((lenient, lenient.faults), (strict, ()))

    def test_other_line_ends(self) -> None:
        """Lines may end in LF or in CR, and the last one in nothing (section 5)."""
        for octets in (ALICE_3264.replace(b"\r\n", b"\n"), ALICE_3264.replace(b"\r\n", b"\r"), ALICE_3264[:-2]):
            with self.subTest(octets=octets[-4:]):
                read = SessionDescription.parse(octets, lenient=True)
                self.assertEqual(read, SessionDescription.parse(ALICE_3264))
                self.assertTrue(read.faults)

    def test_what_is_left_out_is_named(self) -> None:
        """What cannot be used is left out, and its line is named (row:K11)."""
        octets = lines(
            """
            v=0
            o=- 1 1 IN IP4 192.0.2.1
            s=x
            c=IN IP4 192.0.2.999
            c=IN IP4 192.0.2.1
            t=0 0
            y=0
            m=audio 9 RTP/AVP 0
            a=rt pmap:0
            m=video nine RTP/AVP 31
            a=lost
            m=text 11 RTP/AVP 98
            """
        )
        read = SessionDescription.parse(octets, lenient=True)
        self.assertEqual([media.kind for media in read.media], ["audio", "text"])
        self.assertEqual(read.connection, Connection("192.0.2.1"))
        self.assertEqual([fault.line for fault in read.faults], [4, 5, 7, 9, 10])
        self.assertEqual(read.faults[-1], Fault(10, "a port must be a number, not 'nine'"))

    def test_what_programs_send(self) -> None:
        """Blanks at line ends, an empty s=, no t=, no o=, an empty line: all of it is understood."""
        octets = b"v=0\r\ns= \r\nc=IN IP4 192.0.2.1 \r\n\r\nm=audio  9 RTP/AVP  0\r\n"
        read = SessionDescription.parse(octets, lenient=True)
        self.assertEqual((read.media[0].formats, read.name), (("0",), "-"))
        self.assertEqual(read.connection, Connection("192.0.2.1"))
        self.assertIn("o= is missing", self.faults(octets))
        self.assertIn("t= is missing", self.faults(octets))

    def test_what_is_none_at_all(self) -> None:
        """Octets in which there is no session are refused leniently too."""
        for octets in (b"", b"hello", b"v=0\r\n", b"<xml/>\r\n"):
            with self.subTest(octets=octets), self.assertRaises(MalformedDescription):
                SessionDescription.parse(octets, lenient=True)

    def test_bounded(self) -> None:
        """A description of more lines than anybody needs is refused before it is read."""
        octets = LEAST + "a=x\r\n" * MOST_LINES
        for lenient in (False, True):
            with self.subTest(lenient=lenient), self.assertRaises(MalformedDescription):
                SessionDescription.parse(octets, lenient=lenient)

    @given(st.binary(max_size=400) | st.text(alphabet="vosmatc=-0 19./\r\nINP46:", max_size=200))
    def test_anything_at_all(self, octets: bytes | str) -> None:
        """Whatever comes, it is read or refused with these words; and what is read can be written and read again."""
        for lenient in (False, True):
            try:
                read = SessionDescription.parse(octets, lenient=lenient)
            except MalformedDescription:
                continue
            self.assertEqual(SessionDescription.parse(bytes(read), lenient=True), read)
