"""docs/webhooks.rst: its commands are run as they stand, its JSON is understood, its Python works."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.web.client import Agent

from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.webhook.decision import parse_request_answer, parse_session_answer
from sip_p2p.service.webhook.permission import parse_referral_answer, parse_verdict
from sip_p2p.service.webhook.signature import parse_secrets, signature_fields
from tests.manual import ROOT, blocks, commands
from tests.pages import PageCase
from tests.support import SynchronousTestCase

PAGE = ROOT / "docs/webhooks.rst"


class CommandTests(PageCase):
    """The commands of the page."""

    page_ports = ("8000", "5062")

    def setUp(self) -> None:
        """The examples lie in the folder."""
        super().setUp()
        shutil.copytree(ROOT / "examples", self.folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))

    async def test_they_do_what_the_page_says(self) -> None:
        """row:M14: the first text is answered 200, the second 403, and the call is accepted, as the hook decides."""
        first, second = blocks(PAGE, "sh")
        keys, secret, mode, receiver = first.splitlines()
        await self.done(keys)
        for line in (secret, mode):
            python = f'"{sys.executable}" -c'
            subprocess.run(line.replace("python -c", python), shell=True, check=True, cwd=self.folder, timeout=30)
        hook = self.start(receiver)
        await hook.find(r"^the hook is ")
        party, hello, spam, call = second.splitlines()
        service = self.start(party)
        await service.find("listens on tls", 30.0)
        for words, code, told in ((hello, 0, "200 OK"), (spam, 2, "403 Not here"), (call, 0, "")):
            self.assertIn(told, await self.done(words, code))
        await hook.find(r"^localhost says hello$")
        await hook.find(r"^session-state disconnected$")
        self.assertEqual(len(commands(PAGE)), 8)


class BlockTests(SynchronousTestCase):
    """What else the page shows."""

    def test_the_json(self) -> None:
        """The delivery is JSON, and each answer is understood as what it stands for."""
        delivery, answer, *decisions = (json.loads(block) for block in blocks(PAGE, "json"))
        decisions, lives = decisions[:-4], [json.dumps(each).encode() for each in decisions[-4:]]
        self.assertEqual(set(delivery), {"type", "timestamp", "data"})
        self.assertEqual(parse_request_answer(json.dumps(answer).encode()).status, 403)
        found = [parse_session_answer(json.dumps(each).encode()).decision.value for each in decisions]
        self.assertEqual(found, ["accept", "ring", "reject", "redirect"])
        accepted, declined = map(parse_referral_answer, lives[:2])
        self.assertEqual((accepted.is_accepted, declined.is_accepted, declined.status), (True, False, 603))
        let_in, refused = map(parse_verdict, lives[2:])
        self.assertEqual((let_in.status, refused.status), (Verdict.accept().status, 403))

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
