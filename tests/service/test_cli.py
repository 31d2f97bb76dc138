"""The ``sip-p2p`` command: its exit codes, its help, and that nobody ever sees a traceback."""

from __future__ import annotations

import contextlib
import io
import signal
import socket
import subprocess
import sys

from sip_p2p.service.cli import run
from sip_p2p.service.words import ExitCode
from tests.service.support import COMMAND, Process, environment, keys
from tests.service.support import run as run_process
from tests.support import SynchronousTestCase


class RunTests(SynchronousTestCase):
    """The command line, in the process of the tests."""

    def test_mistakes(self) -> None:
        """A missing or unknown command, and what a command does not understand, are one line and code 1."""
        for arguments, expected in (
            (
                (),
                "sip-p2p: which command? There are send, options, request, call, subscribe, publish, refer, "
                "register, doctor, pki, "
                "ladder, trace, show, control, demo; sip-p2p --help says more\n",
            ),
            (
                ("dan\x1bce", "--frob"),
                "sip-p2p: dan\\x1bce is no command. There are send, options, request, call, subscribe, publish, refer, "
                "register, doctor, pki, "
                "ladder, trace, show, control, demo; sip-p2p --help says more\n",
            ),
            (("--frob",), "sip-p2p: option --frob not recognized\n"),
            (("send", "--frob"), "sip-p2p: option --frob not recognized\n"),
            (("send", "--trust"), "sip-p2p: option --trust requires argument\n"),
        ):
            with self.subTest(arguments):
                out, err = io.StringIO(), io.StringIO()
                self.assertEqual(run(arguments, out, err), ExitCode.USAGE)
                self.assertEqual((out.getvalue(), err.getvalue()), ("", expected))

    def test_help(self) -> None:
        """The help of the command lists the exit codes; that of a part lists its options."""
        for arguments, expected in (
            (("--help",), "130 interrupted"),
            (("send", "--help"), "--proxy-name="),
            (("--version",), "sip-p2p 0."),
        ):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                left = self.assertRaises(SystemExit, run, arguments, io.StringIO(), io.StringIO())
            self.assertEqual(left.code, 0)
            self.assertIn(expected, " ".join(printed.getvalue().split()))

    def test_help_says_once_how_a_command_is_called(self) -> None:
        """The help of a command begins with its whole command line, and with no other."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            self.assertRaises(SystemExit, run, ("send", "--help"), io.StringIO(), io.StringIO())
        self.assertEqual(printed.getvalue().splitlines()[0], "Usage: sip-p2p send --uri URI [options] TO TEXT")


class ProcessTests(SynchronousTestCase):
    """The command in a process of its own."""

    def test_an_interrupt(self) -> None:
        """Ctrl-C ends a wait with code 130 and without a word."""
        peer = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(peer.close)
        peer.settimeout(20)
        port = peer.getsockname()[1]
        process = Process(
            self, COMMAND, "options", "--uri", "sip:bob@b.example", f"sip:alice@127.0.0.1:{port};transport=tcp"
        )
        connection, _ = peer.accept()
        self.addCleanup(connection.close)
        connection.settimeout(20)
        self.assertTrue(connection.recv(4096).startswith(b"OPTIONS sip:alice@127.0.0.1:"))
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), 130)
        self.assertEqual((process.lines, process.errors()), ([], ""))

    def test_a_reader_that_has_seen_enough(self) -> None:
        """A pipe that is closed at the other end is no reason for a traceback."""
        for arguments in (("demo",), ("--help",)):
            with self.subTest(arguments):
                process = subprocess.Popen(
                    [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
                )
                assert process.stdout is not None
                process.stdout.close()
                _, errors = process.communicate(timeout=20)
                self.assertEqual((errors, process.returncode), (b"", 1))

    def test_a_terminal_without_unicode(self) -> None:
        """What the terminal cannot show is escaped, not an error."""
        done = subprocess.run(
            [*COMMAND, "ladder", "/there/is/no/Grüße"],
            capture_output=True,
            env={**environment(), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
            timeout=20,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertTrue(done.stderr.isascii() and done.stderr.count(b"\n") == 1, done.stderr)

    def test_a_command_imports_what_it_needs(self) -> None:
        """The help of the command, and what touches no wire, wait for no party and no service to be imported."""
        heavy = ("sip_p2p.endpoint.connection_manager", "sip_p2p.service.assembly", "sip_p2p.service.http.server")
        for arguments in (["--help"], ["pki", "--help"]):
            script = (
                "import sys\n"
                "from sip_p2p.service.cli import main\n"
                f"try:\n    sys.argv[1:] = {arguments!r}\n    main()\n"
                f"except SystemExit:\n    sys.exit(sum(name in sys.modules for name in {heavy!r}))\n"
            )
            self.assertEqual(run_process((sys.executable, "-c", script)).returncode, 0, arguments)

    def test_something_unexpected(self) -> None:
        """Even a fault of ours is one line with its place, and code 1."""
        broken = (
            sys.executable,
            "-c",
            "import sip_p2p.service.cli as c; c.SipOptions.postOptions = lambda self: 1 / 0; c.main()",
        )
        done = run_process(broken)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "sip-p2p: unexpected: ZeroDivisionError: division by zero (<string>, line 1)\n")

    def test_a_key_that_others_can_read(self) -> None:
        """fault:J10: warnings of the stack reach the person at the terminal, a line each."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write((keys() / "b.example.pem").read_bytes())
        done = run_process(
            COMMAND, "options", "--uri", "sip:bob@b.example", "--certificate", path, "--trust", str(keys() / "ca.pem"),
            "--resolve", "a.example=127.0.0.1:1", "sip:alice@a.example",
        )  # fmt: skip
        self.assertEqual(done.returncode, 4)
        lines = done.stderr.splitlines()
        self.assertIn("can be read by others", lines[0])
        self.assertTrue(lines[1].startswith("sip-p2p: No connection to the peer: could not connect to 127.0.0.1:1: "))
