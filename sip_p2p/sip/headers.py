"""Header fields as they are carried: ordered, repeated, named without regard to case (RFC 3261 section 7.3).

A field is a name and a text value; what the value means is :mod:`sip_p2p.sip.fields`'s business, asked for field by
field. Known names are kept in their canonical spelling, compact forms (section 7.3.3) expanded; unknown names stay as
written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.abnf import TOKEN, has_octets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["COMPACT_FORMS", "KNOWN_NAMES", "Headers", "canonical_name", "check_value"]

COMPACT_FORMS: dict[str, str] = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""The compact forms of RFC 3261 section 7.3.3 and of IANA's registry of header fields."""

_CANONICAL = """
    Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow Allow-Events
    Answer-Mode Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding
    Content-ID Content-Language Content-Length Content-Transfer-Encoding Content-Type CSeq Date Encryption Error-Info
    Event Expires Feature-Caps Flow-Timer From Geolocation Geolocation-Error Geolocation-Routing Hide History-Info
    Identity Identity-Info In-Reply-To Info-Package Join Max-Breadth Max-Forwards MIME-Version Min-Expires Min-SE
    Organization P-Access-Network-Info P-Answer-State P-Asserted-Identity P-Asserted-Service P-Associated-URI
    P-Called-Party-ID P-Charging-Function-Addresses P-Charging-Vector P-Early-Media P-Preferred-Identity
    P-Preferred-Service P-Visited-Network-ID Path Permission-Missing Policy-Contact Policy-ID Priority Priv-Answer-Mode
    Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route Recv-Info Refer-Events-At
    Refer-Sub Refer-To Referred-By Reject-Contact Relayed-Charge Replaces Reply-To Request-Disposition Require
    Resource-Priority Response-Key Retry-After Route RSeq Security-Client Security-Server Security-Verify Server
    Service-Route Session-Expires Session-ID SIP-ETag SIP-If-Match Subject Subscription-State Supported
    Suppress-If-Match Target-Dialog Timestamp To Trigger-Consent Unsupported User-Agent User-to-User Via Warning
    WWW-Authenticate
""".split()

_BY_LOWER_NAME: dict[str, str] = {name.lower(): name for name in _CANONICAL} | COMPACT_FORMS

KNOWN_NAMES: dict[str, str] = (
    {name: name for name in _CANONICAL}
    | {name.lower(): name for name in _CANONICAL}
    | {name.upper(): name for name in _CANONICAL}
    | dict(COMPACT_FORMS.items())
    | {letter.upper(): name for letter, name in COMPACT_FORMS.items()}
)
"""The usual spellings of the known names, straight to the canonical one. Rarer capitalisations go through
:func:`canonical_name`; the table is never added to, so no peer can make it grow."""


