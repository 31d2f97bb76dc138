"""Every program in examples/ does what it says, each in a process of its own, with real TLS on the loopback."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from sip_p2p.pki import CertificateAuthority
from tests.interop.peers.program import Program, free_port
from tests.manual import ROOT, SCRIPTS
from tests.support import TestCase

if TYPE_CHECKING:
    from collections.abc import Coroutine


class ExampleCase(TestCase):
    """A folder with certificates for localhost, and programs that are ended with the test."""

    timeout = 120

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

    def example(self, name: str, *arguments: str, first: str = "") -> Program:
        """Start one example with the folder of the certificates, or what it wants *first*, and *arguments*."""
        return self.start(f"{name}.py", first or str(self.folder.resolve()), *arguments)


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


class OutboxTests(ExampleCase):
    """outbox.py."""

    async def test_killed(self) -> None:
        """What was accepted while nobody was there is delivered by the program that comes after the one that was
        killed, in its order."""
        target, path = f"sip:bob@localhost:{free_port()}", str((self.folder / "outbox.sqlite").resolve())
        first = self.example("outbox", path, target, "one", "two")
        await first.find(r"accepted\n.*accepted$")
        os.kill(first.pid, signal.SIGKILL)
        await first.ended()
        bob = self.example("hello_bob", target.rpartition(":")[2])
        await bob.find(r"^bob is ")
        second = self.example("outbox", path, target)
        self.assertEqual(await second.ended(), 0, second.report())
        self.assertRegex(second.output, r"(?s)\A\w+: delivered .*\n\w+: delivered .*\n\Z")
        await bob.find(r"(?s): one\n.*: two$")


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


class EventPackageTests(ExampleCase):
    """event_package.py."""

    async def test_watched(self) -> None:
        """A package of a few lines is subscribed to by another process, which hears each change. row:J9"""
        thermometer = self.example("event_package")
        target = (await thermometer.find(r"^the thermometer is (\S+)$"))[1]
        watcher = self.example("event_package", target)
        self.assertEqual(await watcher.ended(), 0, watcher.report())
        readings = [float(line.split()[2]) for line in watcher.output.splitlines()]
        self.assertEqual(readings, sorted(set(readings)))
        self.assertGreater(readings[-1], 20.2)


class PresenceTests(ExampleCase):
    """presence.py."""

    async def test_watched(self) -> None:
        """Who is there is told to another process, and so is who is not there any more. (row:J12)"""
        alice = self.example("presence")
        target = (await alice.find(r"^watch (\S+)$"))[1]
        bob = self.example("presence", target)
        await bob.find(r"^she is there$")
        alice.write("gone for lunch\n")
        await bob.find(r"^she is gone for lunch$")
        self.assertEqual(await bob.ended(), 0, bob.report())


class TransferTests(ExampleCase):
    """transfer.py."""

    async def test_a_visitor_is_connected(self) -> None:
        """The reception sends its visitor to an extension, and is out of it when the two talk. (row:I1)"""
        extension = self.example("transfer", "extension", "", "0")
        inside = (await extension.find(r"^extension is (sip:\S+)$"))[1]
        reception = self.example("transfer", "reception", inside, "0")
        target = (await reception.find(r"^reception is (sip:\S+)$"))[1]
        visitor = self.example("transfer", "visitor", target)
        await visitor.find(r"^calling sip:extension@localhost:\d+$")
        await extension.find(r"^talking; it says that it was sent by <sip:reception@localhost>$")
        await reception.find(r"^connected: 200 OK$")

    async def test_an_extension_that_is_not_there(self) -> None:
        """Where nobody is there, the reception is told so. (row:I2)"""
        reception = self.example("transfer", "reception", "sip:extension@localhost:1", "0")
        target = (await reception.find(r"^reception is (sip:\S+)$"))[1]
        self.example("transfer", "visitor", target)
        await reception.find(r"^not connected: 503 ")


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


class CallCase(ExampleCase):
    """Programs that call each other."""

    def call(self, target: str, *arguments: str) -> Program:
        """Call *target* from the command line."""
        folder = self.folder.resolve()
        return self.start(
            *(*SCRIPTS["sip-p2p"], "call", target, "--uri", "sip:caller@localhost"),
            *("--certificate", f"{folder}/localhost.pem", "--trust", f"{folder}/ca.pem", *arguments),
        )


class IntercomTests(CallCase):
    """intercom.py."""

    async def test_two_stations(self) -> None:
        """One rings the other, which opens; both hear what the other types, and a hang-up closes both."""
        flat = self.example("intercom", "0", "flat")
        target = (await flat.find(r"^flat is (sip:\S+)$"))[1]
        door = self.example("intercom", "0", "door", target)
        await flat.find(r"^ringing: localhost is there; Enter opens$")
        flat.write("\n")
        for station in (door, flat):
            await station.find(r"^the door is open$")
        door.write("it is me\n")
        await flat.find(r"^> it is me$")
        flat.write("come in\n")
        await door.find(r"^> come in$")
        flat.write("bye\n")
        await door.find(r"^closed: the peer ended it$")
        await flat.find(r"^closed: we ended it$")
        for station in (door, flat):
            station.close_input()
            self.assertEqual(await station.ended(), 0, station.report())

    async def test_somebody_else_is_there(self) -> None:
        """A station that rings is busy for everybody else, and says good-bye when its keyboard goes away."""
        flat = self.example("intercom", "0", "flat")
        target = (await flat.find(r"^flat is (sip:\S+)$"))[1]
        door = self.example("intercom", "0", "door", target)
        await flat.find(r"^ringing: ")
        door.write("anybody?\n")
        await door.find(r"^not heard: the door is not open yet$")
        self.assertEqual(await self.call(target).ended(), 6)
        door.close_input()
        await flat.find(r"^closed: the caller gave up before there was an answer$")


class RigTests(CallCase):
    """test_rig.py."""

    async def test_verdicts(self) -> None:
        """A caller that follows the rules passes, one that does not is told which line of its offer is wrong."""
        rig = self.example("test_rig", "0")
        target = (await rig.find(r"^the rig is (sip:\S+)$"))[1]
        good = self.call(target, "--seconds", "0")
        self.assertEqual(await good.ended(), 0, good.report())
        await rig.find(r"^PASS: 1 descriptions, 0 faults; the peer ended it$")
        late = self.call(target, "--seconds", "0", "--late-offer")
        self.assertEqual(await late.ended(), 0, late.report())
        odd = self.folder / "odd.sdp"
        odd.write_text(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na\r\n"
        )
        bad = self.call(target, "--seconds", "0", "--body", str(odd.resolve()))
        self.assertEqual(await bad.ended(), 0, bad.report())
        await rig.find(r"^  fault: line 7: ")
        await rig.find(r"^FAIL: 1 descriptions, 1 faults; the peer ended it$")


class BridgeTests(CallCase):
    """click_to_dial.py."""

    async def test_two_parties(self) -> None:
        """Two parties that only answer talk to each other, by the rules, until one hangs up."""
        rig = self.example("test_rig", "0")
        first = (await rig.find(r"^the rig is (sip:\S+)$"))[1]
        other = self.example("test_rig", "0")
        second = (await other.find(r"^the rig is (sip:\S+)$"))[1]
        bridge = self.example("click_to_dial", first, second)
        await bridge.find(r"^they talk: audio$")
        await bridge.stop()
        await rig.find(r"^PASS: 2 descriptions, 0 faults; the peer ended it$")
        await other.find(r"^PASS: 1 descriptions, 0 faults; the peer ended it$")

    async def test_nobody_there(self) -> None:
        """With the second not there, the first is hung up, and the exit code is 1."""
        rig = self.example("test_rig", "0")
        first = (await rig.find(r"^the rig is (sip:\S+)$"))[1]
        bridge = self.example("click_to_dial", first, f"sip:nobody@localhost:{free_port()}")
        self.assertEqual(await bridge.ended(), 1, bridge.report())
        self.assertIn("not bridged: ", bridge.text)
        await rig.find(r"; the peer ended it$")


class WebhookTests(CallCase):
    """webhook_receiver.py."""

    timeout = 120

    async def test_a_hook_decides(self) -> None:
        """row:M14: the service answers messages and calls with what the hook says, and 503 once the hook is gone."""
        secrets = self.folder / "secrets"
        secrets.write_text("whsec_YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCBubyBvdGhlcg==\n")
        hook = self.example("webhook_receiver", "0", first=str(secrets.resolve()))
        url = (await hook.find(r"^the hook is (\S+)$"))[1]
        port = free_port()
        own = [f"{self.folder.resolve()}/{name}.pem" for name in ("localhost", "ca")]
        keys = ["--certificate", own[0], "--trust", own[1]]
        service = self.start(
            *SCRIPTS["twistd"], "-n", "--pidfile=", "sip-p2p", "--uri", "sip:bob@localhost", *keys,
            "--listen", f"tls:port={port}:interface=127.0.0.1", "--application", "webhook", "--webhook", url,
            "--webhook-secret-file", str(secrets.resolve()), "--webhook-patience", "1",
        )  # fmt: skip
        await service.find("listens on tls", 30.0)
        target = f"sip:bob@localhost:{port}"
        for text, code, told in (("hello", 0, "200 OK"), ("spam", 2, "403 Not here")):
            sending = self.start(*SCRIPTS["sip-p2p"], "send", "--uri", "sip:me@localhost", *keys, target, text)
            self.assertEqual(await sending.ended(), code, sending.report())
            self.assertIn(told, sending.text)
            await hook.find(f"^localhost says {text}$")
        call = self.call(target, "--seconds", "0")
        self.assertEqual(await call.ended(), 0, call.report())
        await hook.find(r"^session-state disconnected$")
        await hook.stop()
        sender = ["send", "--uri", "sip:me@localhost", *keys, "--timeout=20"]
        late = self.start(*SCRIPTS["sip-p2p"], *sender, target, "late")
        self.assertEqual(await late.ended(), 2, late.report())
        self.assertIn("503", late.text)


class ListTests(TestCase):
    """That nothing is left out."""

    def test_every_example_is_run(self) -> None:
        """Each file of examples/ is named by a test here."""
        text = Path(__file__).read_text("utf-8")
        names = {path.stem for path in (ROOT / "examples").glob("*.py")}
        self.assertEqual({name for name in names if f'"{name}"' not in text and f"{name}:" not in text}, set())


class UsageTests(ExampleCase):
    """What a program that lacks an argument says."""

    async def test_usage(self) -> None:
        """An example that needs arguments and gets none says which, and ends."""
        for name in ("click_to_dial", "ping", "broadcaster"):
            program = self.start(f"{name}.py")
            self.assertIn("FOLDER", (await program.find(r"usage: (.*)"))[1])
        program = self.start("webhook_receiver.py")
        self.assertIn("SECRETS", (await program.find(r"usage: (.*)"))[1])
