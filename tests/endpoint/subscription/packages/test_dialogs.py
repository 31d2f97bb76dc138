"""The dialog package: whose sessions are told, how, and to whom (RFC 4235)."""

from __future__ import annotations

from typing import Any

from sip_p2p import DialogPackage, RequestFailed, SignalingSession
from sip_p2p.documents.dialog_info import Assembled, DialogTable
from sip_p2p.endpoint.session.states import SignalingState, SignalingStateChanged, SignalingTransitionReason
from sip_p2p.endpoint.subscription.packages.dialogs import entry_of
from sip_p2p.sip.message import Response
from tests.endpoint.session.calls import ANSWER, OFFER
from tests.endpoint.subscription.packages.watching import WatchingTestCase

ALICE = "sip:alice@a.example"
BOB = "sip:bob@b.example"


class DialogTests(WatchingTestCase):
    """Alice calls and is called, and Carol watches her."""

    def setUp(self) -> None:
        """Carol may watch."""
        super().setUp()
        self.carol = self.network.party("sip:carol@c.example")
        self.package = DialogPackage(self.alice, may_watch=lambda request: request.from_.uri.host == "c.example")
        self.alice.packages.add(self.package)
        self.addCleanup(self.package.close)
        self.sessions: list[SignalingSession] = []
        self.bob.session_received.subscribe(self.sessions.append)

    def states(self, seen: list[Any]) -> list[list[tuple[str, str]]]:
        """State and event of the dialogs in each notification."""
        return [[(each.state, each.event) for each in info.dialogs] for info in self.documents(seen)]

    def test_call(self) -> None:
        """A call of hers is told from the first INVITE to the BYE, each notification being whole (row:J12)."""
        seen = self.watch("dialog", who=self.carol)
        calling = self.alice.invite(BOB, OFFER)
        self.network.advance(2)
        self.sessions[0].ring()
        self.network.advance(2)
        accepting = self.sessions[0].accept(ANSWER)
        session = self.run_until(calling)
        self.run_until(accepting)
        assert isinstance(session, SignalingSession)
        self.network.advance(2)
        self.run_until(session.terminate())
        self.network.advance(2)
        told = self.states(seen)
        self.assertEqual(told[0], [])
        self.assertEqual(told[-1], [("terminated", "local-bye")])
        flat = [each[0][0] for each in told if each]
        self.assertEqual(flat, sorted(flat, key=("trying", "early", "confirmed", "terminated").index))
        self.assertIn("confirmed", flat)
        documents = self.documents(seen)
        self.assertEqual([info.version for info in documents], list(range(len(documents))))
        self.assertTrue(all(info.is_full for info in documents))
        confirmed = next(info.dialogs[0] for info in documents if info.dialogs and info.dialogs[0].state == "confirmed")
        self.assertEqual((confirmed.direction, confirmed.call_id), ("initiator", session.call_id))
        self.assertEqual((confirmed.local.identity, confirmed.remote.identity), (ALICE, BOB))
        self.assertTrue(confirmed.local_tag)
        self.assertTrue(confirmed.remote_tag)
        table = DialogTable()
        self.assertEqual({table.add(info) for info in documents}, {Assembled.APPLIED})
        self.assertEqual(table.dialogs, ())

    def test_called(self) -> None:
        """A call to her that she rejects is told with its status."""
        seen = self.watch("dialog", who=self.carol)
        hers: list[SignalingSession] = []
        self.alice.session_received.subscribe(hers.append)
        calling = self.bob.invite(ALICE, OFFER)
        self.network.advance(2)
        hers[0].ring()
        self.network.advance(2)
        hers[0].reject(486)
        self.network.advance(2)
        self.failureResultOf(calling, RequestFailed)
        self.assertEqual(self.states(seen)[1:], [[("trying", "")], [("early", "")], [("terminated", "rejected")]])
        last = self.documents(seen)[-1].dialogs[0]
        self.assertEqual((last.direction, last.remote.identity), ("recipient", BOB))

    def test_tags(self) -> None:
        """A call has the tags that are there: its caller's at first, and both as soon as it rings (RFC 4235 sections
        3.7.1 and 4.1.1)."""
        seen = self.watch("dialog", who=self.carol)
        hers: list[SignalingSession] = []
        self.alice.session_received.subscribe(hers.append)
        for caller, callee in ((self.bob, ALICE), (self.alice, BOB)):
            session = caller.create_session(callee)
            session.establish(OFFER).addErrback(lambda failure: None)
            self.network.advance(2)
            (hers if caller is self.bob else self.sessions)[-1].ring()
            self.network.advance(2)
            self.run_until(session.terminate())
            self.network.advance(2)
        told = [info.dialogs[0] for info in self.documents(seen)[1:]]
        self.assertEqual([(each.state, bool(each.local_tag), bool(each.remote_tag)) for each in told], [
            ("trying", False, True), ("early", True, True), ("terminated", False, True),
            ("trying", True, False), ("early", True, True), ("terminated", True, True),
        ])  # fmt: skip

    def test_replaced(self) -> None:
        """A call whose place another one takes ends as replaced, and the other one says whose place it has; one that
        was to take it and came to nothing leaves it as it was (RFC 4235 sections 3.7.1 and 4.1.4, row:J12, row:I9)."""
        seen = self.watch("dialog", who=self.carol)
        self.alice.session_received.subscribe(self.sessions.append)
        calling = self.bob.invite(ALICE, OFFER)
        self.network.advance(2)
        self.run_until(self.sessions[0].accept(ANSWER))
        old: Any = self.run_until(calling)
        failing = self.bob.invite(ALICE, OFFER, replaces=old)
        self.network.advance(2)
        self.sessions[1].reject(486)
        self.network.advance(2)
        self.failureResultOf(failing, RequestFailed)
        calling = self.bob.invite(ALICE, OFFER, replaces=old)
        self.network.advance(2)
        self.run_until(self.sessions[2].accept(ANSWER))
        new: Any = self.run_until(calling)
        self.network.advance(2)
        ended = [each for info in self.documents(seen) for each in info.dialogs if each.state == "terminated"]
        self.assertEqual([(each.event, each.call_id == old.call_id) for each in ended[1:]], [("replaced", True)])
        last = next(each for each in self.documents(seen)[-1].dialogs if each.state == "confirmed")
        self.assertEqual(last.replaces, (old.call_id, ended[-1].local_tag, ended[-1].remote_tag))
        self.run_until(new.terminate())
        self.network.advance(2)
        self.assertEqual(self.states(seen)[-1], [("terminated", "remote-bye")])

    def test_refused(self) -> None:
        """A call of hers that is refused is told with the status of the refusal."""
        seen = self.watch("dialog", who=self.carol)
        calling = self.alice.invite(BOB, OFFER)
        self.network.advance(2)
        self.sessions[0].reject(486)
        self.network.advance(2)
        self.failureResultOf(calling, RequestFailed)
        last = self.documents(seen)[-1].dialogs[0]
        self.assertEqual((last.state, last.event, last.code), ("terminated", "rejected", 486))
        self.assertEqual(last.remote.identity, BOB)

    def test_no_answer(self) -> None:
        """A call of hers that comes to nothing before it stands is told as rejected, be it for want of time or of a way
        to the peer: no other event leads there (RFC 4235 section 3.7.1)."""
        seen = self.watch("dialog", who=self.carol)
        calling = self.alice.invite(BOB, OFFER)
        self.network.advance(2)
        self.sessions[0].reject(408)
        self.network.advance(2)
        self.failureResultOf(calling, RequestFailed)
        last = self.documents(seen)[-1].dialogs[0]
        self.assertEqual((last.state, last.event, last.code), ("terminated", "rejected", 408))
        calling = self.alice.invite("sip:nobody@nowhere.example", OFFER)
        self.network.advance(60)
        self.failureResultOf(calling)
        last = self.documents(seen)[-1].dialogs[0]
        self.assertEqual((last.state, last.event, last.code), ("terminated", "rejected", None))

    def test_what_ends_a_call(self) -> None:
        """Each end has its event, and only a response to the INVITE has its status told (RFC 4235 sections 3.7.1 and
        4.1.2)."""
        calling = self.alice.invite(BOB, OFFER)
        self.network.advance(2)
        self.run_until(self.sessions[0].accept(ANSWER))
        called, session = self.sessions[0], self.run_until(calling)
        self.run_until(session.terminate())
        self.network.advance(2)
        state, reason = SignalingState, SignalingTransitionReason
        for who, before, why, status, event, code in (
            (session, state.CONNECTED, reason.TERMINATED_LOCALLY, None, "local-bye", None),
            (session, state.CONNECTED, reason.TERMINATED_REMOTELY, None, "remote-bye", None),
            (session, state.CONNECTED, reason.SESSION_DOES_NOT_EXIST, 481, "error", None),
            (session, state.CONNECTED, reason.TIMEOUT, 408, "error", None),
            (session, state.CONNECTED, reason.TIMEOUT, None, "timeout", None),
            (session, state.CONNECTED, reason.RECOVERY_FAILED, None, "error", None),
            (session, state.ALERTED, reason.TERMINATED_LOCALLY, 487, "cancelled", 487),
            (session, state.CONNECTING, reason.UNREACHABLE, 404, "rejected", 404),
            (called, state.CONNECTING, reason.TIMEOUT, None, "timeout", None),
            (called, state.INCOMING, reason.CANCELED, None, "cancelled", None),
            (called, state.INCOMING, reason.TIMEOUT, None, "rejected", None),
        ):
            message = None if status is None else Response(status)
            entry = entry_of(who, SignalingStateChanged(before, state.DISCONNECTED, why, message))
            assert entry is not None
            self.assertEqual((entry.event, entry.code), (event, code), (before, why))

    def test_one_dialog(self) -> None:
        """Whoever names a dialog in Event is told of no other one (RFC 4235 section 3.2)."""
        calls: list[Any] = []
        for number in range(2):
            calling = self.alice.invite(BOB, OFFER)
            self.network.advance(2)
            self.run_until(self.sessions[number].accept(ANSWER))
            calls.append(self.run_until(calling))
        dialogs = [each.usage.dialog for each in calls]
        one = dialogs[0]
        named = f'dialog;call-id="{one.call_id}";to-tag={one.local_tag};from-tag={one.remote_tag}'
        events = (named, f'dialog;call-id="{one.call_id}"', named.replace(one.remote_tag, "x"), "dialog")
        seen = [self.watch(event, who=self.carol) for event in events]
        told = [[each.call_id for each in self.documents(some)[0].dialogs] for some in seen]
        both = [each.call_id for each in dialogs]
        self.assertEqual(told, [both[:1], both[:1], [], both])
        for call in calls:
            self.run_until(call.terminate())
            self.network.advance(2)
        ended = {each.call_id for info in self.documents(seen[0]) for each in info.dialogs if each.is_terminated}
        self.assertEqual(ended, {one.call_id})

    def test_characters(self) -> None:
        """A caller whose name no document can carry is told with another character in its place (fault:D4)."""
        seen = self.watch("dialog", who=self.carol)
        self.alice.session_received.subscribe(lambda each: None)
        strange = self.network.party("sip:eve@e.example", display_name="E\x01v\\e<&\x7f")
        session = strange.create_session(ALICE)
        session.establish(OFFER).addErrback(lambda failure: None)
        self.network.advance(2)
        self.run_until(session.terminate())
        self.network.advance(2)
        told = [info.dialogs[0].remote for info in self.documents(seen)[1:]]
        self.assertEqual({each.display for each in told}, {"E\ufffdv\\e<&\x7f"})

    def test_cancelled(self) -> None:
        """A call that she gives up is told as cancelled, and one whose caller does likewise."""
        seen = self.watch("dialog", who=self.carol)
        session = self.alice.create_session(BOB)
        calling = session.establish(OFFER)
        calling.addErrback(lambda failure: None)
        self.network.advance(2)
        self.run_until(session.terminate())
        self.network.advance(2)
        self.assertEqual(self.states(seen)[-1], [("terminated", "cancelled")])
        self.alice.session_received.subscribe(lambda each: None)
        theirs = self.bob.create_session(ALICE)
        theirs.establish(OFFER).addErrback(lambda failure: None)
        self.network.advance(2)
        self.run_until(theirs.terminate())
        self.network.advance(2)
        self.assertEqual(self.states(seen)[-1], [("terminated", "cancelled")])

    def test_closed_by_default(self) -> None:
        """Unless somebody says otherwise nobody knows but the party itself (row:J9)."""
        self.alice.packages.remove(self.package)
        package = DialogPackage(self.alice)
        self.addCleanup(package.close)
        self.alice.packages.add(package)
        for who in (self.bob, self.carol):
            failing = who.subscribe(ALICE, "dialog", retry="never")
            self.network.advance(1)
            self.assertEqual(self.failureResultOf(failing, RequestFailed).value.status, 403)
        self.assertEqual(self.states(self.watch("dialog", who=self.alice)), [[]])

    def test_others(self) -> None:
        """Sessions of other parties of the same connection manager are not told."""
        seen = self.watch("dialog", who=self.carol)
        calling = self.carol.invite(BOB, OFFER)
        self.network.advance(2)
        self.sessions[0].reject(486)
        self.network.advance(2)
        self.failureResultOf(calling, RequestFailed)
        self.assertEqual(self.states(seen), [[]])

    def test_bound(self) -> None:
        """Of the sessions that have ended the last 64 are remembered for those who were not told."""
        for _ in range(70):
            session = self.alice.create_session("sip:nobody@b.example")
            session.establish(OFFER).addErrback(lambda failure: None)
            self.network.advance(1)
            self.sessions[-1].reject(486)
            self.network.advance(1)
        seen = self.watch("dialog", who=self.carol)
        self.assertEqual(self.states(seen), [[]])
