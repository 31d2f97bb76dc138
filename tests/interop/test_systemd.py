"""The units of ``packaging/systemd``, as systemd reads and judges them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.interop.peers.confined import LIBRARY
from tests.interop.peers.farm import PACKAGING
from tests.interop.peers.peer import Peer
from tests.interop.support import InteropTestCase
from tests.service.support import COMMAND, TWISTD, Process, keys, run

UNITS = ("sip-p2p.service", "sip-p2p.socket", "sip-p2p@.service")

WORST_EXPOSURE = 15
"""What ``systemd-analyze security`` may say at most, in tenths: below 20 it is content."""


class Analyzer(Peer):
    """systemd's own judge of units; systemd itself need not run."""

    packages = "systemd"
    programs = ("systemd-analyze",)


class Confinement(Analyzer):
    """What systemd itself restricts system calls with; it cannot do without."""

    packages = "systemd libseccomp2"

    @classmethod
    def missing(cls) -> str | None:
        """Its programs, or the library."""
        return super().missing() or (None if LIBRARY else "libseccomp")


class UnitTests(InteropTestCase):
    """Each unit."""

    needs = (Analyzer,)

    def written(self) -> Path:
        """A folder with the units, whose program is one that is there."""
        folder = Path(self.folder())
        for name in UNITS:
            text = (PACKAGING / "systemd" / name).read_text("ascii")
            (folder / name).write_text(text.replace("/usr/lib/sip-p2p/bin/twistd", "/bin/true"), "ascii")
        return folder

    def analyzed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What it says."""
        return subprocess.run(
            ["systemd-analyze", *arguments], cwd=self.written(), capture_output=True, text=True, timeout=60, check=False
        )

    def test_nothing_is_wrong(self) -> None:
        """systemd knows every setting of the units, and has nothing to say about them."""
        done = self.analyzed("verify", "--man=no", "--recursive-errors=no", *(f"./{name}" for name in UNITS))
        said = [line for line in done.stderr.splitlines() if "sip-p2p" in line]
        self.assertEqual((done.returncode, said), (0, []))

    def test_what_it_may_do(self) -> None:
        """The service can do next to nothing beside SIP: systemd calls its exposure low."""
        for name in UNITS:
            if name.endswith(".service"):
                done = self.analyzed("security", "--offline=true", "--no-pager", f"./{name}")
                exposure = re.search(r"exposure level for \S+: (\d+)\.(\d)", done.stdout)
                assert exposure is not None, done
                self.assertLessEqual(int(exposure[1]) * 10 + int(exposure[2]), WORST_EXPOSURE)


class ConfinedTests(InteropTestCase):
    """A party under what the units forbid it."""

    needs = (Confinement,)

    def test_two_parties(self) -> None:
        """Two parties prove who they are and talk, under what each of the units forbids."""
        for name in ("sip-p2p.service", "sip-p2p@.service"):
            done = run((*confined(name), *COMMAND), "demo")
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    async def test_a_service(self) -> None:
        """row:M15: workers over TLS with the HTTP API and every file that can be written start, serve, read their files
        anew and stop, under what the unit forbids."""
        folder = Path(self.folder())
        service = Process(
            self, confined("sip-p2p.service"), *TWISTD, "-n", "--pidfile=", "sip-p2p", "--uri", "sip:bob@b.example",
            "--certificate", str(keys() / "b.example.pem"), "--trust", str(keys() / "ca.pem"), "--allow", "a.example",
            "--listen", "tls:0:interface=127.0.0.1", "--workers", "2", "--state", str(folder / "state"),
            "--http", f"unix:{folder}/http-{{worker}}", "--pcapng", str(folder / "{worker}.pcapng"),
            "--trace", str(folder / "{worker}.jsonl"), "--insecure-tls-key-log", str(folder / "{worker}.keys"),
        )  # fmt: skip
        line = await deferToThread(service.wait_for, "workers listen on")
        for _ in range(2):
            await deferToThread(service.wait_for, '"event": "started"')
        sent = await deferToThread(
            run, COMMAND, "send", "--json", "--uri", "sip:alice@a.example",
            "--certificate", str(keys() / "a.example.pem"), "--trust", str(keys() / "ca.pem"),
            "--resolve", f"b.example=127.0.0.1:{line.rpartition(':')[2]}", "sip:bob@b.example", "hello",
        )  # fmt: skip
        self.assertEqual(json.loads(sent.stdout)["outcome"], "ok")
        shown = await deferToThread(run, COMMAND, "show", "service", "--control", f"unix:{folder}/http-1")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        service.signal(signal.SIGHUP)
        for _ in range(2):
            await deferToThread(service.wait_for, "reloaded")
        service.signal(signal.SIGTERM)
        self.assertEqual(await deferToThread(service.wait), -signal.SIGTERM)
        self.assertNotIn("Traceback", service.errors() + "\n".join(service.lines))


def confined(unit: str) -> tuple[str, ...]:
    """What a command line begins with that is under what *unit* forbids."""
    return sys.executable, "-m", "tests.interop.peers.confined", str(PACKAGING / "systemd" / unit)
