"""One time for each of many: :mod:`sip_p2p.sip.dialog.appointments`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.appointments import Appointments


class Diary:
    """Who writes down when it was called, and comes again if told to."""

    def __init__(self, appointments: Appointments, again: float | None = None) -> None:
        self.appointments = appointments
        self.again = again
        self.called: list[float] = []

    def handle_timer(self, now: float) -> None:
        """Note the time."""
        self.called.append(now)
        if self.again is not None:
            self.appointments.set(self, now + self.again)


class AppointmentTests(SynchronousTestCase):
    """Each is called once for each appointment, in the order of the times."""

    def test_the_earliest_first(self) -> None:
        """What is due is called in the order of the times, and what is not due is not called."""
        appointments = Appointments()
        late, early, never = Diary(appointments), Diary(appointments), Diary(appointments)
        appointments.set(late, 5.0)
        appointments.set(early, 2.0)
        appointments.set(never, 9.0)
        self.assertEqual(appointments.next_deadline(), 2.0)
        appointments.handle_timer(5.0)
        self.assertEqual((late.called, early.called, never.called), ([5.0], [5.0], []))
        self.assertEqual((len(appointments), appointments.next_deadline()), (1, 9.0))

    def test_a_moved_one_counts_once(self) -> None:
        """An appointment that is moved is kept at its new time alone, and one that is cancelled is not kept."""
        appointments = Appointments()
        one, other = Diary(appointments), Diary(appointments)
        appointments.set(one, 1.0)
        appointments.set(one, 3.0)
        appointments.set(other, 2.0)
        appointments.set(other, None)
        self.assertEqual((appointments.due_of(one), appointments.due_of(other)), (3.0, None))
        appointments.handle_timer(2.5)
        self.assertEqual(one.called, [])
        appointments.handle_timer(3.0)
        self.assertEqual((one.called, other.called, appointments.next_deadline()), ([3.0], [], None))

    def test_the_called_may_come_again(self) -> None:
        """Whoever is called can make its next appointment then."""
        appointments = Appointments()
        one = Diary(appointments, again=1.0)
        appointments.set(one, 1.0)
        for now in (1.0, 1.5, 2.0):
            appointments.handle_timer(now)
        self.assertEqual((one.called, appointments.due_of(one)), ([1.0, 2.0], 3.0))
