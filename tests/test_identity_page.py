"""What docs/identity.rst shows works, as it stands there."""

from __future__ import annotations

from typing import Any

from sip_p2p.service.settings.options import Options
from tests.manual import ROOT, commands, play
from tests.support import SynchronousTestCase

PAGE = ROOT / "docs/identity.rst"


class PageTests(SynchronousTestCase):
    """Its Python, and its command."""

    def test_python(self) -> None:
        """Every block runs and prints what the page shows: asserted identities, privacy, and a refusal (RFC 3325, RFC
        3323, RFC 8224)."""
        names: dict[str, Any] = {}
        played = play(PAGE, names)
        names["network"].finish()
        self.assertEqual(len(played), 4)
        for said, shown in played:
            self.assertEqual(said, shown)

    def test_command(self) -> None:
        """The command line of the page is one."""
        [words] = commands(PAGE)
        options = Options()
        options.parseOptions(words[words.index("sip-p2p") + 1 :])
        self.assertEqual(options["passports"], "require")
        self.assertEqual(options.trusted_identities, ["trunk.example"])
