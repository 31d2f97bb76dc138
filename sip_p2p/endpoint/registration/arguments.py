"""What may be said of a registration, checked and put into the form in which it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.sip.registration.order import RegisterOrder
from sip_p2p.transport.proxy import ProxyConnector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.sip.registration.recovery import FlowRecovery
    from sip_p2p.sip.uri import SipUri
    from sip_p2p.transport.dns.family import AddressFamilyHint

__all__ = [
    "LONGEST_SET",
    "RegisterArguments",
    "check_register_arguments",
    "outbound_proxies",
    "register_order",
    "registrar_uri",
]

LONGEST_SET = 8
"""So many proxies, and with them flows, one registration may have; RFC 5626 section 4.2.1 asks for two at least to be
possible."""


class RegisterArguments(TypedDict, total=False):
    """What may be said of a registration beside the registrar and the time.

    :ivar proxies: the outbound proxies to register through, each over a flow of its own and the first one preferred
        (RFC 5626 section 4.2.1): ``host``, ``host:port``, ``transport:host:port`` or a :class:`ProxyConnector`; by
        default the endpoint's own proxy, and where it has none the registrar itself.
    :ivar outbound: whether the registrar is told which flow is which, so that requests for us come by the flow that we
        opened (RFC 5626): True by default. A first proxy that cannot do it says so, and is asked again without.
    :ivar gruu: what our Contact is once the registrar has given a GRUU (RFC 5627): ``public``, which is the default,
        ``temporary``, which does not tell who we are, or ``off``, which asks for none.
    :ivar keep_trying: whether even the first failure, and a refusal that is final, is followed by another attempt after
        a while; False by default: then the first failure is the outcome.
    :ivar recovery: how long is waited before a lost binding is asked for again; by default as RFC 5626 section 4.5
        says.
    :ivar headers: further header fields of the REGISTERs.
    :ivar family: which addresses may be used, and which come first; by default the endpoint's (row E23).
    """

    proxies: Iterable[str | ProxyConnector]
    outbound: bool
    gruu: str
    keep_trying: bool
    recovery: FlowRecovery | None
    headers: Iterable[tuple[str, str]]
    family: AddressFamilyHint | str | None


_KNOWN = frozenset(RegisterArguments.__annotations__)


def check_register_arguments(given: RegisterArguments) -> None:
    """Refuse what is no argument, and a ``gruu`` that is none of the three.

    :raises TypeError: for an argument that there is not.
    :raises ValueError: for a wrong ``gruu``.
    """
    for name in given:
        if name not in _KNOWN:
            raise TypeError(f"register() takes no argument {name!r}; there are {', '.join(sorted(_KNOWN))}")
    gruu = given.get("gruu", "public")
    if gruu not in ("public", "temporary", "off"):
        raise ValueError(f"gruu is 'public', 'temporary' or 'off', not {gruu!r}")


def registrar_uri(given: str | SipUri | RealTimeAddress | None, owner: SipUri) -> SipUri:
    """The Request-URI of the REGISTERs (RFC 3261 section 10.2): a domain and no user.

    :param given: None for the domain of *owner*, the address of record.
    :raises ValueError: when it is no address.
    """
    if given is None:
        return owner.replace(user=None, password=None).without(*owner.params)
    if isinstance(given, str) and "@" not in given and ":" not in given.strip():
        # A bare domain, as users write it. RFC 5630 section 5.2: who is to be bound under sips asks with it.
        given = f"{owner.scheme}:{given.strip()}"
    return to_sip_uri(given).replace(user=None, password=None).without_headers()


def outbound_proxies(given: Iterable[str | ProxyConnector]) -> list[ProxyConnector]:
    """The outbound proxy set (RFC 5626 section 4.2.1).

    :raises ValueError: for none, for too many, for one that stands twice, and for what cannot be read.
    :raises TypeError: for one text in the place of a list.
    """
    if isinstance(given, str):
        raise TypeError(f"expected a list of proxies, not one text: [{given!r}]")
    proxies = [ProxyConnector.parse(each) if isinstance(each, str) else each for each in given]
    if not 1 <= len(proxies) <= LONGEST_SET:
        raise ValueError(f"a registration goes through 1 to {LONGEST_SET} proxies, not {len(proxies)}")
    if len({each.target for each in proxies}) < len(proxies):
        raise ValueError("one proxy stands twice: a second flow to it would be the first one")
    return proxies


def register_order(
    uri: SipUri, owner: SipUri, from_: str, fields: list[tuple[str, str]], expires: int, given: RegisterArguments
) -> RegisterOrder:
    """What all REGISTERs have in common.

    :raises ValueError: for an *expires* that is none.
    """
    return RegisterOrder(
        str(uri),
        str(owner),
        from_,
        expires=expires,
        use_outbound=given.get("outbound", True),
        use_gruu=given.get("gruu", "public") != "off",
        keeps_trying=given.get("keep_trying", False),
        recovery=given.get("recovery"),
        fields=fields,
    )
