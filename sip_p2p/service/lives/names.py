"""Names of parties in options: ``b.example`` for a domain, ``.example`` for all below it, ``bob@b.example`` for one
address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.endpoint.subscription.package import resource_name
from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.trust.identity import is_ip_address, normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["checked_name", "names_sender"]


def checked_name(text: str) -> str:
    """*text* as it is compared.

    :raises ValueError: it is no name of a party.
    """
    user, at, host = text.rpartition("@")
    if at:
        try:
            return resource_name(SipUri.parse(f"sip:{user}@{normalise_name(host)}")).removeprefix("sip:")
        except MalformedMessage as error:
            raise ValueError(error.reason) from None
    name = normalise_name(host.removeprefix("."))
    if is_ip_address(name):
        raise ValueError("nobody proves an IP address")
    return f".{name}" if host.startswith(".") else name


def names_sender(names: Iterable[str], sender: object) -> bool:
    """Whether one of *names* is that of *sender*, an address that was proved."""
    if not isinstance(sender, SipUri):
        return False
    host, address = sender.host.lower(), resource_name(sender).removeprefix("sip:")
    for name in names:
        if name == address if "@" in name else host.endswith(name) if name.startswith(".") else host == name:
            return True
    return False
