"""Everything that happens to a party is told."""

from __future__ import annotations

from sip_p2p.endpoint.listener_watch import AddressesChanged, ListenerLost
from sip_p2p.endpoint.load_events import ThrottlingStateChanged
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.applications import Application
from sip_p2p.transport.load.overload import OverloadState
from sip_p2p.transport.tls.expiry import CertificateExpiring
from tests.service.applications.support import ApplicationCase
from tests.service.support import keys


class OperatorTests(ApplicationCase):
    """What an operator should know."""

    async def test_what_an_operator_should_know(self) -> None:
        """row:M14: certificates that run out, listeners that are lost, other addresses and overload are told."""
        ours, _, events = await self.pair(lambda _: Application())
        manager = ours.connection_manager
        assert isinstance(manager, RealTimeServerTlsConnectionManager)
        issued = CertificateAuthority.load(keys()).issue("a.example")
        manager.certificate_expiring.tell(CertificateExpiring(issued.certificate, "our certificate", 3.5))
        manager.listener_lost.tell(ListenerLost(manager.listeners[0], "it was shut down", 1.0))
        manager.addresses_changed.tell(AddressesChanged(frozenset({"192.0.2.1"}), frozenset({"192.0.2.2"}), True))
        manager.overload = OverloadState.REJECT_NEW_WORK
        started, expiring, lost, addresses, overload = events
        self.assertEqual((started["event"], started["uri"]), ("started", "sip:user@a.example"))
        self.assertEqual((expiring["event"], expiring["days_left"]), ("certificate-expiring", 3.5))
        self.assertIn("our certificate expires in 3 days", expiring["words"])
        self.assertEqual((lost["event"], lost["reason"], lost["retry_in"]), ("listener-lost", "it was shut down", 1.0))
        self.assertEqual(lost["transport"], "TLS")
        self.assertEqual((addresses["added"], addresses["removed"]), (["192.0.2.2"], ["192.0.2.1"]))
        self.assertEqual(
            (overload["event"], overload["state"], overload["previous_state"]),
            ("overload", "reject_new_work", "normal"),
        )

    async def test_a_peer_that_is_read_no_more(self) -> None:
        """A peer of which nothing more is read is told, with its connection, and so is that it is read again."""
        ours, theirs, events = await self.pair(lambda _: Application())
        await theirs.send_message("sip:user@a.example", "hello")
        manager = ours.connection_manager
        (flow,) = manager.keeper.flows
        manager.throttling_changed.tell(ThrottlingStateChanged(flow))
        (throttled,) = (event for event in events if event["event"] == "throttled")
        self.assertEqual((throttled["flow"], throttled["is_throttled"]), (flow.number, False))
        self.assertEqual(throttled["peer"], "b.example")

    async def test_a_peer_that_is_refused(self) -> None:
        """row:D22: a connection that came to nothing is told with its reason and the remedy."""
        ours, _, events = await self.pair(lambda _: Application())
        ours.connection_manager.tls_failed.tell(TlsFailure(TlsFailureReason.CERTIFICATE_EXPIRED, "192.0.2.7:9"))
        (failure,) = (event for event in events if event["event"] == "tls-failure")
        self.assertEqual((failure["reason"], failure["peer"]), ("CERTIFICATE_EXPIRED", "192.0.2.7:9"))
        self.assertTrue(failure["words"] and failure["remedy"])


class TalkTests(ApplicationCase):
    """Requests, sessions and connections, whatever the application."""

    async def test_a_class_that_prints_nothing(self) -> None:
        """row:M14: requests, connections and the end are told for a class that does nothing of the kind."""
        ours, theirs, events = await self.pair(lambda _: Application())
        await theirs.send_message("sip:user@a.example", "hello")
        await theirs.connection_manager.terminate()
        await ours.connection_manager.terminate()
        kinds = [event["event"] for event in events]
        self.assertEqual(kinds[:3], ["started", "flow-opened", "message"])
        opened, message = events[1:3]
        (lost,) = (event for event in events if event["event"] == "flow-lost")
        self.assertEqual((opened["direction"], opened["peer"], opened["transport"]), ("in", "b.example", "TLS"))
        self.assertEqual((message["text"], message["flow"]), ("hello", opened["flow"]))
        self.assertEqual((lost["flow"], lost["messages_in"]), (opened["flow"], 1))
        self.assertIn("state", kinds)

    async def test_sessions_of_both_sides(self) -> None:
        """row:M14: a session is told of at either end, with a number, what was offered, each state and what is said."""

        class Taking(Application):
            async def session(self, session):  # type: ignore[no-untyped-def]
                session.message_received.subscribe(lambda event: None)
                await session.accept("v=0\r\n")

        ours, theirs, events = await self.pair(lambda _: Taking())
        session = await theirs.invite("sip:user@a.example", "v=0\r\n")
        await session.send_message("in it")
        await session.terminate()
        back = ours.create_session("sip:user@b.example")
        await back.terminate()
        told = [event for event in events if event["event"].startswith(("session", "message"))]
        first, connecting, connected, message, over, second, never = told
        self.assertEqual((first["event"], first["direction"], first["session"]), ("session", "in", 1))
        self.assertEqual((first["offer"], first["peer"]), ("v=0\r\n", "b.example"))
        self.assertEqual((connecting["state"], connected["state"]), ("connecting", "connected"))
        self.assertEqual((message["text"], message["session"]), ("in it", 1))
        self.assertEqual((over["state"], over["reason"], over["session"]), ("disconnected", "terminated_remotely", 1))
        self.assertEqual((second["direction"], second["to"], second["session"]), ("out", "sip:user@b.example", 2))
        self.assertEqual((never["session"], never["state"]), (2, "disconnected"))
        self.assertEqual({event["call_id"] for event in told[:5]}, {session.call_id})

    async def test_the_end(self) -> None:
        """A stop is told when it begins and when it is over, and nothing after that."""
        ours, _, events = await self.pair(lambda _: Application())
        del events[:]
        chronicle = self.chronicles[0]
        chronicle.stopping()
        chronicle.ended()
        ours.connection_manager.overload = OverloadState.REJECT_NEW_WORK
        self.assertEqual([event["event"] for event in events], ["stopping", "stopped"])
