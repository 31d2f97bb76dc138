"""Both kinds of installation, each in an environment of its own: ``make test-packaging``.

They need pip to find the dependencies and setuptools, from wherever it is configured to look, and take a minute or two.
"""

from __future__ import annotations

import atexit
import configparser
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent

LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "dropin.cache", "_trial_temp*")

SEES_PREFIXES = """
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import getPlugins
print(sorted(plugin.prefix for plugin in getPlugins(IStreamServerEndpointStringParser) if "sip" in plugin.prefix))
"""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What *command* writes; with all of it in the failure when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    finished = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise AssertionError(
            f"exit code {finished.returncode}: {' '.join(map(str, command))}\n{finished.stdout[-8000:]}"
        )
    return finished.stdout


def setup_packages() -> list[str]:
    """The packages that setup.cfg lists."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings["options"]["packages"].split()


class ListTests(SynchronousTestCase):
    """What setup.cfg says, against what is there."""

    def test_every_package_is_listed(self) -> None:
        """setup.cfg names each folder of the package, and the plugin's."""
        folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "sip_p2p").rglob("*.py")}
        self.assertEqual(set(setup_packages()), folders | {"twisted.plugins"})

    def test_plugin_folder_is_no_package(self) -> None:
        """Neither twisted/ nor twisted/plugins/ has an __init__.py, which would hide Twisted itself."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])

    def test_three_lines(self) -> None:
        """pyproject.toml holds the build system and the settings of ruff; everything else is in setup.cfg."""
        tables = {
            line.strip("[]").split(".")[:2] == ["tool", "ruff"] or line == "[build-system]"
            for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
            if line.startswith("[")
        }
        self.assertEqual(tables, {True})


class InstallationCase:
    """One environment for all tests of a kind, made when the first of them runs."""

    environment: ClassVar[Path]
    source: ClassVar[Path]
    outcome: ClassVar[Exception | None]

    def setUp(self) -> None:
        """Make the environment, unless an earlier test of the class has done so."""
        super().setUp()
        class_ = type(self)
        if "outcome" not in vars(class_):
            class_.outcome = None
            try:
                class_.make()
            except Exception as error:
                class_.outcome = error
        if class_.outcome is not None:
            raise class_.outcome

    @classmethod
    def make(cls) -> None:
        """Copy the checkout, make an environment and install into it."""
        folder = Path(tempfile.mkdtemp(prefix="sip-p2p-")).resolve()
        atexit.register(shutil.rmtree, folder)
        cls.environment = folder / "environment"
        cls.source = folder / "source"
        shutil.copytree(ROOT, cls.source, ignore=LEFT_OUT)
        run(sys.executable, "-m", "venv", cls.environment)
        cls.install()

    @classmethod
    def pip(cls, *arguments: str | Path) -> None:
        """Run the environment's pip."""
        run(cls.program("python"), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments, cwd=cls.source)

    @classmethod
    def install(cls) -> None:
        """Install the package; each kind does it in its own way."""

    @classmethod
    def program(cls, name: str) -> Path:
        """A program of the environment."""
        return cls.environment / "bin" / name

    def elsewhere(self, *command: str | Path) -> str:
        """Run a command away from every checkout."""
        return run(*command, cwd=self.environment)

    def test_twistd_knows_it(self) -> None:
        """``twistd --help`` lists sip-p2p, and its own help lists its options (row:M14)."""
        self.assertRegex(self.elsewhere(self.program("twistd"), "--help"), r"(?m)^ +sip-p2p +\S")
        self.assertIn("--listen", self.elsewhere(self.program("twistd"), "sip-p2p", "--help"))

    def test_twist_knows_it(self) -> None:
        """``twist --help`` lists it as well (row:M14)."""
        self.assertIn("sip-p2p", self.elsewhere(self.program("twist"), "--help"))

    def test_the_command_is_there(self) -> None:
        """``sip-p2p --help`` works."""
        self.assertIn("pki", self.elsewhere(self.program("sip-p2p"), "--help"))

    def test_prefixes_are_published(self) -> None:
        """Other Twisted programs can listen on sips: and sip: (row:C12)."""
        self.assertEqual(self.elsewhere(self.program("python"), "-c", SEES_PREFIXES), "['sip', 'sips']\n")

    def test_public_names(self) -> None:
        """Every public name can be imported from where it was installed."""
        program = "import sip_p2p; print(len([getattr(sip_p2p, name) for name in sip_p2p.__all__]) > 20)"
        self.assertEqual(self.elsewhere(self.program("python"), "-c", program), "True\n")


