"""The leak-checking cases notice what they are meant to notice."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.reporter import TestResult

from tests import support


def _errors_of(case_class: type, name: str = "test_it") -> str:
    """Run one method of a case and give back the text of its errors."""
    result = TestResult()
    case_class(name).run(result)
    return "\n".join(failure.getErrorMessage() for _, failure in result.errors + result.failures)


class LeakTests(support.SynchronousTestCase):
    """:class:`tests.support.SynchronousTestCase` and :class:`tests.support.TestCase`."""

    def test_synchronous_descriptor(self) -> None:
        """A descriptor that a synchronous test leaves open is named."""
        opened: list[int] = []

        class Leaks(support.SynchronousTestCase):
            def test_it(self) -> None:
                opened.append(os.open("/proc/self/status", os.O_RDONLY))

        message = _errors_of(Leaks)
        os.close(opened[0])
        self.assertIn("/status", message)

    def test_socket(self) -> None:
        """A socket outside the reactor that a test leaves open is named."""
        opened: list[socket.socket] = []

        class Leaks(support.TestCase):
            def test_it(self) -> None:
                opened.append(socket.socket())

        message = _errors_of(Leaks)
        opened[0].close()
        self.assertIn("socket:", message)

    def test_clean(self) -> None:
        """A test that closes what it opened passes."""

        class Clean(support.SynchronousTestCase):
            def test_it(self) -> None:
                socket.socket().close()

        self.assertEqual(_errors_of(Clean), "")


class ReactorTests(support.TestCase):
    """What a test with the reactor must do to end clean; :class:`tests.support.TestCase` runs these itself."""

    async def test_waits_for_closing(self) -> None:
        """A connection that is being closed when the test ends has the time to go."""
        port = support.reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(client.close)
        await deferLater(support.reactor, 0)


class MemoryTests(support.MemoryTestCase):
    """:class:`tests.support.MemoryTestCase`."""

    def test_growth(self) -> None:
        """An action that keeps an object per call is caught, one that keeps none is not."""
        kept: list[Any] = []
        self.assertRaises(self.failureException, self.assert_no_growth, lambda: kept.append(object()))
        self.assert_no_growth(lambda: [object()])

    def test_cycles(self) -> None:
        """Objects in a reference cycle are found and named; the collector is left as it was."""

        class Knot:
            def __init__(self) -> None:
                self.self = self

        error = self.assertRaises(self.failureException, self.assert_no_cycles, Knot)
        self.assertIn("Knot", str(error))
        self.assert_no_cycles(object)

    def test_alive(self) -> None:
        """What is still referred to is found, what is not is not."""

        class Thing:
            pass

        thing: Thing | None = Thing()
        self.assertRaises(self.failureException, self.assert_none_alive, Thing)
        del thing
        self.assert_none_alive(Thing)
