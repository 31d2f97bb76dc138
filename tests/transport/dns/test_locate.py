"""Where a SIP target is: questions out, answers in, and never less than TLS."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.uri import SipUri
from sip_p2p.testing.zones import Zones
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.dns.locate import Location, in_weighted_order, services_of
from sip_p2p.transport.dns.records import Answer, Naptr, Outcome, Question, Srv, absent, read_answer
from sip_p2p.transport.target import Target, Transport, target_of
from tests.support import vectors

ALL = (Transport.TLS, Transport.TCP, Transport.UDP)
CLEAR = (Transport.TCP, Transport.UDP)


class Located:
    """A location that has been run over records, and what came of it.

    :ivar targets: transport, address and port of each target, in order.
    :ivar asked: the questions, in the order in which they were asked.
    """

    def __init__(
        self,
        target: Target,
        zones: Zones,
        transports: tuple[Transport, ...] = ALL,
        family: AddressFamilyHint = AddressFamilyHint.ALL,
        seed: int = 0,
        answers: dict[str, Answer] | None = None,
        hosts: tuple[str, ...] = (),
    ) -> None:
        self.asked: list[str] = []
        self._zones, self._answers, self._hosts = zones, answers or {}, hosts
        location = Location(target, transports, family, random.Random(seed), 16, explains=True)
        self.reasons = location.reasons
        steps = location.run()
        said: Any = None
        while True:
            try:
                questions = steps.send(said)
            except StopIteration as stop:
                self.found: list[Target] = stop.value
                break
            said = [self.answer(question) for question in questions]
        self.targets = [(each.transport.value, each.host, each.port) for each in self.found]

    def answer(self, question: Question) -> Answer:
        """The answer out of the records, or the one that the test has put there."""
        self.asked.append(str(question))
        if question.kind == "HOSTS":
            return Answer(Outcome.FOUND if self._hosts else Outcome.NO_RECORDS, self._hosts, source="hosts file")
        if str(question) in self._answers:
            return self._answers[str(question)]
        results: list[Any] = []
        query = dns.Query(question.name.encode(), getattr(dns, question.kind))
        self._zones.query(query).addCallbacks(results.append, lambda _: None)
        return read_answer(question, *results[0][:2], 32) if results else absent(question, [])


def locate(uri: str, *records: str, default: Transport = Transport.UDP, **options: Any) -> Located:
    """Where a URI leads with these records."""
    return Located(target_of(SipUri.parse(uri), default), Zones(*records), **options)


def chi_square(counts: list[int], shares: list[float]) -> float:
    """How far *counts* are from what *shares* would make of as many draws."""
    total = sum(counts)
    return sum((count - total * share) ** 2 / (total * share) for count, share in zip(counts, shares, strict=True))


class VectorTests(SynchronousTestCase):
    """The vectors: the zone and cases of pjsip's ``dns_test.c``, and the example of RFC 3263 section 4.1."""

    data = vectors("rfc3263")
    # Of one record the vectors give the name alone; the case that needs it says what it leads to.
    zone = Zones(
        *(record for record in data["pjsip_zone"] if "(" not in record),
        "_sip._udp.domain.com SRV 1 0 50060 sip06.domain.com",
    )

    def test_cases(self) -> None:
        """Every case leads where it should, in its order (row:E25, row:E26, fault:J4)."""
        for case in self.data["pjsip_cases"]:
            if isinstance(case["result"], str):
                continue
            uri = f"sip:{case['host']}" + (f":{case['port']}" if case["port"] else "")
            uri += f";transport={case['transport'].lower()}" if case["transport"] else ""
            target = target_of(SipUri.parse(uri), Transport.UDP)
            located = Located(target, self.zone, CLEAR)
            # A transport that comes second has its servers after those of the first.
            chosen = [list(each) for each in located.targets if each[0] == located.targets[0][0]]
            self.assertEqual(chosen, case["result"], uri)

    def test_weights(self) -> None:
        """The weighted case: 20 to 10 to nothing, and the other priority only after all of them (row:E24, RFC 2782)."""
        target = target_of(SipUri.parse("sip:example.com;transport=udp"), Transport.UDP)
        first = {"1.1.1.1": 0, "2.2.2.2": 0, "3.3.3.3": 0}
        for seed in range(3100):
            located = Located(target, self.zone, CLEAR, seed=seed)
            first[located.targets[0][1]] += 1
            self.assertEqual((located.targets[-1][1], len(located.targets)), ("4.4.4.4", 4))
        # Two degrees of freedom: 13.8 would come about once in a thousand.
        self.assertLess(chi_square(list(first.values()), [1 / 31, 20 / 31, 10 / 31]), 13.8)

    def test_example_of_the_rfc(self) -> None:
        """A client without TLS takes TCP; one with TLS takes TLS, which comes first (row:E25)."""
        example = self.data["rfc_example"]
        records = [f"example.com NAPTR {record}" for record in example["naptr"]]
        records += [f"{kind}.example.com SRV {record}" for kind in ("_sip._tcp",) for record in example["srv"]]
        records += ["_sips._tcp.example.com SRV 0 1 5061 server1.example.com"]
        records += ["server1.example.com A 10.0.0.1", "server2.example.com A 10.0.0.2"]
        clear = locate(example["uri"], *records, transports=CLEAR)
        self.assertEqual({each[0] for each in clear.targets}, {"TCP"})
        self.assertEqual({each[1] for each in clear.targets}, {"10.0.0.1", "10.0.0.2"})
        able = locate(example["uri"], *records)
        self.assertEqual(able.targets, [("TLS", "10.0.0.1", 5061)])
        self.assertEqual(able.asked[:2], ["HOSTS of example.com", "NAPTR of example.com"])


class WeightTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.dns.locate.in_weighted_order`."""

    def test_shares(self) -> None:
        """Who is drawn first, and who second, is as the weights say (row:E24, RFC 2782)."""
        records = [Srv(0, weight, 5060, f"w{weight}") for weight in (1, 2, 5, 12)]
        randomness = random.Random(42)
        first, second = dict.fromkeys(records, 0), dict.fromkeys(records, 0)
        for _ in range(10000):
            ordered = in_weighted_order(records, randomness)
            first[ordered[0]] += 1
            second[ordered[1]] += 1
        # Nought is drawn as well, and falls to the one that stands first.
        shares = [2 / 21, 2 / 21, 5 / 21, 12 / 21]
        self.assertLess(chi_square(list(first.values()), shares), 16.3)
        self.assertGreater(min(second.values()), 500)

    def test_no_weights(self) -> None:
        """Where nobody has a weight everybody has the same chance."""
        records = [Srv(0, 0, 5060, name) for name in "abc"]
        randomness = random.Random(7)
        first = dict.fromkeys(records, 0)
        for _ in range(3000):
            first[in_weighted_order(records, randomness)[0]] += 1
        self.assertLess(chi_square(list(first.values()), [1 / 3] * 3), 13.8)

    @given(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535), st.integers(0, 5)), max_size=20),
        st.integers(),
    )
    @settings(max_examples=300, deadline=None)
    def test_any_records(self, given_records: list[tuple[int, int, int]], seed: int) -> None:
        """Whatever the weights are, every server comes exactly once, and lower priorities come first (row:E24)."""
        records = [Srv(priority, weight, 5060, f"s{name}") for priority, weight, name in given_records]
        ordered = in_weighted_order(records, random.Random(seed))
        self.assertEqual(sorted(ordered), sorted(records))
        self.assertEqual([each.priority for each in ordered], sorted(each.priority for each in records))


class NaptrTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.dns.locate.services_of`, and the transport that NAPTR chooses (section 4.1)."""

    def test_order(self) -> None:
        """Order goes before preference, and what cannot be used is passed over with the reason (row:E25)."""
        reasons: list[str] = []
        records = [
            Naptr(20, 1, "s", "SIP+D2U", "", "u.example"),
            Naptr(10, 9, "S", "sip+d2t", "", "t.example"),
            Naptr(10, 1, "s", "SIPS+D2T", "", "tls.example"),
            Naptr(1, 1, "s", "SIP+D2S", "", "sctp.example"),
            Naptr(1, 2, "u", "SIP+D2U", "", "flag.example"),
            Naptr(1, 3, "s", "SIP+D2U", "!^.*$!sip:x@y!", "regexp.example"),
            Naptr(1, 4, "s", "SIP+D2U", "", ""),
            Naptr(1, 5, "s", "E2U+sip", "", "enum.example"),
            Naptr(1, 6, "s", "SIPS+D2W", "", "ws.example"),
        ]
        self.assertEqual(
            services_of(records, ALL, reasons),
            [(Transport.TLS, "tls.example"), (Transport.TCP, "t.example"), (Transport.UDP, "u.example")],
        )
        self.assertEqual(len(reasons), 6)
        self.assertEqual(services_of(records, (Transport.WSS,), []), [(Transport.WSS, "ws.example")])

    def test_another_domain(self) -> None:
        """The servers may stand under another domain; what must be proved stays the user's (row:D14, fault:J3)."""
        located = locate(
            "sip:bob@b.example",
            'b.example NAPTR 1 1 "s" "SIPS+D2T" "" _sips._tcp.hosting.test',
            "_sips._tcp.hosting.test SRV 0 0 5071 node7.hosting.test",
            "node7.hosting.test A 10.0.0.7",
            default=Transport.TLS,
        )
        self.assertEqual(located.targets, [("TLS", "10.0.0.7", 5071)])
        self.assertEqual((located.found[0].name, located.found[0].origin), ("b.example", "node7.hosting.test"))

    def test_named_transport(self) -> None:
        """Who names the transport is not asked for another: NAPTR is left alone (row:E25, RFC 3263 section 4.1)."""
        located = locate(
            "sip:b.example;transport=tcp", 'b.example NAPTR 1 1 "s" "SIP+D2U" "" u.example', "b.example A 10.0.0.1"
        )
        self.assertEqual(located.targets, [("TCP", "10.0.0.1", 5060)])
        self.assertNotIn("NAPTR of b.example", located.asked)

    def test_web_sockets(self) -> None:
        """A WebSocket server is found through NAPTR, or at the name itself (RFC 7118)."""
        located = locate(
            "sip:b.example",
            'b.example NAPTR 1 1 "s" "SIPS+D2W" "" ws.b.example',
            "ws.b.example SRV 0 0 8443 edge.b.example",
            "edge.b.example A 10.0.0.1",
            default=Transport.WSS,
        )
        self.assertEqual(located.targets, [("WSS", "10.0.0.1", 8443)])
        alone = locate("sip:b.example;transport=wss", "b.example A 10.0.0.1")
        self.assertEqual(alone.targets, [("WSS", "10.0.0.1", 443)])

    def test_chosen_without_servers(self) -> None:
        """A service without SRV records is the name itself over that transport."""
        located = locate(
            "sip:b.example", 'b.example NAPTR 1 1 "s" "SIP+D2T" "" _sip._tcp.b.example', "b.example A 10.0.0.1"
        )
        self.assertEqual(located.targets, [("TCP", "10.0.0.1", 5060)])


