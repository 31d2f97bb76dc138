"""The service itself, its flows, identities, certificates, and the handshakes that failed."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Any, cast, final

import sip_p2p
from sip_p2p.endpoint.peer import Peer
from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.observe.text import host_and_port, in_words, printable
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.problems import KINDS, TYPE_PREFIX, Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.json_lines import place
from sip_p2p.service.words import explain

if TYPE_CHECKING:
    from sip_p2p.errors import TlsFailure
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer
    from sip_p2p.transport.flow import LiveFlow

__all__ = [
    "MOST_FAILURES",
    "MOST_LISTED",
    "Failures",
    "certificates",
    "close_flow",
    "failures",
    "flow",
    "flows",
    "identities",
    "problem_kind",
    "problem_kinds",
    "service",
]

MOST_FAILURES = 256
"""How many failed handshakes are remembered; the oldest gives way."""

MOST_LISTED = 1000
"""How many flows or sessions one answer lists at most."""


def service(server: ControlServer, call: Call) -> Answer:
    """What this is, and how it is."""
    running = server.service
    endpoint, manager = running.endpoint, running.manager
    return Answer(
        {
            "version": sip_p2p.__version__,
            "instance": server.instance,
            "uri": str(endpoint.aor),
            "contact": str(endpoint.contact_uri),
            "state": endpoint.state.value,
            "application": type(running.application).__name__,
            "listening": [place(listener) for listener in manager.listeners],
            "started": in_words(server.started_at),
            "is_ready": server.is_ready,
            "is_draining": server.is_draining,
            "flows": len(manager.keeper.flows),
            "sessions": len(manager.sessions),
            "followers": len(server.followers),
            "newest_event": running.happenings.newest,
            "packages": [printable(package.name, 64) for package in endpoint.packages],
            "has_outbox": running.outbox is not None,
            "registers": isinstance(cast("object", endpoint), SipEndpoint),
            "takes_referrals": bool(endpoint.refer_received),
            "links": {
                "openapi": "/v1/openapi.json",
                "events": "/v1/events",
                "flows": "/v1/flows",
                "sessions": "/v1/sessions",
                "console": "/console/",
            },
        }
    )


def flows(server: ControlServer, call: Call) -> Answer:
    """All that can be used now, or those of one peer, a page at a time in the order of their numbers."""
    peer, limit, after = call.query.get("peer"), call.query.get("limit", MOST_LISTED), call.query.get("after", 0)
    found = server.service.manager.keeper.flows
    if peer is not None:
        found = tuple(each for each in found if each.proves(peer) or peer == each.peer or peer == each.remote_host)
    rest = sorted((each for each in found if each.number > after), key=lambda each: each.number)
    page = [_flow(server, each) for each in rest[:limit]]
    return Answer({"flows": page, "total": len(found), "next": page[-1]["id"] if len(rest) > limit else None})


def flow(server: ControlServer, call: Call) -> Answer:
    """One of them, with the peer's certificate."""
    found = _found(server, call.parameters["id"])
    certificate = Peer(found).certificate
    shown = None if certificate is None else descriptions.certificate(certificate)
    return Answer(_flow(server, found) | {"certificate": shown})


def close_flow(server: ControlServer, call: Call) -> Answer:
    """Close it once what was written has left; of UDP there is nothing to close but what is remembered."""
    _found(server, call.parameters["id"]).close()
    return Answer(None, 204)


def _found(server: ControlServer, number: str) -> LiveFlow:
    for each in server.service.manager.keeper.flows:
        if str(each.number) == number:
            return each
    raise Problem("not-found", f"There is no flow {printable(number)}.")


