"""Tests of :mod:`sip_p2p.endpoint.registration.register_run`: the way of REGISTERs, over one flow and over several, by
way of proxies, and past servers that do not serve."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import AuthenticationFailed, Credentials, DigestAuthenticator, FlowRecovery, RegistrationState
from sip_p2p.testing import Network
from sip_p2p.transport.flow import PAUSED_TO_WRITE
from tests.endpoint.registration.registrar import RegistrarTestCase, TestRegistrar


class SeveralFlowsTests(RegistrarTestCase):
    """Two proxies, and a flow to each (RFC 5626 section 4.2.1)."""

    PROXIES = ("tls:one.example", "tls:two.example")

    def setUp(self) -> None:
        """The second server."""
        super().setUp()
        self.second = TestRegistrar(self.network, "two.example")

    def make_registrar(self) -> TestRegistrar:
        """The first one."""
        return TestRegistrar(self.network, "one.example")

    def test_both(self) -> None:
        """There is a binding over each, with numbers of their own, and with Call-IDs of their own."""
        registration = self.register(self.alice(), proxies=self.PROXIES)
        self.network.advance(1)
        self.assertEqual(len(registration.flows), 2)
        numbers = [server.contacts()[0].rpartition("reg-id=")[2] for server in (self.registrar, self.second)]
        self.assertEqual(numbers, ["1", "2"])
        one, two = self.registrar.seen[0], self.second.seen[0]
        self.assertNotEqual(one.call_id, two.call_id)
        self.assertEqual(str(one.request.uri), "sip:example.com")
        self.assertEqual(one.request.headers.get_all("Route"), ["<sip:one.example;transport=tls;lr>"])

    def test_one_is_lost(self) -> None:
        """When one is lost we are reached by the other, and requests of ours go there, until the first is back (RFC
        5626 section 4.5)."""
        alice = self.alice()
        heard: list[str] = []
        alice.message_received.subscribe(lambda event: heard.append(event.text))
        self.registrar.party.handle("OPTIONS", lambda incoming: 201)
        self.second.party.handle("OPTIONS", lambda incoming: 202)
        recovery = FlowRecovery(base=2, base_with_others=20)
        registration = self.register(alice, proxies=self.PROXIES, recovery=recovery)
        self.network.advance(1)
        self.assertEqual(self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com")).status, 201)
        self.network.run_until(self.registrar.manager.stop_listening())
        self.network.cut("phone.example", "one.example")
        self.network.advance(5)
        self.assertEqual((registration.state, len(registration.flows)), (RegistrationState.REGISTERED, 1))
        self.assertEqual(self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com")).status, 202)
        self.second.pass_on("by the second")
        self.network.run_until(self.registrar.manager.start_listening("tls:port=5061"))
        self.network.advance(200)
        self.assertEqual((heard, len(registration.flows)), (["by the second"], 2))
        self.assertEqual(self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com")).status, 201)

    def test_one_fails_at_first(self) -> None:
        """One server is enough for the beginning."""
        self.registrar.answers = [500]
        registration = self.register(self.alice(), proxies=self.PROXIES)
        self.assertTrue(registration.is_registered)
        self.network.advance(400)
        self.assertEqual(len(registration.flows), 2)

    def test_both_fail(self) -> None:
        """When none of them registers us that is the outcome, with what went wrong."""
        self.registrar.answers = self.second.answers = [500, 500]
        with self.assertRaisesRegex(Exception, "500"):
            self.register(self.alice(), proxies=self.PROXIES)

    def test_unregistered(self) -> None:
        """In the end both are told."""
        registration = self.register(self.alice(), proxies=self.PROXIES)
        self.network.advance(1)
        self.network.run_until(registration.unregister())
        self.assertEqual((self.registrar.standing(), self.second.standing()), ([], []))

    def test_same_flow(self) -> None:
        """Two names that lead to one connection, which was there before, are two bindings over two connections all the
        same, and never two over one (RFC 5626 section 4.2.1)."""
        both = TestRegistrar(self.network, "both.example")
        self.network.name("example.com", *self.network.addresses_of("both.example"))
        alice = self.alice(listen=("tls:port=5061",))
        self.network.run_until(both.party.request("OPTIONS", "sip:alice@phone.example"))
        registration = self.register(alice, proxies=["tls:both.example", "tls:example.com"])
        self.network.advance(1)
        self.assertEqual((len(registration.flows), len(set(registration.flows))), (2, 2))
        self.assertEqual(len({bound.flow for bound in both.standing()}), 2)


class OfferTests(RegistrarTestCase):
    """What the Via of a REGISTER says of keep-alives."""

    def test_each_time(self) -> None:
        """Each REGISTER offers them, and not what else goes by that connection (RFC 6223 section 4.2.2)."""
        vias: list[str] = []
        self.registrar.party.handle("OPTIONS", lambda incoming: vias.append(incoming.request.headers["Via"]) or 200)
        alice = self.alice()
        registration = self.register(alice)
        for _ in range(2):
            self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com"))
            registration.refresh()
            self.network.advance(1)
        self.network.run_until(registration.unregister())
        self.assertEqual(len(self.registrar.seen), 4)
        for incoming in self.registrar.seen:
            self.assertEqual(incoming.request.headers["Via"].count(";keep"), 1)
        self.assertEqual([via for via in vias if "keep" in via], [])

    def test_none(self) -> None:
        """Where no keep-alives are sent none are offered."""
        registration = self.register(self.alice(manager={"keep_alive": None}))
        registration.refresh()
        self.network.advance(1)
        self.assertEqual([";keep" in incoming.request.headers["Via"] for incoming in self.registrar.seen], [False] * 2)


class TimeoutTests(RegistrarTestCase):
    """A server that is connected and says nothing."""

    def test_flow_is_given_up(self) -> None:
        """A refresh that is not answered, on a connection by which nothing else comes either, ends that connection, and
        the binding is asked for over another one at once (RFC 5626 section 4.5)."""
        alice = self.alice()
        registration = self.register(alice)
        self.network.advance(200)
        [before] = registration.flows
        [bound] = self.registrar.standing()
        bound.flow.pause_reading(PAUSED_TO_WRITE)
        registration.refresh()
        self.network.advance(40)
        self.assertFalse(before.is_open)
        [after] = registration.flows
        self.assertTrue(after.is_open)
        self.assertEqual((registration.state, len(self.registrar.seen)), (RegistrationState.REGISTERED, 2))
        self.assertEqual(len(self.registrar.standing()), 1)

    def test_others_are_answered(self) -> None:
        """A connection by which something else comes meanwhile is none that is dead: it is left to its other users, and
        the binding is asked for again after a while."""
        alice = self.alice()
        self.registrar.party.handle("OPTIONS", lambda incoming: 200)
        registration = self.register(alice)
        self.network.advance(200)
        [before] = registration.flows
        self.registrar.answers = [lambda incoming: Deferred()]
        registration.refresh()
        self.network.advance(10)
        self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com"))
        self.network.advance(100)
        self.assertEqual((registration.state, registration.flows), (RegistrationState.REGISTERED, (before,)))


class FailoverTests(RegistrarTestCase):
    """A domain with two servers (RFC 3263 section 4.3)."""

    def setUp(self) -> None:
        """The second server, and DNS."""
        super().setUp()
        self.second = TestRegistrar(self.network, "two.example")
        for priority, host in enumerate(("one.example", "two.example")):
            self.network.dns.add(f"_sips._tcp.example.com SRV {priority} 0 5061 {host}")

    def make_registrar(self) -> TestRegistrar:
        """The first one."""
        return TestRegistrar(self.network, "one.example")

    def test_first_serves(self) -> None:
        """The first one serves while it can."""
        self.register(self.alice())
        self.assertEqual((len(self.registrar.seen), len(self.second.seen)), (1, 0))

    def test_does_not_serve(self) -> None:
        """One that says 503 is passed over."""
        self.registrar.answers = [503]
        self.register(self.alice())
        self.assertEqual((len(self.registrar.seen), len(self.second.seen)), (1, 1))

    def test_gone(self) -> None:
        """One that is gone is replaced by the other, with the same Call-ID and a higher CSeq."""
        registration = self.register(self.alice())
        self.network.advance(300)
        self.network.run_until(self.registrar.manager.stop_listening())
        self.network.cut("phone.example", "one.example")
        self.network.advance(5)
        self.assertTrue(registration.is_registered)
        one, two = self.registrar.seen[-1].request, self.second.seen[-1].request
        self.assertEqual(one.call_id, two.call_id)
        self.assertLess(one.cseq.number, two.cseq.number)


class DigestTests(RegistrarTestCase):
    """A registrar that asks for a password (RFC 3261 section 22.2)."""

    def protect(self, *algorithms: str) -> None:
        """Let it ask."""

        passwords = {"alice": "secret"}
        authenticator = DigestAuthenticator("example.com", passwords.get, algorithms=algorithms or ("SHA-256",))
        self.registrar.party.profile.authenticator = authenticator

    def with_password(self, password: str = "secret", **options: Any) -> Any:
        """Alice's telephone, with hers."""
        credentials = Credentials()
        credentials.add(realm="example.com", username="alice", password=password, peer="example.com", **options)
        return self.alice(credentials=credentials)

    def test_answers(self) -> None:
        """The challenge is answered, refreshes carry the credentials at once, and the removal does, too."""
        self.protect()
        registration = self.register(self.with_password(), expires=600)
        self.network.advance(1000)
        self.network.run_until(registration.unregister())
        self.assertEqual(self.registrar.standing(), [])
        numbers = [incoming.request.cseq.number for incoming in self.registrar.seen]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(len(self.registrar.seen), 5)

    def test_none(self) -> None:
        """Without credentials the refusal says which realm wanted some."""
        self.protect()
        with self.assertRaises(AuthenticationFailed) as caught:
            self.register(self.alice())
        self.assertEqual(caught.exception.realm, "example.com")

    def test_wrong(self) -> None:
        """A wrong password is the end of it, and is not tried again and again (fault:E3)."""
        self.protect()
        with self.assertRaises(AuthenticationFailed):
            self.register(self.with_password("guess"))
        self.network.advance(7200)
        self.assertEqual(self.registrar.seen, [])


