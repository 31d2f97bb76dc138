"""``docs/operation.rst`` and ``docs/farm.rst``: what they show is what the units say, and works."""

from __future__ import annotations

import configparser
import re
import shlex
import tempfile
from pathlib import Path

from sip_p2p.service.settings.option_table import option_table
from sip_p2p.service.settings.options import Options
from tests.manual import ROOT, blocks, commands
from tests.service.support import COMMAND, TWISTD, run
from tests.support import SynchronousTestCase

OPERATION = ROOT / "docs/operation.rst"
FARM = ROOT / "docs/farm.rst"
UNITS = ROOT / "packaging/systemd"


class ConfigurationTests(SynchronousTestCase):
    """Options in a file."""

    def test_files(self) -> None:
        """What the page puts into a configuration file is read, and makes a party."""
        first, *others = blocks(OPERATION, "toml")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "party.toml"
            for other in ("", *others):
                replaced = "|".join(re.findall(r"^[a-z-]+(?= =)", other, re.MULTILINE)) or "none"
                path.write_text(re.sub(f"^({replaced}) =", "#", first, flags=re.MULTILINE) + other, "utf-8")
                options = Options()
                secrets = ["--webhook-secret-file", "z"] if "webhook" in other else []
                options.parseOptions(["--config", str(path), "--certificate", "x", "--trust", "y", *secrets])
                self.assertEqual((str(options.uri), options.allow), ("sip:bob@b.example", ["a.example"]))


class FarmTests(SynchronousTestCase):
    """Command lines of the farm."""

    def test_commands(self) -> None:
        """Every command line of a farm would start, with the application that the page shows."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "ledger.py").write_text(blocks(FARM, "python")[0], "utf-8")
            (pki,) = commands(OPERATION)
            self.assertEqual(run(COMMAND, *pki[1:], cwd=folder).returncode, 0)
            for words in commands(FARM):
                done = run(TWISTD, *words[1:], "--check", cwd=folder)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def test_each_file_is_shown(self) -> None:
        """The page shows every file of the farm as it is."""
        shown = set(re.findall(r"literalinclude:: \.\./packaging/farm/(\S+)", FARM.read_text("utf-8")))
        self.assertEqual(shown, {path.name for path in (ROOT / "packaging/farm").iterdir()})


class UnitTests(SynchronousTestCase):
    """The units, beside what the page says of them."""

    def unit(self, name: str) -> dict[str, list[str]]:
        """The settings of one unit, each with all its values."""
        found: dict[str, list[str]] = {}
        for line in (UNITS / name).read_text("ascii").splitlines():
            if "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                found.setdefault(key, []).append(value)
        return found

    def test_options(self) -> None:
        """The units start the service with options and variables that it has."""
        variables = {option.variable for option in option_table(Options)}
        for name in ("sip-p2p.service", "sip-p2p@.service"):
            unit = self.unit(name)
            program, *words = shlex.split(unit["ExecStart"][0])
            self.assertEqual(program, "/usr/lib/sip-p2p/bin/twistd")
            options = words[words.index("sip-p2p") + 1 :]
            self.assertEqual(options[0], "--config")
            named = {each.partition("=")[0] for line in unit["Environment"] for each in shlex.split(line)}
            self.assertEqual({each for each in named if each.startswith("SIP_P2P_")} - variables, set())

    def test_credentials(self) -> None:
        """Each credential that systemd hands over is where the party is told that it is."""
        for name in ("sip-p2p.service", "sip-p2p@.service"):
            unit = self.unit(name)
            handed = {value.partition(":")[0] for value in unit["LoadCredential"]}
            told = set(re.findall(r"%d/(\S+)", " ".join(unit["Environment"])))
            self.assertEqual(handed, told)

    def test_the_instances_are_alike(self) -> None:
        """An instance has every setting of the plain unit."""
        self.assertEqual(set(self.unit("sip-p2p.service")), set(self.unit("sip-p2p@.service")))

    def test_the_socket(self) -> None:
        """The socket has the name by which the page asks for it."""
        (name,) = self.unit("sip-p2p.socket")["FileDescriptorName"]
        self.assertIn(f"tls:systemd={name}", OPERATION.read_text("utf-8"))

    def test_drop_in(self) -> None:
        """The drop-ins of the page are some; one hands over files by options that there are."""
        handing, reloading = blocks(OPERATION, "ini")
        parser = configparser.ConfigParser()
        parser.read_string(reloading)
        self.assertEqual(parser["Service"]["type"], "notify-reload")
        told = dict(re.findall(r"(SIP_P2P_\w+)=%d/(\S+)", handing))
        self.assertEqual(set(told.values()), set(re.findall(r"LoadCredential=([^:]+):", handing)))
        self.assertLessEqual(set(told), {option.variable for option in option_table(Options)})
