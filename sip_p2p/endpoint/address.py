"""Whom an application wants to talk to: UCMA's ``RealTimeAddress`` (row K4)."""

from __future__ import annotations

from typing import final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.uri import SipUri, TelUri, parse_uri

__all__ = ["RealTimeAddress", "to_sip_uri"]


@final
class RealTimeAddress:
    """The address of a party: a ``sip:`` or ``sips:`` URI, or a ``tel:`` number placed in a domain.

    Immutable; compares and hashes as its URI does (RFC 3261 section 19.1.4).

    :ivar uri: as a SIP URI, whatever it was given as.
    """

    __slots__ = ("uri",)

    uri: SipUri

    def __init__(
        self, uri: str | SipUri | TelUri, default_domain: str | None = None, phone_context: str | None = None
    ) -> None:
        """
        :param uri: the address; text without a scheme is taken as ``user@host``.
        :param default_domain: where a ``tel:`` number is served (RFC 3261 section 19.1.6).
        :param phone_context: the context of a local number that names none (RFC 3966 section 5.1.5).
        :raises ValueError: when it is no address, or a ``tel:`` number comes without a domain.
        """
        text = str(uri)
        if (
            text.lower().startswith("tel:")
            and phone_context
            and "phone-context" not in text
            and not text[4:].startswith("+")
        ):
            text = f"{text};phone-context={phone_context}"
        object.__setattr__(
            self, "uri", to_sip_uri(text if isinstance(uri, str) or text != str(uri) else uri, default_domain)
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a RealTimeAddress cannot be changed")

    @property
    def domain(self) -> str:
        """The domain that is to be proved by whoever answers."""
        return self.uri.host

    def __eq__(self, other: object) -> bool:
        return self.uri == other.uri if isinstance(other, RealTimeAddress) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.uri)

    def __str__(self) -> str:
        return str(self.uri)

    def __repr__(self) -> str:
        return f"RealTimeAddress({str(self.uri)!r})"


def to_sip_uri(target: str | SipUri | TelUri | RealTimeAddress, default_domain: str | None = None) -> SipUri:
    """The SIP URI that *target* means.

    :raises ValueError: when it is none, with what it should look like.
    :raises TypeError: when it is neither text nor a URI.
    """
    if isinstance(target, SipUri):
        return target
    if isinstance(target, RealTimeAddress):
        return target.uri
    if isinstance(target, str):
        text = target.strip()
        if text.startswith("<") and text.endswith(">"):
            text = text[1:-1]
        user, at, _ = text.partition("@")
        if at and ":" not in user:
            # With a colon it would be somebody's scheme, or a password, which nobody should write.
            text = f"sip:{text}"
        try:
            parsed = parse_uri(text)
        except MalformedMessage as error:
            raise ValueError(f"{target[:128]!r} is not an address: {error.reason}; write sip:user@host") from None
    elif isinstance(target, TelUri):
        parsed = target
    else:
        raise TypeError(f"an address is str, SipUri, TelUri or RealTimeAddress, not {type(target).__name__}")
    if isinstance(parsed, SipUri):
        return parsed
    if isinstance(parsed, TelUri):
        if default_domain is None:
            raise ValueError(f"{str(parsed)!r} is a number without a domain to serve it")
        return parsed.to_sip(default_domain)
    raise ValueError(f"{str(target)[:128]!r} is neither a sip, a sips nor a tel URI")
