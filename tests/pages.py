"""The commands of a document, run as they stand there: in a folder of their own, on ports that are free here."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.interop.peers.program import Program, free_port
from tests.manual import ROOT, SCRIPTS
from tests.support import TestCase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PageCase"]


class PageCase(TestCase):
    """An empty folder for the commands of one document, which run with this checkout's code.

    :cvar page_ports: the ports that the document names; where tests run they may be taken.
    :ivar folder: the folder.
    :ivar ports: a free port for each of *page_ports*.
    """

    timeout = 120
    page_ports: ClassVar[tuple[str, ...]] = ()

    def setUp(self) -> None:
        """An empty folder, and free ports."""
        super().setUp()
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.ports = {port: str(free_port()) for port in self.page_ports}

    def text(self, words: str) -> str:
        """*words* with the ports that are free here."""
        for written, free in self.ports.items():
            words = words.replace(written, free)
        return words

    def start(self, command: str | Sequence[str], environment: Mapping[str, str] | None = None) -> Program:
        """Start one command: a line, or its words."""
        words = shlex.split(command) if isinstance(command, str) else command
        return self._begin([sys.executable, "-u", *SCRIPTS[words[0]], *map(self.text, words[1:])], environment or {})

    async def done(self, command: str | Sequence[str], code: int = 0) -> str:
        """What a command said that ends by itself, with this exit code."""
        program = self.start(command)
        self.assertEqual(await program.ended(), code, program.report())
        return program.text

    def shell(self, script: str) -> Program:
        """Start a script whose first failure is its end; the commands of this checkout are on its path."""
        commands = self.folder / "bin"
        commands.mkdir()
        for name in SCRIPTS:
            program = commands / name
            program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *SCRIPTS[name]])} "$@"\n')
            program.chmod(0o700)
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        return self._begin(["/bin/sh", "-e", "-c", self.text(script)], {"PATH": path})

    def _begin(self, words: Sequence[str], environment: Mapping[str, str]) -> Program:
        program = Program(reactor, list(words))
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        program.start(str(self.folder), {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment})
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        return program
