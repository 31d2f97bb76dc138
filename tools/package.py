"""What is installed elsewhere: a wheel, and a package for Debian with all that it needs inside, octet by octet the same
when made twice.

``python tools/package.py wheel DIR`` and ``python tools/package.py deb DIR``, or ``make wheel`` and ``make deb``. Every
time in them is that of ``SOURCE_DATE_EPOCH``, else that of the last commit, else that of ``CHANGES.rst``. Which
versions of other packages go into the second is pip's choice, and may be said with ``PIP_CONSTRAINT``; it is for the
Python that makes it, and for machines of this kind.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["deb", "epoch", "main", "wheel"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGING = ROOT / "packaging"
PACKED = ("sip_p2p", "twisted", "packaging", "setup.cfg", "pyproject.toml", "README.rst", "LICENSE", "MANIFEST.in")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "dropin.cache")

LIBRARY = "usr/lib/sip-p2p/lib"
PROGRAMS = {"twistd": "twisted.scripts.twistd:run", "sip-p2p": "sip_p2p.service.cli:main"}
LAUNCHER = """#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/{library}")
sys.argv[0] = "{name}"

from {module} import {function}

sys.exit({function}())
"""


def epoch() -> int:
    """The one time that everything has."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    if said:
        return int(said)
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.stdout.strip() else int((ROOT / "CHANGES.rst").stat().st_mtime)


def wheel(folder: Path) -> Path:
    """Make the wheel in *folder*, from a copy: nothing that lies around in the checkout gets into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        source, made = Path(scratch, "source"), Path(scratch, "made")
        source.mkdir()
        for name in PACKED:
            path = ROOT / name
            if path.is_dir():
                shutil.copytree(path, source / name, ignore=LEFT_OUT)
            elif path.exists():
                shutil.copy(path, source / name)
        _normalise(source, epoch())
        _pip("wheel", "--no-deps", "--wheel-dir", str(made), str(source))
        (found,) = made.iterdir()
        return Path(shutil.move(found, folder / found.name))


def deb(folder: Path) -> Path:
    """Make the package for Debian in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "root")
        made = wheel(Path(scratch))
        _install(made, root)
        _launchers(root)
        _documents(root)
        shutil.copytree(PACKAGING / "systemd", root / "usr/lib/systemd/system")
        (root / "etc/sip-p2p").mkdir(parents=True)
        version = made.name.split("-")[1]
        control = root / "DEBIAN"
        shutil.copytree(PACKAGING / "deb", control)
        size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) // 1024
        text = (control / "control").read_text("utf-8")
        for name, value in {
            "VERSION": version,
            "ARCHITECTURE": _said("dpkg", "--print-architecture"),
            "SIZE": str(size),
            "PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",
            "NEXT_PYTHON": f"{sys.version_info.major}.{sys.version_info.minor + 1}",
        }.items():
            text = text.replace(f"@{name}@", value)
        (control / "control").write_text(text, "utf-8")
        _normalise(root, epoch())
        package = folder / f"sip-p2p_{version}_{_said('dpkg', '--print-architecture')}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "--build", str(root), str(package)],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch())},
        )
        return package


def _install(made: Path, root: Path) -> None:
    """The wheel and all that it needs, without what tells where and when it was installed."""
    library = root / LIBRARY
    _pip("install", "--no-compile", "--target", str(library), str(made))
    shutil.rmtree(library / "bin", ignore_errors=True)
    shutil.rmtree(library / "share", ignore_errors=True)
    for pattern in ("*.dist-info/RECORD", "*.dist-info/direct_url.json", "*.dist-info/REQUESTED"):
        for path in library.glob(pattern):
            path.unlink()


def _launchers(root: Path) -> None:
    """The programs, which see nothing of Python's but what came with them."""
    folder = root / "usr/lib/sip-p2p/bin"
    folder.mkdir()
    for name, place in PROGRAMS.items():
        module, function = place.split(":")
        path = folder / name
        path.write_text(LAUNCHER.format(library=LIBRARY, name=name, module=module, function=function), "ascii")
        path.chmod(0o755)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/sip-p2p").symlink_to("../lib/sip-p2p/bin/sip-p2p")


def _documents(root: Path) -> None:
    """Man pages, the sample of a configuration, the licence and the changes."""
    for page in sorted((PACKAGING / "man").iterdir()):
        target = root / f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(page.read_bytes(), mtime=0))
    folder = root / "usr/share/doc/sip-p2p"
    shutil.copytree(PACKAGING / "farm", folder / "examples/farm")
    shutil.copy(PACKAGING / "sip-p2p.toml", folder / "examples")
    shutil.copy(ROOT / "LICENSE", folder / "copyright")
    (folder / "changelog.gz").write_bytes(gzip.compress((ROOT / "CHANGES.rst").read_bytes(), mtime=0))


def _normalise(folder: Path, moment: int) -> None:
    """Modes and times that say nothing of whoever has made it."""
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)
    folder.chmod(0o755)
    os.utime(folder, (moment, moment))


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch()), "PYTHONHASHSEED": "0"}
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: list[str]) -> int:
    """Make what is asked for.

    :returns: the exit code.
    """
    kinds = {"wheel": wheel, "deb": deb}
    if len(arguments) != 2 or arguments[0] not in kinds:
        print("usage: python tools/package.py wheel|deb DIR", file=sys.stderr)
        return 2
    print(kinds[arguments[0]](Path(arguments[1]).resolve()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
