"""Answers, next offers, and whether either may be (RFC 3264), media line by media line.

What is made here can be refused by nobody who follows the RFC, and what came from a peer can be held against it with
:func:`answer_faults` and :func:`next_offer_faults`. Extensions that an offer may carry (ICE, DTLS, bundles) are for
those who have media: an answer made here does not take them up, which refuses each of them in the way that its own RFC
foresees. An offer of ``RTP/SAVP`` or the like is taken only by an :class:`Ability` that names the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sip_p2p.sdp.attributes import Attribute, Direction, with_direction
from sip_p2p.sdp.description import MediaDescription, SessionDescription
from sip_p2p.sdp.grammar import check_number, check_token
from sip_p2p.sdp.lines import Connection, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sip_p2p.sdp.codecs import Codec

__all__ = [
    "Ability",
    "Stream",
    "agreed_streams",
    "answer_faults",
    "held",
    "make_answer",
    "next_offer",
    "next_offer_faults",
    "resumed",
]


@dataclass(frozen=True, slots=True)
class Ability:
    """What we can do with one media line of an offer; an answer uses each ability once.

    :ivar kind: ``audio``, ``video``, ...
    :ivar port: where we receive; at least 1.
    :ivar codecs: for RTP, what we can take, in any order; their numbers do not matter.
    :ivar protocols: which transports; upper and lower case are the same.
    :ivar formats: for what is no RTP, the formats that we take; ``*`` takes any.
    :ivar direction: the most that we do.
    :ivar attributes: further attributes of our answer.
    """

    kind: str
    port: int
    codecs: Sequence[Codec] = ()
    protocols: tuple[str, ...] = ("RTP/AVP",)
    formats: tuple[str, ...] = ("*",)
    direction: Direction = Direction.SENDRECV
    attributes: Sequence[Attribute] = ()

    def __post_init__(self) -> None:
        check_token("a kind of media", self.kind)
        if check_number("a port", self.port, 65535) == 0:
            raise ValueError("an ability receives somewhere: port 0 refuses a stream")

    def takes(self, media: MediaDescription) -> bool:
        """Whether it is for media of this kind and protocol, and has something in common with them."""
        if media.kind != self.kind or media.protocol.upper() not in {each.upper() for each in self.protocols}:
            return False
        return bool(self.common_codecs(media) if media.is_rtp else self.common_formats(media))

    def common_codecs(self, media: MediaDescription) -> list[Codec]:
        """What both can do: in the order of the offer and under its numbers (RFC 3264 section 6.1), with our
        parameters. Events, comfort noise and the like alone are nothing in common."""
        common = []
        for offered in media.codecs:
            ours = next((codec for codec in self.codecs if codec.is_same(offered)), None)
            if ours is not None:
                common.append(ours.numbered(offered.payload, ours.parameters or offered.parameters))
        return common if any(codec.encoding.lower() not in _BESIDE_SPEECH for codec in common) else []

    def common_formats(self, media: MediaDescription) -> list[str]:
        """The formats that both can do."""
        return list(media.formats) if "*" in self.formats else [each for each in media.formats if each in self.formats]


_BESIDE_SPEECH = frozenset(("telephone-event", "tone", "cn", "red", "ulpfec", "rtx", "flexfec"))


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream as an offer and its answer agree on it, as seen by one side.

    :ivar index: its media line, counted from 0.
    :ivar kind: ``audio``, ``video``, ...
    :ivar direction: what we do.
    :ivar address: where to send to; empty where we do not know.
    :ivar port: the port there.
    :ivar codecs: what both can do, under the numbers that we send with.
    """

    index: int
    kind: str
    direction: Direction
    address: str
    port: int
    codecs: tuple[Codec, ...]


