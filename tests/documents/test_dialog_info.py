"""Dialogs of somebody: documents, and the table that they make together (RFC 4235)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.documents.dialog_info import EVENTS, STATES, Assembled, DialogEntry, DialogInfo, DialogParty, DialogTable
from sip_p2p.documents.xml import XmlElement, parse_xml
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


def printed(version: int, state: str, *dialogs: str) -> bytes:
    """A document of RFC 4235 section 6 around *dialogs*."""
    return f"""<?xml version="1.0"?>
   <dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"
                version="{version}"
                state="{state}"
                entity="sip:alice@example.com">
     {"".join(dialogs)}
   </dialog-info>
""".encode()


FORKED = (
    # Section 6.1, whose second notification of two has one id twice.
    """<dialog id="as7d900as8" call-id="a84b4c76e66710"
             local-tag="1928301774" remote-tag="456887766"
             direction="initiator">
       <state>early</state>
     </dialog>
     """,
    """<dialog id="as7d900as8" call-id="a84b4c76e66710"
             local-tag="1928301774" remote-tag="hh76a"
             direction="initiator">
       <state>early</state>
     </dialog>
     """,
)

SHARED = (
    # Section 6.2: idle, seized, dialing, ringing, answered, replaced, in a conference; then all is over.
    printed(0, "full"),
    printed(1, "partial", '<dialog id="as7d900as8"> <state>trying</state> </dialog>'),
    printed(
        2,
        "partial",
        """<dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" direction="initiator">
       <state>trying</state>
       <local>
         <identity display="Alice Smith">
           sip:alice@example.com
         </identity>
         <target uri="sip:alice@pc33.example.com"/>
       </local>
       <remote>
         <identity>sip:bob@example.net</identity>
       </remote>
     </dialog>""",
    ),
    printed(
        3,
        "partial",
        """<dialog id="as7d900as8" call-id="a84b4c76e66710"
             local-tag="1928301774" remote-tag="07346y131" direction="initiator">
       <state code="180">early</state>
       <remote>
         <target uri="sip:bobster@host2.example.net"/>
       </remote>
     </dialog>""",
    ),
    printed(
        4,
        "partial",
        """<dialog id="as7d900as8" call-id="a84b4c76e66710"
             local-tag="1928301774" remote-tag="07346y131" direction="initiator">
       <state reason="cancelled">terminated</state>
     </dialog>
     <dialog id="zxcvbnm3" call-id="a84b4c76e66710"
             local-tag="1928301774" remote-tag="8736347" direction="initiator">
       <state code="200">confirmed</state>
       <remote>
         <target uri="sip:bob-is-not-here@vm.example.net">
           <param pname="actor" pval="msg-taker"/>
           <param pname="automaton" pval="true"/>
           <param pname="+sip.byeless" pval="true"/>
         </target>
       </remote>
     </dialog>""",
    ),
    printed(
        5,
        "partial",
        """<dialog id="zxcvbnm3" call-id="a84b4c76e66710"
             local-tag="1928301774" remote-tag="8736347" direction="initiator">
       <state reason="replaced">terminated</state>
     </dialog>
     <dialog id="sfhjsjk12" call-id="o34oii1"
             local-tag="8903j4" remote-tag="78cjkus" direction="receiver">
       <state reason="replaced">confirmed</state>
       <replaces
         call-id="a84b4c76e66710"
         local-tag="1928301774"
         remote-tag="8736347"/>
       <referred-by>
         sip:bob-is-not-here@vm.example.net
       </referred-by>
       <local>
         <target uri="sip:alice@pc33.example.com"/>
         <param pname="+sip.rendering" pval="yes"/>
       </local>
       <remote>
         <identity display="Cathy Jones">
           sip:cjones@example.net
         </identity>
         <target uri="sip:line3@host3.example.net">
           <param pname="actor" pval="attendant"/>
           <param pname="automaton" pval="false"/>
         </target>
       </remote>
     </dialog>""",
    ),
    printed(
        6,
        "partial",
        """<dialog id="sfhjsjk12" call-id="o34oii1"
             local-tag="8903j4" remote-tag="78cjkus" direction="receiver">
       <state>confirmed</state>
       <remote>
         <target uri="sip:confid-34579@host3.example.net">
           <param pname="isfocus" pval="true"/>
         </target>
       </remote>
     </dialog>""",
    ),
    printed(9, "full"),
)

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

    def test_one_id_twice(self) -> None:
        """Where two dialogs have one id, as in an example of section 6.1, the last one counts, as in a table."""
        (dialog,) = DialogInfo.parse(printed(2, "full", *FORKED)).dialogs
        self.assertEqual((dialog.id, dialog.remote_tag, dialog.state), ("as7d900as8", "hh76a", "early"))

    def test_names_of_the_schema(self) -> None:
        """A display name is read under both names that the RFC has for it (sections 4.1.6.1 and 4.4)."""
        (dialog,) = DialogInfo.parse(
            EXAMPLE.replace(b' display="Bob">sip:bob@example.org', b' display-name="Bob">b')
        ).dialogs
        assert dialog.remote is not None
        self.assertEqual((dialog.remote.identity, dialog.remote.display), ("b", "Bob"))

    def test_order(self) -> None:
        """What is written stands in the order of the schema (section 4.4), and what of it we do not know as well."""
        document = DialogInfo.parse(EXAMPLE.replace(b"<route-set>", b'<x xmlns="urn:x"/><route-set>'))
        (written,) = parse_xml(document.to_bytes()).children
        self.assertEqual([child.local_name for child in written.children], [
            "state", "duration", "replaces", "referred-by", "route-set", "local", "remote", "x",
        ])  # fmt: skip
        self.assertEqual([child.local_name for child in written.children[5].children], ["identity", "target"])
        self.assertEqual([child.local_name for child in written.children[6].children], ["identity", "cseq"])

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

    def test_printed(self) -> None:
        """The notifications of section 6.2 are read as they are printed, but for one that is not well-formed. Who is at
        either end, and where, is as it was until it is said anew (section 4.1.6)."""
        table = DialogTable()
        seen: list[tuple[DialogEntry, ...]] = []
        for octets in SHARED:
            table.add(DialogInfo.parse(octets))
            seen.append(table.dialogs)
        self.assertEqual([[each.state for each in some] for some in seen], [
            [], ["trying"], ["trying"], ["early"], ["confirmed"], ["confirmed"], ["confirmed"], [],
        ])  # fmt: skip
        ringing, conference = seen[3][0], seen[6][0]
        self.assertEqual(
            ringing.local, DialogParty("sip:alice@example.com", "Alice Smith", "sip:alice@pc33.example.com")
        )
        self.assertEqual(ringing.remote, DialogParty("sip:bob@example.net", "", "sip:bobster@host2.example.net"))
        self.assertEqual((ringing.code, conference.direction), (180, "recipient"))
        focus = "sip:confid-34579@host3.example.net", (("isfocus", "true"),)
        self.assertEqual(conference.remote, DialogParty("sip:cjones@example.net", "Cathy Jones", *focus))

    def test_session_description(self) -> None:
        """A session description is as it was until it is said anew (section 4.1.6.3); a full state forgets all."""
        sdp = XmlElement(
            "{urn:ietf:params:xml:ns:dialog-info}session-description", {"type": "application/sdp"}, (), "v=0"
        )
        other = XmlElement("{urn:x}y")
        table = DialogTable()
        before = DialogEntry("a", "early", remote=DialogParty("sip:b@b.example", "Bob", extensions=(sdp, other)))
        table.add(DialogInfo("sip:a@a.example", 0, (before,)))
        after = DialogEntry("a", "confirmed", remote=DialogParty("", "", "sip:b@h", extensions=(other,)))
        table.add(DialogInfo("sip:a@a.example", 1, (after,), False))
        merged = DialogParty("sip:b@b.example", "Bob", "sip:b@h", extensions=(sdp, other))
        self.assertEqual(table.dialogs, (DialogEntry("a", "confirmed", remote=merged),))
        table.add(DialogInfo("sip:a@a.example", 2, (after,)))
        self.assertEqual(table.dialogs, (after,))

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
