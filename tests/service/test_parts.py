"""What stands beside the party lives as long as the service, and not longer."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sip_p2p.service.applications import Application
from sip_p2p.service.assembly import make
from sip_p2p.service.parts import Part
from sip_p2p.service.service import SipService, StartFailed
from sip_p2p.service.settings.options import Options
from tests.support import SynchronousTestCase


class Diary(Part):
    """Writes down what it is asked to do."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name = name
        self.said = said

    def listen(self) -> Deferred[None] | None:
        """Write it down."""
        self.said.append(f"{self.name} listens")
        return None

    def started(self) -> None:
        """Write it down."""
        self.said.append(f"{self.name} started")

    def reload(self) -> list[str]:
        """Write it down."""
        self.said.append(f"{self.name} reloads")
        return [f"{self.name} has changed"]

    def stopping(self) -> None:
        """Write it down."""
        self.said.append(f"{self.name} is stopping")

    def ended(self) -> Deferred[None] | None:
        """Write it down."""
        self.said.append(f"{self.name} ended")
        return None


class Broken(Part):
    """Cannot listen."""

    def listen(self) -> Deferred[None] | None:
        """Refuse."""
        raise ValueError("the port is taken")


def service() -> SipService:
    """A service in clear text that listens nowhere."""
    options = Options()
    options.parseOptions(["--uri", "sip:bob@b.example", "--proxy", "tcp:127.0.0.1:9"])
    made = make(Clock(), options)
    made.application = Application()
    return made


class LifeTests(SynchronousTestCase):
    """Parts are told of every step of the service's life."""

    def test_a_whole_life(self) -> None:
        """Parts listen and start in the order in which they were added, and end the other way round."""
        said: list[str] = []
        running = service()
        running.add_part(Diary("one", said))
        running.add_part(Diary("two", said))
        running.startService()
        running.reload()
        self.successResultOf(running.stopService())
        self.assertEqual(
            said,
            "one listens, two listens, one started, two started, one reloads, two reloads, one is stopping, "
            "two is stopping, two ended, one ended".split(", "),
        )

    def test_one_that_cannot_listen(self) -> None:
        """A part that cannot have what it needs is a service that does not start, in one line."""
        running = service()
        running.add_part(Broken())
        failure = self.assertRaises(StartFailed, running.startService)
        self.assertEqual(str(failure), "sip-p2p: the port is taken")

    def test_one_that_does_not_end(self) -> None:
        """A part that fails at its end is told of in the log, and the service ends all the same."""

        class NeverEnds(Part):
            def ended(self) -> Deferred[None] | None:
                raise RuntimeError("no")

        running = service()
        running.add_part(NeverEnds())
        running.startService()
        self.successResultOf(running.stopService())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
