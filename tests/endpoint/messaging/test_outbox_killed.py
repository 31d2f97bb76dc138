"""An outbox in a real process, over real sockets and on a real disk, killed at each of its steps."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from sip_p2p import IncomingText, Messenger, RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint
from tests.interop.peers.program import Program
from tests.manual import ROOT
from tests.support import TestCase


class KilledTests(TestCase):
    """Nothing that was accepted is lost, and nothing is told twice."""

    timeout = 240

    async def test_every_step(self) -> None:
        """Killed before and after each statement on its file, each MESSAGE and each answer, an outbox that is opened
        anew delivers every message that it has accepted, in order; what comes twice has the same id, and is told once;
        and the application hears what became of each."""
        clock: Any = reactor
        manager = RealTimeServerTcpConnectionManager(clock)
        bob = SipPeerToPeerEndpoint("sip:bob@127.0.0.1", manager)
        messenger = Messenger(bob, answers=())
        told: dict[str, list[str]] = defaultdict(list)
        attempts: dict[str, set[str]] = defaultdict(set)

        @messenger.text_received.subscribe
        def heard(text: IncomingText) -> None:
            told[text.id].append(text.text)

        @bob.message_received.subscribe
        def came(event: Any) -> None:
            attempts[event.body.partition(b"imdn.Message-ID: ")[2].partition(b"\r\n")[0].decode()].add(event.call_id)

        listener = await manager.start_listening("tcp:port=0:interface=127.0.0.1")
        folder = Path(self.mktemp())
        folder.mkdir()
        program = Program(
            clock,
            [
                *(sys.executable, str(Path(__file__).parent / "outbox_program.py")),
                *(str(folder.resolve()), f"sip:bob@127.0.0.1:{listener.port}"),
            ],
        )
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        program.start(str(folder), {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        self.assertEqual(await program.ended(200), 0, program.report())
        await manager.terminate()
        said: dict[str, list[str]] = defaultdict(list)
        steps = 0
        for line in program.output.splitlines():
            step, what, identifier = json.loads(line)
            said[identifier].append(what)
            steps = max(steps, step)
        # Two messages: each is accepted, claimed, sent, answered, settled and told.
        self.assertGreater(steps, 40)
        for step in range(1, steps + 1):
            for text in ("first", "second"):
                name = f"{step}-{text}"
                self.assertIn("accepted", said[name])
                self.assertIn("delivered", said[name], name)
                self.assertEqual(told[name], [text])
                self.assertEqual(len(attempts[name]), 1, "other attempts have other Call-IDs")
        order = list(told)
        self.assertEqual(order, sorted(order, key=lambda name: (int(name.partition("-")[0]), name)))
        self.assertGreater(messenger.duplicates, 0)
