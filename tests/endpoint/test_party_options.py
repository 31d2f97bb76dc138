"""The arguments that a party is made with."""

from __future__ import annotations

import uuid

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sip_p2p import ProxyConnector, SipUri, Target, Transport, __version__
from sip_p2p.endpoint.party_options import (
    compose_user_agent,
    name_addr,
    parse_call_id,
    parse_info_packages,
    parse_instance_id,
    parse_methods,
    parse_option_tags,
    parse_owner,
    parse_proxy,
    parse_transport,
)


@implementer(IStreamClientEndpoint)
class _ClientEndpoint:
    """A client endpoint that is never used."""

    def connect(self, factory: object) -> None:
        """Connect to nothing."""


class OptionTests(SynchronousTestCase):
    """Values in, values out."""

    def test_owner(self) -> None:
        """An address of record is a URI without a port and without header fields; parameters stay (row:A2)."""
        self.assertEqual(parse_owner("sip:alice@a.example"), SipUri.parse("sip:alice@a.example"))
        self.assertEqual(str(parse_owner("alice@a.example")), "sip:alice@a.example")
        self.assertEqual(parse_owner("sips:a.example;x=1").user, None)
        for wrong, words in (("sip:a@b:1", "start_listening"), ("sip:a@b?c=d", "header fields"), ("tel:+1", "domain")):
            with self.assertRaises(ValueError) as caught:
                parse_owner(wrong)
            self.assertIn(words, str(caught.exception))

    def test_transport(self) -> None:
        """The manager's own kind of transport is the default; a name may be in any case (row:A4)."""
        self.assertIs(parse_transport(None, "tls"), Transport.TLS)
        self.assertIs(parse_transport("Udp", "tls"), Transport.UDP)
        self.assertIs(parse_transport(Transport.TCP, "tls"), Transport.TCP)
        with self.assertRaises(ValueError):
            parse_transport("", "tls")

    def test_proxy(self) -> None:
        """A proxy is text, a connector, or a client endpoint that is given the name it must prove (row:A6, row:A7)."""
        self.assertIsNone(parse_proxy(None, None, Transport.TLS))
        made = parse_proxy("p.example", "q.example", Transport.TCP)
        assert made is not None
        self.assertEqual((made.target, made.endpoint), (Target("tls", "p.example", None, "q.example"), None))
        self.assertIs(parse_proxy(made, None, Transport.TLS), made)
        endpoint = _ClientEndpoint()
        through = parse_proxy(endpoint, "q.example", Transport.TLS)
        assert through is not None
        self.assertIs(through.endpoint, endpoint)
        self.assertEqual(through.target.name, "q.example")

    def test_wrong_proxies(self) -> None:
        """A certificate name without a proxy, with a connector, or missing for a client endpoint is a ValueError."""
        for given, name in (
            (None, "q.example"),
            (ProxyConnector.parse("p.example"), "q.example"),
            (_ClientEndpoint(), None),
            ("p.example:0", None),
            ("tcp:p.example", "q.example"),
        ):
            with self.assertRaises(ValueError):
                parse_proxy(given, name, Transport.TLS)
        with self.assertRaises(TypeError):
            parse_proxy(b"p.example", None, Transport.TLS)  # type: ignore[arg-type]

    def test_option_tags(self) -> None:
        """An option tag is a token, and its case counts for nothing (row:A19, fault:B1)."""
        self.assertEqual(parse_option_tags(["100rel", "X-Night"]), ["100rel", "x-night"])
        for wrong in ("", "a b", "a,b", "a\r\nX: y"):
            with self.assertRaises(ValueError):
                parse_option_tags([wrong])

    def test_call_id(self) -> None:
        """A Call-ID is a word, or two around an @ (section 25.1, row:H2)."""
        for given in ("a", "f81d4fae-7dec@gate.example", "<a>{b}[c]?"):
            self.assertEqual(parse_call_id(given), given)
        for wrong in ("", "a b", "a@b@c", "@a", "a@", "a\r\nb", "\u00e9"):
            with self.assertRaises(ValueError):
                parse_call_id(wrong)

    def test_methods_and_packages(self) -> None:
        """Methods and Info Packages are tokens (section 7.1, RFC 6086, row:H25)."""
        self.assertEqual(parse_methods(["INFO", "DANCE", "INFO"]), frozenset(("INFO", "DANCE")))
        self.assertEqual(parse_info_packages(["dtmf", "x-Night"]), ("dtmf", "x-Night"))
        for wrong in ("", "a b", "a,b", "a\r\nb"):
            for parse in (parse_methods, parse_info_packages):
                with self.assertRaises(ValueError):
                    parse([wrong])

    def test_from(self) -> None:
        """A display name stands in quotes that it cannot end; without one there are only angle brackets (row:A13,
        fault:B3)."""
        self.assertEqual(name_addr("", "sip:a@b"), "<sip:a@b>")
        self.assertEqual(name_addr('A" <sip:evil@c>', "sip:a@b"), '"A\\" <sip:evil@c>" <sip:a@b>')

    def test_user_agent(self) -> None:
        """User-Agent names the stack and then the application; the empty string leaves it out; no line can be added
        (row:A14, fault:B1)."""
        self.assertEqual(compose_user_agent(None), f"sip_p2p/{__version__}")
        self.assertEqual(compose_user_agent("pager/2"), f"sip_p2p/{__version__} pager/2")
        self.assertEqual(compose_user_agent(""), "")
        for wrong in ("a\r\nb: c", "a\nb", "a\0b"):
            with self.assertRaises(ValueError):
                compose_user_agent(wrong)

    def test_instance_id(self) -> None:
        """An instance id is the URN of a UUID in one spelling; each new one is its own (row:A9)."""
        given = "urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"
        self.assertEqual(parse_instance_id(given), given.lower())
        self.assertEqual(parse_instance_id(given.removeprefix("urn:uuid:")), given.lower())
        fresh = {parse_instance_id(None) for _ in range(8)}
        self.assertEqual(len(fresh), 8)
        for each in fresh:
            self.assertEqual(uuid.UUID(each.removeprefix("urn:uuid:")).version, 4)
        with self.assertRaises(ValueError):
            parse_instance_id("urn:uuid:1")
