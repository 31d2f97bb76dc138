"""Offers and answers of SDP, media line by media line: :mod:`sip_p2p.sdp.offer_answer`."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sdp import (
    Ability,
    Attribute,
    Codec,
    Connection,
    Direction,
    MediaDescription,
    Origin,
    SessionDescription,
    Timing,
    agreed_streams,
    answer_faults,
    held,
    make_answer,
    next_offer,
    next_offer_faults,
    resumed,
)
from tests.sdp.samples import ALICE_3264, BOB_3264, lines

PCMU, PCMA, EVENTS = Codec(0, "PCMU", 8000), Codec(8, "PCMA", 8000), Codec(101, "telephone-event", 8000, 1, "0-15")
MPV = Codec(32, "MPV", 90000)
OPUS = Codec(111, "opus", 48000, 2)
SPEECH = Ability("audio", 49920, [PCMU, PCMA, EVENTS])


def offering(*media: MediaDescription) -> SessionDescription:
    """An offer of Alice's."""
    return SessionDescription(Origin("192.0.2.1", 7), media, connection=Connection("192.0.2.1"))


def audio(*codecs: Codec, direction: Direction | None = None) -> MediaDescription:
    """A line of speech."""
    return MediaDescription.of_codecs("audio", 40000, codecs or [PCMU], direction=direction)


