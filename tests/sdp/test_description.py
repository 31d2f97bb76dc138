"""Sessions and media lines as values: :mod:`sip_p2p.sdp.description`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sdp import (
    Attribute,
    Bandwidth,
    Codec,
    Connection,
    Direction,
    MediaDescription,
    Origin,
    SessionDescription,
    Timing,
)
from tests.sdp.samples import ALICE_3264

_token = st.text(alphabet="abcXYZ019-._+!", min_size=1, max_size=8)
_line = st.text(min_size=1, max_size=20).filter(
    lambda text: not set(text) & set("\r\n\0") and not any(0xD800 <= ord(each) <= 0xDFFF for each in text)
)
_addresses = st.ip_addresses().map(str)
_attributes = st.lists(st.builds(Attribute, _token, st.none() | _line), max_size=4)
_connections = st.builds(Connection, _addresses)
_media = st.builds(
    MediaDescription,
    _token,
    st.integers(0, 65535),
    st.sampled_from(["RTP/AVP", "RTP/SAVPF", "udp", "TCP/MSRP"]),
    st.lists(_token, min_size=1, max_size=4),
    _attributes,
    _connections,
    st.none() | _line,
    st.lists(st.builds(Bandwidth, _token, st.integers(0, 10**9)), max_size=2),
    st.none() | st.integers(0, 65535),
    st.none() | _line,
    st.lists(_connections, max_size=2),
)
_sessions = st.builds(
    SessionDescription,
    st.builds(Origin, _addresses, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), _token),
    st.lists(_media, max_size=4),
    _line,
    st.none() | _connections,
    _attributes,
    timings=st.lists(
        st.builds(Timing, st.integers(0, 10**12), st.integers(0, 10**12), st.lists(_line, max_size=2).map(tuple)),
        min_size=1,
        max_size=3,
    ),
    information=st.none() | _line,
    uri=st.none() | _line,
    emails=st.lists(_line, max_size=2),
    phones=st.lists(_line, max_size=2),
    zones=st.none() | _line,
    key=st.none() | _line,
)


class DescriptionTests(SynchronousTestCase):
    """What is made can be written, and what is written can be read."""

    @given(_sessions)
    def test_round_trip(self, made: SessionDescription) -> None:
        """A description that could be made is the same after it was written and read strictly (row:K11)."""
        self.assertEqual(SessionDescription.parse(bytes(made)), made)

    @given(st.sampled_from(["\r", "\n", "\0", "\r\na=evil:1"]), _line)
    def test_no_value_begins_a_line(self, poison: str, text: str) -> None:
        """No part can hold what would end its line, wherever it is put in."""
        bad = text + poison
        origin = Origin("192.0.2.1", 1)
        for make in (
            lambda: Origin(bad, 1),
            lambda: Origin("192.0.2.1", 1, 1, bad),
            lambda: Connection(bad),
            lambda: Bandwidth(bad, 1),
            lambda: Timing(0, 0, (bad,)),
            lambda: Attribute(bad),
            lambda: Attribute("x", bad),
            lambda: Codec(0, bad, 8000),
            lambda: Codec(0, "PCMU", 8000, 1, bad),
            lambda: MediaDescription(bad, 9, "udp", ("x",)),
            lambda: MediaDescription("audio", 9, bad, ("x",)),
            lambda: MediaDescription("audio", 9, "udp", (bad,)),
            lambda: MediaDescription("audio", 9, "udp", ("x",), information=bad),
            lambda: SessionDescription(origin, name=bad),
            lambda: SessionDescription(origin, emails=(bad,)),
            lambda: SessionDescription(origin, key=bad),
        ):
            self.assertRaises(ValueError, make)

    def test_what_cannot_be(self) -> None:
        """A media line has a format and a port that there is, and a description says when."""
        self.assertRaises(ValueError, MediaDescription, "audio", 9, "udp", ())
        self.assertRaises(ValueError, MediaDescription, "audio", 65536, "udp", ("x",))
        self.assertRaises(ValueError, SessionDescription, Origin("192.0.2.1", 1), timings=())

    def test_directions(self) -> None:
        """A media line's direction counts before the session's, and both before the usual one (section 6.7)."""
        read = SessionDescription.parse(ALICE_3264)
        self.assertIs(read.direction_of(read.media[0]), Direction.SENDRECV)
        session = read.replace(attributes=[Attribute("recvonly")])
        self.assertIs(session.direction_of(session.media[0]), Direction.RECVONLY)
        media = session.media[0].replace(attributes=[Attribute("inactive")])
        changed = session.with_media(0, media)
        self.assertEqual((changed.direction_of(media), media.direction), (Direction.INACTIVE, Direction.INACTIVE))

    def test_media_of_codecs(self) -> None:
        """A media line for RTP writes its maps and parameters, and reads them back."""
        codecs = [Codec(0, "PCMU", 8000), Codec(111, "opus", 48000, 2, "useinbandfec=1")]
        media = MediaDescription.of_codecs("audio", 9, codecs, direction=Direction.SENDONLY)
        self.assertEqual(media.codecs, codecs)
        self.assertEqual((media.formats, media.direction), (("0", "111"), Direction.SENDONLY))
        self.assertEqual(media.value("rtpmap"), "0 PCMU/8000")
        self.assertEqual(media.values("fmtp"), ["111 useinbandfec=1"])

    def test_rejected(self) -> None:
        """Port 0 refuses a stream, unless it says that it only goes with others (RFC 9143)."""
        media = MediaDescription("audio", 0, "RTP/AVP", ("0",))
        self.assertTrue(media.is_rejected)
        self.assertFalse(media.replace(attributes=[Attribute("bundle-only")]).is_rejected)
