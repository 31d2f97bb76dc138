"""``sip-p2p publish``: what it tells, and its exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.python import usage

from sip_p2p import EventStateCompositor, PresencePackage
from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.service.commands.publishing import PublishOptions
from sip_p2p.service.words import ExitCode
from tests.service.commands.support import ALICE, URI, PartyCase
from tests.support import SynchronousTestCase, reactor


def parsed(*arguments: str) -> PublishOptions:
    """The options of the command."""
    options = PublishOptions()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    """What the command takes."""

    def test_presence(self) -> None:
        """``--status`` and ``--note`` make the document of presence."""
        options = parsed(*URI, ALICE, "presence", "--status", "closed", "--note", "<out> & about")
        said = Presence.parse(options.body)
        self.assertEqual((said.entity, said.is_open, said.tuples[0].notes[0].text), (ALICE, False, "<out> & about"))
        self.assertEqual(options.content_type, "application/pidf+xml")
        self.assertTrue(Presence.parse(parsed(*URI, ALICE, "presence", "--note", "x").body).is_open)

    def test_a_file(self) -> None:
        """Any other document is in a file."""
        path = Path(self.mktemp())
        path.write_bytes(b"Messages-Waiting: no\r\n")
        options = parsed(
            *URI, ALICE, "message-summary", "-b", str(path), "--content-type", "application/simple-message-summary"
        )
        self.assertEqual(options.body, b"Messages-Waiting: no\r\n")
        self.assertEqual((options.expires, options.seconds, options.timeout), (3600, None, 10.0))

    def test_mistakes(self) -> None:
        """Each has its one line."""
        for arguments, expected in (
            ((*URI, ALICE), "publish needs an address and an event"),
            ((*URI, ALICE, "presence"), "what is to be published?"),
            ((*URI, ALICE, "dialog", "--status", "open"), "--status and --note make the document of presence"),
            ((*URI, ALICE, "presence", "--note", "x", "--body", "y"), "--status and --note make the document"),
            ((*URI, ALICE, "presence", "--status", "away"), "--status away is neither open nor closed"),
            ((*URI, ALICE, "presence", "--note", "\x01"), "--note: "),
            ((*URI, ALICE, "presence", "--note", "x", "--expires", "-1"), "--expires -1 is not a whole number"),
        ):
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, parsed, *arguments)
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())


class PublishTests(PartyCase):
    """Publications at Alice's compositor."""

    async def alice(self, may_publish: bool = True) -> tuple[SipPeerToPeerEndpoint, EventStateCompositor]:
        """Alice, who keeps what others publish."""
        alice = await self.party()
        compositor = EventStateCompositor(alice, [PresencePackage()], may_publish=lambda *_: may_publish)
        self.addCleanup(compositor.close)
        return alice, compositor

    async def test_for_a_while(self) -> None:
        """row:J11: what is published is there until it is taken back, when the time is over."""
        alice, compositor = await self.alice()
        kept: list[int] = []
        reactor.callLater(0.3, lambda: kept.append(len(compositor)))
        code, out, err = await self.told(
            PublishOptions, *self.arguments(alice), "--seconds", "0.6", ALICE, "presence", "--note", "here"
        )
        self.assertEqual((code, err), (ExitCode.OK, ""))
        lines = out.splitlines()
        self.assertEqual((lines[0], lines[2]), (f"publishing presence of {ALICE}", "taken back"))
        self.assertRegex(lines[1], r"\Apublished for [0-9]+ s from a.example at 127.0.0.1:")
        self.assertEqual((kept, len(compositor)), ([1], 0))

    async def test_json(self) -> None:
        """``--json`` has each event as one object."""
        alice, _ = await self.alice()
        code, events = await self.as_json(
            PublishOptions, *self.arguments(alice), "--seconds", "0", ALICE, "presence", "--note", "here"
        )
        self.assertEqual([each["event"] for each in events], ["publishing", "published", "removed", "ended"])
        self.assertTrue(events[1]["etag"])
        self.assertEqual((code, events[1]["peer"]["identity"]), (0, "a.example"))

    async def test_an_interrupt(self) -> None:
        """Ctrl-C takes it back."""
        alice, compositor = await self.alice()
        out = await self.interrupted(
            PublishOptions(), "published for", *self.arguments(alice), ALICE, "presence", "--note", "here"
        )
        self.assertTrue(out.endswith("interrupted: taking it back\n"), out)
        self.assertEqual(len(compositor), 0)

    async def test_refused(self) -> None:
        """Whoever may not publish is told so: code 2."""
        alice, _ = await self.alice(may_publish=False)
        code, _, err = await self.told(PublishOptions, *self.arguments(alice), ALICE, "presence", "--note", "here")
        self.assertEqual(code, ExitCode.REFUSED)
        self.assertTrue(err.startswith("sip-p2p: The peer answered 403 "), err)

    async def test_lost(self) -> None:
        """A publication that the server ends has a code of its own."""
        alice = await self.party()

        def publish(incoming: IncomingRequest) -> Any:
            if "SIP-If-Match" in incoming.request.headers:
                return 489
            return incoming.response(200, headers=[("SIP-ETag", "one"), ("Expires", "1")])

        alice.handle("PUBLISH", publish)
        code, out, err = await self.told(
            PublishOptions, *self.arguments(alice), "--expires", "1", ALICE, "presence", "--note", "here"
        )
        self.assertEqual(code, ExitCode.LOST, out)
        self.assertTrue(err.startswith("sip-p2p: The peer answered 489 "), err)

    async def test_what_cannot_be_said(self) -> None:
        """An event that is none is wrong usage, in one line."""
        alice = await self.party()
        path = Path(self.mktemp())
        path.write_bytes(b"x")
        with self.assertRaises(usage.UsageError) as caught:
            await self.told(
                PublishOptions, *self.arguments(alice), ALICE, "a b", "-b", str(path), "--content-type", "a/b"
            )
        self.assertTrue(str(caught.exception).isprintable())
