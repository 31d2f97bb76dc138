"""How a route is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer, Reply, Route, Routes
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer


def handler(server: ControlServer, call: Call) -> Answer:
    """Whatever."""
    return Answer()


def route(method: str, path: str, *, is_open: bool = False) -> Route:
    """A route."""
    return Route(method, path, handler, "It", "tag", {200: Reply("It.")}, is_open=is_open)


class RouteTests(SynchronousTestCase):
    """The table as a value."""

    def setUp(self) -> None:
        """A small one."""
        self.routes = Routes(
            [route("GET", "/a"), route("POST", "/a"), route("GET", "/a/{id}/b.c", is_open=True), route("GET", "/a/x/y")]
        )

    def test_found(self) -> None:
        """A route is found by method and path, with what stands in its braces decoded."""
        found, parameters = self.routes.find("GET", "/a/1%2F2/b.c")
        self.assertEqual((found.path, parameters, found.names), ("/a/{id}/b.c", {"id": "1/2"}, ("id",)))
        self.assertEqual(self.routes.find("HEAD", "/a")[0].method, "GET")

    def test_no_path(self) -> None:
        """What is not in the table is not found, however near it is."""
        for path in ("", "/", "/a/", "/a/1", "/a//b.c", "/a/1/bxc", "/a/1/2/b.c", "/A", f"/a/{'x' * 300}/b.c"):
            with self.assertRaises(Problem) as caught:
                self.routes.find("GET", path)
            self.assertEqual(caught.exception.kind, "not-found", path)

    def test_no_method(self) -> None:
        """RFC 9110 section 15.5.6: 405 names the methods that there are."""
        with self.assertRaises(Problem) as caught:
            self.routes.find("DELETE", "/a")
        self.assertEqual(caught.exception.headers, (("Allow", "GET, HEAD, POST"),))

    def test_open(self) -> None:
        """Only what is marked so is open to everybody; what is unknown is not."""
        self.assertTrue(self.routes.is_open("/a/1/b.c"))
        self.assertFalse(self.routes.is_open("/a"))
        self.assertFalse(self.routes.is_open("/nowhere"))
