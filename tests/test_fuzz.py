"""The fuzz targets run, without atheris too, and keep the input on which one fails."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent


def run(target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a target by hand, as a person would, from any folder."""
    command = [sys.executable, str(ROOT / "fuzz" / target), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def rounds() -> ModuleType:
    """The module that runs the targets, without its folder on the path."""
    spec = importlib.util.spec_from_file_location("fuzz_rounds", ROOT / "fuzz" / "rounds.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    path = sys.path[:]
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


class TargetTests(SynchronousTestCase):
    """fuzz/parse.py, fuzz/stream.py, fuzz/stun.py and fuzz/websocket.py."""

    def test_targets(self) -> None:
        """Each target takes every torture message, and random changes of them, and says what it did (row:M18,
        fault:A9, fault:I7)."""
        for target in ("parse", "stream", "stun", "websocket"):
            done = run(f"{target}.py", "--random", "--seconds", "0.2")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, rf"^{target}: [0-9]{{2,}} inputs, no failure\n")
            self.assertIn("atheris", done.stderr)

    def test_one_input(self) -> None:
        """A target tries the files that it is given and no others."""
        done = run("parse.py", "--random", str(ROOT / "tests" / "data" / "rfc4475" / "wsinv.dat"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class RandomTests(SynchronousTestCase):
    """What is done without atheris."""

    def try_all(self, check: object, folder: Path, seed: int = 0) -> str:
        """Run a check for no time at all: the torture messages alone; what was printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            rounds().change_at_random(check, "name", folder, 0.0, random.Random(seed))
        return printed.getvalue()

    def test_failure(self) -> None:
        """The input on which a check fails is kept, and the failure ends the run."""
        folder = Path(self.mktemp())

        def check(data: bytes) -> None:
            if data.startswith(b"REGISTER"):
                raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            self.try_all(check, folder)
        (kept,) = folder.iterdir()
        self.assertTrue(kept.read_bytes().startswith(b"REGISTER"))

    def test_all_torture_messages(self) -> None:
        """Every message of both RFCs is tried as it is, before any is changed (row:K12)."""
        seen: list[bytes] = []
        self.assertIn(" inputs, no failure", self.try_all(seen.append, Path(self.mktemp())))
        data = ROOT / "tests" / "data"
        for path in (*data.glob("rfc4475/*.dat"), *data.glob("rfc5118/**/*.sip")):
            self.assertIn(path.read_bytes(), seen, path.name)

    def test_changes(self) -> None:
        """One seed gives the same changes each time, and they are changes."""
        module = rounds()
        originals = [b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", b"INVITE sip:c@d SIP/2.0\r\n\r\n"]
        first, second = ([module.changed(random.Random(seed), originals) for seed in range(50)] for _ in range(2))
        self.assertEqual(first, second)
        self.assertGreater(len(set(first) - set(originals)), 25)
