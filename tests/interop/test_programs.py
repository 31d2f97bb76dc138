"""Programs that tests start are ended whatever they do."""

from __future__ import annotations

from twisted.internet import reactor

from tests.interop.peers.program import Program, until
from tests.support import TestCase


class StopTests(TestCase):
    """Ends that are not in order."""

    async def test_what_was_forked(self) -> None:
        """What a program has forked is ended with it, also where it is gone itself and its pipes are held."""
        program = Program(reactor, ["sh", "-c", "sleep 600 & exit 0"])
        program.start(".")
        await until(reactor, lambda: program.is_reaped, 10.0, "the end of the program")
        self.assertIsNone(program.exit_code)
        await program.stop()
        self.assertIsNotNone(program.exit_code)
