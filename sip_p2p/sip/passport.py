"""PASSporT: who says to call whom, when, and with which media keys (RFC 8225), as SIP fills it in (RFC 8224).

A value, its one spelling as JSON (RFC 8225 section 9), and its making from a request: the URIs of From and To in the
form in which they are compared (RFC 8224 sections 8.3 and 8.5), and the fingerprints of SDP (RFC 8225 section 5.2.2).
Signatures are made and checked elsewhere: this knows no key.

Left out: the claims of extensions (``ppt``), which RFC 8224 section 6.2 has a verifier ignore whole unless it knows
them; dialling plans: a number is known by its ``+`` or by ``user=phone``, and never completed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import ascii_lower
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.escaping import USER_CHARS, escape_octets
from sip_p2p.sip.host import bracketed
from sip_p2p.sip.tel import TelUri
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.message import Request
    from sip_p2p.sip.uri import OpaqueUri

__all__ = ["ALGORITHM", "Passport", "PassportIdentity", "canonical_identity", "fingerprints_of", "split_token"]

ALGORITHM = "ES256"
"""The one algorithm that everybody has to know (RFC 8225 section 4.2), and the only one that is taken."""

_TYPE = "passport"
_PIECE = re.compile("[A-Za-z0-9_-]*")
_NUMBER = re.compile(r"\+?[0-9*#.()\-]{1,64}")
_GLOBAL = re.compile(r"\+[0-9.()\-]{1,64}")
_SEPARATORS = re.compile(r"[.()\-+]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NOT_OF_A_USER = re.compile(f"[^{USER_CHARS}%]+")
_FINGERPRINT = re.compile(r"a=fingerprint:[ \t]*([!-~]{1,32})[ \t]+([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,127})[ \t]*")
_MOST_FINGERPRINTS = 64
_LATEST = 2**53


@final
class PassportIdentity:
    """One identity of a PASSporT (RFC 8225 section 5.2.1).

    :ivar kind: ``tn`` for a telephone number, ``uri`` for anything else.
    :ivar value: the number without its ``+`` and separators, or the URI.
    """

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: str) -> None:
        """
        :raises ValueError: for another kind.
        """
        if kind not in ("tn", "uri"):
            raise ValueError(f"{kind[:16]!r} is neither tn nor uri")
        self.kind = kind
        self.value = value

    @property
    def is_number(self) -> bool:
        """Whether it is a telephone number."""
        return self.kind == "tn"

    @property
    def domain(self) -> str:
        """The host of a SIP URI; empty for anything else."""
        if self.is_number:
            return ""
        try:
            return SipUri.parse(self.value).host
        except (MalformedMessage, ValueError):
            return ""

    def same_as(self, other: PassportIdentity) -> bool:
        """Whether both are the same, large and small letters aside."""
        return self.kind == other.kind and ascii_lower(self.value) == ascii_lower(other.value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PassportIdentity):
            return NotImplemented
        return self.kind == other.kind and self.value == other.value

    def __hash__(self) -> int:
        return hash((self.kind, self.value))

    def __str__(self) -> str:
        return f"+{self.value}" if self.is_number else self.value

    def __repr__(self) -> str:
        return f"<PassportIdentity {self.kind} {self.value[:64]}>"


@final
class Passport:
    """What is signed.

    :ivar orig: who says it.
    :ivar dest: to whom.
    :ivar iat: when, in seconds since 1970.
    :ivar x5u: where the certificate is.
    :ivar mky: the fingerprints of media keys: algorithm and hexadecimal digits, in order.
    :ivar ppt: what kind it is; None for a plain one.
    """

    __slots__ = ("dest", "iat", "mky", "orig", "ppt", "x5u")

    def __init__(
        self,
        orig: PassportIdentity,
        dest: tuple[PassportIdentity, ...],
        iat: int,
        x5u: str,
        mky: tuple[tuple[str, str], ...] = (),
        ppt: str | None = None,
    ) -> None:
        """
        :raises ValueError: when it is for nobody, or of no time.
        """
        if not dest or not 0 <= iat <= _LATEST:
            raise ValueError("a PASSporT is for somebody, and of some time")
        self.orig = orig
        self.dest = dest
        self.iat = iat
        self.x5u = x5u
        self.mky = _in_order(mky)
        self.ppt = ppt

    @classmethod
    def of_request(cls, request: Request, iat: int, x5u: str) -> Passport:
        """The one that *request* stands for (RFC 8224 section 4.1).

        :raises MalformedMessage: when From or To names nobody who could be meant (438).
        """
        orig, dest = canonical_identity(request.from_.uri), canonical_identity(request.to.uri)
        if orig is None or dest is None:
            raise MalformedMessage(f"{'From' if orig is None else 'To'} has no identity that can be signed", 438)
        return cls(orig, (dest,), iat, x5u, fingerprints_of(request))

    @classmethod
    def parse(cls, header: str, claims: str) -> Passport:
        """What the two first pieces of a whole token say.

        :raises MalformedMessage: when they are no PASSporT of :data:`ALGORITHM` (438).
        """
        head = _object(_json(header), "header")
        if head.get("typ") != _TYPE or head.get("alg") != ALGORITHM:
            raise MalformedMessage(f"Identity: no passport signed with {ALGORITHM}", 438)
        # RFC 7515 section 4.1.11: what is critical has to be understood.
        if "crit" in head or "b64" in head:
            raise MalformedMessage("Identity: its header has extensions that are not understood", 438)
        ppt = head.get("ppt")
        body = _object(_json(claims), "claims")
        iat = body.get("iat")
        if isinstance(iat, bool) or not isinstance(iat, int | float) or not 0 <= iat <= _LATEST:
            raise MalformedMessage("Identity: iat is no time", 438)
        return cls(
            _origin(body.get("orig")),
            _destinations(body.get("dest")),
            int(iat),
            _text(head.get("x5u"), "x5u"),
            _keys(body.get("mky", [])),
            None if ppt is None else ascii_lower(_text(ppt, "ppt")),
        )

    def header(self) -> bytes:
        """The JOSE header as JSON (section 4, spelled as section 9 says)."""
        values = {"alg": ALGORITHM, "typ": _TYPE, "x5u": self.x5u}
        if self.ppt is not None:
            values["ppt"] = self.ppt
        return _spelled(values)

    def claims(self) -> bytes:
        """The claims as JSON (section 5, spelled as section 9 says)."""
        dest: dict[str, list[str]] = {}
        for each in sorted(self.dest, key=lambda identity: (identity.kind, identity.value)):
            dest.setdefault(each.kind, []).append(each.value)
        values: dict[str, object] = {"dest": dest, "iat": self.iat, "orig": {self.orig.kind: self.orig.value}}
        if self.mky:
            values["mky"] = [{"alg": alg, "dig": dig} for alg, dig in self.mky]
        return _spelled(values)

    def pieces(self) -> tuple[str, str]:
        """The two first pieces of the token, as they are signed."""
        return _encoded(self.header()), _encoded(self.claims())

    def is_for(self, identity: PassportIdentity) -> bool:
        """Whether *identity* is one of those that it is for."""
        return any(each.same_as(identity) for each in self.dest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Passport):
            return NotImplemented
        return self.pieces() == other.pieces()

    def __hash__(self) -> int:
        return hash(self.pieces())

    def __repr__(self) -> str:
        return f"<Passport {self.orig} to {', '.join(map(str, self.dest))} at {self.iat}>"


def split_token(token: str) -> tuple[str, str, str]:
    """A token's three pieces: header, claims, signature (RFC 7515 section 7.1); the first two are empty in the compact
    form.

    :raises MalformedMessage: when there are not three, or one is no base64url (438).
    """
    pieces = token.split(".")
    if len(pieces) != 3 or not pieces[2] or (pieces[0] == "") != (pieces[1] == ""):
        raise MalformedMessage("Identity: the token has not its three pieces", 438)
    if any(_PIECE.fullmatch(piece) is None for piece in pieces):
        raise MalformedMessage("Identity: the token is no base64url", 438)
    return pieces[0], pieces[1], pieces[2]


def canonical_identity(uri: SipUri | TelUri | OpaqueUri) -> PassportIdentity | None:
    """Who *uri* names, in the form in which it is signed and compared; None for what has no such form: a local number,
    and a URI of another scheme.

    Telephone numbers lose their ``+`` and their separators (RFC 8224 section 8.3), and global ones what stands behind
    them; what is known as one is section 8.1's. Of a SIP URI user and host are left, in small letters (section 8.5).
    """
    if isinstance(uri, TelUri):
        return PassportIdentity("tn", uri.digits.removeprefix("+")) if uri.is_global else None
    if not isinstance(uri, SipUri):
        return None
    user = uri.user or ""
    number = user.partition(";")[0]
    if (uri.is_phone and _NUMBER.fullmatch(user) is not None) or _GLOBAL.fullmatch(number) is not None:
        digits = _SEPARATORS.sub("", number)
        if digits:
            return PassportIdentity("tn", digits)
    at = "" if uri.user is None else f"{_normal_user(uri)}@"
    return PassportIdentity("uri", f"{uri.scheme}:{at}{bracketed(uri.host)}")


def fingerprints_of(request: Request) -> tuple[tuple[str, str], ...]:
    """The fingerprints in the SDP that *request* carries, each once, in order (RFC 8225 section 5.2.2).

    :raises MalformedMessage: when the body's type or parts, or a fingerprint, cannot be read, or there are too many.
    """
    if b"a=fingerprint:" not in request.body:
        return ()
    description = description_of(request)
    if description is None:
        return ()
    found: set[tuple[str, str]] = set()
    for line in description.body.decode("utf-8", "replace").splitlines():
        if not line.startswith("a=fingerprint:"):
            continue
        match = _FINGERPRINT.fullmatch(line)
        if match is None:
            # Whoever reads it all the same would take a key that nobody has signed.
            raise MalformedMessage("a fingerprint of a media key cannot be read", 438)
        found.add((ascii_lower(match[1]), match[2].replace(":", "").upper()))
    if len(found) > _MOST_FINGERPRINTS:
        raise MalformedMessage(f"more than {_MOST_FINGERPRINTS} fingerprints of media keys", 438)
    return _in_order(found)


def _in_order(keys: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """RFC 8225 section 5.2.2: each once, in the order of algorithm and digits as one word."""
    return tuple(sorted(sorted(set(keys)), key="".join))


def _normal_user(uri: SipUri) -> str:
    """The user as it is signed: RFC 3986 section 6.2.2, and small letters."""
    written = str(uri).partition(":")[2].partition("@")[0].partition(":")[0]
    small = _NOT_OF_A_USER.sub(lambda match: escape_octets(match[0]), ascii_lower(written))
    return _ESCAPE.sub(_normal_escape, small)


def _normal_escape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code).lower() if code in _UNRESERVED else match[0].upper()


def _spelled(values: object) -> bytes:
    return json.dumps(values, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode("utf-8")


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _json(piece: str) -> object:
    try:
        octets = base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
        read: object = json.loads(octets.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError):
        raise MalformedMessage("Identity: the token holds no JSON", 438) from None
    return read


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """RFC 7515 section 4: a name that stands twice is an error, and not the last one's value."""
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name stands twice")
    return read


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedMessage(f"Identity: the token's {what} is no object", 438)
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise MalformedMessage(f"Identity: {what} is no text", 438)
    return value


def _origin(value: object) -> PassportIdentity:
    found = _object(value, "orig")
    if len(found) != 1 or next(iter(found)) not in ("tn", "uri"):
        raise MalformedMessage("Identity: orig is not one tn or uri", 438)
    ((kind, name),) = found.items()
    return PassportIdentity(kind, _text(name, "orig"))


def _destinations(value: object) -> tuple[PassportIdentity, ...]:
    found: list[PassportIdentity] = []
    for kind, names in _object(value, "dest").items():
        if kind in ("tn", "uri") and isinstance(names, list):
            found += (PassportIdentity(kind, _text(name, "dest")) for name in names)
        else:
            raise MalformedMessage("Identity: dest is no list of tn or uri", 438)
    if not found:
        raise MalformedMessage("Identity: dest is empty", 438)
    return tuple(found)


def _keys(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        raise MalformedMessage("Identity: mky is no list", 438)
    keys = [_object(each, "mky") for each in value]
    return tuple((ascii_lower(_text(key.get("alg"), "mky")), _text(key.get("dig"), "mky").upper()) for key in keys)
