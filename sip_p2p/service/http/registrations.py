"""Where the service is registered (``--register``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
from sip_p2p.observe.text import printable
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.lives.entries import described_registration

if TYPE_CHECKING:
    from sip_p2p.endpoint.registration.registration import Registration
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer

__all__ = ["refresh_registration", "registration", "registrations"]


def _registration(server: ControlServer) -> Registration | None:
    endpoint: object = server.service.endpoint
    return endpoint.registration if isinstance(endpoint, SipEndpoint) else None


def registrations(server: ControlServer, call: Call) -> Answer:
    """One, or none."""
    found = _registration(server)
    return Answer({"registrations": [] if found is None else [described_registration(found)]})


def _found(server: ControlServer, call: Call) -> Registration:
    found, key = _registration(server), call.parameters["id"]
    if found is None or key != "1":
        raise Problem("not-found", f"There is no registration {printable(key)}.")
    return found


def registration(server: ControlServer, call: Call) -> Answer:
    """It."""
    return Answer(described_registration(_found(server, call)))


def refresh_registration(server: ControlServer, call: Call) -> Answer:
    """Tell the registrar now where we are."""
    server.check_running()
    found = _found(server, call)
    found.refresh()
    return Answer(described_registration(found))
