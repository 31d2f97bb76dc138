"""Every program in examples/ does what it says, each in a process of its own, with real TLS on the loopback."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from sip_p2p.pki import CertificateAuthority
from tests.documents import ROOT, SCRIPTS
from tests.interop.peers.program import Program, free_port
from tests.support import TestCase

if TYPE_CHECKING:
    from collections.abc import Coroutine


class ExampleCase(TestCase):
    """A folder with certificates for localhost, and programs that are ended with the test."""

    timeout = 60

    def setUp(self) -> None:
        """Make the certificates that ``sip-p2p pki keys localhost`` would make."""
        super().setUp()
        self.folder = Path(self.mktemp())
        authority = CertificateAuthority.create()
        authority.write(self.folder)
        authority.issue("localhost").write(self.folder)

    def start(self, *arguments: str) -> Program:
        """Start Python with *arguments*, in the folder of the examples."""
        program = Program(reactor, [sys.executable, "-u", *arguments])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        program.start(str(ROOT / "examples"), {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(lambda: as_deferred(program.stop()))
        return program

    def example(self, name: str, *arguments: str) -> Program:
        """Start one example with the folder of the certificates and *arguments*."""
        return self.start(f"{name}.py", str(self.folder.resolve()), *arguments)


def as_deferred(coroutine: Coroutine[object, object, object]) -> object:
    """What trial waits for."""
    return Deferred.fromCoroutine(coroutine)


class HelloTests(ExampleCase):
    """hello_bob.py and hello_alice.py."""

    async def test_alice_reaches_bob(self) -> None:
        """Alice's message is answered 200, and Bob prints it with the name that her certificate proves."""
        bob = self.example("hello_bob", "0")
        target = (await bob.find(r"^bob is (\S+)$"))[1]
        alice = self.example("hello_alice", target, "good morning")
        self.assertEqual(await alice.ended(), 0, alice.report())
        self.assertEqual(alice.output, "200 OK\n")
        await bob.find(r"^sip:alice@localhost \(localhost\): good morning$")

    async def test_nobody_there(self) -> None:
        """With nobody listening Alice says so and leaves with 1."""
        alice = self.example("hello_alice", f"sip:bob@localhost:{free_port()}")
        self.assertEqual(await alice.ended(), 1, alice.report())
        self.assertIn("not delivered: ", alice.text)


class AlarmTests(ExampleCase):
    """alarm_receiver.py."""

    async def test_an_alarm_is_taken(self) -> None:
        """An alarm from a sender who proves its domain is printed and answered 200."""
        receiver = self.example("alarm_receiver", "0")
        target = (await receiver.find(r"^alarms go to (\S+)$"))[1]
        sensor = self.example("hello_alice", target, "smoke in room 7")
        self.assertEqual(await sensor.ended(), 0, sensor.report())
        await receiver.find(r"^ALARM from sip:alice@localhost: smoke in room 7$")


class BroadcastTests(ExampleCase):
    """broadcaster.py."""

    async def test_some_are_there(self) -> None:
        """Everybody is told at once; one who is not there costs the others nothing, and the exit code says it."""
        receivers = [self.example("hello_bob", "0"), self.example("alarm_receiver", "0")]
        targets = [(await receiver.find(r"(sip:\S+)$"))[1] for receiver in receivers]
        nobody = f"sip:nobody@localhost:{free_port()}"
        broadcaster = self.example("broadcaster", "six o'clock", *targets, nobody)
        self.assertEqual(await broadcaster.ended(), 1, broadcaster.report())
        for target in targets:
            self.assertIn(f"{target}: delivered\n", broadcaster.output)
        self.assertIn("2 of 3 delivered\n", broadcaster.output)
        for receiver in receivers:
            await receiver.find("six o'clock$")


class PingTests(ExampleCase):
    """ping.py."""

    async def test_answers(self) -> None:
        """Each OPTIONS is answered with 200 and the methods that are taken."""
        bob = self.example("hello_bob", "0")
        target = (await bob.find(r"^bob is (\S+)$"))[1]
        pinger = self.example("ping", target, "3")
        self.assertEqual(await pinger.ended(), 0, pinger.report())
        lines = pinger.output.splitlines()
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assertRegex(line, r"\A200 OK in [0-9.]+ ms, allows: .*\bMESSAGE\b")


class GuestBookTests(ExampleCase):
    """guest_book.py, run by twistd."""

    async def test_an_entry(self) -> None:
        """The service runs the class: a MESSAGE becomes an entry, and INFO shows the book."""
        certificate = f"{self.folder.resolve()}/localhost.pem"
        trust = f"{self.folder.resolve()}/ca.pem"
        book = self.start(
            *(*SCRIPTS["twistd"], "-n", "--pidfile=", "sip-p2p", "--uri", "sip:guests@localhost"),
            *("--certificate", certificate, "--trust", trust, "--allow", "localhost"),
            *("--listen", "tls:port=0:interface=127.0.0.1", "--application", "guest_book:GuestBook"),
        )
        target = (await book.find(r"the guest book is (sip:\S+)$"))[1]
        guest = self.example("hello_alice", target, "I was here")
        self.assertEqual(await guest.ended(), 0, guest.report())
        reader = self.start(
            *(*SCRIPTS["sip-p2p"], "request", "INFO", target, "--uri", "sip:reader@localhost"),
            *("--certificate", certificate, "--trust", trust),
        )
        self.assertEqual(await reader.ended(), 0, reader.report())
        self.assertIn("localhost: I was here", reader.output)


class ListTests(TestCase):
    """That nothing is left out."""

    def test_every_example_is_run(self) -> None:
        """Each file of examples/ is named by a test here."""
        text = Path(__file__).read_text("utf-8")
        names = {path.stem for path in (ROOT / "examples").glob("*.py")}
        self.assertEqual({name for name in names if f'"{name}"' not in text and f"{name}:" not in text}, set())
