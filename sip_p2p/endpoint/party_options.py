"""The arguments that a party is made with, checked and put into the form in which they are used.

Pure: values in, values out, and a ValueError or TypeError that says what to write instead.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IStreamClientEndpoint

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.sip.abnf import CALL_ID, is_token, quote
from sip_p2p.sip.headers import check_value
from sip_p2p.transport.proxy import ProxyConnector
from sip_p2p.transport.target import Target, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.sip.uri import SipUri

__all__ = [
    "compose_user_agent",
    "name_addr",
    "parse_call_id",
    "parse_info_packages",
    "parse_instance_id",
    "parse_methods",
    "parse_option_tags",
    "parse_owner",
    "parse_proxy",
    "parse_transport",
]


def parse_owner(given: str | SipUri | RealTimeAddress) -> SipUri:
    """The address of record (row A2).

    :raises ValueError: for a port or header fields, which an address of record does not have.
    """
    uri = to_sip_uri(given)
    if uri.port is not None:
        raise ValueError(f"{uri}: an owner URI names no port; where to listen is said to start_listening")
    if uri.headers:
        raise ValueError(f"{uri}: an owner URI carries no header fields")
    return uri


def parse_transport(given: Transport | str | None, otherwise: str) -> Transport:
    """The default transport (row A4).

    :param otherwise: the one that counts where none is given: the connection manager's own.
    :raises ValueError: for a name that is none.
    """
    return Transport.named(otherwise if given is None else given)


def parse_proxy(
    given: str | ProxyConnector | IStreamClientEndpoint | None, tls_name: str | None, transport: Transport
) -> ProxyConnector | None:
    """The outbound proxy, in any of the forms that it can be given in (rows A6, A7).

    :param tls_name: what its certificate must prove, if not its host name.
    :param transport: over which a client endpoint connects, as far as SIP is concerned.
    :raises ValueError: when it cannot be read, or the name is missing or one too many.
    :raises TypeError: when it is nothing that could be a proxy.
    """
    if given is None:
        if tls_name is not None:
            raise ValueError("a certificate name for a proxy, and no proxy")
        return None
    if isinstance(given, ProxyConnector):
        if tls_name is not None:
            raise ValueError("a ProxyConnector carries its own certificate name")
        return given
    if isinstance(given, str):
        return ProxyConnector.parse(given, tls_name)
    if IStreamClientEndpoint.providedBy(given):
        if tls_name is None:
            raise ValueError("a proxy that is given as a client endpoint needs proxy_tls_name: nothing else names it")
        return ProxyConnector(Target(transport, tls_name, None, tls_name), given)
    raise TypeError(f"a proxy is text, a ProxyConnector or a client endpoint, not {type(given).__name__}")


def parse_option_tags(given: Iterable[str]) -> list[str]:
    """The option tags of the extensions that are understood (RFC 3261 section 19.2), in small letters.

    :raises ValueError: when one is no token.
    """
    tags = list(given)
    for tag in tags:
        if not is_token(tag):
            raise ValueError(f"{tag!r} is not an option tag: it must be a token of RFC 3261 section 25.1")
    return [tag.lower() for tag in tags]


def parse_call_id(given: str) -> str:
    """A Call-ID that the application chose (RFC 3261 sections 8.1.1.4 and 25.1, row H2).

    :raises ValueError: when it is none.
    """
    if CALL_ID.fullmatch(given) is None:
        raise ValueError(f"{given[:64]!r} is not a Call-ID: one word, or two joined by @ (RFC 3261 section 25.1)")
    return given


def parse_info_packages(given: Iterable[str]) -> tuple[str, ...]:
    """The names of Info Packages (RFC 6086 section 9.2).

    :raises ValueError: when one is no token.
    """
    names = tuple(given)
    for name in names:
        if not is_token(name):
            raise ValueError(f"{name!r} is not an Info Package: it must be a token of RFC 3261 section 25.1")
    return names


def parse_methods(given: Iterable[str]) -> frozenset[str]:
    """Methods (RFC 3261 section 7.1).

    :raises ValueError: when one is no token.
    """
    methods = frozenset(given)
    for method in methods:
        if not is_token(method):
            raise ValueError(f"{method!r} is not a method: it must be a token of RFC 3261 section 25.1")
    return methods


def name_addr(display_name: str, uri: str) -> str:
    """A From value without a tag (RFC 3261 section 20.20); *display_name* may be empty."""
    return f"{quote(display_name)} <{uri}>" if display_name else f"<{uri}>"


def compose_user_agent(application: str | None) -> str:
    """The User-Agent (RFC 3261 section 20.41): the stack's product token, then the application's own (row A14).

    :param application: None for the stack's alone, the empty string for no User-Agent at all.
    :raises ValueError: for CR, LF or NUL.
    """
    from sip_p2p import __version__

    if application is None:
        return f"sip_p2p/{__version__}"
    if not application:
        return ""
    return f"sip_p2p/{__version__} {check_value('User-Agent', application)}"


def parse_instance_id(given: str | None) -> str:
    """The instance id ``urn:uuid:...`` (RFC 5626 section 4.1, row A9); a new one where none is given.

    :raises ValueError: when it is not a UUID.
    """
    if given is None:
        return f"urn:uuid:{uuid.uuid4()}"
    try:
        return f"urn:uuid:{uuid.UUID(given.removeprefix('urn:uuid:'))}"
    except ValueError:
        raise ValueError(
            f"{given!r} is not an instance id: write urn:uuid: and a UUID (RFC 5626 section 4.1)"
        ) from None
