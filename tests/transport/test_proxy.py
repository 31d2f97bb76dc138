"""The outbound proxy: how it is written, and which hop a request takes to it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.fields import parse_name_addrs
from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.proxy import ProxyConnector, route_value
from sip_p2p.transport.target import Target, Transport


class ParseTests(SynchronousTestCase):
    """:meth:`sip_p2p.transport.proxy.ProxyConnector.parse`."""

    def test_forms(self) -> None:
        """A proxy is a host, a host and port, or these after a transport; TLS unless it says otherwise (row:A6)."""
        for text, expected in (
            ("proxy.example", Target("tls", "proxy.example")),
            ("proxy.example:5071", Target("tls", "proxy.example", 5071)),
            ("tcp:proxy.example", Target("tcp", "proxy.example")),
            ("UDP:proxy.example:5070", Target("udp", "proxy.example", 5070)),
            (" tls:10.0.0.7:5071 ", Target("tls", "10.0.0.7", 5071)),
            ("[2001:db8::7]", Target("tls", "2001:db8::7")),
            ("2001:db8::7", Target("tls", "2001:db8::7")),
            ("tls:[2001:db8::7]:5071", Target("tls", "2001:db8::7", 5071)),
            ("PROXY.example", Target("tls", "proxy.example")),
            ("bücher.example", Target("tls", "xn--bcher-kva.example")),
        ):
            proxy = ProxyConnector.parse(text)
            self.assertEqual(proxy.target, expected, text)
            self.assertIsNone(proxy.endpoint)
            self.assertEqual(proxy.target.has_port, expected.has_port, text)

    def test_certificate_name(self) -> None:
        """What the proxy's certificate must prove can be another name than its host's; without TLS it has no meaning
        (row:A7)."""
        proxy = ProxyConnector.parse("tls:10.0.0.7:5061", "Proxy.Example")
        self.assertEqual((proxy.target.host, proxy.target.name), ("10.0.0.7", "proxy.example"))
        self.assertEqual(ProxyConnector.parse("proxy.example").target.name, "proxy.example")
        self.assertRaises(ValueError, ProxyConnector.parse, "tcp:10.0.0.7", "proxy.example")
        for name in ("not a name", "", "*.example", "a\r\nb"):
            self.assertIn(
                "certificate", str(self.assertRaises(ValueError, ProxyConnector.parse, "tls:p.example", name))
            )

    def test_what_is_none(self) -> None:
        """What is no proxy is told what one looks like, in one line (row:M4)."""
        for text in (
            "",
            "tls:",
            ":5060",
            "proxy.example:",
            "proxy.example:http",
            "proxy.example:65536",
            "proxy.example:0",
            "proxy.example:٥",
            "tls:a:b:c",
            "[2001:db8::7",
            "[2001:db8::7]5061",
            "[2001:db8::7]:",
            "sip:proxy.example",
            "proxy example",
            "proxy.example>;x=<y",
            "proxy.example\r\nRoute: x",
            "*.example",
        ):
            message = str(self.assertRaises(ValueError, ProxyConnector.parse, text))
            self.assertIn("is not a proxy", message, text)
            self.assertNotIn("\n", message)


class HopTests(SynchronousTestCase):
    """Which way a request takes to the proxy."""

    def test_never_less_than_asked_for(self) -> None:
        """A request that needs TLS upgrades the hop to the proxy; one that does not never downgrades it (row:A5,
        RFC 5630 section 4)."""
        secure, clear = ProxyConnector.parse("proxy.example"), ProxyConnector.parse("tcp:proxy.example")
        for wanted in Transport:
            self.assertEqual(secure.first_hop(wanted), Target("tls", "proxy.example"))
        for wanted in (Transport.TLS, Transport.WSS):
            self.assertEqual(clear.first_hop(wanted), Target("tls", "proxy.example", 5061))
        for wanted in (Transport.UDP, Transport.TCP, Transport.WS):
            self.assertEqual(clear.first_hop(wanted), Target("tcp", "proxy.example", 5060))
        browser = ProxyConnector.parse("ws:proxy.example")
        self.assertEqual(browser.first_hop(Transport.TLS), Target("wss", "proxy.example", 443))
        self.assertEqual(browser.first_hop(Transport.TCP), browser.target)

    def test_upgrade_to_another_name(self) -> None:
        """The upgraded hop keeps the port that was given, and the name to be proved is the proxy's (row:A5, row:A7)."""
        proxy = ProxyConnector(Target("tcp", "10.0.0.7", 5080, "proxy.example"))
        self.assertEqual(proxy.first_hop(Transport.TLS), Target("tls", "10.0.0.7", 5080, "proxy.example"))

    def test_datagrams_cannot_be_upgraded(self) -> None:
        """TLS through a proxy that is configured for UDP is refused, not sent in clear (row:A5)."""
        proxy = ProxyConnector.parse("udp:proxy.example")
        self.assertEqual(proxy.first_hop(Transport.UDP), proxy.target)
        self.assertRaises(InvalidOperation, proxy.first_hop, Transport.TLS)

    def test_route(self) -> None:
        """The Route value is a loose router's: host, port if one was given, transport and lr (row:A6,
        RFC 3261 section 8.1.2)."""
        for text, route in (
            ("proxy.example", "<sip:proxy.example;transport=tls;lr>"),
            ("tcp:proxy.example:5070", "<sip:proxy.example:5070;transport=tcp;lr>"),
            ("udp:[2001:db8::7]:5070", "<sip:[2001:db8::7]:5070;transport=udp;lr>"),
        ):
            proxy = ProxyConnector.parse(text)
            self.assertEqual(proxy.route, route)
            self.assertEqual(route_value(proxy.target), route)
            (parsed,) = parse_name_addrs(route, "Route")
            assert isinstance(parsed.uri, SipUri)
            self.assertTrue(parsed.uri.lr)
            self.assertEqual(
                (parsed.uri.host, parsed.uri.port or proxy.target.port), (proxy.target.host, proxy.target.port)
            )

    def test_route_of_a_sips_request(self) -> None:
        """Beside a sips Request-URI the Route is a sips URI, which needs no transport for TLS (RFC 5630 section
        5.1.1)."""
        for text, route in (
            ("proxy.example", "<sips:proxy.example;lr>"),
            ("tls:[2001:db8::7]:5071", "<sips:[2001:db8::7]:5071;lr>"),
            ("wss:proxy.example", "<sips:proxy.example;transport=ws;lr>"),
        ):
            self.assertEqual(route_value(ProxyConnector.parse(text).target, is_sips=True), route)
