"""docs/webhooks.rst: its commands are run as they stand, its JSON is understood, its Python works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.client import Agent

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.webhook.decision import parse_request_answer, parse_session_answer
from sip_p2p.service.webhook.signature import parse_secrets, signature_fields
from tests.documents import ROOT, SCRIPTS, blocks, commands
from tests.interop.peers.program import Program, free_port
from tests.support import SynchronousTestCase, TestCase

if TYPE_CHECKING:
    from collections.abc import Coroutine

PAGE = ROOT / "docs/webhooks.rst"


class CommandTests(TestCase):
    """The commands of the page."""

    timeout = 120

    def setUp(self) -> None:
        """A folder with the examples, and ports of our own for those of the page."""
        super().setUp()
        self.folder = Path(self.mktemp())
        shutil.copytree(ROOT / "examples", self.folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        self.ports = {"8000": str(free_port()), "5062": str(free_port())}

    def text(self, words: str) -> str:
        """With our ports."""
        for port, own in self.ports.items():
            words = words.replace(port, own)
        return words

    def start(self, words: list[str]) -> Program:
        """Start one command of the page."""
        program = Program(reactor, [sys.executable, "-u", *SCRIPTS[words[0]], *map(self.text, words[1:])])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        program.start(str(self.folder), {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(lambda: _as_deferred(program.stop()))
        return program

    async def test_they_do_what_the_page_says(self) -> None:
        """row:M14: the first text is answered 200, the second 403, and the call is accepted, as the hook decides."""
        first, second = blocks(PAGE, "sh")
        keys, secret, mode, receiver = first.splitlines()
        self.assertEqual(await self.start(keys.split()).ended(), 0)
        for line in (secret, mode):
            python = f'"{sys.executable}" -c'
            subprocess.run(line.replace("python -c", python), shell=True, check=True, cwd=self.folder, timeout=30)
        hook = self.start(receiver.split())
        await hook.find(r"^the hook is ")
        party, hello, spam, call = (line.split() for line in second.splitlines())
        service = self.start(party)
        await service.find("listens on tls", 30.0)
        for words, code, told in ((hello, 0, "200 OK"), (spam, 2, "403 Not here"), (call, 0, "")):
            program = self.start(words)
            self.assertEqual(await program.ended(), code, program.report())
            self.assertIn(told, program.text)
        await hook.find(r"^localhost says hello$")
        await hook.find(r"^session-state disconnected$")
        self.assertEqual(len(commands(PAGE)), 8)


class BlockTests(SynchronousTestCase):
    """What else the page shows."""

    def test_the_json(self) -> None:
        """The delivery is JSON, and each answer is understood as what it stands for."""
        delivery, answer, *decisions = (json.loads(block) for block in blocks(PAGE, "json"))
        self.assertEqual(set(delivery), {"type", "timestamp", "data"})
        self.assertEqual(parse_request_answer(json.dumps(answer).encode()).status, 403)
        found = [parse_session_answer(json.dumps(each).encode()).decision.value for each in decisions]
        self.assertEqual(found, ["accept", "ring", "reject", "redirect"])

    def test_the_python(self) -> None:
        """The verification verifies, and the agent is one."""
        names: dict[str, Any] = {}
        for block in blocks(PAGE, "python"):
            exec(block, names)
        folder = Path(self.mktemp())
        folder.mkdir()
        secrets = folder / "secrets"
        secrets.write_text("whsec_YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCBubyBvdGhlcg==\n")
        fields = signature_fields(parse_secrets(secrets.read_text()), "msg_1", int(time.time()), b"{}")
        self.assertEqual(names["delivery_id"](secrets, fields, b"{}"), "msg_1")
        self.assertRaises(ValueError, names["delivery_id"], secrets, fields, b"{ }")
        path = CertificateAuthority.create().write(folder)
        self.assertIsInstance(names["careful_agent"](reactor, path), Agent)


def _as_deferred(coroutine: Coroutine[object, object, object]) -> object:
    """What trial waits for."""
    return Deferred.fromCoroutine(coroutine)
