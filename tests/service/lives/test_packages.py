"""The packages of ``--package``, and who may watch."""

from __future__ import annotations

from typing import Any

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
