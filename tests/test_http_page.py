"""docs/http.rst: its commands run as they stand, and its tables are those of the code."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sip_p2p.service.http import access, channel, doctor, idempotency, insight, messages, sessions, streams, waiting
from sip_p2p.service.http.problems import KINDS
from sip_p2p.service.http.table import ROUTES
from sip_p2p.service.lives import book, entries, ledger, referrals
from tests.manual import ROOT, commands
from tests.service.support import COMMAND, TWISTD, Process, run
from tests.support import SynchronousTestCase

PAGE = ROOT / "docs/http.rst"


def free_ports(count: int) -> list[str]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return found


class TableTests(SynchronousTestCase):
    """What the page says of the code."""

    def setUp(self) -> None:
        """The page."""
        self.text = PAGE.read_text("utf-8")

    def test_paths(self) -> None:
        """Every path of the API is on the page, and no other."""
        section = self.text.partition("\nPaths\n")[2].partition("\nErrors\n")[0].partition("what\n")[2]
        named = {each for each in re.findall(r"``(/[^`]*)``", section) if "..." not in each}
        self.assertEqual(named, {route.path for route in ROUTES})

    def test_problems(self) -> None:
        """Every kind of problem is on the page with its status, and no other."""
        rows = re.findall(r"^``([a-z-]+)`` +(\d{3})  ", self.text, re.MULTILINE)
        self.assertEqual(dict(rows), {name: str(kind.status) for name, kind in KINDS.items()})

    def test_bounds(self) -> None:
        """Every bound on the page is the one that counts."""
        for words in (
            f"content {channel.MOST_CONTENT // 1024} KiB",
            f"header {channel.MOST_HEADER_OCTETS // 1024} KiB, {channel.MOST_HEADER_FIELDS} fields",
            f"a request {channel.REQUEST_TIMEOUT:g} seconds",
            f"connections {channel.MOST_CONNECTIONS} ",
            f"followers {streams.MOST_FOLLOWERS} ",
            f"behind {streams.MOST_WAITING} events",
            f"or {streams.MOST_WAITING_OCTETS >> 20} MiB, or {streams.PATIENCE:g} seconds without reading",
            f"requests under way {messages.MOST_PENDING} ",
            f"``429``; {messages.MOST_KEPT} are remembered",
            f"sessions that ended {sessions.MOST_ENDED} ",
            f"``Prefer: wait`` {waiting.LONGEST_WAIT:g} ",
            f"others that ended {book.MOST_ENDED} ",
            f"notifications {entries.MOST_NOTIFICATIONS} ",
            f"each with {entries.MOST_NOTIFICATION_OCTETS >> 10} KiB",
            f"REFERs of peers {ledger.MOST_INCOMING} ",
            f"waits up to {referrals.PATIENCE:g} seconds",
            f"doctor {doctor.MOST_RUNNING} jobs",
            f"``429``; {doctor.MOST_JOBS} are remembered",
            f"trace {insight.MOST_TRACED} messages",
            f"or {insight.MOST_TRACED_OCTETS >> 20} MiB in one answer",
            f"keys {idempotency.MOST_KEYS} ",
            f"tokens {access.MOST_TOKENS} ",
        ):
            self.assertIn(words, self.text)


class CommandTests(SynchronousTestCase):
    """The commands of the page, one after the other."""

    if shutil.which("curl") is None:
        skip = "the program curl is not installed"

    def test_commands(self) -> None:
        """row:M14: two parties are started as the page says, and every curl on it is answered as it should be."""
        folder = tempfile.mkdtemp(prefix="sip-p2p-")
        self.addCleanup(shutil.rmtree, folder)
        ours, theirs, api = free_ports(3)
        running: list[Process] = []
        answers: dict[str, Any] = {}
        for words in commands(PAGE):
            swapped = [_swapped(word, folder, {"5061": ours, "5062": theirs, "8080": api}) for word in words]
            if words[0] == "sip-p2p":
                self.assertEqual(run(COMMAND, *swapped[1:]).returncode, 0)
            elif words[0] == "twistd":
                process = Process(self, TWISTD, "--pidfile=", *swapped[1:])
                running.append(process)
            else:
                self.assertEqual(words[0], "curl")
                answers[" ".join(words)] = self.curl(swapped[1:], folder)
        self.assertEqual(len(running), 2)
        self.check(list(answers.values()))
        self.assertTrue((Path(folder) / "last.pcapng").read_bytes().startswith(b"\x0a\x0d\x0d\x0a"))

    def curl(self, words: list[str], folder: str) -> str:
        """What a curl is answered; both parties may need a moment to listen."""
        is_stream = "-N" in words
        patience = [] if is_stream else ["--retry", "20", "--retry-connrefused", "--retry-delay", "1"]
        done = subprocess.run(
            ["curl", *patience, "--fail", *words],
            capture_output=True,
            timeout=60,
            cwd=folder,
            check=False,
        )
        self.assertEqual(done.returncode, 28 if is_stream else 0, (words, done.stdout, done.stderr))
        return done.stdout.decode("utf-8")

    def check(self, said: list[str]) -> None:
        """What the answers have to say."""
        (service, ready, sent, request, options, begun, listed, inside, _, *lives) = said[:17]
        (events, flows, trace, *others) = said[17:]
        self.assertEqual(json.loads(service)["uri"], "sip:me@a.example")
        self.assertEqual(json.loads(ready), {"status": "ready"})
        self.assertEqual(json.loads(sent)["response"]["status"], 200)
        self.assertEqual(json.loads(sent), json.loads(request))
        self.assertEqual(json.loads(options)["state"], "answered")
        self.assertEqual(json.loads(begun)["id"], "1")
        self.assertEqual(len(json.loads(listed)["sessions"]), 1)
        self.assertEqual(json.loads(inside)["response"]["status"], 200)
        subscribed, subscription, _, presence, subscribers, referral, kept, delivered = lives
        self.assertEqual(json.loads(subscribed)["state"], "subscribed")
        self.assertEqual(json.loads(subscribed)["count"], 1)
        self.assertIn("405", json.loads(referral)["failure"]["words"])
        self.assertIn("<basic>open</basic>", json.loads(subscription)["notifications"][0]["text"])
        self.assertEqual(json.loads(presence)["activities"], ["meeting"])
        self.assertEqual(json.loads(subscribers)["subscribers"], [])
        self.assertEqual((json.loads(kept)["id"], json.loads(delivered)["id"]), ("gate-1", "gate-1"))
        self.assertIn("event: session-state", events)
        self.assertEqual(json.loads(flows)["events"][0]["peer"], "b.example")
        self.assertTrue(json.loads(trace)["events"])
        self.assertEqual(json.loads(others[1])["flows"][0]["peer"], "b.example")


def _swapped(word: str, folder: str, ports: dict[str, str]) -> str:
    """A word of a command with ports that are free, and its keys in *folder*."""
    for port, free in ports.items():
        word = re.sub(rf"(?<![0-9]){port}(?![0-9])", free, word)
    return re.sub(r"^keys(?=/|$)", f"{folder}/keys", word)
