"""Listeners that are lost and come back, and machines whose addresses change."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sip_p2p import (
    EndpointState,
    IncomingRequest,
    Listener,
    RealTimeServerTcpConnectionManager,
    SipPeerToPeerEndpoint,
    StateReason,
)
from sip_p2p.endpoint.listener_watch import (
    AddressesChanged,
    ListenerLost,
    ListenerWatch,
    machine_addresses,
    serves,
    trouble_with,
)
from sip_p2p.testing import Network
from tests import support


class ValueTests(support.SynchronousTestCase):
    """What is decided without a socket."""

    def test_delays(self) -> None:
        """One try waits twice as long as the one before, up to a bound."""
        watch = ListenerWatch(first_delay=1.0, longest_delay=10.0)
        self.assertEqual([watch.delay(i) for i in (0, 1, 2, 3, 4, 5000)], [1.0, 2.0, 4.0, 8.0, 10.0, 10.0])
        for arguments in ({"interval": 0}, {"first_delay": -1}, {"longest_delay": float("nan")}):
            self.assertRaises(ValueError, ListenerWatch, **arguments)

    def test_serves(self) -> None:
        """An address serves while the machine has it; a wildcard while there is any but loopback; a Unix socket
        always."""
        addresses = frozenset({"127.0.0.1", "::1", "10.0.0.2"})
        for bound, answer in (
            ("10.0.0.2", True),
            ("10.0.0.3", False),
            ("127.0.0.1", True),
            ("0.0.0.0", True),
            ("::", True),
            ("unix", True),
        ):
            self.assertIs(serves(bound, addresses), answer)
        self.assertFalse(serves("0.0.0.0", frozenset({"127.0.0.1", "::1"})))

    def test_this_machine(self) -> None:
        """The system tells the addresses of this machine, loopback among them."""
        addresses = machine_addresses()
        assert addresses is not None
        self.assertIn("127.0.0.1", addresses)

    def test_trouble(self) -> None:
        """A listening socket that was shut down or closed is in trouble, and what has no socket is not (row:C9)."""
        self.assertEqual((trouble_with(None), trouble_with(object())), ("", ""))

        class Port:
            def getHandle(self) -> socket.socket:
                return handle

        handle = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(handle.close)
        self.assertEqual(trouble_with(Port()), "")
        handle.shutdown(socket.SHUT_RDWR)
        self.assertIn("shut down", trouble_with(Port()))
        handle.close()
        self.assertIn("closed", trouble_with(Port()))
        with socket.socket(type=socket.SOCK_DGRAM) as handle:
            self.assertEqual(trouble_with(Port()), "")

    def test_events(self) -> None:
        """The events say what has changed."""
        change = AddressesChanged(frozenset({"10.0.0.1", "10.0.0.2"}), frozenset({"10.0.0.2", "10.0.0.3"}), True)
        self.assertEqual((change.added, change.removed), ({"10.0.0.3"}, {"10.0.0.1"}))
        self.assertEqual(repr(change), "<AddressesChanged +10.0.0.3 -10.0.0.1>")


class AddressTests(support.SynchronousTestCase):
    """A host whose interfaces come and go."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.bob = self.network.party("sip:bob@b.example", listen=())
        self.host: Any = self.network.find("b.example")
        self.manager = self.bob.connection_manager
        self.changes: list[AddressesChanged] = []
        self.states: list[tuple[EndpointState, StateReason]] = []
        self.manager.addresses_changed.subscribe(self.changes.append)
        self.bob.state_changed.subscribe(lambda event: self.states.append((event.state, event.reason)))
        self.addCleanup(self.network.finish)

    def test_gone_and_back(self) -> None:
        """When the last address goes that is listened on, the endpoint is DISCONNECTED for want of addresses; when one
        comes back it is CONNECTED, and its Contact names what there is then (row:C10, row:B3)."""
        address = self.host.addresses[0]
        self.network.run_until(self.manager.start_listening(f"tls:5061:interface={address}"))
        self.states.clear()
        self.host.addresses = ("10.7.7.7",)
        self.network.advance(2.5)
        (change,) = self.changes
        self.assertEqual((change.added, change.removed, change.is_reachable), ({"10.7.7.7"}, {address}, False))
        self.assertEqual(self.states[-1], (EndpointState.DISCONNECTED, StateReason.NO_LISTENING_ADDRESSES))
        self.assertTrue(self.manager.is_listening)
        self.host.addresses = (address, "10.7.7.7")
        self.network.advance(2.5)
        self.assertTrue(self.changes[-1].is_reachable)
        self.assertEqual(self.states[-1], (EndpointState.CONNECTED, StateReason.LISTENING))

    def test_another(self) -> None:
        """One address of several that goes changes no state, and is told."""
        self.network.run_until(self.manager.start_listening("tls:5061"))
        self.states.clear()
        self.host.addresses = (*self.host.addresses, "10.8.8.8")
        self.network.advance(2.5)
        self.assertEqual((self.changes[-1].added, self.states), ({"10.8.8.8"}, []))
        self.network.advance(10)
        self.assertEqual(len(self.changes), 1)

    def test_datagrams(self) -> None:
        """What is sent by UDP, and the answers to it, name the address that we have (row:C10, fault:J8)."""
        alice = self.network.party("sip:alice@a.example", listen="udp:5060")
        self.network.run_until(self.manager.start_listening("udp:5060"))
        vias: list[str] = []
        before = self.host.addresses[0]

        def note(incoming: IncomingRequest) -> int:
            vias.append(incoming.request.via.host)
            return 200

        def ask() -> int:
            return self.network.run_until(self.bob.request("INFO", "sip:alice@a.example;transport=udp")).status

        alice.handle("INFO", note)

        self.assertEqual(ask(), 200)
        self.host.addresses = ("10.7.7.7",)
        self.network.advance(2.5)
        self.assertEqual(ask(), 200)
        self.host.addresses = ()
        self.network.advance(2.5)
        self.host.addresses = (before,)
        self.network.advance(2.5)
        self.assertEqual(ask(), 200)
        self.assertEqual(vias, [before, "10.7.7.7", before])

    def test_nothing_listens(self) -> None:
        """While nothing listens nobody looks."""
        self.network.advance(10)
        self.assertEqual(self.changes, [])
        listener = self.network.run_until(self.manager.start_listening("tls:5061"))
        self.network.run_until(listener.stop())
        self.host.addresses = ("10.9.9.9",)
        self.network.advance(10)
        self.assertEqual(self.changes, [])