class DatagramTests(RegistrarTestCase):
    """Over UDP."""

    def make_registrar(self) -> TestRegistrar:
        """One that listens there as well, and says nothing of keep-alives in a Via."""
        registrar = TestRegistrar(self.network, keep_alive=None)
        self.network.run_until(registrar.manager.start_listening("udp:port=5060"))
        return registrar

    def test_registers(self) -> None:
        """A binding over UDP is kept by keep-alives, and what is for us comes to the port that we sent from (RFC 5626
        section 4.4.2)."""
        self.registrar.fields = [("Flow-Timer", "25")]
        alice = self.alice(default_transport="udp")
        heard: list[str] = []
        alice.message_received.subscribe(lambda event: heard.append(event.text))
        registration = self.register(alice)
        self.network.advance(600)
        self.registrar.pass_on("hello")
        self.network.advance(1)
        self.assertEqual(heard, ["hello"])
        self.assertGreater(alice.connection_manager.metrics()["keep_alive_pings"], 10)
        self.network.run_until(registration.unregister())

    def test_without_flow_timer(self) -> None:
        """A registrar that follows RFC 5626 is pinged, though it does not say how often; another one is not (RFC 5626
        sections 4.2.1 and 8)."""
        for outbound, least, most in ((True, 20, 30), (False, 0, 0)):
            self.registrar.outbound = outbound
            alice = self.alice(default_transport="udp", holder=f"phone{outbound}.example".lower())
            registration = self.register(alice)
            self.network.advance(600)
            pings = alice.connection_manager.metrics()["keep_alive_pings"]
            self.assertTrue(least <= pings <= most, pings)
            self.network.run_until(registration.unregister())

    def test_lost(self) -> None:
        """Datagrams that are lost are sent again, and the binding is made once."""
        lost: list[Any] = []

        def drop(datagram: Any) -> bool:
            lost.append(datagram)
            return len(lost) in (1, 3, 4)

        self.network.drop = drop
        self.register(self.alice(default_transport="udp"))
        self.assertEqual(len(self.registrar.standing()), 1)
        self.network.drop = None


