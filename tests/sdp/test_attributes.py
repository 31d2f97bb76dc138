"""Attributes and directions: :mod:`sip_p2p.sdp.attributes`."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sdp.attributes import Attribute, Direction, direction_of, value_of, values_of, with_direction

BOTH, SEND, RECV, NONE = Direction.SENDRECV, Direction.SENDONLY, Direction.RECVONLY, Direction.INACTIVE


class DirectionTests(SynchronousTestCase):
    """Four directions, and what follows from two of them."""

    def test_reversed(self) -> None:
        """What one side sends the other receives (RFC 3264 section 6.1)."""
        self.assertEqual([each.reversed for each in (BOTH, SEND, RECV, NONE)], [BOTH, RECV, SEND, NONE])

    def test_within(self) -> None:
        """What two directions have in common is neither more than the one nor more than the other."""
        for one, other in product(Direction, repeat=2):
            with self.subTest(one=one, other=other):
                both = one.within(other)
                self.assertEqual(
                    (both.sends, both.receives), (one.sends and other.sends, one.receives and other.receives)
                )


class AttributeTests(SynchronousTestCase):
    """Flags and values."""

    def test_read(self) -> None:
        """What has a colon has a value, in which further colons may stand."""
        self.assertEqual(Attribute.read("sendrecv"), Attribute("sendrecv"))
        self.assertEqual(Attribute.read("x:a:b"), Attribute("x", "a:b"))

    def test_looked_up(self) -> None:
        """The first value, all values, and the direction are found."""
        attributes = [Attribute("x", "1"), Attribute("sendonly"), Attribute("x", "2"), Attribute("inactive", "no")]
        self.assertEqual((value_of(attributes, "x"), values_of(attributes, "x")), ("1", ["1", "2"]))
        self.assertEqual((value_of(attributes, "sendonly"), value_of(attributes, "y")), ("", None))
        self.assertIs(direction_of(attributes), SEND)
        self.assertIsNone(direction_of([]))

    def test_one_direction(self) -> None:
        """A direction takes the place of another one."""
        attributes = with_direction([Attribute("sendonly"), Attribute("x")], RECV)
        self.assertEqual(attributes, [Attribute("x"), Attribute("recvonly")])
        self.assertEqual(with_direction(attributes, None), [Attribute("x")])
