"""Tests of :mod:`sip_p2p.endpoint.registration.registration`: one registration against a registrar on one clock."""

from __future__ import annotations

import random
from typing import Any

from sip_p2p import ConnectionFailure, EndpointTerminated, RegistrationState, RequestFailed, SipEndpoint
from tests.endpoint.registration.registrar import RegistrarTestCase


class PlainTests(RegistrarTestCase):
    """One binding over one flow."""

    def test_registers(self) -> None:
        """The registrar learns where we are, and who asks for it hears when it does (RFC 3261 section 10.2)."""
        alice = self.alice()
        registration = self.register(alice, expires=600)
        [incoming] = self.registrar.seen
        request = incoming.request
        self.assertEqual((str(request.uri), request.to.uri_text), ("sip:example.com", "sip:alice@example.com"))
        self.assertEqual(self.registrar.times(), ["600"])
        self.assertEqual(self.contact().params["reg-id"], "1")
        self.assertEqual(self.contact().params["+sip.instance"], f"<{alice.instance_id}>")
        self.assertEqual((registration.state, alice.registration), (RegistrationState.REGISTERED, registration))
        self.assertTrue(590 < registration.expires <= 600)
        self.assertEqual(self.changes, ["registering", "registered"])

    def test_sips(self) -> None:
        """Who is a sips URI is registered under sips alone: in the Request-URI, Route, From, To and Contact (RFC 5630
        sections 5.1.1 and 5.1.1.1)."""
        alice = self.alice("sips:alice@example.com")
        self.network.run_until(self.register(alice, "example.com", proxies=["example.com"]).unregister())
        for incoming in self.registrar.seen:
            request = incoming.request
            uris = [request.uri_text, request.to.uri_text, request.from_.uri_text]
            uris += [value.strip("<") for name in ("Contact", "Route") for value in request.headers.get_all(name)]
            self.assertEqual((len(uris), {uri.partition(":")[0] for uri in uris}), (5, {"sips"}), uris)

    def test_refreshed(self) -> None:
        """It is asked for again before it runs out, with the same Call-ID and the next CSeq (RFC 3261 section
        10.2.4)."""
        self.register(self.alice(), expires=600)
        self.network.advance(3000)
        seen = self.registrar.seen
        self.assertEqual(len(seen), 11)
        self.assertEqual({incoming.call_id for incoming in seen}, {seen[0].call_id})
        self.assertEqual([incoming.request.cseq.number for incoming in seen], list(range(1, 12)))
        self.assertEqual(len(self.registrar.standing()), 1)

    def test_other_time_granted(self) -> None:
        """What the registrar grants counts, and not what was asked for (RFC 3261 section 10.2.4)."""
        self.registrar.most = 60
        self.register(self.alice())
        self.network.advance(100)
        self.assertEqual(len(self.registrar.seen), 4)

    def test_unregistered(self) -> None:
        """In the end our own binding is removed, and no other one (RFC 3261 section 10.2.2)."""
        alice = self.alice()
        registration = self.register(alice)
        self.network.run_until(registration.unregister())
        self.assertEqual(self.registrar.times(), ["3600", "0"])
        self.assertNotIn("*", self.registrar.contacts())
        self.assertEqual((self.registrar.standing(), alice.registration), ([], None))
        self.assertEqual(registration.state, RegistrationState.TERMINATED)
        self.assertEqual(self.changes[2:], ["unregistering", "terminated"])
        self.network.run_until(registration.unregister())
        self.failureResultOf(registration.when_registered(), EndpointTerminated)

    def test_again(self) -> None:
        """After its end another registration can begin."""
        alice = self.alice()
        self.network.run_until(self.register(alice).unregister())
        self.register(alice)
        self.assertEqual(len(self.registrar.standing()), 1)

    def test_terminated(self) -> None:
        """A party that is terminated removes its binding, and waits for the answer."""
        alice = self.alice()
        self.register(alice)
        self.network.run_until(alice.terminate())
        self.assertEqual((self.registrar.times(), self.registrar.standing()), (["3600", "0"], []))

    def test_drained(self) -> None:
        """A manager that drains takes its parties out of the registrars first, so that nobody is sent here any more."""
        alice = self.alice()
        self.register(alice)
        self.network.run_until(alice.connection_manager.drain(5))
        self.assertEqual(self.registrar.standing(), [])

    def test_no_answer_in_the_end(self) -> None:
        """A registrar that does not answer the last REGISTER holds nobody up for longer than anything may."""
        alice = self.alice()
        self.register(alice)
        self.registrar.answers = [lambda incoming: incoming.defer()]
        self.network.run_until(alice.connection_manager.terminate())
        self.assertLess(self.network.seconds(), 40)

    def test_given_up(self) -> None:
        """Who does not want to wait any longer leaves nothing behind at the registrar."""
        held: list[Any] = []

        def later(incoming: Any) -> None:
            incoming.defer()
            held.append(incoming)

        self.registrar.answers = [later]
        alice = self.alice()
        registering = alice.register()
        self.network.advance(1)
        registering.cancel()
        self.failureResultOf(registering)
        held[0].respond(200)
        self.network.advance(1)
        self.assertEqual((self.registrar.times(), alice.registration), (["3600", "0"], None))


