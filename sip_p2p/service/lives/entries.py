"""What is said of each kind, as JSON: subscriptions of ours and of peers, publications, referrals and registrations.

What was proved stands before what was said, and no credentials are in it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

from sip_p2p.endpoint.transfer.referral import Referral
from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import in_words, printable
from sip_p2p.service.http.descriptions import content
from sip_p2p.service.json_lines import proved
from sip_p2p.service.lives.book import Entry
from sip_p2p.service.words import explain

if TYPE_CHECKING:
    from sip_p2p.endpoint.peer import Peer
    from sip_p2p.endpoint.publication.publication import Publication
    from sip_p2p.endpoint.registration.registration import Registration
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.server import ServerSubscription
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral

__all__ = [
    "MOST_NOTIFICATIONS",
    "PublicationEntry",
    "ReferralEntry",
    "SubscriberEntry",
    "SubscriptionEntry",
    "described_notification",
    "described_registration",
]

MOST_NOTIFICATIONS = 8
"""Notifications of one subscription that are remembered; the oldest gives way."""

MOST_NOTIFICATION_OCTETS = 16 * 1024
"""Octets of a notification's body that are remembered; of a longer one only its type is."""

_SAID = 1024


def said_to_be(name: object) -> str:
    """An address that somebody has written, on one line and without the password in it."""
    return printable(without_passwords(str(name)), _SAID)


def failure_of(error: BaseException | None) -> dict[str, object]:
    """What went wrong, for the ``failure`` of an entry; nothing where nothing did."""
    if error is None:
        return {}
    words = explain(error)
    return {"failure": {"error": type(error).__name__, "words": words.what, "remedy": words.remedy}}


def _flow_of(peer: Peer | None) -> dict[str, object]:
    return {} if peer is None else {**proved(peer), "flow": str(peer.flow.number)}


def described_notification(notification: Notification) -> dict[str, object]:
    """A notification: how the subscription stands, and the body."""
    said: dict[str, object] = {"state": notification.state}
    if notification.reason:
        said["reason"] = printable(notification.reason, 64)
    return said | content(notification.body, printable(notification.content_type), MOST_NOTIFICATION_OCTETS)


@final
class SubscriptionEntry(Entry["Subscription"]):
    """A subscription of ours.

    :ivar count: how many notifications have come.
    :ivar notifications: the last of them, the newest last.
    """

    __slots__ = ("count", "notifications")

    def __init__(self, key: str, life: Subscription) -> None:
        super().__init__(key, life)
        self.count = 0
        self.notifications: deque[dict[str, object]] = deque(maxlen=MOST_NOTIFICATIONS)

    def note(self, notification: Notification) -> dict[str, object]:
        """One has come; returns what is remembered of it, without its time."""
        said = described_notification(notification)
        self.count += 1
        return said

    def remember(self, said: dict[str, object], at: float) -> None:
        """Remember what :meth:`note` has returned."""
        self.notifications.append({"time": in_words(at), **said})

    def facts(self, life: Subscription) -> dict[str, object]:
        """Whose state it is for, how it stands, and who has notified."""
        said: dict[str, object] = {
            "to": said_to_be(life.target or ""),
            "event": life.event,
            "state": life.state.name.lower(),
            "is_pending": life.is_pending,
        }
        if life.reason:
            said["reason"] = printable(life.reason, 64)
        if life.expires is not None:
            said["expires"] = int(life.expires)
        return said | _flow_of(life.peer) | failure_of(life.error)

    def as_json(self) -> dict[str, object]:
        """It, and how much was notified."""
        return super().as_json() | {"count": self.count}

    def in_full(self) -> dict[str, object]:
        """It, with the last notifications, the newest first."""
        return self.as_json() | {"notifications": list(reversed(self.notifications))}


@final
class SubscriberEntry(Entry["ServerSubscription"]):
    """A peer's subscription to an event of ours."""

    __slots__ = ()

    def facts(self, life: ServerSubscription) -> dict[str, object]:
        """Who has subscribed to what, and how it stands."""
        said: dict[str, object] = {
            "event": str(life.event),
            "resource": said_to_be(life.resource),
            "from": said_to_be(life.subscriber),
            "is_verified": life.is_verified,
            "state": life.state.name.lower(),
            "expires": int(life.expires),
        }
        if life.reason:
            said["reason"] = printable(life.reason, 64)
        return said | _flow_of(life.peer)


@final
class PublicationEntry(Entry["Publication"]):
    """Something that a compositor keeps for us."""

    __slots__ = ()

    def facts(self, life: Publication) -> dict[str, object]:
        """What is published where, and how that stands."""
        return {
            "event": life.event,
            "to": said_to_be(life.target),
            "state": life.state.name.lower(),
            "expires": int(life.expires),
            **failure_of(life.error),
        }


@final
class ReferralEntry(Entry["Referral | IncomingReferral"]):
    """A REFER, ours or a peer's."""

    __slots__ = ("_before",)

    def __init__(self, key: str, life: Referral | IncomingReferral) -> None:
        super().__init__(key, life)
        # Who has sent it is known while it waits for a decision.
        self._before = {} if isinstance(life, Referral) else _flow_of(life.peer)

    def over(self) -> None:
        """Whoever waits is told by the outcome of the REFER itself, which says why it came to nothing."""

    def facts(self, life: Referral | IncomingReferral) -> dict[str, object]:
        """Who is to ask for what, and what came of it."""
        said: dict[str, object] = {
            "direction": "out" if isinstance(life, Referral) else "in",
            "method": printable(life.refer_to.method, 32),
            "to": said_to_be(life.refer_to.uri),
        }
        if isinstance(life, Referral):
            said["state"] = life.status.name.lower()
            outcome = life.outcome
            if outcome is not None:
                said |= {"status": outcome.status, "reason": printable(outcome.reason)}
            return said
        if life.status is not None:
            said["status"] = life.status
        said |= {"state": _decision(life), "from": said_to_be(life.request.headers.get("From") or "")}
        if life.referred_by is not None:
            said["referred_by"] = said_to_be(life.referred_by.uri)
        if life.session is not None:
            said["session"] = str(life.session.number)
        made = None if life.following is None else life.following.session
        if made is not None:
            said["made"] = str(made.number)
        return said | self._before


def _decision(referral: IncomingReferral) -> str:
    if referral.status is None:
        return "given up" if referral.is_decided else "waiting"
    if referral.status >= 300:
        return "declined"
    return "accepted" if referral.is_told else "over"


def described_registration(registration: Registration) -> dict[str, object]:
    """Where we are registered, and how that stands; the password of nothing is in it."""
    said: dict[str, object] = {
        "id": "1",
        "registrar": said_to_be(registration.registrar),
        "state": registration.state.name.lower(),
        "expires": int(registration.expires),
        "flows": [str(flow.number) for flow in registration.flows],
        "is_outbound": registration.is_outbound,
        "path": [said_to_be(value) for value in registration.path],
        "service_route": [said_to_be(value) for value in registration.service_route],
        "other_contacts": [said_to_be(contact) for contact in registration.other_contacts],
    }
    for name, gruu in (("public_gruu", registration.public_gruu), ("temporary_gruu", registration.temporary_gruu)):
        if gruu is not None:
            said[name] = said_to_be(gruu)
    return said | failure_of(registration.error)
