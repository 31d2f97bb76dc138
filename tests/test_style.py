"""What ruff cannot know: how long things may be, what every module and test has, and what nobody else should read."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent

MODULE_LINES = 500
FUNCTION_LINES = 50
EXCUSE = "Long because"

# Put together here, so that this file does not find itself.
_UNDONE = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"))
_FOLDERS = "|".join(("wo" + "rk", "ro" + "ot", "fa" + "rm", "tmp/" + "w"))
_PAPERS = "|".join(("architec" + "ture", "accept" + "ance", "fau" + "lts", "pe" + "ers"))
UNFINISHED = re.compile(rf"\b(?:{_UNDONE})\b")
MACHINE = re.compile(rf"(?:^|[^.\w/-])/(?:{_FOLDERS})/", re.MULTILINE)
OUTSIDE = re.compile(rf"(?:design|shared)/(?:{_PAPERS})\b")


def package_files() -> list[Path]:
    """Every module of the package."""
    return sorted((ROOT / "sip_p2p").rglob("*.py"))


def test_files() -> list[Path]:
    """Every module of tests."""
    return sorted((ROOT / "tests").rglob("test_*.py"))


def tracked_texts() -> dict[str, str]:
    """Every text file that is part of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise SkipTest("this is not a git checkout")
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix != ".dat" and path.is_file():
            texts[name] = path.read_text("utf-8", "replace")
    return texts


def where(path: Path, line: int = 1) -> str:
    """A place in a file, as an editor takes it."""
    return f"{path.relative_to(ROOT)}:{line}"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines a function has below its head and its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


class LengthTests(SynchronousTestCase):
    """What is long says why."""

    def test_modules(self) -> None:
        """A module of more than 500 lines gives its reason in its docstring."""
        long = [
            where(path, len(source.splitlines()))
            for path in package_files()
            if len((source := path.read_text("utf-8")).splitlines()) > MODULE_LINES
            and EXCUSE not in (ast.get_docstring(ast.parse(source)) or "")
        ]
        self.assertEqual(long, [])

    def test_functions(self) -> None:
        """A function of more than 50 lines gives its reason in its docstring."""
        long = [
            where(path, node.lineno)
            for path in package_files()
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if code_lines(node) > FUNCTION_LINES and EXCUSE not in (ast.get_docstring(node) or "")
        ]
        self.assertEqual(long, [])


class ModuleTests(SynchronousTestCase):
    """What every module of the package has, and what none has."""

    def test_openings(self) -> None:
        """A module opens with a docstring, postponed annotations and, if it defines anything, the list of its names."""
        wrong = []
        for path in package_files():
            tree = ast.parse(path.read_text("utf-8"))
            if ast.get_docstring(tree) is None:
                wrong.append(f"{where(path)}: no docstring")
            if len(tree.body) < 2:
                continue
            if not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
                wrong.append(f"{where(path)}: no postponed annotations")
            names = {
                target.id
                for node in tree.body
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            if "__all__" not in names:
                wrong.append(f"{where(path)}: no __all__")
        self.assertEqual(wrong, [])

    def test_maps(self) -> None:
        """The docstring of a package names each of its modules, so that nobody has to guess where a thing lives."""
        missing = [
            where(path)
            for path in package_files()
            if path.parent != ROOT / "sip_p2p" and path.name != "__init__.py"
            for text in (ast.get_docstring(ast.parse((path.parent / "__init__.py").read_text("utf-8"))) or "",)
            if not re.search(rf"[`.]{path.stem}`", text)
        ]
        self.assertEqual(missing, [])

    def test_nothing_is_left_undone(self) -> None:
        """Nothing in the repository is marked as to be done later, and no code is a stub."""
        wrong = [
            f"{name}: {match[0]}"
            for name, text in tracked_texts().items()
            if name.endswith((".py", ".rst", ".cfg", ".toml", ".js", ".sh"))
            for match in UNFINISHED.finditer(text)
        ]
        wrong += [
            f"{where(path, node.lineno)}: {node.name} does nothing"
            for path in package_files()
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and isinstance(node.body[-1], ast.Pass)
        ]
        self.assertEqual(wrong, [])

    def test_nothing_speaks_of_one_machine(self) -> None:
        """No file names a folder of the machine that it was written on, or a paper that is not in the repository."""
        wrong = [
            f"{name}: {match[0]}"
            for name, text in tracked_texts().items()
            for pattern in (MACHINE, OUTSIDE)
            for match in pattern.finditer(text)
        ]
        self.assertEqual(wrong, [])


class TestTests(SynchronousTestCase):
    """What every test has."""

    def test_ci_installs_the_peers(self) -> None:
        """CI installs each package that a peer of the interop tests says it needs."""
        listed = re.search(r'^PACKAGES="([^"]+)"', (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)
        assert listed is not None
        # These two come from wherever the machine has its node from.
        installed = {*listed[1].split(), "nodejs", "npm"}
        needed = {
            package
            for path in (ROOT / "tests/interop").rglob("*.py")
            for words in re.findall(r'^ +packages = "([^";]+)', path.read_text("utf-8"), re.MULTILINE)
            for package in words.split()
        }
        self.assertEqual(needed - installed, set())
        self.assertIn("sip-tester", needed)

    def test_docstrings(self) -> None:
        """Every test says in a sentence what it shows."""
        silent = [
            f"{where(path, node.lineno)}: {node.name}"
            for path in test_files()
            for class_ in ast.parse(path.read_text("utf-8")).body
            if isinstance(class_, ast.ClassDef)
            for node in class_.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if node.name.startswith("test_") and not (ast.get_docstring(node) or "").strip()
        ]
        self.assertEqual(silent, [])

    def test_no_sleep(self) -> None:
        """No test sleeps."""
        asleep = [
            where(path, node.lineno)
            for path in test_files()
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
        ]
        self.assertEqual(asleep, [])

    def test_mirror(self) -> None:
        """The tests of a module are where its path says."""
        modules = {
            path.relative_to(ROOT / "sip_p2p")
            for path in package_files()
            if path.name not in ("__init__.py", "__main__.py")
        }
        mirrored = {
            path.relative_to(ROOT / "tests").with_name(path.name.removeprefix("test_"))
            for path in test_files()
            if "interop" not in path.parts
        }
        self.assertEqual({str(path) for path in modules - mirrored}, set())
