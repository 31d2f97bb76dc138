"""The instruments of a service, on two parties that talk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from twisted.logger import globalLogPublisher

from sip_p2p.errors import ConnectionFailure, TlsFailure, TlsFailureReason
from sip_p2p.observe.recorder import Recorder
from sip_p2p.observe.spans import SpanTeller
from sip_p2p.observe.transactions import TransactionWatch
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.instruments.instruments import Instruments
from sip_p2p.service.process.log_format import json_line
from sip_p2p.testing import Network
from tests.service.support import parsed
from tests.support import SynchronousTestCase, TestCase

if TYPE_CHECKING:
    from sip_p2p.service.happenings import Happening

URI = ("--uri", "sip:bob@b.example")


class InstrumentsTests(SynchronousTestCase):
    """What they see of a party."""

    def setUp(self) -> None:
        super().setUp()
        self.network = Network(delay=0.02)
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party("sip:bob@b.example")
        self.bob.message_received.subscribe(lambda event: None)
        self.manager = self.bob.connection_manager
        self.happenings = Happenings()

    def made(self, **what: Any) -> Instruments:
        """Instruments that look at bob, as a service starts them."""
        instruments = Instruments(self.manager.reactor, self.manager, **what)
        instruments.listen()
        instruments.started()
        return instruments

    def of_options(self, *arguments: str) -> Instruments:
        """Those that the command line asks for."""
        options = parsed(*URI, *arguments)
        return Instruments.from_options(self.manager.reactor, self.manager, options, self.happenings)

    def test_without_any_there_is_no_tap(self) -> None:
        """With nothing asked for, the driver has nobody to show a message to; the figures are there all the same."""
        instruments = self.of_options()
        instruments.listen()
        instruments.started()
        self.assertFalse(self.manager.driver.is_tapped)
        self.assertEqual((instruments.recorder, instruments.watch), (None, None))
        self.assertIn(b"sip_p2p_requests_total", instruments.collector.render())
        instruments.ended()
        self.network.finish()

    def test_what_options_ask_for(self) -> None:
        """The HTTP API brings the record and the watch; a record alone, or a log of transactions alone, can be had."""
        both = self.of_options("--http", "8080")
        self.assertTrue(both.recorder is not None and both.watch is not None)
        record = self.of_options("--record", "5")
        self.assertTrue(record.recorder is not None and record.watch is None)
        log = self.of_options("--transaction-log")
        self.assertTrue(log.recorder is None and log.watch is not None)
        self.network.finish()

    def test_they_look_until_the_end(self) -> None:
        """What passes is recorded from the start to the end of the service, and nothing is left behind then."""
        instruments = self.made(recorder=Recorder(local="b.example"), watch=TransactionWatch())
        self.network.run_until(self.alice.send_message("sip:bob@b.example", "hello"))
        assert instruments.recorder is not None
        self.assertEqual([event.direction for event in instruments.recorder.events()], ["in", "out"])
        instruments.ended()
        self.assertFalse(self.manager.driver.is_tapped)
        self.network.run_until(self.alice.send_message("sip:bob@b.example", "hello"))
        self.assertEqual(len(instruments.recorder.events()), 2)
        self.network.finish()

    def test_the_end_of_a_flow(self) -> None:
        """A lost connection ends what was on it, and stands in the record with its reason."""
        instruments = self.made(recorder=Recorder(), watch=TransactionWatch())
        ended: list[str] = []
        assert instruments.recorder is not None and instruments.watch is not None
        instruments.watch.follow(lambda record: ended.append(record.outcome))
        self.network.run_until(self.alice.send_message("sip:bob@b.example", "hello"))
        (flow,) = self.manager.pool
        failure = ConnectionFailure("it was cut")
        self.manager.keeper.give_up(flow, failure)
        self.network.advance(1)
        (found,) = instruments.recorder.flows()
        self.assertEqual((found.number, found.reason), (flow.number, "it was cut"))
        self.assertEqual(instruments.recorder.events()[-1].note, "it was cut")
        self.assertEqual(ended, ["answered"])
        instruments.ended()
        self.network.finish()

    def test_who_was_refused(self) -> None:
        """A refused handshake stands in the record, in words."""
        instruments = self.made(recorder=Recorder())
        self.manager.tls_failure(TlsFailure(TlsFailureReason.CERTIFICATE_EXPIRED, "192.0.2.9:40000"))
        assert instruments.recorder is not None
        (event,) = instruments.recorder.events()
        self.assertEqual((event.kind, event.remote), ("note", "192.0.2.9:40000"))
        self.assertIn("expired", event.note)
        instruments.ended()
        self.network.finish()

    def test_the_log_and_the_events(self) -> None:
        """A transaction is one line in the log and one event, both with its Call-ID and without secrets."""
        lines: list[dict[str, Any]] = []

        def observe(event: Any) -> None:
            if event.get("log_namespace") == "sip_p2p.service.transactions":
                lines.append(json.loads(json_line(event) or "{}"))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        told: list[Happening] = []
        self.happenings.follow(told.append)
        instruments = self.made(watch=TransactionWatch(), happenings=self.happenings)
        self.network.run_until(self.alice.send_message("sip:bob@b.example", "meet at seven"))
        (line,), (happening,) = lines, told
        self.assertTrue(line["message"].startswith("MESSAGE in 200 in "), line["message"])
        self.assertIn("a.example, Call-ID ", line["message"])
        self.assertEqual(happening.event, "transaction")
        self.assertEqual(line["transaction"]["call_id"], happening.fields["call_id"])
        self.assertNotIn("seven", json.dumps(line) + json.dumps(happening.as_json()))
        instruments.ended()
        self.network.finish()

    def test_what_nobody_answers(self) -> None:
        """Now and then it is looked for what has waited for too long."""
        now = [1000.0]
        watch = TransactionWatch()
        instruments = self.made(watch=watch, clock=lambda: now[0])
        outcomes: list[str] = []
        watch.follow(lambda record: outcomes.append(record.outcome))
        self.network.run_until(self.alice.send_message("sip:bob@b.example", "hello"))
        (flow,) = self.manager.pool
        watch.message("out", flow, b"X sip:a SIP/2.0\r\nVia: SIP/2.0/TLS b;branch=z9hG4bK1\r\n\r\n", 1000.0)
        now[0] = 1100.0
        self.network.advance(6)
        self.assertEqual(outcomes, ["answered", "unanswered"])
        instruments.ended()
        self.network.finish()


class EndTests(TestCase):
    """The end of what leaves in a thread."""

    async def test_spans(self) -> None:
        """Spans are told from the start on, and the end of the service waits until they have left."""
        network = Network(delay=0.02)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: None)
        exporter = InMemorySpanExporter()
        manager = bob.connection_manager
        instruments = Instruments(
            manager.reactor,
            manager,
            watch=TransactionWatch(),
            spans=lambda: SpanTeller(SimpleSpanProcessor(exporter), resource=Resource({})),
        )
        instruments.listen()
        instruments.started()
        network.run_until(alice.send_message("sip:bob@b.example", "hello"))
        self.assertEqual([span.name for span in exporter.get_finished_spans()], ["MESSAGE"])
        ending = instruments.ended()
        assert ending is not None
        await ending
        network.finish()
