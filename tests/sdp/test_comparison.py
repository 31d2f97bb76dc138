"""What differs, in words: :mod:`sip_p2p.sdp.comparison`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sdp import Attribute, Connection, SessionDescription, differences, held
from tests.sdp.samples import ALICE_3264, BOB_3264


class DifferenceTests(SynchronousTestCase):
    """Nothing is missed, and the version alone is nothing."""

    def test_the_same(self) -> None:
        """Two descriptions that differ in their version say the same, unless one asks for it (row:K11)."""
        one = SessionDescription.parse(ALICE_3264)
        other = one.replace(origin=one.origin.next())
        self.assertEqual(differences(one, other), [])
        self.assertEqual(differences(one, other, version=True), ["version 2890844526 became 2890844527"])

    def test_each_in_words(self) -> None:
        """Whatever differs is named with its place."""
        one = SessionDescription.parse(ALICE_3264)
        self.assertEqual(differences(one, held(one))[0], "media line 1: a=sendonly is new")
        moved = one.with_media(0, one.media[0].replace(port=9, connection=Connection("192.0.2.9")))
        self.assertEqual(
            differences(one, moved),
            ["media line 1: port: 49170 became 9", "media line 1: connection: nothing became IN IP4 192.0.2.9"],
        )
        shorter = one.replace(media=one.media[:2])
        self.assertEqual(differences(one, shorter), ["media line 3 (video) is gone"])
        self.assertEqual(differences(shorter, one), ["media line 3 (video) is new"])
        turned = one.replace(attributes=[Attribute("a"), Attribute("b")])
        back = one.replace(attributes=[Attribute("b"), Attribute("a")])
        self.assertEqual(len(differences(turned, back)), 1)
        self.assertIn("another session", differences(one, SessionDescription.parse(BOB_3264))[0])
