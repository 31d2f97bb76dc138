"""What programs without media offer and answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sip_p2p.errors import OfferRejected
from sip_p2p.sdp import Direction, SessionDescription, answer_faults, next_offer_faults
from sip_p2p.service.silence import Echo, Silence, silent_answer, silent_offer
from sip_p2p.sip.dialog.description import ContentDescription
from tests.support import SynchronousTestCase

OFFER = ContentDescription(
    "v=0\r\no=- 7 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\nm=video 40002 RTP/SAVP 96\r\na=rtpmap:96 VP8/90000\r\n"
)


def session(local: ContentDescription | None = None, remote: ContentDescription | None = None) -> Any:
    """As much of a session as is asked here."""
    return SimpleNamespace(local_description=local, remote_description=remote)


def read(description: ContentDescription) -> SessionDescription:
    """What it says, strictly."""
    return SessionDescription.parse(description.body)


class DescriptionTests(SynchronousTestCase):
    """:func:`silent_offer` and :func:`silent_answer`."""

    def test_an_offer(self) -> None:
        """One audio stream on which nobody sends; no two sessions have the same origin."""
        (audio,) = read(silent_offer()).media
        self.assertEqual((audio.kind, audio.port, audio.direction), ("audio", 9, Direction.INACTIVE))
        self.assertEqual([codec.encoding for codec in audio.codecs], ["PCMU", "PCMA"])
        self.assertNotEqual(read(silent_offer()).origin.session, read(silent_offer()).origin.session)

    def test_an_answer(self) -> None:
        """row:H24: plain RTP is taken in silence, everything else refused, and no rule of RFC 3264 is broken."""
        answer = read(silent_answer(OFFER))
        self.assertEqual(answer_faults(read(OFFER), answer), [])
        self.assertEqual([(line.port, line.direction) for line in answer.media], [(9, Direction.INACTIVE), (0, None)])

    def test_the_next_answer(self) -> None:
        """What follows our last description has its origin, and another version only where it says something else."""
        first = silent_answer(OFFER)
        self.assertEqual(silent_answer(OFFER, first), first)
        less = ContentDescription(OFFER.body.replace(b"m=video 40002", b"m=video 0"))
        more = ContentDescription(OFFER.body + b"m=audio 40004 RTP/AVP 8\r\n")
        self.assertEqual(silent_answer(less, first), first)
        after = silent_answer(more, first)
        self.assertEqual(next_offer_faults(read(first), read(after)), [])
        self.assertEqual(read(after).origin, read(first).origin.next())

    def test_what_is_refused(self) -> None:
        """No SDP, broken SDP, and SDP without a stream that is taken."""
        secure = OFFER.body.replace(b"RTP/AVP", b"RTP/SAVP")
        for offer, expected in (
            (ContentDescription("x", "text/plain"), "text/plain is not understood"),
            (ContentDescription("nothing"), ""),
            (ContentDescription(secure), "nothing in the offer is acceptable"),
        ):
            with self.subTest(offer):
                error = self.assertRaises(OfferRejected, silent_answer, offer)
                self.assertTrue(str(error).startswith(expected), str(error))

    def test_after_something_that_is_no_description(self) -> None:
        """Where our last words were no SDP there is nothing to follow."""
        for last in (ContentDescription("x", "text/plain"), ContentDescription("nothing")):
            self.assertEqual(answer_faults(read(OFFER), read(silent_answer(OFFER, last))), [])


class SilenceTests(SynchronousTestCase):
    """:class:`Silence`."""

    def test_offers(self) -> None:
        """The first one is what was given, or silence, or the peer's business; later ones repeat our last words."""
        mine = ContentDescription("x", "text/plain")
        self.assertEqual(read(Silence().get_offer(session()) or mine).media[0].port, 9)
        self.assertIs(Silence(mine).get_offer(session()), mine)
        self.assertIsNone(Silence(mine, is_late=True).get_offer(session()))
        self.assertIs(Silence(mine, is_late=True).get_offer(session(OFFER)), OFFER)

    def test_answers(self) -> None:
        """What was given answers the first offer; the same offer gets the same answer; anything else silence."""
        mine = ContentDescription("x", "text/plain")
        silence = Silence(mine, is_late=True)
        self.assertIs(silence.get_answer(session(), OFFER), mine)
        self.assertIs(silence.get_answer(session(mine, OFFER), OFFER), mine)
        other = ContentDescription(OFFER.body.replace(b"40000", b"40008"))
        self.assertEqual(answer_faults(read(other), read(silence.get_answer(session(mine, OFFER), other))), [])


class EchoTests(SynchronousTestCase):
    """:class:`Echo`."""

    def test_it(self) -> None:
        """An offer is its own answer; whoever asks for an offer gets our last words, or silence."""
        odd = ContentDescription(b"\xff", "application/x-odd")
        self.assertIs(Echo().get_answer(session(), odd), odd)
        self.assertIs(Echo().get_offer(session(odd)), odd)
        self.assertEqual(read(Echo().get_offer(session())).media[0].direction, Direction.INACTIVE)
