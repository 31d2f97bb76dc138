"""Deadlines of one length: what expires, when, and in which order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.transport.deadlines import Deadlines


class DeadlinesTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.deadlines.Deadlines`."""

    def setUp(self) -> None:
        self.expired: list[str] = []
        self.deadlines: Deadlines[str] = Deadlines(10.0, self.expired.append)

    def test_order(self) -> None:
        """What was begun first expires first, each at its own time and once."""
        self.deadlines.start("a", 0.0)
        self.deadlines.start("b", 1.0)
        self.assertEqual((len(self.deadlines), self.deadlines.next_deadline()), (2, 10.0))
        self.deadlines.handle_timer(9.999)
        self.assertEqual(self.expired, [])
        self.deadlines.handle_timer(10.0)
        self.assertEqual((self.expired, self.deadlines.next_deadline()), (["a"], 11.0))
        self.deadlines.handle_timer(100.0)
        self.assertEqual((self.expired, self.deadlines.next_deadline(), len(self.deadlines)), (["a", "b"], None, 0))

    def test_begun_again(self) -> None:
        """A deadline that is begun again counts from then, and no other is late for it."""
        self.deadlines.start("a", 0.0)
        self.deadlines.start("b", 1.0)
        self.deadlines.start("a", 5.0)
        self.assertEqual(self.deadlines.next_deadline(), 11.0)
        self.deadlines.handle_timer(11.0)
        self.assertEqual(self.expired, ["b"])
        self.deadlines.handle_timer(15.0)
        self.assertEqual(self.expired, ["b", "a"])

    def test_lengths(self) -> None:
        """Entries may have lengths of their own, and all of them expire in the order of their times (row:E10)."""
        self.deadlines.start("old", 0.0)
        self.deadlines.duration = 2.0
        self.deadlines.start("new", 1.0)
        self.deadlines.start("own", 1.0, 4.0)
        self.deadlines.start("none", 1.0, 0.0)
        self.assertEqual((len(self.deadlines), self.deadlines.next_deadline()), (3, 3.0))
        self.assertTrue(self.deadlines.is_running("own"))
        self.deadlines.stop("own")
        self.deadlines.start("own", 1.0, 4.0)
        self.deadlines.handle_timer(9.0)
        self.assertEqual((self.expired, self.deadlines.next_deadline()), (["new", "own"], 10.0))
        self.deadlines.handle_timer(10.0)
        self.assertEqual((self.expired[2:], len(self.deadlines)), (["old"], 0))

    def test_stopped(self) -> None:
        """A deadline that was stopped does not expire; stopping one that is not there is harmless."""
        self.deadlines.start("a", 0.0)
        self.assertTrue(self.deadlines.is_running("a"))
        self.deadlines.stop("a")
        self.deadlines.stop("a")
        self.assertFalse(self.deadlines.is_running("a"))
        self.deadlines.handle_timer(100.0)
        self.assertEqual((self.expired, self.deadlines.next_deadline()), ([], None))

    def test_switched_off(self) -> None:
        """A duration of 0 switches the deadline off (row:E8)."""
        off: Deadlines[str] = Deadlines(0.0, self.expired.append)
        off.start("a", 0.0)
        off.handle_timer(1e9)
        self.assertEqual((self.expired, off.next_deadline(), off.is_running("a")), ([], None, False))

    def test_changed_while_it_expires(self) -> None:
        """What expires may begin itself again, and stop what is due in the same instant."""

        def expire(key: str) -> None:
            self.expired.append(key)
            deadlines.start(key, 10.0)
            deadlines.stop("b")

        deadlines: Deadlines[str] = Deadlines(10.0, expire)
        deadlines.start("a", 0.0)
        deadlines.start("b", 0.0)
        deadlines.handle_timer(10.0)
        self.assertEqual((self.expired, deadlines.next_deadline()), (["a"], 20.0))

    @given(st.lists(st.tuples(st.sampled_from(["start", "stop", "time"]), st.integers(0, 4), st.integers(0, 7))))
    @settings(max_examples=200, deadline=None)
    def test_any_order(self, steps: list[tuple[str, int, int]]) -> None:
        """Whatever is begun, stopped and waited for, exactly what is due expires, and the earliest is known."""
        expired: list[int] = []
        deadlines: Deadlines[int] = Deadlines(10.0, expired.append)
        due: dict[int, float] = {}
        now = 0.0
        for step, key, passed in steps:
            now += passed
            if step == "start":
                deadlines.start(key, now)
                due[key] = now + 10.0
            elif step == "stop":
                deadlines.stop(key)
                due.pop(key, None)
            else:
                deadlines.handle_timer(now)
                late = [each for each in due if due[each] <= now]
                self.assertEqual(sorted(expired), sorted(late))
                self.assertEqual([due[each] for each in expired], sorted(due.pop(each) for each in late))
                expired.clear()
            self.assertEqual(deadlines.next_deadline(), min(due.values(), default=None))
            self.assertEqual({each for each in range(5) if deadlines.is_running(each)}, set(due))
