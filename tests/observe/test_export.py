"""The tap that shows messages to sinks."""

from __future__ import annotations

from sip_p2p.observe.export import ExportTap
from sip_p2p.observe.redact import BodyPolicy
from sip_p2p.observe.trace import TraceEvent
from sip_p2p.sip.flow import Flow
from tests.support import SynchronousTestCase

DATA = (
    b"MESSAGE sip:bob@b.example SIP/2.0\r\nAuthorization: Digest response=secret\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
)


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []

    def write(self, event: TraceEvent) -> None:
        """One more."""
        self.events.append(event)


class ExportTests(SynchronousTestCase):
    """What the sinks see."""

    def test_every_sink_gets_the_same_without_secrets(self) -> None:
        """Credentials are withheld whatever the policy, bodies as it says (row:M11)."""
        for policy, body in ((BodyPolicy(), None), (BodyPolicy("text/plain"), b"hello")):
            one, other = Sink(), Sink()
            tap = ExportTap(one, other, local="a.example", bodies=policy)
            tap.message("in", Flow("TLS", True, "a.example", "192.0.2.2", 5061, "b.example"), DATA, 5.0)
            ((event,), (same,)) = one.events, other.events
            self.assertIs(event, same)
            self.assertEqual(
                (event.direction, event.local, event.peer, event.body), ("in", "a.example", "b.example", body)
            )
            self.assertNotIn("secret", event.head)
