"""Tests of what is written into a request's Via when it arrives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.fields import split_values
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.source import answer_hop, stamp_source
from sip_p2p.sip.via import parse_via
from tests.sip.harness import message
from tests.support import SynchronousTestCase

HOSTS = st.sampled_from(["192.0.2.1", "2001:db8::1", "::1"])
VIAS = st.builds(
    "SIP/2.0/{} {}{}{};branch=z9hG4bKx{}".format,
    st.sampled_from(["UDP", "TLS", "tls"]),
    st.sampled_from(["peer.example:5061", "PEER.example", "192.0.2.9", "[::1]:5060", "report.received.example"]),
    st.sampled_from(["", ";rport", ";rport=9", ";RPort", " ; rport", ";rport="]),
    st.sampled_from(["", ";alias", ';x="a,b;rport;received=1.2.3.4"', ";report=1", ";x=received"]),
    st.lists(
        st.sampled_from(
            [";rport", ";rPORT", ";alias", ";received=203.0.113.9", ";ReceiveD=203.0.113.9", " ;x=y", ";ttl=1"]
        ),
        max_size=2,
    ).map("".join),
)


def request_with(*vias: str) -> Request:
    """A request that came by these Via fields."""
    request = parse_message(message(replace={"Via": "\r\nVia: ".join(vias)}))
    assert isinstance(request, Request)
    return request


class StampTests(SynchronousTestCase):
    """RFC 3261 section 18.2.1 and RFC 3581 section 4."""

    def stamp(self, via: str, host: str = "192.0.2.1", port: int = 4444) -> str:
        """The Via after the request came from *host* and *port*."""
        request = request_with(via)
        stamp_source(request, host, port)
        return request.headers["Via"]

    def test_received_is_always_there(self) -> None:
        """received tells the true source address, also where sent-by names it already (row:E29)."""
        self.assertEqual(
            self.stamp("SIP/2.0/TLS peer.example:5061;branch=z9hG4bKx"),
            "SIP/2.0/TLS peer.example:5061;branch=z9hG4bKx;received=192.0.2.1",
        )
        self.assertEqual(parse_via(self.stamp("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")).received, "192.0.2.1")
        self.assertEqual(parse_via(self.stamp("SIP/2.0/UDP h;branch=z9hG4bKx", "2001:db8::1")).received, "2001:db8::1")

    def test_rport_when_asked_for(self) -> None:
        """rport is filled in where the client asked for it, wherever it stands, and nowhere else (row:E29,
        fault:I4)."""
        for via in (
            "SIP/2.0/UDP h;rport;branch=z9hG4bKx",
            "SIP/2.0/UDP h;branch=z9hG4bKx;rport",
            "SIP/2.0/UDP h;branch=z9hG4bKx;rport=1",
            "SIP/2.0/UDP h;branch=z9hG4bKx;RPORT",
            "SIP/2.0/UDP h;branch=z9hG4bKx;rPort",
            "SIP/2.0/UDP h ; rport ; branch=z9hG4bKx",
        ):
            stamped = parse_via(self.stamp(via))
            self.assertEqual((stamped.rport, stamped.received), (4444, "192.0.2.1"), via)
        self.assertIsNone(parse_via(self.stamp("SIP/2.0/UDP h;branch=z9hG4bKx;report")).rport)

    def test_examples(self) -> None:
        """The examples of RFC 3261 section 18.2.1 and RFC 3581 section 6 (row:E29)."""
        self.assertEqual(
            self.stamp("SIP/2.0/UDP bobspc.biloxi.com:5060", "192.0.2.4", 5060),
            "SIP/2.0/UDP bobspc.biloxi.com:5060;received=192.0.2.4",
        )
        stamped = self.stamp("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff", "192.0.2.1", 9988)
        self.assertEqual(
            parse_via(stamped),
            parse_via("SIP/2.0/UDP 10.1.1.1:4540;received=192.0.2.1;rport=9988;branch=z9hG4bKkjshdyff"),
        )

    def test_what_the_peer_claims_is_replaced(self) -> None:
        """A received or rport that the peer itself wrote is replaced, in any capitals (row:E29, fault:I4)."""
        for name in ("received", "Received", "RECEIVED", "ReCeIvEd"):
            stamped = parse_via(self.stamp(f"SIP/2.0/TLS h;branch=z9hG4bKx;{name}=203.0.113.9;rport=9"))
            self.assertEqual((stamped.received, stamped.rport), ("192.0.2.1", 4444), name)

    def test_the_request_tells_the_same(self) -> None:
        """What the request's parsed Via tells an application is the true source, not what the peer claims (row:E29,
        fault:I4)."""
        for via in (
            "SIP/2.0/TLS h;rport;branch=z9hG4bKx",
            "SIP/2.0/TLS h;branch=z9hG4bKx;received=203.0.113.9;rport=9",
            "SIP/2.0/TLS h;branch=z9hG4bKx;x=1;rport",
            "SIP/2.0/TLS h;branch=z9hG4bKx;rport, SIP/2.0/TLS i;branch=z9hG4bKy",
        ):
            request = request_with(via)
            self.assertEqual(request.via.branch, "z9hG4bKx")
            stamp_source(request, "192.0.2.1", 4444)
            self.assertEqual((request.via.received, request.via.rport), ("192.0.2.1", 4444), via)

    def test_only_the_topmost(self) -> None:
        """Only the topmost Via is written to; those below it stay as they came (RFC 3261 section 18.2.1)."""
        below = "SIP/2.0/UDP i;branch=z9hG4bKy;received=203.0.113.9"
        request = request_with("SIP/2.0/TLS h;branch=z9hG4bKx", below)
        stamp_source(request, "192.0.2.1", 4444)
        self.assertEqual(request.headers.get_all("Via"), ["SIP/2.0/TLS h;branch=z9hG4bKx;received=192.0.2.1", below])
        listed = request_with(f"SIP/2.0/TLS h;branch=z9hG4bKx, {below}")
        stamp_source(listed, "192.0.2.1", 4444)
        self.assertEqual(split_values(listed.headers["Via"])[1], below)

    def test_unreadable(self) -> None:
        """A Via that cannot be read is MalformedMessage, and is left as it was."""
        request = request_with("SIP/2.0/TLS")
        with self.assertRaises(MalformedMessage):
            stamp_source(request, "192.0.2.1", 4444)
        self.assertEqual(request.headers["Via"], "SIP/2.0/TLS")

    @settings(max_examples=150, deadline=None)
    @given(VIAS, HOSTS, st.integers(1, 65535))
    def test_any_via(self, text: str, host: str, port: int) -> None:
        """Whatever the shape, the result reads back with the true source and everything else as it was (row:E29)."""
        request = request_with(text)
        try:
            before = parse_via(text)
        except MalformedMessage:
            return
        stamp_source(request, host, port)
        after = parse_via(request.headers["Via"])
        self.assertEqual(after, request.via)
        self.assertEqual((after.received, after.rport), (host, port if before.asks_rport else None))
        for via in (before, after):
            self.assertEqual(
                (via.transport, via.sent_by, via.branch), (before.transport, before.sent_by, before.branch)
            )
        others = {name: value for name, value in before.params.items() if name not in ("received", "rport")}
        self.assertEqual({name: after.params[name] for name in others}, others)


class Answering(Flow):
    """A flow that answers an offer of keep-alives."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        super().__init__("UDP", False, "us.example", "192.0.2.1", 4444)
        self.asked: list[str] = []

    def answer_via(self, text: str) -> str:
        self.asked.append(text)
        return text.replace(";keep", ";keep=30")


