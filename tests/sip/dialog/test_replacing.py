"""Tests of :mod:`sip_p2p.sip.dialog.replacing`; what comes of it stands in :mod:`tests.endpoint.transfer`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.references import Join, Replaces
from sip_p2p.sip.dialog.replacing import Relation, is_from_party, read_relation, relation_of
from sip_p2p.sip.dialog.table import DialogTable
from sip_p2p.sip.message import Request
from tests.sip.dialog.dialogs import tls
from tests.sip.dialog.test_references import dialog
from tests.support import SynchronousTestCase

ONE = "call@a;to-tag=ours;from-tag=theirs"
BOTH = {"replaces", "join"}


def invite(*fields: tuple[str, str], from_: str = "<sip:bob@b.example>;tag=x") -> Request:
    """An INVITE of Bob's."""
    return Request("INVITE", "sip:alice@a.example", [("From", from_), *fields])


class ReadingTests(SynchronousTestCase):
    """What an INVITE says of another session."""

    def test_read(self) -> None:
        """It replaces or joins one session, or none (row:I9)."""
        self.assertIsNone(read_relation(invite(), BOTH))
        self.assertEqual(read_relation(invite(("Replaces", ONE)), BOTH), Replaces.parse(ONE))
        self.assertEqual(read_relation(invite(("Join", ONE)), BOTH), Join.parse(ONE))

    def test_not_understood(self) -> None:
        """What is not supported is passed over (row:I9, row:A19)."""
        request = invite(("Replaces", ONE), ("Join", ONE))
        self.assertIsNone(read_relation(request, set()))
        self.assertEqual(read_relation(request, {"join"}), Join.parse(ONE))

    def test_too_much(self) -> None:
        """RFC 3891 section 3, RFC 3911 section 4: both, or one of them twice, contradict each other (row:I9)."""
        for fields in ((("Replaces", ONE), ("Join", ONE)), (("Replaces", ONE),) * 2, (("Join", ONE),) * 2):
            self.assertRaises(MalformedMessage, read_relation, invite(*fields), BOTH)


class RelationTests(SynchronousTestCase):
    """What is found, and how it stands."""

    def relation(self, reference: Replaces | Join, **usage: Any) -> Relation:
        """A session that stands like that."""
        parts: dict[str, Any] = {"is_over": False, "is_early": False, "dialog": SimpleNamespace(is_caller=True)} | usage
        return Relation(reference, SimpleNamespace(**parts), True)  # type: ignore[arg-type]

    def test_refusals(self) -> None:
        """Each state of a session says whether it can be replaced or joined; a call that rings here can only be joined
        (RFC 3891 section 3, RFC 3911 section 4) (row:I9)."""
        plain, early, join = Replaces("a", "b", "c"), Replaces("a", "b", "c").early_only(), Join("a", "b", "c")
        called = SimpleNamespace(is_caller=False)
        for reference, usage, status in (
            (plain, {}, 0),
            (early, {}, 486),
            (join, {}, 0),
            (plain, {"is_early": True}, 0),
            (early, {"is_early": True}, 0),
            (join, {"is_early": True}, 0),
            (plain, {"is_early": True, "dialog": called}, 481),
            (join, {"is_early": True, "dialog": called}, 0),
            (plain, {"is_over": True}, 603),
            (join, {"is_over": True}, 603),
        ):
            self.assertEqual(self.relation(reference, **usage).refusal(), status, (reference, usage))

    def test_found(self) -> None:
        """A dialog without a session is none that could be meant (row:I9)."""
        table, found = DialogTable(), dialog()
        table.add(found)
        self.assertIsNone(relation_of(Replaces.parse(ONE), invite(), tls("b.example"), table))
        found.user = SimpleNamespace()  # type: ignore[assignment]
        found.peer = "b.example"
        relation = relation_of(Replaces.parse(ONE), invite(), tls("b.example"), table)
        assert relation is not None
        self.assertTrue(relation.is_same_party)
        self.assertIsNone(relation_of(Replaces("x", "ours", "theirs"), invite(), tls("b.example"), table))

    def test_from_whom(self) -> None:
        """Only who is verified, is on the party's connection and has its address is the party (fault:D5)."""
        known = dialog()
        self.assertFalse(is_from_party(known, invite(), tls("b.example")))
        known.peer = "b.example"
        self.assertTrue(is_from_party(known, invite(), tls("b.example")))
        self.assertFalse(is_from_party(known, invite(), tls("c.example")))
        other = invite(from_="<sip:mallory@b.example>;tag=x")
        self.assertFalse(is_from_party(known, other, tls("b.example")))

    def test_user(self) -> None:
        """RFC 3891 section 3: who shows the password of the dialog's user is the party, wherever it speaks from, and
        who shows another one's is not (fault:D5)."""
        known = dialog()
        known.username, known.peer = "bob", "b.example"
        elsewhere = invite(from_="<sip:bob@c.example>;tag=x")
        self.assertTrue(is_from_party(known, elsewhere, tls("c.example"), "bob"))
        self.assertFalse(is_from_party(known, elsewhere, tls("c.example")))
        self.assertFalse(is_from_party(known, invite(), tls("b.example"), "mallory"))
        known.username = ""
        self.assertFalse(is_from_party(known, elsewhere, tls("c.example"), "bob"))
