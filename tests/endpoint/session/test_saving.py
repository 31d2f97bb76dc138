"""Sessions that outlive their process: one side starts anew, or both do."""

from __future__ import annotations

import json
from time import time
from typing import Any

from sip_p2p import (
    EndpointTerminated,
    InvalidOperation,
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
)
from sip_p2p.endpoint.session import saving
from sip_p2p.endpoint.session.recovery import Recovery
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.testing import Network
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.support import SynchronousTestCase


class SavingTestCase(SynchronousTestCase):
    """Alice and Bob, each a program that can be started again."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        for domain in ("a.example", "b.example"):
            self.network.host(names=[domain])
        self.managers: list[RealTimeServerTlsConnectionManager] = []
        self.heard: list[tuple[str, str]] = []
        self.told: list[str] = []
        self.accepted: list[SignalingSession] = []
        self.alice, self.bob = self.start("alice"), self.start("bob")
        self.addCleanup(self.finish)

    def start(self, user: str, port: int = 5061, listens: bool = True) -> SipPeerToPeerEndpoint:
        """The program of *user*, once more."""
        domain = f"{user[0]}.example"
        manager = RealTimeServerTlsConnectionManager(
            self.network.find(domain),
            Credential.from_pem(self.network.authority.issue(domain).pem),
            trust=TrustAnchors.from_pem(self.network.authority.pem),
            allow=TrustPolicy.any_authenticated(),
        )
        self.managers.append(manager)
        party = SipPeerToPeerEndpoint(f"sip:{user}@{domain}", manager)
        party.session_received.subscribe(self.accept)
        if listens:
            self.network.run_until(manager.start_listening(f"tls:port={port}"))
        return party

    def crash(self, party: SipPeerToPeerEndpoint) -> None:
        """The program ends without a word."""
        manager = party.connection_manager
        manager.sessions.abandon()
        self.network.cut(party.owner_uri.host)
        self.network.run_until(manager.terminate())
        self.managers.remove(manager)  # type: ignore[arg-type]

    def finish(self) -> None:
        """Everything ends, and nothing is left."""
        for manager in self.managers:
            self.network.run_until(manager.terminate())
            self.assertEqual((len(manager.core.dialogs), len(manager.sessions)), (0, 0))
        self.network.finish()

    def accept(self, session: SignalingSession) -> None:
        """Whoever is called takes it."""
        self.accepted.append(session)
        self.listen(session)
        session.accept("v=0\r\n")

    def listen(self, session: SignalingSession) -> SignalingSession:
        """Note what is told of it."""
        user = session.endpoint.owner_uri.user or ""
        session.message_received.subscribe(lambda event: self.heard.append((user, event.text)))
        session.route_set_changed.subscribe(lambda change: self.told.append(f"{user} {change.status.name}"))
        return session

    def call(self, **options: Any) -> SignalingSession:
        """A session of Alice's with Bob."""
        session = self.network.run_until(self.alice.invite("sip:bob@b.example", "v=0\r\n", **options))
        self.network.advance(1)
        return self.listen(session)

    def say(self, *ends: SignalingSession) -> None:
        """Each says something, and is heard."""
        for end in ends:
            self.assertEqual(self.network.run_until(end.send_message("hello")).status, 200)
        users = {"alice": "bob", "bob": "alice"}
        self.assertEqual(self.heard, [(users[end.endpoint.owner_uri.user or ""], "hello") for end in ends])


