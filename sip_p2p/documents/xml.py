"""XML that a peer wrote: elements with their namespaces, read within bounds, and written (XML 1.0, Namespaces in XML).

What a peer sends is read by ``defusedxml``, so there is no document type, no entity and nothing external; how large a
document is, how deep, how wide and how long its names are, is bounded while it is read. Left out on purpose: comments
and processing instructions, which are skipped, and where between its elements a text stands: all the text of an element
is one text.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from sip_p2p.errors import MalformedDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "DEFAULT_XML_LIMITS",
    "XML_NAMESPACE",
    "XmlElement",
    "XmlLimits",
    "check_text",
    "clean_text",
    "parse_xml",
    "write_xml",
]

XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"
"""That of ``xml:lang`` and ``xml:space``, which needs no declaration."""

_LOCAL = re.compile("[A-Za-z_\u00c0-\ufffd\U00010000-\U000effff][A-Za-z0-9_.\\-\u00b7-\ufffd\U00010000-\U000effff]*")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_IN_VALUE = {**_IN_TEXT, '"': "&quot;", "\t": "&#9;", "\n": "&#10;"}
_TEXT_TABLE = str.maketrans(_IN_TEXT)
_VALUE_TABLE = str.maketrans(_IN_VALUE)


@final
class XmlLimits:
    """How much of a document is read. What is larger is refused as a whole.

    :ivar octets: the document.
    :ivar elements: how many elements it has altogether.
    :ivar depth: how deep they stand in each other.
    :ivar attributes: how many one of them has.
    :ivar name: a name with its namespace, in characters.
    """

    __slots__ = ("attributes", "depth", "elements", "name", "octets")

    def __init__(
        self, *, octets: int = 262_144, elements: int = 4096, depth: int = 32, attributes: int = 64, name: int = 512
    ) -> None:
        """
        :raises ValueError: when a bound is not a positive number.
        """
        self.octets = octets
        self.elements = elements
        self.depth = depth
        self.attributes = attributes
        self.name = name
        for each in self.__slots__:
            if getattr(self, each) < 1:
                raise ValueError(f"the limit {each!r} must be at least 1, not {getattr(self, each)}")


DEFAULT_XML_LIMITS = XmlLimits()
"""Those that count where nobody says anything else."""


@final
class XmlElement:
    """One element. It does not change.

    :ivar name: its name with its namespace in braces: ``{urn:ietf:params:xml:ns:pidf}presence``; a name that is in no
        namespace stands alone.
    :ivar attributes: its attributes, by names of the same form.
    :ivar children: the elements in it, in order.
    :ivar text: the text in it, without that of its children.
    """

    __slots__ = ("_attributes", "children", "name", "text")

    def __init__(
        self,
        name: str,
        attributes: Mapping[str, str] | None = None,
        children: Iterable[XmlElement] = (),
        text: str = "",
    ) -> None:
        """
        :raises ValueError: when a name is none, or a character is none that XML can carry.
        """
        _check_name(name)
        self._attributes = {} if attributes is None else dict(attributes)
        for attribute, value in self._attributes.items():
            _check_name(attribute)
            check_text(value)
        self.name = name
        self.children = tuple(children)
        self.text = check_text(text)

    @property
    def attributes(self) -> Mapping[str, str]:
        """Its attributes, by names with their namespaces."""
        return MappingProxyType(self._attributes)

    @property
    def namespace(self) -> str:
        """The namespace of its name; empty where it is in none."""
        return self.name[1:].rpartition("}")[0]

    @property
    def local_name(self) -> str:
        """Its name without the namespace."""
        return self.name.rpartition("}")[2]

    def get(self, attribute: str) -> str | None:
        """The value of an attribute; None where it is missing."""
        return self._attributes.get(attribute)

    def find(self, name: str) -> XmlElement | None:
        """The first child with this name; None where there is none."""
        for child in self.children:
            if child.name == name:
                return child
        return None

    def find_all(self, name: str) -> list[XmlElement]:
        """All children with this name, in order."""
        return [child for child in self.children if child.name == name]

    def text_of(self, name: str) -> str | None:
        """The text of the first child with this name, without white space around it; None where there is no child."""
        child = self.find(name)
        return None if child is None else child.text.strip(" \t\r\n")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, XmlElement):
            return NotImplemented
        return (
            self.name == other.name
            and self._attributes == other._attributes
            and self.text == other.text
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return hash((self.name, self.text, len(self.children)))

    def __repr__(self) -> str:
        return f"<XmlElement {self.name!r}, {len(self.children)} children>"


def check_text(text: str) -> str:
    """Return *text* if a document may carry it.

    :raises ValueError: when it has a character that is none in XML (XML 1.0 section 2.2).
    """
    found = _FORBIDDEN.search(text)
    if found is not None:
        raise ValueError(f"the character U+{ord(found[0]):04X} cannot stand in XML: {text[:64]!r}")
    return text


def clean_text(text: str) -> str:
    """*text* with U+FFFD for each character that is none in XML: what a peer wrote somewhere else, to be told in a
    document."""
    return _FORBIDDEN.sub("\ufffd", text)


def _check_name(name: str) -> None:
    """Refuse what is no name of an element or attribute."""
    namespace, brace, local = name.rpartition("}")
    if (brace and (not namespace.startswith("{") or len(namespace) < 2)) or _LOCAL.fullmatch(local) is None:
        raise ValueError(f"{name[:64]!r} is not a name in XML")
    check_text(name)


# -- reading -----------------------------------------------------------------------------------------------------------


@final
class _Open:
    """An element whose end has not come yet."""

    __slots__ = ("attributes", "children", "name", "texts")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[XmlElement] = []
        self.texts: list[str] = []


@final
class _Builder:
    """What the parser tells, made into elements; it refuses what is too much."""

    def __init__(self, limits: XmlLimits) -> None:
        self._limits = limits
        self._open: list[_Open] = []
        self._elements = 0
        self._root: XmlElement | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        limits = self._limits
        self._elements += 1
        if self._elements > limits.elements:
            raise MalformedDocument(f"the document has more than {limits.elements} elements")
        if len(self._open) >= limits.depth:
            raise MalformedDocument(f"more than {limits.depth} elements stand in each other")
        if len(attributes) > limits.attributes:
            raise MalformedDocument(f"an element has more than {limits.attributes} attributes")
        for each in (name, *attributes):
            if len(each) > limits.name:
                raise MalformedDocument(f"a name is longer than {limits.name} characters: {each[:32]!r}...")
        self._open.append(_Open(name, attributes))

    def data(self, text: str) -> None:
        """Text in an element."""
        self._open[-1].texts.append(text)

    def end(self, _name: str) -> None:
        """An element is whole."""
        done = self._open.pop()
        try:
            element = XmlElement(done.name, done.attributes, done.children, "".join(done.texts))
        except ValueError as error:
            raise MalformedDocument(str(error)) from None
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element

    def close(self) -> XmlElement:
        """The document is whole; its root."""
        if self._root is None:
            raise MalformedDocument("the document has no element")
        return self._root


def parse_xml(
    document: bytes | str, *, expected: str | None = None, limits: XmlLimits = DEFAULT_XML_LIMITS
) -> XmlElement:
    """The root of a document.

    :param document: the octets, in the encoding that they say, or text, whatever it says.
    :param expected: the name that the root must have.
    :raises MalformedDocument: when it is not well-formed, has a document type or an entity, is more than *limits*
        allow, or its root is something else.
    """
    octets = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    if len(octets) > limits.octets:
        raise MalformedDocument(f"the document is longer than {limits.octets} octets")
    encoding = "utf-8" if isinstance(document, str) else None
    parser = DefusedXMLParser(target=_Builder(limits), encoding=encoding, forbid_dtd=True)
    try:
        root = _fed(parser, octets)
    finally:
        # The parser and its callbacks know each other.
        vars(parser).clear()
    if expected is not None and root.name != expected:
        raise MalformedDocument(f"the document is a {root.name[:128]!r}, not a {expected!r}")
    return root


def _fed(parser: Any, octets: bytes) -> XmlElement:
    """The root that *parser* makes of *octets*; whatever is wrong with them has one class."""
    try:
        parser.feed(octets)
        root: XmlElement = parser.close()
    except ParseError as error:
        # Raised out of a frame that holds it: with its traceback it would be a circle.
        error.__traceback__ = None
        raise MalformedDocument(f"not well-formed: {error.msg}", error.position[0]) from None
    except DefusedXmlException:
        raise MalformedDocument("the document has a document type or an entity") from None
    except MalformedDocument:
        raise
    except (ValueError, LookupError):
        # An encoding that does not exist, or that has more than one octet for some character.
        raise MalformedDocument("the encoding of the document cannot be read") from None
    return root


# -- writing -----------------------------------------------------------------------------------------------------------


def write_xml(root: XmlElement, prefixes: Mapping[str, str] | None = None) -> bytes:
    """*root* as a document in UTF-8, its namespaces declared once, at its beginning.

    :param prefixes: the prefix of each namespace, by the namespace; that of the root is the default namespace unless
        it has one here, and others are called ``ns1`` and so on.
    :raises ValueError: when elements stand in each other more deeply than is ever read, or a prefix is none.
    """
    names = _prefixes_of(root, prefixes or {})
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _write(root, names, parts, 0, _declarations(names))
    parts.append("\n")
    return "".join(parts).encode("utf-8")


def _prefixes_of(root: XmlElement, wished: Mapping[str, str]) -> dict[str, str]:
    """The prefix of each namespace that *root* uses; empty for the default one."""
    elements: set[str] = set()
    attributes: set[str] = set()
    order: dict[str, None] = {}
    waiting = [root]
    while waiting:
        element = waiting.pop()
        elements.add(element.namespace)
        order[element.namespace] = None
        for name in element.attributes:
            namespace = name[1:].rpartition("}")[0]
            if namespace:
                attributes.add(namespace)
                order[namespace] = None
        waiting.extend(reversed(element.children))
    names = {XML_NAMESPACE: "xml"}
    taken = {"xml", "xmlns"}
    # An attribute without a prefix is in no namespace, and an element without one in the default namespace, if any.
    default = root.namespace if "" not in elements and root.namespace not in attributes else ""
    number = 0
    for namespace in order:
        if not namespace or namespace in names:
            continue
        prefix = wished.get(namespace)
        if prefix is None and namespace == default:
            names[namespace] = ""
            continue
        if prefix is None or prefix in taken:
            # None that was passed over becomes free again.
            while prefix is None or prefix in taken:
                number += 1
                prefix = f"ns{number}"
        elif _LOCAL.fullmatch(prefix) is None:
            raise ValueError(f"{prefix!r} cannot be a prefix")
        taken.add(prefix)
        names[namespace] = prefix
    return names


def _declarations(names: Mapping[str, str]) -> str:
    """The declarations of namespaces, as attributes of the root."""
    return "".join(
        f' xmlns{":" + prefix if prefix else ""}="{namespace.translate(_VALUE_TABLE)}"'
        for namespace, prefix in names.items()
        if namespace != XML_NAMESPACE
    )


def _qualified(name: str, names: Mapping[str, str]) -> str:
    """*name* as it is written."""
    namespace, brace, local = name[1:].rpartition("}") if name.startswith("{") else ("", "", name)
    prefix = names[namespace] if brace else ""
    return f"{prefix}:{local}" if prefix else local


def _write(element: XmlElement, names: Mapping[str, str], parts: list[str], depth: int, declarations: str) -> None:
    if depth >= DEFAULT_XML_LIMITS.depth:
        raise ValueError(f"more than {DEFAULT_XML_LIMITS.depth} elements stand in each other")
    name = _qualified(element.name, names)
    parts.append(f"<{name}{declarations}")
    for attribute, value in element.attributes.items():
        parts.append(f' {_qualified(attribute, names)}="{value.translate(_VALUE_TABLE)}"')
    if not element.children and not element.text:
        parts.append("/>")
        return
    parts.append(f">{element.text.translate(_TEXT_TABLE)}")
    _write_all(element.children, names, parts, depth + 1)
    parts.append(f"</{name}>")


def _write_all(children: Sequence[XmlElement], names: Mapping[str, str], parts: list[str], depth: int) -> None:
    for child in children:
        _write(child, names, parts, depth, "")
