"""docs/first_steps.rst: its commands work as they stand there, one after the other."""

from __future__ import annotations

import shutil

from tests.manual import ROOT, commands
from tests.pages import PageCase

PORT = "5062"


class LessonTests(PageCase):
    """The lesson, in one folder."""

    page_ports = (PORT,)

    async def test_from_the_first_line_to_the_last(self) -> None:
        """Certificates, Bob who listens, Alice who writes to him, and the doctor who finds nothing wrong."""
        shutil.copytree(ROOT / "examples", self.folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        pki, bob, alice, doctor = commands(ROOT / "docs/first_steps.rst")
        await self.done(pki)
        # Without a word he takes the port that the others are told.
        listening = self.start([*bob, PORT])
        await listening.find("bob is sip:")
        await self.done(alice)
        await listening.find("hello, Bob")
        self.assertIn("Nothing is wrong.", await self.done(doctor))
