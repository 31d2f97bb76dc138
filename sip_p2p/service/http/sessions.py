"""Sessions: those that the API begins, and those that peers want to establish and the application leaves to it
(``--application control``)."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.session.answering import Answering
from sip_p2p.endpoint.session.calling import Calling
from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import in_words, printable
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.idempotency import Keys
from sip_p2p.service.http.messages import sent
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.http.waiting import Outcome, preferred_wait
from sip_p2p.service.json_lines import proved
from sip_p2p.service.silence import Silence
from sip_p2p.sip.message import Response

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.session.calling import CallArguments
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer

__all__ = [
    "MOST_ENDED",
    "MOST_SESSIONS",
    "SessionBook",
    "accept_session",
    "create_session",
    "end_session",
    "redirect_session",
    "reject_session",
    "renegotiate_session",
    "ring_session",
    "send_in_session",
    "send_message_in_session",
    "session",
    "sessions",
]

MOST_ENDED = 256
"""Sessions that are remembered after their end; the oldest gives way."""

MOST_SESSIONS = 1000
"""How many one answer lists."""


_LONG = ("local_description", "remote_description")


@final
class _Entry:
    """One session, and what is known of it beside what it says itself."""

    __slots__ = ("_said", "began", "changed", "failure", "key", "outcome", "reason", "session", "status", "to")

    def __init__(self, session: SignalingSession) -> None:
        self.session: SignalingSession | None = session
        self.key = str(session.number)
        self.began = self.changed = time.time()
        self.outcome = Outcome()
        self.reason = ""
        self.status: int | None = None
        self.failure: dict[str, object] | None = None
        self.to = str(session.set_up.plan.uri) if isinstance(session.set_up, Calling) else ""
        self._said: dict[str, object] = {}

    def ended(self) -> None:
        """Keep what there is to know of it, and not the session itself."""
        self._said = self._facts()
        self.session = None
        self.outcome.come()

    def fail(self, failure: Failure) -> None:
        """It came to nothing."""
        self.failure = descriptions.failure(failure)

    def as_json(self) -> dict[str, object]:
        """It as the API has it."""
        said = self._said if self.session is None else self._facts()
        said = said | {"began": in_words(self.began), "changed": in_words(self.changed)}
        extra = {"reason": self.reason, "status": self.status, "failure": self.failure}
        return said | {name: value for name, value in extra.items() if value}

    def _facts(self) -> dict[str, object]:
        session = self.session
        assert session is not None
        said: dict[str, object] = {
            "id": self.key,
            "call_id": session.call_id,
            "direction": "in" if session.is_incoming else "out",
            "state": session.state.name.lower(),
            "local": str(session.endpoint.aor),
        }
        remote = self._remote(session)
        if remote:
            said["remote"] = remote
        peer = session.peer
        if peer is not None:
            said |= proved(peer)
            said["flow"] = str(peer.flow.number)
        for name, found in (
            ("offer", session.offer),
            ("local_description", session.local_description),
            ("remote_description", session.remote_description),
        ):
            described = descriptions.description(found)
            if described is not None:
                said[name] = described
        return said

    def _remote(self, session: SignalingSession) -> str:
        if isinstance(session.set_up, Answering):
            return _said_to_be(session.set_up.invitation.request.headers.get("From") or "")
        participant = session.participant
        return _said_to_be(self.to if participant is None else str(participant.uri))


def _said_to_be(name: str) -> str:
    return printable(without_passwords(name), 1024)


@final
class SessionBook:
    """Every session of one connection manager, by its number, and for a while those that have ended.

    :ivar keys: those that were begun with an Idempotency-Key.
    """

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._live: dict[str, _Entry] = {}
        self._ended: collections.OrderedDict[str, _Entry] = collections.OrderedDict()
        self.keys: Keys[_Entry] = Keys()

    def listen(self) -> None:
        """From now on they are noted."""
        self._manager.sessions.begun.subscribe(self._begun)
        self._manager.sessions.state_changed.subscribe(self._changed)

    def close(self) -> None:
        """From now on they are not."""
        self._manager.sessions.begun.unsubscribe(self._begun)
        self._manager.sessions.state_changed.unsubscribe(self._changed)

    def _begun(self, session: SignalingSession) -> None:
        self._live[str(session.number)] = _Entry(session)

    def _changed(self, changed: tuple[SignalingSession, SignalingStateChanged]) -> None:
        session, change = changed
        entry = self._live.get(str(session.number))
        if entry is None:
            return
        entry.changed = time.time()
        entry.reason = "" if change.reason is SignalingTransitionReason.NONE else change.reason.name.lower()
        entry.status = change.message.status if isinstance(change.message, Response) else None
        if change.state is SignalingState.CONNECTED:
            entry.outcome.come()
        if change.state is SignalingState.DISCONNECTED:
            del self._live[entry.key]
            entry.ended()
            self._ended[entry.key] = entry
            if len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)

    def entry_of(self, session: SignalingSession) -> _Entry:
        """What is noted of *session*."""
        key = str(session.number)
        return self._live.get(key) or self._ended[key]

    def find(self, key: str) -> _Entry:
        """The one of that number.

        :raises Problem: there is none, or none any more.
        """
        found = self._live.get(key) or self._ended.get(key)
        if found is None:
            raise Problem("not-found", f"There is no session {printable(key)}, or none any more.")
        return found

    def living(self, key: str) -> SignalingSession:
        """The session of that number.

        :raises Problem: there is none, or it is over.
        """
        found = self.find(key).session
        if found is None:
            raise Problem("conflict", f"The session {key} is over.", retryable=False)
        return found

    def listed(self, state: str | None, limit: int, before: int | None = None) -> dict[str, object]:
        """A page of them, the newest first; those that are over only where they are asked for.

        :param before: begin after the session of this number.
        """
        entries = self._ended if state == "disconnected" else self._live
        wanted = [
            (int(entry.key), entry)
            for entry in entries.values()
            if entry.session is None or state in (None, entry.session.state.name.lower())
        ]
        rest = sorted((each for each in wanted if before is None or each[0] < before), key=_number, reverse=True)
        page = [entry.as_json() for _, entry in rest[:limit]]
        return {
            # A thousand of them, with all that was ever agreed, would be too much for one answer.
            "sessions": [{name: shown[name] for name in shown if name not in _LONG} for shown in page],
            "total": len(wanted),
            "next": page[-1]["id"] if len(rest) > limit else None,
        }


def _number(numbered: tuple[int, _Entry]) -> int:
    return numbered[0]


def sessions(server: ControlServer, call: Call) -> Answer:
    """Those that live, the newest first."""
    limit = call.query.get("limit", MOST_SESSIONS)
    return Answer(server.sessions.listed(call.query.get("state"), limit, call.query.get("after")))


def session(server: ControlServer, call: Call) -> Answer:
    """One of them."""
    return Answer(server.sessions.find(call.parameters["id"]).as_json())


async def create_session(server: ControlServer, call: Call) -> Answer:
    """Begin one, and perhaps wait until it stands or is over."""
    server.check_running()
    given: dict[str, Any] = call.body
    # Over the API nobody could answer an offer that comes with the 200.
    offer: Any = descriptions.described_offer(given) or Silence()

    def begin() -> _Entry:
        arguments: CallArguments = {"headers": descriptions.fields_of(given)}
        if "from" in given:
            arguments["from_"] = given["from"]
        if "max_ring" in given:
            arguments["max_ring"] = float(given["max_ring"])
        made = server.service.endpoint.create_session(given["to"], **arguments)
        entry = server.sessions.entry_of(made)
        made.establish(offer).addErrback(entry.fail)
        return entry

    entry = server.sessions.keys.once(call, begin)
    applied = await _stands(server, call, entry)
    return Answer(entry.as_json(), 201, headers=[("Location", f"/v1/sessions/{entry.key}"), *applied])


async def _stands(server: ControlServer, call: Call, entry: _Entry) -> list[tuple[str, str]]:
    """Wait as long as the request prefers until a session stands or is over; the header field that says so."""
    seconds = preferred_wait(call)
    if seconds is None:
        return []
    await entry.outcome.wait(seconds, server.reactor)
    return [("Preference-Applied", f"wait={seconds:g}")]


def _found(server: ControlServer, call: Call) -> SignalingSession:
    server.check_running()
    return server.sessions.living(call.parameters["id"])


def _shown(server: ControlServer, found: SignalingSession) -> Answer:
    return Answer(server.sessions.entry_of(found).as_json())


def ring_session(server: ControlServer, call: Call) -> Answer:
    """Tell the caller that it rings."""
    found, given = _found(server, call), call.body or {}
    found.ring(
        int(given.get("status", 180)),
        given.get("reason"),
        answer=descriptions.described_offer(given),
        headers=descriptions.fields_of(given),
    )
    return _shown(server, found)


async def accept_session(server: ControlServer, call: Call) -> Answer:
    """Accept it, and perhaps wait until it stands or is over."""
    found, given = _found(server, call), call.body or {}
    entry = server.sessions.entry_of(found)
    accepted = found.accept(descriptions.described_offer(given), headers=descriptions.fields_of(given))
    accepted.addErrback(entry.fail)
    applied = await _stands(server, call, entry)
    return Answer(entry.as_json(), headers=applied)


def reject_session(server: ControlServer, call: Call) -> Answer:
    """Refuse it."""
    found, given = _found(server, call), call.body or {}
    found.reject(int(given.get("status", 486)), given.get("reason"), headers=descriptions.fields_of(given))
    return _shown(server, found)


def redirect_session(server: ControlServer, call: Call) -> Answer:
    """Send the caller elsewhere."""
    found, given = _found(server, call), call.body
    found.redirect(given["contacts"], int(given.get("status", 302)), headers=descriptions.fields_of(given))
    return _shown(server, found)


def end_session(server: ControlServer, call: Call) -> Answer:
    """End it, as its state demands: CANCEL, a refusal or BYE."""
    entry = server.sessions.find(call.parameters["id"])
    if entry.session is not None:
        entry.session.terminate()
    return Answer(None, 204)


async def renegotiate_session(server: ControlServer, call: Call) -> Answer:
    """Change what was agreed."""
    given = call.body or {}
    method = given.get("method")
    return await _within(
        server,
        call,
        method or "INVITE",
        lambda found: found.renegotiate(
            descriptions.described_offer(given), headers=descriptions.fields_of(given), method=method
        ),
    )


async def send_message_in_session(server: ControlServer, call: Call) -> Answer:
    """Send a MESSAGE in it."""
    return await _send(server, call, "MESSAGE")


async def send_in_session(server: ControlServer, call: Call) -> Answer:
    """Send a request of another method in it."""
    return await _send(server, call, call.body["method"])


async def _send(server: ControlServer, call: Call, method: str) -> Answer:
    given = call.body or {}
    body, content_type = descriptions.body_of(given)
    if content_type is None and body:
        content_type = "text/plain; charset=UTF-8"
    return await _within(
        server,
        call,
        method,
        lambda found: found.request(
            method,
            body=body,
            content_type=content_type,
            headers=descriptions.fields_of(given),
            timeout=given.get("timeout"),
        ),
    )


async def _within(server: ControlServer, call: Call, method: str, start: Any) -> Answer:
    """Send something in a session; it is a request as any other."""
    found = _found(server, call)
    entry = server.sessions.entry_of(found)
    requests = server.requests

    def begin() -> Deferred[Any]:
        running: Deferred[Any] = start(found)
        return running

    to = str(entry.as_json().get("remote", ""))
    made = requests.keys.once(call, lambda: requests.begin(method, to, begin, found.number))
    return await sent(server, call, made)
