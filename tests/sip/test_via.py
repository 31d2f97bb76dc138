"""Tests of Via."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.via import Via, _parse_any_via, parse_via
from tests.sip.grammar import HOSTS, NASTY_TEXT, TOKENS, assert_linear, garbled
from tests.support import SynchronousTestCase

USUAL = (
    "SIP/2.0/TLS client.atlanta.example.com:5061;branch=z9hG4bK74bf9",
    "SIP/2.0/UDP 192.0.2.4;rport;branch=z9hG4bK776asdhds",
    "SIP/2.0/TCP 127.0.0.1:34567;branch=z9hG4bK-524287-1;rport;alias",
    "SIP/2.0/UDP 10.0.0.1:5060;rport=5060;branch=z9hG4bKx;received=192.0.2.7",
    "SIP/2.0/UDP 10.0.0.1:65535;branch=z9hG4bKx;alias;rport=65535;received=192.0.2.7",
    "SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKnashds8",
)

USUAL_VIAS = st.builds(
    "SIP/{}/{} {}{}{};branch={}{}".format,
    st.sampled_from(["2.0", "2.0", "7.0", " 2.0"]),
    st.sampled_from(["UDP", "TCP", "TLS", "WS", "WSS", "tls", "SCTP", "UNKNOWN"]),
    st.one_of(
        HOSTS,
        st.sampled_from(["host1", "1host.a", "a.1", "1.2.3.04", "256.1.1.1", "a-1.b2c", "x" * 64, "255.255.255.255"]),
    ),
    st.sampled_from(["", ":5060", ":0", ":05060", ":65535", ":65536", ":99999", ":"]),
    st.sampled_from(["", ";rport", ";rport=1", ";rport=65536", ";RPORT", ";alias"]),
    TOKENS,
    st.lists(
        st.sampled_from(
            [";rport", ";rport=2", ";alias", ";received=192.0.2.1", ";received=::1", ";received=x", ";x=y", ";", " "]
        ),
        max_size=3,
    ).map("".join),
)


def parts(via: Via) -> tuple[object, ...]:
    """Everything that a Via is made of."""
    return via.protocol, via.transport, via.host, via.port, via.branch, dict(via.params), via._quoted


class ParseTests(SynchronousTestCase):
    """Text to parts."""

    def test_parts(self) -> None:
        """A Via has a transport, a sent-by and parameters (row:K8)."""
        via = parse_via("SIP/2.0/TLS Client.Atlanta.example:5061;branch=z9hG4bK74bf9;received=192.0.2.4;x=Y;Flag")
        self.assertEqual((via.protocol, via.transport), ("SIP/2.0", "TLS"))
        self.assertEqual(
            (via.host, via.port, via.sent_by), ("client.atlanta.example", 5061, "client.atlanta.example:5061")
        )
        self.assertEqual((via.branch, via.received), ("z9hG4bK74bf9", "192.0.2.4"))
        self.assertEqual(via.params["x"], "Y")
        self.assertEqual((via.asks_rport, via.rport, via.ttl, via.maddr), (False, None, None, None))
        self.assertIsNone(via.params["flag"])
        self.assertEqual(repr(parse_via(USUAL[0])), f"<Via {USUAL[0]!r}>")

    def test_usual_ones_are_written_as_they_came(self) -> None:
        """The shapes of everyday traffic are read the short way and written without a change."""
        for text in USUAL:
            via = parse_via(text)
            self.assertEqual(via._text, text)
            self.assertEqual(str(via), text)
            self.assertEqual(parts(via), parts(_parse_any_via(text)))

    def test_tortuous(self) -> None:
        """Blanks may stand around every separator (RFC 4475 section 3.1.1.1)."""
        via = parse_via("SIP  / 2.0  / TCP     spindle.example.com   ;   branch  =   z9hG4bK9ikj8  ")
        self.assertEqual((via.transport, via.host, via.branch), ("TCP", "spindle.example.com", "z9hG4bK9ikj8"))
        via = parse_via("\tSIP  /   2.0  /UDP     192.0.2.2\t:\t5060 ;branch=390skdjuw")
        self.assertEqual((via.protocol, via.sent_by, via.branch), ("SIP/2.0", "192.0.2.2:5060", "390skdjuw"))

    def test_transports_and_versions(self) -> None:
        """Any transport is legal, in any case; another version is for the start line to refuse (RFC 4475, 3.1.1.10)."""
        for transport in ("UDP", "SCTP", "TLS", "UNKNOWN", "TCP", "tls-sctp"):
            self.assertEqual(
                parse_via(f"SIP/2.0/{transport} t.example.com;branch=z9hG4bKx").transport, transport.upper()
            )
        self.assertEqual(parse_via("SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw").protocol, "SIP/7.0")

    def test_no_branch(self) -> None:
        """A Via of RFC 2543 has no branch."""
        via = parse_via("SIP/2.0/UDP iftgw.example.com")
        self.assertEqual((via.branch, dict(via.params)), (None, {}))

    def test_ipv6(self) -> None:
        """IPv6 stands in brackets in sent-by, and in received with brackets or without (RFC 5118 section 4.5)."""
        via = parse_via("SIP/2.0/UDP [2001:DB8::9:1]:6050;received=[2001:db8:0::9:255];branch=z9hG4bKas3-111")
        self.assertEqual((via.host, via.port, via.sent_by), ("2001:db8::9:1", 6050, "[2001:db8::9:1]:6050"))
        other = parse_via("SIP/2.0/UDP [2001:db8::9:1]:6050;received=2001:db8::9:255;branch=z9hG4bKas3-111")
        self.assertEqual(via.received, "2001:db8::9:255")
        self.assertEqual(via, other)
        self.assertEqual(hash(via), hash(other))
        mapped = parse_via("SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19")
        self.assertEqual(mapped.sent_by, "[::ffff:192.0.2.10]:19823")

    def test_sent_by(self) -> None:
        """One sender has one spelling, whatever it wrote (RFC 3261 section 18.1.2)."""
        spellings = ("[2001:DB8::1]:5060", "[2001:db8:0:0::1]:5060", "[2001:0db8::1] : 5060", "[2001:db8::1]:005060")
        found = {parse_via(f"SIP/2.0/TCP {spelling};branch=z9hG4bKx").sent_by for spelling in spellings}
        self.assertEqual(found, {"[2001:db8::1]:5060"})
        self.assertEqual(parse_via("SIP/2.0/TCP A.Example;branch=z9hG4bKx").sent_by, "a.example")

    def test_rport(self) -> None:
        """rport comes without a value and with one (RFC 3581)."""
        asked = parse_via("SIP/2.0/UDP a.example;branch=z9hG4bKx;rport")
        self.assertEqual((asked.asks_rport, asked.rport), (True, None))
        told = parse_via("SIP/2.0/UDP a.example;branch=z9hG4bKx;rport=05061;ttl=7;maddr=224.2.0.1")
        self.assertEqual((told.asks_rport, told.rport, told.ttl, told.maddr), (True, 5061, 7, "224.2.0.1"))

    def test_malformed(self) -> None:
        """What is no Via is malformed, with 400 (fault:A13, fault:A14)."""
        good = "SIP/2.0/UDP a.example;branch=z9hG4bKx"
        for text in (
            "",
            " ",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 a.example",
            "SIP/2.0/UDPa.example",
            "/2.0/UDP a.example",
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP a.example:",
            "SIP/2.0/UDP a.example:65536",
            "SIP/2.0/UDP a.example:-1",
            "SIP/2.0/UDP a.example:5060:5060",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP [2001:db8::1",
            "SIP/2.0/UDP [fe80::1%25lo]",
            "SIP/2.0/UDP a..example",
            "SIP/2.0/UDP 1.2.3",
            "SIP/2.0/UDP a b",
            "SIP/2.0/\u00dcDP a.example",
            "SIP/2.0/UDP \u212a.example",
            "SIP/2.0/UDP a.example;branch",
            "SIP/2.0/UDP a.example;branch=",
            f"{good};branch=z9hG4bKy",
            f"{good};rport=65536",
            f"{good};rport=-1",
            f"{good};rport=\u0661",
            f"{good};rport=99999999999999999999999999",
            f"{good};rport=1;rport=2",
            f"{good};ttl=256",
            f"{good};received=x y",
            f"{good};received=300.1.1.1",
            f"{good};maddr=[::",
            f"{good}, {good}",
            f"{good}\n",
            f"{good}\0",
            f"{good};x=\u2028",
            f"\u00a0{good}",
            'SIP/2.0/UDP a.example;branch="a b"',
        ):
            with self.subTest(ascii(text)):
                self.assertEqual(self.assertRaises(MalformedMessage, parse_via, text).status, 400)

    @settings(deadline=None)
    @given(st.one_of(USUAL_VIAS, *map(garbled, USUAL)))
    def test_both_ways_agree(self, text: str) -> None:
        """The short way for the usual shapes and the general one find the same parts, or the same fault."""
        try:
            general = _parse_any_via(text)
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)
            self.assertRaises(MalformedMessage, parse_via, text)
            return
        usual = parse_via(text)
        self.assertEqual(parts(usual), parts(general))
        self.assertEqual(str(usual), str(general))
        self.assertEqual(parse_via(str(usual)), usual)
        self.assertEqual(hash(parse_via(str(usual))), hash(usual))

    def test_linear_time(self) -> None:
        """Long Vias, right ones and wrong ones, take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                str(parse_via(text))
            except MalformedMessage:
                return

        for start in (
            "",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP a.example",
            "SIP/2.0/UDP a.example;branch=",
            "SIP/2.0/UDP a.example;rport;",
        ):
            for unit in ("a", "a.", "a-", "1.", " ", ";", ";a=b", ":", "/", ";rport", ";alias", "[", '"'):
                for end in ("", ";branch=x", "\n"):
                    assert_linear(
                        self,
                        attempt,
                        lambda size, start=start, unit=unit, end=end: f"{start}{unit * (size // len(unit))}{end}",
                    )


