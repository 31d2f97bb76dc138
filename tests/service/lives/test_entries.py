"""What is said of each kind."""

from __future__ import annotations

from sip_p2p.errors import OperationTimeout
from sip_p2p.service.lives.entries import failure_of, said_to_be
from tests.support import SynchronousTestCase


class EntryTests(SynchronousTestCase):
    """The pieces."""

    def test_passwords(self) -> None:
        """row:M11: addresses have lost their passwords, and what is not printable in them."""
        self.assertEqual(said_to_be("sip:user:hunter2@a.example"), "sip:user:***@a.example")
        self.assertNotIn("\n", said_to_be("sip:a\n@b"))

    def test_failure(self) -> None:
        """A failure is said in words, and nothing is where nothing went wrong."""
        self.assertEqual(failure_of(None), {})
        said = failure_of(OperationTimeout("nobody answers"))["failure"]
        self.assertEqual(set(said), {"error", "words", "remedy"})  # type: ignore[arg-type]
