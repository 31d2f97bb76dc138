"""The Identity field: a signed token, and where the certificate of who signed it is (RFC 8224 section 4).

What the token says is in :mod:`.passport`. Whether it is true is nobody's concern here.

Left out: nothing of the field. Beyond its grammar, the characters of base64url are taken, which is what tokens are
written in, and ``info`` may stand at any place among the parameters.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import ascii_lower
from sip_p2p.sip.params import check_params, format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.headers import Headers

__all__ = ["IdentityValue", "parse_identities", "parse_identity"]

_TOKEN = re.compile(r"[ \t]*([A-Za-z0-9+/\-_.]+)[ \t]*")
_INFO = re.compile(r";[ \t]*[Ii][Nn][Ff][Oo][ \t]*=[ \t]*<[ \t]*([^\x00-\x20\x7f-\U0010ffff<>\"]+)[ \t]*>[ \t]*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20\x7f-\U0010ffff<>\"]+")
_OWN = frozenset(("info", "alg", "ppt"))


@final
class IdentityValue:
    """One Identity value.

    :ivar token: the PASSporT: whole, or in its compact form ``..signature`` (RFC 8225 section 7).
    :ivar info: the URI of the certificate.
    :ivar alg: the algorithm; None where it is not said, which means ``ES256``.
    :ivar ppt: the kind of PASSporT, in small letters; None for a plain one.
    """

    __slots__ = ("_params", "alg", "info", "ppt", "token")

    def __init__(
        self,
        token: str,
        info: str,
        *,
        alg: str | None = None,
        ppt: str | None = None,
        params: Mapping[str, str | None] | None = None,
    ) -> None:
        """
        :param params: further parameters.
        :raises ValueError: when a part cannot be written.
        """
        if _TOKEN.fullmatch(token) is None or token.strip(" \t") != token:
            raise ValueError("the token of an Identity is base64url and dots")
        if _URI.fullmatch(info) is None:
            raise ValueError(f"{info[:64]!r} is no absolute URI")
        further = check_params(params)
        if _OWN & further.keys():
            raise ValueError("info, alg and ppt have arguments of their own")
        check_params({"alg": alg, "ppt": ppt})
        self.token = token
        self.info = info
        self.alg = alg
        self.ppt = None if ppt is None else ascii_lower(ppt)
        self._params = further

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters that are none of the others: small name to decoded value."""
        return MappingProxyType(self._params)

    @property
    def is_compact(self) -> bool:
        """Whether the token holds the signature alone, and the rest is to be made from the message."""
        return self.token.startswith("..")

    def __str__(self) -> str:
        own: dict[str, str | None] = {}
        if self.alg is not None:
            own["alg"] = self.alg
        if self.ppt is not None:
            own["ppt"] = self.ppt
        return f"{self.token};info=<{self.info}>{format_params(own | self._params)}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdentityValue):
            return NotImplemented
        return (self.token, self.info, self.alg, self.ppt, self._params) == (
            other.token,
            other.info,
            other.alg,
            other.ppt,
            other._params,
        )

    def __hash__(self) -> int:
        return hash((self.token, self.info))

    def __repr__(self) -> str:
        return f"<IdentityValue {'compact' if self.is_compact else 'full'}, {self.info[:64]}>"


def parse_identity(value: str) -> IdentityValue:
    """Parse one Identity.

    :raises MalformedMessage: when it has no token, no ``info``, or a parameter that is none (438, RFC 8224 section
        6.2.2).
    """
    head = _TOKEN.match(value)
    info = _INFO.search(value)
    if head is None or info is None or info.start() < head.end():
        raise MalformedMessage("Identity: no token with an info=<URI>", 438)
    try:
        # A quoted string that looks like an info is an open quote to one of the two, and refused.
        params = parse_params(value[: info.start()], head.end(), "Identity")
        after = parse_params(value, info.end(), "Identity")
    except MalformedMessage as error:
        raise MalformedMessage(error.reason, 438) from None
    if params.keys() & after.keys() or "info" in params or "info" in after:
        raise MalformedMessage("Identity: a parameter stands twice", 438)
    params |= after
    if _URI.fullmatch(info[1]) is None:
        raise MalformedMessage("Identity: info is no absolute URI", 438)
    alg, ppt = params.pop("alg", None), params.pop("ppt", None)
    parsed = IdentityValue.__new__(IdentityValue)
    parsed.token = head[1]
    parsed.info = info[1]
    parsed.alg = alg
    parsed.ppt = None if ppt is None else ascii_lower(ppt)
    parsed._params = params
    return parsed


def parse_identities(headers: Headers, most: int) -> list[IdentityValue]:
    """The first *most* Identity fields of a message; each field has one value (RFC 8224 section 4).

    :raises MalformedMessage: as :func:`parse_identity`.
    """
    return [parse_identity(value) for value in headers.get_all("Identity")[:most]]
