"""Payload types: :mod:`sip_p2p.sdp.codecs`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sdp.attributes import Attribute
from sip_p2p.sdp.codecs import STATIC, Codec, attributes_of_codecs, read_codecs


class CodecTests(SynchronousTestCase):
    """What numbers stand for."""

    def test_static_numbers_need_no_map(self) -> None:
        """Numbers of RFC 3551 mean what they mean there, unless a map says otherwise."""
        self.assertEqual(read_codecs(["0", "8", "10"], []), [STATIC[0], STATIC[8], Codec(10, "L16", 44100, 2)])
        self.assertEqual(read_codecs(["0"], [Attribute("rtpmap", "0 X/1")]), [Codec(0, "X", 1)])

    def test_what_stands_for_nothing_is_left_out(self) -> None:
        """Numbers without a meaning, maps that cannot be read and what is no number are left out."""
        attributes = [Attribute("rtpmap", "97 opus"), Attribute("rtpmap", "98 a b/8000"), Attribute("rtpmap")]
        self.assertEqual(read_codecs(["96", "97", "98", "t38", "128", "٣"], attributes), [])

    def test_the_same_encoding(self) -> None:
        """Encodings are compared by name, rate and channels, whatever their numbers (RFC 3264 section 6.1)."""
        self.assertTrue(Codec(96, "opus", 48000, 2).is_same(Codec(111, "OPUS", 48000, 2, "x=1")))
        self.assertFalse(Codec(96, "opus", 48000, 2).is_same(Codec(96, "opus", 48000)))
        self.assertFalse(Codec(9, "G722", 8000).is_same(Codec(9, "G722", 16000)))

    def test_written_and_read(self) -> None:
        """Codecs are the same after they were written and read."""
        codecs = [Codec(0, "PCMU", 8000), Codec(101, "telephone-event", 8000, 1, "0-15")]
        self.assertEqual(read_codecs(["0", "101"], attributes_of_codecs(codecs)), codecs)

    def test_what_cannot_be(self) -> None:
        """Numbers, rates and channels have their bounds."""
        for arguments in ((128, "x", 1), (-1, "x", 1), (0, "x", -1), (0, "x", 1, 0), (0, "x", 1, 256)):
            with self.subTest(arguments=arguments), self.assertRaises(ValueError):
                Codec(*arguments)  # type: ignore[arg-type]
