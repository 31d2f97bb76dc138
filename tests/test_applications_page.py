"""The chapter on applications: its class does what the text says, its commands run, its events are those there are."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from sip_p2p.errors import RequestFailed
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.applications.loader import BUILT_IN
from sip_p2p.service.applications.running import RunningApplication
from sip_p2p.service.chronicle import Chronicle
from sip_p2p.testing import Network
from tests.manual import ROOT, SCRIPTS, blocks, commands
from tests.service.support import Process, run
from tests.support import SynchronousTestCase, TestCase

PAGE = ROOT / "docs/applications.rst"


class ClassTests(SynchronousTestCase):
    """The class of the user's own."""

    def test_what_it_does(self) -> None:
        """row:M14: it takes messages for who is in, says who that is, sends callers elsewhere, and reads its file
        anew."""
        (block,) = blocks(PAGE, "python")
        names: dict[str, Any] = {}
        exec(block, names)
        network = Network(delay=0.01)
        self.addCleanup(network.finish)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        application = names["Reception"]()
        RunningApplication(application).attach(bob)
        application.started(bob)
        application.present = {"bob"}
        accepted = network.run_until(alice.send_message("sip:bob@b.example", "hello"))
        self.assertEqual((accepted.status, accepted.reason, accepted.body), (202, "Will be delivered", b""))
        self.assertEqual(network.run_until(alice.request("INFO", "sip:bob@b.example")).body, b"bob")
        refused = alice.send_message("sip:nobody@b.example", "hello")
        session = alice.create_session("sip:bob@b.example", max_redirects=0)
        redirected = session.establish("v=0")
        network.advance(1)
        self.assertEqual(self.failureResultOf(refused, RequestFailed).value.status, 404)
        self.assertEqual(self.failureResultOf(redirected, RequestFailed).value.status, 302)
        self.assertEqual(application.reload(), ["0 are present"])


class TableTests(SynchronousTestCase):
    """The tables."""

    def test_every_application(self) -> None:
        """The first table names every application that is built in."""
        table = PAGE.read_text("utf-8").partition("To try them")[0]
        self.assertEqual(set(re.findall(r"^``(\w+)``  ", table, re.MULTILINE)), set(BUILT_IN))

    def test_every_event(self) -> None:
        """The last one names every event of the chronicle."""
        table = PAGE.read_text("utf-8").partition("What is told")[2]
        said = set(re.findall(r"``([\w-]+)``", table))
        self.assertLessEqual(set(re.findall(r"^ {4}``([\w-]+)``", str(Chronicle.__doc__), re.MULTILINE)), said)


class CommandTests(TestCase):
    """The commands of the page, from the first to the last."""

    async def test_they_run(self) -> None:
        """row:M14: the parties answer, one through the other, and the class of the page runs."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        CertificateAuthority.create(directory=folder / "keys").issue("localhost").write(folder / "keys")
        (block,) = blocks(PAGE, "python")
        (folder / "reception.py").write_text(block)
        pki, answer, forward, send, call, office = commands(PAGE)
        self.assertEqual(pki[1], "pki")
        ports: dict[str, str] = {}
        for words in (answer, forward, office):
            process = Process(self, (sys.executable, *SCRIPTS["twistd"]), *self.here(words[1:], folder, ports),
                              folders=(str(folder),))  # fmt: skip
            line = await deferToThread(process.wait_for, "listens on")
            old = words[words.index("--listen") + 1].partition("port=")[2]
            ports[old] = line.rpartition(":")[2]
        for words in (send, call):
            done = await deferToThread(run, (sys.executable, *SCRIPTS["sip-p2p"]), *self.here(words[1:], folder, ports))
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("180 Ringing", done.stdout)

    def here(self, words: list[str], folder: Path, ports: dict[str, str]) -> list[str]:
        """*words* with the keys of this test, and ports that are free."""
        found = []
        for word in words:
            word = word.replace("keys/", f"{folder}/keys/")
            for old, new in ports.items():
                word = word.replace(f":{old}", f":{new}")
            found.append(re.sub(r"^tls:port=\d+$", "tls:port=0:interface=127.0.0.1", word))
        return found
