"""Tests of :mod:`sip_p2p.sip.dialog.references`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.references import Join, Replaces, TargetDialog
from sip_p2p.sip.dialog.table import DialogTable
from sip_p2p.sip.uri import SipUri
from tests.support import SynchronousTestCase

TAGS = st.from_regex(TOKEN, fullmatch=True)
WORDS = st.text("abcAB09-.!%*_+`'~()<>:\\\"/[]?{}", min_size=1, max_size=12)


def dialog(remote_tag: str = "theirs") -> Dialog:
    """A dialog of ours."""
    target = SipUri.parse("sip:bob@b.example")
    here, there = "<sip:alice@a.example>", "<sip:bob@b.example>"
    return Dialog("call@a", "ours", remote_tag, here, there, True, False, False, 1, None, (), target, "")


class ReferenceTests(SynchronousTestCase):
    """The three ways to name a dialog."""

    def test_read(self) -> None:
        """The first tag is the recipient's own, whatever the field calls it (row:I9)."""
        for kind, text in (
            (Replaces, "98732@sip.example.com;from-tag=r33th4x0r ; to-tag=ff87ff"),
            (Join, "98732@sip.example.com ;to-tag=ff87ff;from-tag=r33th4x0r"),
            (TargetDialog, "98732@sip.example.com;local-tag=ff87ff;remote-tag=r33th4x0r"),
        ):
            value = kind.parse(text)
            parts = (value.call_id, value.local_tag, value.remote_tag)
            self.assertEqual(parts, ("98732@sip.example.com", "ff87ff", "r33th4x0r"))

    def test_examples(self) -> None:
        """The other examples of RFC 3891 section 6.1 and RFC 3911 section 7.1, and those of RFC 4538 section 10 and RFC
        5589 section 6.1, are read, and written as they were (row:I9)."""
        for kind, text, parts in (
            (Replaces, "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only", ("12adf2f34456gs5", "12345", "54321")),
            (Replaces, "87134@171.161.34.23;to-tag=24796;from-tag=0", ("87134@171.161.34.23", "24796", "0")),
            (Join, "12adf2f34456gs5;to-tag=12345;from-tag=54321", ("12adf2f34456gs5", "12345", "54321")),
            (Join, "87134@192.0.2.23;to-tag=24796;from-tag=0", ("87134@192.0.2.23", "24796", "0")),
            (
                TargetDialog,
                "fa77as7dad8-sd98ajzz@host.example.com;local-tag=kkaz-;remote-tag=6544",
                ("fa77as7dad8-sd98ajzz@host.example.com", "kkaz-", "6544"),
            ),
            (
                TargetDialog,
                "090459243588173445;local-tag=7553452;remote-tag=31kdl4i3k",
                ("090459243588173445", "7553452", "31kdl4i3k"),
            ),
        ):
            value = kind.parse(text)
            self.assertEqual((value.call_id, value.local_tag, value.remote_tag), parts)
            self.assertEqual(str(value), text)

    def test_early_only(self) -> None:
        """RFC 3891 section 6.1: a flag says that only an early dialog is meant (row:I9)."""
        value = Replaces.parse("a;to-tag=b;from-tag=c;early-only;x=y")
        self.assertTrue(value.is_early_only)
        self.assertEqual(dict(value.params), {"early-only": None, "x": "y"})
        plain = Replaces("a", "b", "c")
        self.assertFalse(plain.is_early_only)
        self.assertEqual(str(plain.early_only()), "a;to-tag=b;from-tag=c;early-only")

    def test_refused(self) -> None:
        """A field that lacks a part, or has one twice, is malformed (row:I9)."""
        for text in (
            "",
            ";to-tag=a;from-tag=b",
            "a",
            "a;to-tag=b",
            "a;from-tag=b",
            "a;to-tag=b;from-tag",
            "a;to-tag=b;to-tag=c;from-tag=d",
            'a;to-tag="b c";from-tag=d',
            "a b;to-tag=b;from-tag=c",
            "a;to-tag=b;from-tag=c, d;to-tag=e;from-tag=f",
        ):
            self.assertRaises(MalformedMessage, Replaces.parse, text)

    def test_not_made(self) -> None:
        """What cannot be written is refused where it is made (row:I9)."""
        for call_id, local, remote, params in (
            ("a b", "c", "d", {}),
            ("a", "", "d", {}),
            ("a", "c", "d\r\n", {}),
            ("a", "c", "d", {"to-tag": "e"}),
        ):
            self.assertRaises(ValueError, Replaces, call_id, local, remote, params)

    def test_of_a_dialog(self) -> None:
        """A dialog is named from its peer's side to the peer, and from ours to whoever has ours (row:I9)."""
        ours = dialog()
        self.assertEqual(str(Replaces.to(ours)), "call@a;to-tag=theirs;from-tag=ours")
        self.assertEqual(str(Join.of(ours)), "call@a;to-tag=ours;from-tag=theirs")
        self.assertEqual(str(TargetDialog.to(ours)), "call@a;local-tag=theirs;remote-tag=ours")

    def test_found(self) -> None:
        """It is found by all three parts, and the tag 0 stands for a peer that has none (row:I9)."""
        table = DialogTable()
        ours, old = dialog(), dialog("")
        for each in (ours, old):
            table.add(each)
        self.assertIs(Replaces("call@a", "ours", "theirs").find(table), ours)
        self.assertIs(Replaces("call@a", "ours", "0").find(table), old)
        self.assertEqual(str(Replaces.of(old)), "call@a;to-tag=ours;from-tag=0")
        for call_id, local, remote in (("call", "ours", "theirs"), ("call@a", "theirs", "ours"), ("call@a", "0", "0")):
            self.assertIsNone(Replaces(call_id, local, remote).find(table))

    def test_found_twice(self) -> None:
        """RFC 3891 section 3: what stands for two dialogs, one of the tag 0 and one of no tag, stands for none
        (row:I9)."""
        table, zero, old = DialogTable(), dialog("0"), dialog("")
        table.add(zero)
        self.assertIs(Join("call@a", "ours", "0").find(table), zero)
        table.add(old)
        for kind in (Replaces, Join):
            self.assertIsNone(kind("call@a", "ours", "0").find(table))
        table.discard(zero)
        self.assertIs(Join("call@a", "ours", "0").find(table), old)

    def test_compared(self) -> None:
        """Two are equal where they say the same in the same field (row:I9)."""
        value = Replaces("a", "b", "c")
        self.assertEqual(value, Replaces.parse("a;from-tag=c;to-tag=b"))
        self.assertEqual(hash(value), hash(Replaces("a", "b", "c")))
        self.assertNotEqual(value, Join("a", "b", "c"))
        self.assertNotEqual(value, value.early_only())
        self.assertIn("to-tag=b", repr(value))

    @given(WORDS, WORDS | st.none(), TAGS, TAGS, st.sampled_from([Replaces, Join, TargetDialog]))
    def test_round_trip(self, word: str, host: str | None, local: str, remote: str, kind: Any) -> None:
        """Whatever can be made is read back as it was (row:I9)."""
        value = kind(word if host is None else f"{word}@{host}", local, remote)
        self.assertEqual(kind.parse(str(value)), value)

    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        """Any text is read or malformed, and nothing else (row:I9)."""
        try:
            Replaces.parse(text)
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)
