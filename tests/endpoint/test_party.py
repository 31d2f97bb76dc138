"""What every party has: what it says of itself, and the extensions that it understands."""

from __future__ import annotations

from sip_p2p import AnswerOptions, RequestFailed, SipPeerToPeerEndpoint
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.sip.profile import STACK_EXTENSIONS
from tests.endpoint.support import PartyTestCase


class FeatureTests(PartyTestCase):
    """:attr:`sip_p2p.SipPeerToPeerEndpoint.feature_parameters`."""

    def device(self, **options: object) -> SipPeerToPeerEndpoint:
        """One more endpoint on Bob's manager."""
        return SipPeerToPeerEndpoint("sip:carol@b.example", self.bob.connection_manager, **options)  # type: ignore[arg-type]

    def test_in_the_contact(self) -> None:
        """What an endpoint can do stands in the Contact of its requests, from the moment it is said. (row:A18)"""
        seen: list[str] = []
        self.bob.handle("PING", lambda event: seen.append(event.request.headers["Contact"]))
        features = self.alice.feature_parameters
        features.add("audio")
        features.add("language", "en", "de")
        self.run_until(self.alice.request("PING", "sip:bob@b.example"))
        self.assertTrue(seen[0].endswith(f'>;+sip.instance="<{self.alice.instance_id}>";audio;language="en,de"'), seen)
        self.assertEqual((features.get("language"), list(features)), ("en,de", ["audio", "language"]))
        self.assertIn(";audio", self.alice.contact)
        features.remove("audio")
        features.remove("language")
        self.run_until(self.alice.request("PING", "sip:bob@b.example"))
        self.assertTrue(seen[1].endswith(f'>;+sip.instance="<{self.alice.instance_id}>"'), seen)

    def test_in_a_session(self) -> None:
        """Both sides of a session know each other's features and extensions, as they are at the time. (row:A18,
        row:A19, row:H30)"""
        received: list[SignalingSession] = []
        self.bob.session_received.subscribe(lambda session: self.accept(session, received))
        self.alice.feature_parameters.add("video")
        self.bob.feature_parameters.add("automata")
        self.alice.supported_extensions.add("y-fancy")
        self.bob.supported_extensions.add("x-fancy")
        session = self.run_until(self.alice.invite("sip:bob@b.example", "v=0"))
        self.network.advance(1)
        sides = [each.participant.capabilities for each in (*received, session)]
        self.assertEqual(
            [sorted(side.features) for side in sides], [["+sip.instance", "video"], ["+sip.instance", "automata"]]
        )
        self.assertEqual([side.supports("x-fancy") for side in sides], [False, True])
        self.assertEqual([side.supports("y-fancy") for side in sides], [True, False])
        self.assertEqual([side.supports("timer") for side in sides], [True, True])
        self.alice.feature_parameters.add("isfocus")
        self.run_until(session.renegotiate("v=0"))
        self.assertTrue(received[0].participant.is_focus)
        self.run_until(session.terminate())
        self.network.advance(70)

    def test_sessions(self) -> None:
        """A party has a list of its sessions, on either side, and of no other party's. (row:H1)"""
        received: list[SignalingSession] = []
        self.bob.session_received.subscribe(lambda session: self.accept(session, received))
        other = self.device()
        session = self.run_until(self.alice.invite("sip:bob@b.example", "v=0"))
        self.assertEqual((self.alice.sessions, self.bob.sessions, other.sessions), ((session,), tuple(received), ()))
        self.run_until(session.terminate())
        self.network.advance(70)
        self.assertEqual((self.alice.sessions, self.bob.sessions), ((), ()))

    def accept(self, session: SignalingSession, received: list[SignalingSession]) -> None:
        """Keep it, accept it, and answer what is offered later."""
        received.append(session)
        session.offer_received.subscribe(lambda event: "v=0")
        session.accept("v=0")

    def test_what_the_caller_insists_on(self) -> None:
        """RFC 3841 section 6: who insists on what an endpoint does not say of itself is answered 480. (row:A18)"""
        heard: list[str] = []
        self.bob.message_received.subscribe(lambda event: heard.append(event.text))
        wanted = [("Accept-Contact", "*;automata;require;explicit")]
        self.assertEqual(self.status_of(self.alice.send_message("sip:bob@b.example", "x", headers=wanted)), 480)
        self.bob.feature_parameters.add("automata")
        self.run_until(self.alice.send_message("sip:bob@b.example", "y", headers=wanted))
        self.assertEqual(heard, ["y"])

    def test_devices_of_one_address(self) -> None:
        """Endpoints that share an owner URI get what their callers' preferences are for, and the rest is the first
        one's. (row:A18)"""
        heard: list[str] = []
        for name, feature in (("phone", "video"), ("machine", "automata")):
            endpoint = self.device(shares_owner_uri=True)
            endpoint.feature_parameters.add(feature)
            endpoint.message_received.subscribe(lambda event, name=name: heard.append(name))
        for value in ("*;automata", "*;video", "*"):
            headers = [("Accept-Contact", value)]
            self.run_until(self.alice.send_message("sip:carol@b.example", "x", headers=headers))
        self.assertEqual(heard, ["machine", "phone", "phone"])
        with self.assertRaises(ValueError):
            self.device()


class ExtensionTests(PartyTestCase):
    """:attr:`sip_p2p.SipPeerToPeerEndpoint.supported_extensions`."""

    def ask(self, *tags: str) -> tuple[int, str | None]:
        """The status, and what is not supported, of a MESSAGE that requires *tags*."""
        headers = [("Require", ", ".join(tags))]
        outcome = self.alice.send_message("sip:bob@b.example", "x", headers=headers)
        try:
            return self.run_until(outcome).status, None
        except RequestFailed as failure:
            assert failure.response is not None
            return failure.status, failure.response.headers.get("Unsupported")

    def test_required(self) -> None:
        """8.2.2.3: whoever requires what nobody understands is answered 420 with the names of it. (row:A19)"""
        self.bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.ask("timer", "100rel", "199"), (200, None))
        self.assertEqual(self.ask("100rel", "x-fancy", "path"), (420, "x-fancy, path"))

    def test_reliable_responses_off(self) -> None:
        """RFC 3262 section 3: a party that sends nothing reliably does not say that it could. (row:A19, row:H9)"""
        options = AnswerOptions("off")
        carol = SipPeerToPeerEndpoint("sip:carol@b.example", self.bob.connection_manager, answer_options=options)
        self.assertEqual(carol.supported_extensions, {*STACK_EXTENSIONS} - {"100rel"})

    def test_the_set_can_be_changed(self) -> None:
        """Extensions are added and removed at any time, those of the stack too. (row:A19)"""
        self.bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.bob.supported_extensions, {*STACK_EXTENSIONS})
        self.bob.supported_extensions.add("x-fancy")
        self.assertEqual(self.ask("X-Fancy", "timer"), (200, None))
        self.bob.supported_extensions.discard("timer")
        self.assertEqual(self.ask("x-fancy", "timer"), (420, "timer"))
        response = self.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.assertEqual(
            response.headers["Supported"],
            "100rel, 199, explicitsub, join, norefersub, nosub, replaces, tdialog, x-fancy",
        )
