"""Events: who is told, in which order, and what a handler can do to the others."""

from __future__ import annotations

import gc

from twisted.internet.defer import Deferred, fail

from sip_p2p import EndpointState, StateChanged, StateReason
from sip_p2p.endpoint.events import Event
from tests.support import SynchronousTestCase


class EventTests(SynchronousTestCase):
    """Rows B2 and B11, and what handlers do wrong."""

    def setUp(self) -> None:
        """An event, and what was heard of it."""
        self.event: Event[str] = Event()
        self.heard: list[str] = []

    def listen(self, name: str) -> object:
        """Subscribe under a name."""
        return self.event.subscribe(lambda event: self.heard.append(f"{name}: {event}"))

    def test_order(self) -> None:
        """Handlers are told in the order in which they subscribed, each once (row:B2, row:B11)."""
        for name in ("one", "two", "three"):
            self.listen(name)
        self.event.tell("x")
        self.assertEqual(self.heard, ["one: x", "two: x", "three: x"])

    def test_decorator(self) -> None:
        """subscribe gives the handler back, so that it can stand above a function (row:B2)."""

        @self.event.subscribe
        def handler(event: str) -> None:
            self.heard.append(event)

        self.event.tell("x")
        self.event.unsubscribe(handler)
        self.event.tell("y")
        self.assertEqual(self.heard, ["x"])

    def test_what_cannot_subscribe(self) -> None:
        """What cannot be called is a TypeError, and a second subscription of one handler a ValueError (row:M4)."""
        with self.assertRaises(TypeError):
            self.event.subscribe("no function")  # type: ignore[type-var]
        self.event.subscribe(self.heard.append)
        with self.assertRaises(ValueError):
            self.event.subscribe(self.heard.append)
        self.event.tell("x")
        self.assertEqual(self.heard, ["x"])

    def test_many(self) -> None:
        """A hundred thousand may subscribe, are told in their order, and may go again (fault:K8)."""
        told: list[int] = []
        handlers = [self.event.subscribe(lambda event, number=number: told.append(number)) for number in range(100_000)]
        self.event.tell("x")
        self.assertEqual(told, list(range(100_000)))
        for handler in handlers[1:]:
            self.event.unsubscribe(handler)
        self.assertEqual(self.event.handlers, (handlers[0],))

    def test_handlers_without_a_hash(self) -> None:
        """What can be called can subscribe, though it be no key of a dictionary (row:B2)."""

        class Odd(list):
            def __call__(self, event: str) -> None:
                self.append(event)

        first, second = Odd(), Odd()
        self.event.subscribe(first)
        self.event.subscribe(second)
        with self.assertRaises(ValueError):
            self.event.subscribe(first)
        self.event.tell("x")
        self.event.unsubscribe(first)
        self.event.tell("y")
        self.assertEqual((first, second), (["x"], ["x", "y"]))

    def test_unsubscribing_a_stranger(self) -> None:
        """Taking out a handler that never subscribed does nothing."""
        self.event.unsubscribe(self.heard.append)
        self.assertFalse(self.event)

    def test_a_handler_that_raises(self) -> None:
        """Whatever a handler raises is logged with its traceback, and keeps nobody else from being told (fault:K1,
        row:B10)."""
        for error in (ValueError, SystemExit, GeneratorExit):

            def broken(event: str, error: type[BaseException] = error) -> None:
                raise error(event)

            self.event.subscribe(broken)
        self.listen("last")
        self.event.tell("x")
        self.assertEqual(self.heard, ["last: x"])
        logged = self.flushLoggedErrors(ValueError, SystemExit, GeneratorExit)
        self.assertEqual([str(failure.value) for failure in logged], ["x", "x", "x"])
        self.assertIn("broken", logged[0].getTraceback())

    def test_interrupt_passes(self) -> None:
        """Control-C in a handler is the program's to deal with."""

        def interrupted(event: str) -> None:
            raise KeyboardInterrupt

        self.event.subscribe(interrupted)
        with self.assertRaises(KeyboardInterrupt):
            self.event.tell("x")

    def test_coroutines(self) -> None:
        """A handler may be a coroutine: it runs, and what it raises is logged (row:M5, fault:K1)."""
        gate: Deferred[None] = Deferred()

        async def later(event: str) -> None:
            await gate
            self.heard.append(event)
            raise ValueError(event)

        self.event.subscribe(later)
        self.listen("next")
        self.event.tell("x")
        self.assertEqual(self.heard, ["next: x"])
        gate.callback(None)
        self.assertEqual(self.heard, ["next: x", "x"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_deferred_that_fails(self) -> None:
        """A Deferred that a handler returns is its own business; when it fails and nobody looks, Twisted reports it
        (fault:K9)."""
        self.event.subscribe(lambda event: fail(ValueError(event)))
        self.event.tell("x")
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_changes_count_from_the_next_event(self) -> None:
        """Who comes or goes while an event is told is told, or not told, from the next one on (fault:K6)."""

        def replaces_itself(event: str) -> None:
            self.heard.append(f"first: {event}")
            self.event.unsubscribe(replaces_itself)
            self.event.unsubscribe(second)
            self.listen("new")

        def second(event: str) -> None:
            self.heard.append(f"second: {event}")

        self.event.subscribe(replaces_itself)
        self.event.subscribe(second)
        self.event.tell("x")
        self.assertEqual(self.heard, ["first: x", "second: x"])
        self.event.tell("y")
        self.assertEqual(self.heard[2:], ["new: y"])

    def test_telling_within_telling(self) -> None:
        """A handler may cause the next event: it is told at once, to everybody (fault:K5)."""

        def echo(event: str) -> None:
            self.heard.append(event)
            if event == "x":
                self.event.tell("y")

        self.event.subscribe(echo)
        self.listen("last")
        self.event.tell("x")
        self.assertEqual(self.heard, ["x", "y", "last: y", "last: x"])

    def test_first_and_last(self) -> None:
        """The owner is told when the first handler comes and when the last one goes, and only then."""
        changes: list[bool] = []
        event: Event[str] = Event(lambda: changes.append(bool(event)))
        event.subscribe(self.heard.append)
        event.subscribe(other := self.heard.extend)
        event.unsubscribe(self.heard.append)
        event.unsubscribe(self.heard.append)
        event.unsubscribe(other)
        event.subscribe(other)
        self.assertEqual(changes, [True, False, True])

    def test_snapshot(self) -> None:
        """The handlers that were read do not change afterwards (row:M7)."""
        self.listen("one")
        handlers = self.event.handlers
        self.listen("two")
        self.assertEqual((len(handlers), len(self.event.handlers), bool(self.event)), (1, 2, True))


class StateChangedTests(SynchronousTestCase):
    """The one event that has a class of its own."""

    def test_words(self) -> None:
        """A change of state says from where, to where and why (row:B2, row:B3)."""
        change = StateChanged(EndpointState.CONNECTING, EndpointState.DISCONNECTED, StateReason.UNABLE_TO_LISTEN)
        self.assertEqual(repr(change), "<StateChanged connecting -> disconnected: unable_to_listen>")
        with self.assertRaises(AttributeError):
            change.when = 1  # type: ignore[attr-defined]

    def test_names(self) -> None:
        """States and reasons have the original's names in small letters (row:B1, row:B3)."""
        self.assertEqual(
            [state.value for state in EndpointState], ["connecting", "connected", "disconnecting", "disconnected"]
        )
        self.assertEqual(
            {reason.value for reason in StateReason},
            {
                "listening",
                "stopped_listening",
                "no_listening_addresses",
                "unable_to_listen",
                "terminated_locally",
            },
        )
        for member in (*EndpointState, *StateReason):
            self.assertEqual(member.value, member.name.lower())