class AddressTests(SynchronousTestCase):
    """Ports and addresses (section 4.2)."""

    def test_no_look_up(self) -> None:
        """An address needs no look-up; a port needs no SRV (row:E26)."""
        located = locate("sip:10.0.0.9")
        self.assertEqual((located.targets, located.asked), ([("UDP", "10.0.0.9", 5060)], []))
        located = locate("sip:b.example:7000", "b.example A 10.0.0.1", "_sip._udp.b.example SRV 0 0 1 x.example")
        self.assertEqual(located.targets, [("UDP", "10.0.0.1", 7000)])
        self.assertEqual([each for each in located.asked if "SRV" in each], [])

    def test_maddr(self) -> None:
        """maddr takes the host's place, as a name too; the host is what must be proved (row:E26, row:D14)."""
        located = locate("sip:b.example;maddr=gate.example", "gate.example A 10.0.0.2", default=Transport.TLS)
        self.assertEqual(located.targets, [("TLS", "10.0.0.2", 5061)])
        self.assertEqual(located.found[0].name, "b.example")

    def test_own_table(self) -> None:
        """What this machine's own table knows is not looked up any further (row:E25)."""
        located = locate("sip:b.example", hosts=("10.0.0.3", "fd00::3"), default=Transport.TLS)
        self.assertEqual(located.asked, ["HOSTS of b.example"])
        self.assertEqual({each[1] for each in located.targets}, {"10.0.0.3", "fd00::3"})

    def test_families(self) -> None:
        """A hint keeps a family out, or puts it last, and does not ask for what it does not want (row:E23)."""
        records = ("b.example A 10.0.0.1", "b.example AAAA fd00::1")
        for hint, hosts in (
            (AddressFamilyHint.ALL, ["fd00::1", "10.0.0.1"]),
            (AddressFamilyHint.PREFER_V4, ["10.0.0.1", "fd00::1"]),
            (AddressFamilyHint.V4, ["10.0.0.1"]),
            (AddressFamilyHint.V6, ["fd00::1"]),
        ):
            located = locate("sip:b.example", *records, family=hint)
            self.assertEqual([each[1] for each in located.targets], hosts)
        self.assertNotIn("A of b.example", located.asked)
        with self.assertRaises(ConnectionFailure):
            locate("sip:10.0.0.1", family=AddressFamilyHint.V6)

    def test_service_that_is_not_there(self) -> None:
        """A single dot says that there is no such service: nobody is bothered with it (RFC 2782)."""
        records = ("_sips._tcp.b.example SRV 0 0 0 .", "b.example A 10.0.0.1")
        with self.assertRaises(ConnectionFailure) as caught:
            locate("sips:b.example", *records, default=Transport.TLS)
        self.assertIn("no SIP over TLS", str(caught.exception))

    def test_servers_without_number(self) -> None:
        """Of very many servers those that would come last are left out, and that is said (fault:J3)."""
        records = [f"_sips._tcp.b.example SRV {n} 0 5061 s{n}.b.example" for n in range(30)]
        records += [f"s{n}.b.example A 10.0.0.{n + 1}" for n in range(30)]
        located = locate("sips:b.example", *records, default=Transport.TLS)
        self.assertEqual(len(located.targets), 16)
        self.assertTrue(any("14 servers" in reason for reason in located.reasons))

    def test_trailing_dot(self) -> None:
        """A name that ends in a dot is the same name."""
        located = locate("sip:b.example.", "b.example A 10.0.0.1")
        self.assertEqual(located.targets, [("UDP", "10.0.0.1", 5060)])

    def test_failures(self) -> None:
        """Each way of finding nothing has its own words (fault:J3)."""
        for outcome, words in (
            (Outcome.TIMED_OUT, "no name server answered in time"),
            (Outcome.FAILED, "could not tell: SERVFAIL"),
            (Outcome.ALIASES_ASTRAY, "round in circles"),
            (Outcome.NO_SUCH_NAME, "NXDOMAIN"),
            (Outcome.NO_RECORDS, "no usable AAAA or A record"),
        ):
            detail = "SERVFAIL" if outcome is Outcome.FAILED else ""
            answers = {f"{kind} of b.example": Answer(outcome, detail=detail) for kind in ("A", "AAAA")}
            with self.assertRaises(ConnectionFailure) as caught:
                locate("sip:b.example", answers=answers)
            self.assertIn(words, str(caught.exception))
            self.assertIn("b.example", str(caught.exception))

    def test_servers_fail_and_addresses_do_not(self) -> None:
        """A name server that knows nothing of SRV or NAPTR keeps nobody from the addresses (fault:J3)."""
        answers = {
            f"{kind} of {name}": Answer(Outcome.FAILED)
            for kind, name in (("NAPTR", "b.example"), ("SRV", "_sip._udp.b.example"), ("SRV", "_sip._tcp.b.example"))
        }
        located = locate("sip:b.example", "b.example A 10.0.0.1", answers=answers, transports=CLEAR)
        self.assertEqual(located.targets, [("UDP", "10.0.0.1", 5060)])


