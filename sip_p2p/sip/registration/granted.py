"""What a registrar has granted: which of the Contacts in its 2xx is ours, for how long, and what else it says (RFC 3261
section 10.2.4, RFC 5626 section 6, RFC 3327, RFC 3608, RFC 5627 section 4.2).

A registrar is believed as far as it can be read: a Path, a Service-Route or a GRUU that is none counts as missing. More
of them than anybody needs are not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.fields import parse_name_addr, parse_name_addrs, parse_seconds, parse_tokens, split_values
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.sip.headers import Headers
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.name_addr import NameAddr

__all__ = ["LONGEST_LIST", "Granted", "read_granted"]

LONGEST_LIST = 64
"""So many Contacts, and so many hops of a Path or a Service-Route, are read; what has more of them counts as none."""


@final
class Granted:
    """What one 2xx to a REGISTER says.

    :ivar expires: for how many seconds our binding stands; 0 where the registrar has none of ours.
    :ivar contact: our binding, as the registrar has written it; None where it has none of ours.
    :ivar others: the other bindings of the address of record, those of other devices.
    :ivar path: by which proxies requests come to us (RFC 3327).
    :ivar service_route: by which proxies the domain wants our requests to go, as Route values (RFC 3608).
    :ivar public_gruu: where exactly this device can be reached by everybody; None where there is none (RFC 5627).
    :ivar temporary_gruu: the same without saying who it is; another one each time.
    :ivar is_outbound: whether the registrar follows RFC 5626: our requests come by the flow that this was said on.
    :ivar flow_timer: the Flow-Timer, as it was written; None where there is none.
    """

    __slots__ = (
        "contact",
        "expires",
        "flow_timer",
        "is_outbound",
        "others",
        "path",
        "public_gruu",
        "service_route",
        "temporary_gruu",
    )

    def __init__(self) -> None:
        self.expires = 0
        self.contact: NameAddr | None = None
        self.others: tuple[NameAddr, ...] = ()
        self.path: tuple[str, ...] = ()
        self.service_route: tuple[str, ...] = ()
        self.public_gruu: SipUri | None = None
        self.temporary_gruu: SipUri | None = None
        self.is_outbound = False
        self.flow_timer: str | None = None


def read_granted(response: Response, sent: str, asked: int, owner: str) -> Granted:
    """What *response*, a 2xx to a REGISTER, grants.

    :param sent: the Contact that the REGISTER carried.
    :param asked: the seconds that it asked for; they count where the response names none.
    :param owner: the address of record.
    :raises MalformedMessage: when a Contact of the response cannot be read.
    """
    headers = response.headers
    granted = Granted()
    ours = parse_name_addr(sent, "Contact")
    texts = _elements(headers, "Contact")
    contacts = [parse_name_addr(text, "Contact") for text in texts]
    best = 0
    for contact in contacts:
        likeness = _likeness(contact, ours)
        if likeness > best:
            granted.contact, best = contact, likeness
    granted.others = tuple(contact for contact in contacts if contact is not granted.contact)
    if granted.contact is not None or not texts:
        # 10.2.4: the Contact's own, else that of Expires, else what was asked for. A registrar that lists no binding at
        # all has not said that it has none of ours.
        own = None if granted.contact is None else granted.contact.expires
        granted.expires = _whole(headers, "Expires", asked) if own is None else own
    _read_gruus(granted, SipUri.parse(owner))
    granted.path = _routes(headers, "Path", loose=False)
    # RFC 3608 section 5: as in a Route, with lr; nothing else can be preloaded.
    granted.service_route = _routes(headers, "Service-Route", loose=True)
    granted.is_outbound = _requires_outbound(headers)
    granted.flow_timer = headers.get("Flow-Timer")
    return granted


def _elements(headers: Headers, name: str) -> list[str]:
    """The elements of every field called *name*; none where there are too many."""
    found: list[str] = []
    for value in headers.get_all(name):
        found += [element for element in split_values(value) if element]
    return found if len(found) <= LONGEST_LIST else []


def _likeness(contact: NameAddr, ours: NameAddr) -> int:
    """How surely *contact* is the binding that *ours* made, 0 where it is not: by instance and flow where both say one
    (RFC 5626 section 6), else by its URI, of which what lies between may have changed all but the user part. An earlier
    binding of ours may stand beside it, with another place."""
    flow = ours.params.get("reg-id")
    is_instance = _has_instance(contact, ours)
    if is_instance:
        # Without RFC 5626 a registrar keeps what it does not know, or drops it.
        if contact.params.get("reg-id") == flow and flow is not None:
            return 4
        if contact.params.get("reg-id") is not None and flow is not None:
            return 0
    try:
        theirs, uri = contact.uri, ours.uri
    except MalformedMessage:
        return 0
    if not isinstance(theirs, SipUri) or not isinstance(uri, SipUri):
        return 0
    if theirs == uri:
        return 3
    if is_instance:
        return 2
    return int(uri.user is not None and theirs.user == uri.user)


def _has_instance(contact: NameAddr, ours: NameAddr) -> bool:
    """Whether both are of one instance. RFC 5626 section 4.1: compared as URNs of their kind, and a UUID is spelled in
    small letters or large ones."""
    theirs, instance = contact.params.get("+sip.instance"), ours.params.get("+sip.instance")
    return theirs is not None and instance is not None and theirs.lower() == instance.lower()


def _whole(headers: Headers, name: str, otherwise: int) -> int:
    """A number of seconds, or what counts where there is none that can be read."""
    value = headers.get(name)
    if value is None:
        return otherwise
    try:
        seconds = parse_seconds(value, name)
    except MalformedMessage:
        return otherwise
    return otherwise if seconds is None else seconds


def _read_gruus(granted: Granted, owner: SipUri) -> None:
    """RFC 5627 section 5.1: the public one is the address of record with ``gr``; both are of its domain. Whatever we
    say in our Contact is where others look for us, so nobody else's address is taken for it."""
    if granted.contact is None:
        return
    public, temporary = _gruu(granted.contact, "pub-gruu"), _gruu(granted.contact, "temp-gruu")
    if public is not None and (public.user, public.host.lower()) == (owner.user, owner.host.lower()):
        granted.public_gruu = public
    if temporary is not None and temporary.host.lower() == owner.host.lower():
        granted.temporary_gruu = temporary


def _gruu(contact: NameAddr, name: str) -> SipUri | None:
    """RFC 5627 section 3.1: a SIP URI with ``gr``."""
    value = contact.params.get(name)
    if value is None:
        return None
    try:
        uri = SipUri.parse(value)
    except (MalformedMessage, ValueError):
        return None
    return uri if "gr" in uri.params and not uri.headers else None


def _routes(headers: Headers, name: str, *, loose: bool) -> tuple[str, ...]:
    """The hops of Path or Service-Route as Route values; none where one of them cannot be a hop.

    :param loose: whether each has to have ``lr``.
    """
    hops = []
    try:
        for element in _elements(headers, name):
            for hop in parse_name_addrs(element, name):
                if not isinstance(hop.uri, SipUri) or (loose and not hop.uri.lr):
                    return ()
                hops.append(str(hop))
    except MalformedMessage:
        return ()
    return tuple(hops)


def _requires_outbound(headers: Headers) -> bool:
    """RFC 5626 section 6: who follows it says so in Require."""
    try:
        return any("outbound" in parse_tokens(value, "Require") for value in headers.get_all("Require"))
    except MalformedMessage:
        return False
