"""A service put together from its options."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.python import usage

from sip_p2p.service.assembly import make
from sip_p2p.service.http.server import ControlServer
from sip_p2p.service.settings.options import Options
from tests.service.webhook.support import SECRET_LINE
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

    def test_the_figures_of_a_webhook(self) -> None:
        """row:M10: what has become of a webhook's deliveries is among the service's figures."""
        secrets = Path(self.mktemp())
        secrets.write_text(SECRET_LINE)
        options = Options()
        options.parseOptions(
            "--uri sip:bob@b.example --listen tcp:0 --http 0 --application webhook --webhook http://127.0.0.1:9/"
            f" --webhook-secret-file {secrets}".split()
        )
        service = make(Clock(), options)
        (control,) = [part for part in service.parts if isinstance(part, ControlServer)]
        self.assertIn(b"sip_p2p_webhook_left_alone 0.0", control.instruments.collector.render())
        self.assertEqual(control.instruments.further["webhook"]()["left_alone"], 0)

    def test_what_peers_may_publish(self) -> None:
        """PUBLISH is a method of a service where --publishers says who may, and of no other."""
        for more, is_one in ((), False), (("--publishers", "verified"), True):
            options = Options()
            options.parseOptions(["--uri", "sip:bob@b.example", "--listen", "tcp:0", "--package", "presence", *more])
            service = make(Clock(), options)
            self.addCleanup(service.manager.terminate)
            self.assertEqual(service.endpoint.profile.allows("PUBLISH"), is_one)

    def test_who_takes_publish(self) -> None:
        """An application that takes PUBLISH, beside --publishers, is refused before anything is opened."""
        options = Options()
        options.parseOptions(
            "--uri sip:bob@b.example --listen tcp:0 --package presence --publishers verified"
            " --application tests.service.diagnosis.test_check_lives:Deciding".split()
        )
        error = self.assertRaises(usage.UsageError, make, Clock(), options)
        self.assertIn("takes PUBLISH itself: leave --publishers out", str(error))