class TroubleTests(RegistrarTestCase):
    """What goes wrong."""

    def test_too_brief(self) -> None:
        """A registrar that wants us more seldom is asked once more for as long as it wants (RFC 3261 section
        10.2.8)."""
        self.registrar.least = 900
        self.register(self.alice(), expires=60)
        self.assertEqual(self.registrar.times(), ["60", "900"])

    def test_refused(self) -> None:
        """A refusal is the outcome, and nothing more is tried."""
        self.registrar.answers = [403]
        alice = self.alice()
        with self.assertRaises(RequestFailed) as caught:
            self.register(alice)
        self.assertEqual((caught.exception.status, alice.registration), (403, None))
        self.network.advance(7200)
        self.assertEqual(len(self.registrar.seen), 1)
        self.assertEqual(self.changes, ["registering", "terminated"])

    def test_nobody_there(self) -> None:
        """A server that cannot be reached is the outcome as well."""
        self.network.run_until(self.registrar.manager.stop_listening())
        with self.assertRaises(ConnectionFailure):
            self.register(self.alice())

    def test_keeps_trying(self) -> None:
        """Who wants to have it tried further has it tried further, after half a minute at least, and ever more seldom
        (RFC 5626 section 4.5)."""
        self.registrar.answers = [403, 500, 403]
        alice = self.alice()
        registering = alice.register(keep_trying=True)
        self.network.advance(1)
        self.assertEqual(self.changes, ["registering", "waiting for retry"])
        self.network.advance(29)
        self.assertEqual(len(self.registrar.seen), 1)
        self.network.run_until(registering, timeout=1000)
        self.assertEqual(len(self.registrar.seen), 4)
        self.assertTrue(30 + 60 + 120 <= self.network.seconds() <= 2 * (30 + 60 + 120) + 2)

    def test_refresh_refused_for_now(self) -> None:
        """A refresh that a busy registrar refuses is repeated after the time that it names; the binding stands
        meanwhile."""
        registration = self.register(self.alice())
        self.registrar.answers = [lambda incoming: incoming.response(500, headers=[("Retry-After", "100")])]
        self.network.advance(3010)
        self.assertEqual(registration.state, RegistrationState.WAITING_FOR_RETRY)
        self.assertTrue(registration.is_registered)
        self.assertEqual(str(registration.error), "500 Server Internal Error")
        self.network.advance(101)
        self.assertEqual((registration.state, registration.error), (RegistrationState.REGISTERED, None))

    def test_not_kept(self) -> None:
        """A registrar that says yes, and lists everybody's binding but ours, has not registered us (RFC 3261 section
        10.2.4)."""

        def others(incoming: Any) -> Any:
            response = incoming.response(200)
            response.headers.add("Contact", "<sip:somebody@192.0.2.1>;expires=60")
            return response

        self.registrar.answers = [others]
        with self.assertRaisesRegex(ConnectionFailure, "keeps no binding of ours"):
            self.register(self.alice())

    def test_unreadable(self) -> None:
        """A 2xx that cannot be read is no registration."""

        def wrong(incoming: Any) -> Any:
            response = incoming.response(200)
            response.headers.add("Contact", "<<<")
            return response

        self.registrar.answers = [wrong]
        with self.assertRaisesRegex(Exception, "Contact"):
            self.register(self.alice())


