"""Tests of a session as text: what goes round, and what hostile text can do."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import InDialogRequestReceived
from sip_p2p.sip.dialog.session_timer import Refresher, SessionTimer, SessionTimerSettings
from sip_p2p.sip.dialog.state import LONGEST_STATE, DialogState
from sip_p2p.sip.dialog.usage import InviteUsage, UsageState
from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import SendMessage
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri, parse_uri
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.dialog.dialogs import ProvingFlow, callee_dialog, caller_dialog, in_dialog, invite, ok, tls
from tests.support import SynchronousTestCase

SETTINGS = SessionTimerSettings(1800)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~", min_size=1, max_size=40)
NUMBERS = st.integers(0, 2**31 - 1)
HOSTS = st.from_regex(r"[a-z]{1,10}\.example", fullmatch=True)


@st.composite
def dialogs(draw: st.DrawFn) -> Dialog:
    """Any dialog that there can be."""
    is_secure = draw(st.booleans())
    scheme = "sips" if is_secure else "sip"
    routes = draw(st.lists(HOSTS, max_size=4))
    return Dialog(
        draw(TOKENS),
        draw(TOKENS),
        draw(st.just("") | TOKENS),
        f"<sip:us@{draw(HOSTS)}>",
        f'"Bob \\"é\\"" <sip:{draw(TOKENS.filter(lambda text: "%" not in text and "`" not in text))}@{draw(HOSTS)}>',
        draw(st.booleans()),
        False,
        is_secure,
        draw(NUMBERS),
        draw(st.none() | NUMBERS),
        tuple(f"<{scheme}:{host};lr>" for host in routes),
        parse_uri(f"{scheme}:bob@{draw(HOSTS)}:5071"),
        draw(st.just("") | HOSTS),
        is_secure,
    )


def core_of() -> tuple[UserAgentCore, Profile]:
    """A core with Alice behind it."""
    core = UserAgentCore(CountingTokens("n"))
    profile = Profile("alice", ("INVITE",))
    profile.contact = lambda flow, secure: "<sip:alice-1@192.0.2.1>"
    profile.allow_in_dialogs(("ACK", "BYE", "CANCEL", "INFO", "PRACK", "UPDATE"))
    core.directory.add(profile, SipUri.parse("sip:alice@a.example"), "alice-1")
    core.directory.fallback = profile
    return core, profile


def established() -> tuple[UserAgentCore, Profile, InviteUsage]:
    """Alice's session with Bob, who refreshes it every half hour."""
    core, profile = core_of()
    usage = InviteUsage.resumed(core, caller_dialog(), profile)
    request = invite()
    response = ok(request)
    response.headers.add("Session-Expires", "1800;refresher=uas")
    response.headers.add("Allow", "INVITE, UPDATE")
    response.headers.add("Server", "bob/1.0")
    usage.capabilities.heard(response)
    usage.session_timer = SessionTimer(SETTINGS)
    usage.session_timer.response_received(response, 0.0)
    return core, profile, usage


