"""The session descriptions of programs that have no media (RFC 8866, RFC 3264).

A phone rings for an offer with an audio stream, and refuses one without any; so what is offered here is an audio stream
on which nobody sends, to the discard port of no address. What answers an offer takes its streams in the same way.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, final

from zope.interface import implementer

from sip_p2p.endpoint.session.offers import IOfferAnswer
from sip_p2p.errors import MalformedDescription, OfferRejected
from sip_p2p.sdp import (
    Ability,
    Codec,
    Connection,
    Direction,
    MediaDescription,
    Origin,
    SessionDescription,
    make_answer,
)
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.dialog.description import SDP, ContentDescription

if TYPE_CHECKING:
    from sip_p2p.endpoint.session.session import SignalingSession

__all__ = ["Echo", "Silence", "silent_answer", "silent_offer"]

_NOWHERE = "0.0.0.0"
"""In a description, the address of nobody."""
_DISCARD = 9
_CODECS = (Codec(0, "PCMU", 8000), Codec(8, "PCMA", 8000))
_BITS = 53
"""Of a session id: enough that no two are the same, and few enough for whoever reads numbers as JavaScript does."""


def silent_offer() -> ContentDescription:
    """An offer of one audio stream on which nobody sends."""
    audio = MediaDescription.of_codecs("audio", _DISCARD, _CODECS, direction=Direction.INACTIVE)
    origin = _new_origin()
    return _described(SessionDescription(origin, (audio,), connection=Connection(_NOWHERE)))


def silent_answer(offer: ContentDescription, last: ContentDescription | None = None) -> ContentDescription:
    """An answer that takes each stream of *offer* that is plain RTP, and sends nothing on it; others are refused.

    :param last: our last description in the session, which this one follows.
    :raises OfferRejected: when *offer* is no SDP, cannot be understood, or has no stream that is taken.
    """
    if not _is_sdp(offer):
        raise OfferRejected(f"{offer.content_type} is not understood, only {SDP} is")
    try:
        offered = SessionDescription.parse(offer.body, lenient=True)
    except MalformedDescription as error:
        raise OfferRejected(str(error)) from None
    before = _read(last)
    abilities = [
        Ability(media.kind, _DISCARD, media.codecs, direction=Direction.INACTIVE)
        for media in offered.media
        if media.is_rtp
    ]
    origin = _new_origin() if before is None else before.origin
    try:
        answer = make_answer(offered, abilities, _NOWHERE, origin=origin)
    except ValueError as error:
        raise OfferRejected(str(error)) from None
    if before is not None and answer.replace(origin=origin) == before:
        answer = before
    return _described(answer)


@final
@implementer(IOfferAnswer)
class Silence:
    """Offers and answers silence, or what it is given.

    :param description: our first offer or answer; None for silence.
    :param is_late: whether the peer is to make the first offer.
    """

    def __init__(self, description: ContentDescription | None = None, *, is_late: bool = False) -> None:
        self._description = description
        self._is_late = is_late

    def get_offer(self, session: SignalingSession) -> ContentDescription | None:
        """What we have said last, and what there is to say at first; None where the peer is to begin."""
        last = session.local_description
        if last is None and self._is_late:
            return None
        return last or self._description or silent_offer()

    def get_answer(self, session: SignalingSession, offer: ContentDescription) -> ContentDescription:
        """At first what there is to say; to what the peer has said before, what we have said before; else silence."""
        last = session.local_description
        if last is None and self._description is not None:
            return self._description
        if last is not None and offer == session.remote_description:
            return last
        return silent_answer(offer, last)

    def set_answer(self, session: SignalingSession, answer: ContentDescription) -> None:
        """Whatever it is: nobody listens."""


@final
@implementer(IOfferAnswer)
class Echo:
    """Answers every offer with itself, whatever its type; whoever wants an offer gets our last words, or silence."""

    def get_offer(self, session: SignalingSession) -> ContentDescription:
        """What we have said last, or silence."""
        return session.local_description or silent_offer()

    def get_answer(self, session: SignalingSession, offer: ContentDescription) -> ContentDescription:
        """The offer."""
        return offer

    def set_answer(self, session: SignalingSession, answer: ContentDescription) -> None:
        """Whatever it is: nobody listens."""


def _new_origin() -> Origin:
    return Origin(_NOWHERE, secrets.randbits(_BITS))


def _is_sdp(description: ContentDescription) -> bool:
    return parse_media_type(description.content_type).essence == SDP


def _read(last: ContentDescription | None) -> SessionDescription | None:
    """What we have said last, where that was SDP."""
    if last is None or not _is_sdp(last):
        return None
    try:
        return SessionDescription.parse(last.body, lenient=True)
    except MalformedDescription:
        return None


def _described(description: SessionDescription) -> ContentDescription:
    return ContentDescription(bytes(description))
