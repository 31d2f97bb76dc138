"""What docs/cli.rst tells an operator to type works, as it stands there."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.manual import ROOT, blocks
from tests.pages import PageCase


class NightDutyTests(PageCase):
    """The commands of the section, one after the other in one shell."""

    page_ports = ("5061",)

    async def test_from_the_first_look_to_the_last(self) -> None:
        """row:M15: certificates, the doctor before and while the daemon runs, a reload and the stop."""
        text = next(block for block in blocks(ROOT / "docs/cli.rst", "sh") if "kill -HUP" in block)
        # A signal that comes while the one before it is still being looked at would only be a second one.
        script = text.replace("kill -TERM", "until grep -q reloaded party.log; do sleep 0.1; done\nkill -TERM")
        shell = self.shell(script)
        self.assertEqual(await shell.ended(), 0, shell.report())
        self.assertEqual(shell.output.count("Nothing is wrong."), 2, shell.report())
        while (self.folder / "party.pid").exists():
            await deferLater(reactor, 0.05)
        log = (self.folder / "party.log").read_text()
        self.assertIn('"event": "stopped"', log)
        self.assertNotIn("Traceback", log)