class RoundTripTests(SynchronousTestCase):
    """What is written is read."""

    @given(dialogs(), st.integers(0, 2**33), st.dictionaries(st.text("abc", max_size=5), st.text("xyz é", max_size=9)))
    def test_any_dialog(self, dialog: Dialog, saved: int, extra: dict[str, str]) -> None:
        """Whatever a dialog is, its text gives the same one, and the same text again (row:H33)."""
        dialog.is_near = bool(saved % 2)
        state = DialogState(dialog, saved)
        state.extra = extra
        text = state.to_json()
        self.assertTrue(text.isascii())
        self.assertNotIn("\n", text)
        again = DialogState.from_json(text)
        self.assertEqual(again, state)
        self.assertEqual((again.to_json(), again.extra), (text, extra))
        revived = again.dialog()
        self.assertEqual((revived.id, revived.is_early), (dialog.id, False))
        names = ("local", "remote", "peer", "is_caller", "is_near", "is_secure", "is_tls", "route_set", "remote_cseq")
        for name in names:
            self.assertEqual(getattr(revived, name), getattr(dialog, name), name)
        self.assertEqual(revived.remote_target, dialog.remote_target)
        self.assertTrue(dialog.local_cseq <= revived.local_cseq < 2**31)

    def test_numbers_that_were_used_since(self) -> None:
        """Our next request leaves a gap for those that were sent after the session was saved, as far as there is room
        (row:H33)."""
        for last, expected in ((0, 1000), (7, 1007), (2**31 - 1001, 2**31 - 1001), (2**31 - 1, 2**31 - 1)):
            dialog = caller_dialog()
            dialog.local_cseq = last
            revived = DialogState.from_json(DialogState(dialog, 0.0).to_json()).dialog()
            self.assertGreaterEqual(revived.local_cseq, last)
            self.assertLess(revived.local_cseq, 2**31)
            self.assertEqual(revived.local_cseq, expected)

    def test_only_what_is_established(self) -> None:
        """An early session and one that is over cannot be saved (row:H33)."""
        _, _, usage = established()
        for state in UsageState:
            usage.state = state
            if state is UsageState.CONFIRMED:
                self.assertEqual(DialogState.of(usage, 0.0).call_id, "call")
            else:
                self.assertRaises(InvalidOperation, DialogState.of, usage, 0.0)

    def test_nothing_of_the_media(self) -> None:
        """Session descriptions are not saved: there may be keys in them (RFC 4568, row:H33)."""
        _, _, usage = established()
        state = DialogState.of(usage, 0.0)
        self.assertNotIn("description", state.to_json())

    def test_repr(self) -> None:
        """In a log it names the call and the other party."""
        self.assertEqual(repr(DialogState(caller_dialog(), 0.0)), "<DialogState call with <sip:bob@b.example>>")
        self.assertNotEqual(DialogState(caller_dialog(), 0.0), "call")


class RestartTests(SynchronousTestCase):
    """One process saves, another goes on."""

    def revive(self) -> tuple[UserAgentCore, InviteUsage]:
        """The session of :func:`established` in another core, at its time 5000."""
        _, _, usage = established()
        text = DialogState.of(usage, 1_000_000.0, {"recovery": "limited"}).to_json()
        core, profile = core_of()
        state = DialogState.from_json(text)
        self.assertEqual(state.extra, {"recovery": "limited"})
        return core, state.restore(core, profile, SETTINGS, 5000.0)

    def test_the_peer_notices_nothing(self) -> None:
        """A request of the peer in the dialog is taken by the process that took the session up, and one of ours is
        addressed as before (row:H33)."""
        core, usage = self.revive()
        request = in_dialog(usage.dialog, "INFO", 3)
        core.receive_message(request, tls("b.example"), 5001.0)
        (output,) = [output for output in core.take_outputs() if not isinstance(output, SendMessage)]
        assert isinstance(output, InDialogRequestReceived)
        self.assertIs(output.dialog.user, usage)
        plan = usage.dialog.plan("BYE")
        self.assertEqual((plan.uri, plan.from_tag, plan.to), ("sip:bob@192.0.2.2", "at", "<sip:bob@b.example>;tag=bt"))

    def test_it_stays_the_peers(self) -> None:
        """The identity of the peer is saved with its dialog: nobody else has a part in it afterwards (row:H33,
        fault:D1)."""
        core, usage = self.revive()
        for flow in (tls("evil.example"), ProvingFlow("TCP", (), "")):
            core.receive_message(in_dialog(usage.dialog, "BYE", 3), flow, 5001.0)
            (output,) = core.take_outputs()
            assert isinstance(output, SendMessage)
            self.assertTrue(output.data.startswith((b"SIP/2.0 481 ", b"SIP/2.0 403 ")), output.data)
        self.assertIn(usage.dialog, core.dialogs)

    def test_timer_and_capabilities(self) -> None:
        """The session timer runs on, and what the peer can do is known (row:H33, row:H26, row:H30)."""
        core, usage = self.revive()
        timer = usage.session_timer
        assert timer is not None
        self.assertEqual((timer.interval, timer.refresher), (1800, Refresher.REMOTE))
        deadline = core.next_deadline()
        assert deadline is not None
        self.assertTrue(5000 < deadline <= 6800)
        self.assertEqual((usage.capabilities.allows("UPDATE"), usage.capabilities.user_agent), (True, "bob/1.0"))

    def test_twice(self) -> None:
        """A session that is here already is not taken up a second time (row:H33)."""
        core, usage = self.revive()
        state = DialogState.of(usage, 0.0)
        self.assertRaises(InvalidOperation, state.restore, core, core_of()[1], SETTINGS, 5000.0)

    def test_too_late(self) -> None:
        """Whether it is worth the attempt is told by the session timer; without one a session has no end (row:H33)."""
        _, _, usage = established()
        state = DialogState.of(usage, 1_000_000.0)
        self.assertEqual([state.has_expired(1_000_000.0 + after) for after in (0, 1800, 1801)], [False, False, True])
        self.assertFalse(DialogState(caller_dialog(), 0.0).has_expired(1e12))

    def test_a_target_that_is_none(self) -> None:
        """A state whose target was broken after it was read says so, and makes no dialog."""
        state = DialogState(caller_dialog(), 0.0)
        state.remote_target = "sip:a@b@c"
        self.assertRaises(ValueError, state.dialog)

    def test_nothing_is_entered_in_vain(self) -> None:
        """Where a part is not what it should be, no dialog is left in the table (row:H33)."""
        for part, value in (("timer", {"interval": -1}), ("timer", {"least": 5}), ("capabilities", {"allow": 5})):
            core, profile = core_of()
            state = DialogState(caller_dialog(), 0.0)
            setattr(state, part, value)
            self.assertRaises(ValueError, state.restore, core, profile, SETTINGS, 0.0)
            self.assertEqual((len(core.dialogs), core.next_deadline()), (0, None))


