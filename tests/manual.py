"""Code and commands out of the reStructuredText of the repository, and how the tests run them from the checkout."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import textwrap
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "SCRIPTS", "blocks", "commands", "documents", "play"]

ROOT = Path(__file__).resolve().parent.parent

SCRIPTS = {
    "python": (),
    "sip-p2p": ("-c", "from sip_p2p.service.cli import main; main()"),
    "twistd": ("-c", "from twisted.scripts.twistd import run; run()"),
}
"""What to give Python in the place of an installed command, so that it is this checkout's code that runs."""

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


def play(path: Path, names: dict[str, Any]) -> list[tuple[str, str]]:
    """Run the Python of a document, one block after the other, with *names* as its names.

    :returns: for each block what it printed, and what the document shows: the block of ``text`` that follows it before
        the next one of Python, or nothing.
    """
    found: list[tuple[str, str]] = []
    for block in _BLOCK.finditer(path.read_text("utf-8")):
        text = textwrap.dedent(block[3]).strip() + "\n"
        if block[2] == "python":
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile(text, f"{path.name}, block {len(found) + 1}", "exec"), names)
            found.append((said.getvalue(), ""))
        elif block[2] == "text" and found and not found[-1][1]:
            found[-1] = (found[-1][0], text)
    return found


def commands(path: Path) -> list[list[str]]:
    """The lines of a document's shell blocks, each as its words; a line may go on after a backslash."""
    lines = "".join(blocks(path, "sh")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]
