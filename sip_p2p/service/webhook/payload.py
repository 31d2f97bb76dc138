"""What a delivery says: ``{"type": ..., "timestamp": ..., "data": {...}}`` (the Standard Webhooks convention).

What was proved of the sender stands before what it says of itself, under the names that the events have. Credentials
stay here. Pure: values in, values out.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import in_words
from sip_p2p.service.json_lines import described, described_session, fields_of, proved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.message import Request

__all__ = ["envelope", "offer_data", "referral_data", "request_data", "session_data"]

_SECRET = frozenset(["authorization", "proxy-authorization"])


def envelope(kind: str, at: float, data: Mapping[str, object]) -> bytes:
    """The body of a delivery.

    :param kind: its type.
    :param at: when it happened, in seconds since 1970.
    """
    # ASCII throughout: an octet that is no text in a header field becomes a lone surrogate, which no UTF-8 has.
    return json.dumps({"type": kind, "timestamp": in_words(at), "data": data}, separators=(",", ":")).encode("ascii")


def request_data(event: IncomingRequest, session: SignalingSession | None = None) -> dict[str, object]:
    """A request as the hook gets it.

    :param session: the one in which it came.
    """
    data = described(event) | {"request_uri": str(event.request.uri), "headers": _headers(event.request)}
    if session is not None:
        data["session"] = session.number
    return data


def session_data(session: SignalingSession, *, is_ringing: bool = False) -> dict[str, object]:
    """A session that a peer wants to establish, as the hook gets it.

    :param is_ringing: whether the hook has let it ring before.
    """
    data = described_session(session)
    data |= {"call_id": session.call_id, "session": session.number}
    offer = session.offer
    if offer is not None:
        data["offer_content_type"] = offer.content_type
    invite = session.invite
    if invite is not None:
        data |= {"request_uri": str(invite.uri), "headers": _headers(invite)}
    data["ringing"] = is_ringing
    return data


def referral_data(referral: IncomingReferral) -> dict[str, object]:
    """A peer's REFER as the hook gets it: who has proved to have sent it, then what it asks for."""
    request, peer = referral.request, referral.peer
    data: dict[str, object] = {} if peer is None else proved(peer)
    data |= fields_of(request)
    data |= {
        "request_uri": without_passwords(str(request.uri)),
        "refer_to": without_passwords(str(referral.refer_to.uri)),
        "refer_method": referral.refer_to.method,
        "headers": _headers(request),
    }
    if referral.referred_by is not None:
        data["referred_by"] = without_passwords(str(referral.referred_by.uri))
    if referral.session is not None:
        data["session"] = referral.session.number
    return data


def offer_data(session: SignalingSession, description: ContentDescription, name: str = "offer") -> dict[str, object]:
    """An offer or an answer within a session, as the hook gets it.

    :param name: which of the two.
    """
    data: dict[str, object] = {"call_id": session.call_id}
    if session.peer is not None:
        data |= proved(session.peer)
    data[f"{name}_content_type"] = description.content_type
    try:
        data[name] = description.body.decode("utf-8")
    except UnicodeDecodeError:
        data[f"{name}_base64"] = base64.b64encode(description.body).decode("ascii")
    return data


def _headers(request: Request) -> list[list[str]]:
    """The header fields in their order, without credentials."""
    return [[name, value] for name, value in request.headers if name.lower() not in _SECRET]
