"""Connections that are kept (row E14)."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint

from sip_p2p import EndpointTerminated, ProxyConnector, Target, TlsFailure
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase


class StandingTestCase(SynchronousTestCase):
    """Alice, who is reached through her proxy only, and the proxy."""

    def setUp(self) -> None:
        self.network = Network(delay=0.02)
        self.proxy = self.network.party("sip:proxy@proxy.example")
        self.proxy.connection_manager.limits = self.proxy.connection_manager.limits.replace(
            authenticated_first_message_timeout=1e6, idle_timeout=0
        )
        self.addCleanup(self.network.finish)

    def alice(self, **manager: Any) -> Any:
        """A party that does not listen, with a proxy."""
        return self.network.party("sip:alice@a.example", listen=(), manager=manager, proxy="tls:proxy.example")

    def flows(self) -> int:
        """How many connections the proxy has."""
        return len(self.proxy.connection_manager.pool)

    def dials(self) -> list[float]:
        """When each connection was asked for."""
        return [float(line.split(" ")[0]) for line in self.network.log if line.endswith(" connect")]


class EagerTests(StandingTestCase):
    """``reconnect="eager"``."""

    def test_lazy(self) -> None:
        """By default nothing is dialled before there is something to send, nor after it was lost (row:E13)."""
        alice = self.alice()
        self.network.advance(1)
        self.assertEqual((self.flows(), alice.connection_manager.standing), (0, 0))

    def test_at_once(self) -> None:
        """The proxy is connected to at once, and what is for alice comes by that connection before she has sent
        anything (row:E14, row:E16)."""
        alice = self.alice(reconnect="eager")
        heard: list[str] = []
        alice.message_received.subscribe(lambda event: heard.append(event.text))
        self.network.advance(1)
        self.assertEqual((self.flows(), alice.connection_manager.standing), (1, 1))
        self.network.run_until(self.proxy.send_message("sip:alice@a.example", "come here"))
        self.assertEqual((heard, len(self.dials())), (["come here"], 1))

    def test_never_idle(self) -> None:
        """It is not closed for idleness (row:E5, row:E14)."""
        self.alice(reconnect="eager")
        self.network.advance(3600)
        self.assertEqual((self.flows(), len(self.dials())), (1, 1))

    def test_lost(self) -> None:
        """When it is lost, however that happens, it is made anew at once (row:E14)."""
        self.alice(reconnect="eager")
        for count in range(2, 5):
            self.network.advance(60)
            if count % 2:
                self.network.cut("a.example", "proxy.example")
            else:
                for flow in self.proxy.connection_manager.pool:
                    flow.close()
            self.network.advance(0.5)
            self.assertEqual((self.flows(), len(self.dials())), (1, count))

    def test_peer_away_for_long(self) -> None:
        """While nobody is there it is tried ever more seldom, with chance in it; when the peer is back, within that
        time (row:E14, fault:G6, RFC 5626 section 4.5)."""
        self.alice(reconnect="eager")
        self.network.advance(60)
        manager = self.proxy.connection_manager
        self.network.run_until(manager.stop_listening())
        self.network.cut("a.example", "proxy.example")
        self.network.advance(600)
        waits = [later - earlier for earlier, later in zip(self.dials()[1:], self.dials()[2:], strict=False)]
        self.assertTrue(20 <= len(waits) <= 60, waits)
        for index, wait in enumerate(waits):
            upper = min(30.0, 0.5 * 2**index)
            self.assertTrue(upper / 2 <= wait <= upper + 0.2, (index, wait))
        self.network.run_until(manager.start_listening("tls:port=5061"))
        self.network.advance(31)
        self.assertEqual(self.flows(), 1)

    def test_does_not_last(self) -> None:
        """A peer that takes the connection and drops it is not dialled as fast as it can drop (row:E14, fault:G6)."""
        self.proxy.connection_manager.flow_opened.subscribe(lambda event: event.flow.close())
        self.alice(reconnect="eager")
        self.network.advance(60)
        self.assertLess(len(self.dials()), 15)

    def test_other_limits(self) -> None:
        """Another longest wait between two dials holds from the next one on (row:E10, row:E14)."""
        self.proxy.connection_manager.flow_opened.subscribe(lambda event: event.flow.close())
        manager = self.alice(reconnect="eager").connection_manager
        self.network.advance(60)
        manager.limits = manager.limits.replace(redial_delay_longest=1.0)
        self.network.advance(31)
        before = len(self.dials())
        self.network.advance(30)
        self.assertGreater(len(self.dials()) - before, 20)
        self.network.run_until(manager.terminate())
        self.network.advance(1)

    def test_refused(self) -> None:
        """A peer that refuses us is tried again, slowly: it may change its mind (row:E14)."""
        alice = self.alice(reconnect="eager")
        standing = alice.connection_manager.keep_connected(Target("tls", "nobody.example"))
        self.network.name("nobody.example", *self.network.addresses_of("proxy.example"))
        self.network.advance(10)
        self.assertIsInstance(standing.failure, TlsFailure)
        self.assertFalse(standing.is_connected)
        self.network.run_until(self.proxy.terminate())

    def test_ends_with_the_endpoint(self) -> None:
        """When the endpoint ends, its proxy's connection is not kept any more (row:B13)."""
        alice = self.alice(reconnect="eager")
        self.network.advance(1)
        self.network.run_until(alice.terminate())
        self.assertEqual(alice.connection_manager.standing, 0)
        self.network.advance(100)
        self.assertEqual(self.flows(), 0)

    def test_ends_with_the_manager(self) -> None:
        """When the manager ends, nothing is dialled any more, at whatever stage that was (row:E14, fault:J2)."""
        for passed in (0.0, 0.01, 0.05, 0.3, 5.0):
            network = Network(delay=0.02)
            network.name_delay = 0.005
            network.host(names=["proxy.example"])
            alice = network.party(
                "sip:alice@a.example", listen=(), manager={"reconnect": "eager"}, proxy="tls:proxy.example"
            )
            network.advance(passed)
            waiting = alice.connection_manager.keep_connected("tls:proxy.example").when_connected()
            network.finish()
            self.failureResultOf(waiting, EndpointTerminated)

    def test_wrong_word(self) -> None:
        """It is one of two words (row:E14)."""
        with self.assertRaises(ValueError):
            self.alice(reconnect="always")


