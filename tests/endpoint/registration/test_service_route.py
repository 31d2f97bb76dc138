"""Tests of :mod:`sip_p2p.endpoint.registration.service_route`."""

from __future__ import annotations

from sip_p2p import Target, Transport
from sip_p2p.endpoint.registration.service_route import ServiceRoute
from tests.support import SynchronousTestCase


class ServiceRouteTests(SynchronousTestCase):
    """The proxies that a registrar wants our requests to go by (RFC 3608 section 6.1)."""

    def test_first_hop(self) -> None:
        """Its first value is where a request goes first, with TLS where the registrar was heard over TLS, or the
        request asks for it."""
        for value, is_secure, asks, expected in (
            ("<sip:p.example;lr>", False, False, Target("TCP", "p.example")),
            ("<sip:p.example;lr>", True, False, Target("TLS", "p.example")),
            ("<sip:p.example;lr>", False, True, Target("TLS", "p.example")),
            ("<sip:p.example:5070;transport=udp;lr>", False, False, Target("UDP", "p.example", 5070)),
            ("<sip:p.example:5070;transport=udp;lr>", True, False, Target("TLS", "p.example", 5070)),
            ("<sip:p.example;transport=wss;lr>", True, False, Target("WSS", "p.example")),
            ("<sips:p.example;lr>", False, False, Target("TLS", "p.example")),
            # RFC 7118 section 8.2: so it is written over WSS.
            ("<sip:p.example:443;transport=ws;lr>", True, False, Target("WSS", "p.example", 443)),
            ("<sip:p.example:8080;transport=ws;lr>", False, False, Target("WS", "p.example", 8080)),
            ("<sips:p.example;transport=ws;lr>", False, True, Target("WSS", "p.example")),
        ):
            route = ServiceRoute((value, "<sip:q.example;lr>"), is_secure)
            self.assertEqual(route.first_hop(Transport.TCP, asks), expected, value)

    def test_to_sips(self) -> None:
        """For a request to a sips URI each value is a sips URI, and nothing else of it changes (RFC 5630 section
        5.1.1)."""
        values = (
            "<sip:x@p.example:5070;transport=udp;lr>",
            '"Q" <sip:q.example;lr;b=2>;c=d',
            "<sips:r.example;transport=ws;lr>",
        )
        route = ServiceRoute(values, False).to_sips()
        expected = ("<sips:x@p.example:5070;lr>", '"Q" <sips:q.example;lr;b=2>;c=d', "<sips:r.example;transport=ws;lr>")
        self.assertEqual(route.values, expected)
        self.assertEqual(route.first_hop(Transport.TCP, True), Target("TLS", "p.example", 5070))

    def test_wrong_transport(self) -> None:
        """A transport that there is not leads nowhere."""
        route = ServiceRoute(("<sip:p.example;transport=carrier-pigeon;lr>",), False)
        self.assertRaises(ValueError, route.first_hop, Transport.TLS, False)

    def test_after_the_proxy(self) -> None:
        """A first value that is the outbound proxy itself does not stand there twice."""
        values = ("<sip:P.example:5061;lr>", "<sip:q.example;lr>")
        route = ServiceRoute(values, True)
        self.assertEqual(route.after(Target("TLS", "p.example")), values[1:])
        self.assertEqual(route.after(Target("TLS", "192.0.2.1", 5061, "p.example")), values[1:])
        self.assertEqual(route.after(Target("TLS", "p.example", 5071)), values)
        self.assertEqual(route.after(Target("TLS", "other.example")), values)
