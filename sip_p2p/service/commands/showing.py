"""``sip-p2p show``: how a running service is, in tables; and ``sip-p2p control``, any request to its HTTP API."""

from __future__ import annotations

import json
import shutil
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rich.table import Table
from rich.text import Text
from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.commands.control_client import ControlError
from sip_p2p.service.commands.control_options import ControlOptions
from sip_p2p.service.commands.drawing import console_on
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from rich.console import Console
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.commands.control_client import ControlClient
    from sip_p2p.service.settings.command_line import Work

__all__ = ["SHOWN", "ControlCommandOptions", "ShowOptions"]

_ANY_WIDTH = 10_000
_LARGEST_BODY = 1024 * 1024
_MOST_PAGES = 100


class _Column(NamedTuple):
    """One column: what stands above it, and what is taken from a row for it."""

    name: str
    value: Callable[[Mapping[str, Any]], object]
    style: Callable[[Mapping[str, Any]], str] = lambda _: ""


def _of(key: str) -> Callable[[Mapping[str, Any]], object]:
    return lambda row: row.get(key)


def _way(row: Mapping[str, Any]) -> object:
    return "from" if row.get("direction") == "in" else "to"


def _seconds(row: Mapping[str, Any]) -> object:
    return _duration(row.get("age"))


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _expiry_style(row: Mapping[str, Any]) -> str:
    days = row.get("days_left")
    if not isinstance(days, int | float):
        return ""
    return "bold red" if days < 3 else "yellow" if days < 30 else "green"


def _proof_style(row: Mapping[str, Any]) -> str:
    return "green" if row.get("is_verified") else "yellow"


def _standing(row: Mapping[str, Any]) -> object:
    state = str(row.get("state", "")).replace("_", " ")
    return f"{state}, pending" if row.get("is_pending") else state


_GOOD = ("subscribed", "active", "stands", "registered", "delivered", "reported")
_BAD = ("failed", "expired", "terminated", "over")


def _standing_style(row: Mapping[str, Any]) -> str:
    state = row.get("state")
    if row.get("is_pending"):
        return "yellow"
    return "green" if state in _GOOD else "red" if state in _BAD else "yellow"


def _left(row: Mapping[str, Any]) -> object:
    return _duration(row.get("expires"))


def _why(row: Mapping[str, Any]) -> object:
    failure = row.get("failure")
    return row.get("reason") or (failure.get("words") if isinstance(failure, dict) else None)


class _Listing(NamedTuple):
    """One thing to show: its path, the member of the answer that holds the rows, the columns, and the query."""

    path: str
    member: str
    columns: tuple[_Column, ...]
    nothing: str
    query: Mapping[str, str] = MappingProxyType({})


