"""The options of what lives on beside sessions."""

from __future__ import annotations

from twisted.python import usage

from sip_p2p.service.lives.replacing import ReplacesRule
from tests.service.support import parsed
from tests.support import SynchronousTestCase

WHO = ("--uri", "sip:alice@a.example")


class LifeOptionsTests(SynchronousTestCase):
    """:mod:`sip_p2p.service.settings.life_options`."""

    def test_none(self) -> None:
        """Nothing is watched, subscribed to or kept unless it is said."""
        options = parsed(*WHO)
        self.assertEqual((options.packages, options.watchers, options.subscriptions), ([], [], []))
        self.assertEqual(options.publishers, [])
        self.assertIsNone(options["outbox"])
        self.assertIsNone(options.replaces_policy)

    def test_said(self) -> None:
        """Everything that may be said."""
        options = parsed(
            *WHO, "--package", "presence", "--package", "dialog", "--watchers", "ask", "--watchers", "Bob@B.example",
            "--publishers", "verified", "--publishers", ".B.example",
            "--subscribe", "presence=sip:bob@b.example;transport=tcp", "--replaces", "verified",
            "--referrals", "decline", "--outbox", "box",
        )  # fmt: skip
        self.assertEqual((options.packages, options.watchers), (["presence", "dialog"], ["ask", "Bob@b.example"]))
        self.assertEqual(options.publishers, ["verified", ".b.example"])
        self.assertEqual(options.subscriptions, [("presence", "sip:bob@b.example;transport=tcp")])
        self.assertIsInstance(options.replaces_policy, ReplacesRule)

    def test_wrong(self) -> None:
        """A mistake is one line that names the option."""
        for words, arguments in (
            ("--package", ("--package", "weather")),
            ("given twice", ("--package", "dialog", "--package", "dialog")),
            ("--watchers", ("--watchers", "b.example")),
            ("--watchers", ("--package", "dialog", "--watchers", "192.0.2.1")),
            ("--publishers", ("--publishers", "verified")),
            ("nothing to publish", ("--package", "dialog", "--publishers", "verified")),
            ("--publishers a b", ("--package", "presence", "--publishers", "a b")),
            ("EVENT=URI", ("--subscribe", "presence")),
            ("EVENT=URI", ("--subscribe", "presence=mailto:a@b")),
            ("EVENT=URI", ("--subscribe", "a b=sip:bob@b.example")),
            ("--replaces", ("--replaces", "a b")),
            ("--replaces off", ("--replaces", "off", "--replaces", "same")),
            ("--referrals", ("--referrals", "accept")),
        ):
            error = self.assertRaises(usage.UsageError, parsed, *WHO, *arguments)
            self.assertIn(words, str(error))
            self.assertNotIn("\n", str(error))

    def test_workers(self) -> None:
        """What one process alone can do is not asked of several."""
        for arguments in (
            ("--subscribe", "presence=sip:bob@b.example"),
            ("--package", "presence", "--publishers", "verified"),
        ):
            words = ("--listen", "tcp:5060", "--workers", "2", *arguments)
            error = self.assertRaises(usage.UsageError, parsed, *WHO, *words)
            self.assertIn(f"{arguments[-2]} is for one process", str(error))
