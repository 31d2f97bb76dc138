"""``sip-p2p show``: how a running service is, in tables; and ``sip-p2p control``, any request to its HTTP API."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.commands.control_client import ControlError
from sip_p2p.service.commands.control_options import ControlOptions
from sip_p2p.service.commands.drawing import console_on
from sip_p2p.service.commands.listings import SHOWN
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from rich.console import Console
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.commands.control_client import ControlClient
    from sip_p2p.service.commands.listings import Listing
    from sip_p2p.service.settings.command_line import Work

__all__ = ["ControlCommandOptions", "ShowOptions"]

_ANY_WIDTH = 10_000
_LARGEST_BODY = 1024 * 1024
_MOST_PAGES = 100


_FACTS = {"service": ("/v1", None), "metrics": ("/v1/metrics", "counters")}


class ShowOptions(ControlOptions):
    """The options of ``sip-p2p show``."""

    synopsis = f"Usage: sip-p2p show [{'|'.join((*_FACTS, *SHOWN))}] --control PLACE"
    longdesc = "Show how a running service is, as its HTTP API tells it; the service itself, where nothing is named."
    optFlags: ClassVar = [["json", None, "what the API says, as JSON"]]

    def __init__(self) -> None:
        super().__init__()
        self.what = "service"

    def parseArgs(self, *arguments: str) -> None:
        """Take what is to be shown."""
        known = (*_FACTS, *SHOWN)
        if len(arguments) > 1:
            raise usage.UsageError(f"one thing at a time; what is {printable(arguments[1])} for?")
        self.what = arguments[0] if arguments else "service"
        if self.what not in known:
            raise usage.UsageError(f"{printable(self.what)} cannot be shown. There are {', '.join(known)}")

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return lambda reactor: self.show(reactor, out, err)

    async def show(self, reactor: IReactorTime, out: TextIO, err: TextIO) -> ExitCode:
        """Ask, and show what is said.

        :raises UsageError: the service cannot be asked for a reason of the command line.
        """
        client = self.client(reactor)
        listing = SHOWN.get(self.what)
        path, member = (listing.path, listing.member) if listing is not None else _FACTS[self.what]
        try:
            said = await _all_of(client, path, None if listing is None else member, listing.query if listing else {})
        except ControlError as error:
            return _failed(error, err)
        if self["json"]:
            out.write(json.dumps(said, indent=2) + "\n")
            return ExitCode.OK
        width = shutil.get_terminal_size((100, 24)).columns if out.isatty() else _ANY_WIDTH
        console = console_on(out, width)
        found = said if member is None else said.get(member)
        if listing is None:
            _put(console, _facts(found if isinstance(found, dict) else {}), out)
            return ExitCode.OK
        rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
        if self.what == "identities":
            _put(
                console,
                _facts({name: value for name, value in said.items() if name not in ("peers", "total", "next")}),
                out,
            )
        if rows:
            _put(console, _table(listing, rows), out)
        else:
            print(listing.nothing, file=out)
        return ExitCode.OK


async def _all_of(client: ControlClient, path: str, member: str | None, query: Mapping[str, str]) -> dict[str, Any]:
    """What *path* gives; of a list that has pages all of them, in *member*.

    :raises ControlError: the service cannot be asked, or says no.
    """
    said = await _object_at(client, path, query)
    found = None if member is None else said.get(member)
    pages = 1
    while member is not None and isinstance(found, list) and isinstance(said.get("next"), str) and pages < _MOST_PAGES:
        page = await _object_at(client, path, {**query, "after": said["next"]})
        more = page.get(member)
        found += more if isinstance(more, list) else []
        said["next"] = page.get("next")
        pages += 1
    return said


async def _object_at(client: ControlClient, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
    said = await client.get(path, query)
    if not isinstance(said, dict):
        raise ControlError(f"{path}: the service answered with what is no object")
    return said


def _put(console: Console, table: Table, out: TextIO) -> None:
    """Write *table*, without the blanks at the ends of its lines."""
    with console.capture() as captured:
        console.print(table, soft_wrap=False)
    out.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _table(listing: Listing, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in listing.columns:
        is_number = all(isinstance(column.value(row), int | float) for row in rows)
        table.add_column(column.name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_words(column.value(row)), column.style(row)) for column in listing.columns))
    return table


def _facts(said: Mapping[str, Any]) -> Table:
    """Names and values side by side; what is nested deeper stands in ``--json``."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in said.items():
        if not isinstance(value, dict):
            table.add_row(Text(printable(name)), Text(_words(value)))
    return table


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_words(each) for each in value)
    if isinstance(value, dict):
        return " ".join(f"{printable(str(name))}={_words(each)}" for name, each in value.items())
    return printable(str(value), 1024)


