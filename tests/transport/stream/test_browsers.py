"""Names that browsers have made up, and whose they are."""

from __future__ import annotations

from typing import Any

from sip_p2p.sip.uri import SipUri, parse_uri
from sip_p2p.transport.stream.browsers import Browsers
from sip_p2p.transport.target import Target, Transport, target_of
from tests.support import SynchronousTestCase


class FakeFlow:
    """As much of a flow as counts here."""

    def __init__(self, transport: str, host: str, peer: str = "") -> None:
        self.transport = transport
        self.remote_host = host
        self.peer = peer
        self.is_open = True

    @property
    def is_secure(self) -> bool:
        return self.transport == "WSS"


class BrowsersTests(SynchronousTestCase):
    """Who gets a name, and what leads to it."""

    def setUp(self) -> None:
        self.browsers = Browsers()

    def learn(self, flow: Any, name: str = "x.invalid") -> bool:
        return self.browsers.learn(flow, name)

    def find(self, transport: str = "WS", name: str = "x.invalid") -> object:
        return self.browsers.find(Target(transport, name))

    def test_one_flow(self) -> None:
        """A name leads to the flow on which it was said, until that is gone or has another (row:C15)."""
        flow = FakeFlow("WS", "10.0.0.1")
        self.assertIsNone(self.find())
        self.assertTrue(self.learn(flow))
        self.assertTrue(self.learn(flow))
        self.assertIs(self.find(), flow)
        self.assertTrue(self.learn(flow, "y.invalid"))
        self.assertEqual((self.find(), self.find(name="y.invalid")), (None, flow))
        self.browsers.forget(flow)  # type: ignore[arg-type]
        self.browsers.forget(flow)  # type: ignore[arg-type]
        self.assertEqual((self.find(name="y.invalid"), len(self.browsers)), (None, 0))

    def test_never_to_less(self) -> None:
        """Where TLS is asked for there is TLS; a WebSocket with TLS serves whoever asks for none."""
        self.learn(FakeFlow("WS", "10.0.0.1"), "clear.invalid")
        secure = FakeFlow("WSS", "10.0.0.1")
        self.learn(secure, "secure.invalid")
        self.assertIsNone(self.find("WSS", "clear.invalid"))
        self.assertIs(self.find("WSS", "secure.invalid"), secure)
        self.assertIs(self.find("WS", "secure.invalid"), secure)
        secure.is_open = False
        self.assertIsNone(self.find("WSS", "secure.invalid"))

    def test_another_name_is_to_be_proved(self) -> None:
        """A made-up name that only stands in for the address, as in ``maddr``, leads to no browser: whoever has it has
        not proved the name that was asked for (fault:G3)."""
        self.learn(FakeFlow("WSS", "10.0.0.1"))
        for transport in ("WSS", "TLS", "WS"):
            uri = parse_uri(f"sip:bob@b.example;maddr=x.invalid;transport={transport.lower()}")
            assert isinstance(uri, SipUri)
            self.assertIsNone(self.browsers.find(target_of(uri, Transport.TLS)))
            self.assertIsNone(self.browsers.find(Target(transport, "x.invalid", name="b.example")))

    def test_taken(self) -> None:
        """A name that a live flow has is taken over by the same party alone: the same identity, or where none is proved
        the same address over the same transport (fault:C1)."""
        for first, second, wins in (
            (FakeFlow("WS", "10.0.0.1"), FakeFlow("WS", "10.0.0.1"), True),
            (FakeFlow("WS", "10.0.0.1"), FakeFlow("WS", "10.0.0.2"), False),
            (FakeFlow("WSS", "10.0.0.1"), FakeFlow("WS", "10.0.0.1"), False),
            (FakeFlow("WSS", "10.0.0.1", "p"), FakeFlow("WSS", "10.0.0.2", "p"), True),
            (FakeFlow("WSS", "10.0.0.1", "p"), FakeFlow("WSS", "10.0.0.1", "q"), False),
            (FakeFlow("WSS", "10.0.0.1", "p"), FakeFlow("WSS", "10.0.0.1"), False),
            (FakeFlow("WSS", "10.0.0.1"), FakeFlow("WSS", "10.0.0.1", "p"), False),
        ):
            self.browsers = Browsers()
            self.learn(first)
            self.assertIs(self.learn(second), wins)
            self.assertIs(self.find(), second if wins else first)
            self.browsers.forget(first)  # type: ignore[arg-type]
            self.assertIs(self.find(), second if wins else None)
        gone = FakeFlow("WS", "10.0.0.1")
        self.browsers = Browsers()
        self.learn(gone)
        gone.is_open = False
        self.assertTrue(self.learn(FakeFlow("WS", "10.0.0.9")))
