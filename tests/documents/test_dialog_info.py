"""Dialogs of somebody: documents, and the table that they make together (RFC 4235)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.documents.dialog_info import EVENTS, STATES, Assembled, DialogEntry, DialogInfo, DialogParty, DialogTable
from sip_p2p.documents.xml import XmlElement
from sip_p2p.errors import MalformedDocument

EXAMPLE = b"""<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" state="partial" entity="sip:alice@example.com">
  <dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" remote-tag="456887766" direction="initiator">
    <state event="rejected" code="486">terminated</state>
    <duration>274</duration>
    <replaces call-id="hg287s98s89" local-tag="6762h7" remote-tag="09278hsb"/>
    <referred-by display="Bob">sip:bob@example.com</referred-by>
    <local>
      <identity display="Alice">sip:alice@example.com</identity>
      <target uri="sip:alice@pc33.example.com"><param pname="+sip.rendering" pval="yes"/></target>
    </local>
    <remote>
      <identity display="Bob">sip:bob@example.org</identity>
      <cseq>12</cseq>
    </remote>
    <route-set><hop>sip:proxy.example.com;lr</hop></route-set>
  </dialog>
</dialog-info>
"""

_texts = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Zs")), max_size=8)
_numbers = st.none() | st.integers(0, 2**32 - 1)
_parties = st.builds(
    lambda identity, display, target, params: DialogParty(
        identity, display if identity else "", target, tuple(params) if target else ()
    ),
    _texts,
    _texts,
    _texts,
    st.lists(st.tuples(_texts, _texts), max_size=2),
)
_entries = st.builds(
    DialogEntry,
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(STATES),
    st.sampled_from(["", *EVENTS]),
    st.none() | st.integers(100, 699),
    _texts,
    _texts,
    _texts,
    st.sampled_from(["", "initiator", "recipient"]),
    _numbers,
    st.none() | st.tuples(_texts, _texts, _texts),
    _texts,
    st.none() | _parties,
    st.none() | _parties,
    st.lists(st.builds(XmlElement, st.just("{urn:x}y")), max_size=1).map(tuple),
)
INFOS = st.builds(
    DialogInfo,
    st.just("sip:alice@a.example"),
    st.integers(0, 2**32 - 1),
    st.lists(_entries, max_size=3, unique_by=lambda entry: entry.id).map(tuple),
    st.booleans(),
)


def info(version: int, *dialogs: tuple[str, str], full: bool = False) -> DialogInfo:
    """A document with these ids and states."""
    return DialogInfo("sip:a@a.example", version, tuple(DialogEntry(*dialog) for dialog in dialogs), full)


class DocumentTests(SynchronousTestCase):
    """What one document says."""

    def test_example(self) -> None:
        """Ids, state, both sides, and what it took the place of are all read (section 4.1) (row:J12)."""
        document = DialogInfo.parse(EXAMPLE)
        self.assertEqual((document.entity, document.version, document.is_full), ("sip:alice@example.com", 1, False))
        (dialog,) = document.dialogs
        self.assertEqual(
            (dialog.id, dialog.state, dialog.event, dialog.code), ("as7d900as8", "terminated", "rejected", 486)
        )
        self.assertTrue(dialog.is_terminated)
        self.assertEqual(
            (dialog.call_id, dialog.local_tag, dialog.remote_tag), ("a84b4c76e66710", "1928301774", "456887766")
        )
        self.assertEqual((dialog.direction, dialog.duration), ("initiator", 274))
        self.assertEqual(dialog.replaces, ("hg287s98s89", "6762h7", "09278hsb"))
        self.assertEqual(dialog.referred_by, "sip:bob@example.com")
        self.assertEqual(
            dialog.local,
            DialogParty("sip:alice@example.com", "Alice", "sip:alice@pc33.example.com", (("+sip.rendering", "yes"),)),
        )
        assert dialog.remote is not None
        self.assertEqual([each.local_name for each in dialog.remote.extensions], ["cseq"])
        self.assertEqual([each.local_name for each in dialog.extensions], ["route-set"])

    def test_refused(self) -> None:
        """What is no such document, or has a part that says what it cannot, is refused with the reason."""
        for old, new, word in (
            ("dialog-info", "dialogs", "dialogs"),
            ('version="1"', "", "number"),
            ('version="1"', 'version="-1"', "number"),
            ('version="1"', 'version="4294967296"', "larger"),
            ('state="partial"', 'state="whole"', "partial"),
            (' entity="sip:alice@example.com"', "", "URI"),
            ('id="as7d900as8"', "", "id"),
            (">terminated<", ">over<", "over"),
            ('event="rejected"', 'event="bored"', "bored"),
            ('code="486"', 'code="99"', "99"),
            ('"initiator"', '"caller"', "caller"),
            (">274<", ">long<", "long"),
            ("<state ", "<status ", "not well-formed"),
            (' display="Alice">sip:alice@example.com<', ' display="Alice"><', "identity"),
        ):
            error = self.assertRaises(MalformedDocument, DialogInfo.parse, EXAMPLE.decode().replace(old, new).encode())
            self.assertIn(word, str(error), new)
        stateless = EXAMPLE.replace(b'<state event="rejected" code="486">terminated</state>', b"")
        self.assertIn("no state", str(self.assertRaises(MalformedDocument, DialogInfo.parse, stateless)))

    def test_values(self) -> None:
        """What could not be written is refused when the value is made."""
        for make in (
            lambda: DialogEntry("", "early"),
            lambda: DialogEntry("a", "early", call_id="\0"),
            lambda: DialogEntry("a", "early", duration=-1),
            lambda: DialogParty(params=(("a", "b"),)),
            lambda: DialogInfo(" "),
            lambda: DialogInfo("sip:a@b", 2**32),
            lambda: info(0, ("a", "early"), ("a", "early")),
        ):
            self.assertRaises(ValueError, make)

    @given(INFOS)
    def test_round_trip(self, document: DialogInfo) -> None:
        """What is written is read as the same."""
        self.assertEqual(DialogInfo.parse(document.to_bytes()), document)


class TableTests(SynchronousTestCase):
    """What the documents of one subscription say together (section 4.3)."""

    def states(self, table: DialogTable) -> dict[str, str]:
        """The state of each dialog in *table*."""
        return {dialog.id: dialog.state for dialog in table.dialogs}

    def test_full_and_partial(self) -> None:
        """A full document is all there is; partial ones change it, and what is over leaves it (row:J12)."""
        table = DialogTable()
        self.assertIs(table.add(info(0, ("a", "early"), full=True)), Assembled.APPLIED)
        self.assertIs(table.add(info(1, ("a", "confirmed"), ("b", "trying"))), Assembled.APPLIED)
        self.assertEqual(self.states(table), {"a": "confirmed", "b": "trying"})
        self.assertIs(table.add(info(2, ("a", "terminated"), ("c", "terminated"))), Assembled.APPLIED)
        self.assertEqual(self.states(table), {"b": "trying"})
        self.assertIs(table.add(info(9, ("d", "early"), full=True)), Assembled.APPLIED)
        self.assertEqual(self.states(table), {"d": "early"})
        self.assertEqual((table.entity, table.version, table.is_complete), ("sip:a@a.example", 9, True))

    def test_outdated(self) -> None:
        """A document with no newer version changes nothing, be it full or partial."""
        table = DialogTable()
        table.add(info(5, ("a", "early"), full=True))
        for version, full in ((5, False), (4, False), (5, True), (0, True)):
            self.assertIs(table.add(info(version, ("a", "confirmed"), full=full)), Assembled.OUTDATED)
        self.assertEqual((self.states(table), table.version), ({"a": "early"}, 5))

    def test_gap(self) -> None:
        """Where a version is missing the document counts, and the full state is to be asked for until it comes."""
        table = DialogTable()
        self.assertIs(table.add(info(3, ("a", "early"))), Assembled.INCOMPLETE)
        self.assertIs(table.add(info(4, ("b", "early"))), Assembled.INCOMPLETE)
        self.assertIs(table.add(info(5, ("b", "early"), full=True)), Assembled.APPLIED)
        self.assertIs(table.add(info(7, ("c", "early"))), Assembled.INCOMPLETE)
        self.assertEqual(self.states(table), {"b": "early", "c": "early"})

    def test_reset(self) -> None:
        """A new subscription counts its versions anew; what was known stays until its full state comes."""
        table = DialogTable()
        table.add(info(5, ("a", "early"), full=True))
        table.reset()
        self.assertEqual((self.states(table), table.is_complete), ({"a": "early"}, False))
        self.assertIs(table.add(info(0, full=True)), Assembled.APPLIED)
        self.assertEqual(self.states(table), {})

    def test_bound(self) -> None:
        """More dialogs than the table holds are counted, not kept, and those that it holds go on being told."""
        table = DialogTable(2)
        self.assertIs(table.add(info(0, ("a", "early"), ("b", "early"), ("c", "early"), full=True)), Assembled.APPLIED)
        self.assertEqual((self.states(table), table.left_out), ({"a": "early", "b": "early"}, 1))
        table.add(info(1, ("b", "confirmed"), ("a", "terminated"), ("d", "trying")))
        self.assertEqual(self.states(table), {"b": "confirmed", "d": "trying"})

    @given(st.lists(INFOS, max_size=8))
    def test_any_documents(self, documents: list[DialogInfo]) -> None:
        """Whatever comes in whatever order, no dialog that is over stays, and the version never goes back."""
        table = DialogTable(3)
        for document in documents:
            before = -1 if table.version is None else table.version
            outcome = table.add(document)
            assert table.version is not None
            self.assertEqual(outcome is Assembled.OUTDATED, document.version <= before)
            self.assertGreaterEqual(table.version, before)
            self.assertLessEqual(len(table.dialogs), 3)
            self.assertFalse(any(dialog.is_terminated for dialog in table.dialogs))
