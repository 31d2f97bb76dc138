"""``message/cpim``: a message with its own From, To and date around a body of any type (RFC 3862).

Two header sections and a content: the fields of the message, those of what is in it, and what is in it. A field has a
name in a namespace; which prefix stands for which namespace is said by the NS fields above it (section 3.4), and is
undone while reading and chosen anew while writing. Names are compared letter by letter: ``from`` is not ``From``
(section 2.2).

Left out: language tags are kept as they are (:attr:`CpimField.params`) and compared with nothing; signatures and
encryption (section 5.2) are bodies like any other; Content-Transfer-Encoding is not undone, as SIP carries binary.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, final

from sip_p2p.documents.timestamps import format_timestamp, parse_timestamp
from sip_p2p.errors import MalformedDocument, MalformedMessage
from sip_p2p.sip.body import MediaType, decode_text, parse_media_type
from sip_p2p.sip.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["CORE", "MAX_FIELDS", "MAX_HEAD", "MEDIA_TYPE", "CpimAddress", "CpimField", "CpimMessage"]

MEDIA_TYPE: Final = "message/cpim"

CORE: Final = "urn:ietf:params:cpim-headers:"
"""The namespace of the fields that RFC 3862 defines itself (section 4)."""

MAX_FIELDS: Final = 64
"""How many fields each of the two header sections may have."""

MAX_HEAD: Final = 16_384
"""How many octets each of them may have."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-^_`|~]+")
_FIELD = re.compile(r"([A-Za-z0-9!#$%&'*+\-^_`|~.]+):((?:;[^ ;:\"]*(?:\"(?:[^\"\\]|\\.)*\")?)*)[ ]?(.*)", re.DOTALL)
_ADDRESS = re.compile(r"(?:\"((?:[^\"\\]|\\.)*)\"[ \t]*|([^<>\"]*))<([^<>\x00-\x20\x7f\"]+)>")
_NAMESPACE = re.compile(r"([A-Za-z0-9!#$%&'*+\-^_`|~]+)?[ \t]*<([^<>\x00-\x20\x7f\"]+)>")
_ESCAPE = re.compile(
    r"\\(?:u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})"
    r"|u((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})|(.?))",
    re.DOTALL,
)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_TO_BE_ESCAPED = re.compile("[\\\\\x00-\x1f\x7f]")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r"}
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"}


def _unescaped(text: str) -> str:
    """What the escapes in *text* stand for; one that nobody knows stands for the character after the backslash (section
    2.3.1)."""

    def meant(match: re.Match[str]) -> str:
        high, low, code, other = match.groups()
        if high is not None:
            return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
        return chr(int(code, 16)) if code is not None else _ESCAPES.get(other, other)

    return _ESCAPE.sub(meant, text)


def _escape(match: re.Match[str]) -> str:
    return _SHORT.get(match[0]) or f"\\u{ord(match[0]):04x}"


def _escaped(text: str) -> str:
    """*text* as it stands in a field: what need not be escaped must not be (section 2.3.1)."""
    return _TO_BE_ESCAPED.sub(_escape, text)


@final
class CpimAddress:
    """Who a message is from or for: a URI, and perhaps a name (section 4.1). It does not change.

    :ivar uri: a URI of any scheme: ``im:``, ``sip:``, ...
    :ivar name: the formal name; empty for none.
    """

    __slots__ = ("name", "uri")

    def __init__(self, uri: str, name: str = "") -> None:
        """
        :raises ValueError: when *uri* cannot stand between angle brackets.
        """
        if _ADDRESS.fullmatch(f"<{uri}>") is None:
            raise ValueError(f"{uri[:64]!r} is no URI")
        name.encode("utf-8")
        self.uri = uri
        self.name = name

    @staticmethod
    def parse(text: str) -> CpimAddress:
        """
        :raises MalformedDocument: when it is none.
        """
        match = _ADDRESS.fullmatch(text.strip(" \t"))
        if match is None:
            raise MalformedDocument(f"not an address: {text[:64]!r}")
        quoted, bare, uri = match.groups()
        return CpimAddress(uri, _unescaped(quoted) if quoted is not None else _unescaped(bare).strip(" \t"))

    def __str__(self) -> str:
        if not self.name:
            return f"<{self.uri}>"
        quoted = _escaped(self.name).replace('"', '\\"')
        return f'"{quoted}"<{self.uri}>'

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CpimAddress):
            return NotImplemented
        return self.uri == other.uri and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.uri, self.name))

    def __repr__(self) -> str:
        return f"<CpimAddress {str(self)!r}>"


