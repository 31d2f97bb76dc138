"""``sip-p2p register``: what it tells, and its exit codes."""

from __future__ import annotations

from typing import Any

from twisted.python import usage

from sip_p2p import FromPolicy
from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.service.commands.registering import RegisterOptions
from sip_p2p.service.words import ExitCode
from tests.service.commands.support import URI, PartyCase
from tests.support import SynchronousTestCase


def parsed(*arguments: str) -> RegisterOptions:
    """The options of the command."""
    options = RegisterOptions()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    """What the command takes."""

    def test_usual(self) -> None:
        """Without a registrar it is our own domain, asked for an hour; then the binding is taken back at once."""
        options = parsed(*URI)
        self.assertEqual((str(options.registrar), options.expires, options.seconds), ("sip:b.example", 3600, 0.0))
        self.assertFalse(options.is_clear_text)
        self.assertTrue(parsed(*URI, "sip:192.0.2.1;transport=tcp").is_clear_text)
        self.assertTrue(parsed(*URI, "--proxy", "udp:192.0.2.1:5060").is_clear_text)

    def test_mistakes(self) -> None:
        """Each has its one line."""
        for arguments, expected in (
            ((*URI, "sip:a.example", "sip:b.example"), "register needs one registrar at most"),
            ((*URI, "http://x"), "http://x: "),
            ((*URI, "--expires", "0"), "--expires 0 is not a whole number of seconds from 1"),
            ((*URI, "--seconds", "x"), "--seconds x is not a number of seconds"),
            ((), "--uri is missing"),
        ):
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, parsed, *arguments)
                self.assertTrue(str(error).startswith(expected), str(error))


class RegisterTests(PartyCase):
    """Registrations at a small registrar."""

    async def registrar(self, *fields: tuple[str, str], status: int = 200) -> SipPeerToPeerEndpoint:
        """A registrar that grants what it is asked for, and says *fields* as well.

        :param status: what it answers.
        """
        registrar = await self.party()
        registrar.connection_manager.from_policy = FromPolicy.any_from()
        self.seen: list[tuple[str, str]] = []

        def register(incoming: Any) -> Any:
            headers = incoming.request.headers
            contact, expires = headers["Contact"], headers["Expires"]
            self.seen.append((headers["To"], expires))
            response = incoming.response(status, headers=fields)
            if expires != "0":
                response.headers.add("Contact", f"{contact};expires={expires}")
            return response

        registrar.handle("REGISTER", register)
        return registrar

    async def test_what_is_granted(self) -> None:
        """What the registrar grants is shown, with who has proved to be it, and taken back."""
        registrar = await self.registrar(("Service-Route", "<sip:edge.a.example;lr>"))
        code, out, err = await self.told(RegisterOptions, *self.arguments(registrar), "sip:a.example")
        self.assertEqual((code, err), (ExitCode.OK, ""), out)
        lines = out.splitlines()
        self.assertEqual((lines[0], lines[-1]), ("registering at sip:a.example", "taken back"))
        self.assertRegex(lines[1], r"\Aregistered for [0-9]+ s from a.example at 127.0.0.1:")
        self.assertIn("  service route: <sip:edge.a.example;lr>", lines)
        self.assertEqual([expires for _, expires in self.seen], ["3600", "0"])

    async def test_json(self) -> None:
        """``--json`` has each event as one object."""
        registrar = await self.registrar()
        code, events = await self.as_json(RegisterOptions, *self.arguments(registrar), "sip:a.example")
        names = [each["event"] for each in events]
        self.assertEqual((names[:2], names[-2:]), (["registering", "registered"], ["unregistered", "ended"]))
        self.assertEqual((code, events[1]["peer"]["identity"], events[1]["is_outbound"]), (0, "a.example", False))

    async def test_an_interrupt(self) -> None:
        """Ctrl-C takes it back."""
        registrar = await self.registrar()
        out = await self.interrupted(
            RegisterOptions(), "registered for", *self.arguments(registrar), "--seconds", "none", "sip:a.example"
        )
        self.assertTrue(out.endswith("interrupted: taking it back\n"), out)
        self.assertEqual([expires for _, expires in self.seen], ["3600", "0"])

    async def test_refused(self) -> None:
        """A refusal is code 2, and one for want of a password says which option has it."""
        registrar = await self.registrar(status=403)
        code, _, err = await self.told(RegisterOptions, *self.arguments(registrar), "sip:a.example")
        self.assertEqual(code, ExitCode.REFUSED)
        self.assertTrue(err.startswith("sip-p2p: The peer answered 403 "), err)

    async def test_no_answer(self) -> None:
        """A registrar that does not answer is code 3."""
        registrar = await self.party()
        registrar.handle("REGISTER", lambda incoming: incoming.defer())
        code, _, err = await self.told(RegisterOptions, *self.arguments(registrar), "--timeout", "0.3", "sip:a.example")
        self.assertEqual(code, ExitCode.TIMEOUT)
        self.assertIn("--timeout waits longer", err)
