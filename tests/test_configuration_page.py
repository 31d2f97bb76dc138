"""docs/configuration.rst: its file, its commands and its tables are as it says."""

from __future__ import annotations

import re

from sip_p2p.service.settings.reconfiguration import RELOADED
from tests.manual import ROOT, blocks
from tests.pages import PageCase
from tests.support import SynchronousTestCase

PAGE = ROOT / "docs/configuration.rst"


class FileCase(PageCase):
    """A folder with the file of the page."""

    page_ports = ("5061",)

    def setUp(self) -> None:
        """Write the file."""
        super().setUp()
        (file,) = blocks(PAGE, "toml")
        self.file = self.text(file).replace("udp:5060", "udp:0")
        (self.folder / "party.toml").write_text(self.file)


class CommandTests(FileCase):
    """row:M14: what the page tells an operator to type works."""

    async def test_from_the_first_line_to_the_last(self) -> None:
        """row:M14: certificates, the check, the party itself, and a check with what the environment says besides."""
        first, second, lives = blocks(PAGE, "sh")
        pki, check, run = first.splitlines()
        await self.done(pki)
        checked = self.start(check)
        self.assertEqual(await checked.ended(), 0, checked.report())
        self.assertIn("It would start.", checked.output)
        for line in blocks(PAGE, "text")[2].splitlines():
            step, _, place = line.partition(": ")
            self.assertIn(step, checked.output)
            self.assertTrue(place.split("party.toml")[-1] in checked.output, line)
        running = self.start(run)
        await running.find(r'"event": "started"')
        await running.stop()
        self.assertNotIn("Traceback", running.output)
        words = re.fullmatch(r'(\w+)="([^"]*)" (\w+)=(\w+) (.*)\n', second)
        assert words is not None
        told = self.start(words[5], {words[1]: words[2], words[3]: words[4]})
        self.assertEqual(await told.ended(), 0, told.report())
        # The file wins over both.
        self.assertIn("--drain: 10, from", told.output)
        watched = await self.done(lives)
        self.assertIn("package: presence can be watched by b.example", watched)
        self.assertIn("outbox.sqlite will be made", watched)

    async def test_mistakes(self) -> None:
        """row:M14: the lines that the page shows are those that are printed."""
        for (written, instead), expected in zip(
            (("drain = 10", "drian = 10"), ("drain = 10", 'drain = "soon"')), blocks(PAGE, "text")[:2], strict=True
        ):
            (self.folder / "party.toml").write_text(self.file.replace(written, instead))
            program = self.start(blocks(PAGE, "sh")[0].splitlines()[1])
            self.assertEqual(await program.ended(), 1, program.report())
            said = re.sub(r"\S*/party\.toml", "party.toml", program.text)
            self.assertEqual(said.strip(), expected.strip())


class TableTests(SynchronousTestCase):
    """What is taken over."""

    def test_what_is_taken_over(self) -> None:
        """row:M15: the table names every option that SIGHUP takes over, and no other."""
        text = PAGE.read_text("utf-8").partition("taken over   ")[2].partition("\nWhat stands beside")[0]
        named = [name for line in text.splitlines() for name in re.findall(r"``([a-z-]+)``", line[:48])]
        self.assertEqual(sorted(named), sorted(RELOADED))