def _failed(error: ControlError, err: TextIO) -> ExitCode:
    print(f"sip-p2p: {error}", file=err)
    return ExitCode.REFUSED if error.status else ExitCode.CONNECTION


class ControlCommandOptions(ControlOptions):
    """The options of ``sip-p2p control``."""

    synopsis = "Usage: sip-p2p control METHOD PATH [BODY] --control PLACE"
    longdesc = (
        "Make any request to the HTTP API of a running service, such as 'sip-p2p control POST /v1/reload', and print "
        "what it answers. The body is JSON; - reads it from standard input."
    )
    optParameters: ClassVar[list[list[Any]]] = [
        ["wait", None, None, "for how many seconds the service may wait for the outcome of what it begins"]
    ]

    def __init__(self) -> None:
        super().__init__()
        self.method = ""
        self.path = ""
        self.body: bytes | None = None

    def parseArgs(self, *arguments: str) -> None:
        """Take the request."""
        if not 2 <= len(arguments) <= 3:
            raise usage.UsageError("control needs a method and a path: sip-p2p control GET /v1/flows --control 8080")
        self.method, self.path = arguments[0].upper(), arguments[1]
        if not (self.method.isascii() and self.method.isalpha() and len(self.method) <= 16):
            raise usage.UsageError(f"{printable(arguments[0])} is no method of HTTP")
        if not self.path.startswith("/") or not self.path.isprintable():
            raise usage.UsageError(f"{printable(self.path)} is no path: it begins with /, such as /v1/flows")
        if len(arguments) == 3:
            body = sys.stdin.buffer.read(_LARGEST_BODY + 1) if arguments[2] == "-" else arguments[2].encode("utf-8")
            try:
                json.loads(body)
            except (ValueError, RecursionError):
                raise usage.UsageError("the body is no JSON") from None
            if len(body) > _LARGEST_BODY:
                raise usage.UsageError(f"the body has more than {_LARGEST_BODY} octets")
            self.body = body

    def postOptions(self) -> None:
        """Check the time."""
        super().postOptions()
        wait = self["wait"]
        if wait is not None and not (wait.isascii() and wait.isdigit() and len(wait) <= 4):
            raise usage.UsageError(f"--wait {printable(wait)} is not a whole number of seconds")

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return lambda reactor: self.show(reactor, out, err)

    async def show(self, reactor: IReactorTime, out: TextIO, err: TextIO) -> ExitCode:
        """Make the request, and print the answer.

        :raises UsageError: the service cannot be asked for a reason of the command line.
        """
        client = self.client(reactor)
        headers = {} if self["wait"] is None else {"Prefer": f"wait={self['wait']}"}
        try:
            answer = await client.answer(self.method, self.path, None, self.body, headers)
        except ControlError as error:
            return _failed(error, err)
        if answer.location:
            print(f"sip-p2p: see {printable(answer.location)}", file=err)
        out.write(_readable(answer.body, answer.content_type))
        if answer.status < 300:
            return ExitCode.OK
        print(f"sip-p2p: {client.place}{printable(self.path)}: {answer.problem()}", file=err)
        return ExitCode.REFUSED


def _readable(body: bytes, content_type: str) -> str:
    """*body*, JSON with line breaks in it, with nothing in it that drives a terminal."""
    if "json" in content_type:
        try:
            return json.dumps(json.loads(body), indent=2) + "\n"
        except (ValueError, RecursionError):
            return printable(body.decode("utf-8", "backslashreplace"), len(body)) + "\n"
    lines = body.decode("utf-8", "backslashreplace").splitlines()
    return "".join(f"{printable(line, len(line) + 1)}\n" for line in lines)
