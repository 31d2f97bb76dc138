"""Every error of the HTTP API, as a problem of RFC 9457 (``application/problem+json``).

A problem's ``type`` is ``/v1/problems/NAME``, which the service itself explains under that path; its ``detail`` is one
sentence about this very request. What else a program may want to know stands in members of its own: ``errors`` for
content that does not fit, ``retryable`` where the same request may succeed later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sip_p2p.errors import EndpointTerminated, InvalidOperation, RestrictedHeader
from sip_p2p.observe.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KINDS", "TYPE_PREFIX", "Kind", "Problem", "problem_of"]

TYPE_PREFIX = "/v1/problems/"
"""What the ``type`` of every problem begins with."""

_DETAIL = 600


class Kind(NamedTuple):
    """One kind of problem: its status, its title, and what it means."""

    status: int
    title: str
    words: str


KINDS = {
    "bad-request": Kind(400, "The request makes no sense", "A header field or the path cannot be read."),
    "bad-query": Kind(400, "The query makes no sense", "A parameter is unknown, repeated, or has no such value."),
    "malformed-json": Kind(400, "The content is not JSON", "The content could not be read as one JSON value in UTF-8."),
    "unauthorized": Kind(
        401, "A token is needed", "Send Authorization: Bearer and a token from the file of --http-token-file."
    ),
    "cross-site": Kind(
        403,
        "Web pages of others may not ask",
        "A browser says that the request comes from a page of another origin. Nothing was done.",
    ),
    "not-found": Kind(404, "There is no such thing", "The path is not one of the API, or what it names is not there."),
    "method-not-allowed": Kind(405, "The path has no such method", "The Allow field names those that it has."),
    "not-acceptable": Kind(
        406, "Nothing that is accepted can be had here", "The Accept field excludes what this path has."
    ),
    "conflict": Kind(
        409,
        "That cannot be done now",
        "What is asked for does not fit the state of things, such as a session that was decided; retryable says "
        "whether it may fit later.",
    ),
    "too-large": Kind(413, "The content is too large", "The content has more octets than the service takes."),
    "unsupported-media-type": Kind(
        415, "The content is not application/json", "Content must be application/json, without a content coding."
    ),
    "misdirected": Kind(
        421,
        "This is not who was asked",
        "The Host field names somebody else. On this machine itself only localhost, 127.0.0.1 and ::1 are answered, so "
        "that no name of somebody else's can be made to lead here.",
    ),
    "invalid-content": Kind(
        422, "The content does not fit", "errors names each place of the content and what is wrong with it."
    ),
    "key-reused": Kind(
        422, "The key stands for another request", "The Idempotency-Key was sent before with another request."
    ),
    "too-many": Kind(
        429,
        "Too much is under way",
        "A bound of the API is reached: followers, requests or jobs under way. Retry-After says when to ask again.",
    ),
    "internal-error": Kind(500, "The service failed", "It is a mistake of ours; the log has it."),
    "unavailable": Kind(
        503, "The service does not do that now", "It is starting, draining or stopping, or the part is not there."
    ),
}
"""Every kind of problem by its name."""


class Problem(Exception):
    """What a request is answered with in the place of what it asked for.

    :ivar kind: one of :data:`KINDS`.
    :ivar detail: one sentence about this very request.
    :ivar headers: header fields that belong to it, such as ``Allow``.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        errors: Sequence[Mapping[str, str]] = (),
        retryable: bool | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = printable(detail, _DETAIL)
        self.headers = tuple(headers)
        self._errors = errors
        self._retryable = retryable

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind].status

    def as_json(self) -> dict[str, object]:
        """The problem as RFC 9457 section 3 writes it."""
        members: dict[str, object] = {
            "type": f"{TYPE_PREFIX}{self.kind}",
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
        }
        if self._errors:
            members["errors"] = list(self._errors)
        if self._retryable is not None:
            members["retryable"] = self._retryable
        return members


def problem_of(error: Exception) -> Problem | None:
    """The problem that an exception of the library means for who asked; None for one that is our own mistake."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, EndpointTerminated):
        return Problem("unavailable", f"{error}.")
    if isinstance(error, RestrictedHeader):
        return _unfit(error)
    if isinstance(error, InvalidOperation):
        return Problem("conflict", f"{error}.", retryable=bool(getattr(error, "retryable", False)))
    if isinstance(error, ValueError):
        return _unfit(error)
    return None


def _unfit(error: Exception) -> Problem:
    return Problem("invalid-content", f"{error}.", errors=[{"pointer": "", "detail": printable(str(error), 256)}])