class BuildTests(SynchronousTestCase):
    """Parts to text."""

    def test_building(self) -> None:
        """A Via of ours is written as the wire has it."""
        via = Via("tls", "A.Example", 5061, {"Branch": "z9hG4bKx", "rport": None, "x": "a b"})
        self.assertEqual(str(via), 'SIP/2.0/TLS a.example:5061;branch=z9hG4bKx;rport;x="a b"')
        self.assertEqual(via.branch, "z9hG4bKx")
        self.assertEqual(parse_via(str(via)), via)
        self.assertEqual(str(Via("UDP", "2001:db8::1")), "SIP/2.0/UDP [2001:db8::1]")
        self.assertNotEqual(via, str(via))

    def test_what_makes_no_via(self) -> None:
        """Parts that make no Via are refused (fault:B1)."""
        for arguments in (
            ("", "a.example"),
            ("T LS", "a.example"),
            ("TLS\r\n", "a.example"),
            ("TLS", ""),
            ("TLS", "a b"),
            ("TLS", "a.example\n"),
            ("TLS", "a.example;x"),
            ("TLS", "a.example", 65536),
            ("TLS", "a.example", -1),
            ("TLS", "a.example", 1, {"branch": ""}),
            ("TLS", "a.example", 1, {"branch": None}),
            ("TLS", "a.example", 1, {"branch": "a b"}),
            ("TLS", "a.example", 1, {"x": "\n"}),
            ("TLS", "a.example", 1, {"rport": "x"}),
            ("TLS", "a.example", 1, {"received": "x y"}),
            ("TLS", "a.example", 1, {"ttl": "256"}),
            ("TLS", "a.example", 1, {"x\n": None}),
            ("TLS", "a.example", 1, None, "SIP"),
            ("TLS", "a.example", 1, None, "SIP/2.0\n"),
        ):
            with self.subTest(ascii(arguments)):
                self.assertRaises(ValueError, Via, *arguments)

    @settings(deadline=None)
    @given(
        st.one_of(TOKENS, NASTY_TEXT),
        st.one_of(HOSTS, NASTY_TEXT),
        st.none() | st.integers(-1, 65536),
        st.dictionaries(
            st.one_of(TOKENS, st.sampled_from(["branch", "rport", "received"])),
            st.none() | NASTY_TEXT | TOKENS,
            max_size=3,
        ),
    )
    def test_any_parts(self, transport: str, host: str, port: int | None, params: dict[str, str | None]) -> None:
        """Any parts make a Via that reads back the same, or a ValueError (fault:B1)."""
        try:
            via = Via(transport, host, port, params)
        except ValueError:
            return
        again = parse_via(str(via))
        self.assertEqual(again, via)
        self.assertEqual(again.branch, via.branch)

    def test_source(self) -> None:
        """A copy says where its request came from, whatever the sender claimed (RFC 3581 section 4)."""
        via = parse_via('SIP/2.0/UDP a.example;received=192.0.2.99;rport;branch=z9hG4bKx;x="y z"')
        stamped = via.with_source("192.0.2.1", 40000)
        self.assertEqual((stamped.received, stamped.rport), ("192.0.2.1", 40000))
        self.assertEqual(str(stamped), 'SIP/2.0/UDP a.example;received=192.0.2.1;rport=40000;branch=z9hG4bKx;x="y z"')
        self.assertEqual((via.received, via.rport), ("192.0.2.99", None))
        six = parse_via("SIP/2.0/TCP a.example;branch=z9hG4bKx").with_source("2001:db8::1")
        self.assertEqual(str(six), "SIP/2.0/TCP a.example;branch=z9hG4bKx;received=2001:db8::1")
        self.assertEqual(parse_via(str(six)), six)