class HostileRegistrarTests(RegistrarTestCase):
    """A registrar that means harm."""

    def test_no_storm(self) -> None:
        """However short the time that it grants, it is not asked all the time (fault:H5)."""
        self.registrar.most = 1
        self.register(self.alice())
        self.network.advance(600)
        self.assertLess(len(self.registrar.seen), 125)

    def test_closes_at_once(self) -> None:
        """One that drops each connection is not dialled as fast as it can drop (fault:G6)."""
        alice = self.alice()
        self.register(alice)
        self.registrar.manager.flow_opened.subscribe(lambda event: event.flow.close())
        self.network.cut("phone.example", "example.com")
        self.network.advance(3600)
        self.assertLess(alice.connection_manager.pool.dialled, 20)


class NetworkTests(RegistrarTestCase):
    """Many telephones and one server."""

    def test_many(self) -> None:
        """A server that is away for a minute has all of them back, and not all at once (RFC 5626 section 4.5)."""
        from sip_p2p import SipEndpoint

        self.assertIsInstance(self.network, Network)
        phones = []
        for number in range(10):
            holder = self.network.party(f"sip:holder@p{number}.example", listen=())
            phones.append(SipEndpoint(f"sip:u{number}@example.com", holder.connection_manager))
        for phone in phones:
            self.register(phone)
        self.network.advance(200)
        before = len(self.registrar.seen)
        self.network.run_until(self.registrar.manager.stop_listening())
        for flow in self.registrar.manager.pool:
            flow.abort()
        self.network.advance(20)
        self.network.run_until(self.registrar.manager.start_listening("tls:port=5061"))
        self.network.advance(61)
        self.assertTrue(all(phone.registration is not None and phone.registration.is_registered for phone in phones))
        self.assertEqual(len(self.registrar.seen) - before, 10)
