"""The arrows between the packages, read from the imports themselves.

::

    errors  <-  sip  <-  transport  <-  endpoint  <-  service  <-  twisted/plugins
                             observe (taps on transport and endpoint; nothing below imports it)
"""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "errors": set(),
    "sip": {"errors"},
    "sdp": {"errors"},
    "documents": {"errors", "sip"},
    "pki": {"errors"},
    "transport": {"errors", "sip"},
    "endpoint": {"errors", "sip", "documents", "transport"},
    "observe": {"errors", "sip", "transport", "endpoint"},
    "testing": {"errors", "sip", "transport", "endpoint", "observe", "pki"},
    "service": {"", "errors", "sdp", "documents", "sip", "transport", "endpoint", "observe", "pki"},
    "twisted/plugins": {"service", "transport"},
}
"""Which layers each layer may import besides itself; the empty name is the package's root with its public names, of
which all but sip may know ``__version__``."""

PURE = frozenset(
    "__future__ abc base64 binascii bisect collections collections.abc contextlib enum functools hashlib heapq hmac"
    " ipaddress itertools json math operator re string struct types typing urllib.parse".split()
)
"""The standard modules that know neither the world nor the time: all that ``sip_p2p.sip`` may use."""

DISTRIBUTIONS = {
    "OpenSSL": "pyOpenSSL",
    "attr": "attrs",
    "automat": "Automat",
    "cryptography": "cryptography",
    "defusedxml": "defusedxml",
    "jwt": "PyJWT",
    "opentelemetry": "opentelemetry-api",
    "twisted": "Twisted",
    "zope": "zope.interface",
}
"""Under which name setup.cfg asks for what a top-level module comes from."""


class Import:
    """One imported module, and where."""

    def __init__(self, module: str, name: str, line: int, typing_only: bool, at_once: bool) -> None:
        self.module = module
        self.name = name
        self.line = line
        self.typing_only = typing_only
        self.at_once = at_once and not typing_only

    def __repr__(self) -> str:
        return f"line {self.line}: {self.module}{'.' + self.name if self.name else ''}"


