"""The place of its own that a peer calls a connection by, so that it need not be dialled there (RFC 5923).

A peer that listens says where in the sent-by of its requests, and with ``;alias`` that requests to that place may come
by this very connection. It is believed only where TLS has proved that the host is its own, on a connection that both
sides have authenticated (sections 8.2 and 9.2); on clear text never. What a peer says of itself lasts as long as the
connection on which it said so.

A peer that does not listen has the connection's own address for its sent-by. Nobody else can be there, so it needs no
``;alias``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.transport.target import Transport

if TYPE_CHECKING:
    from sip_p2p.sip.via import Via
    from sip_p2p.transport.stream.flow import StreamFlow

__all__ = ["ALIAS", "learn_alias"]

ALIAS = ";alias"
"""What the Via of our own requests says where we listen, too."""

_MOST_ALIASES = 8


def learn_alias(flow: StreamFlow, via: Via) -> None:
    """Remember where the peer says that it listens, when its certificate covers that host.

    :param via: the top Via of a request that came on *flow*.
    """
    place = (via.host, via.port or Transport(flow.transport).default_port)
    # A peer names the same place in request after request: what it says of that is looked at once.
    if place == flow.last_alias or place in flow.aliases or len(flow.aliases) >= _MOST_ALIASES:
        return
    flow.last_alias = place
    verified = flow.verified
    if verified is None or verified.identities is None:
        return
    if place[1] != flow.remote_port and "alias" not in via.params:
        return
    if verified.identities.matches(via.host) is not None:
        flow.aliases |= {place}