class DowngradeTests(SynchronousTestCase):
    """Nothing that DNS says leads from TLS to less."""

    LESS = (
        'b.example NAPTR 1 1 "s" "SIP+D2U" "" _sip._udp.b.example',
        'b.example NAPTR 1 2 "s" "SIP+D2T" "" _sip._tcp.b.example',
        'b.example NAPTR 9 9 "s" "SIPS+D2T" "" _sips._tcp.b.example',
        "_sip._udp.b.example SRV 0 0 5060 clear.b.example",
        "_sip._tcp.b.example SRV 0 0 5060 clear.b.example",
        "_sips._tcp.b.example SRV 0 0 5061 secure.b.example",
        "clear.b.example A 10.6.6.6",
        "secure.b.example A 10.0.0.1",
        "b.example A 10.0.0.2",
    )

    def test_asked_for(self) -> None:
        """sips, transport=tls and a party whose own transport is TLS find TLS alone, whatever NAPTR prefers (row:D27,
        row:A5)."""
        for uri, default in (
            ("sips:b.example", Transport.UDP),
            ("sips:b.example;transport=tcp", Transport.UDP),
            ("sip:b.example;transport=tls", Transport.UDP),
            ("sip:b.example", Transport.TLS),
        ):
            self.assertEqual(locate(uri, *self.LESS, default=default).targets, [("TLS", "10.0.0.1", 5061)], uri)

    def test_nothing_but_less(self) -> None:
        """Where DNS knows of nothing but clear text, TLS is tried at the name itself, and nothing else (row:D27)."""
        less = [record for record in self.LESS if "sips" not in record and "SIPS" not in record]
        for uri in ("sips:b.example", "sip:b.example;transport=tls"):
            self.assertEqual(locate(uri, *less).targets, [("TLS", "10.0.0.2", 5061)], uri)

    def test_after_tls(self) -> None:
        """Where NAPTR puts TLS first, what comes after it without TLS is no way out when TLS is broken (row:D27)."""
        records = [record.replace("NAPTR 9 9", "NAPTR 0 0") for record in self.LESS]
        located = locate("sip:b.example", *records)
        self.assertEqual(located.targets, [("TLS", "10.0.0.1", 5061)])
        self.assertTrue(any("left out: TLS came first" in reason for reason in located.reasons))

    _names = st.sampled_from(["_sips._tcp.b.example", "_sip._udp.b.example", "x.test", "b.example"])

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 9),
                st.sampled_from(["SIPS+D2T", "SIP+D2T", "SIP+D2U", "SIP+D2W", "SIPS+D2W", "E2U"]),
                _names,
            ),
            max_size=5,
        ),
        st.lists(st.tuples(_names, st.integers(0, 2), st.sampled_from(["x.test", "b.example", "."])), max_size=6),
        st.sampled_from(["sips:b.example", "sip:b.example;transport=tls", "sip:b.example"]),
    )
    @settings(max_examples=300, deadline=None)
    def test_any_zone(self, naptr: list[tuple[int, str, str]], srv: list[tuple[str, int, str]], uri: str) -> None:
        """Whatever DNS says, who asks for TLS gets TLS or nothing, and the name to be proved is the user's (row:D27,
        row:D14)."""
        records = [f'b.example NAPTR {order} 0 "s" "{service}" "" {name}' for order, service, name in naptr]
        records += [f"{name} SRV {priority} 1 5070 {host}" for name, priority, host in srv]
        records += ["b.example A 10.0.0.2", "x.test A 10.6.6.6"]
        try:
            located = locate(uri, *records, default=Transport.TLS)
        except ConnectionFailure:
            return
        self.assertTrue(located.found)
        for target in located.found:
            self.assertTrue(target.transport.is_secure)
            self.assertEqual(target.name, "b.example")


class ReasonTests(SynchronousTestCase):
    """What is said of it."""

    def test_reasons(self) -> None:
        """Records, TTLs, choices and the order are told, and whom the certificate must name (row:E25)."""
        located = locate(
            "sip:bob@b.example",
            'b.example 600 NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.b.example',
            "_sips._tcp.b.example 60 SRV 10 0 5061 one.b.example",
            "_sips._tcp.b.example 60 SRV 20 0 5061 two.b.example",
            "one.b.example A 10.0.0.1",
            "two.b.example A 10.0.0.2",
            default=Transport.TLS,
        )
        text = "\n".join(located.reasons)
        for words in (
            "NAPTR of b.example: 1 record, good for 600 s (DNS)",
            "NAPTR chooses TLS",
            "  10 0 5061 one.b.example",
            "AAAA of one.b.example: there are no such records",
            "to be tried in this order: TLS 10.0.0.1:5061 (one.b.example), TLS 10.0.0.2:5061 (two.b.example)",
            "must prove b.example",
        ):
            self.assertIn(words, text)
