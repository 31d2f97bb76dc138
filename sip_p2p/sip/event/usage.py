"""What a subscription is to the dialog that it uses, and how it tells what happens (RFC 6665 section 4.5, RFC 5057).

A dialog may carry a session and any number of subscriptions, and those of the two sides are told apart by nothing but
the direction of their requests: a NOTIFY is for a subscription of ours, a SUBSCRIBE for one of the peer's. So the name
of a usage says the side, and then what Event says: ``subscriber:refer;id=2``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.fields import EventValue
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.profile import Profile

__all__ = ["NOTIFIER", "SUBSCRIBER", "EventEffect", "EventUsage", "usage_name"]

SUBSCRIBER = "subscriber"
"""The side of a usage to which NOTIFYs are sent."""

NOTIFIER = "notifier"
"""The side of a usage to which SUBSCRIBEs are sent."""


def usage_name(side: str, event: EventValue) -> str:
    """The name in :attr:`~sip_p2p.sip.dialog.dialog.Dialog.usages` of a subscription to *event*.

    Package and ``id`` tell subscriptions of one dialog apart, octet by octet (section 8.2.1); nothing else of Event
    does.

    :param side: :data:`SUBSCRIBER` or :data:`NOTIFIER`.
    """
    return f"{side}:{event.package}" if event.id is None else f"{side}:{event.package};id={event.id}"


class EventUsage(Protocol):
    """One subscription, ours or the peer's, in the dialog that it uses.

    :ivar profile: whose it is.
    :ivar user: whatever the facade put there; it has an ``endpoint``, and a method ``take`` for the effects.
    """

    profile: Profile
    user: object

    def request_received(self, output: InDialogRequestReceived, now: float) -> None:
        """A SUBSCRIBE or NOTIFY for it came in its dialog, and is its to answer."""

    def dialog_gone(self, response: Response | None, now: float) -> None:
        """The dialog is over, with all its usages (RFC 5057 section 5.1); nothing more can be sent in it.

        :param response: what said so; None where nothing came.
        """


class EventEffect:
    """Something that the application is to be told of a subscription or a publication.

    It goes, in the order in which it was said, to ``owner.user.take(effect)``.

    :ivar owner: whose it is: an :class:`EventUsage`, or another machine of this package.
    """

    __slots__ = ("owner",)

    def __init__(self, owner: EventOwner) -> None:
        self.owner = owner


class EventOwner(Protocol):
    """A machine whose ``user`` is told what it says.

    :ivar user: whatever the facade put there.
    """

    user: object
