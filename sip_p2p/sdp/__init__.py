"""Session descriptions: read, written, compared, offered and answered (RFC 8866, RFC 3264); no media.

Values only: the package knows neither SIP nor the network, and imports :mod:`sip_p2p.errors` and nothing else of the
project. Sessions carry any body; whoever wants SDP finds it here::

    from sip_p2p.sdp import Ability, Codec, SessionDescription, make_answer

    offer = SessionDescription.parse(session.offer.body)
    answer = make_answer(offer, [Ability("audio", 40000, [Codec(0, "PCMU", 8000)])], "192.0.2.7")

Start with :mod:`~sip_p2p.sdp.description`.

=================  ================================================================  ==================================
module             what                                                              standard
=================  ================================================================  ==================================
``grammar``        the characters of each line                                       RFC 8866 section 9
``lines``          the values of single lines: origin, connection, times             RFC 8866 section 5
``attributes``     attributes in order, and directions                               RFC 8866 sections 5.13 and 6
``codecs``         payload types, their encodings and parameters                     RFC 8866 section 6.6, RFC 3551
``description``    a session and its media lines                                     RFC 8866 section 5
``reading``        from octets: strictly, or with every fault noted                  RFC 8866 section 9
``comparison``     what differs between two descriptions
``offer_answer``   answers, next offers, and whether either may be                   RFC 3264
=================  ================================================================  ==================================
"""

from __future__ import annotations

from sip_p2p.sdp.attributes import Attribute, Direction
from sip_p2p.sdp.codecs import Codec
from sip_p2p.sdp.comparison import differences
from sip_p2p.sdp.description import MediaDescription, SessionDescription
from sip_p2p.sdp.lines import Bandwidth, Connection, Origin, Timing
from sip_p2p.sdp.offer_answer import (
    Ability,
    Stream,
    agreed_streams,
    answer_faults,
    held,
    make_answer,
    next_offer,
    next_offer_faults,
    resumed,
)

__all__ = [
    "Ability",
    "Attribute",
    "Bandwidth",
    "Codec",
    "Connection",
    "Direction",
    "MediaDescription",
    "Origin",
    "SessionDescription",
    "Stream",
    "Timing",
    "agreed_streams",
    "answer_faults",
    "differences",
    "held",
    "make_answer",
    "next_offer",
    "next_offer_faults",
    "resumed",
]
