"""The packages of ``--package``, and who may watch."""

from __future__ import annotations

from typing import Any

from sip_p2p.documents.message_summary import MessageSummary
from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.errors import RequestFailed
from sip_p2p.service.lives.packages import PACKAGES, add_packages
from tests.service.lives.support import LedgerCase


class PackageTests(LedgerCase):
    """A peer watches us."""

    def add(self, *watchers: str) -> None:
        """All of them."""
        self.asked: list[IncomingRequest] = []
        add_packages(self.ours, PACKAGES, watchers, self._ask)

    def _ask(self, request: IncomingRequest) -> Verdict:
        self.asked.append(request)
        return Verdict.pending()

    def watch(self, event: str) -> Any:
        """What becomes of a subscription of theirs: the status, or the subscription."""
        subscribing = self.theirs.subscribe("sip:user@a.example", event)
        self.network.advance(2)
        if isinstance(getattr(subscribing, "result", None), type(None)):
            return None
        found: Any = []
        subscribing.addCallbacks(found.append, lambda failure: found.append(failure.value))
        return found[0].response.status if isinstance(found[0], RequestFailed) else found[0]

    def test_usual(self) -> None:
        """Without a word whoever is verified sees presence and mailboxes, and nobody else sees our sessions."""
        self.add()
        self.assertTrue(self.watch("presence").is_over is False)
        self.assertTrue(self.watch("message-summary").is_over is False)
        self.assertEqual(self.watch("dialog"), 403)

    def test_named(self) -> None:
        """Whose name is given sees all of them; others see none."""
        self.add("b.example")
        self.assertFalse(self.watch("dialog").is_over)
        other = self.network.party("sip:user@c.example")
        subscribing = other.subscribe("sip:user@a.example", "presence")
        self.network.advance(2)
        self.assertEqual(self.failureResultOf(subscribing).value.response.status, 403)

    def test_asked(self) -> None:
        """Where the application is to be asked it is, and says what holds."""
        self.add("ask")
        self.assertTrue(self.watch("presence").is_pending)
        self.assertEqual(len(self.asked), 1)

    def test_verified(self) -> None:
        """Whoever is verified sees our sessions, too, where that is said."""
        self.add("verified")
        self.assertFalse(self.watch("dialog").is_pending)
        self.assertEqual(self.asked, [])


class PublisherTests(LedgerCase):
    """We are the server of a domain: a party of it publishes here, and another one watches."""

    def add(self, *publishers: str) -> None:
        """All packages, and who may publish."""
        add_packages(self.ours, PACKAGES, (), lambda _: Verdict.reject(), publishers)
        self.alice = self.network.party("sip:alice@home.example", listen=(), proxy="a.example")

    def publish(self, event: str = "presence", target: str = "sip:alice@home.example") -> Any:
        """What becomes of Alice's PUBLISH: the status of its refusal, or the publication."""
        document = MessageSummary(True) if event == "message-summary" else Presence.of(target, note="out")
        publishing = self.alice.publish(event, document, target=target)
        self.network.advance(2)
        found: list[Any] = []
        publishing.addCallbacks(found.append, lambda failure: found.append(failure.value))
        return found[0].response.status if isinstance(found[0], RequestFailed) else found[0]

    def test_nobody(self) -> None:
        """Unless it is said PUBLISH is no method of ours (405)."""
        self.add()
        self.assertEqual(self.publish(), 405)

    def test_verified(self) -> None:
        """Whoever has proved his address has it kept here, and who watches him is told, until he takes it back."""
        self.add("verified")
        publication = self.publish()
        watching = self.alice.create_subscription("sip:alice@home.example", "presence")
        told: list[Any] = []
        watching.notification_received.subscribe(lambda notification: told.append(notification.document))
        self.network.run_until(watching.start())
        self.network.advance(2)
        self.assertEqual([note.text for each in told[-1].tuples for note in each.notes], ["out"])
        self.network.run_until(publication.remove())
        self.network.advance(6)
        self.assertIsNone(told[-1])
        self.network.run_until(watching.terminate())

    def test_mailboxes(self) -> None:
        """What waits in a mailbox is published as presence is; what our sessions are nobody else says (489)."""
        self.add("verified")
        self.network.run_until(self.publish("message-summary").remove())
        self.assertEqual(self.publish("dialog"), 489)

    def test_of_others(self) -> None:
        """Nobody publishes for another address than his own, ours included (403)."""
        self.add("verified", "home.example")
        for other in ("sip:bob@home.example", "sip:user@a.example"):
            self.assertEqual(self.publish(target=other), 403)

    def test_named(self) -> None:
        """Where names are given, whoever has none of them is refused."""
        self.add("b.example")
        self.assertEqual(self.publish(), 403)

    def test_named_himself(self) -> None:
        """Who has one of the names may publish for his own address."""
        self.add(".example")
        self.network.run_until(self.publish().remove())
