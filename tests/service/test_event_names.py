"""The names of events: in the code, in the documents, and in the table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from sip_p2p.service.event_names import EVENTS, strangers
from tests.support import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]


def _told(path: Path) -> set[str]:
    """The names that a module tells events by."""
    found: set[str] = set()
    teller = {"chronicle.py": ("_tell",), "ledger.py": ("_tell_of", "emit")}.get(path.name, ("emit",))
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in teller:
            first = node.args[0] if node.args else node
            found |= {each.value for each in ast.walk(first) if _is_name(each)}  # type: ignore[attr-defined]
    return found - {"MESSAGE"}


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


class NameTests(SynchronousTestCase):
    """None is missing anywhere."""

    def test_the_code(self) -> None:
        """What the service tells of is what the table has."""
        service = ROOT / "sip_p2p" / "service"
        paths = [path for path in service.rglob("*.py") if path.parent.name != "commands"]
        self.assertEqual(set().union(*map(_told, paths)), EVENTS)

    def test_the_documents(self) -> None:
        """Each event stands in the table of the applications, or on the page of the part that tells it."""
        applications = (ROOT / "docs" / "applications.rst").read_text("utf-8")
        rows = re.findall(r"^(?:``[a-z-]+``,? ?)+(?= )", applications, re.MULTILINE)
        listed = {name for row in rows for name in re.findall(r"``([a-z-]+)``", row)}
        parts = {name for name in EVENTS if name.startswith("webhook-") or name == "transaction"}
        self.assertEqual(EVENTS - parts - listed, set())
        for name in parts:
            page = "webhooks.rst" if name.startswith("webhook-") else "observe.rst"
            self.assertIn(f"``{name}``", (ROOT / "docs" / page).read_text("utf-8"))

    def test_strangers(self) -> None:
        """A name with a slip in it is told with the one that may be meant."""
        self.assertEqual(strangers(["state", "sesion-state", "xyz"]), ["sesion-state (is session-state meant?)", "xyz"])
