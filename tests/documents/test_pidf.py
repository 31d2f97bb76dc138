"""Presence: read, refused, written (RFC 3863, RFC 4479, RFC 4480)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.documents.pidf import CLOSED, OPEN, Device, Note, Person, Presence, Tuple
from sip_p2p.documents.timestamps import parse_timestamp
from sip_p2p.documents.xml import XmlElement, parse_xml
from sip_p2p.errors import MalformedDocument

SIMPLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<impp:presence xmlns:impp="urn:ietf:params:xml:ns:pidf" entity="pres:someone@example.com">
  <impp:tuple id="sg89ae">
    <impp:status><impp:basic>open</impp:basic></impp:status>
    <impp:contact priority="0.8">tel:+09012345678</impp:contact>
  </impp:tuple>
</impp:presence>
"""

RICH = b"""<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:im="urn:ietf:params:xml:ns:pidf:im"
    xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"
    xmlns:myex="http://id.example.com/presence/" entity="pres:someone@example.com">
  <tuple id="bs35r9">
    <status><basic>open</basic><im:im>busy</im:im><myex:location>home</myex:location></status>
    <dm:deviceID>urn:uuid:48662e19-5fbf-43fc-a2fd-d23002787599</dm:deviceID>
    <contact priority="0.8">im:someone@mobilecarrier.net</contact>
    <note xml:lang="en">Don't Disturb Please!</note>
    <note xml:lang="fr">Ne derangez pas, s'il vous plait</note>
    <timestamp>2001-10-27T16:49:29Z</timestamp>
  </tuple>
  <tuple id="eg92n8"><status><basic>closed</basic></status></tuple>
  <note>I'll be in Tokyo next week</note>
  <dm:person id="p1">
    <rpid:activities><rpid:note>Far away</rpid:note><rpid:away/><rpid:travel/><myex:dancing/></rpid:activities>
    <rpid:mood><rpid:happy/></rpid:mood>
    <dm:note>Scoring 120</dm:note>
    <dm:timestamp>2005-05-30T16:09:44+05:00</dm:timestamp>
  </dm:person>
  <dm:device id="d1"><dm:deviceID>urn:device:0003ba4811e3</dm:deviceID><dm:note>PC</dm:note></dm:device>
  <myex:more/>
</presence>
"""