def _flow(server: ControlServer, each: LiveFlow) -> dict[str, object]:
    peer, verified = Peer(each), each.verified
    trusted_by = peer.trusted_by
    return {
        "id": str(each.number),
        "transport": each.transport,
        "direction": "in" if each.is_incoming else "out",
        "local": host_and_port(each.local_host, each.local_port),
        "remote": host_and_port(each.remote_host, each.remote_port),
        "peer": peer.identity,
        "identities": list(peer.identities),
        "is_verified": peer.is_verified,
        "trusted_by": None if trusted_by is None else trusted_by.value,
        "tls_version": peer.tls_version,
        "cipher": "" if verified is None else verified.cipher,
        "age": round(max(server.service.manager.driver.now() - each.opened, 0.0), 3),
        "messages_in": each.messages,
        "messages_out": each.sent,
        "may_request": each.may_request,
        "is_throttled": each.is_throttled,
        "unanswered": each.unanswered,
        "leases": each.leases,
    }


def identities(server: ControlServer, call: Call) -> Answer:
    """Who we are, who may talk to us, and who has proved to be whom, a page at a time in the order of the names."""
    manager = server.service.manager
    limit, after = call.query.get("limit", MOST_LISTED), call.query.get("after", "")
    proved: dict[str, list[str]] = {}
    for each in manager.keeper.flows:
        for identity in Peer(each).identities:
            proved.setdefault(identity, []).append(str(each.number))
    own: list[str] = []
    allowed: list[str] = []
    allows_any = False
    if isinstance(manager, RealTimeServerTlsConnectionManager):
        own = [] if manager.credential is None else list(manager.credential.identities.identities)
        allowed = [*sorted(manager.policy.hosts), *sorted(manager.policy.domains)]
        allows_any = manager.policy.allows_any
    rest = sorted(each for each in proved.items() if each[0] > after)
    listed = rest[:limit]
    return Answer(
        {
            "own": [str(each.aor) for each in manager.endpoints],
            "proved": own,
            "allowed": allowed,
            "allows_any": allows_any,
            "peers": [{"identity": identity, "flows": numbers} for identity, numbers in listed],
            "total": len(proved),
            "next": listed[-1][0] if len(rest) > limit else None,
        }
    )


def certificates(server: ControlServer, call: Call) -> Answer:
    """Every certificate that we rely on, and for how many days still."""
    manager = server.service.manager
    found: list[dict[str, Any]] = []
    if isinstance(manager, RealTimeServerTlsConnectionManager):
        found = [{"use": name} | descriptions.certificate(each) for name, each in manager.certificates()]
    return Answer({"certificates": found[:MOST_LISTED]})


@final
class Failures:
    """The last TLS connections that came to nothing."""

    def __init__(self) -> None:
        self._kept: collections.deque[dict[str, object]] = collections.deque(maxlen=MOST_FAILURES)
        self._count = 0

    def note(self, failure: TlsFailure) -> None:
        """One more."""
        self._count += 1
        words = explain(failure)
        shown = failure.certificate
        try:
            certificate = None if shown is None else descriptions.certificate(shown)
        except ValueError:
            # What was shown may be the very reason: a certificate that nobody can read.
            certificate = None
        self._kept.append(
            {
                "id": str(self._count),
                "time": in_words(time.time()),
                "reason": failure.reason.name,
                "words": words.what,
                "remedy": words.remedy,
                "peer": printable(failure.peer or ""),
                "detail": printable(failure.detail or ""),
                "alert": printable(failure.alert or ""),
                "certificate": certificate,
            }
        )

    @property
    def newest_first(self) -> list[dict[str, object]]:
        """What is kept."""
        return list(reversed(self._kept))


def failures(server: ControlServer, call: Call) -> Answer:
    """What is remembered of them, the newest first."""
    return Answer({"failures": server.failures.newest_first[: call.query.get("limit", MOST_FAILURES)]})


def problem_kinds(server: ControlServer, call: Call) -> Answer:
    """What errors there are."""
    return Answer({"problems": [_kind(name) for name in KINDS]})


def problem_kind(server: ControlServer, call: Call) -> Answer:
    """What one of them means."""
    name = call.parameters["name"]
    if name not in KINDS:
        raise Problem("not-found", f"There is no problem {printable(name)}.")
    return Answer(_kind(name))


def _kind(name: str) -> dict[str, object]:
    kind = KINDS[name]
    return {"type": f"{TYPE_PREFIX}{name}", "title": kind.title, "status": kind.status, "words": kind.words}
