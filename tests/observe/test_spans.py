"""Transactions as spans."""

from __future__ import annotations

import threading

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from sip_p2p.observe.spans import SpanTeller, trace_id_of
from sip_p2p.observe.transactions import TransactionRecord, TransactionWatch
from sip_p2p.testing import Network
from sip_p2p.transport.flow import LiveFlow
from tests.support import SynchronousTestCase


def record(
    method: str = "MESSAGE", status: int | None = 200, call_id: str = "call1", at: float = 100.0
) -> TransactionRecord:
    """A transaction of ours with 192.0.2.7, which took half a second."""
    flow = LiveFlow("TLS", True, "a.example", ("192.0.2.1", 40000), ("192.0.2.7", 5061), is_incoming=False)
    flow.peer = "b.example"
    data = f"{method} sip:b SIP/2.0\r\nFrom: <sip:a:hunter2@a>\r\nTo: <sip:b@b>\r\nCall-ID: {call_id}\r\n\r\n"
    made = TransactionRecord("out", method, flow, data.encode(), at)
    made.status, made.duration = status, 0.5
    made.outcome = "flow-lost" if status is None else "answered"
    return made


class TellerTests(SynchronousTestCase):
    """What is told of records."""

    def setUp(self) -> None:
        super().setUp()
        self.exporter = InMemorySpanExporter()
        self.teller = SpanTeller(SimpleSpanProcessor(self.exporter), resource=Resource({}), sessions=2)

    def told(self) -> list[ReadableSpan]:
        """The spans so far, in the order of their ends."""
        return list(self.exporter.get_finished_spans())

    def test_a_transaction(self) -> None:
        """It begins and ends when the messages passed, in the trace of its Call-ID, and has no secrets."""
        self.teller.told(record())
        (span,) = self.told()
        self.assertEqual((span.name, span.kind, span.parent), ("MESSAGE", SpanKind.CLIENT, None))
        self.assertEqual((span.start_time, span.end_time), (100_000_000_000, 100_500_000_000))
        self.assertEqual(span.context.trace_id, trace_id_of("call1"))
        attributes = dict(span.attributes or {})
        self.assertEqual((attributes["sip.status"], attributes["sip.peer"]), (200, "b.example"))
        self.assertEqual((attributes["network.peer.address"], attributes["network.peer.port"]), ("192.0.2.7", 5061))
        self.assertEqual(attributes["sip.from"], "<sip:a:***@a>")
        self.assertTrue(span.status.is_unset)

    def test_a_session(self) -> None:
        """What happens in a session is below its span, which lasts from the INVITE to the end of the BYE."""
        for moment, method in enumerate(("INVITE", "INFO", "BYE")):
            self.teller.told(record(method, at=100.0 + moment))
        self.teller.told(record("MESSAGE", call_id="other"))
        session = next(span for span in self.told() if span.name == "session")
        children = [span.name for span in self.told() if span.parent and span.parent.span_id == session.context.span_id]
        self.assertEqual(children, ["INVITE", "INFO", "BYE"])
        self.assertEqual((session.start_time, session.end_time), (100_000_000_000, 102_500_000_000))
        self.assertEqual({span.context.trace_id for span in self.told()[:-1]}, {trace_id_of("call1")})

    def test_a_call_that_is_refused(self) -> None:
        """It is no session; what follows with its Call-ID stands by itself."""
        self.teller.told(record("INVITE", 486))
        self.teller.told(record("BYE", 481))
        self.assertEqual([(span.name, span.parent) for span in self.told()], [("INVITE", None), ("BYE", None)])

    def test_what_is_an_error(self) -> None:
        """No answer is one, and so is a failure of the server; a refusal is none."""
        for status in (None, 503, 404, 603):
            self.teller.told(record(status=status))
        codes = [span.status.status_code for span in self.told()]
        self.assertEqual(codes, [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET, StatusCode.UNSET])

    def test_sessions_are_bounded(self) -> None:
        """The oldest of too many ends early, and those that are open end at the close."""
        for number in range(3):
            self.teller.told(record("INVITE", call_id=str(number)))
        self.assertEqual([span.name for span in self.told()].count("session"), 1)
        self.teller.close()
        self.assertEqual([span.name for span in self.told()].count("session"), 3)

    def test_methods_that_peers_invent(self) -> None:
        """They make no new names of spans."""
        self.teller.told(record("WHATEVER"))
        self.assertEqual(self.told()[0].name, "other")

    def test_two_parties_tell_of_one_trace(self) -> None:
        """Both sides of a message are in the same trace, one as the client and the other as the server."""
        network = Network(delay=0.02)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: None)
        for party in (alice, bob):
            watch = TransactionWatch()
            watch.follow(self.teller.told)
            party.connection_manager.add_tap(watch)
        network.run_until(alice.send_message("sip:bob@b.example", "hello"))
        theirs, ours = self.told()
        self.assertEqual((theirs.kind, ours.kind), (SpanKind.SERVER, SpanKind.CLIENT))
        self.assertEqual(theirs.context.trace_id, ours.context.trace_id)
        network.finish()


class _Stuck(SpanExporter):
    """An exporter whose collector never answers, until it is shut down."""

    def __init__(self) -> None:
        self.given_up = threading.Event()

    def export(self, spans: object) -> SpanExportResult:
        self.given_up.wait(30)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.given_up.set()


class CloseTests(SynchronousTestCase):
    """The end."""

    def test_a_collector_that_does_not_answer(self) -> None:
        """The end waits for it as long as it was told, and gives it up."""
        stuck = _Stuck()
        teller = SpanTeller(SimpleSpanProcessor(stuck), resource=Resource({}), give_up=stuck.shutdown)
        threading.Timer(0.05, stuck.shutdown).start()
        teller.told(record())
        teller.close(patience=0.05)
        self.assertTrue(stuck.given_up.is_set())
