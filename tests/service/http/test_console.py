"""The console's files over HTTP."""

from __future__ import annotations

from sip_p2p.service.http.console import POLICY, Console
from sip_p2p.service.http.problems import Problem
from tests.service.http.support import ApiCase
from tests.support import SynchronousTestCase


class ConsoleTests(ApiCase):
    """The mount."""

    def test_page(self) -> None:
        """The page comes with a policy that lets it run nothing but the service's own files."""
        got = self.ask("GET", "/console/")
        self.assertEqual((got.status, got.headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertEqual(got.headers["content-security-policy"], POLICY)
        self.assertNotIn("unsafe", POLICY)
        self.assertIn(b"<html", got.content)

    def test_way(self) -> None:
        """The root leads to the console."""
        for path in ("/", "/console"):
            got = self.ask("GET", path)
            self.assertEqual((got.status, got.headers["location"]), (308, "/console/"))

    def test_etag(self) -> None:
        """RFC 9110 section 13.1.2: a file that the browser has already is not sent again."""
        got = self.ask("GET", "/console/console.js")
        self.assertEqual(got.headers["content-type"], "text/javascript; charset=utf-8")
        for known in (got.headers["etag"], f'"x", W/{got.headers["etag"]}', "*"):
            again = self.ask("GET", "/console/console.js", None, {"If-None-Match": known})
            self.assertEqual((again.status, again.content, again.headers["etag"]), (304, b"", got.headers["etag"]))
        self.assertEqual(self.ask("GET", "/console/console.js", None, {"If-None-Match": '"x"'}).status, 200)

    def test_nothing_else(self) -> None:
        """No path leads out of the console's folder."""
        for name in ("..%2F..%2Foptions.py", "..%2f__init__.py", "%2Fetc%2Fpasswd", "nothing.js", ".", "..", "%00"):
            self.assert_problem(self.ask("GET", f"/console/{name}"), 404, "not-found")


class PackageTests(SynchronousTestCase):
    """The files."""

    def test_a_package_without_a_console(self) -> None:
        """Where there are no files, none is found, and nothing else fails."""
        self.assertRaises(Problem, Console("sip_p2p.sip").answer, "index.html", None)
