"""The table of routes: every path of the API, what it takes, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.http import console, doctor, insight, messages, openapi, operation, party, sessions
from sip_p2p.service.http.life_table import LIFE_ROUTES
from sip_p2p.service.http.routes import JSON, Parameter, Reply, Route
from sip_p2p.service.http.shape_parts import listed, number, paged, parameter_text, ref
from sip_p2p.service.http.shapes import SHAPES
from sip_p2p.service.http.streams import EVENT_STREAM
from sip_p2p.service.http.table_parts import LAST, MOST, SENDING, SENT, WAIT

if TYPE_CHECKING:
    from sip_p2p.service.http.schemas import Schema

__all__ = ["ROUTES"]

_STREAM: Schema = {"type": "string"}
_NONE = Reply("It is done.")
_SAME = Reply("The file is the one whose ETag stands in If-None-Match.")
_SESSION = Reply("It.", ref("Session"))
_PAGE = Reply("The file.", {"type": "string"}, "*/*", {"ETag": "another one where the file is another one"})


_TRACE = (
    Parameter("flow", number(0, MOST), "only what passed on this flow"),
    Parameter("call_id", parameter_text(), "only what has this Call-ID"),
    Parameter("peer", parameter_text(), "only what this identity or address has to do with"),
    Parameter("method", parameter_text(32), "only requests of this method and their responses"),
    Parameter("since", number(0, MOST), "only what has a higher number, the oldest first; without it the newest come"),
)
_TRACED = {
    "type": "object",
    "required": ["events", "next"],
    "properties": {"events": {"type": "array", "items": ref("TraceEvent")}, "next": {"type": "integer"}},
}
_TOLD = {
    "type": "object",
    "required": ["events", "newest", "next"],
    "properties": {
        "events": {"type": "array", "items": ref("Event")},
        "newest": {"type": "integer"},
        "next": {"type": "integer"},
    },
}

ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1", party.service, "What this is, and how it is", "service", {200: Reply("It.", ref("Service"))}),
    Route(
        "GET",
        "/v1/flows",
        party.flows,
        "The connections, and the peers by UDP",
        "flows",
        {200: Reply("Those that there are, by their numbers.", paged("flows", "Flow"))},
        parameters=(
            Parameter("peer", parameter_text(), "only those that prove this identity, or lead to this address"),
            Parameter("limit", number(1, party.MOST_LISTED), "how many at most"),
            Parameter("after", number(0, MOST), "only those behind the flow of this number"),
        ),
    ),
    Route("GET", "/v1/flows/{id}", party.flow, "One flow", "flows", {200: Reply("It.", ref("Flow"))}),
    Route("DELETE", "/v1/flows/{id}", party.close_flow, "Close a flow", "flows", {204: _NONE}),
    Route(
        "GET",
        "/v1/identities",
        party.identities,
        "Who we are, who may talk to us, and who has proved to be whom",
        "identities",
        {200: Reply("They, by their names.", ref("Identities"))},
        parameters=(
            Parameter("limit", number(1, party.MOST_LISTED), "how many peers at most"),
            Parameter("after", parameter_text(1024), "only the peers behind this identity"),
        ),
    ),
    Route(
        "GET",
        "/v1/certificates",
        party.certificates,
        "The certificates that we rely on, with the days that they are still valid",
        "identities",
        {200: Reply("They.", listed("certificates", "Certificate"))},
    ),
    Route(
        "GET",
        "/v1/failures",
        party.failures,
        "The last TLS connections that came to nothing, and why",
        "identities",
        {200: Reply("The newest first.", listed("failures", "TlsTrouble"))},
        parameters=(Parameter("limit", number(1, party.MOST_FAILURES), "how many at most"),),
    ),
    Route(
        "POST",
        "/v1/messages",
        messages.send_message,
        "Send a MESSAGE",
        "requests",
        SENT,
        body=ref("NewMessage"),
        parameters=SENDING,
        problems=("too-many", "unavailable", "conflict"),
    ),
    Route(
        "POST",
        "/v1/requests",
        messages.send_request,
        "Send a request of any method that is not a session's",
        "requests",
        SENT,
        body=ref("NewRequest"),
        parameters=SENDING,
        problems=("too-many", "unavailable", "conflict"),
    ),
    Route(
        "GET",
        "/v1/sessions",
        sessions.sessions,
        "The sessions",
        "sessions",
        {200: Reply("The newest first.", paged("sessions", "Session"))},
        parameters=(
            Parameter(
                "state", SHAPES["Session"]["properties"]["state"], "only those; disconnected: those that are over"
            ),
            Parameter("limit", number(1, sessions.MOST_SESSIONS), "how many at most"),
            Parameter("after", number(0, MOST), "only those behind the session of this number: older ones"),
        ),
    ),
    Route(
        "POST",
        "/v1/sessions",
        sessions.create_session,
        "Begin a session",
        "sessions",
        {201: Reply("It is being established.", ref("Session"), headers={"Location": "the session"})},
        body=ref("NewSession"),
        parameters=SENDING,
        problems=("conflict", "unavailable"),
    ),
    Route("GET", "/v1/sessions/{id}", sessions.session, "One session", "sessions", {200: _SESSION}),
    Route(
        "DELETE",
        "/v1/sessions/{id}",
        sessions.end_session,
        "End a session, as its state demands: CANCEL, a refusal or BYE",
        "sessions",
        {204: _NONE},
    ),
    *(
        Route(
            "POST",
            f"/v1/sessions/{{id}}/{verb}",
            handler,
            words,
            "sessions",
            {200: _SESSION},
            body=ref(shape),
            needs_body=shape == "Redirect",
            parameters=(WAIT,) if verb == "answer" else (),
            problems=("conflict", "unavailable"),
        )
        for verb, handler, words, shape in (
            ("ring", sessions.ring_session, "Tell the caller that it rings", "Ring"),
            ("answer", sessions.accept_session, "Accept a session", "Accept"),
            ("reject", sessions.reject_session, "Refuse a session", "Reject"),
            ("redirect", sessions.redirect_session, "Send the caller elsewhere", "Redirect"),
        )
    ),
    *(
        Route(
            "POST",
            f"/v1/sessions/{{id}}/{verb}",
            handler,
            words,
            "sessions",
            SENT,
            body=ref(shape),
            needs_body=shape == "NewSessionRequest",
            parameters=SENDING,
            problems=("too-many", "conflict", "unavailable"),
        )
        for verb, handler, words, shape in (
            ("renegotiate", sessions.renegotiate_session, "Change what was agreed", "Renegotiate"),
            ("messages", sessions.send_message_in_session, "Send a MESSAGE in a session", "NewSessionMessage"),
            ("requests", sessions.send_in_session, "Send another request in a session", "NewSessionRequest"),
        )
    ),
    *LIFE_ROUTES,
    Route(
        "GET",
        "/v1/requests",
        messages.requests,
        "The requests that this API has sent",
        "requests",
        {200: Reply("The newest first.", listed("requests", "Request"))},
        parameters=(
            Parameter("state", {"type": "string", "enum": ["pending", "answered", "failed"]}, "only these"),
            Parameter("limit", number(1, messages.MOST_KEPT), "how many at most; 100 without it"),
        ),
    ),
    Route(
        "GET",
        "/v1/requests/{id}",
        messages.request,
        "What became of a request",
        "requests",
        {200: Reply("It.", ref("Request"))},
        parameters=(WAIT,),
    ),
    Route(
        "DELETE",
        "/v1/requests/{id}",
        messages.cancel,
        "Wait for its answer no longer",
        "requests",
        {204: _NONE},
    ),
    Route(
        "GET",
        "/v1/events",
        insight.events,
        "Follow what happens",
        "events",
        {200: Reply("Server-sent events; as JSON, what is kept of them.", _STREAM, EVENT_STREAM)},
        parameters=(
            Parameter(
                "event", {"type": "array", "items": parameter_text(64), "maxItems": 32}, "only events of this kind"
            ),
            Parameter("since", number(0, MOST), "begin after the event of this number"),
            LAST,
        ),
        problems=("too-many",),
        also={JSON: _TOLD},
    ),
    Route(
        "GET",
        "/v1/trace",
        insight.trace,
        "The messages that are recorded",
        "trace",
        {200: Reply("The oldest first.", _TRACED)},
        parameters=(*_TRACE, Parameter("limit", number(1, insight.MOST_TRACED), "how many at most")),
        problems=("unavailable",),
    ),
    Route(
        "GET",
        "/v1/trace/follow",
        insight.trace_follow,
        "Follow the messages that pass",
        "trace",
        {200: Reply("Server-sent events.", _STREAM, EVENT_STREAM)},
        parameters=(*_TRACE, LAST),
        problems=("too-many", "unavailable"),
    ),
    Route(
        "GET",
        "/v1/trace.pcapng",
        insight.trace_pcapng,
        "The messages that are recorded, for Wireshark",
        "trace",
        {200: Reply("A capture file.", {"type": "string"}, "application/x-pcapng")},
        parameters=(*_TRACE, Parameter("limit", number(1, insight.MOST_TRACED), "how many at most")),
        problems=("unavailable",),
    ),
    Route(
        "GET",
        "/v1/metrics",
        insight.metrics,
        "Everything that is counted, by name",
        "metrics",
        {200: Reply("Counters and gauges.", ref("Metrics"))},
    ),
    Route(
        "GET",
        "/metrics",
        insight.prometheus,
        "The metrics for Prometheus",
        "metrics",
        {200: Reply("In its text format.", {"type": "string"}, "text/plain")},
        problems=("unavailable",),
        also={"application/openmetrics-text": {"type": "string"}},
    ),
    Route(
        "POST",
        "/v1/reload",
        operation.reload,
        "Read every file anew, as SIGHUP does",
        "operation",
        {200: Reply("What has changed.", ref("Reloaded"))},
        problems=("unavailable",),
    ),
    Route(
        "POST",
        "/v1/drain",
        operation.drain,
        "Take no new work, and let what is under way go on",
        "operation",
        {
            202: Reply(
                "It has begun.", {"type": "object"}, headers={"Location": "where to see how many sessions are left"}
            )
        },
        body=ref("Drain"),
        needs_body=False,
        problems=("unavailable",),
    ),
    Route(
        "POST",
        "/v1/doctor",
        doctor.start_doctor,
        "Find out what is wrong on the way to a peer",
        "doctor",
        {202: Reply("It has begun.", ref("DoctorJob"), headers={"Location": "where to ask what was found"})},
        body=ref("Patient"),
        problems=("too-many", "unavailable"),
    ),
    Route(
        "GET",
        "/v1/doctor",
        doctor.doctor_jobs,
        "The jobs",
        "doctor",
        {200: Reply("The newest first.", listed("jobs", "DoctorJob"))},
    ),
    Route(
        "GET", "/v1/doctor/{id}", doctor.doctor_job, "What was found", "doctor", {200: Reply("It.", ref("DoctorJob"))}
    ),
    Route(
        "GET",
        "/v1/openapi.json",
        openapi.openapi,
        "This document",
        "service",
        {200: Reply("It.", {"type": "object"})},
    ),
    Route(
        "GET",
        "/v1/problems",
        party.problem_kinds,
        "The kinds of errors",
        "service",
        {200: Reply("All of them.", listed("problems", "ProblemKind"))},
        is_open=True,
    ),
    Route(
        "GET",
        "/v1/problems/{name}",
        party.problem_kind,
        "What an error means",
        "service",
        {200: Reply("It.", ref("ProblemKind"))},
        is_open=True,
    ),
    Route(
        "GET",
        "/health/live",
        operation.live,
        "Whether the process answers",
        "health",
        {200: Reply("It does.", ref("Health"))},
        is_open=True,
    ),
    Route(
        "GET",
        "/health/ready",
        operation.ready,
        "Whether new work is taken",
        "health",
        {200: Reply("It is.", ref("Health"))},
        is_open=True,
        problems=("unavailable",),
    ),
    Route(
        "GET",
        "/",
        console.to_console,
        "To the console",
        "console",
        {308: Reply("It is there.", headers={"Location": "the console"})},
        is_open=True,
    ),
    Route(
        "GET",
        "/console",
        console.to_console,
        "To the console",
        "console",
        {308: Reply("It is there.", headers={"Location": "the console"})},
        is_open=True,
    ),
    Route(
        "GET",
        "/console/",
        console.console,
        "The console",
        "console",
        {200: _PAGE, 304: _SAME},
        is_open=True,
        problems=("not-found",),
    ),
    Route(
        "GET",
        "/console/{name}",
        console.console_file,
        "A file of the console",
        "console",
        {200: _PAGE, 304: _SAME},
        is_open=True,
    ),
)
"""All of them."""