class AnswerTests(SynchronousTestCase):
    """What a flow says to an offer in the top Via (RFC 6223, RFC 7339)."""

    def test_the_flow_answers(self) -> None:
        """The flow reads the peer's own Via and no other, and what it makes of it is what every response repeats
        (row:E17, RFC 6223 section 4.4)."""
        flow = Answering()
        below = "SIP/2.0/UDP i;branch=z9hG4bKy;keep"
        request = request_with("SIP/2.0/UDP h;branch=z9hG4bKx;keep", below)
        answer_hop(request, flow)
        self.assertEqual(request.headers.get_all("Via"), ["SIP/2.0/UDP h;branch=z9hG4bKx;keep=30", below])
        self.assertEqual(request.via.params["keep"], "30")
        listed = request_with(f"SIP/2.0/UDP h;branch=z9hG4bKx;keep, {below}")
        answer_hop(listed, flow)
        self.assertEqual(listed.headers["Via"], f"SIP/2.0/UDP h;branch=z9hG4bKx;keep=30, {below}")
        self.assertEqual(flow.asked, ["SIP/2.0/UDP h;branch=z9hG4bKx;keep"] * 2)

    def test_a_flow_without_an_opinion(self) -> None:
        """Where the flow says nothing the Via stays as it came (row:E17)."""
        request = request_with("SIP/2.0/UDP h;branch=z9hG4bKx;keep")
        via = request.via
        answer_hop(request, Flow("UDP", False, "us.example", "192.0.2.1", 4444))
        self.assertEqual(request.headers["Via"], "SIP/2.0/UDP h;branch=z9hG4bKx;keep")
        self.assertIs(request.via, via)