def canonical_name(name: str) -> str:
    """The canonical spelling of a known field name, or *name* itself for an unknown one.

    :raises ValueError: when *name* is not a token (RFC 3261 section 25.1).
    """
    known = KNOWN_NAMES.get(name)
    if known is not None:
        return known
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a header field name: RFC 3261 allows letters, digits and -.!%*_+`'~")
    return _BY_LOWER_NAME.get(name.lower(), name)


def check_value(name: str, value: str) -> str:
    """Return *value* without surrounding blanks, if it can stand in a header field.

    :raises ValueError: when it holds CR, LF or NUL, which would end the field or hide what follows, or what has no
        UTF-8 form.
    :raises TypeError: when it is not text.
    """
    if not isinstance(value, str):
        raise TypeError(f"the value of {name} must be str, not {type(value).__name__}")
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"the value of {name} holds CR, LF or NUL: {value[:64]!r}")
    if not (value.isascii() or has_octets(value)):
        raise ValueError(f"the value of {name} has no UTF-8 form: {value[:64]!r}")
    return value.strip(" \t")


@final
class Headers:
    """An ordered collection of header fields; names are compared without regard to case, compact forms included.

    ``headers["Call-ID"]`` is the first value; :meth:`get_all` gives every field of that name, in order. Values that the
    application sets are refused when they hold CR, LF or NUL.
    """

    __slots__ = ("_names", "_values")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._names: list[str] = []
        self._values: list[str] = []
        for name, value in fields:
            self.add(name, value)

    @staticmethod
    def adopt(names: list[str], values: list[str]) -> Headers:
        """Take two parallel lists as they are: canonical names and checked values. For the parser and the core only."""
        headers = Headers.__new__(Headers)
        headers._names = names
        headers._values = values
        return headers

    def _index(self, name: str) -> int:
        """Where the first field called *name* stands, or -1."""
        names = self._names
        known = KNOWN_NAMES.get(name)
        if known is None:
            known = _BY_LOWER_NAME.get(name.lower())
        if known is not None:
            return names.index(known) if known in names else -1
        wanted = name.lower()
        for index, present in enumerate(names):
            if present.lower() == wanted:
                return index
        return -1

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of the field *name*, or *default*."""
        known = KNOWN_NAMES.get(name)
        if known is not None:
            names = self._names
            return self._values[names.index(known)] if known in names else default
        index = self._index(name)
        return default if index < 0 else self._values[index]

    def get_all(self, name: str) -> list[str]:
        """The values of every field called *name*, in order; one that lists several elements counts once."""
        known = KNOWN_NAMES.get(name)
        if known is not None:
            names = self._names
            if known not in names:
                return []
            if names.count(known) == 1:
                return [self._values[names.index(known)]]
            return [value for present, value in zip(names, self._values, strict=True) if present == known]
        wanted = canonical_name(name).lower()
        return [value for present, value in self if present.lower() == wanted]

    def count(self, name: str) -> int:
        """How many fields are called *name*."""
        known = KNOWN_NAMES.get(name)
        return self._names.count(known) if known is not None else len(self.get_all(name))

    def add(self, name: str, value: str) -> None:
        """Append a field.

        :raises ValueError: for a name that is no token, or a value with CR, LF or NUL.
        """
        canonical = KNOWN_NAMES.get(name) or canonical_name(name)
        self._values.append(check_value(canonical, value))
        self._names.append(canonical)

    def insert(self, index: int, name: str, value: str) -> None:
        """Put a field before the one at *index*; a Via or a Route goes on top with 0."""
        canonical = canonical_name(name)
        self._values.insert(index, check_value(canonical, value))
        self._names.insert(index, canonical)

    def set(self, name: str, value: str) -> None:
        """Replace every field called *name* by one, in the place of the first, or append it."""
        canonical = canonical_name(name)
        checked = check_value(canonical, value)
        index = self._index(canonical)
        if index < 0:
            self._names.append(canonical)
            self._values.append(checked)
            return
        self._values[index] = checked
        for later in range(len(self._names) - 1, index, -1):
            if self._names[later].lower() == canonical.lower():
                del self._names[later], self._values[later]

    def remove(self, name: str) -> None:
        """Drop every field called *name*; nothing happens when there is none."""
        wanted = canonical_name(name).lower()
        for index in range(len(self._names) - 1, -1, -1):
            if self._names[index].lower() == wanted:
                del self._names[index], self._values[index]

    def copy(self) -> Headers:
        """An independent copy."""
        return Headers.adopt(self._names[:], self._values[:])

    def names(self) -> tuple[str, ...]:
        """The names in order, canonical spelling, one for each field."""
        return tuple(self._names)

    def parallel_lists(self) -> tuple[list[str], list[str]]:
        """The two lists behind the collection, for the serialiser; they are not to be changed."""
        return self._names, self._values

    def __getitem__(self, name: str) -> str:
        index = self._index(name)
        if index < 0:
            raise KeyError(name)
        return self._values[index]

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if self._index(name) < 0:
            raise KeyError(name)
        self.remove(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._index(name) >= 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(list(zip(self._names, self._values, strict=True)))

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._values == other._values and [name.lower() for name in self._names] == [
            name.lower() for name in other._names
        ]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"