class LostTests(support.TestCase):
    """Sockets that somebody else ends."""

    def setUp(self) -> None:
        self.lost: list[ListenerLost] = []
        self.states: list[tuple[EndpointState, StateReason]] = []

    def start(self, watch: ListenerWatch | None) -> Any:
        """A manager in clear text, with a party."""
        manager = RealTimeServerTcpConnectionManager(support.reactor, listener_watch=watch)
        self.addCleanup(manager.terminate)
        manager.listener_lost.subscribe(self.lost.append)
        party = SipPeerToPeerEndpoint("sip:bob@localhost", manager)
        party.message_received.subscribe(lambda event: None)
        party.state_changed.subscribe(lambda event: self.states.append((event.state, event.reason)))
        return manager

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until *condition* holds; five seconds at most."""
        end = support.reactor.seconds() + 5
        while not condition():
            self.assertLess(support.reactor.seconds(), end)
            await deferLater(support.reactor, 0.01)

    def port_of(self, listener: Listener) -> Any:
        """Twisted's port behind a listener, as the reactor has it."""
        (port,) = [
            each
            for each in support.reactor.getReaders()
            if hasattr(each, "getHost") and getattr(each.getHost(), "port", 0) == listener.port and each.connected
        ]
        return port

    def shut_down(self, listener: Listener) -> None:
        """End its socket behind its back, as another process that has it may."""
        with socket.socket(fileno=os.dup(self.port_of(listener).fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)

    async def test_shut_down(self) -> None:
        """A socket that was shut down is noticed, told with its reason, and the listener is there again on the same
        port, for peers to connect to (row:C9)."""
        manager = self.start(ListenerWatch(0.02, first_delay=0.05))
        listener = await manager.start_listening("tcp:port=0:interface=127.0.0.1")
        port = listener.port
        self.shut_down(listener)
        await self.until(lambda: self.lost)
        # Twisted has tried to accept meanwhile.
        self.flushLoggedErrors(OSError)
        (event,) = self.lost
        self.assertIs(event.listener, listener)
        self.assertIn("its socket", event.reason)
        self.assertEqual((event.retry_in, listener.is_listening, manager.listeners), (0.05, False, ()))
        self.assertIn("(lost)", repr(listener))
        self.assertEqual(self.states[-2], (EndpointState.DISCONNECTING, StateReason.UNABLE_TO_LISTEN))
        await self.until(lambda: listener.is_listening)
        self.assertEqual((listener.port, manager.listeners, listener.lost), (port, (listener,), ""))
        self.assertEqual(self.states[-1], (EndpointState.CONNECTED, StateReason.LISTENING))
        caller = self.start(None)
        party = SipPeerToPeerEndpoint("sip:alice@localhost", caller)
        answer = await party.send_message(f"sip:bob@127.0.0.1:{port};transport=tcp", "hello again")
        self.assertEqual(answer.status, 200)

    async def test_ended_by_the_reactor(self) -> None:
        """A port that the reactor gives up is lost at once; without a watch nobody starts it again (row:C9)."""
        manager = self.start(None)
        listener = await manager.start_listening("tcp:port=0:interface=127.0.0.1")
        port = self.port_of(listener)
        port.stopReading()
        port.connectionLost(Failure(ConnectionLost()))
        (event,) = self.lost
        self.assertEqual((event.retry_in, manager.is_listening), (None, False))
        self.assertIn("the system has closed its socket", repr(event))
        await listener.stop()

    async def test_udp_ended_by_the_reactor(self) -> None:
        """So is a UDP port, and what is on it ends; it is there again under the same number (row:C9)."""
        manager = self.start(ListenerWatch(60.0, first_delay=0.02))
        listener = await manager.start_listening("udp:port=0:interface=127.0.0.1")
        number, port = listener.port, self.port_of(listener)
        port.stopReading()
        port.connectionLost(Failure(ConnectionLost()))
        (event,) = self.lost
        self.assertEqual((event.listener, event.retry_in, manager.is_listening), (listener, 0.02, False))
        await self.until(lambda: listener.is_listening)
        self.assertEqual((listener.port, len(manager.listeners), len(self.lost)), (number, 1, 1))
        await listener.stop()
        self.assertEqual((len(self.lost), manager.listeners), (1, ()))

    async def test_again_and_again(self) -> None:
        """While the port cannot be had it is tried again, less and less often; stopping ends that (row:C9)."""
        manager = self.start(ListenerWatch(0.02, first_delay=0.02, longest_delay=0.04))
        listener = await manager.start_listening("tcp:port=0:interface=127.0.0.1")
        self.shut_down(listener)
        await self.until(lambda: self.lost)
        self.flushLoggedErrors(OSError)
        # It closes its own socket with the next turn; somebody else is faster than the next try.
        await deferLater(support.reactor, 0)
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", listener.port))
        taken.listen()
        await deferLater(support.reactor, 0.1)
        self.assertFalse(listener.is_listening)
        await listener.stop()
        taken.close()
        await deferLater(support.reactor, 0.1)
        self.assertFalse(listener.is_listening)
        self.assertEqual(manager.listeners, ())

    async def test_terminated_meanwhile(self) -> None:
        """A manager that ends while a listener waits for its next try leaves nothing."""
        manager = self.start(ListenerWatch(0.02, first_delay=5.0))
        listener = await manager.start_listening("udp:port=0:interface=127.0.0.1")
        listener = await manager.start_listening("tcp:port=0:interface=127.0.0.1")
        self.shut_down(listener)
        await self.until(lambda: self.lost)
        self.flushLoggedErrors(OSError)
        await manager.terminate()
        self.assertFalse(listener.is_listening)