def make_answer(
    offer: SessionDescription,
    abilities: Iterable[Ability],
    address: str,
    *,
    origin: Origin | None = None,
    name: str = "-",
    attributes: Iterable[Attribute] = (),
) -> SessionDescription:
    """Answer *offer* with what we can do (section 6): each media line is taken by the first ability left that fits, or
    refused.

    :param address: where we receive.
    :param origin: ours; in later answers of a session, that of our last description, whose version is then raised. By
        default a new one that copies the offer's id: it is unique together with our address.
    :raises ValueError: when *offer* has media lines and none is taken: answer the request with 488 instead. One that
        only ends streams is answered.
    """
    left = list(abilities)
    lines = []
    for media in offer.media:
        ability = None if media.is_rejected else next((each for each in left if each.takes(media)), None)
        if ability is None:
            lines.append(_refused(media))
        else:
            left.remove(ability)
            lines.append(_taken(offer, media, ability))
    if all(line.is_rejected for line in lines) and not all(line.is_rejected for line in offer.media):
        raise ValueError("nothing in the offer is acceptable")
    ours = Origin(address, offer.origin.session_id) if origin is None else origin.next()
    if origin is None and ours.session == offer.origin.session:
        # Section 6: who made the offer is somebody else, under whatever address.
        ours = Origin(address, offer.origin.session_id ^ 1)
    # Section 6: the times of the answer are those of the offer.
    return SessionDescription(ours, tuple(lines), name, Connection(address), tuple(attributes), timings=offer.timings)


def _refused(media: MediaDescription) -> MediaDescription:
    """Section 6: port 0, and at least one format, which nobody reads."""
    return MediaDescription(media.kind, 0, media.protocol, media.formats[:1])


def _taken(offer: SessionDescription, media: MediaDescription, ability: Ability) -> MediaDescription:
    """Section 6.1: what both can do, and in the offered direction seen from here."""
    direction = offer.direction_of(media).reversed.within(ability.direction)
    connection = offer.connection_of(media)
    if connection is not None and connection.is_hold:
        # Section 8.4: so RFC 2543 says that nothing is to be sent.
        direction = direction.within(Direction.RECVONLY)
    attributes = list(ability.attributes)
    if not media.is_rtp:
        formats = tuple(ability.common_formats(media))
        own = with_direction(attributes, direction)
        return MediaDescription(media.kind, ability.port, media.protocol, formats, tuple(own))
    return MediaDescription.of_codecs(
        media.kind,
        ability.port,
        ability.common_codecs(media),
        protocol=media.protocol,
        direction=direction,
        attributes=attributes,
    )


def answer_faults(offer: SessionDescription, answer: SessionDescription) -> list[str]:
    """What is wrong with *answer*, in words; nothing where it answers *offer* (section 6)."""
    faults = []
    if len(answer.media) != len(offer.media):
        faults.append(f"it has {len(answer.media)} media lines, and the offer {len(offer.media)}")
    if answer.timings != offer.timings:
        faults.append("its times are not those of the offer")
    for number, (offered, answered) in enumerate(zip(offer.media, answer.media, strict=False), 1):
        where = f"media line {number}"
        if offered.kind != answered.kind:
            faults.append(f"{where} is {answered.kind}, and was offered as {offered.kind}")
            continue
        if answered.is_rejected:
            continue
        if offered.is_rejected:
            faults.append(f"{where} is taken, and was not offered")
            continue
        if offered.protocol.upper() != answered.protocol.upper():
            faults.append(f"{where} is {answered.protocol}, and was offered as {offered.protocol}")
        mine, theirs = offer.direction_of(offered), answer.direction_of(answered)
        if (theirs.sends and not mine.receives) or (theirs.receives and not mine.sends):
            faults.append(f"{where} is {theirs.value}, and was offered as {mine.value}")
        if answered.is_rtp:
            if not _common(offered, answered):
                faults.append(f"{where} has no format of the offer")
        elif not set(answered.formats) & set(offered.formats):
            faults.append(f"{where} has no format of the offer")
    return faults


def _common(offered: MediaDescription, answered: MediaDescription) -> list[Codec]:
    """What both can do, in the order of the answer and under its numbers: it is what its writer receives."""
    return [codec for codec in answered.codecs if any(codec.is_same(other) for other in offered.codecs)]