SHOWN: dict[str, _Listing] = {
    "flows": _Listing(
        "/v1/flows",
        "flows",
        (
            _Column("flow", _of("id")),
            _Column("", _way),
            _Column("peer", lambda row: row.get("peer") or "nobody proved", _proof_style),
            _Column("address", _of("remote")),
            _Column("over", lambda row: " ".join(filter(None, (row.get("transport"), row.get("tls_version"))))),
            _Column("age", _seconds),
            _Column("in", _of("messages_in")),
            _Column("out", _of("messages_out")),
            _Column("held", _of("leases")),
        ),
        "there are no flows",
    ),
    "sessions": _Listing(
        "/v1/sessions",
        "sessions",
        (
            _Column("session", _of("id")),
            _Column("", _way),
            _Column("remote", _of("remote")),
            _Column("state", _of("state"), lambda row: "green" if row.get("state") == "connected" else ""),
            _Column("began", _of("began")),
            _Column("peer", _of("peer")),
            _Column("Call-ID", _of("call_id")),
        ),
        "there are no sessions",
    ),
    "ended": _Listing(
        "/v1/sessions",
        "sessions",
        (
            _Column("session", _of("id")),
            _Column("", _way),
            _Column("remote", _of("remote")),
            _Column("why", lambda row: row.get("reason", "").replace("_", " ")),
            _Column("answer", _of("status")),
            _Column("began", _of("began")),
            _Column("ended", _of("changed")),
            _Column("Call-ID", _of("call_id")),
        ),
        "no session has ended lately",
        {"state": "disconnected"},
    ),
    "identities": _Listing(
        "/v1/identities",
        "peers",
        (_Column("proved", _of("identity"), lambda _: "green"), _Column("by the flows", _of("flows"))),
        "nobody has proved to be anybody",
    ),
    "certificates": _Listing(
        "/v1/certificates",
        "certificates",
        (
            _Column("certificate", _of("use")),
            _Column("proves", lambda row: row.get("names") or row.get("subject")),
            _Column("days left", _of("days_left"), _expiry_style),
            _Column("until", _of("not_after")),
            _Column("issued by", _of("issuer")),
        ),
        "there are no certificates: everything is in clear text",
    ),
    "failures": _Listing(
        "/v1/failures",
        "failures",
        (
            _Column("when", _of("time")),
            _Column("peer", _of("peer")),
            _Column("why", _of("words"), lambda _: "red"),
            _Column("what to do", _of("remedy")),
        ),
        "no TLS connection has come to nothing",
    ),
    "subscriptions": _Listing(
        "/v1/subscriptions",
        "subscriptions",
        (
            _Column("subscription", _of("id")),
            _Column("to", _of("to")),
            _Column("event", _of("event")),
            _Column("state", _standing, _standing_style),
            _Column("for", _left),
            _Column("told", _of("count")),
            _Column("reason", _why),
        ),
        "we have subscribed to nothing",
    ),
    "subscribers": _Listing(
        "/v1/subscribers",
        "subscribers",
        (
            _Column("subscriber", _of("id")),
            _Column("from", _of("from"), _proof_style),
            _Column("event", _of("event")),
            _Column("of", _of("resource")),
            _Column("state", _of("state"), _standing_style),
            _Column("for", _left),
            _Column("peer", _of("peer")),
        ),
        "nobody has subscribed to anything of ours",
    ),
    "publications": _Listing(
        "/v1/publications",
        "publications",
        (
            _Column("publication", _of("id")),
            _Column("event", _of("event")),
            _Column("of", _of("to")),
            _Column("state", _of("state"), _standing_style),
            _Column("for", _left),
            _Column("reason", _why),
        ),
        "we have published nothing",
    ),
    "referrals": _Listing(
        "/v1/referrals",
        "referrals",
        (
            _Column("referral", _of("id")),
            _Column("", _way),
            _Column("method", _of("method")),
            _Column("target", _of("to")),
            _Column("state", _of("state")),
            _Column("status", _of("status")),
            _Column("peer", _of("peer")),
        ),
        "there are no referrals",
    ),
    "registrations": _Listing(
        "/v1/registrations",
        "registrations",
        (
            _Column("registrar", _of("registrar")),
            _Column("state", _standing, _standing_style),
            _Column("for", _left),
            _Column("flows", _of("flows")),
            _Column("GRUU", _of("public_gruu")),
            _Column("reason", _why),
        ),
        "we are registered nowhere",
    ),
    "outbox": _Listing(
        "/v1/outbox",
        "messages",
        (
            _Column("message", _of("id")),
            _Column("to", _of("to")),
            _Column("state", _of("state"), _standing_style),
            _Column("attempts", _of("attempts")),
            _Column("queued", _of("queued")),
            _Column("due", _of("due")),
            _Column("answer", _of("status")),
            _Column("reason", _of("reason")),
        ),
        "the outbox is empty",
    ),
    "requests": _Listing(
        "/v1/requests",
        "requests",
        (
            _Column("request", _of("id")),
            _Column("method", _of("method")),
            _Column("to", _of("to")),
            _Column("state", _of("state")),
            _Column("answer", lambda row: _answer(row), lambda row: "red" if row.get("state") == "failed" else ""),
        ),
        "the API has sent no requests",
    ),
}
"""What can be shown as a table, by its name."""

_FACTS = {"service": ("/v1", None), "metrics": ("/v1/metrics", "counters")}


def _answer(row: Mapping[str, Any]) -> str:
    response, failure = row.get("response"), row.get("failure")
    if isinstance(response, dict):
        return f"{response.get('status')} {response.get('reason')}"
    return str(failure.get("words", "")) if isinstance(failure, dict) else ""


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


def _table(listing: _Listing, rows: Sequence[Mapping[str, Any]]) -> Table:
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
