"""Who takes part in a session."""

from __future__ import annotations

from sip_p2p.endpoint.session.participant import EarlyDialog
from tests.endpoint.session.calls import ANSWER, BOB, CallTestCase


class ParticipantTests(CallTestCase):
    """The other end."""

    def test_names(self) -> None:
        """A participant is known by its address, its name, its tag, where it is and what it proved (row:H30)."""
        carol = self.network.party("sip:carol@c.example", display_name="Carol")
        establishing = carol.invite(BOB, "v=0")
        self.network.advance(0.5)
        [theirs] = self.received
        self.assertIsNone(theirs.participant)
        self.run_until(theirs.accept(ANSWER))
        session = self.run_until(establishing)
        participant = theirs.participant
        assert participant is not None and participant.peer is not None
        self.assertEqual((str(participant.uri), participant.display_name), ("sip:carol@c.example", "Carol"))
        self.assertEqual(participant.peer.identity, "c.example")
        self.assertEqual(str(participant.contact_uri), str(carol.contact_uri))
        self.assertEqual(participant.tag, session.usage.dialog.local_tag)  # type: ignore[attr-defined]
        self.assertEqual(repr(participant), '<SignalingParticipant "Carol" <sip:carol@c.example>>')
        self.run_until(theirs.terminate())
        self.network.advance(40)

    def test_capabilities(self) -> None:
        """What a participant can do is what it has said: UPDATE, reliable responses, session timers, features (row:H30,
        row:A18)."""
        self.bob.feature_parameters.add("audio")
        session, theirs = self.call()
        for each in (session, theirs):
            participant = each.participant
            assert participant is not None
            self.assertTrue(participant.is_update_supported)
            self.assertTrue(participant.is_reliability_supported)
            self.assertTrue(participant.is_session_timer_supported)
            self.assertFalse(participant.is_focus)
            self.assertIsNone(participant.gruu)
        assert session.participant is not None
        self.assertIn("audio", session.participant.capabilities.features)
        self.run_until(session.terminate())
        self.assertIsNone(session.participant)

    def test_early_dialogs(self) -> None:
        """Two looks at one early dialog are equal, and two dialogs are not (row:H12)."""
        session, establishing = self.begin()
        [theirs] = self.received
        first = theirs.ring()
        second = theirs.create_early_dialog()
        theirs.ring(dialog=second)
        self.network.advance(0.5)
        self.assertEqual(theirs.early_dialogs, (first, second))
        self.assertNotEqual(first, second)
        self.assertNotEqual(first, 5)
        self.assertEqual(len({first, EarlyDialog(theirs, first.usage), second}), 2)
        self.assertIn(first.local_tag, repr(first))
        over: list[str] = []
        session.early_dialog_ended.subscribe(lambda dialog: over.append(dialog.participant.tag))
        theirs.end_early_dialog(first)
        self.assertEqual(theirs.early_dialogs, (second,))
        self.network.advance(0.5)
        self.assertEqual((len(session.early_dialogs), over), (1, [first.local_tag]))
        self.run_until(session.terminate())
        self.failureResultOf(establishing)
