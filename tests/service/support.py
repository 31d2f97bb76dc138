"""What the tests of the service share: certificates, options, and real processes with a deadline."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.settings.options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.trial.unittest import SynchronousTestCase

__all__ = ["COMMAND", "ROOT", "TWIST", "TWISTD", "Process", "keys", "parsed", "run"]

ROOT = Path(__file__).parents[2]

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
TWIST = (sys.executable, "-c", "from twisted.application.twist._twist import Twist; Twist.main()")
COMMAND = (sys.executable, "-c", "from sip_p2p.service.cli import main; main()")

_DEADLINE = 100.0
_made: dict[str, Path] = {}


def keys() -> Path:
    """A folder with ``ca.pem``, ``a.example.pem``, ``b.example.pem``, and the same from another authority in ``other``.

    It is made once for all tests, and nothing in it is ever changed.
    """
    if "keys" not in _made:
        folder = Path(tempfile.mkdtemp(prefix="sip-p2p-tests-"))
        atexit.register(shutil.rmtree, folder)
        for directory in (folder, folder / "other"):
            authority = CertificateAuthority.create(f"authority in {directory.name[:5]}", directory)
            for name in ("a.example", "b.example"):
                authority.issue(name).write(directory)
        _made["keys"] = folder
    return _made["keys"]


def parsed(*arguments: str) -> Options:
    """The service's options."""
    options = Options()
    options.parseOptions(list(arguments))
    return options


def environment(*folders: str) -> dict[str, str]:
    """The environment of a process that finds the package under test, and what lies in *folders*."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), *folders)),
        "PYTHONWARNINGS": "error::ResourceWarning",
    }


def run(
    program: Sequence[str], *arguments: str, stdin: bytes = b"", cwd: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    done = subprocess.run(
        [*program, *arguments],
        input=stdin,
        capture_output=True,
        timeout=_DEADLINE,
        env=environment(),
        cwd=cwd,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    )


class Process:
    """A process that runs beside the test; it is killed when the test ends or its deadline passes."""

    def __init__(
        self,
        case: SynchronousTestCase,
        program: Sequence[str],
        *arguments: str,
        folders: tuple[str, ...] = (),
        stdout: IO[bytes] | None = None,
    ) -> None:
        """:param stdout: where standard output goes, if it is not to be read here."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [*program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=self._errors,
            env=environment(*folders),
        )
        self._timer = threading.Timer(_DEADLINE, self._process.kill)
        self._timer.start()
        self.lines: list[str] = []
        case.addCleanup(self.end)

    def wait_for(self, text: str) -> str:
        """The next line of standard output that holds *text*.

        :raises AssertionError: when the process ends without one.
        """
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.decode("utf-8", "backslashreplace").rstrip("\n")
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came; this did: {self.lines} {self.errors()}")

    @property
    def number(self) -> int:
        """Its process id."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Read standard output to its end, and return the exit code."""
        if self._process.stdout is not None:
            self.lines += [raw.decode("utf-8", "backslashreplace").rstrip("\n") for raw in self._process.stdout]
        return self._process.wait()

    def errors(self) -> str:
        """What came on standard error so far."""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "backslashreplace")

    def end(self) -> None:
        """Kill it if it still runs, and let go of everything."""
        self._timer.cancel()
        self._process.kill()
        self._process.wait()
        self._timer.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
