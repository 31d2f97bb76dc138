"""Presence: the event package ``presence`` (RFC 3856), told as PIDF (RFC 3863).

Left out on purpose: lists of presentities (RFC 4662), watchers as an event (RFC 3857) and partial notification (RFC
5263).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

from sip_p2p.documents.pidf import MEDIA_TYPE, Presence
from sip_p2p.endpoint.subscription.packages.resources import ResourcePackage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeVar

    from sip_p2p.documents.pidf import Device, Person, Tuple

    P = TypeVar("P", Tuple, Person, Device)

__all__ = ["PresencePackage"]


@final
class PresencePackage(ResourcePackage[Presence]):
    """Who can be reached, and what they do: ``package.set("sip:alice@a.example", Presence.of("sip:alice@a.example"))``.

    What was published of somebody by several devices is put together: the ways to reach her, persons and devices of all
    of them (RFC 4479 section 3.5). It is told as the state of the resource that it was published for, whomever the
    documents name: nobody has proved that. Extensions are passed on as they stand, ``mustUnderstand`` (RFC 3863)
    included: whether to handle them is for the watchers.
    """

    name = "presence"
    content_types = (MEDIA_TYPE,)
    # RFC 3856 sections 6.4 and 6.10.
    default_expires = 3600
    shortest_interval = 5.0

    def parse(self, content_type: str, body: bytes) -> Presence:
        """Read a PIDF document."""
        return Presence.parse(body)

    def compose(self, resource: str, own: Presence | None, published: Sequence[Presence]) -> Presence | None:
        """All that is said of *resource*, in one document."""
        if not published:
            return own
        if own is None and len(published) == 1:
            [document] = published
            return document if document.entity == resource else replace(document, entity=resource)
        said = (*(() if own is None else (own,)), *published)
        taken: set[str] = set()
        return Presence(
            resource if own is None else own.entity,
            tuple(_apart(taken, (part for each in said for part in each.tuples))),
            tuple(_apart(taken, (part for each in said for part in each.persons))),
            tuple(_apart(taken, (part for each in said for part in each.devices))),
            tuple(note for each in said for note in each.notes),
            tuple(part for each in said for part in each.extensions),
        )


def _apart(taken: set[str], parts: Iterable[P]) -> Iterable[P]:
    """*parts*, with another id where theirs is taken."""
    for part in parts:
        id, number = part.id, 1
        while id in taken:
            number += 1
            id = f"{part.id}-{number}"
        taken.add(id)
        yield part if id == part.id else replace(part, id=id)
