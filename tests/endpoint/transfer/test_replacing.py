"""Sessions that take the place of others, or are added to them, and who may have them do so."""

from __future__ import annotations

from typing import Any

from sip_p2p import (
    DigestAuthenticator,
    InvalidOperation,
    Join,
    Peer,
    Replacement,
    Replaces,
    RequestFailed,
    SignalingState,
    SipPeerToPeerEndpoint,
)
from sip_p2p.sip.event.refer import ReferredBy
from tests.endpoint.session.calls import ANSWER, BOB, OFFER
from tests.endpoint.transfer.support import TransferTestCase


class ReplacingTestCase(TransferTestCase):
    """Whoever calls Bob, and with what."""

    def status(self, party: Any, **arguments: Any) -> int:
        """What *party* gets for calling Bob."""
        calling = party.invite(BOB, OFFER, **arguments)
        before = len(self.received)
        self.network.advance(1)
        if len(self.received) > before:
            self.received[-1].accept(ANSWER)
            self.network.advance(1)
            self.run_until(self.successResultOf(calling).terminate())
            return 200
        return self.failureResultOf(calling, RequestFailed).value.status


class ReplaceTests(ReplacingTestCase):
    """RFC 3891."""

    def test_same_party(self) -> None:
        """The party that a session is with replaces it, and the old one ends when the new one stands (row:I9)."""
        old, theirs = self.call()
        calling = self.alice.invite(BOB, OFFER, replaces=old)
        self.network.advance(1)
        new = self.received[-1]
        replacement = new.replacement
        assert replacement is not None
        self.assertIs(replacement.session, theirs)
        self.assertTrue(replacement.is_same_party)
        self.assertFalse(replacement.is_join)
        self.assertIn("replaces", new.invite.headers["Require"])  # type: ignore[union-attr]
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        new.accept(ANSWER)
        self.network.advance(1)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)
        self.assertIs(old.state, SignalingState.DISCONNECTED)
        self.assertIsNone(new.replacement)
        self.run_until(self.successResultOf(calling).terminate())

    def test_refused_leaves_it(self) -> None:
        """Where the new session is refused, the old one stays as it was (row:I9)."""
        old, theirs = self.call()
        calling = self.alice.invite(BOB, OFFER, replaces=old)
        self.network.advance(1)
        self.received[-1].reject(488)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(calling, RequestFailed).value.status, 488)
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        self.run_until(old.terminate())

    def test_another_party(self) -> None:
        """Somebody else who knows all of it hears that there is no such session (row:I9, fault:D5, limit:L27)."""
        old, theirs = self.call()
        assert old.usage is not None
        stolen = Replaces.to(old.usage.dialog)
        self.assertEqual(self.status(self.carol, replaces=stolen), 481)
        referred = [("Referred-By", "<sip:alice@a.example>")]
        self.assertEqual(self.status(self.carol, replaces=stolen, headers=referred), 481)
        self.assertEqual(self.status(self.carol, replaces=Replaces("x", "y", "z")), 481)
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        self.run_until(old.terminate())

    def test_other_address(self) -> None:
        """On the same connection, under another address, one is another party (fault:D5, fault:E7)."""
        old, _ = self.call()
        assert old.usage is not None
        other = SipPeerToPeerEndpoint("sip:mallory@a.example", self.alice.connection_manager)
        self.assertEqual(self.status(other, replaces=Replaces.to(old.usage.dialog)), 481)
        self.run_until(old.terminate())

    def test_nobody(self) -> None:
        """Who has called without a name has none to be known by: of two on one connection neither is the other, nor
        itself (fault:D5, RFC 3323 section 4.1.1.3)."""
        old: Any = self.alice.invite(BOB, OFFER, privacy="user")
        self.network.advance(1)
        self.received[-1].accept(ANSWER)
        self.network.advance(1)
        old = self.successResultOf(old)
        other = SipPeerToPeerEndpoint("sip:mallory@a.example", self.alice.connection_manager)
        self.assertEqual(self.status(other, replaces=Replaces.to(old.usage.dialog), privacy="user"), 481)
        self.run_until(old.terminate())

    def test_same_user(self) -> None:
        """Where Bob asks for passwords, the user of a session replaces it from another device; another user does not
        (RFC 3891 section 3) (row:I9, fault:D5)."""
        self.bob.profile.authenticator = DigestAuthenticator("b.example", {"alice": "pw", "eve": "wp"}.get)
        self.alice.credentials.add(realm="b.example", username="alice", password="pw", peer="b.example")
        self.carol.credentials.add(realm="b.example", username="eve", password="wp", peer="b.example")
        device = self.network.party("sip:alice@d.example")
        device.credentials.add(realm="b.example", username="alice", password="pw", peer="b.example")
        old, theirs = self.call()
        assert old.usage is not None
        named = Replaces.to(old.usage.dialog)
        self.assertEqual(self.status(self.carol, replaces=named), 481)
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        self.assertEqual(self.status(device, replaces=named), 200)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)

    def test_policy(self) -> None:
        """replaces_policy lets others through, who are shown to it (row:I9)."""
        asked: list[Replacement] = []

        def policy(replacement: Replacement) -> bool:
            asked.append(replacement)
            return replacement.peer.identity == "c.example"

        self.bob.replaces_policy = policy
        old, theirs = self.call()
        assert old.usage is not None
        known = Replaces.to(old.usage.dialog)
        referred = [("Referred-By", "<sip:alice@a.example>")]
        self.assertEqual(self.status(self.carol, replaces=known, headers=referred), 200)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)
        self.assertIsInstance(asked[0].peer, Peer)
        self.assertFalse(asked[0].is_same_party)
        self.assertIsInstance(asked[0].referred_by, ReferredBy)
        self.assertIn("Replacement of", repr(asked[0]))

    def test_policy_fails(self) -> None:
        """A policy that raises, or says anything but yes, lets nobody through (fault:K1, fault:D5)."""
        old, _ = self.call()

        def fails(replacement: Replacement) -> bool:
            raise ZeroDivisionError

        for policy in (fails, lambda replacement: "yes", lambda replacement: None):
            self.bob.replaces_policy = policy
            self.assertEqual(self.status(self.alice, replaces=old), 481)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.run_until(old.terminate())

    def test_early_only(self) -> None:
        """RFC 3891 section 3: what was meant for an early dialog is 486 once it was accepted (row:I9)."""
        old, _ = self.call()
        assert old.usage is not None
        early = Replaces.to(old.usage.dialog).early_only()
        self.assertEqual(self.status(self.alice, replaces=early), 486)
        self.run_until(old.terminate())

    def test_early_of_ours(self) -> None:
        """RFC 3891 section 3: where the one who is asked has called, the call that rings is cancelled (row:I9)."""
        self.alice.session_received.subscribe(self.at_carol.append)
        ringing = self.bob.create_session("sip:alice@a.example")
        establishing = ringing.establish(OFFER)
        self.network.advance(0.5)
        self.at_carol[-1].ring()
        self.network.advance(0.5)
        self.assertIs(ringing.state, SignalingState.ALERTED)
        [theirs] = self.at_carol[-1].set_up.early_usages  # type: ignore[union-attr]
        early = Replaces.to(theirs.dialog).early_only()
        self.assertEqual(self.status(self.alice, replaces=early), 200)
        self.assertIs(ringing.state, SignalingState.DISCONNECTED)
        self.failureResultOf(establishing)
        self.network.advance(1)

    def test_early_of_theirs(self) -> None:
        """RFC 3891 section 3: a call that rings here is not replaced: 481 (row:I9)."""
        session, establishing = self.begin()
        self.received[-1].ring()
        self.network.advance(0.5)
        [usage] = session.set_up.early_usages  # type: ignore[union-attr]
        self.assertEqual(self.status(self.alice, replaces=Replaces.to(usage.dialog)), 481)
        self.run_until(session.terminate())
        self.failureResultOf(establishing)

    def test_early_of_our_own(self) -> None:
        """RFC 3891 section 4: a call of ours that still rings is not the callee's to replace, and nobody is asked to
        (row:I9)."""
        session, establishing = self.begin()
        self.received[-1].ring()
        self.network.advance(0.5)
        self.assertRaises(InvalidOperation, self.alice.create_session, BOB, replaces=session)
        self.run_until(session.terminate())
        self.failureResultOf(establishing)

    def test_over(self) -> None:
        """RFC 3891 section 3: one whose end is decided is declined (row:I9)."""
        old, theirs = self.call()
        assert old.usage is not None
        named = Replaces.to(old.usage.dialog)
        calling = self.alice.invite(BOB, OFFER, replaces=named)
        theirs.terminate()
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(calling, RequestFailed).value.status, 603)

    def test_malformed(self) -> None:
        """RFC 3891 section 3: two of them, or one beside a Join, or what cannot be read, is 400 (row:I9)."""
        one = ("Replaces", "a;to-tag=b;from-tag=c")
        for headers in ([one, one], [one, ("Join", "a;to-tag=b;from-tag=c")], [("Replaces", "a")]):
            self.assertEqual(self.status(self.alice, headers=headers), 400)

    def test_not_understood(self) -> None:
        """A party that does not say that it understands Replaces takes it for nothing (row:I9, row:A19)."""
        self.bob.supported_extensions.discard("replaces")
        self.assertEqual(self.status(self.alice, headers=[("Replaces", "a;to-tag=b;from-tag=c")]), 200)
        self.assertEqual(self.status(self.alice, replaces=Replaces("a", "b", "c")), 420)

    def test_anothers_session(self) -> None:
        """A session of another party on the same manager is none of this one's (row:I9, fault:D5)."""
        old, _ = self.call()
        assert old.usage is not None
        other = SipPeerToPeerEndpoint("sip:dave@b.example", self.bob.connection_manager)
        other.session_received.subscribe(self.received.append)
        calling = self.alice.invite("sip:dave@b.example", OFFER, replaces=Replaces.to(old.usage.dialog))
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(calling, RequestFailed).value.status, 481)
        self.run_until(old.terminate())

    def test_arguments(self) -> None:
        """What cannot be replaced is refused where it is asked for (row:I9)."""
        session = self.alice.create_session(BOB)
        self.assertRaises(InvalidOperation, self.alice.create_session, BOB, replaces=session)
        self.assertRaises(TypeError, self.alice.create_session, BOB, replaces="a;to-tag=b")
        both = {"replaces": Replaces("a", "b", "c"), "join": Join("a", "b", "c")}
        self.assertRaises(ValueError, self.alice.create_session, BOB, **both)
        self.run_until(session.terminate())


