"""XML of a peer: what is read, what is refused, and that what is written is read as the same."""

from __future__ import annotations

import gc
import string
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.documents.xml import XML_NAMESPACE, XmlElement, XmlLimits, clean_text, parse_xml, write_xml
from sip_p2p.errors import MalformedDocument

_texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn"), include_characters="\t\n\r"), max_size=20).filter(
    lambda text: "\ufffe" not in text and "\uffff" not in text
)
_locals = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(string.ascii_letters + "_äλ"),
    st.text(st.sampled_from(string.ascii_letters + string.digits + "-._ä"), max_size=8),
)
_namespaces = st.sampled_from(["", "{urn:a}", "{urn:b}", "{http://example.org/?a=1&b=2}"])
_names = st.builds(lambda namespace, local: namespace + local, _namespaces, _locals)
_attributes = st.dictionaries(_names | st.just(f"{{{XML_NAMESPACE}}}lang"), _texts, max_size=3)
ELEMENTS = st.recursive(
    st.builds(XmlElement, _names, _attributes, st.just(()), _texts),
    lambda inner: st.builds(XmlElement, _names, _attributes, st.lists(inner, max_size=3), _texts),
    max_leaves=8,
)


class ReadingTests(SynchronousTestCase):
    """What is well-formed and within bounds."""

    def test_namespaces(self) -> None:
        """A name is known by its namespace, whatever prefix stood before it."""
        for text in (
            '<a xmlns="urn:x" b="1"><c/></a>',
            '<p:a xmlns:p="urn:x" b="1"><p:c/></p:a>',
            '<p:a xmlns:p="urn:x" b="1"><c xmlns="urn:x"/></p:a>',
        ):
            root = parse_xml(text)
            self.assertEqual((root.name, root.namespace, root.local_name), ("{urn:x}a", "urn:x", "a"))
            self.assertEqual((root.get("b"), root.get("c")), ("1", None))
            self.assertEqual([child.name for child in root.children], ["{urn:x}c"])

    def test_texts(self) -> None:
        """The text of an element is all of it, with references undone, and without that of its children."""
        root = parse_xml("<a> x &lt;<b> 1 </b>&#65;<![CDATA[&]]><b>2</b><!-- no --><?no no?></a>")
        self.assertEqual(root.text, " x <A&")
        self.assertEqual((root.text_of("b"), root.text_of("c")), ("1", None))
        self.assertEqual(len(root.find_all("b")), 2)
        self.assertIsNone(root.find("c"))

    def test_encodings(self) -> None:
        """Octets are in the encoding that they say; text is what it is, whatever it says."""
        for octets in (
            "<a>ä</a>".encode(),
            "<a>ä</a>".encode("utf-16"),
            '<?xml version="1.0" encoding="ISO-8859-1"?><a>ä</a>'.encode("latin-1"),
        ):
            self.assertEqual(parse_xml(octets).text, "ä")
        self.assertEqual(parse_xml('<?xml version="1.0" encoding="ISO-8859-1"?><a>ä</a>').text, "ä")

    def test_expected(self) -> None:
        """Another root than the expected one is refused."""
        self.assertEqual(parse_xml("<a/>", expected="a").name, "a")
        error = self.assertRaises(MalformedDocument, parse_xml, "<b/>", expected="a")
        self.assertIn("'b'", str(error))

    def test_no_circles(self) -> None:
        """Neither a document that was read nor one that was refused leaves a circle of references."""
        gc.collect()
        for text in ("<a><b/></a>", "<a><b></a>", "<!DOCTYPE a><a/>", "<a>" * 40):
            try:
                parse_xml(text)
            except MalformedDocument:
                continue
        self.assertEqual([each for each in gc.get_objects() if type(each).__name__ == "DefusedXMLParser"], [])


