"""What the next hop writes into a request's top Via (RFC 3261 section 18.2.1, RFC 3581 section 4).

``received`` is always set, and ``rport`` is filled in where the client asked for it; what the peer itself may have
written there is replaced. What a flow has to say to a ``keep`` or ``oc`` parameter goes the same way. The parsed Via
that the request hands out says the same as its field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.sip.fields import split_values
from sip_p2p.sip.via import parse_via

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request

__all__ = ["answer_hop", "stamp_source"]


def stamp_source(request: Request, host: str, port: int) -> str:
    """Record that *request* came from *host* and *port*.

    :returns: the first Via field as it reads now.
    :raises MalformedMessage: when its top Via cannot be read.
    """
    via = request.via
    names, values = request.headers.parallel_lists()
    index = names.index("Via")
    value = values[index]
    if via.stands_alone_in(value) and ";received=" not in value and ";rport=" not in value:
        end = value.find(";rport") + 6
        stamped = f"{value};received={host}" if end < 6 else f"{value[:end]}={port}{value[end:]};received={host}"
        values[index] = stamped
        via.read_again(stamped)
        return stamped
    elements = split_values(value)
    changed = via.with_source(host, port if via.asks_rport else None)
    elements[0] = str(changed)
    values[index] = stamped = ", ".join(elements)
    request.use_via(changed)
    return stamped


def answer_hop(request: Request, flow: Flow) -> None:
    """Let *flow* answer what the peer offers in the top Via of *request* (RFC 6223, RFC 7339)."""
    names, values = request.headers.parallel_lists()
    index = names.index("Via")
    elements = split_values(values[index])
    answered = flow.answer_via(elements[0])
    if answered != elements[0]:
        elements[0] = answered
        values[index] = ", ".join(elements)
        request.use_via(parse_via(answered))