@final
class CpimField:
    """One field of a message. It does not change.

    :ivar namespace: the URI of the namespace that its name is in.
    :ivar name: its name there, without a prefix.
    :ivar value: its value as it is written, escapes and all: see :attr:`text`.
    :ivar params: its parameters as they are written (``;lang=fr``); empty for none.
    """

    __slots__ = ("name", "namespace", "params", "value")

    def __init__(self, name: str, value: str, namespace: str = CORE, params: str = "") -> None:
        """
        :raises ValueError: when a part cannot be written: see :meth:`of_text` for text of any kind.
        """
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name[:64]!r} is not the name of a field")
        if _NAMESPACE.fullmatch(f"<{namespace}>") is None:
            raise ValueError(f"{namespace[:64]!r} is not the name of a namespace")
        for part in (value, params):
            if "\r" in part or "\n" in part or "\0" in part:
                raise ValueError(f"the field {name} holds CR, LF or NUL: {part[:64]!r}")
            part.encode("utf-8")
        if _CONTROL.search(params) or _FIELD.fullmatch(f"x:{params} ") is None or (params and params[0] != ";"):
            raise ValueError(f"{params[:64]!r} are no parameters")
        self.namespace = namespace
        self.name = name
        self.value = value.strip(" \t")
        self.params = params

    @staticmethod
    def of_text(name: str, text: str, namespace: str = CORE, params: str = "") -> CpimField:
        """A field whose value is *text*, escaped where it has to be (section 2.3)."""
        return CpimField(name, _escaped(text), namespace, params)

    @property
    def text(self) -> str:
        """The value with its escapes undone."""
        return _unescaped(self.value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CpimField):
            return NotImplemented
        mine = (self.namespace, self.name, self.value, self.params)
        return mine == (other.namespace, other.name, other.value, other.params)

    def __hash__(self) -> int:
        return hash((self.namespace, self.name, self.value))

    def __repr__(self) -> str:
        return f"<CpimField {self.name}: {self.value[:48]!r}>"


