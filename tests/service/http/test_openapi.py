"""The OpenAPI document, held against the service itself."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.threads import deferToThread

from sip_p2p.service.http.openapi import document
from sip_p2p.service.http.problems import KINDS
from sip_p2p.service.http.routes import Routes
from sip_p2p.service.http.table import ROUTES
from tests.service.http.loopback import LoopbackCase
from tests.service.http.support import ApiCase

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5"))
"""How many requests are made up for each operation; a longer search sets it higher."""


class DocumentTests(ApiCase):
    """The document as a value."""

    def test_every_route(self) -> None:
        """Every route that is dispatched is described, and nothing else."""
        described = self.get("/v1/openapi.json")
        self.assertEqual(described["openapi"], "3.1.0")
        operations = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
        self.assertEqual(operations, {(route.method, route.path) for route in ROUTES})

    def test_names(self) -> None:
        """Every operation has a name of its own, and what it refers to is there."""
        made = document(Routes(ROUTES))
        names = [each["operationId"] for methods in made["paths"].values() for each in methods.values()]
        self.assertEqual(len(names), len(set(names)))
        text = json.dumps(made)
        for part in text.split('"$ref": "#/components/schemas/')[1:]:
            self.assertIn(part.partition('"')[0], made["components"]["schemas"])

    def test_problems(self) -> None:
        """Every kind of problem that a route names is one that there is."""
        for route in ROUTES:
            self.assertLessEqual(set(route.problems), set(KINDS), route.path)


class ConformanceTests(LoopbackCase):
    """schemathesis makes requests up from the document, and holds the answers against it."""

    timeout = 280

    async def test_conformance(self) -> None:
        """row:M14: whatever is asked, each answer is one that the document has, and none is a mistake of ours."""
        await deferToThread(self.search, self.url)

    def search(self, url: str) -> None:
        """In a thread of its own, as schemathesis waits for each answer."""
        import hypothesis
        import schemathesis
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi.checks import (
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            status_code_conformance,
            unsupported_method,
        )

        schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
        checks: list[Any] = [
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
            response_headers_conformance,
            unsupported_method,
        ]
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.path in ("/v1/events", "/v1/trace/follow", "/v1/drain"):
                # Streams do not end, and a drain ends everything else: their tests are elsewhere.
                continue

            @hypothesis.given(case=operation.as_strategy())
            @hypothesis.settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            def judge(case: Any) -> None:
                if case.headers:
                    # What waits for an outcome is shown elsewhere, and takes its time.
                    case.headers.pop("Prefer", None)
                case.call_and_validate(checks=checks, timeout=20)

            judge()
