"""Two parties on a network in memory."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from sip_p2p import IncomingRequest, RequestFailed
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

__all__ = ["PartyTestCase", "keep"]


def keep(held: list[IncomingRequest]) -> Callable[[IncomingRequest], None]:
    """A handler that adds each request to *held*, to be answered later."""

    def handler(incoming: IncomingRequest) -> None:
        incoming.defer()
        held.append(incoming)

    return handler


class PartyTestCase(SynchronousTestCase):
    """Two parties that trust each other, and nothing left of them afterwards."""

    def setUp(self) -> None:
        """Alice and Bob on one clock."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party("sip:bob@b.example")
        self.addCleanup(self.network.finish)

    def run_until(self, deferred: Deferred) -> object:
        """Let time pass until *deferred* has fired."""
        return self.network.run_until(deferred)

    def status_of(self, deferred: Deferred) -> int:
        """The final status, refusals included."""
        try:
            return self.run_until(deferred).status  # type: ignore[attr-defined]
        except RequestFailed as failure:
            return failure.status