def imports_of(source: str) -> list[Import]:
    """Every import statement of a module, inside functions too; relative imports keep their dots."""
    found: list[Import] = []

    def walk(node: ast.AST, typing_only: bool, at_once: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, "", node.lineno, typing_only, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.extend(Import(module, alias.name, node.lineno, typing_only, at_once) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                walk(child, True, at_once)
            for child in node.orelse:
                walk(child, typing_only, at_once)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                walk(child, typing_only, at_once and not inside)

    walk(ast.parse(source), False, True)
    return found


def layer_of(module: str) -> str | None:
    """The layer that a dotted name belongs to; None outside the project, the empty string for its root."""
    parts = module.split(".")
    if parts[0] != "sip_p2p":
        return None
    return parts[1] if len(parts) > 1 else ""


def wrong_arrows(layer: str, imports: list[Import]) -> list[str]:
    """Those imports that *layer* may not have."""
    wrong = []
    for item in imports:
        target = layer_of(item.module)
        if item.module.startswith("."):
            wrong.append(f"{item!r}: a relative import")
        elif target == "" and item.name in MAY_IMPORT:
            target = item.name
        if target is None or target == layer:
            continue
        if target == "" and item.name == "__version__" and layer not in ("errors", "sip"):
            continue
        if layer == "errors" and item.typing_only:
            continue
        if target not in MAY_IMPORT[layer]:
            wrong.append(f"{item!r}: {layer} must not know {target or 'the root of the package'}")
    return wrong


def sources() -> dict[Path, str]:
    """The layer of each Python file of the project."""
    layers = {}
    for path in sorted((ROOT / "sip_p2p").rglob("*.py")):
        first = path.relative_to(ROOT / "sip_p2p").parts[0]
        layers[path] = first.removesuffix(".py")
    for path in sorted((ROOT / "twisted").rglob("*.py")):
        layers[path] = "twisted/plugins"
    del layers[ROOT / "sip_p2p" / "__init__.py"]
    return layers


def dotted(path: Path) -> str:
    """The name by which a file of the package is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def in_fresh_python(program: str) -> str:
    """What *program* prints in an interpreter of its own, started in the checkout."""
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    return finished.stdout + finished.stderr


class ReaderTests(SynchronousTestCase):
    """The reader of imports sees what there is to see; without that the rules below would prove nothing."""

    def test_every_form(self) -> None:
        """Plain, from, nested and typing-only imports are all found."""
        source = (
            "import a, b.c\nfrom d import e\nfrom typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from f import g\ndef h():\n    from . import i\n"
        )
        found = [(item.module, item.name, item.typing_only) for item in imports_of(source)]
        self.assertEqual(
            found,
            [
                ("a", "", False),
                ("b.c", "", False),
                ("d", "e", False),
                ("typing", "TYPE_CHECKING", False),
                ("f", "g", True),
                (".", "i", False),
            ],
        )

    def test_wrong_arrows_are_seen(self) -> None:
        """An import against an arrow is reported in each of its spellings, one along it is not."""
        for source in (
            "from sip_p2p.transport import pool",
            "import sip_p2p.transport.pool.pool",
            "from sip_p2p import transport",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sip_p2p.transport.pool.pool import Pool",
            "def f():\n    import sip_p2p.endpoint",
            "from sip_p2p import SipPeerToPeerEndpoint",
            "from . import headers",
        ):
            self.assertEqual(len(wrong_arrows("sip", imports_of(source))), 1, source)
        self.assertEqual(wrong_arrows("endpoint", imports_of("from sip_p2p.transport import pool\nimport re")), [])
        self.assertEqual(wrong_arrows("service", imports_of("from sip_p2p import __version__")), [])


class ArrowTests(SynchronousTestCase):
    """Each layer imports only what lies below it."""

    def test_arrows(self) -> None:
        """No module imports against the arrows, for types or otherwise; errors may name the types of its attributes."""
        wrong = [
            f"{path.relative_to(ROOT)}, {arrow}"
            for path, layer in sources().items()
            for arrow in wrong_arrows(layer, imports_of(path.read_text("utf-8")))
        ]
        self.assertEqual(wrong, [])

    def test_every_folder_is_a_layer(self) -> None:
        """A new folder or top-level module needs its place among the arrows."""
        self.assertEqual(set(sources().values()) - set(MAY_IMPORT), set())

    def test_sip_is_pure(self) -> None:
        """sip imports errors and pure modules of the standard library: no socket, clock, randomness, log or Twisted."""
        wrong = [
            f"{path.relative_to(ROOT)}, {item!r}"
            for path, layer in sources().items()
            if layer in ("sip", "errors")
            for item in imports_of(path.read_text("utf-8"))
            if layer_of(item.module) is None and item.module not in PURE
            if not (layer == "errors" and item.typing_only)
        ]
        self.assertEqual(wrong, [])

    def test_pki_knows_certificates_only(self) -> None:
        """pki needs cryptography and the standard library, so that it can be used without a reactor."""
        wrong = [
            repr(item)
            for item in imports_of((ROOT / "sip_p2p/pki.py").read_text("utf-8"))
            if item.module.split(".")[0] in ("twisted", "zope", "OpenSSL")
        ]
        self.assertEqual(wrong, [])

    def test_no_cycles(self) -> None:
        """Imports that run when a module does form no circle, so every module can be the first one."""
        modules = {dotted(path): path for path in sources()}
        graph: dict[str, set[str]] = {}
        for name, path in modules.items():
            targets: set[str] = set()
            for item in imports_of(path.read_text("utf-8")):
                if item.at_once:
                    targets |= {item.module, f"{item.module}.{item.name}"} & modules.keys()
            graph[name] = targets - {name}
        while leaves := [name for name, targets in graph.items() if not targets]:
            for name in leaves:
                del graph[name]
            for targets in graph.values():
                targets.difference_update(leaves)
        self.assertEqual(graph, {})


class WorldTests(SynchronousTestCase):
    """What comes along when something is imported."""

    def test_sip_brings_no_twisted(self) -> None:
        """Importing all of sip loads neither Twisted nor zope nor a TLS library."""
        names = [dotted(path) for path, layer in sources().items() if layer == "sip"]
        program = (
            f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
            "print(sorted({'twisted', 'zope', 'OpenSSL', 'cryptography', 'socket', 'logging'} & set(sys.modules)))"
        )
        self.assertEqual(in_fresh_python(program), "[]\n")

    def test_no_reactor_is_installed(self) -> None:
        """Importing everything installs no reactor: which one runs is the program's choice."""
        names = [dotted(path) for path, layer in sources().items() if layer != "twisted/plugins"]
        program = (
            f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
            "import sip_p2p; [getattr(sip_p2p, name) for name in sip_p2p.__all__]\n"
            "print('twisted.internet.reactor' in sys.modules, 'twisted.protocols.sip' in sys.modules)"
        )
        self.assertEqual(in_fresh_python(program), "False False\n")

    def test_dependencies_are_declared(self) -> None:
        """Whatever is imported from outside the standard library stands in setup.cfg's install_requires, or in the
        extra of the one module that needs it."""
        settings = configparser.ConfigParser()
        settings.read(ROOT / "setup.cfg")
        lines = settings["options"]["install_requires"] + settings["options.extras_require"]["opentelemetry"]
        asked = {re.split(r"[\[ <>=]", line)[0] for line in lines.split("\n") if line}
        used = {
            item.module.split(".")[0]
            for path in (ROOT / "sip_p2p").rglob("*.py")
            for item in imports_of(path.read_text("utf-8"))
        }
        outside = used - set(sys.stdlib_module_names) - {"sip_p2p"}
        self.assertEqual({DISTRIBUTIONS.get(name, name) for name in outside} - asked, set())

    def test_the_extra_is_left_alone(self) -> None:
        """Without ``--opentelemetry`` nothing of the extra is imported: one module has it, and nobody that module."""
        extra = "sip_p2p.observe.spans"
        for path, layer in sources().items():
            if layer == "twisted/plugins" or dotted(path) == extra:
                continue
            for item in imports_of(path.read_text("utf-8")):
                self.assertNotEqual(item.module.split(".")[0], "opentelemetry", path.name)
                self.assertFalse(item.at_once and item.module == extra, path.name)
