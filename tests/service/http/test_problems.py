"""Errors as RFC 9457 has them."""

from __future__ import annotations

from sip_p2p.errors import EndpointTerminated, InvalidOperation
from sip_p2p.service.http.problems import KINDS, TYPE_PREFIX, Problem, problem_of
from tests.support import SynchronousTestCase


class ProblemTests(SynchronousTestCase):
    """Problems as values."""

    def test_members(self) -> None:
        """row:M14: a problem has the type, title, status and detail of RFC 9457, and what else it was given."""
        problem = Problem("conflict", "It stands already.", retryable=False, errors=[{"pointer": "/a", "detail": "b"}])
        self.assertEqual(
            problem.as_json(),
            {
                "type": f"{TYPE_PREFIX}conflict",
                "title": KINDS["conflict"].title,
                "status": 409,
                "detail": "It stands already.",
                "errors": [{"pointer": "/a", "detail": "b"}],
                "retryable": False,
            },
        )

    def test_hostile_detail(self) -> None:
        """A detail that quotes somebody is printable and bounded."""
        detail = Problem("not-found", "\x1b[31m\r\n" + "x" * 9000).detail
        self.assertTrue(detail.isprintable())
        self.assertLessEqual(len(detail), 700)

    def test_every_kind(self) -> None:
        """Every kind is an error of HTTP, and says in words what it means."""
        for name, kind in KINDS.items():
            self.assertTrue(400 <= kind.status <= 599 and kind.title and kind.words.endswith("."), name)

    def test_errors_of_the_library(self) -> None:
        """What the library refuses is the asker's problem; anything else is a mistake of ours."""
        for error, kind in (
            (EndpointTerminated("gone"), "unavailable"),
            (InvalidOperation("not now"), "conflict"),
            (ValueError("no URI"), "invalid-content"),
        ):
            problem = problem_of(error)
            self.assertIsNotNone(problem)
            assert problem is not None
            self.assertEqual(problem.kind, kind)
        self.assertIsNone(problem_of(KeyError("x")))
