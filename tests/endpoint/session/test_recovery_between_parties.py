"""Sessions whose connection is lost, between two and three parties: :mod:`sip_p2p.endpoint.session.recovery`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError

from sip_p2p import (
    ConnectionFailure,
    InvalidOperation,
    Limits,
    RealTimeServerTcpConnectionManager,
    RequestFailed,
    SipPeerToPeerEndpoint,
)
from sip_p2p.endpoint.session.recovery import Recovery, RouteSet, RouteSetStatus
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.sip.dialog.effects import Ending
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.testing import Network
from tests.endpoint.session.support import Server, reply
from tests.support import MemoryTestCase, SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.sip.message import Request, Response


class PartiesTestCase(SynchronousTestCase):
    """Alice and Bob, who accepts whatever comes."""

    #: What Alice's sessions do about a lost way.
    recovery = Recovery.LIMITED

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        limits = Limits(connect_timeout=2.0, recovery_timeout=60.0, recovery_queue=3, redial_delay_longest=2.0)
        self.alice = self.network.party("sip:alice@a.example", manager={"limits": limits})
        self.bob = self.network.party("sip:bob@b.example", manager={"limits": limits})
        self.accepted: list[SignalingSession] = []
        self.heard: list[str] = []
        self.told: list[str] = []
        self.bob.session_received.subscribe(self.accept)
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """Everything ends, and nothing is left."""
        for party in (self.alice, self.bob):
            self.network.run_until(party.terminate())
        self.network.advance(40)
        for manager in (self.alice.connection_manager, self.bob.connection_manager):
            errands = manager.sessions.errands
            left = (len(manager.sessions), len(errands), len(errands.flows), len(errands.recoveries))
            self.assertEqual((left, len(manager.core.dialogs), len(manager.core.appointments)), ((0, 0, 0, 0), 0, 0))
        self.network.finish()

    def accept(self, session: SignalingSession) -> None:
        """Bob's handler."""
        self.accepted.append(session)
        session.message_received.subscribe(lambda event: self.heard.append(event.text))
        session.accept("v=0\r\n")

    def call(self, party: SipPeerToPeerEndpoint | None = None, **options: Any) -> SignalingSession:
        """A session of Alice's with Bob that stands, and what becomes of its way noted."""
        options.setdefault("recovery", self.recovery)
        session = (party or self.alice).create_session("sip:bob@b.example", **options)
        session.route_set_changed.subscribe(lambda change: self.told.append(change.status.name))
        self.network.run_until(session.establish("v=0\r\n"))
        self.network.advance(1)
        return session

    def watch(self) -> list[str]:
        """What Alice sends and gets from now on."""
        seen: list[str] = []

        class Tap:
            def message(self, direction: str, flow: Any, data: bytes, now: float) -> None:
                words = data.partition(b"\r\n")[0].decode().split(" ")
                seen.append(f"{'<' if direction == 'in' else '>'} {words[words[0] == 'SIP/2.0']}")

        self.alice.connection_manager.add_tap(Tap())
        return seen

    def dialled(self) -> int:
        """How many connections were asked for."""
        return sum(line.endswith(" connect") for line in self.network.log)


