"""A real browser: JsSIP on a web page in a headless Chromium, over ``ws:`` and ``wss:``.

The page is a file. What it does it writes on the browser's console, one JSON object a line, which Chromium copies to
its standard error; what it is to do stands in its configuration.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.peers.node_sip import node_modules
from tests.interop.peers.peer import Peer

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["HEADLESS", "Browser"]

HEADLESS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
)
"""How Chromium is started without a window, without a sandbox of its own, and without a word to anybody."""

_REQUIRED = re.compile(r"""\brequire\(\s*['"]([^'"]+)['"]\s*\)""")
_PAGE = Path(__file__).with_name("browser.html")


def bundle(folder: Path, main: str) -> str:
    """A script that defines *main*, a package of npm, and all that it requires."""
    modules: dict[str, str] = {}
    entry = _resolve(folder, folder, main)
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if str(path) in modules:
            continue
        source = path.read_text("utf-8")
        if path.suffix == ".json":
            modules[str(path)] = f"function (require, module) {{ module.exports = {source} }}"
            continue
        names = {name: _resolve(folder, path.parent, name) for name in _REQUIRED.findall(source)}
        links = json.dumps({name: str(found) for name, found in names.items()})
        modules[str(path)] = (
            f"function (loadModule, module) {{ const exports = module.exports;"
            f" const links = {links}; const require = (name) => loadModule(links[name]);\n{source}\n}}"
        )
        waiting.extend(names.values())
    table = ",\n".join(f"{json.dumps(name)}: {text}" for name, text in modules.items())
    return (
        "const process = {env: {}}, global = window, made = {};\n"
        f"const modules = {{{table}}};\n"
        "const loadModule = (name) => { if (!(name in made)) { made[name] = {exports: {}};"
        " modules[name].call(made[name].exports, loadModule, made[name]); } return made[name].exports; };\n"
        f"const JsSIP = loadModule({json.dumps(str(entry))});\n"
    )


def _resolve(folder: Path, here: Path, name: str) -> Path:
    """The file that ``require(name)`` means in *here*, as far as these packages need it."""
    start = here / name if name.startswith(".") else folder / name
    if start.is_dir() and (start / "package.json").exists():
        package = json.loads((start / "package.json").read_text("utf-8"))
        browser = package.get("browser")
        start = start / (browser if isinstance(browser, str) else package.get("main", "index.js"))
    for candidate in (start, start.with_name(start.name + ".js"), start / "index.js"):
        if candidate.is_file():
            return candidate.resolve()
    raise FileNotFoundError(f"{name} is required in {here}, and is not there")


class Browser(Peer):
    """One page with one JsSIP user agent, which answers every MESSAGE with 200, accepts every call, and sends the
    MESSAGE that it is told to. A MESSAGE of ``/call``, ``/hold``, ``/unhold`` or ``/hang up`` makes it do that."""

    packages = "chromium nodejs npm; npm install --ignore-scripts jssip"
    programs = ("chromium",)

    def __init__(self, reactor: Any, directory: str, interface: str = "127.0.0.1") -> None:
        super().__init__(reactor, directory, interface)
        self._seen = 0

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed, or None."""
        folder = os.path.join(node_modules(), "jssip")
        return super().missing() or (None if os.path.isdir(folder) else f"the npm package jssip in {folder}")

    async def start(self, url: str, target: str, text: str, leaf: Leaf | None = None) -> None:
        """Open the page, which connects to *url* and sends *text* to *target* when it is connected.

        :param leaf: the certificate that the browser is to take though no authority of its own has signed it.
        """
        configuration = {"url": url, "target": target, "text": text}
        page = _PAGE.read_text("utf-8").replace("CONFIGURATION", json.dumps(configuration))
        self.write_files({"jssip.js": bundle(Path(node_modules()), "jssip"), "page.html": page})
        options = [
            *HEADLESS,
            "--enable-logging=stderr",
            f"--user-data-dir={self.directory}/profile",
        ]
        if leaf is not None:
            options.append(f"--ignore-certificate-errors-spki-list={_key_hash(leaf)}")
        self.launch("chromium", *options, f"file://{self.directory}/page.html", environment={"HOME": self.directory})

    async def event(self, name: str, seconds: float = 30.0) -> dict[str, Any]:
        """The next thing of this name that the page tells.

        :raises PeerFailed: when it does not in time.
        """
        found = await self.program.find(rf'"page: (\{{"event":"{name}".*?\}})", source:', seconds, self._seen)
        self._seen = found.end()
        told: dict[str, Any] = json.loads(found[1])
        return told


def _key_hash(leaf: Leaf) -> str:
    """The SHA-256 of a certificate's public key, as Chromium wants it."""
    certificate = x509.load_pem_x509_certificate(Path(leaf.certificate).read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