class FlowTests(RegistrarTestCase):
    """The flow that the binding is bound to."""

    def test_requests_come_by_it(self) -> None:
        """What is for us comes by the connection that we have opened, from everybody for whom the server of our domain
        speaks, though nobody could connect to us and the peer may ask us nothing otherwise (RFC 5626 section 3)."""
        alice = self.alice(manager={"allow": None})
        heard: list[str] = []
        alice.message_received.subscribe(lambda event: heard.append(event.text))
        self.network.run_until(alice.request("OPTIONS", "sip:registrar@example.com"))
        registration = self.register(alice)
        self.registrar.pass_on("hello")
        self.network.advance(1)
        self.assertEqual(heard, ["hello"])
        [flow] = registration.flows
        self.network.run_until(registration.unregister())
        self.assertFalse(flow.may_request)

    def test_shared(self) -> None:
        """Two parties that are registered over one connection do not shut each other out when one of them goes."""
        alice = self.alice(manager={"allow": None})
        carol = SipEndpoint("sip:carol@example.com", alice.connection_manager)
        one, two = self.register(alice), self.register(carol)
        self.assertEqual(one.flows, two.flows)
        [flow] = two.flows
        self.network.run_until(one.unregister())
        self.assertTrue(flow.may_request)
        self.network.run_until(two.unregister())
        self.assertFalse(flow.may_request)

    def test_held(self) -> None:
        """It is not closed for idleness (row:E5)."""
        registration = self.register(self.alice(), expires=86400)
        [flow] = registration.flows
        self.network.advance(40000)
        self.assertTrue(flow.is_open)
        self.assertEqual(registration.flows, (flow,))

    def test_lost(self) -> None:
        """When it is lost after it has served for a while, another one takes its place at once (RFC 5626 section
        4.5)."""
        registration = self.register(self.alice())
        self.network.advance(200)
        self.network.cut("phone.example", "example.com")
        self.network.advance(1)
        self.assertEqual((len(self.registrar.seen), registration.is_registered), (2, True))
        self.assertEqual(len(self.registrar.standing()), 1)

    def test_lost_again_and_again(self) -> None:
        """A flow that does not last is made anew only after a wait (RFC 5626 section 4.5)."""
        registration = self.register(self.alice())
        self.network.advance(10)
        self.network.cut("phone.example", "example.com")
        self.network.advance(20)
        self.assertEqual(len(self.registrar.seen), 1)
        self.assertEqual((registration.state, registration.is_registered), (RegistrationState.WAITING_FOR_RETRY, False))
        waiting = registration.when_registered()
        self.assertIs(self.network.run_until(waiting), registration)
        self.assertTrue(30 <= self.network.seconds() <= 75)

    def test_refresh_at_once(self) -> None:
        """What waits can be asked for at once."""
        registration = self.register(self.alice())
        self.network.cut("phone.example", "example.com")
        self.network.advance(1)
        registration.refresh()
        self.network.advance(1)
        self.assertTrue(registration.is_registered)

    def test_without_outbound(self) -> None:
        """A first proxy that cannot keep flows apart is asked once more without (RFC 5626 section 4.2.1)."""
        self.registrar.answers = [439]
        registration = self.register(self.alice())
        self.assertEqual([("reg-id" in contact) for contact in self.registrar.contacts()], [True, False])
        self.assertNotIn("outbound", self.registrar.seen[1].request.headers.get("Supported") or "")
        self.assertFalse(registration.is_outbound)

    def test_outbound(self) -> None:
        """A registrar that follows RFC 5626 says so."""
        self.assertTrue(self.register(self.alice()).is_outbound)