class RefusalTests(SynchronousTestCase):
    """What is refused, as one class of error."""

    def refused(self, document: bytes | str, **limits: int) -> MalformedDocument:
        """The error for *document*."""
        error = self.assertRaises(MalformedDocument, parse_xml, document, limits=XmlLimits(**limits))
        assert isinstance(error, MalformedDocument)
        return error

    def test_not_well_formed(self) -> None:
        """What is not well-formed is refused, with the line where."""
        for text in (
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><a/>",
            "<a b=1/>",
            "<p:a/>",
            "<a>\0</a>",
            "<a>&no;</a>",
            b"\xff<a/>",
        ):
            self.refused(text)
        self.assertEqual(self.refused("<a>\n\n</b>").line, 3)
        self.assertEqual(self.refused("<a>\ud800</a>").line, 1)

    def test_encodings_that_are_none(self) -> None:
        """An encoding that nobody knows is refused."""
        for name in ("none-such", "utf-7", "rot13", "euc-jp"):
            self.refused(f'<?xml version="1.0" encoding="{name}"?><a>+AGE-</a>'.encode())

    def test_document_types_and_entities(self) -> None:
        """There is no document type, no entity, and nothing from outside."""
        bomb = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 9))
        for text in (
            "<!DOCTYPE a><a/>",
            f'<!DOCTYPE a [<!ENTITY b0 "x">{bomb}]><a>&b8;</a>',
            '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
            '<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><a/>',
            '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://192.0.2.1/p"> %p;]><a/>',
        ):
            self.assertIn("document type", self.refused(text).reason)

    def test_bounds(self) -> None:
        """Each bound holds, and what is just within it is read."""
        for name, bound, within, beyond in (
            ("octets", 10, "<a>123</a>", "<a>1234</a>"),
            ("elements", 3, "<a><b/><b/></a>", "<a><b/><b/><b/></a>"),
            ("depth", 2, "<a><b/></a>", "<a><b><c/></b></a>"),
            ("attributes", 1, '<a b=""/>', '<a b="" c=""/>'),
            ("name", 5, "<abcde/>", "<abcdef/>"),
        ):
            parse_xml(within, limits=XmlLimits(**{name: bound}))
            self.assertIn(str(bound), self.refused(beyond, **{name: bound}).reason)
            self.assertRaises(ValueError, XmlLimits, **{name: 0})

    def test_long_namespace(self) -> None:
        """A namespace that would be copied into thousands of names is refused at the first of them."""
        names = "".join(f"<p:a{number}/>" for number in range(1000))
        self.assertIn("name", self.refused(f'<p:a xmlns:p="{"x" * 30000}">{names}</p:a>').reason)


class WritingTests(SynchronousTestCase):
    """What is written."""

    def test_form(self) -> None:
        """The namespace of the root needs no prefix; the prefixes of others are as wished, or made up."""
        root = XmlElement(
            "{urn:a}a", {"b": '"<\n'}, [XmlElement("{urn:b}b", {"{urn:c}c": "1"}), XmlElement("{urn:a}d")], "&"
        )
        self.assertEqual(
            write_xml(root, {"urn:c": "c"}),
            b'<?xml version="1.0" encoding="UTF-8"?>\n<a xmlns="urn:a" xmlns:ns1="urn:b" xmlns:c="urn:c"'
            b' b="&quot;&lt;&#10;">&amp;<ns1:b c:c="1"/><d/></a>\n',
        )

    def test_prefixes(self) -> None:
        """Two namespaces never share a prefix, and what cannot be a prefix is refused."""
        root = XmlElement("{urn:a}a", {}, [XmlElement("{urn:b}b"), XmlElement("{urn:c}c")])
        for prefixes in ({"urn:b": "x", "urn:c": "x"}, {"urn:b": "ns1"}, {"urn:b": "xml"}, {"urn:a": "p"}):
            self.assertEqual(parse_xml(write_xml(root, prefixes)), root)
        self.assertRaises(ValueError, write_xml, root, {"urn:b": "a b"})

    def test_many_namespaces(self) -> None:
        """As many namespaces as a document may have are written in time that grows as they do. fault:D4"""

        def cost(count: int) -> float:
            root = XmlElement("{urn:a}a", {}, [XmlElement(f"{{urn:{number}}}b") for number in range(count)])
            times: list[float] = []
            for _ in range(3):
                began = time.process_time()
                write_xml(root)
                times.append(time.process_time() - began)
            return min(times)

        self.assertLess(cost(4000), 40 * cost(400))

    def test_names_and_characters(self) -> None:
        """What cannot be a name, and a character that XML does not have, is refused before anything is written."""
        for name in ("", "a b", "1a", "a:b", "{urn:a}", "{}a", "{a", "a}b", "{urn:\0}a", "a\ud800"):
            self.assertRaises(ValueError, XmlElement, name)
            self.assertRaises(ValueError, XmlElement, "a", {name: ""})
        for text in ("\0", "\x1f", "\ud800", "\ufffe"):
            self.assertRaises(ValueError, XmlElement, "a", {}, (), text)
            self.assertRaises(ValueError, XmlElement, "a", {"b": text})
            self.assertEqual(clean_text(f"a{text}b"), "a\ufffdb")

    def test_depth(self) -> None:
        """What would be too deep to be read is not written."""
        element = XmlElement("a")
        for _ in range(31):
            element = XmlElement("a", {}, [element])
        self.assertEqual(parse_xml(write_xml(element)), element)
        self.assertRaises(ValueError, write_xml, XmlElement("a", {}, [element]))

    @given(ELEMENTS)
    def test_round_trip(self, element: XmlElement) -> None:
        """What is written is read as the same."""
        again = parse_xml(write_xml(element))
        self.assertEqual(again, element)
        self.assertEqual(hash(again), hash(element))
        self.assertNotEqual(again, XmlElement("another"))
        self.assertNotEqual(again, "another")
        self.assertIn(repr(element.name), repr(again))

    @given(st.binary(max_size=60) | st.text("<>/ab= \"&;![]?'", max_size=40))
    def test_anything(self, document: bytes | str) -> None:
        """Whatever comes is read, or refused with the one class of error."""
        try:
            parse_xml(document)
        except MalformedDocument as error:
            self.assertTrue(error.reason)