class ResumeTests(SavingTestCase):
    """A session that goes on in another process."""

    def test_caller_starts_anew(self) -> None:
        """The caller's program ends without a word, another one takes the session up, and both sides go on; the peer
        is told of the new Contact by UPDATE (row:H33)."""
        text = self.call(session_timer=SessionTimerSettings(90)).save()
        self.crash(self.alice)
        self.network.advance(1)
        self.alice = self.start("alice", 5071)
        session = self.listen(self.alice.resume_session(text))
        self.assertEqual((session.state, session.is_incoming), (SignalingState.CONNECTED, False))
        self.network.advance(10)
        self.assertEqual(sorted(self.told[-2:]), ["alice HEALTHY", "bob HEALTHY"])
        self.assertIn(":5071", str(self.accepted[0].usage.dialog.remote_target))  # type: ignore[union-attr]
        self.say(session, self.accepted[0])
        self.network.advance(200)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.network.run_until(self.accepted[0].terminate())
        self.assertIs(session.state, SignalingState.DISCONNECTED)

    def test_callee_starts_anew(self) -> None:
        """The same where the program was called (row:H33)."""
        session = self.call()
        text = self.accepted[0].save()
        self.crash(self.bob)
        self.network.advance(1)
        self.bob = self.start("bob", listens=False)
        resumed = self.listen(self.bob.resume_session(text))
        self.assertTrue(resumed.is_incoming)
        self.network.run_until(self.bob.connection_manager.start_listening("tls:port=5061"))
        self.network.advance(30)
        self.say(session, resumed)

    def test_both_start_anew(self) -> None:
        """Both programs end, and both take the session up (row:H33)."""
        texts = [self.call().save(), self.accepted[0].save()]
        self.crash(self.alice)
        self.crash(self.bob)
        self.network.advance(60)
        self.alice, self.bob = (self.start(user, listens=False) for user in ("alice", "bob"))
        ends = [
            self.listen(party.resume_session(text)) for party, text in zip((self.alice, self.bob), texts, strict=True)
        ]
        for party in (self.alice, self.bob):
            self.network.run_until(party.connection_manager.start_listening("tls:port=5061"))
        self.network.advance(30)
        self.say(*ends)
        self.network.run_until(ends[0].terminate())
        self.assertIs(ends[1].state, SignalingState.DISCONNECTED)

    def test_forgotten(self) -> None:
        """A peer that knows nothing of the session any more ends it (row:H33, fault:J5)."""
        text = self.call().save()
        self.crash(self.alice)
        self.crash(self.bob)
        self.alice, self.bob = self.start("alice"), self.start("bob")
        session = self.alice.resume_session(text)
        reasons: list[SignalingTransitionReason] = []
        session.state_changed.subscribe(lambda change: reasons.append(change.reason))
        self.network.advance(10)
        self.assertEqual(reasons, [SignalingTransitionReason.SESSION_DOES_NOT_EXIST])

    def test_without_recovery(self) -> None:
        """A session that does nothing about lost connections tells its peer once where it is now (row:H33)."""
        text = self.call(recovery=Recovery.NONE).save()
        self.crash(self.alice)
        self.alice = self.start("alice", 5071)
        session = self.listen(self.alice.resume_session(text))
        self.assertIs(session.recovery, Recovery.NONE)
        self.network.advance(10)
        self.say(session, self.accepted[0])

    def test_settings(self) -> None:
        """What was said before holds unless it is said anew (row:H33)."""
        text = self.call(recovery=Recovery.MAXIMUM).save()
        self.crash(self.alice)
        self.alice = self.start("alice")
        session = self.alice.resume_session(text, recovery=Recovery.LIMITED, description="v=0\r\ns=-\r\n")
        self.assertIs(session.recovery, Recovery.LIMITED)
        self.assertEqual(session.local_description, ContentDescription("v=0\r\ns=-\r\n"))
        self.assertEqual(session.call_id, json.loads(text)["call_id"])
        self.network.advance(10)


class RefusalTests(SavingTestCase):
    """What cannot be saved, or taken up."""

    def test_not_standing(self) -> None:
        """Only a session that stands can be saved (row:H33)."""
        session = self.alice.create_session("sip:bob@b.example")
        with self.assertRaises(InvalidOperation):
            session.save()
        self.network.run_until(session.terminate())
        with self.assertRaises(InvalidOperation):
            session.save()

    def test_texts(self) -> None:
        """What is no saved session of this party is refused, and leaves nothing behind (row:H33)."""
        text = self.call().save()
        for wrong in ("", "{}", text[:-1], text.replace("sip:alice@a.example", "sip:carol@a.example")):
            with self.assertRaises(ValueError):
                self.alice.resume_session(wrong)
        with self.assertRaises(ValueError):
            self.bob.resume_session(text)
        with self.assertRaises(InvalidOperation):
            self.alice.resume_session(text)
        self.assertEqual(len(self.alice.connection_manager.sessions), 1)

    def test_too_late(self) -> None:
        """A session whose timer has run out meanwhile is not taken up: its peer has hung up (RFC 4028 section 10,
        row:H33)."""
        text = self.call(session_timer=SessionTimerSettings(90)).save()
        self.crash(self.alice)
        self.alice = self.start("alice")
        session = SignalingSession(self.alice, None, "")
        with self.assertRaises(InvalidOperation):
            saving.restore(session, text, SessionTimerSettings(), time() + 91)
        saving.restore(session, text, SessionTimerSettings(), time() + 30)
        self.network.advance(10)

    def test_terminated(self) -> None:
        """A party that was terminated takes nothing up (row:H33)."""
        text = self.call().save()
        self.crash(self.alice)
        with self.assertRaises(EndpointTerminated):
            self.alice.resume_session(text)

    def test_no_secrets(self) -> None:
        """What is saved holds no session description, in which there may be keys (row:H33)."""
        self.assertNotIn("v=0", self.call().save())
