"""``sip-p2p subscribe``: what it tells, and its exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.python import usage

from sip_p2p import EventPackage, PresencePackage
from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.service.commands.watching import SubscribeOptions
from sip_p2p.service.words import ExitCode
from tests.service.commands.support import ALICE, URI, PartyCase
from tests.support import SynchronousTestCase, reactor


def parsed(*arguments: str) -> SubscribeOptions:
    """The options of the command."""
    options = SubscribeOptions()
    options.parseOptions(list(arguments))
    return options


class Lines(EventPackage):
    """An event package of these tests: what it tells is *body*."""

    name = "lines"
    content_types = ("text/plain",)

    def __init__(self, body: bytes = b"") -> None:
        super().__init__()
        self.body = body

    def state(self, subscription: Any) -> tuple[str, bytes]:
        """What there is to tell."""
        return "text/plain", self.body


class OptionsTests(SynchronousTestCase):
    """What the command takes."""

    def test_usual(self) -> None:
        """Without options it asks for an hour, waits ten seconds for the first word, and stays until it is ended."""
        options = parsed(*URI, ALICE, "presence")
        self.assertEqual((options.event, options.expires, options.timeout), ("presence", 3600, 10.0))
        self.assertEqual((options.seconds, options.count, options.accept), (None, None, None))

    def test_a_filter(self) -> None:
        """A file and header fields go into the SUBSCRIBE."""
        path = Path(self.mktemp())
        path.write_bytes(b"<filter/>")
        options = parsed(*URI, ALICE, "x", "-b", str(path), "--content-type", "a/b", "-H", "Subject: x", "-n", "3")
        self.assertEqual(
            options.arguments,
            {"accept": None, "headers": [("Subject", "x")], "body": b"<filter/>", "content_type": "a/b"},
        )
        self.assertEqual(options.count, 3)

    def test_mistakes(self) -> None:
        """Each has its one line."""
        for arguments, expected in (
            (URI, "subscribe needs a peer and an event"),
            ((*URI, ALICE), "subscribe needs a peer and an event"),
            ((*URI, "http://x", "presence"), "'http://x' is neither a sip, a sips nor a tel URI"),
            ((*URI, ALICE, "presence", "--count", "0"), "--count 0 is not a whole number from 1"),
            ((*URI, ALICE, "presence", "--count", "x"), "--count x is not a whole number from 1"),
            ((*URI, ALICE, "presence", "--expires", "0"), "--expires 0 is not a whole number of seconds from 1"),
            ((*URI, ALICE, "presence", "--seconds", "x"), "--seconds x is not a number of seconds"),
            ((*URI, ALICE, "presence", "--fetch", "--count", "1"), "--fetch asks once"),
            ((*URI, ALICE, "presence", "--body", "/there/is/none"), "--body is given without --content-type"),
        ):
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, parsed, *arguments)
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())


class WatchingTests(PartyCase):
    """Subscriptions that stand."""

    async def alice(self, note: str = "at my desk", **arguments: Any) -> tuple[SipPeerToPeerEndpoint, PresencePackage]:
        """Alice, who is present."""
        presence = PresencePackage(**arguments)
        presence.set(ALICE, Presence.of(ALICE, note=note))
        return await self.party(packages=[presence]), presence

    async def test_until_there_are_enough(self) -> None:
        """row:J1: each notification is told with who was proved to have sent it, and its body; after ``--count`` of
        them the subscription is ended."""
        alice, presence = await self.alice()
        code, out, err = await self.told(SubscribeOptions, *self.arguments(alice), "--count", "1", ALICE, "presence")
        self.assertEqual((code, err), (ExitCode.OK, ""))
        lines = out.splitlines()
        self.assertEqual(lines[0], f"subscribing to presence of {ALICE}")
        self.assertRegex(
            lines[1], r"\Aactive: application/pidf\+xml, [0-9]+ octets from a.example at 127.0.0.1:[0-9]+, TLSv1.3\Z"
        )
        self.assertIn("at my desk", out)
        self.assertEqual(list(presence.subscribers), [])

    async def test_json(self) -> None:
        """``--json`` has each event as one object; a change is told when it comes."""
        lines = Lines(b"one")
        alice = await self.party(packages=[lines])

        def change() -> None:
            lines.body = b"\xff"
            lines.changed()

        reactor.callLater(0.3, change)
        code, events = await self.as_json(SubscribeOptions, *self.arguments(alice), "--count", "2", ALICE, "lines")
        self.assertEqual([each["event"] for each in events], ["subscribing", "notification", "notification", "ended"])
        first, second = events[1:3]
        self.assertEqual((first["state"], first["body"], first["peer"]["identity"]), ("active", "one", "a.example"))
        self.assertEqual((second["content_type"], second["body_base64"]), ("text/plain", "/w=="))
        self.assertEqual((code, events[-1]["exit"]), (0, 0))

    async def test_for_a_while(self) -> None:
        """row:J2: after ``--seconds`` the subscription is ended, and that is a good end."""
        alice, presence = await self.alice()
        code, out, err = await self.told(
            SubscribeOptions, *self.arguments(alice), "--seconds", "0.3", ALICE, "presence"
        )
        self.assertEqual((code, err), (ExitCode.OK, ""))
        self.assertEqual((out.count("active: "), list(presence.subscribers)), (1, []))

    async def test_fetch(self) -> None:
        """row:J4: ``--fetch`` asks once."""
        alice, presence = await self.alice()
        code, out, _ = await self.told(SubscribeOptions, *self.arguments(alice), "--fetch", ALICE, "presence")
        self.assertEqual((code, out.splitlines()[0]), (ExitCode.OK, f"asking for presence of {ALICE}"))
        self.assertIn("at my desk", out)
        self.assertEqual(list(presence.subscribers), [])

    async def test_hostile_text(self) -> None:
        """fault:B4: what a notification holds drives no terminal."""
        alice = await self.party(packages=[Lines(b"a\x1b[2J\x07\r\nb")])
        code, out, _ = await self.told(SubscribeOptions, *self.arguments(alice), "-n", "1", ALICE, "lines")
        self.assertEqual(code, ExitCode.OK)
        self.assertIn("\n  a\\x1b[2J\\x07\n  b\n", out)

    async def test_pending(self) -> None:
        """What nobody has decided on is told, and does not count."""
        alice, presence = await self.alice(may_watch=lambda _: Verdict(is_pending=True))

        def approve() -> None:
            for subscription in tuple(presence.subscribers):
                subscription.approve()

        reactor.callLater(0.3, approve)
        code, events = await self.as_json(SubscribeOptions, *self.arguments(alice), "-n", "1", ALICE, "presence")
        self.assertEqual([each.get("state") for each in events], [None, "pending", "active", None])
        self.assertEqual(code, ExitCode.OK)

    async def test_an_interrupt(self) -> None:
        """Ctrl-C ends the subscription at the notifier, too."""
        alice, presence = await self.alice()
        out = await self.interrupted(SubscribeOptions(), "active: ", *self.arguments(alice), ALICE, "presence")
        self.assertTrue(out.endswith("interrupted: ending the subscription\n"), out)
        self.assertEqual(list(presence.subscribers), [])


class EndTests(PartyCase):
    """Subscriptions that come to nothing, or to an end."""

    async def test_refused(self) -> None:
        """A refusal is code 2, in the words of the status; so is an event that is not known there."""
        alice = await self.party(packages=[PresencePackage(may_watch=lambda _: Verdict(603))])
        for event, status in (("presence", 603), ("dialog", 489)):
            code, _, err = await self.told(SubscribeOptions, *self.arguments(alice), ALICE, event)
            self.assertEqual(code, ExitCode.REFUSED)
            self.assertTrue(err.startswith(f"sip-p2p: The peer answered {status} "), err)

    async def test_ended_by_the_notifier(self) -> None:
        """row:J5: a subscription that has stood and is ended for good has a code of its own."""
        presence = PresencePackage()
        presence.set(ALICE, Presence.of(ALICE))
        alice = await self.party(packages=[presence])

        def end() -> None:
            for subscription in tuple(presence.subscribers):
                subscription.terminate("noresource")

        reactor.callLater(0.3, end)
        code, _, err = await self.told(SubscribeOptions, *self.arguments(alice), ALICE, "presence")
        self.assertEqual(code, ExitCode.LOST)
        self.assertTrue(err.startswith("sip-p2p: The notifier has ended the subscription: noresource.\n"), err)

    async def test_begun_anew(self) -> None:
        """row:J5: one that may be had again is asked for again, and that is told."""
        presence = PresencePackage()
        presence.set(ALICE, Presence.of(ALICE))
        alice = await self.party(packages=[presence])

        def end() -> None:
            for subscription in tuple(presence.subscribers):
                subscription.terminate("deactivated")

        reactor.callLater(0.3, end)
        code, events = await self.as_json(SubscribeOptions, *self.arguments(alice), "-n", "2", ALICE, "presence")
        self.assertEqual(
            [each["event"] for each in events], ["subscribing", "notification", "waiting", "notification", "ended"]
        )
        self.assertEqual((code, events[2]["reason"]), (ExitCode.OK, "deactivated"))

    async def test_nobody_says_anything(self) -> None:
        """Whoever is not told in time leaves, with code 3."""
        alice = await self.party()
        alice.handle("SUBSCRIBE", lambda incoming: incoming.defer())
        code, _, err = await self.told(SubscribeOptions, *self.arguments(alice), "--timeout", "0.3", ALICE, "x")
        self.assertEqual(code, ExitCode.TIMEOUT)
        self.assertIn("--timeout waits longer", err)

    async def test_tls(self) -> None:
        """row:D14: a peer that we do not trust is code 5."""
        alice = await self.party()
        code, events = await self.as_json(SubscribeOptions, *self.arguments(alice, "other/ca.pem"), ALICE, "presence")
        self.assertEqual((code, events[-1]["tls_failure"]), (ExitCode.TLS, "UNTRUSTED_REMOTE_CERTIFICATE"))

    async def test_what_cannot_be_said(self) -> None:
        """An event that is none is wrong usage, in one line."""
        alice = await self.party()
        with self.assertRaises(usage.UsageError) as caught:
            await self.told(SubscribeOptions, *self.arguments(alice), ALICE, "pre sence")
        self.assertTrue(str(caught.exception).startswith("'pre sence' is no event"), str(caught.exception))
