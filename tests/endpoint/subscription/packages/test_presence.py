"""The presence package, told and composed (RFC 3856)."""

from __future__ import annotations

from sip_p2p import PresencePackage
from sip_p2p.documents.pidf import Device, Note, Person, Presence, Tuple
from tests.endpoint.subscription.packages.watching import WatchingTestCase

ALICE = "sip:alice@a.example"


class PresenceTests(WatchingTestCase):
    """Presence without a server."""

    def test_told(self) -> None:
        """Whoever watches is told what there is, and each change of it (row:J12)."""
        package = PresencePackage()
        self.alice.packages.add(package)
        package.set(ALICE, Presence.of(ALICE, note="here"))
        seen = self.watch("presence")
        package.set(ALICE, Presence.of(ALICE, False))
        self.network.advance(6)
        package.set(ALICE, Presence.of(ALICE, False))
        self.network.advance(6)
        self.assertEqual(self.documents(seen), [Presence.of(ALICE, note="here"), Presence.of(ALICE, False)])

    def test_rate(self) -> None:
        """Changes are told every five seconds at most, and of several the last one (RFC 3856 section 6.10)."""
        package = PresencePackage()
        self.alice.packages.add(package)
        seen = self.watch("presence")
        for number in range(5):
            package.set(ALICE, Presence.of(ALICE, note=str(number)))
            self.network.advance(1)
        self.network.advance(5)
        notes = [None if each is None else each.tuples[0].notes[0].text for each in self.documents(seen)]
        self.assertEqual((notes[0], notes[-1]), (None, "4"))
        self.assertLessEqual(len(notes), 3)

    def test_composed(self) -> None:
        """What several say of one presentity is put together, with ids that differ (RFC 4479)."""
        package = PresencePackage()
        parts = [
            Presence(
                ALICE,
                (Tuple("t", "open", contact=f"sip:alice@{name}"),),
                (Person("p", (name,)),),
                (Device("d", f"urn:device:{name}"),),
                (Note(name),),
            )
            for name in ("desk", "phone", "car")
        ]
        whole = package.compose(ALICE, parts[0], parts[1:])
        assert whole is not None
        self.assertEqual([part.id for part in whole.tuples], ["t", "t-2", "t-3"])
        self.assertEqual(
            [part.contact for part in whole.tuples], [f"sip:alice@{name}" for name in ("desk", "phone", "car")]
        )
        self.assertEqual(whole.activities, ("desk", "phone", "car"))
        self.assertEqual([part.id for part in whole.devices], ["d", "d-2", "d-3"])
        self.assertEqual([note.text for note in whole.notes], ["desk", "phone", "car"])
        self.assertEqual(Presence.parse(whole.to_bytes()), whole)
        self.assertIsNone(package.compose(ALICE, None, ()))
        self.assertIs(package.compose(ALICE, None, parts[:1]), parts[0])
