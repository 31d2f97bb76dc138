"""What the built-in applications write: one JSON object a line, what was proved before what was said."""

from __future__ import annotations

import base64
import json
import sys
import time
from typing import TYPE_CHECKING, final

from twisted.logger import Logger

from sip_p2p.errors import MalformedMessage
from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import host_and_port, in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.listener import Listener
    from sip_p2p.endpoint.peer import Peer
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.service.happenings import Happening
    from sip_p2p.sip.message import Request

__all__ = ["JsonLines", "described", "described_session", "fields_of", "place", "proved"]

_log = Logger()

_NAMED = (("from", "From"), ("to", "To"), ("call_id", "Call-ID"), ("content_type", "Content-Type"))


@final
class JsonLines:
    """Writes one JSON object a line, in ASCII: nothing that a peer sends can end a line or drive a terminal.

    :param write: where a line goes; by default the process's standard output, as it was before any logging took it
        over.
    :param clock: seconds since 1970.
    """

    def __init__(self, write: Callable[[str], object] | None = None, clock: Callable[[], float] = time.time) -> None:
        self._write = _to_standard_output if write is None else write
        self._clock = clock
        self._broken = False

    def emit(self, event: str, **fields: object) -> None:
        """Write one event with its time; a reader that has gone away is told of once, in the log."""
        self._line(self._clock(), event, fields)

    def tell(self, happening: Happening) -> None:
        """Write what has happened, likewise."""
        self._line(happening.at, happening.event, happening.fields)

    def _line(self, moment: float, event: str, fields: Mapping[str, object]) -> None:
        line = json.dumps({"time": in_words(moment), "event": event, **fields})
        if self._broken:
            return
        try:
            self._write(f"{line}\n")
        except (OSError, ValueError) as error:
            self._broken = True
            _log.error("events are not written any more: {error}", error=str(error))


def _to_standard_output(line: str) -> None:
    stream = sys.__stdout__
    if stream is None:
        raise OSError("there is no standard output")
    stream.write(line)
    stream.flush()


def fields_of(request: Request) -> dict[str, object]:
    """What a request says of itself, as far as it says it: from whom, to whom, and what it carries; without the
    passwords of URIs."""
    return {key: without_passwords(request.headers[name]) for key, name in _NAMED if name in request.headers}


def described(event: IncomingRequest) -> dict[str, object]:
    """An incoming request as JSON: what was proved first, then what was said."""
    fields: dict[str, object] = {"method": event.method, **proved(event.peer), **fields_of(event.request)}
    try:
        fields["text"] = event.text
    except (MalformedMessage, ValueError):
        fields["body_base64"] = base64.b64encode(event.body).decode("ascii")
    return fields


def described_session(session: SignalingSession) -> dict[str, object]:
    """A session that a peer wants to establish, as JSON, in the same order; what it offers is ``offer``, or
    ``offer_base64`` where that is no text."""
    fields: dict[str, object] = {} if session.peer is None else proved(session.peer)
    if session.invite is not None:
        fields |= fields_of(session.invite)
    if session.offer is not None:
        try:
            fields["offer"] = session.offer.body.decode("utf-8")
        except UnicodeDecodeError:
            fields["offer_base64"] = base64.b64encode(session.offer.body).decode("ascii")
    return fields


def place(listener: Listener) -> dict[str, object]:
    """Where a listener can be reached: a port of 0 in its description is a real one here."""
    return {
        "transport": listener.transport,
        "address": host_and_port(*listener.address),
        "description": listener.description,
    }


def proved(peer: Peer) -> dict[str, object]:
    """Who is at the other end of a connection, as JSON."""
    return {
        "peer": peer.identity,
        "identities": list(peer.identities),
        "transport": peer.transport,
        "tls_version": peer.tls_version,
        "address": host_and_port(*peer.address),
    }
