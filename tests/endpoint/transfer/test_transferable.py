"""Transfer by one call: blind, and attended."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from sip_p2p import (
    IncomingReferral,
    InvalidOperation,
    OperationTimeout,
    Referral,
    Replacement,
    RequestFailed,
    SignalingState,
)
from sip_p2p.endpoint.transfer.following import Following
from sip_p2p.sip.event.notifier import Notifier
from sip_p2p.sip.event.referring import Referrer
from sip_p2p.sip.event.subscriber import Subscriber
from sip_p2p.sip.uri import parse_uri
from tests.endpoint.transfer.support import ANSWER, CAROL, TransferTestCase
from tests.support import nothing_left


class BlindTests(TransferTestCase):
    """``session.transfer``."""

    def test_transferred(self) -> None:
        """The peer calls the target; when that call stands the session ends (row:I1, limit:L26)."""
        session, theirs = self.call()
        transferring = session.transfer(CAROL)
        self.network.advance(1)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        outcome = self.successResultOf(transferring)
        self.assertEqual((outcome.status, outcome.is_final), (200, True))
        self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)
        self.assertIs(self.at_carol[0].state, SignalingState.CONNECTED)
        self.assertEqual(str(self.at_carol[0].usage.dialog.remote_uri), "sip:bob@b.example")  # type: ignore[union-attr]
        self.run_until(self.at_carol[0].terminate())

    def test_primitives(self) -> None:
        """RFC 5589 section 6: both sides of a session say that they take NOTIFY, and know Target-Dialog; and REFER,
        where somebody decides about it (row:I1)."""
        session, theirs = self.call()
        for each, takes_refer in ((session, True), (theirs, False)):
            assert each.participant is not None
            capabilities = each.participant.capabilities
            self.assertTrue(capabilities.allows("NOTIFY") and capabilities.supports("tdialog"))
            self.assertIs(capabilities.allows("REFER"), takes_refer)
        self.run_until(session.terminate())

    def test_target_refuses(self) -> None:
        """Where the target refuses, the session goes on, and the refusal is told (row:I2)."""
        session, _ = self.call()
        transferring = session.transfer(CAROL)
        self.network.advance(1)
        self.at_carol[0].reject(486)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(transferring, RequestFailed).value.status, 486)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.run_until(session.terminate())

    def test_peer_declines(self) -> None:
        """By default nobody follows anybody: 603, and the session goes on (row:I5, fault:D5)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        session, _ = self.call()
        transferring = session.transfer(CAROL)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(transferring, RequestFailed).value.status, 603)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.assertEqual(self.at_carol, [])
        self.run_until(session.terminate())

    def test_cancelled(self) -> None:
        """Who cancels it hears no more of it, and keeps the session (row:I4)."""
        session, _ = self.call()
        transferring = session.transfer(CAROL)
        self.network.advance(1)
        transferring.cancel()
        self.failureResultOf(transferring, CancelledError)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        self.assertIs(session.state, SignalingState.CONNECTED)
        for each in (session, self.at_carol[0]):
            self.run_until(each.terminate())

    def test_cancelled_early(self) -> None:
        """Before the REFER was answered as well; what the peer was asked for it does (row:I4)."""
        session, _ = self.call()
        transferring = session.transfer(CAROL)
        transferring.cancel()
        self.failureResultOf(transferring, CancelledError)
        self.network.advance(1)
        self.assertEqual(self.alice.connection_manager.inventory()["referrals"], 0)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        for each in (session, self.at_carol[0]):
            self.run_until(each.terminate())

    def test_peer_hangs_up(self) -> None:
        """A peer that hangs up when it was transferred still tells the outcome: the dialog is there for that
        (row:H36, row:I1)."""
        session, theirs = self.call()
        transferring = session.transfer(CAROL)
        self.network.advance(1)
        theirs.terminate()
        self.network.advance(1)
        self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.assertNoResult(transferring)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        self.assertEqual(self.successResultOf(transferring).status, 200)
        self.run_until(self.at_carol[0].terminate())

    def test_nothing_is_told(self) -> None:
        """Where the peer tells nothing, nobody knows, and the session goes on (row:I8)."""
        session, _ = self.call()
        transferring = session.transfer(CAROL, subscription="unwanted")
        self.network.advance(1)
        self.failureResultOf(transferring, OperationTimeout)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.at_carol[0].reject()
        self.run_until(session.terminate())

    def test_before_it_stands(self) -> None:
        """What does not stand cannot be transferred (row:I1)."""
        session = self.alice.create_session(CAROL)
        self.assertRaises(InvalidOperation, session.transfer, CAROL)
        self.assertRaises(InvalidOperation, session.refer, CAROL)
        self.run_until(session.terminate())