class JoinTests(ReplacingTestCase):
    """RFC 3911."""

    def test_same_party(self) -> None:
        """The new session is added to the old one, which goes on (row:I9)."""
        old, theirs = self.call()
        calling = self.alice.invite(BOB, OFFER, join=old)
        self.network.advance(1)
        new = self.received[-1]
        assert new.replacement is not None
        self.assertTrue(new.replacement.is_join)
        self.assertIn("Replacement beside", repr(new.replacement))
        new.accept(ANSWER)
        self.network.advance(1)
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        for session in (old, self.successResultOf(calling)):
            self.run_until(session.terminate())

    def test_another_party(self) -> None:
        """A stranger joins nothing (fault:D5, row:I9)."""
        old, _ = self.call()
        assert old.usage is not None
        self.assertEqual(self.status(self.carol, join=Join.to(old.usage.dialog)), 481)
        self.run_until(old.terminate())

    def test_early(self) -> None:
        """RFC 3911 section 4: a call that rings here is no less joined than one that stands (row:I9)."""
        session, establishing = self.begin()
        theirs = self.received[-1]
        theirs.ring()
        self.network.advance(0.5)
        [usage] = session.set_up.early_usages  # type: ignore[union-attr]
        calling = self.alice.invite(BOB, OFFER, join=Join.to(usage.dialog))
        self.network.advance(1)
        replacement = self.received[-1].replacement
        assert replacement is not None
        self.assertIs(replacement.session, theirs)
        self.received[-1].accept(ANSWER)
        self.network.advance(1)
        self.assertIs(theirs.state, SignalingState.INCOMING)
        self.run_until(self.successResultOf(calling).terminate())
        self.run_until(session.terminate())
        self.failureResultOf(establishing)