class GrantedTests(RegistrarTestCase):
    """What else the registrar grants."""

    def test_service_route(self) -> None:
        """Our requests go by the route that the registrar wants, and as before when the registration is over (RFC 3608
        section 6.1)."""
        self.registrar.fields = [("Service-Route", "<sip:example.com;transport=tls;lr>, <sip:two.example;lr>")]
        alice = self.alice()
        registration = self.register(alice)
        routes: list[Any] = []
        self.registrar.party.handle("OPTIONS", lambda incoming: routes.append(incoming.request.headers) or 200)
        self.assertEqual(len(registration.service_route), 2)
        self.network.run_until(alice.request("OPTIONS", "sip:bob@nowhere.example"))
        self.assertEqual(routes[0].get_all("Route"), ["<sip:example.com;transport=tls;lr>", "<sip:two.example;lr>"])
        self.network.run_until(registration.unregister())
        self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com"))
        self.assertEqual(routes[1].get_all("Route"), [])
        self.assertNotIn("Route", self.registrar.seen[-1].request.headers)

    def test_service_route_and_sips(self) -> None:
        """Beside a sips Request-URI the route is all sips; where it begins with sips, so is the Contact of every
        request (RFC 5630 section 5.1.1)."""
        seen: list[Any] = []
        self.registrar.party.handle("OPTIONS", lambda incoming: seen.append(incoming.request.headers) or 200)
        alice = self.alice()
        for schemes, asked, expected, contact in (
            (("sip", "sip"), "sips", ("sips", "sips"), "sips"),
            (("sips", "sip"), "sip", ("sips", "sip"), "sips"),
            (("sip", "sips"), "sip", ("sip", "sips"), "sip"),
        ):
            granted, wanted = (
                [f"<{scheme}:{host};lr>" for scheme, host in zip(each, ("example.com", "two.example"), strict=True)]
                for each in (schemes, expected)
            )
            self.registrar.fields = [("Service-Route", ", ".join(granted))]
            registration = self.register(alice)
            self.network.run_until(alice.request("OPTIONS", f"{asked}:bob@nowhere.example"))
            self.assertEqual(seen[-1].get_all("Route"), wanted)
            self.assertTrue(seen[-1]["Contact"].startswith(f"<{contact}:"), (schemes, asked, seen[-1]["Contact"]))
            self.network.run_until(registration.unregister())

    def test_gruu(self) -> None:
        """Our Contact is the GRUU from then on, but not in REGISTER (RFC 5627 section 4)."""
        self.registrar.gruu = True
        alice = self.alice()
        registration = self.register(alice)
        contacts: list[Any] = []
        self.registrar.party.handle(
            "OPTIONS", lambda incoming: contacts.append(incoming.request.headers.get("Contact")) or 200
        )
        self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com"))
        self.assertTrue(contacts[0].startswith("<sip:alice@example.com;gr=one>"), contacts)
        self.assertEqual(str(registration.public_gruu), "sip:alice@example.com;gr=one")
        registration.refresh()
        self.network.advance(1)
        self.assertNotIn("gr=", self.registrar.contacts()[-1])
        self.network.run_until(registration.unregister())
        self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com"))
        self.assertNotIn("gr=", contacts[1])

    def test_lapsed(self) -> None:
        """A GRUU and a Service-Route of a registration whose time is over are used no more, though it is asked for
        again (RFC 5627 section 4.4)."""
        self.registrar.gruu = True
        self.registrar.fields = [("Service-Route", "<sip:example.com;transport=tls;lr>")]
        alice = self.alice()
        registration = self.register(alice, expires=600)
        [flow] = registration.flows
        self.registrar.answers = [503] * 20
        self.network.advance(590)
        self.assertIn(";gr=one", alice.contact_value(flow))
        self.assertIsNotNone(alice.service_route)
        self.network.advance(20)
        self.assertEqual(registration.state, RegistrationState.WAITING_FOR_RETRY)
        self.assertNotIn("gr=", alice.contact_value(flow))
        self.assertEqual((alice.service_route, registration.public_gruu), (None, None))
        self.registrar.answers = []
        registration.refresh()
        self.network.advance(1)
        self.assertIn(";gr=one", alice.contact_value(registration.flows[0]))

    def test_temporary_gruu(self) -> None:
        """Who does not want to be known by its Contact has the temporary GRUU there (RFC 5627 section 3.1.2)."""
        self.registrar.gruu = True
        alice = self.alice()
        registration = self.register(alice, gruu="temporary")
        self.assertIn("tgruu.1@example.com", alice.contact_value(registration.flows[0]))

    def test_unnamed(self) -> None:
        """Who remains unnamed has the temporary GRUU in its Contact, whatever else stands there otherwise, and nothing
        of its device; without a registration that gave one it says where it is (RFC 5627 sections 4.4 and 10.3)."""
        self.registrar.gruu = True
        alice = self.alice()
        contacts: list[str] = []
        self.registrar.party.handle(
            "OPTIONS", lambda incoming: contacts.append(incoming.request.headers.get("Contact") or "") or 200
        )
        for gruu in ("public", "temporary", "off"):
            registration = self.register(alice, gruu=gruu)
            self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com", privacy=["user"]))
            self.assertEqual(alice.contact_value(registration.flows[0], for_sips=True, names_nobody=True)[:6], "<sips:")
            self.network.run_until(registration.unregister())
        self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com", privacy=["user"]))
        self.assertEqual(contacts[:2], ["<sip:tgruu.1@example.com;gr>", "<sip:tgruu.2@example.com;gr>"])
        for contact in contacts[2:]:
            self.assertTrue(contact.startswith("<sip:anonymous@"), contact)
            self.assertNotIn("gr", contact)

    def test_no_gruu(self) -> None:
        """Who wants none asks for none, and takes none."""
        self.registrar.gruu = True
        alice = self.alice()
        registration = self.register(alice, gruu="off")
        self.assertNotIn("gruu", self.registrar.seen[0].request.headers.get("Supported") or "")
        self.assertNotIn("gr=", alice.contact_value(registration.flows[0]))

    def test_path(self) -> None:
        """The proxies on the way to us are shown (RFC 3327 section 5.1)."""
        self.registrar.fields = [("Path", "<sip:edge.example;lr;ob>")]
        registration = self.register(self.alice())
        self.assertEqual(registration.path, ("<sip:edge.example;lr;ob>",))
        self.assertIn("path", self.registrar.seen[0].request.headers.get("Supported") or "")


