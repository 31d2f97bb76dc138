"""One time for each of many keys: :mod:`sip_p2p.sip.schedule`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.schedule import Schedule

_deeds = st.lists(
    st.tuples(st.sampled_from(["put", "discard", "take"]), st.sampled_from("abc"), st.integers(0, 9)), max_size=60
)


class ScheduleTests(SynchronousTestCase):
    """It is a dictionary of times that knows its earliest."""

    @given(_deeds)
    def test_as_a_dictionary(self, deeds: list[tuple[str, str, int]]) -> None:
        """Whatever is put, moved, discarded and taken, it says what a dictionary searched from end to end would say."""
        schedule: Schedule[str] = Schedule()
        expected: dict[str, float] = {}
        for deed, key, time in deeds:
            if deed == "put":
                schedule.put(key, float(time))
                expected[key] = float(time)
            elif deed == "discard":
                schedule.discard(key)
                expected.pop(key, None)
            else:
                taken = schedule.take(float(time))
                due = min(expected.values(), default=None)
                if due is None or due > time:
                    self.assertIsNone(taken)
                else:
                    self.assertEqual(expected.pop(taken or ""), due)
            self.assertEqual(len(schedule), len(expected))
            self.assertEqual(schedule.next_deadline(), min(expected.values(), default=None))
            self.assertEqual(schedule.due_of(key), expected.get(key))

    def test_what_is_stale_goes(self) -> None:
        """Moving one time for ever takes no memory, and nothing is left of what was cleared."""
        schedule: Schedule[str] = Schedule()
        for turn in range(10_000):
            schedule.put("a", float(turn))
        self.assertLess(schedule.entries, 200)
        schedule.clear()
        self.assertEqual((len(schedule), schedule.entries, schedule.take(1e9)), (0, 0, None))
