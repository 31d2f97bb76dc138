"""Where a request really came from, written into its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4).

``received`` is always set, and ``rport`` is filled in where the client asked for it; what the peer itself may have
written there is replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.sip.fields import split_values

if TYPE_CHECKING:
    from sip_p2p.sip.message import Request

__all__ = ["stamp_source"]


def stamp_source(request: Request, host: str, port: int) -> None:
    """Record that *request* came from *host* and *port*.

    :raises MalformedMessage: when its top Via cannot be read.
    """
    via = request.via
    names, values = request.headers.parallel_lists()
    index = names.index("Via")
    value = values[index]
    if "," not in value and '"' not in value and "eceived" not in value and "ECEIVED" not in value:
        asked = value.find(";rport;")
        if asked >= 0:
            values[index] = f"{value[:asked]};rport={port}{value[asked + 6 :]};received={host}"
            return
        if value.endswith(";rport"):
            values[index] = f"{value}={port};received={host}"
            return
        if "port" not in value and "PORT" not in value:
            values[index] = f"{value};received={host}"
            return
    elements = split_values(value)
    elements[0] = str(via.with_source(host, port if via.asks_rport else None))
    values[index] = ", ".join(elements)