class AnswerTests(SynchronousTestCase):
    """RFC 3264 section 6."""

    def test_the_rfcs_own(self) -> None:
        """Bob of RFC 3264 section 10.1 answers as he does there: one video is refused, the other taken (row:K11)."""
        offer = SessionDescription.parse(ALICE_3264)
        abilities = [Ability("audio", 49920, [PCMU]), Ability("video", 53000, [MPV])]
        answer = make_answer(offer, abilities, "host.example.com")
        theirs = SessionDescription.parse(BOB_3264)
        self.assertEqual([media.port for media in answer.media], [media.port for media in theirs.media])
        self.assertEqual([media.formats for media in answer.media], [media.formats for media in theirs.media])
        self.assertEqual((answer_faults(offer, answer), answer_faults(offer, theirs)), ([], []))
        streams = agreed_streams(offer, theirs, is_offerer=True)
        self.assertEqual([(each.index, each.port) for each in streams], [(0, 49920), (2, 53000)])
        self.assertEqual(streams[0].address, "host.example.com")

    def test_numbers_and_order_are_the_offers(self) -> None:
        """The answer keeps the offer's payload numbers and their order, with our parameters (section 6.1)."""
        offer = offering(audio(Codec(96, "telephone-event", 8000, 1, "0-11"), Codec(97, "PCMA", 8000), OPUS))
        answer = make_answer(offer, [SPEECH], "192.0.2.2")
        expected = [Codec(96, "telephone-event", 8000, 1, "0-15"), Codec(97, "PCMA", 8000)]
        self.assertEqual(answer.media[0].codecs, expected)

    def test_events_alone_are_no_speech(self) -> None:
        """A line of which only the telephone events are common is refused."""
        offer = offering(audio(OPUS, EVENTS), audio(PCMU))
        answer = make_answer(offer, [SPEECH], "192.0.2.2")
        self.assertEqual([media.port for media in answer.media], [0, 49920])

    def test_nothing_in_common(self) -> None:
        """An offer of which nothing is acceptable has no answer (row:K11)."""
        self.assertRaises(ValueError, make_answer, offering(audio(OPUS)), [SPEECH], "192.0.2.2")

    def test_an_offer_without_media(self) -> None:
        """An offer without media lines is answered without media lines (section 5)."""
        self.assertEqual(make_answer(offering(), [SPEECH], "192.0.2.2").media, ())

    def test_each_ability_once(self) -> None:
        """Two lines are not sent to one port."""
        answer = make_answer(offering(audio(), audio()), [SPEECH], "192.0.2.2")
        self.assertEqual([media.port for media in answer.media], [49920, 0])

    def test_directions(self) -> None:
        """Each direction is answered from this side, and never with more than we do (section 6.1)."""
        for offered, ours in product(Direction, repeat=2):
            with self.subTest(offered=offered, ours=ours):
                offer = offering(audio(direction=offered))
                answer = make_answer(offer, [Ability("audio", 9, [PCMU], direction=ours)], "192.0.2.2")
                self.assertIs(answer.direction_of(answer.media[0]), offered.reversed.within(ours))
                self.assertEqual(answer_faults(offer, answer), [])

    def test_the_hold_of_rfc_2543(self) -> None:
        """Nothing is sent to 0.0.0.0 (section 8.4)."""
        offer = offering(audio()).replace(connection=Connection("0.0.0.0"))
        answer = make_answer(offer, [SPEECH], "192.0.2.2")
        self.assertIs(answer.direction_of(answer.media[0]), Direction.RECVONLY)
        stream = agreed_streams(offer, answer, is_offerer=False)[0]
        self.assertEqual((stream.address, stream.direction), ("", Direction.RECVONLY))

    def test_times_are_the_offers(self) -> None:
        """An answer is for the same time (section 6)."""
        offer = offering(audio()).replace(timings=[Timing(5, 9)])
        self.assertEqual(make_answer(offer, [SPEECH], "192.0.2.2").timings, (Timing(5, 9),))

    def test_whose_it_is(self) -> None:
        """An answer from the address of the offer has an origin of its own all the same (section 6)."""
        offer = offering(audio())
        answer = make_answer(offer, [SPEECH], "192.0.2.1")
        self.assertNotEqual(answer.origin.session, offer.origin.session)
        self.assertEqual(make_answer(offer, [SPEECH], "192.0.2.2").origin.session_id, offer.origin.session_id)

    def test_everything_has_ended(self) -> None:
        """An offer that ends every stream is answered so (section 8.2); nothing in it was refused."""
        ended = held(offering(audio())).with_media(0, audio().replace(port=0))
        answer = make_answer(ended, [SPEECH], "192.0.2.2")
        self.assertEqual(([media.port for media in answer.media], answer_faults(ended, answer)), ([0], []))
        other = offering(audio().replace(port=0), audio(OPUS))
        self.assertRaises(ValueError, make_answer, other, [SPEECH], "192.0.2.2")

    def test_other_protocols(self) -> None:
        """A protocol that no ability names is refused; what is no RTP has its formats taken as they are."""
        secure = audio().replace(protocol="RTP/SAVP")
        fax = MediaDescription("image", 9, "udptl", ("t38",))
        answer = make_answer(offering(secure, fax), [SPEECH, Ability("image", 11, protocols=("UDPTL",))], "192.0.2.2")
        self.assertEqual([(media.port, media.protocol) for media in answer.media], [(0, "RTP/SAVP"), (11, "udptl")])
        self.assertEqual(answer.media[1].formats, ("t38",))

    def test_what_is_wrong_with_an_answer(self) -> None:
        """Every way in which an answer does not answer is said in words (row:K11)."""
        offer = offering(audio(PCMU, direction=Direction.SENDONLY), MediaDescription("image", 0, "udptl", ("t38",)))
        good = make_answer(offer, [SPEECH], "192.0.2.2")
        line = good.media[0]
        for changed, words in (
            (good.replace(media=good.media[:1]), "it has 1 media lines, and the offer 2"),
            (good.replace(timings=[Timing(5, 9)]), "its times are not those of the offer"),
            (good.with_media(0, line.replace(kind="video")), "media line 1 is video, and was offered as audio"),
            (
                good.with_media(0, line.replace(protocol="RTP/SAVP")),
                "media line 1 is RTP/SAVP, and was offered as RTP/AVP",
            ),
            (good.with_media(0, audio(PCMU)), "media line 1 is sendrecv, and was offered as sendonly"),
            (good.with_media(0, audio(OPUS, direction=Direction.RECVONLY)), "media line 1 has no format of the offer"),
            (good.with_media(1, good.media[1].replace(port=9)), "media line 2 is taken, and was not offered"),
        ):
            with self.subTest(words=words):
                self.assertEqual(answer_faults(offer, changed), [words])

    @given(st.data())
    def test_what_we_answer_is_never_wrong(self, data: st.DataObject) -> None:
        """Whatever is offered and whatever we can do, our answer has no fault, and both sides agree on the streams."""
        kinds = st.sampled_from(["audio", "video"])
        codecs = st.lists(st.sampled_from([PCMU, PCMA, EVENTS, OPUS, MPV]), min_size=1, max_size=4, unique=True)
        directions = st.sampled_from(list(Direction))
        media = st.builds(
            lambda kind, port, them, way: MediaDescription.of_codecs(kind, port, them, direction=way),
            *(kinds, st.sampled_from([0, 9]), codecs, st.none() | directions),
        )
        offer = offering(*data.draw(st.lists(media, max_size=4)))
        abilities = data.draw(
            st.lists(
                st.builds(lambda kind, them, way: Ability(kind, 9, them, direction=way), kinds, codecs, directions)
            )
        )
        try:
            answer = make_answer(offer, abilities, "192.0.2.2")
        except ValueError:
            return
        self.assertEqual(answer_faults(offer, answer), [])
        ours = agreed_streams(offer, answer, is_offerer=False)
        theirs = agreed_streams(offer, answer, is_offerer=True)
        self.assertEqual([each.direction.reversed for each in ours], [each.direction for each in theirs])
        self.assertEqual(SessionDescription.parse(bytes(answer)), answer)