class WheelTests(InstallationCase, SynchronousTestCase):
    """``pip install`` of a wheel."""

    @classmethod
    def install(cls) -> None:
        """Build the wheel, then install it without the source."""
        cls.pip("wheel", "--no-deps", "--wheel-dir", cls.source.parent / "wheels", cls.source)
        (wheel,) = (cls.source.parent / "wheels").iterdir()
        cls.pip("install", wheel)
        shutil.rmtree(cls.source)
        cls.wheel = wheel

    wheel: ClassVar[Path]

    def test_contents(self) -> None:
        """The wheel holds every module, the plugin, the console, the type marker and the man pages, and nothing of the
        rest (row:M17)."""
        with zipfile.ZipFile(self.wheel) as archive:
            names = {name for name in archive.namelist() if ".dist-info/" not in name}
        modules = {str(path.relative_to(ROOT)) for path in (ROOT / "sip_p2p").rglob("*.py")}
        plugins = {str(path.relative_to(ROOT)) for path in (ROOT / "twisted").rglob("*.py")}
        console = {str(path.relative_to(ROOT)) for path in (ROOT / "sip_p2p/service/console/static").iterdir()}
        pages = {name for name in names if ".data/data/share/man/" in name}
        self.assertEqual(names - pages, modules | plugins | console | {"sip_p2p/py.typed"})
        self.assertEqual(
            {name.rpartition("/")[2] for name in pages}, {path.name for path in (ROOT / "packaging/man").iterdir()}
        )

    def test_man_pages(self) -> None:
        """What is installed with pip has its man pages where man looks beside its programs."""
        self.assertTrue((self.environment / "share/man/man1/sip-p2p.1").exists())


class EditableTests(InstallationCase, SynchronousTestCase):
    """``pip install -e``: the plugin is found in the checkout."""

    @classmethod
    def install(cls) -> None:
        """Install the copy of the checkout in place."""
        cls.pip("install", "--editable", cls.source)

    def test_it_is_the_checkout(self) -> None:
        """What is imported is the checkout, so a change counts at once."""
        program = "import sip_p2p; print(sip_p2p.__file__)"
        self.assertEqual(self.elsewhere(self.program("python"), "-c", program), f"{self.source}/sip_p2p/__init__.py\n")


class RepeatedTests(SynchronousTestCase):
    """What is made twice, at other times and in other folders."""

    def twice(self, kind: str) -> Path:
        """Make *kind* twice; the first of two files with the same octets."""
        folder = Path(tempfile.mkdtemp(prefix="sip-p2p-"))
        self.addCleanup(shutil.rmtree, folder)
        source = folder / "source"
        shutil.copytree(ROOT, source, ignore=LEFT_OUT)
        made = []
        for name in ("one", "another"):
            said = run(sys.executable, source / "tools/package.py", kind, folder / name)
            made.append(Path(said.splitlines()[-1]))
            source = source.rename(folder / "elsewhere")
        self.assertEqual(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in made))
        return made[0]

    def test_wheel(self) -> None:
        """``make wheel`` gives the same octets each time."""
        self.assertEqual(self.twice("wheel").suffix, ".whl")

    def test_deb(self) -> None:
        """``make deb`` gives the same octets each time; installed on a copy of this machine it finds its own Python
        packages, its units and its man pages are where they belong, and it leaves nothing behind when it goes."""
        if shutil.which("dpkg-deb") is None:
            raise SkipTest("dpkg-deb is not here (install: dpkg)")
        package = self.twice("deb")
        contents = run("dpkg-deb", "--contents", package)
        for name in (
            "./usr/bin/sip-p2p -> ../lib/sip-p2p/bin/sip-p2p",
            "./usr/lib/systemd/system/sip-p2p.service",
            "./usr/lib/systemd/system/sip-p2p@.service",
            "./usr/lib/systemd/system/sip-p2p.socket",
            "./usr/share/man/man8/sip-p2p.8.gz",
            "./usr/share/doc/sip-p2p/examples/sip-p2p.toml",
        ):
            self.assertIn(name, contents)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if version not in run("/usr/bin/python3", "--version"):
            raise SkipTest(f"the package is for Python {version}, which is not /usr/bin/python3 here")
        try:
            run("unshare", "--mount", "sh", "-c", f"{COPY} true", "sh", package)
        except AssertionError as error:
            raise SkipTest("this system lets nobody stand an overlay on its own root") from error
        said = run("unshare", "--mount", "sh", "-c", f"{COPY} {TRY_IT}", "sh", package)
        self.assertIn("It would start.", said)
        self.assertTrue(said.endswith("nothing is left\n"), said)


COPY = """set -e
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mkdir /mnt/root/trial
cp "$1" /mnt/root/trial/party.deb
mount --bind /dev /mnt/root/dev
cd /
exec chroot /mnt/root sh -ec"""

TRY_IT = """'
dpkg -i /trial/party.deb
cd /trial
sip-p2p --version
sip-p2p pki keys localhost
/usr/lib/sip-p2p/bin/twistd -n --pidfile= sip-p2p --uri sip:bob@localhost --certificate keys/localhost.pem \
    --trust keys/ca.pem --listen tls:port=5061 --application echo --check
dpkg -P sip-p2p
[ -e /usr/lib/sip-p2p ] || echo nothing is left'"""
