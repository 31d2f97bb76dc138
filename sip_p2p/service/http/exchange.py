"""One request and its answer: checked by the table, handed to its handler, written (RFC 9110).

The order in which a request is judged is that of what a wrong answer would cost: whether it is meant for us and comes
from no page of others, whether it has a token, whether there is such a path and method, and only then its content.
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.logger import Logger
from twisted.web.http import datetimeToString

from sip_p2p.observe.text import printable
from sip_p2p.service.http.problems import Problem, problem_of
from sip_p2p.service.http.routes import JSON, Answer, Call
from sip_p2p.service.http.schemas import from_text, mismatches
from sip_p2p.service.http.shapes import SHAPES

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sip_p2p.service.http.channel import ControlRequest
    from sip_p2p.service.http.routes import Route
    from sip_p2p.service.http.server import ControlServer

__all__ = ["HEADERS", "accepts", "begin", "handle", "write_problem"]

HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
"""What every answer says to browsers: keep nothing, run nothing, show it to no other page."""

PROBLEM = "application/problem+json"

_MOST_PARAMETERS = 64
_MOST_ERRORS = 16

_log = Logger()


def handle(server: ControlServer, request: ControlRequest) -> None:
    """Answer *request*, now or later."""
    gone: list[object] = []
    request.notifyFinish().addBoth(gone.append)

    def answered(answer: Answer | None) -> None:
        if answer is not None and not gone:
            _write(request, answer)

    def failed(failure: Failure) -> None:
        if gone:
            return
        error = failure.value
        problem = problem_of(error) if isinstance(error, Exception) else None
        if problem is None:
            _log.failure(
                "the HTTP API failed on {method} {path}",
                failure,
                method=printable(_text(request.method), 32),
                path=printable(_path(request)),
            )
            problem = Problem("internal-error", "The service failed on this request; its log says how.")
        write_problem(request, problem)

    def run() -> Any:
        result = _judge(server, request)
        return ensureDeferred(result) if iscoroutine(result) else result

    maybeDeferred(run).addCallbacks(answered).addErrback(failed)


def _judge(server: ControlServer, request: ControlRequest) -> Any:
    """Everything that is to be so before a handler is asked, and what it says then."""
    _check_text(request)
    method, (authority, path) = _text(request.method), _target(request)
    access = request.channel.factory.access

    def header(name: str) -> str | None:
        # Where the request line names a host, that one counts.
        return authority if authority and name == "host" else _header(request, name)

    access.check_place(method, path, header)
    is_open = server.routes.is_open(path)
    if not is_open:
        access.check_token(header("authorization"))
    route, parameters = server.routes.find(method, path)
    _check_accept(route, header("accept"))
    query = _query(route, request)
    body, octets = _content(route, request)
    return route.handler(server, Call(route, parameters, query, body, octets, request))


def _check_text(request: ControlRequest) -> None:
    for name, values in request.requestHeaders.getAllRawHeaders():
        try:
            for value in values:
                value.decode("utf-8")
        except UnicodeDecodeError:
            raise Problem("bad-request", f"The {_text(name)} field is not UTF-8.") from None


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace")


def _header(request: ControlRequest, name: str) -> str | None:
    """The value of a header field; one that may stand once only and stands twice is refused."""
    values = request.requestHeaders.getRawHeaders(name)
    if not values:
        return None
    if len(values) > 1:
        if name in ("host", "authorization", "origin", "content-type", "idempotency-key", "last-event-id"):
            raise Problem("bad-request", f"There is more than one {name} field.")
        return ", ".join(values)
    return values[0]


def _path(request: ControlRequest) -> str:
    """The path that is asked for, as it was written."""
    return _target(request)[1]


def _target(request: ControlRequest) -> tuple[str, str]:
    """Host and path where both stand in the request line (RFC 9112 section 3.2.2); an empty host and the path else.

    :raises Problem: that cannot be read.
    """
    text = request.uri.partition(b"?")[0].decode("latin-1")
    if text.startswith("/"):
        return "", text
    try:
        parts = urlsplit(text)
    except ValueError:
        raise Problem("bad-request", "The request line names no path.") from None
    return parts.netloc, parts.path or "/"


def _check_accept(route: Route, accept: str | None) -> None:
    offered = {*route.also} | {reply.content_type for reply in route.replies.values() if reply.schema is not None}
    if accept is not None and offered and "*/*" not in offered and not any(accepts(accept, each) for each in offered):
        raise Problem("not-acceptable", f"Here is {' and '.join(sorted(offered))}.")


def accepts(accept: str, content_type: str) -> bool:
    """Whether an Accept field takes *content_type* (RFC 9110 section 12.5.1)."""
    content_type = content_type.partition(";")[0]
    main = content_type.partition("/")[0]
    best = (-1, 1.0)
    for part in accept.split(","):
        media, *parameters = (each.strip().lower() for each in part.split(";"))
        rank = {"*/*": 0, f"{main}/*": 1, content_type: 2}.get(media)
        if rank is None:
            continue
        quality = 1.0
        for each in parameters:
            if each.startswith("q="):
                try:
                    quality = float(each[2:])
                except ValueError:
                    quality = 0.0
        best = max(best, (rank, quality))
    return best[0] >= 0 and best[1] > 0


def _query(route: Route, request: ControlRequest) -> dict[str, Any]:
    known = {each.name: each.schema for each in route.parameters if each.place == "query"}
    text = request.uri.partition(b"?")[2]
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        raise Problem("bad-query", "The query cannot be read.") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        schema = known.get(name)
        if schema is None:
            names = ", ".join(known) or "none"
            raise Problem("bad-query", f"There is no parameter {name[:64]!r}: there is {names}.")
        if schema.get("type") == "array":
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Problem("bad-query", f"The parameter {name!r} is given twice.")
        else:
            try:
                found[name] = from_text(schema, value)
            except ValueError as error:
                raise Problem("bad-query", f"The parameter {name!r} has no such value: {error}.") from None
    for name, value in found.items():
        for wrong in mismatches(known[name], value, SHAPES):
            raise Problem("bad-query", f"The parameter {name!r} has no such value: {wrong['detail']}.")
    return found


def _content(route: Route, request: ControlRequest) -> tuple[Any, bytes]:
    """The JSON value of the content and its octets, as the route wants it."""
    octets = request.content.getvalue()
    if not octets:
        if route.needs_body:
            raise Problem("malformed-json", "There is no content, and a JSON object is needed.")
        return None, b""
    if route.body is None:
        raise Problem("bad-request", f"{route.method} {route.path} takes no content.")
    media = (_header(request, "content-type") or "").partition(";")[0].strip().lower()
    if media != JSON or _header(request, "content-encoding") not in (None, "identity"):
        raise Problem(
            "unsupported-media-type",
            f"The content is {media or 'of no type'}; send {JSON}.",
            headers=[("Accept", JSON)],
        )
    try:
        value = json.loads(octets.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Problem("malformed-json", "The content is not one JSON value in UTF-8.") from None
    wrong = [each for each, _ in zip(mismatches(route.body, value, SHAPES), range(_MOST_ERRORS), strict=False)]
    if wrong:
        first = wrong[0]
        raise Problem("invalid-content", f"{first['pointer'] or 'The content'}: {first['detail']}.", errors=wrong)
    return value, octets


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def begin(request: Any, status: int, content_type: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
    """The head of an answer whose content follows in pieces."""
    # twisted.web knows no phrase for the newer ones.
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    for name, value in HEADERS:
        request.setHeader(name, value)
    request.setHeader("Date", datetimeToString(time.time()))
    if content_type:
        request.setHeader("Content-Type", content_type)
    for name, value in headers:
        request.setHeader(name, value)


def _write(request: Any, answer: Answer) -> None:
    content = answer.content
    if content is None:
        octets, content_type = b"", ""
    elif isinstance(content, bytes):
        octets, content_type = content, answer.content_type
    else:
        octets, content_type = json.dumps(content).encode("ascii") + b"\n", answer.content_type
    begin(request, answer.status, content_type, answer.headers)
    if answer.status not in (204, 304):
        request.setHeader("Content-Length", str(len(octets)))
    if octets:
        request.write(octets)
    request.finish()


def write_problem(request: ControlRequest, problem: Problem) -> None:
    """Answer with *problem*."""
    _write(request, Answer(problem.as_json(), problem.status, content_type=PROBLEM, headers=problem.headers))