class LimitedTests(PartiesTestCase):
    """Recovery.LIMITED, which is what sessions do unless they are told otherwise."""

    def test_taken_up(self) -> None:
        """A session whose connection breaks is taken up on a new one: the side that had opened it dials, sends an
        UPDATE, and both hold the new one (row:H32, row:E7)."""
        session, seen = self.call(), self.watch()
        self.network.cut("a.example", "b.example")
        self.network.advance(5)
        self.assertEqual((self.told, seen, self.dialled()), (["RECOVERING", "HEALTHY"], ["> UPDATE", "< 200"], 2))
        self.assertIs(session.state, SignalingState.CONNECTED)
        for party in (self.alice, self.bob):
            self.assertEqual([flow.leases for flow in party.connection_manager.pool], [1])
        for end, text in ((session, "there"), (self.accepted[0], "back")):
            end.message_received.subscribe(lambda event: self.heard.append(event.text))
            other = self.accepted[0] if end is session else session
            self.assertEqual(self.network.run_until(end.send_message(text)).status, 200)
            self.assertIs(other.state, SignalingState.CONNECTED)
        self.assertEqual(self.heard[0], "there")
        self.assertEqual(self.dialled(), 2)

    def test_on_this_machine(self) -> None:
        """Two processes of one machine, of which nothing is verified, find each other again at the loopback addresses
        that they name (row:H32)."""
        host = self.network.host("127.0.0.1", names=["near.example"])
        managers = [RealTimeServerTcpConnectionManager(host) for _ in range(2)]
        self.network.run_until(managers[1].start_listening("tcp:5070:interface=127.0.0.1"))
        near, far = (SipPeerToPeerEndpoint("sip:x@near.example", manager) for manager in managers)
        far.session_received.subscribe(self.accept)
        session = near.create_session("sip:x@127.0.0.1:5070;transport=tcp")
        session.route_set_changed.subscribe(lambda change: self.told.append(change.status.name))
        self.network.run_until(session.establish("v=0\r\n"))
        self.network.advance(1)
        self.network.cut("near.example", "near.example")
        self.network.advance(5)
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])
        for manager in managers:
            self.network.run_until(manager.terminate())

    def test_lost_at_once(self) -> None:
        """A connection that breaks after each answer is no reason to dial without a pause: a peer or a proxy that is
        ill is not made worse (row:H32)."""
        session = self.call()
        self.accepted[0].recovery = Recovery.NONE

        def cut_again(change: Any) -> None:
            if change.status is RouteSetStatus.HEALTHY:
                self.network.cut("a.example", "b.example")

        session.route_set_changed.subscribe(cut_again)
        self.network.cut("a.example", "b.example")
        self.network.advance(60)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.assertIn(self.dialled(), range(6, 10))

    def test_many_on_one(self) -> None:
        """All sessions of one connection are taken up on one new one, and those with others do not notice (row:H32)."""
        carol = self.network.party("sip:carol@c.example")
        sessions = [self.call() for _ in range(5)]
        other = self.call(carol)
        self.network.cut("a.example", "b.example")
        self.network.advance(5)
        self.assertEqual(self.told, ["RECOVERING"] * 5 + ["HEALTHY"] * 5)
        self.assertEqual(self.dialled(), 3)
        for session in (*sessions, other):
            self.assertIs(session.state, SignalingState.CONNECTED)

    def test_queue(self) -> None:
        """Requests wait while the way is looked for, and leave in their order once it is found, each with a later
        sequence number than the UPDATE that found it (row:H32, RFC 3261 section 12.2.1.1)."""
        session = self.call()
        self.accepted[0].recovery = Recovery.NONE
        self.network.partition("b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(5)
        sending = [session.send_message(text) for text in ("one", "two", "three")]
        one_too_many = session.send_message("four")
        self.network.advance(5)
        self.failureResultOf(one_too_many, ConnectionFailure)
        for each in sending:
            self.assertNoResult(each)
        seen = self.watch()
        self.network.heal()
        self.network.advance(10)
        self.assertEqual([self.successResultOf(each).status for each in sending], [200, 200, 200])
        self.assertEqual((self.heard, self.told), (["one", "two", "three"], ["RECOVERING", "HEALTHY"]))
        self.assertEqual(seen[0], "> UPDATE")
        self.assertEqual(self.alice.connection_manager.metrics()["limit_recovery_queue"], 1)

    def test_withdrawn(self) -> None:
        """A request that is cancelled while it waits is never sent (row:H32)."""
        session = self.call()
        self.network.partition("b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(3)
        sending, cancelled = session.send_message("wanted"), session.send_message("unwanted")
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.network.heal()
        self.network.advance(10)
        self.assertEqual((self.successResultOf(sending).status, self.heard), (200, ["wanted"]))

    def test_no_number_left(self) -> None:
        """A request that waits in a dialog without another sequence number fails (RFC 3261 section 8.1.1.5)."""
        session = self.call()
        self.accepted[0].recovery = Recovery.NONE
        self.network.partition("b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        dialog = session.usage.dialog  # type: ignore[union-attr]
        dialog.local_cseq = 2**31 - 2
        sending = session.send_message("x")
        self.network.heal()
        self.network.advance(10)
        self.failureResultOf(sending, InvalidOperation)
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])
        dialog.local_cseq = 10

    def test_change_is_called_off(self) -> None:
        """A re-INVITE that is called off while it looks for the way leaves the search to us (row:H32, row:H21)."""
        session = self.call()
        self.accepted[0].recovery = Recovery.NONE
        self.network.partition("b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(0.01)
        changing = session.renegotiate("v=0\r\n")
        self.network.advance(1)
        changing.cancel()
        self.failureResultOf(changing)
        seen = self.watch()
        self.network.advance(1)
        self.network.heal()
        self.network.advance(10)
        self.assertEqual((seen, self.told), (["> UPDATE", "< 200"], ["RECOVERING", "HEALTHY"]))

    def test_given_up(self) -> None:
        """A peer that is not found in time is given up: what waits fails, and the session ends with the reason
        (row:H32)."""
        session = self.call()
        changes: list[SignalingStateChanged] = []
        session.state_changed.subscribe(changes.append)
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.network.cut("a.example", "b.example")
        self.accepted[0].recovery = Recovery.NONE
        self.network.advance(3)
        sending = session.send_message("x")
        self.network.advance(50)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.network.advance(10.5)
        self.failureResultOf(sending, ConnectionFailure)
        self.assertEqual(
            [(change.state, change.reason) for change in changes],
            [(SignalingState.DISCONNECTED, SignalingTransitionReason.RECOVERY_FAILED)],
        )
        self.assertEqual(self.told, ["RECOVERING", "LOST"])
        self.assertEqual(self.alice.connection_manager.metrics()["limit_recovery_timeout"], 1)

    def test_somebody_else(self) -> None:
        """Whoever stands where the peer stood, and proves another name, gets nothing of the session (row:H32,
        fault:D8, fault:F12)."""
        session = self.call()
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.accepted[0].recovery = Recovery.NONE
        evil = Server(self.network, "b.example", "evil.example")
        self.network.cut("a.example", "b.example")
        sending = session.send_message("secret")
        self.network.advance(70)
        self.failureResultOf(sending, ConnectionFailure)
        self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.assertEqual(evil.requests, [])
        evil.stop()

    def test_session_timer(self) -> None:
        """The session timer stands still while the way is looked for, and runs on from then (row:H32, RFC 4028)."""
        self.alice.connection_manager.limits = self.alice.connection_manager.limits.replace(recovery_timeout=300.0)
        session = self.call(session_timer=SessionTimerSettings(90))
        self.network.partition("b.example")
        self.network.cut("a.example", "b.example")
        self.accepted[0].recovery = Recovery.MAXIMUM
        self.network.advance(200)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.network.heal()
        self.network.advance(40)
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])
        seen = self.watch()
        self.network.advance(60)
        self.assertIn("> UPDATE", seen)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.assertIs(self.accepted[0].state, SignalingState.CONNECTED)

    def test_change_of_the_application(self) -> None:
        """A change that the application wants while the way is looked for is what finds it (row:H32)."""
        session = self.call()
        self.accepted[0].offer_received.subscribe(lambda offer: offer.accept("v=0\r\n"))
        self.accepted[0].recovery = Recovery.NONE
        self.network.partition("b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(0.01)
        changing, seen = session.renegotiate("v=0\r\n"), self.watch()
        self.network.advance(5)
        self.assertNoResult(changing)
        self.assertEqual(self.alice.connection_manager.inventory()["recovering"], 1)
        self.network.heal()
        self.network.advance(10)
        self.assertIsNotNone(self.successResultOf(changing))
        self.assertEqual((seen[0], self.told), ("> INVITE", ["RECOVERING", "HEALTHY"]))

    def test_hung_up_meanwhile(self) -> None:
        """Who hangs up while the way is looked for need not wait for it (row:H32, row:H18)."""
        session = self.call()
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.network.cut("a.example", "b.example")
        self.accepted[0].recovery = Recovery.NONE
        self.network.advance(1)
        ending = session.terminate()
        self.network.advance(5)
        self.successResultOf(ending)
        self.assertIs(session.state, SignalingState.DISCONNECTED)

    def test_hung_up_by_a_handler(self) -> None:
        """A handler that hangs up when it is told that the way is lost is the end of the search (fault:K5)."""
        session = self.call()
        session.route_set_changed.subscribe(lambda change: session.terminate())
        self.network.cut("a.example", "b.example")
        self.network.advance(5)
        self.assertEqual(self.told, ["RECOVERING"])
        self.assertIs(self.accepted[0].state, SignalingState.DISCONNECTED)

    def test_closed_in_order(self) -> None:
        """A connection that the peer closes in order is no loss while we can be reached: the next request makes another
        one (RFC 3261 section 18)."""
        session, seen = self.call(), self.watch()
        self.accepted[0].recovery = Recovery.NONE
        for flow in self.bob.connection_manager.pool:
            flow.close()
        self.network.advance(30)
        self.assertEqual((seen, self.told), ([], []))
        self.assertEqual(self.network.run_until(session.send_message("x")).status, 200)
        self.assertEqual(self.told, [])

    def test_closed_in_order_without_a_listener(self) -> None:
        """Whoever cannot be reached otherwise makes a new connection at once (RFC 5626 section 4.5, row:H32)."""
        dave = self.network.party("sip:dave@d.example", listen=())
        session = self.call(dave)
        for flow in self.bob.connection_manager.pool:
            flow.close()
        self.network.advance(10)
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])
        session.message_received.subscribe(lambda event: None)
        self.assertEqual(self.network.run_until(self.accepted[0].send_message("x")).status, 200)

    def test_found_by_a_request(self) -> None:
        """A request that finds no way begins the search, and waits for its outcome (row:H32)."""
        session = self.call()
        for flow in self.bob.connection_manager.pool:
            flow.close()
        self.network.advance(1)
        self.network.partition("b.example")
        sending = session.send_message("x")
        self.network.advance(5)
        self.assertEqual(self.told, ["RECOVERING"])
        self.network.heal()
        self.network.advance(10)
        self.assertEqual((self.successResultOf(sending).status, self.told), (200, ["RECOVERING", "HEALTHY"]))

    def test_peer_is_faster(self) -> None:
        """Where the other side finds the way first, ours is not looked for any more (row:H32)."""
        session = self.call()
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        sending = session.send_message("x")
        self.network.advance(20)
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])
        self.assertEqual(self.successResultOf(sending).status, 200)
        (flow,) = self.alice.connection_manager.pool
        self.assertTrue(flow.is_incoming)

    def test_peer_has_forgotten(self) -> None:
        """A peer that knows nothing of the session any more ends it (RFC 3261 section 12.2.1.2, fault:J5)."""
        session = self.call()
        changes: list[SignalingStateChanged] = []
        session.state_changed.subscribe(changes.append)
        (dialog,) = self.bob.connection_manager.core.dialogs
        dialog.user.ended(Ending.EXPIRED, 0.0)  # type: ignore[union-attr]
        self.bob.connection_manager.driver.drain()
        self.network.cut("a.example", "b.example")
        self.network.advance(10)
        self.assertEqual([change.reason for change in changes], [SignalingTransitionReason.SESSION_DOES_NOT_EXIST])

    def test_half_open(self) -> None:
        """A connection that answers no keep-alive is as lost as one that breaks (row:H32, RFC 5626 section 4.4)."""
        session = self.call()
        self.accepted[0].recovery = Recovery.NONE
        self.network.half_open("a.example", "b.example")
        self.network.advance(200)
        self.assertEqual((self.told, session.state), (["RECOVERING", "HEALTHY"], SignalingState.CONNECTED))

    def test_lost_before_the_ack(self) -> None:
        """The ACK of a session finds a new connection, and the callee goes on by that one (RFC 3261 section 13.2.2.4,
        row:H15)."""
        session = self.alice.create_session("sip:bob@b.example", automatic_ack=False)
        session.invitation_accepted.subscribe(lambda accepted: None)
        establishing = session.establish("v=0\r\n")
        self.network.advance(1)
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        session.acknowledge()
        self.network.advance(1)
        self.assertIs(self.successResultOf(establishing), session)
        (called,) = self.accepted
        session.message_received.subscribe(lambda event: None)
        for end in (session, called):
            self.assertIs(end.state, SignalingState.CONNECTED)
            self.assertEqual(self.network.run_until(end.send_message("x")).status, 200)
        self.assertEqual(self.dialled(), 2)

    def test_udp(self) -> None:
        """Over UDP nobody listening is told by ICMP; the peer is looked for until it listens again (row:H32)."""
        erin = self.network.party("sip:erin@e.example", listen="udp:5060", default_transport="udp")
        frank = self.network.party("sip:frank@f.example", listen="udp:5060", default_transport="udp")
        frank.session_received.subscribe(self.accept)
        session = erin.create_session("sip:frank@f.example")
        session.route_set_changed.subscribe(lambda change: self.told.append(change.status.name))
        self.network.run_until(session.establish("v=0\r\n"))
        self.network.advance(1)
        self.network.run_until(frank.connection_manager.stop_listening())
        lost = session.send_message("lost")
        self.network.advance(5)
        self.failureResultOf(lost, ConnectionFailure)
        waits = session.send_message("waits")
        self.network.run_until(frank.connection_manager.start_listening("udp:5060"))
        self.network.advance(10)
        self.assertEqual(self.successResultOf(waits).status, 200)
        self.assertEqual((self.told, self.heard), (["RECOVERING", "HEALTHY"], ["waits"]))

    def test_udp_flow_fails(self) -> None:
        """A UDP flow that fails while nothing is under way on it is told to the sessions that hold it (row:H32,
        row:E7)."""
        erin = self.network.party("sip:erin@e.example", listen="udp:5060", default_transport="udp")
        frank = self.network.party("sip:frank@f.example", listen="udp:5060", default_transport="udp")
        frank.session_received.subscribe(self.accept)
        session = self.network.run_until(erin.invite("sip:frank@f.example", "v=0\r\n"))
        session.route_set_changed.subscribe(lambda change: self.told.append(change.status.name))
        self.network.advance(40)
        session.usage.dialog.flow.fail(ConnectionFailure("nobody there"))  # type: ignore[union-attr]
        self.network.advance(10)
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])