def agreed_streams(offer: SessionDescription, answer: SessionDescription, *, is_offerer: bool) -> list[Stream]:
    """The streams that *offer* and *answer* agree on; refused ones are left out.

    :param is_offerer: whether the offer is ours; otherwise the answer is.
    """
    ours, theirs = (offer, answer) if is_offerer else (answer, offer)
    streams = []
    for index, (mine, other) in enumerate(zip(ours.media, theirs.media, strict=False)):
        if mine.is_rejected or other.is_rejected:
            continue
        direction = ours.direction_of(mine).within(theirs.direction_of(other).reversed)
        connection = theirs.connection_of(other)
        address = "" if connection is None else connection.address
        if connection is not None and connection.is_hold:
            # Section 8.4: so RFC 2543 says that nothing is to be sent.
            address, direction = "", direction.within(Direction.RECVONLY)
        streams.append(Stream(index, mine.kind, direction, address, other.port, tuple(_common(mine, other))))
    return streams


def next_offer(previous: SessionDescription, media: Sequence[MediaDescription]) -> SessionDescription:
    """The next description of the session after *previous*, ours as well (section 8): its media lines keep their
    places, one that is not wanted any more gets port 0, and the version rises if anything changed.

    :param media: the lines from now on, in their places; those that *previous* had beyond them are ended. A place may
        get another kind of media (section 8.3.3).
    :raises ValueError: when a payload type gets another meaning while its stream lives (section 8.3.2).
    """
    lines = list(media)
    for index, line in enumerate(previous.media):
        if index >= len(lines):
            lines.append(_refused(line))
        for number, before, after in _renumbered(line, lines[index]):
            raise ValueError(f"media line {index + 1} has {after} for {number}, which is {before} while it lives")
    changed = previous.replace(media=lines)
    return previous if changed == previous else changed.replace(origin=previous.origin.next())


def _renumbered(before: MediaDescription, after: MediaDescription) -> list[tuple[int, str, str]]:
    """Section 8.3.2: the payload types whose meaning changes within a stream, with what they mean."""
    if before.is_rejected or after.is_rejected or before.kind != after.kind or not (before.is_rtp and after.is_rtp):
        return []
    known = {codec.payload: codec for codec in before.codecs}
    pairs = [(known[codec.payload], codec) for codec in after.codecs if codec.payload in known]
    return [
        (codec.payload, was.rtpmap.split(" ")[1], codec.rtpmap.split(" ")[1])
        for was, codec in pairs
        if not was.is_same(codec)
    ]


def next_offer_faults(previous: SessionDescription, offer: SessionDescription) -> list[str]:
    """What is wrong with *offer*, which the peer made after *previous*, in words (section 8)."""
    faults = []
    if previous.origin.session != offer.origin.session:
        faults.append(f"its origin is {offer.origin}, and was {previous.origin}")
    same = previous.replace(origin=offer.origin) == offer
    if same and offer.origin.version not in (previous.origin.version, previous.origin.next().version):
        faults.append(f"its version is {offer.origin.version} after {previous.origin.version}")
    if not same and offer.origin.version == previous.origin.version:
        faults.append("it differs from the last one, and its version does not")
    elif offer.origin.version < previous.origin.version:
        faults.append(f"its version {offer.origin.version} is lower than the last one, {previous.origin.version}")
    if len(offer.media) < len(previous.media):
        faults.append(f"it has {len(offer.media)} media lines, and the session has {len(previous.media)}")
    for number, (before, after) in enumerate(zip(previous.media, offer.media, strict=False), 1):
        for payload, was, means in _renumbered(before, after):
            faults.append(f"media line {number} has {means} for {payload}, which was {was}")
    return faults


def held(previous: SessionDescription) -> SessionDescription:
    """An offer that puts every stream on hold (section 8.4): we do not receive any more; what we send, we may go on
    sending."""
    return _turned(previous, lambda direction: direction.within(Direction.SENDONLY))


def resumed(previous: SessionDescription) -> SessionDescription:
    """An offer in which every stream goes both ways again."""
    return _turned(previous, lambda _: Direction.SENDRECV)


def _turned(previous: SessionDescription, turn: Callable[[Direction], Direction]) -> SessionDescription:
    lines = []
    for line in previous.media:
        if line.is_rejected:
            lines.append(line)
            continue
        direction = turn(previous.direction_of(line))
        lines.append(line.replace(attributes=with_direction(line.attributes, direction)))
    return next_offer(previous, lines)
