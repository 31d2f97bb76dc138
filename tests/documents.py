"""Code and commands out of the reStructuredText of the repository, for the tests that run them."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

__all__ = ["ROOT", "blocks", "commands", "documents"]

ROOT = Path(__file__).resolve().parent.parent

_BLOCK = re.compile(r"^( *)\.\. code-block:: (\w+)\n((?:\n|\1 +.*\n)+)", re.MULTILINE)


def documents() -> list[Path]:
    """Every document, those at the top and those in docs/."""
    return sorted([*ROOT.glob("*.rst"), *(ROOT / "docs").rglob("*.rst")])


def blocks(path: Path, language: str) -> list[str]:
    """The code blocks of one document in one language, in order, without their indentation."""
    return [
        textwrap.dedent(found[3]).strip() + "\n"
        for found in _BLOCK.finditer(path.read_text("utf-8"))
        if found[2] == language
    ]


def commands(path: Path) -> list[list[str]]:
    """The lines of a document's shell blocks, each as its words; a line may go on after a backslash."""
    lines = "".join(blocks(path, "sh")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]
