"""``sip-p2p refer``: what it tells, and its exit codes."""

from __future__ import annotations

from typing import Any

from twisted.python import usage

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.service.commands.referring import ReferOptions
from sip_p2p.service.words import ExitCode
from tests.service.commands.support import ALICE, URI, PartyCase
from tests.support import SynchronousTestCase

CAROL = "sip:carol@c.example"


def parsed(*arguments: str) -> ReferOptions:
    """The options of the command."""
    options = ReferOptions()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    """What the command takes."""

    def test_usual(self) -> None:
        """Without options the peer is to call, and a minute is waited for the outcome."""
        options = parsed(*URI, ALICE, CAROL)
        self.assertEqual((options.refer_to, options["method"], options.timeout), (CAROL, "INVITE", 60.0))

    def test_mistakes(self) -> None:
        """Each has its one line."""
        for arguments, expected in (
            ((*URI, ALICE), "refer needs a peer and whom it is to call"),
            ((*URI, ALICE, CAROL, CAROL), "refer needs a peer and whom it is to call"),
            ((*URI, "http://x", CAROL), "'http://x' is neither"),
            ((*URI, ALICE, CAROL, "--method", "a b"), "--method a b is not a method"),
            ((*URI, ALICE, CAROL, "--timeout", "0"), "--timeout 0 is not a number of seconds"),
        ):
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, parsed, *arguments)
                self.assertTrue(str(error).startswith(expected), str(error))


class ReferTests(PartyCase):
    """Referrals to Alice."""

    async def alice(self, *statuses: int) -> SipPeerToPeerEndpoint:
        """Alice, who accepts every referral, and tells *statuses*."""
        alice = await self.party()

        def received(referral: Any) -> None:
            self.assertEqual((str(referral.target), referral.method), (CAROL, "INVITE"))
            referral.accept(False)
            for status in statuses:
                referral.progress(status)

        alice.refer_received.subscribe(received)
        return alice

    async def test_it_is_done(self) -> None:
        """row:I8: what the peer tells is told, up to the outcome."""
        code, out, err = await self.told(ReferOptions, *self.arguments(await self.alice(200)), ALICE, CAROL)
        self.assertEqual((code, err), (ExitCode.OK, ""))
        lines = out.splitlines()
        self.assertEqual((lines[0], lines[-1]), (f"asking {ALICE} to call {CAROL}", "200 OK"))
        self.assertRegex(lines[1], r"\Aaccepted from a.example at 127.0.0.1:")

    async def test_it_came_to_nothing(self) -> None:
        """row:I2: what the one who was asked answered has the exit code that a call would have."""
        for status, expected in ((486, ExitCode.BUSY), (408, ExitCode.NO_ANSWER), (404, ExitCode.REFUSED)):
            alice = await self.alice(status)
            code, out, err = await self.told(ReferOptions, *self.arguments(alice), ALICE, CAROL)
            self.assertEqual(code, expected, out)
            self.assertTrue(err.startswith(f"sip-p2p: Whom the peer has asked answered {status} "), err)

    async def test_json(self) -> None:
        """``--json`` has each event as one object."""
        code, events = await self.as_json(ReferOptions, *self.arguments(await self.alice(202)), ALICE, CAROL)
        self.assertEqual([each["event"] for each in events][:2], ["referring", "accepted"])
        outcome, ended = events[-2:]
        self.assertEqual((outcome["status"], outcome["is_final"], ended["exit"]), (202, True, 0))
        self.assertEqual((code, events[1]["peer"]["identity"]), (0, "a.example"))

    async def test_declined(self) -> None:
        """row:I8: whoever does not take referrals refuses, and that is code 2."""
        for alice in (await self.party(), await self.party()):
            code, _, err = await self.told(ReferOptions, *self.arguments(alice), ALICE, CAROL)
            self.assertEqual(code, ExitCode.REFUSED)
            self.assertTrue(err.startswith("sip-p2p: The peer answered "), err)

    async def test_without_progress(self) -> None:
        """row:I3: with ``--no-progress`` nothing is told, and being accepted is the end of it."""
        alice = await self.alice()
        code, out, _ = await self.told(ReferOptions, *self.arguments(alice), "--no-progress", ALICE, CAROL)
        self.assertEqual((code, len(out.splitlines())), (ExitCode.OK, 2))

    async def test_nothing_is_told(self) -> None:
        """A peer that never says what came of it is code 3."""
        alice = await self.alice(180)
        code, _, err = await self.told(ReferOptions, *self.arguments(alice), "--timeout", "0.5", ALICE, CAROL)
        self.assertEqual(code, ExitCode.TIMEOUT)
        self.assertTrue(err.startswith("sip-p2p: The peer has not said what came of it."), err)

    async def test_no_answer(self) -> None:
        """A peer that does not answer is code 3."""
        alice = await self.party()
        alice.handle("REFER", lambda incoming: incoming.defer())
        code, _, err = await self.told(ReferOptions, *self.arguments(alice), "--timeout", "0.3", ALICE, CAROL)
        self.assertEqual(code, ExitCode.TIMEOUT)
        self.assertIn("--timeout waits longer", err)

    async def test_an_interrupt(self) -> None:
        """row:I4: Ctrl-C hears no more of it, whether it was accepted or not."""
        alice = await self.alice(100)
        out = await self.interrupted(ReferOptions(), "accepted", *self.arguments(alice), ALICE, CAROL)
        self.assertTrue(out.endswith("interrupted: hearing no more of it; the peer is not stopped\n"), out)
        silent = await self.party()
        silent.handle("REFER", lambda incoming: incoming.defer())
        out = await self.interrupted(ReferOptions(), "asking", *self.arguments(silent), ALICE, CAROL)
        self.assertTrue(out.endswith("interrupted: hearing no more of it; the peer is not stopped\n"), out)

    async def test_what_cannot_be_referred_to(self) -> None:
        """A target that is none is wrong usage, in one line."""
        alice = await self.party()
        with self.assertRaises(usage.UsageError) as caught:
            await self.told(ReferOptions, *self.arguments(alice), ALICE, "x y")
        self.assertTrue(str(caught.exception).isprintable())
