"""Ladders, compared with literals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.observe.ladder import MINIMUM_WIDTH, LadderDrawer, ladder, select
from sip_p2p.observe.text import display_width
from sip_p2p.observe.trace import Direction, TraceEvent
from tests.support import SynchronousTestCase


def passed(
    at: float, direction: Direction, start_line: str, *fields: str, peer: str = "b.example", local: str = "a.example"
) -> TraceEvent:
    """One message between *local* and *peer*."""
    return TraceEvent(
        "message",
        at,
        direction=direction,
        local=local,
        remote="192.0.2.7:5061",
        peer=peer,
        head="\r\n".join((start_line, *fields)),
    )


CALL = (
    # RFC 3665 section 3.1, as Alice sees it.
    passed(100.0, "out", "INVITE sip:bob@b.example SIP/2.0", "Call-ID: 3848276298220188511", "CSeq: 1 INVITE"),
    passed(100.031, "in", "SIP/2.0 180 Ringing", "Call-ID: 3848276298220188511", "CSeq: 1 INVITE"),
    passed(103.2, "in", "SIP/2.0 200 OK", "Call-ID: 3848276298220188511", "CSeq: 1 INVITE"),
    passed(103.201, "out", "ACK sip:bob@b.example SIP/2.0", "Call-ID: 3848276298220188511", "CSeq: 1 ACK"),
    passed(163.5, "in", "BYE sip:alice@a.example SIP/2.0", "Call-ID: 3848276298220188511", "CSeq: 1 BYE"),
    passed(163.502, "out", "SIP/2.0 200 OK", "Call-ID: 3848276298220188511", "CSeq: 1 BYE"),
)


class LadderTests(SynchronousTestCase):
    """:func:`ladder` draws what happened."""

    maxDiff = None

    def test_a_call(self) -> None:
        """A basic call of RFC 3665 section 3.1 between two parties, in ASCII."""
        self.assertEqual(
            ladder(CALL, width=72, ascii_only=True),
            """\
          a.example                                            b.example
   0.000  |-- INVITE sip:bob@b.example ---------------------------->|
   0.031  |<-------------------------------- 180 Ringing (INVITE) --|
   3.200  |<------------------------------------- 200 OK (INVITE) --|
   3.201  |-- ACK sip:bob@b.example ------------------------------->|
  63.500  |<----------------------------- BYE sip:alice@a.example --|
  63.502  |-- 200 OK (BYE) ---------------------------------------->|
""",
        )

    def test_the_same_call_in_line_drawing_characters(self) -> None:
        """Without ``ascii_only`` the lines are drawn as lines."""
        self.assertEqual(
            ladder(CALL[:2], width=60),
            """\
          a.example                                b.example
   0.000  │── INVITE sip:bob@b.example ──────────────────▶│
   0.031  │◀────────────────────── 180 Ringing (INVITE) ──│
""",
        )

    def test_three_parties_a_retransmission_and_a_note(self) -> None:
        """An arrow crosses the lifelines in between; the same octets again are marked; a note stands by itself."""
        message = passed(100.5, "out", "MESSAGE sip:carol@c.example SIP/2.0", peer="c.example")
        events = (
            CALL[0],
            message,
            passed(101.0, "out", "MESSAGE sip:carol@c.example SIP/2.0", peer="c.example"),
            TraceEvent("note", 101.0, note="refused 192.0.2.9:4000: it presented no certificate"),
        )
        self.assertEqual(
            ladder(events, width=90, ascii_only=True),
            """\
          a.example                              b.example                       c.example
   0.000  |-- INVITE sip:bob@b.example --------->|                                      |
   0.500  |-- MESSAGE sip:carol@c.example --------------------------------------------->|
   1.000  |-- MESSAGE sip:carol@c.example [again] ------------------------------------->|
   1.000  * refused 192.0.2.9:4000: it presented no certificate
""",
        )

    def test_too_narrow_for_columns(self) -> None:
        """Where the parties do not fit side by side, each event has a line of its own."""
        events = [passed(float(n), "out", "OPTIONS sip:x SIP/2.0", peer=f"p{n}.example") for n in range(8)]
        text = ladder(events, width=60, ascii_only=True)
        self.assertEqual(text.splitlines()[1], "   1.000  a.example -> p1.example  OPTIONS sip:x")

    def test_one_party_alone(self) -> None:
        """A party that talks to itself, and a trace of notes only, are drawn as well."""
        alone = [TraceEvent("message", 1.0, local="a.example", peer="a.example", head="OPTIONS sip:a SIP/2.0")]
        self.assertEqual(ladder(alone, width=60), "   0.000  a.example -> a.example  OPTIONS sip:a\n")
        beside = [*alone, passed(2.0, "out", "OPTIONS sip:b SIP/2.0")]
        self.assertEqual(ladder(beside, width=60).splitlines()[1], "   0.000  * a.example to itself: OPTIONS sip:a")
        self.assertEqual(ladder([TraceEvent("note", 5.0, note="stopped")]), "   0.000  * stopped\n")

    def test_two_parties_of_one_name(self) -> None:
        """Where both sides prove the same name, as on one machine, the address tells them apart."""
        text = ladder([passed(1.0, "in", "OPTIONS sip:a SIP/2.0", peer="a.example")], width=60, ascii_only=True)
        self.assertEqual(
            text,
            """\
          a.example                           192.0.2.7:5061
   0.000  |<----------------------------- OPTIONS sip:a --|
