"""The options of registration, for a party whose domain has a server (RFC 3261 section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.python import usage

from sip_p2p.endpoint.registration.arguments import registrar_uri
from sip_p2p.observe.text import printable
from sip_p2p.sip.registration.order import LONGEST_EXPIRES
from sip_p2p.transport.target import Transport, target_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.uri import SipUri

__all__ = ["REGISTER", "REGISTER_EXPIRES", "is_registered_in_clear_text", "registrar_of", "registration_seconds"]

REGISTER = [
    "register",
    None,
    None,
    "tell this registrar where you are, and be reached through it: sip:a.example, or with ;transport=tcp; by way of "
    "--proxy where there is one; --credentials has the password",
]
REGISTER_EXPIRES = [
    "register-expires",
    None,
    "3600",
    "for how many seconds the registrar is to remember you; it is told again before they are over",
]


def registrar_of(options: Mapping[str, Any], owner: SipUri) -> SipUri | None:
    """What ``--register`` says; None where nothing registers, and for commands that have no such option.

    :raises UsageError: when it is no address, or many processes would take each other's place.
    """
    given = options.get("register")
    if given is None:
        return None
    try:
        uri = registrar_uri(given, owner)
        target_of(uri, Transport.TLS)
    except ValueError as error:
        raise usage.UsageError(f"--register {printable(given)}: {printable(str(error))}") from None
    if options.get("workers") not in (None, "1"):
        raise usage.UsageError("--register is for one process: of --workers each would be registered by itself")
    return uri


def registration_seconds(options: Mapping[str, Any]) -> int:
    """What ``--register-expires`` says.

    :raises UsageError: for what is no whole number of seconds.
    """
    text = options["register-expires"]
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= LONGEST_EXPIRES):
        raise usage.UsageError(
            f"--register-expires {printable(text)} is not a whole number of seconds from 1 to {LONGEST_EXPIRES}"
        )
    return int(text)


def is_registered_in_clear_text(registrar: SipUri) -> bool:
    """Whether the registrar is named in clear text by its own words."""
    return registrar.transport is not None and not target_of(registrar, Transport.TLS).transport.is_secure