class NextOfferTests(SynchronousTestCase):
    """RFC 3264 section 8."""

    def test_hold_and_resume(self) -> None:
        """Holding sends on and receives nothing, resuming is as before, and each raises the version (section 8.4)."""
        first = offering(audio(), MediaDescription("image", 0, "udptl", ("t38",)))
        hold = held(first)
        self.assertEqual((hold.direction_of(hold.media[0]), hold.origin.version), (Direction.SENDONLY, 2))
        self.assertIs(held(hold), hold)
        again = resumed(hold)
        self.assertEqual((again.direction_of(again.media[0]), again.origin.version), (Direction.SENDRECV, 3))
        quiet = held(offering(audio(direction=Direction.RECVONLY)))
        self.assertIs(quiet.direction_of(quiet.media[0]), Direction.INACTIVE)
        for before, after in ((first, hold), (hold, again), (hold, hold)):
            self.assertEqual(next_offer_faults(before, after), [])

    def test_places_are_kept(self) -> None:
        """A stream that ends keeps its line with port 0, and a new one comes after it (sections 8.1 and 8.2)."""
        first = offering(audio(), audio(PCMA))
        ended = next_offer(first, first.media[:1])
        self.assertEqual([media.port for media in ended.media], [40000, 0])
        self.assertEqual(next_offer_faults(first, ended), [])
        fax = MediaDescription("image", 9, "udptl", ("t38",))
        reused = next_offer(ended, [*ended.media[:1], fax])
        self.assertEqual((reused.media[1].kind, next_offer_faults(ended, reused)), ("image", []))
        self.assertIs(next_offer(first, first.media), first)

    def test_the_rfcs_own(self) -> None:
        """Bob of RFC 3264 section 10.1 moves his audio and adds a stream, and Alice of section 10.2 settles on one
        codec of those that Bob can do (row:K11)."""
        bob, alice = SessionDescription.parse(BOB_3264), SessionDescription.parse(ALICE_3264)
        events = Codec(110, "telephone-events", 8000)
        moved = bob.media[0].replace(port=65422)
        added = MediaDescription.of_codecs("audio", 51434, [events], direction=Direction.RECVONLY)
        offer = next_offer(bob, [moved, *bob.media[1:], added])
        self.assertEqual((offer.origin.version, next_offer_faults(bob, offer)), (2890844731, []))
        theirs = MediaDescription.of_codecs("audio", 53122, [events], direction=Direction.SENDONLY)
        answer = next_offer(alice, [alice.media[0], alice.media[1].replace(port=0), alice.media[2], theirs])
        self.assertEqual((answer.origin.version, answer_faults(offer, answer)), (2890844527, []))
        codecs = [PCMU, Codec(4, "G723", 8000), Codec(18, "G729", 8000)]
        first = offering(audio(*codecs, direction=Direction.INACTIVE))
        chosen = make_answer(first, [Ability("audio", 54344, codecs[:2])], "192.0.2.2")
        self.assertEqual(chosen.media[0].formats, ("0", "4"))
        self.assertIs(chosen.direction_of(chosen.media[0]), Direction.INACTIVE)
        settled = next_offer(first, [audio(codecs[1], direction=Direction.SENDRECV)])
        self.assertEqual((settled.origin.version, next_offer_faults(first, settled)), (2, []))

    def test_another_kind(self) -> None:
        """A stream may become one of another kind, as speech does that turns out to be a fax (section 8.3.3)."""
        first = offering(audio())
        fax = next_offer(first, [MediaDescription("image", 9, "udptl", ("t38",))])
        self.assertEqual((fax.media[0].kind, fax.origin.version, next_offer_faults(first, fax)), ("image", 2, []))

    def test_numbers_are_kept(self) -> None:
        """A number of a stream never comes to mean another codec (section 8.3.2); another number may mean the same."""
        first = offering(audio(PCMU, OPUS))
        taken, added = Codec(111, "AMR", 8000), Codec(112, "opus", 48000, 2)
        self.assertEqual(next_offer_faults(first, next_offer(first, [audio(PCMU, OPUS, added)])), [])
        self.assertRaises(ValueError, next_offer, first, [audio(PCMU, taken)])
        changed = first.with_media(0, audio(PCMU, taken)).replace(origin=first.origin.next())
        words = "media line 1 has AMR/8000 for 111, which was opus/48000/2"
        self.assertEqual(next_offer_faults(first, changed), [words])
        ended = next_offer(first, [])
        self.assertEqual(next_offer_faults(ended, next_offer(ended, [audio(PCMU, taken)])), [])

    def test_what_is_wrong_with_a_next_offer(self) -> None:
        """Every way in which an offer does not follow the last one is said in words (row:K11)."""
        first = offering(audio(), audio(PCMA))
        line = first.media[0].replace(port=9)
        for changed, words in (
            (first.with_media(0, line), "it differs from the last one, and its version does not"),
            (first.replace(origin=Origin("192.0.2.1", 7, 5)), "its version is 5 after 1"),
            (
                first.with_media(0, line).replace(origin=Origin("192.0.2.1", 7, 0)),
                "its version 0 is lower than the last one, 1",
            ),
            (
                first.replace(origin=Origin("192.0.2.1", 8)),
                "its origin is - 8 1 IN IP4 192.0.2.1, and was - 7 1 IN IP4 192.0.2.1",
            ),
        ):
            with self.subTest(words=words):
                self.assertEqual(next_offer_faults(first, changed), [words])
        shorter = first.replace(media=first.media[:1], origin=first.origin.next())
        self.assertEqual(next_offer_faults(first, shorter), ["it has 1 media lines, and the session has 2"])

    def test_a_browsers_offer(self) -> None:
        """An offer with what we do not know is answered by what we do, and the rest is not taken up."""
        offer = SessionDescription.parse(
            lines(
                """
                v=0
                o=- 4611731400430051336 2 IN IP4 127.0.0.1
                s=-
                t=0 0
                a=group:BUNDLE 0
                a=msid-semantic: WMS
                m=audio 9 UDP/TLS/RTP/SAVPF 111 0
                c=IN IP4 0.0.0.0
                a=rtcp:9 IN IP4 0.0.0.0
                a=ice-ufrag:4ZcD
                a=rtpmap:111 opus/48000/2
                a=sendrecv
                """
            )
        )
        ability = Ability("audio", 9000, [OPUS], protocols=("UDP/TLS/RTP/SAVPF",), attributes=[Attribute("mid", "0")])
        answer = make_answer(offer, [ability], "192.0.2.2")
        self.assertEqual((answer.media[0].formats, answer.value("group")), (("111",), None))
        self.assertEqual(answer.media[0].value("mid"), "0")