""",
        )

    def test_nothing_at_all(self) -> None:
        """An empty trace is an empty ladder."""
        self.assertEqual(ladder([]), "")

    def test_a_width_that_is_none(self) -> None:
        """Below the minimum it refuses."""
        with self.assertRaises(ValueError):
            ladder([], width=MINIMUM_WIDTH - 1)

    def test_what_peers_wrote_is_made_safe(self) -> None:
        """fault:B4: control characters in a reason, a URI or an address are shown as escapes, one line an event."""
        events = [
            passed(1.0, "in", "SIP/2.0 486 \x1b[2JBusy\nforged", "CSeq: 1 X\x1b"),
            passed(1.0, "in", "SIP/2.0 486 \u202eysuB", peer="b\x07.example"),
            TraceEvent("note", 1.0, note="a\r\nb"),
        ]
        for ascii_only in (False, True):
            text = ladder(events, width=120, ascii_only=ascii_only)
            self.assertEqual(len(text.splitlines()), 4)
            self.assertTrue(all(line.isprintable() for line in text.splitlines()), text)
            self.assertIn("\\x1b[2J", text)
        self.assertTrue(ladder(events, ascii_only=True).isascii())

    @given(
        st.lists(
            st.builds(
                passed,
                st.floats(0, 1e6),
                st.sampled_from(("in", "out")),
                st.text(),
                peer=st.text(max_size=30),
                local=st.sampled_from(("a", "汉字.example")),
            ),
            max_size=6,
        ),
        st.integers(MINIMUM_WIDTH, 130),
        st.booleans(),
    )
    def test_never_wider_than_told(self, events: list[TraceEvent], width: int, ascii_only: bool) -> None:
        """Whatever passed, the ladder has its lines, and none is too wide or holds a control."""
        lines = ladder(events, width=width, ascii_only=ascii_only).splitlines()
        self.assertGreaterEqual(len(lines), len(events))
        for line in lines:
            self.assertLessEqual(display_width(line), width)
            self.assertTrue(line.isprintable())


class SelectTests(SynchronousTestCase):
    """:func:`select` picks a conversation out of a trace."""

    EVENTS = (
        passed(1.0, "out", "OPTIONS sip:b SIP/2.0", "i: 1", "CSeq: 1 OPTIONS"),
        passed(2.0, "in", "SIP/2.0 200 OK", "Call-ID: 1", "CSeq: 1 OPTIONS"),
        passed(3.0, "out", "INFO sip:c SIP/2.0", "Call-ID: 2", "CSeq: 1 INFO", peer="c.example"),
        TraceEvent("note", 4.0, note="lost", remote="198.51.100.1:9"),
    )

    def at(self, **filters: str) -> list[float]:
        """When the events that pass happened."""
        return [event.at for event in select(self.EVENTS, **filters)]

    def test_filters(self) -> None:
        """By Call-ID, by method with its responses, by identity and by address; together they all have to hold."""
        self.assertEqual(self.at(), [1.0, 2.0, 3.0, 4.0])
        self.assertEqual(self.at(call_id="1"), [1.0, 2.0])
        self.assertEqual(self.at(method="OPTIONS"), [1.0, 2.0])
        self.assertEqual(self.at(peer="C.example"), [3.0])
        self.assertEqual(self.at(peer="192.0.2.7"), [1.0, 2.0, 3.0])
        self.assertEqual(self.at(peer="198.51.100.1:9"), [4.0])
        self.assertEqual(self.at(method="INFO", peer="b.example"), [])


class DrawerTests(SynchronousTestCase):
    """A ladder that is drawn while it happens."""

    def test_a_new_party(self) -> None:
        """A heading comes before the first arrow, and again when there is another column."""
        drawer = LadderDrawer(120, ascii_only=True)
        kinds = [
            [line.kind for line in drawer.draw(each)]
            for each in (
                passed(0.0, "out", "OPTIONS sip:bob@b.example SIP/2.0"),
                passed(0.1, "in", "SIP/2.0 200 OK"),
                passed(0.2, "out", "OPTIONS sip:carol@c.example SIP/2.0", peer="c.example"),
            )
        ]
        self.assertEqual(kinds, [["heading", "request"], ["success"], ["heading", "request"]])

    def test_what_lines_are(self) -> None:
        """Each line says what it shows, and where its arrow stands."""
        drawer = LadderDrawer(ascii_only=True)
        expected = {
            "SIP/2.0 180 Ringing": "provisional",
            "SIP/2.0 302 Moved": "redirection",
            "SIP/2.0 486 Busy Here": "failure",
            "SIP/2.0 nonsense": "failure",
            "INVITE sip:bob@b.example SIP/2.0": "request",
        }
        for start_line, kind in expected.items():
            line = drawer.draw(passed(0.0, "in", start_line))[-1]
            self.assertEqual((line.kind, line.text[line.start], line.text[line.end - 1]), (kind, "<", "-"))
        (line,) = drawer.draw(TraceEvent("note", 1.0, note="refused"))
        self.assertEqual((line.kind, line.text[line.start :]), ("note", "* refused"))

    def test_parties_are_bounded(self) -> None:
        """One more than there may be, and the first is forgotten."""
        drawer = LadderDrawer(200, most_parties=2)
        for number in range(5):
            drawer.draw(passed(0.0, "out", "OPTIONS sip:bob@b.example SIP/2.0", peer=f"p{number}.example"))
        heading = drawer.draw(passed(0.0, "out", "OPTIONS sip:bob@b.example SIP/2.0", peer="last.example"))[0].text
        self.assertIn("last.example", heading)
        self.assertNotIn("p0.example", heading)
