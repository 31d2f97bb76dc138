"""Requests that are sent by the API, and what became of them.

Each is a resource: it is there as soon as it was accepted (202), ``pending`` until it is ``answered`` or has
``failed``. Who would rather wait says so (``Prefer: wait=5``, RFC 7240).
"""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import CancelledError, Deferred

from sip_p2p.endpoint.transfer.states import ReferProgress
from sip_p2p.errors import RequestFailed
from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import in_words, printable
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.idempotency import Keys
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.http.waiting import Outcome, preferred_wait
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.message import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer

__all__ = [
    "MOST_KEPT",
    "MOST_PENDING",
    "Requests",
    "SentRequest",
    "cancel",
    "request",
    "requests",
    "send_message",
    "send_request",
    "sent",
]

MOST_PENDING = 256
"""Requests of the API that wait for their outcome; more are answered 429."""

MOST_KEPT = 1024
"""Requests that are remembered, those that have ended among them; the oldest that has ended gives way."""


@final
class SentRequest:
    """One request.

    :ivar number: its place among all of this process, counted from 1.
    :ivar outcome: what may be waited for.
    """

    def __init__(self, number: int, method: str, to: str, session: int | None) -> None:
        self.number = number
        self._method = method
        self._to = without_passwords(to)
        self._session = session
        self._created = time.time()
        self._ended: float | None = None
        self._outcome: dict[str, object] = {}
        self.outcome = Outcome()
        self._running: Deferred[Any] | None = None

    @property
    def is_pending(self) -> bool:
        """Whether its outcome is still to come."""
        return not self.outcome.is_there

    def run(self, running: Deferred[Any], ended: Callable[[], object]) -> None:
        """It is under way; *ended* is called when it is not any more."""
        self._running = running

        def over(_: object) -> None:
            self._ended = time.time()
            self._running = None
            ended()
            self.outcome.come()

        running.addCallbacks(self._answered, self._failed).addBoth(over)

    def _answered(self, result: object) -> None:
        if isinstance(result, Response):
            self._outcome = {"response": descriptions.response(result)}
        elif isinstance(result, ContentDescription):
            self._outcome = {"description": descriptions.description(result)}
        elif isinstance(result, ReferProgress):
            # What the peer tells of a response that it had.
            self._outcome = {"response": {"status": result.status, "reason": printable(result.reason), "headers": []}}

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, CancelledError):
            self._outcome = {"failure": {"error": "Cancelled", "words": "It was called off.", "remedy": ""}}
            return
        self._outcome = {"failure": descriptions.failure(failure)}
        if isinstance(error, RequestFailed):
            self._outcome["response"] = descriptions.response(error.response)

    def cancel(self) -> None:
        """Wait for its answer no longer."""
        if self._running is not None:
            self._running.cancel()

    def as_json(self) -> dict[str, object]:
        """It as the API has it."""
        state = "pending" if self.is_pending else "failed" if "failure" in self._outcome else "answered"
        said: dict[str, object] = {
            "id": str(self.number),
            "method": self._method,
            "to": self._to,
            "state": state,
            "created": in_words(self._created),
        }
        if self._session is not None:
            said["session"] = str(self._session)
        if self._ended is not None:
            said["ended"] = in_words(self._ended)
        return said | self._outcome


@final
class Requests:
    """All of them, as long as they are remembered.

    :ivar keys: those that came with an Idempotency-Key.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._kept: collections.OrderedDict[str, SentRequest] = collections.OrderedDict()
        self._count = 0
        self.pending = 0
        self.keys: Keys[SentRequest] = Keys()

    @property
    def newest_first(self) -> list[SentRequest]:
        """What is remembered."""
        return list(reversed(self._kept.values()))

    def find(self, number: str) -> SentRequest:
        """The one of that number.

        :raises Problem: there is none, or none any more.
        """
        found = self._kept.get(number)
        if found is None:
            raise Problem("not-found", f"There is no request {printable(number)}, or none any more.")
        return found

    def begin(
        self, method: str, to: str, start: Callable[[], Deferred[Any]], session: int | None = None
    ) -> SentRequest:
        """Send one.

        :param start: sends it. What it raises is raised here, and nothing is remembered.
        :raises Problem: too many are under way.
        """
        if self.pending >= MOST_PENDING:
            raise Problem("too-many", f"{MOST_PENDING} requests are under way already.", headers=[("Retry-After", "1")])
        running = start()
        self._count += 1
        made = SentRequest(self._count, method, to, session)
        self._kept[str(made.number)] = made
        self.pending += 1
        made.run(running, self._ended)
        self._forget()
        return made

    def _ended(self) -> None:
        self.pending -= 1

    def _forget(self) -> None:
        while len(self._kept) > MOST_KEPT:
            oldest = next(key for key, each in self._kept.items() if not each.is_pending)
            del self._kept[oldest]

    def cancel_all(self) -> None:
        """The service ends."""
        for each in tuple(self._kept.values()):
            each.cancel()


async def sent(server: ControlServer, call: Call, made: SentRequest) -> Answer:
    """The answer to what was sent: 202 with its place, or what became of it where that was waited for."""
    location = f"/v1/requests/{made.number}"
    seconds = preferred_wait(call)
    headers = [("Location", location)]
    if seconds is not None:
        if made.is_pending and seconds:
            await made.outcome.wait(seconds, server.reactor)
        headers.append(("Preference-Applied", f"wait={seconds:g}"))
        if not made.is_pending:
            return Answer(made.as_json(), 200, headers=[("Content-Location", location), *headers[1:]])
    return Answer(made.as_json(), 202, headers=headers)


async def send_message(server: ControlServer, call: Call) -> Answer:
    """Send a MESSAGE."""
    return await _send(server, call, "MESSAGE")


async def send_request(server: ControlServer, call: Call) -> Answer:
    """Send a request of any method that is not a session's."""
    return await _send(server, call, call.body["method"])


async def _send(server: ControlServer, call: Call, method: str) -> Answer:
    given: dict[str, Any] = call.body
    server.check_running()
    body, content_type = descriptions.body_of(given)
    if content_type is None and body:
        content_type = "text/plain; charset=UTF-8"

    def start() -> Deferred[Any]:
        return server.service.endpoint.request(
            method,
            given["to"],
            body=body,
            content_type=content_type,
            headers=descriptions.fields_of(given),
            from_=given.get("from"),
            timeout=given.get("timeout"),
            max_forwards=int(given.get("max_forwards", 70)),
        )

    requests = server.requests
    made = requests.keys.once(call, lambda: requests.begin(method, given["to"], start))
    return await sent(server, call, made)


def requests(server: ControlServer, call: Call) -> Answer:
    """What is remembered of them, the newest first."""
    state = call.query.get("state")
    found = [each.as_json() for each in server.requests.newest_first]
    if state is not None:
        found = [each for each in found if each["state"] == state]
    return Answer({"requests": found[: call.query.get("limit", 100)]})


async def request(server: ControlServer, call: Call) -> Answer:
    """One of them."""
    found = server.requests.find(call.parameters["id"])
    seconds = preferred_wait(call)
    if seconds and found.is_pending:
        await found.outcome.wait(seconds, server.reactor)
    headers = [] if seconds is None else [("Preference-Applied", f"wait={seconds:g}")]
    return Answer(found.as_json(), headers=headers)


def cancel(server: ControlServer, call: Call) -> Answer:
    """Wait for its answer no longer."""
    server.requests.find(call.parameters["id"]).cancel()
    return Answer(None, 204)
