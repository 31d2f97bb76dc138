"""``sip-p2p demo``: it works, it tells what it shows, and it notices when something is wrong."""

from __future__ import annotations

import io

from sip_p2p.errors import TlsFailureReason
from sip_p2p.service.commands import demo
from sip_p2p.service.words import TLS_WORDS, ExitCode
from tests.service.support import COMMAND, run
from tests.support import SynchronousTestCase, TestCase, reactor


class DemonstrationTests(TestCase):
    """The play on the reactor of the tests."""

    async def test_everything_goes_as_it_should(self) -> None:
        """Two parties prove who they are and talk, the impostor is refused in words, and nothing is left."""
        out = io.StringIO()
        code = await demo.demonstrate(reactor, out)
        told = out.getvalue()
        self.assertEqual(code, ExitCode.OK, told)
        for expected in (
            "the sender's certificate proved a.example (TLSv1.",
            "the sender's certificate proved b.example (TLSv1.",
            "what he can do: MESSAGE, OPTIONS",
            "bob answers with application/sdp",
            "alice hangs up",
            " 180 Ringing ",
            " BYE ",
            f"mallory is told: {TLS_WORDS[TlsFailureReason.LOCAL_CERTIFICATE_REJECTED].what}",
            f"bob says why:    {TLS_WORDS[TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE].what}",
            " MESSAGE sip:bob@b.example ",
            " 200 OK (OPTIONS) ",
        ):
            self.assertIn(expected, told)

    async def test_what_goes_wrong_is_told(self) -> None:
        """A party that cannot be reached is a complaint and another exit code, not an exception."""

        def strangers(stage: object) -> None:
            """Nobody is introduced to anybody."""

        self.patch(demo.Demonstration, "introduce", strangers)
        out = io.StringIO()
        self.assertEqual(await demo.demonstrate(reactor, out), ExitCode.USAGE)
        self.assertIn("This should not have happened: No connection to the peer", out.getvalue())


class CommandTests(SynchronousTestCase):
    """The command in a process of its own."""

    def test_exit_code(self) -> None:
        """Without arguments it plays to the end and leaves with 0; it takes none."""
        done = run(COMMAND, "demo")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Everything went as it should.\n", done.stdout)
        self.assertTrue(done.stdout.endswith("make demo ARGS=--keep\n"))
        done = run(COMMAND, "demo", "loudly")
        self.assertEqual(
            (done.returncode, done.stderr), (1, "sip-p2p: what is loudly for? Only options are expected here\n")
        )

    def test_options(self) -> None:
        """The port of the console is one, and belongs to --keep."""
        for arguments, line in (
            (("--keep", "--port", "http"), "--port http is not a port"),
            (("--keep", "--port", "65536"), "--port 65536 is not a port"),
            (("--port", "8080"), "--port is given without --keep: there is no console"),
        ):
            done = run(COMMAND, "demo", *arguments)
            self.assertEqual((done.returncode, done.stderr), (1, f"sip-p2p: {line}\n"))
