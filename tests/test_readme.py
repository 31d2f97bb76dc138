"""What the README tells a newcomer to type works, as it stands there."""

from __future__ import annotations

from tests.manual import ROOT, blocks, commands
from tests.pages import PageCase

README = ROOT / "README.rst"

ALICE, BOB = "5061", "5062"


class ReadmeTests(PageCase):
    """The commands and the program of the README, one after the other in one folder."""

    page_ports = (ALICE, BOB)

    async def test_from_the_first_line_to_the_last(self) -> None:
        """Certificates, the service, a text from the command, the fifteen lines, which hear their echo, and a call."""
        pki, service, send, call = commands(README)
        await self.done(pki)
        # The echo goes to port 5061 of localhost, where this test cannot listen.
        bob = self.start([*service, "--resolve", f"localhost=127.0.0.1:{self.ports[ALICE]}"])
        await bob.find(r'"event": "started"')
        await self.done(send)
        (program,) = blocks(README, "python")
        (self.folder / "alice.py").write_text(self.text(program), "utf-8")
        alice = self.start(["python", "alice.py"])
        self.assertEqual(await alice.ended(), 0, alice.report())
        self.assertEqual(alice.output, "localhost says hello\n")
        self.assertIn("answered", await self.done(call))

    def test_fifteen_lines(self) -> None:
        """The program has no more lines than the README says."""
        (program,) = blocks(README, "python")
        self.assertEqual(len([line for line in program.splitlines() if line.strip()]), 15)