class MaximumTests(PartiesTestCase):
    """Recovery.MAXIMUM."""

    recovery = Recovery.MAXIMUM

    def test_waits_for_the_peer(self) -> None:
        """After the search in vain the session stays, requests are tried at once, and the peer's own request heals it
        (row:H32)."""
        session = self.call(session_timer=SessionTimerSettings(is_enabled=False))
        self.accepted[0].recovery = Recovery.NONE
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        sending = session.send_message("one")
        self.network.advance(70)
        self.failureResultOf(sending, ConnectionFailure)
        self.assertEqual(self.told, ["RECOVERING", "WAITING"])
        tried = session.send_message("two")
        self.network.advance(5)
        self.failureResultOf(tried, ConnectionFailure)
        self.network.advance(3600)
        self.assertIs(session.state, SignalingState.CONNECTED)
        session.message_received.subscribe(lambda event: None)
        self.assertEqual(self.network.run_until(self.accepted[0].send_message("here I am")).status, 200)
        self.assertEqual(self.told, ["RECOVERING", "WAITING", "HEALTHY"])
        self.assertEqual(self.network.run_until(session.send_message("three")).status, 200)

    def test_a_request_finds_it(self) -> None:
        """A request that reaches the peer heals the way as well (row:H32)."""
        session = self.call()
        self.accepted[0].recovery = Recovery.NONE
        self.network.partition("b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(70)
        self.network.heal()
        self.network.advance(5)
        self.assertEqual(self.network.run_until(session.send_message("x")).status, 200)
        self.assertEqual(self.told, ["RECOVERING", "WAITING", "HEALTHY"])


class NoneTests(PartiesTestCase):
    """Recovery.NONE."""

    recovery = Recovery.NONE

    def test_nothing_is_done(self) -> None:
        """Nothing is done about a lost connection, and the next request finds a new one or fails (row:H32)."""
        session, seen = self.call(), self.watch()
        self.accepted[0].recovery = Recovery.NONE
        self.network.cut("a.example", "b.example")
        self.network.advance(60)
        self.assertEqual((seen, self.told, self.dialled()), ([], [], 1))
        self.assertEqual(self.network.run_until(session.send_message("x")).status, 200)
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.network.cut("a.example", "b.example")
        sending = session.send_message("y")
        self.network.advance(5)
        self.failureResultOf(sending, ConnectionFailure)
        self.assertEqual((self.told, session.state), ([], SignalingState.CONNECTED))


class ProxyTests(PartiesTestCase):
    """A peer that is only known by what it answers: a proxy before Bob, or a Bob of few words."""

    def setUp(self) -> None:
        super().setUp()
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.allow = "INVITE, ACK, BYE, UPDATE, INFO"
        self.recorded = [("Record-Route", "<sip:b.example;transport=tls;lr>")]
        self.statuses: dict[str, list[int]] = {}
        self.server = Server(self.network, "b.example", "b.example", self.answer)

    def finish(self) -> None:
        """Everything ends, and nothing is left."""
        self.statuses.clear()
        self.network.run_until(self.alice.terminate())
        self.server.stop()
        super().finish()

    def answer(self, request: Request) -> list[Response]:
        """What it was told to answer to this method, and after that 200."""
        if request.method == "ACK":
            return []
        statuses = self.statuses.get(request.method)
        if statuses:
            return [reply(request, statuses.pop(0))]
        contact = ("Contact", "<sip:bob@b.example;transport=tls>")
        if request.method != "INVITE":
            return [reply(request, 200, contact, ("Allow", self.allow))]
        return [reply(request, 200, contact, ("Allow", self.allow), *self.recorded, body=b"v=0\r\n")]

    def test_flow_failed(self) -> None:
        """A 430 says that the way is lost: an UPDATE refreshes it, and the request goes again with a later sequence
        number, once (RFC 5626 section 11.5, row:H32)."""
        session = self.call()
        self.statuses = {"INFO": [430]}
        self.assertEqual(self.network.run_until(session.request("INFO")).status, 200)
        self.assertEqual(self.server.methods, ["INVITE", "ACK", "INFO", "UPDATE", "INFO"])
        self.assertEqual([request.cseq.number for request in self.server.requests], [1, 1, 2, 3, 4])
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])
        self.statuses = {"INFO": [430, 430]}
        with self.assertRaises(RequestFailed) as caught:
            self.network.run_until(session.request("INFO"))
        self.assertEqual((caught.exception.status, self.server.methods[5:]), (430, ["INFO", "UPDATE", "INFO"]))

    def test_proxy_without_a_way(self) -> None:
        """What a proxy answers that did not reach the peer is no sign of it, and it is looked for again; without a
        proxy a 503 is the peer's own (row:H32)."""
        session = self.call()
        self.statuses = {"INFO": [430], "UPDATE": [430, 408, 503, 504]}
        self.assertEqual(self.network.run_until(session.request("INFO")).status, 200)
        self.assertEqual(self.server.methods[2:], ["INFO", *["UPDATE"] * 5, "INFO"])
        self.assertEqual(self.told, ["RECOVERING", "HEALTHY"])
        self.recorded = []
        self.call()
        self.statuses = {"UPDATE": [503] * 99}
        self.network.cut("a.example", "b.example")
        self.network.advance(5)
        self.assertEqual(sorted(self.told[2:]), ["HEALTHY", "RECOVERING", "RECOVERING"])

    def test_given_up(self) -> None:
        """A way that a proxy never finds again ends the session (row:H32)."""
        session = self.call()
        self.statuses = {"INFO": [430], "UPDATE": [430] * 99}
        sending = session.request("INFO")
        self.network.advance(65)
        self.failureResultOf(sending, ConnectionFailure)
        self.assertEqual((session.state, self.told), (SignalingState.DISCONNECTED, ["RECOVERING", "LOST"]))
        self.assertEqual(self.server.methods[-1], "BYE")

    def test_without_update(self) -> None:
        """A peer that takes no UPDATE is found by a re-INVITE with the description as it stands (row:H32,
        limit:L17)."""
        self.allow = "INVITE, ACK, BYE"
        session = self.call()
        self.network.cut("a.example", "b.example")
        self.network.advance(5)
        self.assertEqual(self.server.methods, ["INVITE", "ACK", "INVITE", "ACK"])
        self.assertEqual(self.server.requests[2].body, b"v=0\r\n")
        self.assertEqual((session.state, self.told), (SignalingState.CONNECTED, ["RECOVERING", "HEALTHY"]))

    def test_silent_server(self) -> None:
        """A server that takes the UPDATE and never answers is asked again, and given up when the time is up
        (row:H32)."""
        session = self.call()
        self.server.answer = lambda request: ()
        self.network.cut("a.example", "b.example")
        self.network.advance(20)
        self.server.answer = self.answer
        self.network.advance(20)
        self.assertEqual(self.server.methods[2:], ["UPDATE", "UPDATE"])
        self.assertEqual((session.state, self.told), (SignalingState.CONNECTED, ["RECOVERING", "HEALTHY"]))
        self.server.answer = lambda request: ()
        self.network.cut("a.example", "b.example")
        self.network.advance(100)
        self.assertEqual((session.state, self.told[2:]), (SignalingState.DISCONNECTED, ["RECOVERING", "LOST"]))

    def test_moved(self) -> None:
        """A peer whose name leads elsewhere meanwhile is found there, if it proves that it is the same (row:H32)."""
        session = self.call()
        # What DNS said holds for five minutes.
        self.alice.connection_manager.limits = self.alice.connection_manager.limits.replace(recovery_timeout=400.0)
        other = Server(self.network, "b2.example", "b.example", self.answer)
        self.network.name("b.example", *self.network.addresses_of("b2.example"))
        self.network.cut("a.example")
        self.server.stop()
        self.server = other
        self.network.advance(350)
        self.assertEqual((other.methods, self.told), (["UPDATE"], ["RECOVERING", "HEALTHY"]))
        self.assertIs(session.state, SignalingState.CONNECTED)


class RemainsTests(MemoryTestCase):
    """What is left of a search."""

    def test_nothing_is_left(self) -> None:
        """A search that came to nothing leaves nothing in memory (row:H32, fault:K9)."""
        network = Network(delay=0.01)
        limits = Limits(recovery_timeout=5.0, connect_timeout=1.0)
        alice = network.party("sip:alice@a.example", manager={"limits": limits})
        bob = network.party("sip:bob@b.example", manager={"limits": limits})
        bob.session_received.subscribe(lambda session: session.accept("v=0\r\n") and None)

        def lose() -> None:
            session = network.run_until(alice.invite("sip:bob@b.example", "v=0\r\n"))
            network.advance(1)
            network.partition("b.example")
            network.cut("a.example", "b.example")
            network.advance(1)
            self.failureResultOf(self.outcome(network, session.send_message("x")), ConnectionFailure)
            self.assertIs(session.state, SignalingState.DISCONNECTED)
            network.heal()
            network.advance(60)

        lose()
        self.assert_none_alive(RouteSet, SignalingSession)
        network.finish()

    def outcome(self, network: Network, sending: Any) -> Any:
        """What became of it in a minute."""
        network.advance(60)
        return sending