PRINTED = (
    # Section 4.2.2, with the namespace as the default one.
    """<?xml version="1.0" encoding="UTF-8"?>
   <presence xmlns="urn:ietf:params:xml:ns:pidf"
       entity="pres:someone@example.com">
     <tuple id="sg89ae">
       <status>
         <basic>open</basic>
       </status>
       <contact priority="0.8">tel:+09012345678</contact>
     </tuple>
   </presence>""",
    # Section 4.2.4.
    """<?xml version="1.0" encoding="UTF-8"?>
   <presence xmlns="urn:ietf:params:xml:ns:pidf"
       xmlns:local="urn:example-com:pidf-status-type"
       entity="pres:someone@example.com">
     <tuple id="ub93s3">
       <status>
         <basic>open</basic>
         <local:location>home</local:location>
       </status>
       <contact>im:someone@example.com</contact>
     </tuple>
   </presence>""",
    # Section 4.3.1.
    """<?xml version="1.0" encoding="UTF-8"?>
   <presence xmlns="urn:ietf:params:xml:ns:pidf"
        xmlns:im="urn:ietf:params:xml:ns:pidf:im"
        xmlns:myex="http://id.example.com/presence/"
        entity="pres:someone@example.com">
     <tuple id="bs35r9">
       <status>
         <basic>open</basic>
         <im:im>busy</im:im>
         <myex:location>home</myex:location>
       </status>
       <contact priority="0.8">im:someone@mobilecarrier.net</contact>
       <note xml:lang="en">Don't Disturb Please!</note>
       <note xml:lang="fr">Ne derangez pas, s'il vous plait</note>
       <timestamp>2001-10-27T16:49:29Z</timestamp>
     </tuple>
     <tuple id="eg92n8">
       <status>
         <basic>open</basic>
       </status>
       <contact priority="1.0">mailto:someone@example.com</contact>
     </tuple>
     <note>I'll be in Tokyo next week</note>
   </presence>""",
    # Section 4.3.2.
    """<?xml version="1.0" encoding="UTF-8"?>
   <impp:presence xmlns:impp="urn:ietf:params:xml:ns:pidf"
        xmlns:myex="http://id.example.com/presence/"
        entity="pres:someone@example.com">
     <impp:tuple id="ck38g9">
       <impp:status>
         <impp:basic>open</impp:basic>
       </impp:status>
       <myex:mytupletag>Extended value in tuple</myex:mytupletag>
       <impp:contact priority="0.65">tel:+09012345678</impp:contact>
     </impp:tuple>
     <impp:tuple id="md66je">
       <impp:status>
         <impp:basic>open</impp:basic>
       </impp:status>
       <impp:contact priority="1.0">
          im:someone@mobilecarrier.net</impp:contact>
     </impp:tuple>
     <myex:mytag>My extended presentity information</myex:mytag>
   </impp:presence>""",
    # Section 4.3.3.
    """<?xml version="1.0" encoding="UTF-8"?>
   <impp:presence xmlns:impp="urn:ietf:params:xml:ns:pidf"
        xmlns:myex="http://id.mycompany.com/presence/"
        entity="pres:someone@example.com">
     <impp:tuple id="tj25ds">
       <impp:status>
         <impp:basic>open</impp:basic>
       </impp:status>
       <myex:complexExtension>
         <myex:ex1 impp:mustUnderstand="1">val1</myex:ex1>
         <myex:ex2>val2</myex:ex2>
       </myex:complexExtension>
       <impp:contact priority="0.725">tel:+09012345678</impp:contact>
     </impp:tuple>
     <myex:mytag>My extended presentity information</myex:mytag>
   </impp:presence>""",
)

_texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=12).map(str.strip)
_uris = st.sampled_from(["sip:bob@b.example", "tel:+1", "im:a&b"])
_notes = st.lists(st.builds(Note, _texts, st.sampled_from(["", "de", "en-GB"])), max_size=2).map(tuple)
_times = st.none() | st.integers(0, 253402300799).map(float)
_extensions = st.lists(
    st.builds(XmlElement, st.sampled_from(["{urn:x}a", "{urn:y}b"]), st.just({"c": "d"}), st.just(()), _texts),
    max_size=2,
).map(tuple)


@st.composite
def presences(draw: st.DrawFn) -> Presence:
    """Any presence whose parts have ids of their own."""
    count = iter(range(100))
    tuples = []
    for _ in range(draw(st.integers(0, 3))):
        contact = draw(st.just("") | _uris)
        priority = draw(st.sampled_from(["", "0", "0.5", "1.000"])) if contact else ""
        devices = draw(st.lists(_uris, max_size=2).map(tuple))
        basic = draw(st.sampled_from(["", OPEN, CLOSED]))
        parts = (draw(_notes), draw(_times), devices, draw(_extensions), draw(_extensions))
        tuples.append(Tuple(f"t{next(count)}", basic, contact, priority, *parts))
    persons = []
    for _ in range(draw(st.integers(0, 2))):
        activities = draw(
            st.none() | st.lists(st.sampled_from(["away", "on-the-phone", "busy"]), max_size=2).map(tuple)
        )
        notes = draw(_notes) if activities is not None else ()
        persons.append(Person(f"p{next(count)}", activities, notes, draw(_notes), draw(_times), draw(_extensions)))
    devices = [
        Device(f"d{next(count)}", draw(_uris), draw(_notes), draw(_times), draw(_extensions))
        for _ in range(draw(st.integers(0, 2)))
    ]
    return Presence(draw(_uris), tuple(tuples), tuple(persons), tuple(devices), draw(_notes), draw(_extensions))


