"""The man pages and the sample file, which are written from the option classes."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.cli import SipOptions
from sip_p2p.service.diagnosis.check import check
from sip_p2p.service.settings.config_file import LIMITS, parse_file
from sip_p2p.service.settings.option_table import option_table
from sip_p2p.service.settings.options import Options
from tests.manual import ROOT
from tests.support import SynchronousTestCase

sys.path.insert(0, str(ROOT / "tools"))

import manpages  # type: ignore[import-not-found]


class ManPageTests(SynchronousTestCase):
    """The files and the classes say the same."""

    def test_as_written(self) -> None:
        """row:M14: every file is what the classes yield; ``make rows`` writes them."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(manpages.main(["--check"]), 0, said.getvalue())

    def test_writing(self) -> None:
        """What is written passes the check, what is changed or no page any more does not, and is mended."""
        root = Path(self.mktemp())
        self.assertEqual(manpages.main([], root), 0)
        self.assertEqual(manpages.main(["--check"], root), 0)
        (root / "packaging/man/sip-p2p-gone.1").write_text("x")
        (root / "packaging/man/sip-p2p.1").write_text("x")
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(manpages.main(["--check"], root), 1)
        self.assertEqual(
            [line.split()[0] for line in said.getvalue().splitlines()],
            ["packaging/man/sip-p2p-gone.1", "packaging/man/sip-p2p.1"],
        )
        manpages.main([], root)
        self.assertEqual(manpages.main(["--check"], root), 0)

    def test_every_option(self) -> None:
        """row:M14: every option of the service and of each command stands on its page, and every key on that of the
        file."""
        pages = manpages.pages()
        for name, kind in (
            ("sip-p2p.8", Options),
            ("sip-p2p.1", SipOptions),
            *((f"sip-p2p-{command[0]}.1", command[2].kind) for command in SipOptions.subCommands),
        ):
            text = pages[f"packaging/man/{name}"].replace("\\-", "-")
            shown = set(re.findall(r"^(?:\\fB-\w\\fR, )?\\fB--([a-z-]+)\\fR", text, re.MULTILINE))
            self.assertEqual(shown, {option.name for option in option_table(kind)}, name)
        text = pages["packaging/man/sip-p2p.toml.5"].replace("\\-", "-")
        keys = set(re.findall(r"^\\fB([a-z-]+)\\fR \(", text, re.MULTILINE))
        self.assertEqual(keys, {option.name for option in option_table(Options) if not option.is_for_command_line})

    def test_groff(self) -> None:
        """Each page is read by groff without a complaint about it."""
        groff = shutil.which("groff")
        if groff is None:
            raise SkipTest("groff is not installed")
        for name, text in manpages.pages().items():
            if "/man/" in name:
                done = subprocess.run(
                    [groff, "-man", "-ww", "-Kutf8", "-Tutf8"], input=text.encode(), capture_output=True, check=False
                )
                said = [line for line in done.stderr.decode().splitlines() if "can't break line" not in line]
                self.assertEqual(said, [], name)
                self.assertNotIn("\\-", done.stdout.decode())


class SampleTests(SynchronousTestCase):
    """packaging/sip-p2p.toml."""

    def setUp(self) -> None:
        """Read it, with a folder of the test in the place of the machine's."""
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        text = (ROOT / "packaging/sip-p2p.toml").read_text("utf-8")
        self.text = text.replace("/etc/sip-p2p/", f"{self.folder}/").replace("/var/lib/sip-p2p", f"{self.folder}/state")

    def test_it_would_start(self) -> None:
        """row:M14: the sample is a party that would start once its keys are there, as a unit hands them over."""
        keys = self.folder / "keys"
        CertificateAuthority.create(directory=keys).issue("a.example").write(keys)
        path = self.folder / "sip-p2p.toml"
        path.write_text(self.text)
        options = Options()
        options.environment = {
            "SIP_P2P_CERTIFICATE": f"{keys}/a.example.pem",
            "SIP_P2P_TRUST": f"{keys}/ca.pem",
        }
        options.parseOptions(["--config", str(path)])
        report = check(options)
        self.assertTrue(report.passed, report.text)
        self.assertIn("from SIP_P2P_CERTIFICATE", report.text)
        self.assertIn(f"ok    config: {path} was read", report.text)

    def test_every_option(self) -> None:
        """row:M14: the sample has every option and every bound, in use or commented out."""
        whole = re.sub(r"^#(?=\S+ = )", "", self.text, flags=re.MULTILINE)
        entries = [entry.path for entry in parse_file(whole, "sample")]
        wanted = {option.name for option in option_table(Options) if not option.is_for_command_line} - {"limit"}
        self.assertEqual({path[0] for path in entries} - {"limit"}, wanted | {LIMITS})
        self.assertIn((LIMITS, "message", "body"), entries)
