"""Dialogs of somebody: ``application/dialog-info+xml`` (RFC 4235).

A document has the whole state, or only the dialogs that changed; :class:`DialogTable` puts the documents of one
subscription together (section 4.3). Left out on purpose: route sets and session descriptions, which tell everybody who
watches more than they should know; what is not known here is kept as it stands among the ``extensions``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import ClassVar, final

from sip_p2p.documents.xml import XmlElement, check_text, parse_xml, write_xml
from sip_p2p.errors import MalformedDocument
from sip_p2p.sip.abnf import parse_number

__all__ = [
    "EVENTS",
    "MEDIA_TYPE",
    "MOST_DIALOGS",
    "NAMESPACE",
    "STATES",
    "Assembled",
    "DialogEntry",
    "DialogInfo",
    "DialogParty",
    "DialogTable",
]

MEDIA_TYPE = "application/dialog-info+xml"
"""The media type of these documents."""

NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
"""The namespace of everything in them."""

STATES = ("trying", "proceeding", "early", "confirmed", "terminated")
"""The states of a dialog (section 3.7.1)."""

EVENTS = ("cancelled", "rejected", "replaced", "local-bye", "remote-bye", "error", "timeout")
"""What can have brought a dialog into its state (section 3.7.1)."""

MOST_DIALOGS = 1024
"""How many dialogs a :class:`DialogTable` holds by default. What is beyond that is counted, and not kept."""

_LARGEST_VERSION = 2**32 - 1
_LARGEST_DURATION = 2**32 - 1


def _d(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


@final
@dataclass(frozen=True, slots=True)
class DialogParty:
    """One side of a dialog (section 4.1.6).

    :ivar identity: its URI, as From or To has it; empty where it is not said.
    :ivar display: its display name.
    :ivar target: the URI of its Contact; empty where it is not said.
    :ivar params: the parameters of its Contact, by name: ``+sip.rendering`` for one.
    :ivar extensions: what else stands in it.
    """

    identity: str = ""
    display: str = ""
    target: str = ""
    params: tuple[tuple[str, str], ...] = ()
    extensions: tuple[XmlElement, ...] = ()

    def __post_init__(self) -> None:
        for text in (self.identity, self.display, self.target, *(part for pair in self.params for part in pair)):
            check_text(text)
        if (self.display and not self.identity) or (self.params and not self.target):
            raise ValueError("a display name needs an identity, and parameters a target")

    @classmethod
    def from_xml(cls, element: XmlElement) -> DialogParty:
        """
        :raises ValueError: when something in it is not what it should be.
        """
        identity, target = element.find(_d("identity")), element.find(_d("target"))
        params: list[tuple[str, str]] = []
        if target is not None:
            params = [(each.get("pname") or "", each.get("pval") or "") for each in target.find_all(_d("param"))]
        known = (_d("identity"), _d("target"))
        return cls(
            "" if identity is None else identity.text.strip(" \t\r\n"),
            # The text and the examples say display, the schema says display-name.
            "" if identity is None else identity.get("display") or identity.get("display-name") or "",
            "" if target is None else target.get("uri") or "",
            tuple(params),
            tuple(each for each in element.children if each.name not in known),
        )

    def to_xml(self, name: str) -> XmlElement:
        """The element *name*, which is ``local`` or ``remote``."""
        children: list[XmlElement] = []
        if self.identity:
            display = {"display": self.display} if self.display else None
            children.append(XmlElement(_d("identity"), display, (), self.identity))
        if self.target:
            params = [XmlElement(_d("param"), {"pname": key, "pval": value}) for key, value in self.params]
            children.append(XmlElement(_d("target"), {"uri": self.target}, params))
        return XmlElement(_d(name), None, (*children, *self.extensions))


@final
@dataclass(frozen=True, slots=True)
class DialogEntry:
    """One dialog (section 4.1.1).

    :ivar id: what tells it apart from the others of its document; it is not the Call-ID.
    :ivar state: one of :data:`STATES`.
    :ivar event: what brought it there, one of :data:`EVENTS`; empty where it is not said.
    :ivar code: the status of the response that brought it there; None where none did.
    :ivar call_id: its Call-ID; empty where it is not said.
    :ivar local_tag: the tag of the side that the document is about; empty where it is not said.
    :ivar remote_tag: the tag of the other side; empty where it is not said.
    :ivar direction: ``initiator`` where the side that the document is about called, ``recipient`` where it was called;
        empty where it is not said.
    :ivar duration: for how many seconds it has been there; None where it is not said.
    :ivar replaces: Call-ID, local and remote tag of the dialog that it took the place of; None where there was none.
    :ivar referred_by: the URI of who asked for it; empty where nobody did.
    :ivar local: the side that the document is about; None where nothing is said of it.
    :ivar remote: the other side; None where nothing is said of it.
    :ivar extensions: what else stands in it.
    """

    id: str
    state: str
    event: str = ""
    code: int | None = None
    call_id: str = ""
    local_tag: str = ""
    remote_tag: str = ""
    direction: str = ""
    duration: int | None = None
    replaces: tuple[str, str, str] | None = None
    referred_by: str = ""
    local: DialogParty | None = None
    remote: DialogParty | None = None
    extensions: tuple[XmlElement, ...] = ()

    def __post_init__(self) -> None:
        texts = [self.id, self.call_id, self.local_tag, self.remote_tag, self.referred_by, *(self.replaces or ())]
        for text in texts:
            check_text(text)
        if not self.id:
            raise ValueError("a dialog without an id cannot be told apart from others")
        if self.state not in STATES:
            raise ValueError(f"{self.state[:64]!r} is not a state of a dialog")
        if self.event and self.event not in EVENTS:
            raise ValueError(f"{self.event[:64]!r} does not bring a dialog anywhere")
        if self.code is not None and not 100 <= self.code <= 699:
            raise ValueError(f"{self.code} is not a SIP status: 100 to 699")
        if self.direction not in ("", "initiator", "recipient"):
            raise ValueError(f"the direction is initiator or recipient, not {self.direction[:64]!r}")
        if self.duration is not None and not 0 <= self.duration <= _LARGEST_DURATION:
            raise ValueError(f"{self.duration} is not a duration in seconds")

    @property
    def is_terminated(self) -> bool:
        """Whether it is over."""
        return self.state == "terminated"

    @classmethod
    def from_xml(cls, element: XmlElement) -> DialogEntry:
        """
        :raises ValueError: when something in it is not what it should be.
        """
        state, direction = element.find(_d("state")), element.get("direction") or ""
        if state is None:
            raise MalformedDocument("a dialog has no state")
        code, duration = state.get("code"), element.text_of(_d("duration"))
        replaces, local, remote = (element.find(_d(name)) for name in ("replaces", "local", "remote"))
        known = {_d(name) for name in ("state", "duration", "replaces", "referred-by", "local", "remote")}
        return cls(
            element.get("id") or "",
            state.text.strip(" \t\r\n"),
            state.get("event") or "",
            None if code is None else parse_number(code, 699),
            element.get("call-id") or "",
            element.get("local-tag") or "",
            element.get("remote-tag") or "",
            # An example of section 6.2 has another word for it than the schema.
            "recipient" if direction == "receiver" else direction,
            None if duration is None else parse_number(duration, _LARGEST_DURATION),
            None if replaces is None else _replaced(replaces),
            element.text_of(_d("referred-by")) or "",
            None if local is None else DialogParty.from_xml(local),
            None if remote is None else DialogParty.from_xml(remote),
            tuple(each for each in element.children if each.name not in known),
        )

    def to_xml(self) -> XmlElement:
        """The element."""
        attributes = {
            "id": self.id,
            "call-id": self.call_id,
            "local-tag": self.local_tag,
            "remote-tag": self.remote_tag,
            "direction": self.direction,
        }
        state = {"event": self.event} if self.event else {}
        if self.code is not None:
            state["code"] = str(self.code)
        children = [XmlElement(_d("state"), state, (), self.state)]
        if self.duration is not None:
            children.append(XmlElement(_d("duration"), None, (), str(self.duration)))
        if self.replaces is not None:
            call_id, local_tag, remote_tag = self.replaces
            named = {"call-id": call_id, "local-tag": local_tag, "remote-tag": remote_tag}
            children.append(XmlElement(_d("replaces"), named))
        if self.referred_by:
            children.append(XmlElement(_d("referred-by"), None, (), self.referred_by))
        # Section 4.4: a route set stands before the two sides, and what others have made up after them.
        children += [each for each in self.extensions if each.namespace == NAMESPACE]
        if self.local is not None:
            children.append(self.local.to_xml("local"))
        if self.remote is not None:
            children.append(self.remote.to_xml("remote"))
        children += [each for each in self.extensions if each.namespace != NAMESPACE]
        given = {name: value for name, value in attributes.items() if value}
        return XmlElement(_d("dialog"), given, children)


def _replaced(element: XmlElement) -> tuple[str, str, str]:
    return (element.get("call-id") or "", element.get("local-tag") or "", element.get("remote-tag") or "")


@final
@dataclass(frozen=True, slots=True)
class DialogInfo:
    """One document: all dialogs of somebody, or those that changed (section 4.1).

    :ivar entity: the URI whose dialogs they are.
    :ivar version: the number of this document among those of one subscription.
    :ivar dialogs: the dialogs.
    :ivar is_full: whether there are no others.
    :ivar extensions: what else stands in it.
    :cvar media_type: the media type of these documents.
    """

    media_type: ClassVar[str] = MEDIA_TYPE

    entity: str
    version: int = 0
    dialogs: tuple[DialogEntry, ...] = ()
    is_full: bool = True
    extensions: tuple[XmlElement, ...] = ()

    def __post_init__(self) -> None:
        if not check_text(self.entity).strip(" \t\r\n"):
            raise ValueError("dialogs are those of a URI, and there is none")
        if not 0 <= self.version <= _LARGEST_VERSION:
            raise ValueError(f"{self.version} is not a version: 0 to {_LARGEST_VERSION}")
        ids = [dialog.id for dialog in self.dialogs]
        if len(set(ids)) != len(ids):
            raise ValueError("two dialogs of a document have the same id")

    @classmethod
    def parse(cls, octets: bytes) -> DialogInfo:
        """Read a document. Of dialogs with the same id the last one counts.

        :raises MalformedDocument: when it is none, or one of its parts says what it cannot.
        """
        root = parse_xml(octets, expected=_d("dialog-info"))
        state = root.get("state")
        if state not in ("full", "partial"):
            raise MalformedDocument("a document of dialogs has the full or a partial state")
        try:
            dialogs = [DialogEntry.from_xml(each) for each in root.find_all(_d("dialog"))]
            return cls(
                root.get("entity") or "",
                parse_number(root.get("version") or "", _LARGEST_VERSION),
                tuple({dialog.id: dialog for dialog in dialogs}.values()),
                state == "full",
                tuple(each for each in root.children if each.name != _d("dialog")),
            )
        except MalformedDocument:
            raise
        except ValueError as error:
            raise MalformedDocument(f"not dialogs: {error}") from None

    def to_bytes(self) -> bytes:
        """The document, in UTF-8."""
        attributes = {
            "version": str(self.version),
            "state": "full" if self.is_full else "partial",
            "entity": self.entity,
        }
        dialogs = [dialog.to_xml() for dialog in self.dialogs]
        return write_xml(XmlElement(_d("dialog-info"), attributes, (*dialogs, *self.extensions)))


class Assembled(enum.Enum):
    """What a document was to the table that it was given to."""

    APPLIED = "it was the next one"
    OUTDATED = "a newer one had come before, and it changed nothing"
    INCOMPLETE = "something is missing before it: ask for the full state"


@final
class DialogTable:
    """The dialogs of somebody, from the documents of one subscription (section 4.3).

    :ivar entity: whose they are; empty before the first document.
    :ivar version: that of the last document; None before the first one.
    :ivar is_complete: whether no document is missing.
    :ivar left_out: how many dialogs were not kept because there were too many.
    """

    __slots__ = ("_dialogs", "_most", "entity", "is_complete", "left_out", "version")

    def __init__(self, most: int = MOST_DIALOGS) -> None:
        """
        :param most: how many dialogs it holds.
        """
        self._dialogs: dict[str, DialogEntry] = {}
        self._most = most
        self.entity = ""
        self.version: int | None = None
        self.is_complete = False
        self.left_out = 0

    @property
    def dialogs(self) -> tuple[DialogEntry, ...]:
        """Those that are not over, the oldest first."""
        return tuple(self._dialogs.values())

    def reset(self) -> None:
        """A new subscription takes the place of the one whose documents these were: its versions begin anew, and what
        is known stays until its full state comes."""
        self.version = None
        self.is_complete = False

    def add(self, info: DialogInfo) -> Assembled:
        """Take the next document in."""
        version = self.version
        if version is not None and info.version <= version:
            return Assembled.OUTDATED
        self.version = info.version
        self.entity = info.entity
        if info.is_full:
            self._dialogs = {}
            self.is_complete = True
        elif version is None or info.version > version + 1:
            # What came between is lost; what this one says is true all the same.
            self.is_complete = False
        for dialog in info.dialogs:
            self._put(dialog)
        return Assembled.APPLIED if self.is_complete else Assembled.INCOMPLETE

    def _put(self, dialog: DialogEntry) -> None:
        known = self._dialogs.get(dialog.id)
        if dialog.is_terminated:
            self._dialogs.pop(dialog.id, None)
        elif known is not None:
            local, remote = _side(known.local, dialog.local), _side(known.remote, dialog.remote)
            self._dialogs[dialog.id] = replace(dialog, local=local, remote=remote)
        elif len(self._dialogs) < self._most:
            self._dialogs[dialog.id] = dialog
        else:
            self.left_out += 1


def _side(known: DialogParty | None, said: DialogParty | None) -> DialogParty | None:
    """One side of a dialog after *said* of it: what is not said anew is as it was (section 4.1.6)."""
    if known is None or said is None:
        return known if said is None else said
    name = _d("session-description")
    described = any(each.name == name for each in said.extensions)
    kept = () if described else tuple(each for each in known.extensions if each.name == name)
    one, other = said if said.identity else known, said if said.target else known
    return DialogParty(one.identity, one.display, other.target, other.params, (*kept, *said.extensions))