class HostileTests(SynchronousTestCase):
    """Text from anywhere: a ValueError, and nothing else."""

    def setUp(self) -> None:
        """A good text, as its parts."""
        self.parts = json.loads(DialogState(callee_dialog(), 12.5).to_json())

    def refusal(self, **changed: object) -> str:
        """What is said of the good text with some parts changed."""
        text = json.dumps({**self.parts, **changed})
        return str(self.assertRaises(ValueError, DialogState.from_json, text))

    def test_no_json(self) -> None:
        """What is no JSON, none of ours, too long or too deep says so (row:H33)."""
        for text in (
            "", "x", "[]", "null", "1", "{}", '"text"', "{", '{"format":"sip_p2p session"}', "\ud800", "[" * 50_000,
            '{"format":' * 5000, " " * (LONGEST_STATE + 1), '{"a":1,"a":2}', "9" * 5000, "NaN",
        ):  # fmt: skip
            self.assertRaises(ValueError, DialogState.from_json, text)

    def test_versions(self) -> None:
        """A text of another version is refused by its number, and so is one that has no number (row:H33)."""
        self.assertIn("another version: 2", self.refusal(version=2))
        for version in (0, -1, "1", True, None, 1.0, [1]):
            self.assertIn("another version", self.refusal(version=version))
        self.assertIn("not a saved session", self.refusal(format="other"))

    def test_missing_and_unknown(self) -> None:
        """Each part has to be there, and no other; the refusal names it."""
        for name in self.parts:
            if name not in ("format", "version"):
                parts = {key: value for key, value in self.parts.items() if key != name}
                error = self.assertRaises(ValueError, DialogState.from_json, json.dumps(parts))
                self.assertIn(name, str(error))
        self.assertIn("surprise", self.refusal(surprise=1))

    def test_wrong_parts(self) -> None:
        """Each part is held against what may stand there (row:H33)."""
        bad_texts: tuple[object, ...] = (None, 1, True, [], {}, "a\r\nb", "a\0b", "\ud800")
        table: dict[str, tuple[object, ...]] = {
            "call_id": (*bad_texts, "", "a b"),
            "local_tag": (*bad_texts, "", "a b", "a;b", "ä"),
            "remote_tag": (*bad_texts, "a b", "a;b"),
            "local": (*bad_texts, "", "<sip:a@b@c>", "<sip:b", "<sip:b@c.example>;tag=x"),
            "remote": (*bad_texts, "", "<sip:a@b@c>", "<sip:b", "<sip:b@c.example>;tag=x"),
            "remote_target": (*bad_texts, "", "x", "sip:a@b@c", "<sip:a@b.example>"),
            "peer": bad_texts,
            "is_caller": (None, 0, 1, "true", [], {}),
            "is_near": (None, 0, 1, "true", [], {}),
            "is_secure": (None, 0, 1, "true", [], {}),
            "is_tls": (None, 0, 1, "true", [], {}, False),
            "local_cseq": (None, "1", -1, 2**31, 1.0, True, 10**400, [], {}),
            "remote_cseq": ("1", -1, 2**31, 1.0, True, 10**400, [], {}),
            "route_set": (None, "x", {}, [1], [None], ["<sip:a@b@c>"], ["x"], ["<sip:p.example>\r\nX: y"]),
            "saved": (None, "1", True, 1e300, -1e300, 10**400, [], {}),
            "timer": (None, 1, "x", [], {"refresher": "a\r\nb"}, {"refresher": None}, {"x": []}),
            "capabilities": (None, 1, "x", [], {"allow": "a\r\nb"}, {"allow": None}, {"x": []}),
            "extra": (None, 1, "x", [], {"a": 1}, {"a": None}, {"a": "\n"}),
        }
        self.assertEqual(set(table), set(self.parts) - {"format", "version"})
        for name, values in table.items():
            for value in values:
                self.assertTrue(self.refusal(**{name: value}), (name, value))
        for value in ("Infinity", "NaN", "-Infinity"):
            text = json.dumps(self.parts).replace('"saved": 12.5', f'"saved": {value}')
            self.assertIn(value, text)
            self.assertRaises(ValueError, DialogState.from_json, text)

    def test_parts_that_contradict_each_other(self) -> None:
        """A sips session leads nowhere else, and what only TLS proves was not proved without (RFC 5630, fault:D8)."""
        secure = DialogState(callee_dialog(None, "sips:bob@b.example", contact="<sips:alice@192.0.2.1>"), 0.0)
        self.parts = json.loads(secure.to_json())
        self.assertEqual(DialogState.from_json(json.dumps(self.parts)), secure)
        self.assertIn("sips", self.refusal(remote_target="sip:alice@192.0.2.1"))
        self.assertIn("sips", self.refusal(remote_target="tel:+1"))
        self.assertIn("sips", self.refusal(route_set=["<sip:p.example;lr>"]))
        self.assertIn("without TLS", self.refusal(is_tls=False))

    def test_too_long_to_save(self) -> None:
        """What could not be read again is not written."""
        state = DialogState(callee_dialog(), 0.0)
        state.extra = {"much": "x" * LONGEST_STATE}
        self.assertRaises(ValueError, state.to_json)

    @given(st.text(max_size=200))
    def test_any_text(self, text: str) -> None:
        """No text does anything but a ValueError (row:H33)."""
        self.assertRaises(ValueError, DialogState.from_json, text)

    @given(
        st.sampled_from(sorted(json.loads(DialogState(callee_dialog(), 12.5).to_json()))),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
    )
    def test_any_part(self, name: str, value: object) -> None:
        """With any value in any place it is read, and can be written and revived, or is refused (row:H33)."""
        parts = json.loads(DialogState(callee_dialog(), 12.5).to_json())
        try:
            state = DialogState.from_json(json.dumps({**parts, name: value}))
        except ValueError:
            return
        self.assertEqual(DialogState.from_json(state.to_json()), state)
        state.dialog()
        core, profile = core_of()
        try:
            state.restore(core, profile, SETTINGS, 0.0)
        except ValueError:
            self.assertEqual(len(core.dialogs), 0)

    def test_response_is_no_state(self) -> None:
        """The text of a SIP message is none."""
        self.assertRaises(ValueError, DialogState.from_json, Response(200).serialise().decode())
