"""Every message of RFC 4475 and RFC 5118, over a datagram and over a stream cut at every octet, against its verdict."""

from __future__ import annotations

from sip_p2p.sip.framing import StreamFramer
from sip_p2p.sip.message import Message, Request
from sip_p2p.sip.outputs import CloseFlow
from sip_p2p.sip.parse import Unparsable, parse_message
from tests.sip.harness import CoreBench, delivered, statuses_of
from tests.support import SynchronousTestCase, TortureMessage, torture_messages

ALL = [*torture_messages("rfc4475"), *torture_messages("rfc5118")]

LENGTH_IS_THE_FAULT = {"clerr.dat", "baddn.dat", "inv2543.dat"}
"""Messages whose fault, or liberty, is in the length: a datagram has its own end, a stream waits or closes."""


class TortureTests(SynchronousTestCase):
    """The verdicts, one message at a time; what fails says which."""

    def _judge(self, torture: TortureMessage, outputs: list, where: str) -> None:
        statuses = statuses_of(outputs)
        methods = delivered(outputs)
        expect = torture.expect
        allowed = set(torture.allowed_status)
        context = f"{torture.name} over {where}: {expect} {sorted(allowed)}, got {statuses} and {methods}"
        if expect == "drop" or torture.entry["kind"] == "response":
            self.assertEqual((statuses, methods), ([], []), context)
        elif expect.startswith("reject") and "or-repair" not in expect:
            self.assertTrue(statuses and set(statuses[:1]) <= allowed and not methods, context)
        elif expect == "reject-400-or-repair":
            self.assertTrue(statuses[:1] == [400] or methods or statuses[:1] == [200], context)
        elif expect == "unspecified":
            self.assertFalse(methods, context)
        else:
            # Accepted: it reaches the application, or gets an answer that tells of something else than its syntax.
            self.assertTrue(methods or statuses, context)
            self.assertFalse(set(statuses[:1]) & {400, 413, 414, 505, 513} - allowed, context)

    def test_every_message_over_udp(self) -> None:
        """Each torture message, as one datagram, gets the verdict of its RFC (row:K12, row:M18, fault:A1)."""
        for torture in ALL:
            self._judge(torture, CoreBench().over_udp(torture.data), "udp")

    def test_every_message_over_a_stream(self) -> None:
        """Each torture message on a connection, at once and cut at every octet, gets that same verdict (row:K12,
        fault:A8)."""
        for torture in ALL:
            if torture.name in LENGTH_IS_THE_FAULT:
                continue
            whole = CoreBench().over_stream(torture.data)
            self._judge(torture, whole, "stream")
            cut = CoreBench().over_stream(torture.data, cut=True)
            self.assertEqual(
                (statuses_of(whole), delivered(whole), [type(each) for each in whole]),
                (statuses_of(cut), delivered(cut), [type(each) for each in cut]),
                torture.name,
            )

    def _octets(self, name: str) -> bytes:
        return next(torture.data for torture in ALL if torture.name == name)

    def test_dblreq(self) -> None:
        """Octets after a datagram's Content-Length are no second request; on a stream they are (4475 3.1.1.8,
        fault:I5)."""
        udp = CoreBench().over_udp(self._octets("dblreq.dat"))
        self.assertEqual((statuses_of(udp), delivered(udp)), ([405], []))
        stream = CoreBench().over_stream(self._octets("dblreq.dat"))
        self.assertEqual((statuses_of(stream), delivered(stream)), ([405], ["INVITE"]))

    def test_mcl01(self) -> None:
        """Two Content-Length fields are answered 400, and end a stream (4475 3.3.9, fault:A5)."""
        self.assertEqual(CoreBench().status(self._octets("mcl01.dat"), udp=True), 400)
        outputs = CoreBench().over_stream(self._octets("mcl01.dat"))
        self.assertEqual(statuses_of(outputs), [400])
        self.assertIsInstance(outputs[-1], CloseFlow)

    def test_ncl(self) -> None:
        """A negative Content-Length is answered 400, and ends a stream (4475 3.1.2.3, fault:A3)."""
        self.assertEqual(CoreBench().status(self._octets("ncl.dat"), udp=True), 400)
        outputs = CoreBench().over_stream(self._octets("ncl.dat"))
        self.assertEqual(statuses_of(outputs), [400])
        self.assertIsInstance(outputs[-1], CloseFlow)

    def test_clerr(self) -> None:
        """A body shorter than announced is 400 in a datagram; on a stream it is waited for (4475 3.1.2.2, fault:I5)."""
        octets = self._octets("clerr.dat")
        self.assertEqual(CoreBench().status(octets, udp=True), 400)
        framer = StreamFramer()
        self.assertEqual(framer.feed(octets), [])
        self.assertTrue(framer.is_partial)

    def test_inv2543(self) -> None:
        """A request without Content-Length is all of its datagram; on a stream it is answered 400 and ends it
        (fault:A4)."""
        octets = self._octets("inv2543.dat")
        self.assertEqual(delivered(CoreBench().over_udp(octets)), ["INVITE"])
        outputs = CoreBench().over_stream(octets)
        self.assertEqual(statuses_of(outputs), [400])
        self.assertIsInstance(outputs[-1], CloseFlow)

    def test_parse_serialise_parse(self) -> None:
        """What parses is written again as the same message: names, values, body and start line (row:K7)."""
        for torture in ALL:
            try:
                first = parse_message(torture.data)
            except Exception:
                continue
            second = parse_message(first.serialise())
            self.assertEqual(_essence(first), _essence(second), torture.name)

    def test_wsinv(self) -> None:
        """Folds, compact names and blanks around everything are read as what they mean (4475 3.1.1.1, row:K8)."""
        message = parse_message(self._octets("wsinv.dat"))
        assert isinstance(message, Request)
        self.assertEqual(message.to.tag, "1918181833n")
        self.assertEqual(message.from_.display_name, 'J Rosenberg \\"')
        self.assertEqual(message.from_.tag, "98asjd8")
        self.assertEqual((message.cseq.number, message.cseq.method), (9, "INVITE"))
        self.assertEqual(
            [via.sent_by for via in message.vias()], ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
        )
        self.assertEqual(message.via.branch, "390skdjuw")
        self.assertEqual(message.headers["UnknownHeaderWithUnusualValue"], ";;,,;;,;")
        self.assertEqual(message.headers["Subject"], "")

    def test_escapes_are_undone_once(self) -> None:
        """A user part that hides a sips URI stays a user part, and %25 is not decoded twice (4475 3.1.1.3)."""
        message = parse_message(self._octets("esc01.dat"))
        assert isinstance(message, Request)
        uri = message.uri
        self.assertEqual((uri.scheme, getattr(uri, "user", None)), ("sip", "sips:user@example.com"))

    def test_unreason(self) -> None:
        """A reason phrase is opaque text, whatever language it is in (4475 3.1.1.12, fault:A12)."""
        message = parse_message(self._octets("unreason.dat"))
        self.assertIn("сто девяносто девять", getattr(message, "reason", ""))

    def test_bext01_names_the_extensions(self) -> None:
        """420 lists exactly what Require asked for, not what Proxy-Require did (4475 3.3.5, row:G10, row:A19)."""
        outputs = CoreBench().over_udp(self._octets("bext01.dat"))
        answer = parse_message(outputs[0].data)  # type: ignore[union-attr]
        listed = {tag.strip() for value in answer.headers.get_all("Unsupported") for tag in value.split(",")}
        self.assertEqual(listed, {"nothingSupportsThis", "nothingSupportsThisEither"})

    def test_invut_names_what_is_accepted(self) -> None:
        """415 says which types could have been sent (4475 3.3.6, row:G11)."""
        outputs = CoreBench().over_udp(self._octets("invut.dat"))
        answer = parse_message(outputs[0].data)  # type: ignore[union-attr]
        self.assertIn("application/sdp", answer.headers["Accept"])

    def test_nothing_saved_of_what_is_no_request(self) -> None:
        """Of octets that are not SIP nothing is kept to answer with (4475's test.dat)."""
        framer = StreamFramer()
        (item,) = framer.feed(self._octets("test.dat"))
        self.assertIsInstance(item, Unparsable)
        self.assertEqual(len(item.headers), 0)


def _essence(message: Message) -> tuple[object, ...]:
    fields = [(name, value) for name, value in message.headers if name != "Content-Length"]
    return (message.start_line, fields, message.body)
