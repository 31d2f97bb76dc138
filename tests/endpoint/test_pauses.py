"""A process that does not run for a minute, and a peer that has forgotten what it said before its restart."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from sip_p2p import OperationTimeout, RequestFailed
from tests.endpoint.support import PartyTestCase, Raw, octets


class PauseTests(PartyTestCase):
    """Sixty seconds pass at once: nobody's timers ran meanwhile."""

    def pause(self, seconds: float = 60.0) -> None:
        """Let the time go on without anything being done, and then do what is due, in one turn."""
        self.network.clock.rightNow += seconds
        self.network.clock.advance(0)

    def heard_of(self, party: Any) -> list[bytes]:
        """What *party* sends from now on."""
        sent: list[bytes] = []

        class Listening:
            """A tap that keeps what goes out."""

            def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
                """Keep it."""
                if direction == "out":
                    sent.append(data)

        party.connection_manager.add_tap(Listening())
        return sent

    def test_no_burst(self) -> None:
        """fault:J9: what was due many times while the process stood still is done once: a request on UDP that should
        have been sent again ten times is over, and nothing is sent for it."""
        self.network.name("gone.example", "10.9.9.9")
        asking = self.alice.request("OPTIONS", "sip:x@gone.example;transport=udp")
        self.network.advance(1)
        sent = self.heard_of(self.alice)
        self.pause()
        with self.assertRaises(OperationTimeout):
            self.run_until(asking)
        self.assertLessEqual(len(sent), 1)

    def test_a_short_pause(self) -> None:
        """fault:J9: after a pause that ends nothing, a request is sent again once, and not once for each time that was
        missed."""
        self.network.name("gone.example", "10.9.9.9")
        asking = self.alice.request("OPTIONS", "sip:x@gone.example;transport=udp")
        self.network.advance(1)
        sent = self.heard_of(self.alice)
        self.pause(20)
        self.assertEqual(len(sent), 1)
        asking.addErrback(lambda failure: failure.trap(OperationTimeout))
        self.run_until(asking)

    def test_flows_recover(self) -> None:
        """fault:J9: what was asked before a pause longer than its deadline has run out, once; after it messages go
        both ways, over the connection from before or a new one."""
        self.bob.handle("PING", lambda event: 200)
        self.alice.handle("PING", lambda event: 200)
        self.run_until(self.alice.request("PING", "sip:bob@b.example"))
        waiting = self.alice.request("PING", "sip:bob@b.example")
        self.pause()
        with self.assertRaises(OperationTimeout):
            self.run_until(waiting)
        for sender, target in ((self.alice, "sip:bob@b.example"), (self.bob, "sip:alice@a.example")):
            self.assertEqual(self.status_of(sender.request("PING", target)), 200)


class RestartTests(PartyTestCase):
    """What belongs to a life that is over."""

    def test_a_dialog_of_before(self) -> None:
        """fault:J5: a request inside a dialog that the party does not know, as after its restart, is answered 481,
        whatever its method."""
        manager = self.bob.connection_manager
        self.run_until(manager.start_listening("tcp:port=5060"))
        [address] = self.network.addresses_of("b.example")
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        self.bob.handle("INFO", lambda event: 200)
        self.bob.handle("BYE", lambda event: 200)
        stranger = self.network.host(names=["peer.example"])
        raw = cast("Raw", self.run_until(TCP4ClientEndpoint(stranger, address, 5060).connect(factory)))
        for number, method in enumerate(("INFO", "BYE", "OPTIONS")):
            said = octets(method, number).replace(b"To: <sip:bob@b.example>", b"To: <sip:bob@b.example>;tag=before")
            raw.send(said)
            self.network.advance(1)
        expected = [b"481", b"481", b"481"]
        self.assertEqual([line[8:11] for line in raw.received.split(b"\r\n") if line[:4] == b"SIP/"], expected)
        cast("Any", raw.transport).abortConnection()
        self.network.advance(1)

    def test_whom_we_asked_has_forgotten(self) -> None:
        """fault:J5: that a peer does not know what it is asked about is the request's outcome, told once, and the next
        request is not harmed by it."""
        self.bob.handle("INFO", lambda event: 481)
        failing = self.alice.request("INFO", "sip:bob@b.example")
        with self.assertRaises(RequestFailed) as caught:
            self.run_until(failing)
        self.assertEqual(caught.exception.status, 481)
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example")), 200)

    def test_connections_of_before(self) -> None:
        """fault:J5: a peer whose system has forgotten our connection resets it: the request that found that out is sent
        again on a new one."""
        self.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.network.cut("a.example", "b.example")
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example")), 200)
