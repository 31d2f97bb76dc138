"""The OpenAPI document (3.1), written from the table of routes that requests are dispatched by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sip_p2p
from sip_p2p.service.http.console import to_console
from sip_p2p.service.http.problems import KINDS
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.http.shape_parts import ref
from sip_p2p.service.http.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.service.http.routes import Call, Reply, Route, Routes
    from sip_p2p.service.http.schemas import Schema
    from sip_p2p.service.http.server import ControlServer

__all__ = ["document", "openapi"]

_EVERYWHERE = ("bad-request", "bad-query", "cross-site", "not-acceptable", "too-large", "misdirected", "internal-error")


def openapi(server: ControlServer, call: Call) -> Answer:
    """The document."""
    return Answer(server.document)


def document(routes: Routes) -> dict[str, Any]:
    """All of *routes* as OpenAPI 3.1 has them."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes.all:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sip_p2p",
            "version": sip_p2p.__version__,
            "description": "Steer a running SIP party, and see into it.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": SHAPES,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "where --http-token-file is given"}
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    name = (
        f"{route.handler.__name__}_{route.path.strip('/')}" if route.handler is to_console else route.handler.__name__
    )
    made: dict[str, Any] = {
        "operationId": name,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": {str(status): _reply(reply, route.also) for status, reply in route.replies.items()}
        | _problems(route),
    }
    if route.words:
        made["description"] = route.words
    if route.is_open:
        made["security"] = [{}]
    path = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 256}}
        for each in route.names
    ]
    others = [
        {"name": each.name, "in": each.place, "required": False, "schema": each.schema, "description": each.words}
        for each in route.parameters
    ]
    if path or others:
        made["parameters"] = path + others
    if route.body is not None:
        made["requestBody"] = {
            "required": route.needs_body,
            "content": {"application/json": {"schema": route.body}},
        }
    return made


def _reply(reply: Reply, also: Mapping[str, Schema]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": reply.words}
    if reply.schema is not None:
        made["content"] = {reply.content_type: {"schema": reply.schema}}
        made["content"] |= {each: {"schema": schema} for each, schema in also.items()}
    if reply.headers:
        made["headers"] = {
            name: {"description": words, "schema": {"type": "string"}} for name, words in reply.headers.items()
        }
    return made


def _problems(route: Route) -> dict[str, Any]:
    """The problems that the route may answer with, by status."""
    kinds = [*_EVERYWHERE, *route.problems]
    if not route.is_open:
        kinds.append("unauthorized")
    if route.names:
        kinds.append("not-found")
    if route.body is not None:
        kinds += ["malformed-json", "unsupported-media-type", "invalid-content"]
    words: dict[int, list[str]] = {}
    for each in dict.fromkeys(kinds):
        words.setdefault(KINDS[each].status, []).append(f"{each}: {KINDS[each].title}")
    return {
        str(status): {
            "description": ". ".join(said),
            "content": {"application/problem+json": {"schema": ref("Problem")}},
        }
        for status, said in sorted(words.items())
        if status not in route.replies
    }