class LivesTests(RegistrarTestCase):
    """Whole lives, in which anything may happen."""

    def test_comes_back(self) -> None:
        """Whatever happens to the connection, the server and the answers, in the end the party is registered once, and
        leaves nothing behind."""
        for seed in range(8):
            chance = random.Random(seed)
            self.registrar.bindings.clear()
            alice = self.alice(f"sip:alice{seed}@example.com", holder=f"phone{seed}.example")
            registration = None
            for _ in range(12):
                if alice.registration is None:
                    alice.register(expires=600, keep_trying=True).addErrback(lambda _: None)
                    registration = alice.registration
                chance.choice(self.deeds)(self, alice, chance)
                self.network.advance(chance.choice((0, 0.005, 0.03, 2, 40, 400)))
            self.registrar.answers.clear()
            self.network.heal()
            if not self.registrar.manager.is_listening:
                self.network.run_until(self.registrar.manager.start_listening("tls:port=5061"))
            if alice.registration is None:
                alice.register(expires=600, keep_trying=True).addErrback(lambda _: None)
            self.network.advance(4000)
            registration = alice.registration
            assert registration is not None
            self.assertTrue(registration.is_registered, seed)
            self.assertEqual(len(self.registrar.standing()), 1, seed)
            self.network.run_until(alice.terminate())
            self.assertEqual(len(self.registrar.standing()), 0, seed)
            self.assertEqual(alice.connection_manager.inventory()["registrations"], 0)

    def cut(self, alice: Any, chance: random.Random) -> None:
        """All connections break."""
        for flow in alice.connection_manager.pool:
            flow.abort()

    def away(self, alice: Any, chance: random.Random) -> None:
        """The server takes no connections, or takes them again."""
        manager = self.registrar.manager
        waiting = manager.stop_listening() if manager.is_listening else manager.start_listening("tls:port=5061")
        self.network.run_until(waiting)

    def refuse(self, alice: Any, chance: random.Random) -> None:
        """The next REGISTER is answered in another way."""
        self.registrar.answers.append(chance.choice((403, 404, 423, 439, 480, 500, 503, 600)))

    def refresh(self, alice: Any, chance: random.Random) -> None:
        """It is asked for now."""
        if alice.registration is not None:
            alice.registration.refresh()

    def end(self, alice: Any, chance: random.Random) -> None:
        """It is not wanted any more."""
        if alice.registration is not None:
            alice.registration.unregister()

    deeds = (cut, away, refuse, refresh, end)