@final
class CpimMessage:
    """A message and what is in it.

    :ivar fields: its fields in order, but for NS, which :meth:`parse` has undone and :meth:`to_bytes` writes anew.
    :ivar mime: the fields of what is in it: Content-Type, Content-Disposition, Content-ID, ...
    :ivar content: what is in it.
    """

    __slots__ = ("content", "fields", "mime")

    def __init__(
        self,
        content: bytes,
        content_type: MediaType | str | None = None,
        *,
        from_: CpimAddress | None = None,
        to: Iterable[CpimAddress] = (),
        cc: Iterable[CpimAddress] = (),
        date: float | None = None,
        subject: str = "",
        fields: Iterable[CpimField] = (),
        mime: Iterable[tuple[str, str]] = (),
    ) -> None:
        """
        :param date: when it was sent, in seconds since 1970.
        :param fields: further fields.
        :param mime: further fields of the content.
        :raises ValueError: for what cannot be written.
        """
        named: list[CpimField] = []
        if from_ is not None:
            named.append(CpimField("From", str(from_)))
        named += [CpimField("To", str(each)) for each in to]
        named += [CpimField("cc", str(each)) for each in cc]
        if date is not None:
            named.append(CpimField("DateTime", format_timestamp(date)))
        if subject:
            named.append(CpimField.of_text("Subject", subject))
        self.fields: tuple[CpimField, ...] = (*named, *fields)
        self.mime = Headers(mime)
        self.content = content
        if content_type is not None:
            self.mime.set("Content-Type", str(content_type))

    # -- what stands in it ---------------------------------------------------------------------------------------------

    def get_all(self, name: str, namespace: str = CORE) -> list[CpimField]:
        """The fields with exactly this name, in order."""
        return [each for each in self.fields if each.name == name and each.namespace == namespace]

    def get(self, name: str, namespace: str = CORE) -> str | None:
        """The value of the first one; None where there is none."""
        found = self.get_all(name, namespace)
        return found[0].value if found else None

    @property
    def from_(self) -> CpimAddress | None:
        """Who says that it is from them (section 4.1); nothing proves it.

        :raises MalformedDocument: when it is no address.
        """
        value = self.get("From")
        return None if value is None else CpimAddress.parse(value)

    @property
    def to(self) -> list[CpimAddress]:
        """Whom it is for (section 4.2).

        :raises MalformedDocument: when one is no address.
        """
        return [CpimAddress.parse(each.value) for each in self.get_all("To")]

    @property
    def cc(self) -> list[CpimAddress]:
        """Who else has it (section 4.3).

        :raises MalformedDocument: when one is no address.
        """
        return [CpimAddress.parse(each.value) for each in self.get_all("cc")]

    @property
    def date(self) -> float | None:
        """When it was sent, in seconds since 1970 (section 4.4).

        :raises MalformedDocument: when it is no date and time of RFC 3339.
        """
        value = self.get("DateTime")
        return None if value is None else parse_timestamp(value)

    @property
    def subject(self) -> str:
        """What it is about (section 4.5); empty where it does not say."""
        found = self.get_all("Subject")
        return found[0].text if found else ""

    def unmet(self, known: Callable[[str, str], bool]) -> list[str]:
        """The names of the fields that a receiver must understand, and does not (section 3.5): whoever has one must not
        work on the message.

        :param known: whether the receiver understands a field, by its namespace and its name.
        """
        return [
            each.value
            for each in self.get_all("Require")
            if not known(*(each.value.rpartition(" ")[::2] if " " in each.value else (CORE, each.value)))
        ]

    @property
    def content_type(self) -> MediaType | None:
        """The type of what is in it; None where it names none, which MIME takes for plain text.

        :raises MalformedDocument: when the field is no media type.
        """
        value = self.mime.get("Content-Type")
        if value is None:
            return None
        try:
            return parse_media_type(value)
        except MalformedMessage as error:
            raise MalformedDocument(error.reason) from None

    def text(self) -> str:
        """What is in it as text, by the charset of its type.

        :raises ValueError: when the charset is unknown or the octets are not in it.
        """
        return decode_text(self.content, self.content_type)

    # -- as octets -----------------------------------------------------------------------------------------------------

    @staticmethod
    def parse(octets: bytes) -> CpimMessage:
        """
        :raises MalformedDocument: when it is no message, or has more fields, or larger ones, than we take.
        """
        head, line = _section(octets, 0)
        mime_head, line_of_content = _section(octets[line:], line)
        message = CpimMessage.__new__(CpimMessage)
        message.fields = _read_fields(head)
        message.mime = Headers()
        for text in _unfolded(mime_head):
            name, colon, value = text.partition(":")
            try:
                if not colon:
                    raise ValueError(f"no colon in {text[:64]!r}")
                message.mime.add(name.rstrip(" \t"), value)
            except ValueError as error:
                raise MalformedDocument(f"a field of the content: {error}") from None
        message.content = octets[line + line_of_content :]
        return message

    def to_bytes(self) -> bytes:
        """As octets; the namespaces are said where they are first needed."""
        prefixes = {CORE: ""}
        lines: list[str] = []
        for field in self.fields:
            prefix = prefixes.get(field.namespace)
            if prefix is None:
                prefix = prefixes[field.namespace] = _prefix_of(field.namespace, len(prefixes))
                lines.append(f"NS: {prefix} <{field.namespace}>\r\n")
            value = _CONTROL.sub(_escape, field.value)
            if field.namespace == CORE and field.name == "Require" and " " in value:
                namespace, _, name = value.rpartition(" ")
                if namespace not in prefixes:
                    prefixes[namespace] = _prefix_of(namespace, len(prefixes))
                    lines.append(f"NS: {prefixes[namespace]} <{namespace}>\r\n")
                value = f"{prefixes[namespace]}.{name}"
            name = f"{prefix}.{field.name}" if prefix else field.name
            lines.append(f"{name}:{field.params} {value}\r\n")
        lines.append("\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in self.mime]
        lines.append("\r\n")
        return "".join(lines).encode("utf-8", "surrogateescape") + self.content

    def __repr__(self) -> str:
        return f"<CpimMessage {self.mime.get('Content-Type')!r} {len(self.content)} octets>"


def _prefix_of(namespace: str, number: int) -> str:
    """What stands for *namespace*: the name that everybody knows it by, where there is one."""
    return "imdn" if namespace == "urn:ietf:params:imdn" else f"ns{number}"


def _section(octets: bytes, before: int) -> tuple[str, int]:
    """The header section that *octets* begin with, and where what follows it begins.

    :param before: how many octets came before, for the error.
    """
    if octets.startswith(b"\r\n"):
        return "", 2
    end = octets.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
    if end < 0:
        if len(octets) > MAX_HEAD:
            raise MalformedDocument(f"a header section of more than {MAX_HEAD} octets")
        raise MalformedDocument(f"no empty line ends the fields that begin at octet {before}")
    try:
        text = octets[:end].decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedDocument("the fields are not UTF-8") from None
    if "\0" in text:
        raise MalformedDocument("a field holds NUL")
    return text, end + 4


def _unfolded(head: str) -> list[str]:
    """The fields of what is in the message, each in one line (RFC 2045)."""
    fields: list[str] = []
    for text in head.split("\r\n") if head else ():
        if text[:1] in (" ", "\t") and fields:
            fields[-1] = f"{fields[-1]} {text.strip(' ' + chr(9))}"
        else:
            fields.append(text)
    if len(fields) > MAX_FIELDS:
        raise MalformedDocument(f"more than {MAX_FIELDS} fields")
    return fields


def _read_fields(head: str) -> tuple[CpimField, ...]:
    """The fields of a message, their prefixes undone (section 3.4)."""
    prefixes = {"": CORE}
    fields: list[CpimField] = []
    lines = head.split("\r\n") if head else []
    if len(lines) > MAX_FIELDS:
        raise MalformedDocument(f"more than {MAX_FIELDS} fields")
    for number, text in enumerate(lines, 1):
        match = _FIELD.fullmatch(text)
        if match is None:
            raise MalformedDocument(f"not a field: {text[:64]!r}", number)
        prefix, _, name = match[1].rpartition(".")
        namespace = prefixes.get(prefix)
        if namespace is None:
            raise MalformedDocument(f"no NS field says what the prefix {prefix[:32]!r} stands for", number)
        value = match[3].strip(" \t")
        if namespace == CORE and name == "NS":
            said = _NAMESPACE.fullmatch(value)
            if said is None:
                raise MalformedDocument(f"not a namespace: {value[:64]!r}", number)
            prefixes[said[1] or ""] = said[2]
            continue
        try:
            if namespace == CORE and name == "Require":
                fields += [CpimField("Require", _required(each, prefixes, number)) for each in value.split(",")]
            else:
                fields.append(CpimField(name, value, namespace, match[2]))
        except MalformedDocument:
            raise
        except ValueError as error:
            raise MalformedDocument(str(error), number) from None
    return tuple(fields)


def _required(name: str, prefixes: dict[str, str], number: int) -> str:
    """What one name in a Require means: the name alone, or its namespace and the name."""
    prefix, _, local = name.strip(" \t").rpartition(".")
    namespace = prefixes.get(prefix)
    if namespace is None or _NAME.fullmatch(local) is None:
        raise MalformedDocument(f"Require names no field: {name[:64]!r}", number)
    return local if namespace == CORE else f"{namespace} {local}"
