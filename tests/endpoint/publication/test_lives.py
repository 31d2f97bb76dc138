"""Whole lives of publications, in which anything may happen: publisher and compositor agree in the end."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import EventStateCompositor, InvalidOperation, PresencePackage, Publication
from sip_p2p.documents.pidf import Presence
from sip_p2p.testing import Network

RESOURCE = "sip:alice@s.example"
STEPS = ("publish", "modify", "refresh", "remove", "forget", "wait", "cut", "pass")


class Life:
    """Alice, a server that may forget everything, and what she has published there."""

    def __init__(self) -> None:
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.server = self.network.party("sip:server@s.example", catch_all=True)
        self.package = PresencePackage()
        self.compositor = self.new_compositor()
        self.publications: list[Publication] = []
        self.serial = 0

    def new_compositor(self) -> EventStateCompositor:
        """One that knows nothing."""
        return EventStateCompositor(self.server, [self.package], may_publish=lambda request, resource: True)

    def document(self) -> Presence:
        """Another one each time."""
        self.serial += 1
        return Presence.of(RESOURCE, note=str(self.serial))

    def step(self, what: str) -> None:
        """Something happens."""
        last = self.publications[-1] if self.publications else None
        if what == "publish":
            publishing = self.alice.publish("presence", self.document(), target=RESOURCE, expires=120)
            publishing.addCallbacks(self.publications.append, lambda failure: None)
        elif what == "forget":
            self.compositor.close()
            self.compositor = self.new_compositor()
        elif what == "wait":
            self.network.advance(100)
        elif what == "cut":
            self.network.cut("a.example", "s.example")
        elif what == "pass":
            self.network.advance(0.015)
        elif last is not None:
            try:
                self.ask(last, what).addErrback(lambda failure: None)
            except InvalidOperation:
                return

    def ask(self, publication: Publication, what: str) -> Any:
        """The application wants something of *publication*."""
        if what == "modify":
            return publication.modify(self.document())
        return publication.refresh() if what == "refresh" else publication.remove()


class LivesTests(SynchronousTestCase):
    """Random lives."""

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.sampled_from(STEPS), max_size=14))
    def test_they_agree(self, steps: list[str]) -> None:
        """Whatever happens, the compositor in the end has what its publisher says, and nothing else; and nothing is
        left of either (row:J11)."""
        life = Life()
        for what in steps:
            life.step(what)
        life.network.advance(400)
        standing = {each.etag for each in life.publications if not each.is_over}
        self.assertEqual({each.etag for each in life.compositor.publications(life.package, RESOURCE)}, standing)
        life.network.run_until(life.alice.terminate())
        life.network.advance(1)
        self.assertEqual(len(life.compositor), 0)
        counts = life.alice.connection_manager.inventory()
        self.assertEqual((counts["publications"], counts["errands"]), (0, 0))
        life.compositor.close()
        life.network.finish()
