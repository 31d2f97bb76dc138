"""A 2xx that waits for its ACK: every pair of a state and an input, and the times of the standard."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.acknowledgement import AckDue, Acknowledgement
from sip_p2p.sip.transaction.timers import Timers
from tests.support import vectors

STATES = ("idle", "waiting", "late")
INPUTS = ("2xx sent", "ACK", "too early", "interval over", "64*T1 over")

TABLE = [
    # state, input, what follows; late is waiting at intervals of T2
    ("idle", "2xx sent", "waiting"),
    ("idle", "ACK", "idle"),
    ("idle", "too early", "idle"),
    ("idle", "interval over", "idle"),
    ("idle", "64*T1 over", "idle"),
    ("waiting", "2xx sent", "waiting"),
    ("waiting", "ACK", "idle acknowledged"),
    ("waiting", "too early", "waiting"),
    ("waiting", "interval over", "waiting >200"),
    ("waiting", "64*T1 over", "idle give-up"),
    ("late", "2xx sent", "waiting"),
    ("late", "ACK", "idle acknowledged"),
    ("late", "too early", "late"),
    ("late", "interval over", "late >200"),
    ("late", "64*T1 over", "idle give-up"),
]

WORDS = {AckDue.REPEAT: " >200", AckDue.GIVE_UP: " give-up", None: ""}


def state_of(machine: Acknowledgement, called: float) -> str:
    """The state by what can be seen: whoever was last called at *called* and waits for T2 is late."""
    if machine.next_deadline is None:
        return "idle"
    return "late" if machine.next_deadline - called >= 4.0 else "waiting"


def run_until(machine: Acknowledgement, end: float) -> list[tuple[float, AckDue]]:
    """Call the machine whenever it asks for it, up to *end*; what it said, and when."""
    said = []
    while (deadline := machine.next_deadline) is not None and deadline <= end:
        what = machine.due(deadline)
        assert what is not None, "it asked to be called and had nothing to say"
        said.append((deadline, what))
    return said


def bring(state: str) -> tuple[Acknowledgement, float]:
    """A machine in *state*, and the time."""
    machine = Acknowledgement(Timers())
    if state == "idle":
        return machine, 100.0
    machine.start(100.0)
    if state == "waiting":
        return machine, 100.0
    run_until(machine, 107.5)
    return machine, 107.5


def apply(machine: Acknowledgement, what: str, now: float) -> str:
    """Give *machine*, which was last called at *now*, the input *what*; the state that follows and what was said."""
    if what == "2xx sent":
        machine.start(now)
        return state_of(machine, now)
    if what == "ACK":
        return "idle acknowledged" if machine.acknowledged() else "idle"
    deadline = machine.next_deadline or now + 1
    when = {"too early": deadline - 0.001, "interval over": deadline, "64*T1 over": 132.0}[what]
    said = machine.due(when)
    return state_of(machine, now if said is None else when) + WORDS[said]


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        self.assertEqual([row[:2] for row in TABLE], [(state, what) for state in STATES for what in INPUTS])

    def test_every_pair(self) -> None:
        """13.3.1.4: each input in each state leads where the table says. row:H34"""
        for state, what, expected in TABLE:
            machine, now = bring(state)
            self.assertEqual(state_of(machine, now), state)
            self.assertEqual(apply(machine, what, now), expected, (state, what))


class TimeTests(SynchronousTestCase):
    """When the 2xx goes again."""

    def test_no_ack(self) -> None:
        """A 2xx that nobody acknowledges is sent at the times of the vectors, and given up after 64*T1. row:H34"""
        vector = vectors("timers")["uas_2xx_no_ack"]
        machine = Acknowledgement(Timers())
        machine.start(0.0)
        said = run_until(machine, 1000.0)
        self.assertEqual([0] + [when for when, what in said if what is AckDue.REPEAT], vector["send_at"])
        self.assertEqual(said[-1], (vector["gives_up"], AckDue.GIVE_UP))
        self.assertFalse(machine.is_waiting)
        self.assertIsNone(machine.due(2000.0))

    def test_called_late(self) -> None:
        """Whoever is called late repeats once and not for every interval that was missed."""
        machine = Acknowledgement(Timers())
        machine.start(0.0)
        self.assertIs(machine.due(10.0), AckDue.REPEAT)
        self.assertIsNone(machine.due(10.5))
        self.assertEqual(machine.next_deadline, 11.0)
        self.assertIs(machine.due(31.9), AckDue.REPEAT)
        self.assertEqual(machine.next_deadline, 32.0)

    def test_second_ack(self) -> None:
        """Only the first ACK of a 2xx tells something; the next 2xx has its own."""
        machine = Acknowledgement(Timers())
        machine.start(0.0)
        self.assertEqual([machine.acknowledged(), machine.acknowledged()], [True, False])
        machine.start(50.0)
        self.assertEqual(machine.next_deadline, 50.5)
        self.assertTrue(machine.acknowledged())

    def test_other_timers(self) -> None:
        """T1 and T2 are those of the transactions, whatever they are."""
        machine = Acknowledgement(Timers(t1=0.1, t2=0.3))
        machine.start(0.0)
        times = [round(when, 6) for when, _ in run_until(machine, 100.0)]
        self.assertEqual(times[:4], [0.1, 0.3, 0.6, 0.9])
        self.assertEqual(times[-1], 6.4)
