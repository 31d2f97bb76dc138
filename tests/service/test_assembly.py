"""A service put together from its options."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.python import usage

from sip_p2p.service.assembly import make
from sip_p2p.service.settings.options import Options
from tests.support import SynchronousTestCase


class AssemblyTests(SynchronousTestCase):
    """What is opened on the way to a service that cannot be made is closed again."""

    def test_a_party_that_cannot_be_made(self) -> None:
        """Where the options make no party, the trace that was begun is closed (the case looks at descriptors)."""
        options = Options()
        trace = Path(self.mktemp())
        options.parseOptions(["--uri", "sip:bob@b.example", "--listen", "tls:port=0", "--trace", str(trace)])
        error = self.assertRaises(usage.UsageError, make, Clock(), options)
        self.assertIn("--certificate is missing", str(error))
        self.assertTrue(trace.exists())
