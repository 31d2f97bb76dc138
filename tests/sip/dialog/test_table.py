"""Tests of how a message finds its dialog, and of how hard it is to find somebody else's."""

from __future__ import annotations

import random
import tracemalloc

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.outcomes import judge
from sip_p2p.sip.dialog.table import DialogTable
from sip_p2p.sip.dialog.usage import InviteUsage
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.dialog.dialogs import callee_dialog, in_dialog
from tests.support import MemoryTestCase, SynchronousTestCase


class TableTests(SynchronousTestCase):
    """:class:`sip_p2p.sip.dialog.table.DialogTable`."""

    def test_find(self) -> None:
        """A dialog is found by all three parts of its id, and by a request that has them the other way round
        (row:G6)."""
        table = DialogTable()
        dialog = callee_dialog()
        table.add(dialog)
        self.assertIs(table.find("call", "bt", "at"), dialog)
        self.assertIs(table.find_for(in_dialog(dialog)), dialog)
        for wrong in (
            ("other", "bt", "at"),
            ("call", "at", "bt"),
            ("call", "bt", ""),
            ("call", "", "at"),
            ("", "", ""),
        ):
            self.assertIsNone(table.find(*wrong))
        self.assertEqual((len(table), list(table), dialog in table), (1, [dialog], True))

    def test_parts_do_not_run_together(self) -> None:
        """What could be read as one key in two ways is two keys."""
        table = DialogTable()
        dialog = callee_dialog()
        table.add(dialog)
        self.assertIsNone(table.find("callb", "t", "at"))
        self.assertIsNone(table.find("call", "bta", "t"))

    def test_requests_without_our_tag(self) -> None:
        """A request without a To tag belongs to no dialog, and one that cannot be read says so."""
        table = DialogTable()
        dialog = callee_dialog()
        table.add(dialog)
        headers = list(in_dialog(dialog).headers)
        untagged = Request(
            "INFO", "sip:x@y.example", [(n, "<sip:b@b.example>" if n == "To" else v) for n, v in headers]
        )
        self.assertIsNone(table.find_for(untagged))
        broken = Request("INFO", "sip:x@y.example", [(n, "<sip:b" if n == "To" else v) for n, v in headers])
        self.assertRaises(MalformedMessage, table.find_for, broken)

    def test_usages(self) -> None:
        """A dialog goes with the last of its usages, each ended by itself; ending it twice does nothing (row:H36)."""
        table = DialogTable()
        dialog = callee_dialog()
        table.add(dialog)
        table.add(dialog, "subscribe;refer")
        self.assertEqual(dialog.usages, ("invite", "subscribe;refer"))
        table.discard(dialog)
        self.assertIn(dialog, table)
        table.discard(dialog)
        self.assertIn(dialog, table)
        table.discard(dialog, "subscribe;refer")
        self.assertNotIn(dialog, table)
        table.discard(dialog, "subscribe;refer")
        self.assertEqual(len(table), 0)

    def test_end(self) -> None:
        """What destroys the dialog ends all of its usages (RFC 5057 section 5.1, row:H36)."""
        table = DialogTable()
        dialog = callee_dialog()
        table.add(dialog)
        table.add(dialog, "subscribe;refer")
        table.end(dialog)
        self.assertEqual((dialog.usages, dialog.user, len(table)), ((), None, 0))

    def test_one_in_the_place_of_another(self) -> None:
        """A dialog with the id of another takes its place, and the first one's end does not end the second."""
        table = DialogTable()
        first, second = callee_dialog(), callee_dialog()
        table.add(first)
        table.add(second)
        table.discard(first)
        self.assertEqual(list(table), [second])
        self.assertNotIn(first, table)

    def test_limit(self) -> None:
        """It says when it is full, and still takes what has to be taken; a limit of none is no limit (fault:D9)."""
        table = DialogTable(2)
        for call_id, is_full in (("one", False), ("two", True), ("three", True)):
            dialog = callee_dialog()
            dialog.id = call_id
            table.add(dialog)
            self.assertEqual(table.is_full, is_full)
        self.assertEqual(len(table), 3)
        table.limit = 4
        self.assertFalse(table.is_full)
        self.assertRaises(ValueError, DialogTable, 0)


class OutcomeTests(SynchronousTestCase):
    """What the outcome of one request does to the usages of its dialog (RFC 5057 section 5.1)."""

    def test_the_right_usage_dies(self) -> None:
        """A 481 to a request of the session ends the session and leaves the subscription; a 404 ends both; a 500
        neither (row:H36)."""
        for status, left in ((500, ("subscribe;refer", "invite")), (481, ("subscribe;refer",)), (404, ())):
            core = UserAgentCore(CountingTokens())
            dialog = callee_dialog()
            core.dialogs.add(dialog, "subscribe;refer")
            usage = InviteUsage.resumed(core, dialog, Profile())
            judge(usage, "INFO", Response(status), None, 0.0)
            self.assertEqual(dialog.usages, left, status)
            self.assertEqual(dialog in core.dialogs, bool(left))
            self.assertEqual(dialog.user is usage, "invite" in left)


class GuessTests(SynchronousTestCase):
    """What somebody finds who knows part of a dialog's id."""

    def test_a_million_guesses(self) -> None:
        """10^6 guesses at our tag, by one who knows the Call-ID and the other tag, find nothing (fault:D1)."""
        table = DialogTable()
        dialog = callee_dialog()
        table.add(dialog)
        guesses = random.Random(1)
        found = 0
        for _ in range(1_000_000):
            found += table.find("call", f"{guesses.getrandbits(128):032x}", "at") is not None
        self.assertEqual(found, 0)


class LeakTests(MemoryTestCase):
    """What comes and goes."""

    def test_how_large_a_dialog_is(self) -> None:
        """A dialog with a proxy in its way takes less than 2 KiB, its key and its place in the table included."""
        table = DialogTable()
        kept = tracemalloc.is_tracing()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(500):
                dialog = callee_dialog(record_route=("<sip:proxy.example:5061;transport=tls;lr>",))
                dialog.id = f"{number:0100}"
                table.add(dialog)
            taken = (tracemalloc.get_traced_memory()[0] - before) / 500
        finally:
            if not kept:
                tracemalloc.stop()
        self.assertLess(taken, 2048)

    def test_nothing_stays(self) -> None:
        """A dialog that ended leaves nothing in the table, and no circle of references (fault:D9)."""
        table = DialogTable()

        def come_and_go() -> None:
            dialog = callee_dialog()
            table.add(dialog)
            dialog.plan("BYE")
            table.discard(dialog)

        self.assert_no_cycles(come_and_go)
        self.assertEqual(len(table), 0)
