"""What DNS says, read: which records count, for how long, and what is passed over."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.testing.zones import Zones
from sip_p2p.transport.dns.records import (
    Answer,
    Naptr,
    Outcome,
    Question,
    Srv,
    absent,
    is_dns_name,
    read_answer,
    special_answer,
)


def headers(*records: str) -> list[dns.RRHeader]:
    """Records as a response carries them."""
    zones = Zones(*records)
    return [header for each in zones._records.values() for header in each]


def read(kind: str, name: str, *records: str, limit: int = 32) -> Answer:
    """What an answer of *records* says to a question."""
    return read_answer(Question(name, kind), headers(*records), [], limit)


def soa(zone: str, ttl: int, minimum: int) -> dns.RRHeader:
    """The SOA of a zone, as it stands in the authority section."""
    return dns.RRHeader(zone.encode(), dns.SOA, dns.IN, ttl, dns.Record_SOA(minimum=minimum))


class ReadingTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.dns.records.read_answer`."""

    def test_kinds(self) -> None:
        """Each kind of record is read in its own form (row:E25)."""
        naptr = read("NAPTR", "b.example", 'b.example 60 NAPTR 50 10 "s" "SIPS+D2T" "" _sips._tcp.b.example')
        self.assertEqual(naptr.records, (Naptr(50, 10, "s", "SIPS+D2T", "", "_sips._tcp.b.example"),))
        srv = read("SRV", "_sips._tcp.b.example", "_sips._tcp.b.example SRV 1 2 5071 One.B.Example.")
        self.assertEqual(srv.records, (Srv(1, 2, 5071, "one.b.example"),))
        self.assertEqual(read("A", "b.example", "b.example A 10.0.0.1").records, ("10.0.0.1",))
        self.assertEqual(read("AAAA", "b.example", "b.example AAAA FD00::1").records, ("fd00::1",))
        self.assertEqual((naptr.outcome, naptr.ttl), (Outcome.FOUND, 60))

    def test_other_names(self) -> None:
        """Records of a name that was not asked for are passed over, wherever they come from (fault:J3)."""
        answer = read("A", "b.example", "b.example A 10.0.0.1", "victim.example A 10.6.6.6", "x.b.example A 10.6.6.7")
        self.assertEqual(answer.records, ("10.0.0.1",))
        self.assertIs(read("A", "b.example", "victim.example A 10.6.6.6").outcome, Outcome.NO_RECORDS)

    def test_aliases(self) -> None:
        """A chain of aliases is followed within the answer; the shortest TTL counts."""
        answer = read(
            "A", "b.example", "b.example 300 CNAME c.example", "c.example 20 CNAME d.example", "d.example 60 A 10.0.0.1"
        )
        self.assertEqual((answer.records, answer.alias, answer.ttl), (("10.0.0.1",), "d.example", 20))
        half = read("A", "b.example", "b.example CNAME c.example")
        self.assertEqual((half.outcome, half.alias), (Outcome.NO_RECORDS, "c.example"))

    def test_reserved_names(self) -> None:
        """Nobody has a name under invalid, and this machine has those under localhost; all others are looked up
        (RFC 6761)."""
        for name in ("invalid", "x.invalid", "_sips._tcp.x.invalid"):
            for kind in ("HOSTS", "NAPTR", "SRV", "A", "AAAA"):
                answer = special_answer(Question(name, kind))
                assert answer is not None
                self.assertIs(answer.outcome, Outcome.NO_SUCH_NAME)
        for name in ("localhost", "sip.localhost"):
            for kind, addresses in (("A", ("127.0.0.1",)), ("AAAA", ("::1",)), ("HOSTS", ("::1", "127.0.0.1"))):
                answer = special_answer(Question(name, kind))
                assert answer is not None
                self.assertEqual((answer.outcome, answer.records), (Outcome.FOUND, addresses))
            answer = special_answer(Question(f"_sip._tcp.{name}", "SRV"))
            assert answer is not None
            self.assertIs(answer.outcome, Outcome.NO_RECORDS)
        for name in ("b.example", "b.test", "printer.local", "invalid.example", "localhost.example", "xinvalid"):
            self.assertIsNone(special_answer(Question(name, "A")))

    def test_circles(self) -> None:
        """Aliases that go round in circles, or on for ever, lead nowhere (fault:J3)."""
        circle = read("A", "b.example", "b.example CNAME c.example", "c.example CNAME b.example")
        self.assertIs(circle.outcome, Outcome.ALIASES_ASTRAY)
        long = [f"n{number}.example CNAME n{number + 1}.example" for number in range(20)]
        self.assertIs(read("A", "n0.example", *long, "n20.example A 10.0.0.1").outcome, Outcome.ALIASES_ASTRAY)

    def test_a_thousand(self) -> None:
        """Of a thousand records the first are looked at, and the rest is only counted (fault:J3)."""
        answer = read("A", "b.example", *(f"b.example A 10.0.{n // 250}.{n % 250 + 1}" for n in range(1000)), limit=32)
        self.assertEqual((len(answer.records), answer.left_out), (32, 968))
        self.assertIn("968 more", answer.describe(Question("b.example", "A"))[0])

    def test_addresses_of_nobody(self) -> None:
        """An address that is nobody's or everybody's is passed over: no datagram is sent there (fault:J3)."""
        for address in ("0.0.0.0", "224.0.0.1", "255.255.255.255"):
            self.assertIs(read("A", "b.example", f"b.example A {address}").outcome, Outcome.NO_RECORDS)
        for address in ("::", "ff02::1"):
            self.assertIs(read("AAAA", "b.example", f"b.example AAAA {address}").outcome, Outcome.NO_RECORDS)

    def test_names_that_are_none(self) -> None:
        """A server or a replacement that is no name is passed over; a single dot says that there is no service
        (fault:J3, RFC 2782)."""
        srv = dns.RRHeader(b"s.example", dns.SRV, dns.IN, 60, dns.Record_SRV(0, 0, 5060, b"a b\x00\r\n.example"))
        nowhere = dns.RRHeader(b"s.example", dns.SRV, dns.IN, 60, dns.Record_SRV(0, 0, 0, b"c.example"))
        self.assertEqual(read_answer(Question("s.example", "SRV"), [srv, nowhere], [], 9).records, ())
        self.assertEqual(read("SRV", "s.example", "s.example SRV 0 0 0 .").records, (Srv(0, 0, 0, ""),))
        naptr = dns.RRHeader(
            b"b.example", dns.NAPTR, dns.IN, 60, dns.Record_NAPTR(1, 1, b"s", b"SIP\n", b"", b"x.example")
        )
        self.assertEqual(read_answer(Question("b.example", "NAPTR"), [naptr], [], 9).records, ())

    def test_absence(self) -> None:
        """That there is nothing holds for as long as the zone's SOA says, an hour at most; another zone's says nothing
        (row:E25, RFC 2308 section 5)."""
        question = Question("b.example", "A")
        self.assertEqual(absent(question, [soa("example", 900, 60)]).ttl, 60)
        self.assertEqual(absent(question, [soa("example", 30, 60)]).ttl, 30)
        self.assertEqual(absent(question, [soa("b.example", 99999, 99999)]).ttl, 3600)
        self.assertEqual(absent(question, [soa("victim.test", 900, 60)]).ttl, 0)
        self.assertEqual(absent(question, []).ttl, 0)
        self.assertEqual(read_answer(question, [], [soa("example", 900, 60)], 9).ttl, 60)

    def test_words(self) -> None:
        """An answer says in words what it is, who said it and for how long (row:E25)."""
        question = Question("b.example", "A")
        self.assertEqual(
            read("A", "b.example", "b.example A 10.0.0.1").describe(question),
            ["A of b.example: 1 record, good for 300 s (DNS)", "  10.0.0.1"],
        )
        aged = read("A", "b.example", "b.example A 10.0.0.1").aged(100)
        self.assertEqual(aged.describe(question)[0], "A of b.example: 1 record, good for 200 s (remembered)")
        self.assertEqual(
            absent(question, [soa("example", 60, 60)]).describe(question),
            ["A of b.example: there is no such name (NXDOMAIN); that holds for 60 s"],
        )

    @given(st.lists(st.binary(max_size=80), max_size=6), st.sampled_from(["A", "AAAA", "SRV", "NAPTR"]))
    @settings(max_examples=200, deadline=None)
    def test_any_name(self, names: list[bytes], kind: str) -> None:
        """Whatever octets stand where a name should, nothing raises, and what comes out is a name."""
        made = []
        for name in names:
            made.append(dns.RRHeader(name, dns.CNAME, dns.IN, 5, dns.Record_CNAME(name[::-1])))
            made.append(dns.RRHeader(b"b.example", dns.SRV, dns.IN, 5, dns.Record_SRV(0, 0, 1, name)))
            made.append(dns.RRHeader(b"b.example", dns.CNAME, dns.IN, 5, dns.Record_CNAME(name)))
        answer = read_answer(Question("b.example", kind), made, made, 9)
        self.assertTrue(not answer.alias or is_dns_name(answer.alias))
        for record in answer.records:
            self.assertTrue(isinstance(record, Srv) and (not record.host or is_dns_name(record.host)))