class PresenceTests(SynchronousTestCase):
    """What presence says."""

    def test_simple(self) -> None:
        """A tuple has a status, and a contact with its priority (RFC 3863 section 4.1) (row:J12)."""
        presence = Presence.parse(SIMPLE)
        self.assertEqual(presence.entity, "pres:someone@example.com")
        self.assertEqual(presence.tuples, (Tuple("sg89ae", OPEN, "tel:+09012345678", "0.8"),))
        self.assertTrue(presence.is_open)

    def test_rich(self) -> None:
        """Notes in languages, persons with activities, devices and what others have made up are all read (row:J12)."""
        presence = Presence.parse(RICH)
        first, second = presence.tuples
        self.assertEqual([note.language for note in first.notes], ["en", "fr"])
        self.assertEqual(first.device_ids, ("urn:uuid:48662e19-5fbf-43fc-a2fd-d23002787599",))
        self.assertEqual(first.timestamp, parse_timestamp("2001-10-27T16:49:29Z"))
        self.assertEqual([each.local_name for each in first.status_extensions], ["im", "location"])
        self.assertEqual((first.is_open, second.is_open), (True, False))
        person = presence.persons[0]
        self.assertEqual((person.activities, person.activity_notes), (("away", "travel"), (Note("Far away"),)))
        self.assertEqual(person.timestamp, parse_timestamp("2005-05-30T11:09:44Z"))
        self.assertEqual([each.local_name for each in person.extensions], ["mood"])
        self.assertEqual(presence.devices, (Device("d1", "urn:device:0003ba4811e3", (Note("PC"),)),))
        self.assertEqual(presence.activities, ("away", "travel"))
        self.assertEqual([each.local_name for each in presence.extensions], ["more"])

    def test_printed(self) -> None:
        """The examples of RFC 3863 are read as they are printed, and written again with all that is in them."""
        read = [Presence.parse(text.encode()) for text in PRINTED]
        self.assertEqual([part.id for each in read for part in each.tuples], [
            "sg89ae", "ub93s3", "bs35r9", "eg92n8", "ck38g9", "md66je", "tj25ds",
        ])  # fmt: skip
        self.assertEqual([part.priority for each in read for part in each.tuples], [
            "0.8", "", "0.8", "1.0", "0.65", "1.0", "0.725",
        ])  # fmt: skip
        self.assertTrue(all(part.is_open for each in read for part in each.tuples))
        self.assertEqual(read[3].tuples[1].contact, "im:someone@mobilecarrier.net")
        must, may = read[4].tuples[0].extensions[0].children
        self.assertEqual(must.get("{urn:ietf:params:xml:ns:pidf}mustUnderstand"), "1")
        self.assertEqual((must.text, may.attributes), ("val1", {}))
        self.assertEqual([Presence.parse(each.to_bytes()) for each in read], read)

    def test_priority_out_of_range(self) -> None:
        """A priority that is none counts as one that is not said (RFC 3863 section 4.1.5)."""
        for wrong in ("1.5", "0.1234", "-1", "high", "\u0660.5"):
            presence = Presence.parse(SIMPLE.decode().replace("0.8", wrong).encode())
            self.assertEqual(presence.tuples, (Tuple("sg89ae", OPEN, "tel:+09012345678"),), wrong)
        presence = Presence.parse(SIMPLE.replace(b">tel:+09012345678<", b"><"))
        self.assertEqual(presence.tuples, (Tuple("sg89ae", OPEN),))

    def test_ids_of_others(self) -> None:
        """Any text may tell a tuple apart (RFC 3863 section 4.1.2); one that is no id in XML is read as one that is,
        the same each time."""
        for written, read in (("101", "_101"), ("a b", "_a_20_b"), ("{1-2}", "__7b_1-2_7d_")):
            presence = Presence.parse(SIMPLE.decode().replace("sg89ae", written).encode())
            self.assertEqual([part.id for part in presence.tuples], [read])
            self.assertEqual(Presence.parse(presence.to_bytes()), presence)
        presence = Presence.parse(RICH.replace(b'id="p1"', b'id="1"').replace(b'id="d1"', b'id="2"'))
        self.assertEqual((presence.persons[0].id, presence.devices[0].id), ("_1", "_2"))

    def test_parts_that_say_nothing(self) -> None:
        """A time or a language that is none takes nothing from the rest of the document (RFC 4479 section 5)."""
        for time in ("now", "1900-01-01T00:00:00Z", "2001-02-30T00:00:00Z", ""):
            text = RICH.decode().replace("2001-10-27T16:49:29Z", time).replace("2005-05-30T16:09:44+05:00", time)
            presence = Presence.parse(text.encode())
            self.assertEqual((presence.tuples[0].timestamp, presence.persons[0].timestamp), (None, None), time)
            self.assertEqual(presence.tuples[0].contact, "im:someone@mobilecarrier.net")
        presence = Presence.parse(RICH.replace(b'xml:lang="en"', b'xml:lang="en_GB"'))
        self.assertEqual(presence.tuples[0].notes[0], Note("Don't Disturb Please!"))
        presence = Presence.parse(RICH.replace(b">urn:uuid:48662e19-5fbf-43fc-a2fd-d23002787599<", b"> <"))
        self.assertEqual(presence.tuples[0].device_ids, ())

    def test_language_around(self) -> None:
        """Words that do not say their language have that of what they stand in (RFC 3863 section 4.1.6)."""
        text = (
            RICH.decode().replace('entity="', 'xml:lang="de" entity="').replace("<dm:person", '<dm:person xml:lang=""')
        )
        presence = Presence.parse(text.encode())
        self.assertEqual([note.language for note in presence.tuples[0].notes], ["en", "fr"])
        self.assertEqual([note.language for note in (*presence.notes, *presence.devices[0].notes)], ["de", "de"])
        person = presence.persons[0]
        self.assertEqual([note.language for note in (*person.notes, *person.activity_notes)], ["", ""])
        text = RICH.decode().replace("<rpid:activities>", '<rpid:activities xml:lang="it">')
        text = text.replace('<tuple id="bs35r9"', '<tuple id="bs35r9" xml:lang="e n"').replace(' xml:lang="en"', "")
        presence = Presence.parse(text.encode())
        self.assertEqual([note.language for note in presence.tuples[0].notes], ["", "fr"])
        self.assertEqual([note.language for note in presence.persons[0].activity_notes], ["it"])

    def test_order(self) -> None:
        """What is written stands in the order of the schemas (RFC 3863 section 4.4, RFC 4479 section 5.1)."""
        other = (XmlElement("{urn:x}a"),)
        notes, when = (Note("x"),), 0.0
        way = Tuple("t", OPEN, "sip:a@b", "0.5", notes, when, ("urn:device:1",), other, other)
        person = Person("p", ("away",), notes, notes, when, other)
        whole = Presence("sip:a@b", (way,), (person,), (Device("d", "urn:device:1", notes, when, other),), notes, other)
        root = parse_xml(whole.to_bytes())

        def names(element: XmlElement | None) -> list[str]:
            return [] if element is None else [child.local_name for child in element.children]

        self.assertEqual(names(root), ["tuple", "note", "person", "device", "a"])
        said, _, written_person, written_device, _ = root.children
        self.assertEqual(names(said), ["status", "a", "deviceID", "contact", "note", "timestamp"])
        self.assertEqual(names(said.children[0]), ["basic", "a"])
        self.assertEqual(names(written_person), ["activities", "a", "note", "timestamp"])
        self.assertEqual(names(written_device), ["a", "deviceID", "note", "timestamp"])

    def test_times_that_differ(self) -> None:
        """Two changes within a second have two timestamps, and those of others are written as they were (RFC 3863
        section 4.1.7)."""
        written = [Presence("sip:a@b", (Tuple("t", OPEN, timestamp=at),)).to_bytes() for at in (1.25, 1.5)]
        self.assertEqual([Presence.parse(each).tuples[0].timestamp for each in written], [1.25, 1.5])
        text = RICH.decode().replace("16:49:29Z", "16:49:29.52Z").replace("16:09:44+05:00", "11:09:44.007Z")
        again = Presence.parse(text.encode()).to_bytes()
        self.assertIn(b">2001-10-27T16:49:29.52Z<", again)
        self.assertIn(b">2005-05-30T11:09:44.007Z<", again)

    def test_of(self) -> None:
        """The simplest presence is one line."""
        presence = Presence.of("sip:bob@b.example", False, contact="sip:bob@h", note="Gone", activities=["meal"])
        self.assertFalse(presence.is_open)
        self.assertEqual(presence.tuples[0].notes, (Note("Gone"),))
        self.assertEqual(presence.activities, ("meal",))

    def test_activities_that_are_one_text(self) -> None:
        """A word where several are due is not taken letter by letter."""
        self.assertRaises(TypeError, Presence.of, "sip:bob@b.example", activities="meal")
        self.assertEqual(Presence.of("sip:bob@b.example").persons, ())
        self.assertFalse(Presence("sip:bob@b.example").is_open)

    def test_devices(self) -> None:
        """Two devices of one entity have no id in common, and an id that cannot be one is refused."""
        desk, pocket = (Presence.of("sip:bob@b.example", activities=["meal"], device=name) for name in ("a", "b"))
        ids = [part.id for each in (desk, pocket) for part in (*each.tuples, *each.persons)]
        self.assertEqual(ids, ["ta", "pa", "tb", "pb"])
        self.assertRaises(ValueError, Presence.of, "sip:bob@b.example", device="a b")

    def test_neither_open_nor_closed(self) -> None:
        """A softphone's ``?`` says nothing of its tuple, and takes nothing from the rest of the document."""
        presence = Presence.parse(RICH.replace(b">closed<", b">?<"))
        self.assertEqual([part.basic for part in presence.tuples], ["open", ""])
        self.assertTrue(presence.is_open)

    def test_refused(self) -> None:
        """What is not presence, or has a part that says what it cannot, is refused with the reason."""
        whole = SIMPLE.decode()
        for wrong, word in (
            ("<presence/>", "presence"),
            (whole.replace(' entity="pres:someone@example.com"', ""), "URI"),
            (whole.replace(' id="sg89ae"', ""), "id"),
            (whole.replace("impp:status", "impp:state"), "status"),
            (RICH.decode().replace("eg92n8", "bs35r9"), "same id"),
            (RICH.decode().replace("<dm:deviceID>urn:device:0003ba4811e3</dm:deviceID>", ""), "device"),
        ):
            error = self.assertRaises(MalformedDocument, Presence.parse, wrong.encode())
            self.assertIn(word, str(error), wrong)

    def test_values(self) -> None:
        """What could not be written is refused when the value is made."""
        for make in (
            lambda: Tuple("1a"),
            lambda: Tuple("a", "ajar"),
            lambda: Tuple("a", priority="0.5"),
            lambda: Tuple("a", timestamp=-1.0),
            lambda: Tuple("a", contact="\0"),
            lambda: Tuple("a", device_ids=("",)),
            lambda: Person("a", ("Be Sy",)),
            lambda: Person("a", None, (Note("x"),)),
            lambda: Device("a", " "),
            lambda: Note("\0"),
            lambda: Presence(""),
            lambda: Presence("sip:a@b", (Tuple("a"), Tuple("a"))),
        ):
            self.assertRaises(ValueError, make)

    @given(presences())
    def test_round_trip(self, presence: Presence) -> None:
        """What is written is read as the same."""
        self.assertEqual(Presence.parse(presence.to_bytes()), presence)
