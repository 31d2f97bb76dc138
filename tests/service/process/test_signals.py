"""Signals of a running service, with a process that is the test's own."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from sip_p2p.service.process.signals import Signals
from tests.support import SynchronousTestCase


class Turns:
    """A reactor of which only the next turn matters."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def callFromThread(self, callable: Any, *args: object, **kwargs: object) -> None:
        """Keep it for the next turn."""
        self.waiting.append(callable)

    def callWhenRunning(self, callable: Any, *args: object, **kwargs: object) -> None:
        """It runs."""
        callable(*args, **kwargs)

    def turn(self) -> None:
        """Do what waits."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()


class SignalTests(SynchronousTestCase):
    """What each signal does, and when."""

    def setUp(self) -> None:
        """Signals that are only counted."""
        self.told: list[str] = []
        self.turns = Turns()
        self.signals = Signals(
            self.turns,
            lambda: self.told.append("reload"),
            lambda: self.told.append("hurry"),
        )
        self.before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)}
        self.addCleanup(self.signals.ended)

    def send(self, number: int) -> None:
        """Send ourselves a signal, and let the reactor turn."""
        os.kill(os.getpid(), number)
        self.turns.turn()

    def test_its_life(self) -> None:
        """row:M15: SIGHUP reloads while the service runs and does nothing while it stops; SIGTERM and SIGINT hurry a
        stop; in the end every signal is handled as before."""
        self.signals.started()
        self.send(signal.SIGHUP)
        self.assertEqual(self.told, ["reload"])
        self.signals.stopping()
        self.send(signal.SIGHUP)
        self.send(signal.SIGTERM)
        self.send(signal.SIGINT)
        self.assertEqual(self.told, ["reload", "hurry", "hurry"])
        self.signals.ended()
        self.assertEqual({number: signal.getsignal(number) for number in self.before}, self.before)

    def test_nothing_is_done_between_two_instructions(self) -> None:
        """row:M15: a handler leaves its work to the reactor's next turn, whatever it interrupts."""
        self.signals.started()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((self.told, len(self.turns.waiting)), ([], 1))

    def test_two_in_one_turn(self) -> None:
        """row:M15: SIGTERM and SIGINT in one turn of the reactor ask for one stop: a reactor begins only one."""
        asked: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.signal(number, lambda number, _: asked.append(number)))
        self.signals.started()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual((asked, self.told), ([signal.SIGTERM], []))
        self.signals.stopping()
        self.send(signal.SIGINT)
        self.assertEqual((asked, self.told), ([signal.SIGTERM], ["hurry"]))

    def test_another_thread(self) -> None:
        """A reactor in another thread than the main one leaves the signals alone."""
        thread = threading.Thread(target=self.signals.started)
        thread.start()
        thread.join()
        self.assertEqual(signal.getsignal(signal.SIGHUP), self.before[signal.SIGHUP])
