"""What a route is, and how one is found: the rows of the one table that dispatch and the OpenAPI document share."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final
from urllib.parse import unquote

from sip_p2p.service.http.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from sip_p2p.service.http.schemas import Schema
    from sip_p2p.service.http.server import ControlServer

__all__ = ["JSON", "Answer", "Call", "Handler", "Parameter", "Reply", "Route", "Routes"]

JSON = "application/json"

_PLACE = re.compile(r"\{([a-z_]+)\}")
_SEGMENT = r"[^/]{1,256}"


class Parameter(NamedTuple):
    """One parameter of a route.

    :ivar name: how it is called.
    :ivar schema: what values it has.
    :ivar words: what it means.
    :ivar place: ``query`` or ``header``; those of the path stand in the path.
    """

    name: str
    schema: Schema
    words: str
    place: str = "query"


class Reply(NamedTuple):
    """One answer that a route may give, problems apart.

    :ivar words: when it is given.
    :ivar schema: what its content looks like; None where there is none.
    :ivar content_type: of what type that is.
    :ivar headers: the header fields that it has, and what they mean.
    """

    words: str
    schema: Schema | None = None
    content_type: str = JSON
    headers: Mapping[str, str] = {}


@final
class Answer:
    """What a handler gives.

    :ivar status: the HTTP status.
    :ivar content: a value for JSON, or octets; None for nothing.
    :ivar content_type: what octets are.
    :ivar headers: further header fields.
    """

    __slots__ = ("content", "content_type", "headers", "status")

    def __init__(
        self,
        content: object = None,
        status: int = 200,
        *,
        content_type: str = JSON,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.content = content
        self.status = status
        self.content_type = content_type
        self.headers = tuple(headers)


@final
class Call:
    """A request as a handler sees it, checked against its route.

    :ivar route: the route.
    :ivar parameters: what stands in the path, by name.
    :ivar query: the values of the query, by name; those that were not given are missing.
    :ivar body: the JSON value of the content; None where there is none.
    :ivar octets: that content as it came.
    :ivar request: the HTTP request, for streams and header fields.
    """

    __slots__ = ("body", "octets", "parameters", "query", "request", "route")

    def __init__(
        self,
        route: Route,
        parameters: Mapping[str, str],
        query: Mapping[str, Any],
        body: Any,
        octets: bytes,
        request: Any,
    ) -> None:
        self.route = route
        self.parameters = parameters
        self.query = query
        self.body = body
        self.octets = octets
        self.request = request

    def header(self, name: str) -> str | None:
        """The value of the header field *name*; None where it is not there."""
        value = self.request.getHeader(name)
        return None if value is None else str(value)


Handler: TypeAlias = "Callable[[ControlServer, Call], Answer | Awaitable[Answer | None] | None]"
"""What answers; None means that the handler writes to the request itself."""


@final
class Route:
    """One method of one path.

    :ivar method: ``GET``, ``POST`` or ``DELETE``; ``HEAD`` is answered as ``GET`` is.
    :ivar path: with names in braces for what varies.
    :ivar handler: what answers.
    :ivar summary: what it does, in one line.
    :ivar tag: the group that it belongs to.
    :ivar replies: the answers by status, problems apart.
    :ivar parameters: those of the query, and the header fields that mean something here.
    :ivar body: what the content must look like; None where there is to be none.
    :ivar needs_body: whether there has to be content.
    :ivar is_open: whether everybody may ask, without a token.
    :ivar problems: the kinds of problems of its own.
    :ivar words: more about it, for the document.
    :ivar also: the content types that its answer may have besides those of its replies, and what is in them.
    """

    __slots__ = (
        "also",
        "body",
        "handler",
        "is_open",
        "method",
        "needs_body",
        "parameters",
        "path",
        "problems",
        "replies",
        "summary",
        "tag",
        "words",
    )

    def __init__(
        self,
        method: str,
        path: str,
        handler: Handler,
        summary: str,
        tag: str,
        replies: Mapping[int, Reply],
        *,
        parameters: tuple[Parameter, ...] = (),
        body: Schema | None = None,
        needs_body: bool = True,
        is_open: bool = False,
        problems: tuple[str, ...] = (),
        words: str = "",
        also: Mapping[str, Schema] = MappingProxyType({}),
    ) -> None:
        self.method = method
        self.path = path
        self.handler = handler
        self.summary = summary
        self.tag = tag
        self.replies = replies
        self.parameters = parameters
        self.body = body
        self.needs_body = needs_body and body is not None
        self.is_open = is_open
        self.problems = problems
        self.words = words
        self.also = also

    @property
    def names(self) -> tuple[str, ...]:
        """The names in braces of the path."""
        return tuple(_PLACE.findall(self.path))


@final
class Routes:
    """The table."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all = tuple(routes)
        self._paths: dict[str, dict[str, Route]] = {}
        for route in self.all:
            self._paths.setdefault(route.path, {})[route.method] = route
        self._patterns = [(_pattern(path), methods) for path, methods in self._paths.items()]

    def is_open(self, path: str) -> bool:
        """Whether everybody may ask *path*, whatever the method."""
        for pattern, methods in self._patterns:
            if pattern.fullmatch(path) is not None:
                return all(route.is_open for route in methods.values())
        return False

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route of *method* for *path*, and what stands in its braces.

        :raises Problem: there is no such path, or it has no such method.
        """
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            route = methods.get("GET" if method == "HEAD" else method)
            if route is None:
                allowed = [*methods, *(["HEAD"] if "GET" in methods else [])]
                raise Problem(
                    "method-not-allowed",
                    f"{method} is none of {', '.join(sorted(allowed))}.",
                    headers=[("Allow", ", ".join(sorted(allowed)))],
                )
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
        raise Problem("not-found", f"There is no {path}.")


def _pattern(path: str) -> re.Pattern[str]:
    parts = _PLACE.split(path)
    return re.compile(
        "".join(f"(?P<{part}>{_SEGMENT})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
    )
