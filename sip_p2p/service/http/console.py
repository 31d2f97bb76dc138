"""The files of the web console, as they are in the package: read once, with an ETag, and a policy that lets the page
run nothing but itself.

They hold no secrets, so they need no token; what the page shows it asks the API for.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, final

from sip_p2p.observe.text import printable
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer

if TYPE_CHECKING:
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer

__all__ = ["POLICY", "Console", "console", "console_file", "to_console"]

POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""The Content-Security-Policy of the console."""

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
}


@final
class Console:
    """The files by name; what is no file of the package is not there, whatever the path says."""

    def __init__(self, package: str = "sip_p2p.service") -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        folder = files(package) / "console" / "static"
        if not folder.is_dir():
            return
        for entry in folder.iterdir():
            content_type = _TYPES.get(entry.name.rpartition(".")[2])
            if content_type is not None:
                octets = entry.read_bytes()
                etag = f'"{hashlib.sha256(octets).hexdigest()[:32]}"'
                self._files[entry.name] = octets, content_type, etag

    def answer(self, name: str, known: str | None) -> Answer:
        """The file *name*.

        :param known: the value of If-None-Match.
        :raises Problem: there is no such file.
        """
        found = self._files.get(name)
        if found is None:
            raise Problem("not-found", f"The console has no file {printable(name)}.")
        octets, content_type, etag = found
        headers = [("Content-Security-Policy", POLICY), ("Cache-Control", "no-cache"), ("ETag", etag)]
        if known is not None and (
            known.strip() == "*" or etag in (each.strip().removeprefix("W/") for each in known.split(","))
        ):
            return Answer(None, 304, headers=headers)
        return Answer(octets, content_type=content_type, headers=headers)


def to_console(server: ControlServer, call: Call) -> Answer:
    """The console is one level below."""
    return Answer(None, 308, headers=[("Location", "/console/")])


def console(server: ControlServer, call: Call) -> Answer:
    """Its page."""
    return server.console.answer("index.html", call.header("if-none-match"))


def console_file(server: ControlServer, call: Call) -> Answer:
    """One of its files."""
    return server.console.answer(call.parameters["name"], call.header("if-none-match"))