class KeptTests(StandingTestCase):
    """``keep_connected``, for any peer."""

    def test_any_peer(self) -> None:
        """A connection is there when it is needed, and can be waited for (row:E14)."""
        manager = self.alice().connection_manager
        standing = manager.keep_connected(Target("tls", "proxy.example"))
        self.assertIsNone(standing.flow)
        waiting = standing.when_connected()
        flow = self.network.run_until(waiting)
        self.assertEqual((flow.peer, standing.flow, standing.failure), ("proxy.example", flow, None))
        self.assertIs(self.successResultOf(standing.when_connected()), flow)
        self.assertIs(manager.pool.find(Target("tls", "proxy.example")), flow)
        self.assertIn("connected", repr(standing))

    def test_stopped(self) -> None:
        """When it is stopped it lives on as any connection does, and is not made anew (row:E5, row:E14)."""
        manager = self.alice().connection_manager
        standing = manager.keep_connected("tls:proxy.example")
        self.network.advance(300)
        standing.stop()
        standing.stop()
        self.network.advance(1)
        self.assertEqual((self.flows(), manager.standing, standing.is_connected), (1, 0, False))
        self.network.advance(70)
        self.assertEqual((self.flows(), len(self.dials())), (0, 1))
        self.failureResultOf(standing.when_connected(), EndpointTerminated)

    def test_given_up_waiting(self) -> None:
        """Who waits for it may give up; it is made all the same (row:E14)."""
        standing = self.alice().connection_manager.keep_connected("tls:proxy.example")
        waiting = standing.when_connected()
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        self.network.advance(1)
        self.assertTrue(standing.is_connected)

    def test_through_an_endpoint(self) -> None:
        """The client endpoint of a proxy makes it each time anew (row:A6, row:E14)."""
        alice = self.alice()
        host = alice.connection_manager.reactor
        proxy = ProxyConnector.parse("tls:proxy.example", endpoint=HostnameEndpoint(host, "proxy.example", 5061))
        standing = alice.connection_manager.keep_connected(proxy)
        self.network.advance(20)
        self.network.cut("a.example", "proxy.example")
        self.network.advance(1)
        self.assertEqual((standing.is_connected, len(self.dials())), (True, 2))

    def test_not_by_udp(self) -> None:
        """UDP has no connections to keep."""
        manager = self.alice().connection_manager
        for wrong in ("udp:proxy.example", Target("udp", "proxy.example"), "no proxy at all"):
            with self.assertRaises(ValueError):
                manager.keep_connected(wrong)