class MemoryTests(TransferTestCase):
    """What is left of a transfer."""

    def test_nothing(self) -> None:
        """Nothing of a transfer outlives it, and no collector is needed for that (row:I1)."""
        with nothing_left(self, Referral, Referrer, Subscriber, Notifier, IncomingReferral, Following):
            session, _ = self.call()
            transferring = session.transfer(CAROL)
            self.network.advance(1)
            self.at_carol[-1].accept(ANSWER)
            self.network.advance(1)
            self.successResultOf(transferring)
            self.run_until(self.at_carol[-1].terminate())
            del session, _, transferring
            for kept in (self.received, self.at_carol, self.referrals):
                kept.clear()
            self.network.advance(70)


class AttendedTests(TransferTestCase):
    """``session.transfer_to``."""

    def setUp(self) -> None:
        """Carol lets whoever knows the session by all its parts, and is known by name, take Alice's place."""
        super().setUp()
        self.asked: list[Replacement] = []

        def policy(replacement: Replacement) -> bool:
            self.asked.append(replacement)
            return replacement.peer.is_verified

        self.carol.replaces_policy = policy

    def test_transferred(self) -> None:
        """Bob takes Alice's place with Carol, and both of her sessions end (row:I9, limit:L27)."""
        first, theirs = self.call()
        second, at_carol = self.call_carol()
        transferring = first.transfer_to(second)
        self.network.advance(1)
        new = self.at_carol[-1]
        self.assertIsNot(new, at_carol)
        replacement = new.replacement
        assert replacement is not None
        self.assertIs(replacement.session, at_carol)
        self.assertFalse(replacement.is_same_party)
        self.assertEqual(str(replacement.referred_by), "<sip:alice@a.example>")
        new.accept(ANSWER)
        self.network.advance(1)
        self.assertEqual(self.successResultOf(transferring).status, 200)
        for session in (first, second, theirs, at_carol):
            self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.assertIs(new.state, SignalingState.CONNECTED)
        self.run_until(new.terminate())

    def test_address_of_record(self) -> None:
        """RFC 5589 sections 7.3 and 7.5: where the other party is only to be found under its name, which may lead
        elsewhere, the call is to require that Replaces is understood (row:I9)."""
        first, _ = self.call()
        second, _ = self.call_carol()
        assert second.usage is not None
        dialog = second.usage.dialog
        for host, required in (("c.example", []), ("192.0.2.7", ["replaces"])):
            dialog.remote_target = parse_uri(str(dialog.remote_target).replace("c.example", host))
            transferring = first.transfer_to(second)
            self.network.advance(1)
            uri = self.referrals[-1].refer_to.address.uri
            self.assertEqual(uri.header_values("Require"), required)
            invite = self.at_carol[-1].invite
            assert invite is not None
            self.assertEqual(invite.headers.get_all("Require"), ["replaces"])
            if required:
                self.assertEqual(str(uri.as_request_uri()), CAROL)
                self.at_carol[-1].accept(ANSWER)
                self.network.advance(1)
                self.assertEqual(self.successResultOf(transferring).status, 200)
            else:
                self.at_carol[-1].reject()
                self.network.advance(1)
                self.failureResultOf(transferring, RequestFailed)
        self.run_until(self.at_carol[-1].terminate())

    def test_not_let(self) -> None:
        """Without leave nobody takes anybody's place, and both sessions go on (row:I9, fault:D5)."""
        self.carol.replaces_policy = None
        first, _ = self.call()
        second, _ = self.call_carol()
        transferring = first.transfer_to(second)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(transferring, RequestFailed).value.status, 481)
        for session in (first, second):
            self.assertIs(session.state, SignalingState.CONNECTED)
            self.run_until(session.terminate())
        self.assertEqual(len(self.at_carol), 1)

    def test_outside_of_the_dialog(self) -> None:
        """The REFER may go out of the dialog, and name it (row:I8, row:I9)."""
        first, _ = self.call()
        second, _ = self.call_carol()
        transferring = first.transfer_to(second, in_dialog=False)
        self.network.advance(1)
        [referral] = self.referrals
        self.assertIsNone(referral.session)
        self.assertIs(referral.target_session, self.received[0])
        self.at_carol[-1].accept(ANSWER)
        self.network.advance(1)
        self.assertEqual(self.successResultOf(transferring).status, 200)
        self.run_until(self.at_carol[-1].terminate())

    def test_of_one(self) -> None:
        """A session is not transferred to itself, nor to one that does not stand (row:I9)."""
        session, _ = self.call()
        self.assertRaises(ValueError, session.transfer_to, session)
        other = self.alice.create_session(CAROL)
        self.assertRaises(InvalidOperation, session.transfer_to, other)
        for each in (session, other):
            self.run_until(each.terminate())
