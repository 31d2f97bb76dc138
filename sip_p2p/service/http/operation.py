"""Health, reload and drain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer

if TYPE_CHECKING:
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer

__all__ = ["drain", "live", "ready", "reload"]


def live(server: ControlServer, call: Call) -> Answer:
    """The process answers: that is all it says."""
    return Answer({"status": "live"})


def ready(server: ControlServer, call: Call) -> Answer:
    """Whether new work is taken."""
    reason = server.why_not_ready
    if reason:
        raise Problem("unavailable", reason, headers=[("Retry-After", "5")])
    return Answer({"status": "ready"})


def reload(server: ControlServer, call: Call) -> Answer:
    """Read every file anew, as SIGHUP does."""
    server.check_running()
    return Answer({"changes": list(server.service.reload() or ())})


def drain(server: ControlServer, call: Call) -> Answer:
    """Take no new work; what is under way goes on."""
    server.check_running()
    given = call.body or {}
    manager = server.service.manager
    deadline = given.get("deadline", manager.limits.drain_timeout)
    manager.drain(float(deadline), redirect_to=given.get("redirect_to", ()))
    server.is_draining = True
    return Answer({"sessions": len(manager.sessions), "deadline": deadline}, 202, headers=[("Location", "/v1")])
