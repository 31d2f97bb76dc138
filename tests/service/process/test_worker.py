"""One of several workers: what it is told, and what it tells."""

from __future__ import annotations

import os

from twisted.internet.error import ReactorNotRunning

from sip_p2p.service.process.worker import Orders, PipeMessenger, Seat, leave_seat, take_seat, this_seat
from tests.support import SynchronousTestCase


class Turns:
    """A reactor that is only told whom to listen to, and that it should stop."""

    def __init__(self) -> None:
        self.readers: list[object] = []
        self.stops = 0
        self.is_running = True

    def addReader(self, reader: object) -> None:
        """Listen to it."""
        self.readers.append(reader)

    def removeReader(self, reader: object) -> None:
        """Do not listen to it any more."""
        if reader in self.readers:
            self.readers.remove(reader)

    def stop(self) -> None:
        """Stop, once."""
        if not self.is_running:
            raise ReactorNotRunning
        self.is_running = False
        self.stops += 1


class SeatTests(SynchronousTestCase):
    """What makes a process a worker."""

    def test_its_text(self) -> None:
        """A seat comes out of the environment as it went in."""
        seat = Seat.parse(Seat(2, 3, ("tls:systemd=own-0",), 5, True).text())
        self.assertEqual(
            (seat.number, seat.of, seat.listen, seat.words, seat.is_daemon), (2, 3, ("tls:systemd=own-0",), 5, True)
        )

    def test_taking_it(self) -> None:
        """A process has one seat, or none."""
        self.assertIsNone(this_seat())
        seat = Seat(1, 2, (), 3, False)
        take_seat(seat)
        self.addCleanup(leave_seat)
        self.assertIs(this_seat(), seat)
        leave_seat()
        self.assertIsNone(this_seat())


class PipeTests(SynchronousTestCase):
    """Words to the parent."""

    def setUp(self) -> None:
        """A pipe with both ends here."""
        self.parent, descriptor = os.pipe()
        self.addCleanup(os.close, self.parent)
        self.messenger = PipeMessenger(descriptor)
        self.addCleanup(self.messenger.close)

    def test_messages(self) -> None:
        """Each message ends with an empty line, and none can be put into another."""
        self.assertTrue(self.messenger.tell(READY=1, STATUS="a\n\nREADY=0"))
        self.messenger.tell(WATCHDOG=1)
        self.assertEqual(os.read(self.parent, 4096), b"READY=1\nSTATUS=a\\n\\nREADY=0\n\nWATCHDOG=1\n\n")

    def test_a_parent_that_does_not_read(self) -> None:
        """A parent that is busy delays no worker; what does not fit is lost as a whole."""
        os.set_blocking(self.parent, False)
        told = [self.messenger.tell(STATUS="x" * 90) for _ in range(1000)]
        self.assertIn(False, told)
        self.assertEqual(os.read(self.parent, 1 << 20).count(b"\n\n"), told.count(True))


class OrderTests(SynchronousTestCase):
    """What the parent says."""

    def setUp(self) -> None:
        """A worker that only counts what it is told."""
        descriptor, self.parent = os.pipe()
        self.addCleanup(os.close, descriptor)
        self.reactor = Turns()
        self.told: list[str] = []
        self.orders = Orders(
            self.reactor, descriptor, lambda: self.told.append("reload"), lambda: self.told.append("hurry")
        )
        self.orders.started()

    def say(self, text: bytes) -> None:
        """Have the parent say *text*."""
        os.write(self.parent, text)
        self.orders.doRead()

    def test_orders(self) -> None:
        """row:M15: reload, stop and hurry are followed, whatever pieces they come in; what is none of them is
        nothing."""
        self.addCleanup(os.close, self.parent)
        self.say(b"reload\nrel")
        self.say(b"oad\nwhat\n\n")
        self.assertEqual((self.told, self.reactor.stops), (["reload", "reload"], 0))
        self.say(b"stop\nhurry\nreload\n")
        self.assertEqual((self.told, self.reactor.stops), (["reload", "reload", "hurry"], 1))

    def test_two_masters(self) -> None:
        """row:M15: a stop that a signal has begun already is not asked for again by the parent."""
        self.addCleanup(os.close, self.parent)
        self.orders.stopping()
        self.say(b"stop\n")
        self.assertEqual((self.reactor.stops, self.told), (0, []))

    def test_a_stop_in_the_same_turn(self) -> None:
        """row:M15: a signal that was quicker in the same turn does no harm."""
        self.addCleanup(os.close, self.parent)
        self.reactor.stop()
        self.say(b"stop\n")
        self.assertEqual(self.reactor.stops, 1)

    def test_without_end(self) -> None:
        """An order without an end is not kept."""
        self.addCleanup(os.close, self.parent)
        for _ in range(100):
            self.say(b"x" * 4096)
        self.say(b"\nreload\n")
        self.assertEqual(self.told, ["reload"])

    def test_an_orphan(self) -> None:
        """A worker whose parent is gone stops as politely as if it were told to."""
        os.close(self.parent)
        self.orders.doRead()
        self.assertEqual((self.reactor.stops, self.reactor.readers), (1, []))

    def test_nothing_yet(self) -> None:
        """A reactor that asks for nothing gets nothing."""
        self.addCleanup(os.close, self.parent)
        self.orders.doRead()
        self.assertEqual((self.told, self.orders.logPrefix()), ([], "orders"))
        self.orders.ended()
        self.assertEqual(self.reactor.readers, [])
