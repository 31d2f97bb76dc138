"""Tests of the bounds on one message."""

from __future__ import annotations

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.framing import StreamFramer
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import Unparsable, parse_datagram, parse_message
from tests.manual import ROOT
from tests.sip.harness import message
from tests.support import SynchronousTestCase


class LimitTests(SynchronousTestCase):
    """Names, defaults, and what is refused."""

    def test_defaults(self) -> None:
        """Every bound has a name and a default that is documented (row:E21)."""
        limits = MessageLimits()
        found = {name: getattr(limits, name) for name in MessageLimits.__slots__}
        self.assertEqual(
            found,
            {
                "body": 49152,
                "fields": 128,
                "head": 16384,
                "line": 4096,
                "message": 65536,
                "params": 70,
                "routes": 64,
                "vias": 64,
            },
        )
        documented = MessageLimits.__doc__ or ""
        self.assertEqual([name for name in found if f":ivar {name}:" not in documented], [])

    def test_what_is_no_bound(self) -> None:
        """A bound below 1, and a head that could not hold one line, are a ValueError that names the bound (row:M4)."""
        for name in MessageLimits.__slots__:
            for value in (0, -1):
                with self.assertRaises(ValueError) as caught:
                    MessageLimits(**{name: value})
                self.assertIn(repr(name), str(caught.exception))
        with self.assertRaises(ValueError):
            MessageLimits(head=100, line=101)
        self.assertEqual(MessageLimits(head=100, line=100).head, 100)

    def test_bounds_are_exact(self) -> None:
        """What is as large as its bound passes, one octet more does not, in a datagram as on a stream (row:E21,
        fault:A7)."""
        body = message(body=b"x" * 100)
        many = message(extra="\r\nX-Night: 1" * 3)
        via = message(extra="\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKy" * 2)
        route = message(extra="\r\nRoute: <sip:a;lr>" * 2)
        params = message(extra='\r\nContact: <sip:a;b;c>;d, <sip:a;b>;c;d;e="x;y;z"')
        uri = message("OPTIONS", "sip:a@b.example;c;d;e;f=g")
        head = len(message()) - len(b"\r\n\r\n")
        field = message(extra="\r\nX-Night: " + "n" * 300)
        for octets, name, exact, status in (
            (body, "body", 100, 413),
            (body, "message", len(body), 513),
            (many, "fields", 10, 400),
            (via, "vias", 3, 400),
            (route, "routes", 2, 400),
            (params, "params", 4, 400),
            (uri, "params", 4, 400),
            (message(), "head", head, 513),
            (field, "line", 309, 400),
        ):
            base = {"head": 16384, "line": 100} if name == "head" else {}
            fits = MessageLimits(**{**base, name: exact})
            self.assertIsInstance(parse_message(octets, fits), Request, name)
            tight = MessageLimits(**{**base, name: exact - 1})
            with self.assertRaises(MalformedMessage) as caught:
                parse_message(octets, tight)
            self.assertEqual(caught.exception.status, status, name)
            refused = parse_datagram(octets, tight)
            assert isinstance(refused, Unparsable)
            self.assertEqual(refused.error.status, status, name)
            (framed,) = StreamFramer(fits).feed(octets)
            self.assertIsInstance(framed, Request, name)
            (framed, *_) = StreamFramer(tight).feed(octets)
            assert isinstance(framed, Unparsable), name
            self.assertEqual(framed.error.status, status, name)

    def test_what_are_no_parameters(self) -> None:
        """A semicolon in free text, in quotes or in a field that nobody here reads is no parameter, and the longest
        request of RFC 4475 is within every bound (row:E21)."""
        semicolons = ";" * 200
        for extra in (f"Subject: {semicolons}", f"X-Night: {semicolons}", f'Contact: "{semicolons}" <sip:a>'):
            self.assertIsInstance(parse_message(message(extra=f"\r\n{extra}")), Request)
        longest = parse_message((ROOT / "tests/data/rfc4475/longreq.dat").read_bytes())
        self.assertEqual(len(list(longest.vias())), 34)
