"""Presence: ``application/pidf+xml`` (RFC 3863), with persons and devices (RFC 4479), and what persons do (RFC 4480).

A presentity has *tuples*, the ways to reach it, each open or closed; a *person*, who may be busy; and *devices*. Left
out on purpose: of RFC 4480 everything but activities, and partial presence (RFC 5262). What is not known here is kept
as it stands among the ``extensions``, and written again. What a part of a peer's document cannot say, such as a time
that is none, is left out, and the rest is read (RFC 4479 section 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, final

from sip_p2p.documents.timestamps import format_timestamp, parse_timestamp
from sip_p2p.documents.xml import XML_NAMESPACE, XmlElement, check_text, parse_xml, write_xml
from sip_p2p.errors import MalformedDocument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "CLOSED",
    "DATA_MODEL_NAMESPACE",
    "MEDIA_TYPE",
    "NAMESPACE",
    "OPEN",
    "RPID_NAMESPACE",
    "Device",
    "Note",
    "Person",
    "Presence",
    "Tuple",
]

MEDIA_TYPE = "application/pidf+xml"
"""The media type of these documents."""

NAMESPACE = "urn:ietf:params:xml:ns:pidf"
"""That of RFC 3863."""

DATA_MODEL_NAMESPACE = "urn:ietf:params:xml:ns:pidf:data-model"
"""That of RFC 4479: persons and devices."""

RPID_NAMESPACE = "urn:ietf:params:xml:ns:pidf:rpid"
"""That of RFC 4480: activities."""

OPEN = "open"
"""The basic status of a tuple by which its presentity can be reached (RFC 3863 section 4.1.4)."""

CLOSED = "closed"
"""The basic status of a tuple by which it cannot."""

_PREFIXES: Final[Mapping[str, str]] = {DATA_MODEL_NAMESPACE: "dm", RPID_NAMESPACE: "rpid"}
_PRIORITY = re.compile("0(?:[.][0-9]{0,3})?|1(?:[.]0{0,3})?")
_ID = re.compile("[A-Za-z_\u00c0-\ufffd][A-Za-z0-9_.\\-\u00b7-\ufffd]*")
_NOT_IN_ID = re.compile("[^A-Za-z0-9.\\-\u00b7-\ufffd]")
_LANGUAGE = re.compile("[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_ACTIVITY = re.compile("[a-z][a-z0-9-]*")
_LANG = f"{{{XML_NAMESPACE}}}lang"


def _p(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _dm(name: str) -> str:
    return f"{{{DATA_MODEL_NAMESPACE}}}{name}"


_ACTIVITIES = f"{{{RPID_NAMESPACE}}}activities"


@final
@dataclass(frozen=True, slots=True)
class Note:
    """Words for people (RFC 3863 section 4.1.6).

    :ivar text: the words.
    :ivar language: a tag such as ``de-AT``; empty where it is not said.
    """

    text: str
    language: str = ""

    def __post_init__(self) -> None:
        check_text(self.text)
        if self.language and _LANGUAGE.fullmatch(self.language) is None:
            raise ValueError(f"{self.language[:64]!r} is not a language tag")

    def to_xml(self, name: str) -> XmlElement:
        """The element; *name* is its name, for each namespace has one."""
        return XmlElement(name, {_LANG: self.language} if self.language else None, (), self.text)


@final
@dataclass(frozen=True, slots=True)
class Tuple:
    """A way to reach the presentity (RFC 3863 section 4.1.2).

    :ivar id: what tells it apart from the others of its document; it begins with a letter. Another one that a peer
        wrote is read as one that does.
    :ivar basic: :data:`OPEN` or :data:`CLOSED`; empty where it is not said.
    :ivar contact: a URI; empty where there is none.
    :ivar priority: of the contact, ``0`` to ``1`` with three decimals at most; empty where it is not said.
    :ivar notes: words.
    :ivar timestamp: when it changed, in seconds since 1970; None where it is not said.
    :ivar device_ids: the devices that it is about (RFC 4479 section 3.4), by their ``deviceID``.
    :ivar status_extensions: what else stands in its status.
    :ivar extensions: what else stands in it.
    """

    id: str
    basic: str = ""
    contact: str = ""
    priority: str = ""
    notes: tuple[Note, ...] = ()
    timestamp: float | None = None
    device_ids: tuple[str, ...] = ()
    status_extensions: tuple[XmlElement, ...] = ()
    extensions: tuple[XmlElement, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        if self.basic not in ("", OPEN, CLOSED):
            raise ValueError(f"the basic status is open or closed, not {self.basic[:64]!r}")
        check_text(self.contact)
        if self.priority and (not self.contact or _PRIORITY.fullmatch(self.priority) is None):
            raise ValueError(f"{self.priority[:16]!r} is not a priority, or there is no contact that has one")
        _check_timestamp(self.timestamp)
        for device in self.device_ids:
            _check_device(device)

    @property
    def is_open(self) -> bool:
        """Whether the presentity can be reached by it; one that says nothing is not open."""
        return self.basic == OPEN

    @classmethod
    def from_xml(cls, element: XmlElement, language: str = "") -> Tuple:
        """
        :param language: that of the words in it that do not say theirs.
        :raises ValueError: when something in it is not what it should be.
        """
        status = element.find(_p("status"))
        if status is None:
            raise MalformedDocument("a tuple has no status")
        # Softphones that do not know yet say "?": that says nothing, and takes nothing from the rest of the document.
        basic = status.text_of(_p("basic")) or ""
        contact = element.find(_p("contact"))
        uri = "" if contact is None else contact.text.strip(" \t\r\n")
        priority = "" if contact is None or not uri else contact.get("priority") or ""
        known = {_p("status"), _p("contact"), _p("note"), _p("timestamp"), _dm("deviceID")}
        return cls(
            _id_of(element),
            basic if basic in (OPEN, CLOSED) else "",
            uri,
            # Section 4.1.5: one that is out of range counts as missing.
            priority if _PRIORITY.fullmatch(priority) else "",
            _notes(element, _p("note"), _language_of(element, language)),
            _timestamp(element, _p("timestamp")),
            _device_ids(element),
            tuple(child for child in status.children if child.name != _p("basic")),
            tuple(child for child in element.children if child.name not in known),
        )

    def to_xml(self) -> XmlElement:
        """The element, its children in the order of the schema."""
        basic = [XmlElement(_p("basic"), None, (), self.basic)] if self.basic else []
        children = [XmlElement(_p("status"), None, (*basic, *self.status_extensions)), *self.extensions]
        children += [XmlElement(_dm("deviceID"), None, (), device) for device in self.device_ids]
        if self.contact:
            priority = {"priority": self.priority} if self.priority else None
            children.append(XmlElement(_p("contact"), priority, (), self.contact))
        children += [note.to_xml(_p("note")) for note in self.notes]
        if self.timestamp is not None:
            children.append(_written_timestamp(_p("timestamp"), self.timestamp))
        return XmlElement(_p("tuple"), {"id": self.id}, children)


@final
@dataclass(frozen=True, slots=True)
class Person:
    """The human being (RFC 4479 section 3.2).

    :ivar id: what tells it apart from the others of its document.
    :ivar activities: what the person does, as RFC 4480 section 3.2 names it: ``away``, ``busy``, ``meeting``,
        ``on-the-phone``, ``lunch`` and others; None where nothing is said, and empty where the person does nothing.
    :ivar activity_notes: words about the activities.
    :ivar notes: words.
    :ivar timestamp: when it changed, in seconds since 1970; None where it is not said.
    :ivar extensions: what else stands in it.
    """

    id: str
    activities: tuple[str, ...] | None = None
    activity_notes: tuple[Note, ...] = ()
    notes: tuple[Note, ...] = ()
    timestamp: float | None = None
    extensions: tuple[XmlElement, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        _check_timestamp(self.timestamp)
        if self.activities is None and self.activity_notes:
            raise ValueError("there are no activities that words could be about")
        for activity in self.activities or ():
            if _ACTIVITY.fullmatch(activity) is None:
                raise ValueError(f"{activity[:64]!r} is not an activity")

    @classmethod
    def from_xml(cls, element: XmlElement, language: str = "") -> Person:
        """
        :param language: that of the words in it that do not say theirs.
        :raises ValueError: when something in it is not what it should be.
        """
        found, language = element.find(_ACTIVITIES), _language_of(element, language)
        note = f"{{{RPID_NAMESPACE}}}note"
        activities = None
        if found is not None:
            activities = tuple(
                child.local_name
                for child in found.children
                if child.namespace == RPID_NAMESPACE and child.name != note and _ACTIVITY.fullmatch(child.local_name)
            )
        known = {_ACTIVITIES, _dm("note"), _dm("timestamp")}
        return cls(
            _id_of(element),
            activities,
            () if found is None else _notes(found, note, _language_of(found, language)),
            _notes(element, _dm("note"), language),
            _timestamp(element, _dm("timestamp")),
            tuple(child for child in element.children if child.name not in known),
        )

    def to_xml(self) -> XmlElement:
        """The element."""
        children = []
        if self.activities is not None:
            inner = [note.to_xml(f"{{{RPID_NAMESPACE}}}note") for note in self.activity_notes]
            inner += [XmlElement(f"{{{RPID_NAMESPACE}}}{activity}") for activity in self.activities]
            children.append(XmlElement(_ACTIVITIES, None, inner))
        children += self.extensions
        return XmlElement(_dm("person"), {"id": self.id}, _ended(children, self.notes, self.timestamp))


@final
@dataclass(frozen=True, slots=True)
class Device:
    """Something by which the presentity communicates (RFC 4479 section 3.4).

    :ivar id: what tells it apart from the others of its document.
    :ivar device_id: a URI that names it always, ``urn:uuid:...`` for one.
    :ivar notes: words.
    :ivar timestamp: when it changed, in seconds since 1970; None where it is not said.
    :ivar extensions: what else stands in it.
    """

    id: str
    device_id: str
    notes: tuple[Note, ...] = ()
    timestamp: float | None = None
    extensions: tuple[XmlElement, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        _check_device(self.device_id)
        _check_timestamp(self.timestamp)

    @classmethod
    def from_xml(cls, element: XmlElement, language: str = "") -> Device:
        """
        :param language: that of the words in it that do not say theirs.
        :raises ValueError: when something in it is not what it should be.
        """
        known = {_dm("deviceID"), _dm("note"), _dm("timestamp")}
        return cls(
            _id_of(element),
            element.text_of(_dm("deviceID")) or "",
            _notes(element, _dm("note"), _language_of(element, language)),
            _timestamp(element, _dm("timestamp")),
            tuple(child for child in element.children if child.name not in known),
        )

    def to_xml(self) -> XmlElement:
        """The element."""
        children = [*self.extensions, XmlElement(_dm("deviceID"), None, (), self.device_id)]
        return XmlElement(_dm("device"), {"id": self.id}, _ended(children, self.notes, self.timestamp))


@final
@dataclass(frozen=True, slots=True)
class Presence:
    """All that is told of one presentity (RFC 3863 section 4.1.1).

    :ivar entity: its URI: ``sip:`` or ``pres:``.
    :ivar tuples: the ways to reach it.
    :ivar persons: who it is; several of them are several opinions.
    :ivar devices: by what it communicates.
    :ivar notes: words.
    :ivar extensions: what else stands in it.
    :cvar media_type: the media type of these documents.
    """

    media_type: ClassVar[str] = MEDIA_TYPE

    entity: str
    tuples: tuple[Tuple, ...] = ()
    persons: tuple[Person, ...] = ()
    devices: tuple[Device, ...] = ()
    notes: tuple[Note, ...] = ()
    extensions: tuple[XmlElement, ...] = ()

    def __post_init__(self) -> None:
        if not check_text(self.entity).strip(" \t\r\n"):
            raise ValueError("presence is that of a URI, and there is none")
        ids = [part.id for part in self.tuples]
        ids += [part.id for part in self.persons]
        ids += [part.id for part in self.devices]
        if len(set(ids)) != len(ids):
            raise ValueError("two parts of a presence document have the same id")

    @property
    def is_open(self) -> bool:
        """Whether the presentity can be reached in some way."""
        return any(part.is_open for part in self.tuples)

    @property
    def activities(self) -> tuple[str, ...]:
        """What its persons do, each once."""
        return tuple(dict.fromkeys(each for person in self.persons for each in person.activities or ()))

    @classmethod
    def of(
        cls,
        entity: str,
        is_open: bool = True,
        *,
        contact: str = "",
        note: str = "",
        activities: Sequence[str] = (),
        device: str = "1",
    ) -> Presence:
        """Presence as simple as it can be: one tuple, and a person where there are activities.

        :param device: what tells the ids in it apart from those of other devices that publish for the same entity:
            letters, digits, ``-``, ``_`` and ``.``. Of tuples with the same id some servers keep one only.
        :raises TypeError: for activities that are one text.
        :raises ValueError: for what a document cannot say.
        """
        if isinstance(activities, str):
            raise TypeError("activities are several words, such as ['meal'], not one text")
        notes = (Note(note),) if note else ()
        way = Tuple(f"t{device}", OPEN if is_open else CLOSED, contact, notes=notes)
        return cls(entity, (way,), (Person(f"p{device}", tuple(activities)),) if activities else ())

    @classmethod
    def parse(cls, octets: bytes) -> Presence:
        """Read a document.

        :raises MalformedDocument: when it is none, or one of its parts says what it cannot.
        """
        root = parse_xml(octets, expected=_p("presence"))
        known = {_p("tuple"), _p("note"), _dm("person"), _dm("device")}
        language = _language_of(root, "")
        try:
            return cls(
                root.get("entity") or "",
                tuple(Tuple.from_xml(each, language) for each in root.find_all(_p("tuple"))),
                tuple(Person.from_xml(each, language) for each in root.find_all(_dm("person"))),
                tuple(Device.from_xml(each, language) for each in root.find_all(_dm("device"))),
                _notes(root, _p("note"), language),
                tuple(each for each in root.children if each.name not in known),
            )
        except MalformedDocument:
            raise
        except ValueError as error:
            raise MalformedDocument(f"not presence: {error}") from None

    def to_bytes(self) -> bytes:
        """The document, in UTF-8."""
        parts: list[XmlElement] = [part.to_xml() for part in self.tuples]
        parts += [note.to_xml(_p("note")) for note in self.notes]
        parts += [person.to_xml() for person in self.persons]
        parts += [device.to_xml() for device in self.devices]
        root = XmlElement(_p("presence"), {"entity": self.entity}, (*parts, *self.extensions))
        return write_xml(root, _PREFIXES)


def _check_id(id: str) -> None:
    if _ID.fullmatch(check_text(id)) is None:
        raise ValueError(f"{id[:64]!r} cannot be an id: it begins with a letter, and has no blanks or colons")


def _check_device(device: str) -> None:
    if not check_text(device) or device != device.strip(" \t\r\n"):
        raise ValueError(f"{device[:64]!r} is not the URI of a device")


def _check_timestamp(timestamp: float | None) -> None:
    if timestamp is not None:
        format_timestamp(timestamp)


def _id_of(element: XmlElement) -> str:
    """The id that a peer wrote. Section 4.1.2 of RFC 3863 lets it be any text, and its schema does not: what the schema
    forbids is read as something else, the same thing each time."""
    written = element.get("id") or ""
    if not written or _ID.fullmatch(written) is not None:
        return written
    return "_" + _NOT_IN_ID.sub(lambda found: f"_{ord(found[0]):x}_", written)


def _language_of(element: XmlElement, around: str) -> str:
    """The language of the words in *element* that do not say theirs (section 4.1.6): what it says, or what is said
    *around* it."""
    said = element.get(_LANG)
    if said is None:
        return around
    return said if _LANGUAGE.fullmatch(said) is not None else ""


def _notes(element: XmlElement, name: str, language: str) -> tuple[Note, ...]:
    return tuple(Note(note.text, _language_of(note, language)) for note in element.find_all(name))


def _timestamp(element: XmlElement, name: str) -> float | None:
    """The instant; None also for what is none: nobody is less present because of a clock."""
    text = element.text_of(name)
    try:
        timestamp = None if text is None else parse_timestamp(text)
        _check_timestamp(timestamp)
    except ValueError:
        return None
    return timestamp


def _written_timestamp(name: str, timestamp: float) -> XmlElement:
    # RFC 3863 section 4.1.7: no two states in a row may have the same one.
    return XmlElement(name, None, (), format_timestamp(timestamp, is_exact=True))


def _device_ids(element: XmlElement) -> tuple[str, ...]:
    found = (each.text.strip(" \t\r\n") for each in element.find_all(_dm("deviceID")))
    return tuple(each for each in found if each)


def _ended(children: list[XmlElement], notes: tuple[Note, ...], timestamp: float | None) -> list[XmlElement]:
    """*children* with the notes and the timestamp that the schemas of RFC 4479 have at the end."""
    children += [note.to_xml(_dm("note")) for note in notes]
    if timestamp is not None:
        children.append(_written_timestamp(_dm("timestamp"), timestamp))
    return children
