"""How we call: what is allowed, and what an INVITE says of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.session_timer import SessionTimer, SessionTimerSettings


class OptionsTests(SynchronousTestCase):
    """The arguments."""

    def test_defaults(self) -> None:
        """A call rings for ten minutes at most, knows reliable responses, and follows five redirections. row:H28"""
        options = CallOptions()
        self.assertEqual(
            (options.max_ring, options.reliable, options.session_timer, options.automatic_ack, options.max_redirects),
            (600.0, "supported", None, True, 5),
        )

    def test_bounds(self) -> None:
        """What makes no sense is refused where it is said."""
        for arguments in (
            {"max_ring": 0},
            {"max_ring": -1.0},
            {"max_ring": float("inf")},
            {"max_ring": float("nan")},
            {"reliable": "maybe"},
            {"max_redirects": -1},
            {"max_targets": 0},
            {"max_forks": 0},
        ):
            self.assertRaises(ValueError, CallOptions, **arguments)
        self.assertIsNone(CallOptions(max_ring=None).max_ring)


class FieldsTests(SynchronousTestCase):
    """What an INVITE carries."""

    CASES = (
        # the policy, what the application says, and what the INVITE says
        ("off", [], [("Supported", "199")]),
        ("supported", [], [("Supported", "100rel, 199")]),
        ("required", [], [("Supported", "100rel, 199"), ("Require", "100rel")]),
        ("off", [("Supported", "gruu, 199")], [("Supported", "199, gruu")]),
        ("off", [("Supported", "100rel, gruu, timer")], [("Supported", "199, gruu")]),
        ("supported", [("k", "path"), ("Supported", "gruu, path")], [("Supported", "100rel, 199, path, gruu")]),
        ("required", [("Require", "x, 100rel")], [("Supported", "100rel, 199"), ("Require", "100rel, x")]),
        ("off", [("Subject", "x")], [("Subject", "x"), ("Supported", "199")]),
    )

    def test_extensions(self) -> None:
        """What we can do is said once, beside what the application says (RFC 3262 and 6228, section 4). row:H35"""
        for reliable, fields, expected in self.CASES:
            self.assertEqual(CallOptions(reliable=reliable).complete(fields, None), expected, (reliable, fields))

    def test_session_timer(self) -> None:
        """RFC 4028 section 7.1: an INVITE says that we know session timers, and which interval we want."""
        options = CallOptions(session_timer=SessionTimerSettings(1800))
        self.assertEqual(
            options.complete([], options.begin_session_timer()),
            [("Session-Expires", "1800"), ("Supported", "100rel, 199, timer")],
        )

    def test_session_timer_left_out(self) -> None:
        """A call without session timers does not speak of them."""
        off = SessionTimer(SessionTimerSettings(is_enabled=False))
        for timer in (None, off):
            self.assertEqual(CallOptions().complete([], timer), [("Supported", "100rel, 199")])
        self.assertIsNone(CallOptions().begin_session_timer())

    def test_required_session_timer(self) -> None:
        """RFC 4028 section 7.1: who insists says so in the same Require."""
        options = CallOptions(reliable="required", session_timer=SessionTimerSettings(is_required=True))
        self.assertIn(("Require", "100rel, timer"), options.complete([], options.begin_session_timer()))

    def test_no_tokens(self) -> None:
        """An application's Supported that is none is refused before anything is sent."""
        self.assertRaises(ValueError, CallOptions().complete, [("Supported", "a b")], None)
