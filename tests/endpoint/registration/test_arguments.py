"""Tests of :mod:`sip_p2p.endpoint.registration.arguments`."""

from __future__ import annotations

from typing import Any, cast

from sip_p2p import ProxyConnector, SipUri
from sip_p2p.endpoint.registration.arguments import (
    LONGEST_SET,
    check_register_arguments,
    outbound_proxies,
    register_order,
    registrar_uri,
)
from tests.support import SynchronousTestCase

ALICE = SipUri.parse("sip:alice@example.com")


class ArgumentTests(SynchronousTestCase):
    """What may be said of a registration."""

    def test_registrar(self) -> None:
        """The Request-URI is a domain without a user, that of the owner unless another one is said (RFC 3261 section
        10.2)."""
        for given, expected in (
            (None, "sip:example.com"),
            ("sip:registrar.example.com", "sip:registrar.example.com"),
            ("registrar.example.com", "sip:registrar.example.com"),
            ("sip:alice@example.com;transport=tcp", "sip:example.com;transport=tcp"),
            (SipUri.parse("sips:example.com:5071"), "sips:example.com:5071"),
        ):
            self.assertEqual(str(registrar_uri(given, ALICE)), expected)
        secure = SipUri.parse("sips:alice@example.com;user=phone")
        self.assertEqual(str(registrar_uri(None, secure)), "sips:example.com")
        # RFC 5630 section 5.2: a sips Contact is bound where the Request-URI is sips.
        self.assertEqual(str(registrar_uri("registrar.example.com", secure)), "sips:registrar.example.com")
        self.assertRaises(ValueError, registrar_uri, "mailto:alice@example.com", ALICE)

    def test_proxies(self) -> None:
        """The proxies are one at least, eight at most, and each another one (RFC 5626 section 4.2.1)."""
        connector = ProxyConnector.parse("tcp:one.example")
        self.assertEqual(outbound_proxies([connector, "two.example"])[0], connector)
        many = [f"p{number}.example" for number in range(LONGEST_SET + 1)]
        for wrong in ([], many, ["one.example", "tls:one.example:5061"], ["http://x"]):
            self.assertRaises(ValueError, outbound_proxies, wrong)
        self.assertRaises(TypeError, outbound_proxies, "one.example")

    def test_checked(self) -> None:
        """What is no argument is refused at once, with those that there are."""
        check_register_arguments({"gruu": "off", "outbound": False})
        with self.assertRaisesRegex(TypeError, "keep_trying"):
            check_register_arguments(cast("Any", {"registrer": 1}))
        self.assertRaises(ValueError, check_register_arguments, {"gruu": "yes"})

    def test_order(self) -> None:
        """What is said is what is asked."""
        order = register_order(SipUri.parse("sip:example.com"), ALICE, "<sip:alice@example.com>", [], 60, {})
        self.assertEqual(
            (order.expires, order.use_outbound, order.use_gruu, order.keeps_trying), (60, True, True, False)
        )
        said: Any = {"outbound": False, "gruu": "off", "keep_trying": True}
        order = register_order(SipUri.parse("sip:example.com"), ALICE, "<sip:alice@example.com>", [], 60, said)
        self.assertEqual((order.use_outbound, order.use_gruu, order.keeps_trying), (False, False, True))
