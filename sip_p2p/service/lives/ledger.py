"""The part of every service that keeps the books of what lives on beside sessions, and tells what happens to it.

===========================  =======================================================================================
event                        when
===========================  =======================================================================================
``subscription``             one of ours has begun
``subscription-state``       its state is another one
``notification``             it was notified
``subscriber``               a peer's subscription to an event of ours stands, or waits to be approved
``subscriber-state``         it was approved, or has ended
``publication``              a compositor is to keep something for us
``publication-state``        it does, does no more, or what we asked of it came to nothing
``referral``                 a REFER was sent, or is to be decided about
``referral-state``           it was decided, its outcome has come nearer, or nothing more is heard of it
===========================  =======================================================================================
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, final

from sip_p2p.endpoint.publication.publication import Publication
from sip_p2p.endpoint.subscription.server import ServerSubscription
from sip_p2p.endpoint.subscription.states import SubscriptionState
from sip_p2p.endpoint.subscription.subscription import Subscription
from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
from sip_p2p.endpoint.transfer.referral import Referral
from sip_p2p.service.lives.book import Book, Entry
from sip_p2p.service.lives.entries import (
    PublicationEntry,
    ReferralEntry,
    SubscriberEntry,
    SubscriptionEntry,
)
from sip_p2p.service.parts import Part
from sip_p2p.sip.event.publisher import PublicationState

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.events import Event
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.service.happenings import Happenings

__all__ = ["MOST_INCOMING", "Ledger"]

MOST_INCOMING = 1024
"""REFERs of peers that are remembered, decided or not; the oldest gives way."""


@final
class Ledger(Part):
    """The books of *endpoint*.

    :ivar subscriptions: ours.
    :ivar subscribers: those of peers.
    :ivar publications: ours.
    :ivar referrals: those of both sides.
    """

    def __init__(self, happenings: Happenings, endpoint: RealTimeEndpoint) -> None:
        self._happenings = happenings
        self._endpoint = endpoint
        self.subscriptions: Book[SubscriptionEntry] = Book("subscription", SubscriptionEntry)
        self.subscribers: Book[SubscriberEntry] = Book("subscriber", SubscriberEntry, keeps_ended=False)
        self.publications: Book[PublicationEntry] = Book("publication", PublicationEntry)
        self.referrals: Book[ReferralEntry] = Book("referral", ReferralEntry)
        self._incoming: dict[IncomingReferral, None] = {}
        self._followed: list[tuple[Event[Any], Any]] = []

    def listen(self) -> None:
        """From now on everything is noted."""
        lives = self._endpoint.connection_manager.lives
        self._followed = [
            (lives.begun, self._begun),
            (lives.changed, self._changed),
            (lives.ended, self._ended),
            (lives.notified, self._notified),
            (lives.referred, self._referred),
        ]
        for event, handler in self._followed:
            event.subscribe(handler)

    def ended(self) -> None:
        """Note nothing more."""
        for event, handler in self._followed:
            event.unsubscribe(handler)
        self._followed = []

    # -- what happens --------------------------------------------------------------------------------------------------

    def _begun(self, life: object) -> None:
        if isinstance(life, Subscription):
            self._tell_of("subscription", self.subscriptions.add(life), previous=False)
        elif isinstance(life, Publication):
            self._tell_of("publication", self.publications.add(life), previous=False)
        elif isinstance(life, Referral):
            self._tell_of("referral", self.referrals.add(life), previous=False)

    def _changed(self, life: object) -> None:
        if isinstance(life, Subscription):
            subscription = self.subscriptions.entry_of(life)
            if subscription is not None:
                self._tell_of("subscription-state", subscription)
                if life.state not in _UNDECIDED:
                    subscription.settle()
        elif isinstance(life, Publication):
            publication = self.publications.entry_of(life)
            if publication is not None:
                if life.state is PublicationState.STANDS or life.error is not None:
                    publication.settle()
                self._tell_of("publication-state", publication)
        elif isinstance(life, Referral):
            referral = self.referrals.entry_of(life)
            if referral is not None:
                self._tell_of("referral-state", referral)
        elif isinstance(life, ServerSubscription):
            known = self.subscribers.entry_of(life)
            entry = self.subscribers.add(life)
            self._tell_of("subscriber" if known is None else "subscriber-state", entry, previous=known is not None)

    def _ended(self, life: object) -> None:
        if isinstance(life, Subscription):
            self.subscriptions.gone(life)
        elif isinstance(life, Publication):
            entry = self.publications.entry_of(life)
            if entry is not None:
                self.publications.gone(life)
                self._tell_of("publication-state", entry)
        elif isinstance(life, Referral):
            self.referrals.gone(life)
        elif isinstance(life, ServerSubscription):
            subscriber = self.subscribers.gone(life)
            if subscriber is not None:
                self._tell_of("subscriber-state", subscriber)
        elif isinstance(life, IncomingReferral):
            self._forget(life)

    def _notified(self, notified: tuple[Subscription, Notification]) -> None:
        subscription, notification = notified
        entry = self.subscriptions.entry_of(subscription)
        if entry is None:
            return
        self._note(entry, notification)
        if subscription.state is SubscriptionState.SUBSCRIBED:
            entry.settle()

    def _note(self, entry: SubscriptionEntry, notification: Notification) -> None:
        if self._happenings.is_unheard:
            entry.count += 1
            return
        said = entry.note(notification)
        entry.remember(said, time.time())
        facts = entry.as_json()
        fields: dict[str, object] = {name: facts[name] for name in ("to", "peer", "address") if name in facts}
        fields |= {"package": facts["event"], **said}
        self._happenings.emit("notification", subscription=int(entry.key), **fields)

    def _referred(self, referral: IncomingReferral) -> None:
        if referral not in self._incoming:
            if referral.is_decided:
                # It has given way to others.
                return
            self._incoming[referral] = None
            self._tell_of("referral", self.referrals.add(referral), previous=False)
            while len(self._incoming) > MOST_INCOMING:
                self._forget(next(iter(self._incoming)))
            return
        entry = self.referrals.entry_of(referral)
        if entry is None:
            return
        self._tell_of("referral-state", entry)
        if not referral.is_told:
            self._forget(referral)

    def _forget(self, referral: IncomingReferral) -> None:
        self._incoming.pop(referral, None)
        self.referrals.gone(referral)

    def _tell_of(self, event: str, entry: Entry[Any], *, previous: bool = True) -> None:
        """Tell how *entry* is."""
        said = entry.as_json()
        state = str(said.get("state", ""))
        before, entry.state = entry.state, state
        if previous and before == state:
            return
        entry.changed = time.time()
        if self._happenings.is_unheard:
            return
        name = event.partition("-")[0]
        fields = {each: said[each] for each in said if each not in _LEFT_OUT}
        # What package it is of, for an event has its own kind under that name.
        if "event" in said:
            fields["package"] = said["event"]
        if previous:
            fields["previous_state"] = before
        failure = said.get("failure")
        if isinstance(failure, dict):
            fields |= {"words": failure["words"], "remedy": failure["remedy"]}
        self._happenings.emit(event, **{name: int(entry.key), **fields})


_UNDECIDED = (SubscriptionState.IDLE, SubscriptionState.SUBSCRIBING, SubscriptionState.SUBSCRIBED)
"""A subscription stands with its first notification, which comes right after the last of these."""

_LEFT_OUT = frozenset(("id", "event", "began", "changed", "count", "failure"))
