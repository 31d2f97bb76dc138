"""Messages that wait: read, refused, written (RFC 3842)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.documents.message_summary import MessageCount, MessageSummary
from sip_p2p.errors import MalformedDocument

_numbers = st.integers(0, 2**32 - 1)
_urgent = st.none() | st.tuples(_numbers, _numbers)
_kinds = st.sampled_from(["voice-message", "fax-message", "none", "x-pigeon", "text-message"])
_counts = st.builds(
    lambda kind, new, old, urgent: MessageCount(kind, new, old, *(urgent or (None, None))),
    _kinds,
    _numbers,
    _numbers,
    _urgent,
)
_values = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Zs")), max_size=12)
_fields = st.tuples(st.sampled_from(["To", "From", "Subject", "X-A"]), _values)
SUMMARIES = st.builds(
    MessageSummary,
    st.booleans(),
    st.sampled_from(["", "sip:alice@vmail.example.com"]),
    st.lists(_counts, max_size=4, unique_by=lambda count: count.context).map(tuple),
    st.lists(st.lists(_fields, min_size=1, max_size=3).map(tuple), max_size=3).map(tuple),
)

EXAMPLE = (
    b"Messages-Waiting: yes\r\n"
    b"Message-Account: sip:alice@vmail.example.com\r\n"
    b"Voice-Message: 4/8 (1/2)\r\n"
    b"Fax-Message: 0/1\r\n"
    b"\r\n"
    b"To: <sip:alice@atlanta.example.com>\r\n"
    b"From: <sip:bob@biloxi.example.com>\r\n"
    b"Subject: carpool tomorrow?\r\n"
    b"\r\n"
    b"To: <sip:alice@example.com>\r\n"
    b"Subject: HELP! at home ill,\r\n"
    b" present for me please\r\n"
)


class SummaryTests(SynchronousTestCase):
    """What a summary says."""

    def test_example(self) -> None:
        """Whether, where, how many of each kind, and the fields of new messages are read (section 5.2) (row:J12)."""
        summary = MessageSummary.parse(EXAMPLE)
        self.assertEqual((summary.waiting, summary.account), (True, "sip:alice@vmail.example.com"))
        self.assertEqual(summary.count_of("voice-message"), MessageCount("voice-message", 4, 8, 1, 2))
        self.assertEqual(summary.count_of("fax-message"), MessageCount("fax-message", 0, 1))
        self.assertIsNone(summary.count_of("video-message"))
        self.assertEqual([len(fields) for fields in summary.messages], [3, 2])
        self.assertEqual(summary.messages[1][1], ("Subject", "HELP! at home ill, present for me please"))

    def test_written(self) -> None:
        """It is written line by line, each ended by CRLF."""
        summary = MessageSummary(False, "sip:a@b.example", (MessageCount("voice-message", 0, 3, 0, 1),))
        self.assertEqual(
            summary.to_bytes(),
            b"Messages-Waiting: no\r\nMessage-Account: sip:a@b.example\r\nVoice-Message: 0/3 (0/1)\r\n",
        )

    def test_leniently(self) -> None:
        """Case, blanks, lines that end in LF alone and lines of others do no harm; a second line of a kind counts for
        nothing."""
        summary = MessageSummary.parse(
            b"\r\nmessages-waiting :YES\nVOICE-MESSAGE: 1 / 2 ( 0 / 0 )\n"
            b"X-Other: words\nX-Count: 1/2\nvoice-message: 9/9"
        )
        self.assertTrue(summary.waiting)
        self.assertEqual(summary.counts, (MessageCount("voice-message", 1, 2, 0, 0), MessageCount("x-count", 1, 2)))

    def test_large(self) -> None:
        """A number that is larger than any may be counts as the largest one, however long it is (section 3.5)."""
        for digits in ("4294967296", "9" * 5000):
            summary = MessageSummary.parse(f"Messages-Waiting: yes\r\nVoice-Message: 1/{digits} (0/{digits})".encode())
            self.assertEqual(summary.counts, (MessageCount("voice-message", 1, 2**32 - 1, 0, 2**32 - 1),))
        self.assertEqual(MessageSummary.parse(summary.to_bytes()), summary)

    def test_account_in_brackets(self) -> None:
        """The account stands without angle brackets; a peer's are passed over (section 3.5)."""
        octets = b"Messages-Waiting: no\r\nMessage-Account: <sip:alice@vmail.example.com>\r\n"
        self.assertEqual(MessageSummary.parse(octets).account, "sip:alice@vmail.example.com")

    def test_refused(self) -> None:
        """What does not say whether messages wait, and a count that is none, is refused with its line."""
        for octets, line in (
            (b"", 1),
            (b"Voice-Message: 1/2", 0),
            (b"Messages-Waiting: perhaps", 1),
            (b"Messages-Waiting: yes\r\nVoice-Message: many", 2),
            (b"Messages-Waiting: yes\r\nno colon", 2),
            (b"Messages-Waiting: yes\r\n" + b"X: y\r\n" * 1024, 0),
            (b"Messages-Waiting: yes\r\nMessage-Account: a\0b", 0),
        ):
            error = self.assertRaises(MalformedDocument, MessageSummary.parse, octets)
            self.assertEqual(error.line, line, octets)

    def test_values(self) -> None:
        """What could not be written is refused when the value is made."""
        for arguments in (
            ("Voice-Message", 1),
            ("a b", 1),
            ("voice-message", -1),
            ("voice-message", 2**32),
            ("voice-message", 1, 1, 1),
        ):
            self.assertRaises(ValueError, MessageCount, *arguments)
        count = MessageCount("voice-message", 1)
        for summary in (
            {"account": "a\r\nb"},
            {"account": " a"},
            {"account": "<sip:alice@vmail.example.com>"},
            {"counts": (count, count)},
            {"messages": ((),)},
            {"messages": ((("To", "a\nb"),),)},
            {"messages": ((("T o", "a"),),)},
        ):
            self.assertRaises(ValueError, MessageSummary, True, **summary)

    @given(SUMMARIES)
    def test_round_trip(self, summary: MessageSummary) -> None:
        """What is written is read as the same."""
        self.assertEqual(MessageSummary.parse(summary.to_bytes()), summary)

    @given(st.binary(max_size=80) | st.text("Mesags-Witng:yno/0129()\r\n ", max_size=60).map(str.encode))
    def test_anything(self, octets: bytes) -> None:
        """Whatever comes is read and can be written again, or is refused with the one class of error."""
        try:
            summary = MessageSummary.parse(octets)
        except MalformedDocument:
            return
        self.assertEqual(MessageSummary.parse(summary.to_bytes()), summary)
