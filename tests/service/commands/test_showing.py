"""``sip-p2p show`` and ``sip-p2p control``: tables, and any request."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from twisted.python import usage
from twisted.web.resource import Resource
from twisted.web.server import Site

from sip_p2p.service.commands.listings import SHOWN
from sip_p2p.service.commands.showing import ControlCommandOptions, ShowOptions
from sip_p2p.service.words import ExitCode
from tests.support import SynchronousTestCase, TestCase, reactor

ANSWERS: dict[str, Any] = {
    "/v1": {"uri": "sip:bob@b.example", "is_ready": True, "links": {"a": "b"}, "listening": [{"transport": "TLS"}]},
    "/v1/metrics": {"counters": {"core_requests": 5}},
    "/v1/flows": {
        "flows": [
            {
                "id": "3",
                "direction": "in",
                "peer": "a.example\u001b",
                "remote": "192.0.2.1:40000",
                "transport": "TLS",
                "tls_version": "TLSv1.3",
                "age": 3661.5,
                "messages_in": 12,
                "messages_out": 7,
                "leases": 0,
                "is_verified": True,
            }
        ]
    },
    "/v1/sessions": {"sessions": []},
    "/v1/sessions?state=disconnected": {
        "sessions": [{"id": "4", "reason": "terminated_remotely", "call_id": "x4", "direction": "in"}]
    },
    "/v1/identities": {"own": ["sip:bob@b.example"], "peers": [{"identity": "a.example", "flows": ["3", "4"]}]},
    "/v1/certificates": {
        "certificates": [{"use": "ours", "names": ["b.example"], "days_left": 2.5, "not_after": "soon"}]
    },
    "/v1/failures": {"failures": [{"time": "then", "peer": "x", "words": "refused", "remedy": "do this"}]},
    "/v1/requests": {
        "requests": [
            {"id": "1", "state": "answered", "response": {"status": 200, "reason": "OK"}},
            {"id": "2", "state": "failed", "failure": {"words": "nobody there"}},
        ]
    },
    "/v1/subscriptions": {
        "subscriptions": [
            {
                "id": "1",
                "to": "sip:a@a.example",
                "event": "presence",
                "state": "subscribed",
                "is_pending": True,
                "expires": 3599.5,
                "count": 2,
            },
            {
                "id": "2",
                "to": "sip:c@c.example",
                "event": "dialog",
                "state": "waiting_for_retry",
                "count": 0,
                "failure": {"words": "nobody there"},
            },
        ]
    },
    "/v1/subscribers": {
        "subscribers": [
            {
                "id": "1",
                "from": "sip:a@a.example",
                "is_verified": True,
                "event": "presence",
                "resource": "bob",
                "state": "active",
                "expires": 60,
                "peer": "a.example",
            }
        ]
    },
    "/v1/publications": {"publications": [{"id": "1", "event": "presence", "state": "over"}]},
    "/v1/referrals": {"referrals": [{"id": "1", "direction": "in", "method": "INVITE", "state": "waiting"}]},
    "/v1/registrations": {"registrations": [{"registrar": "sip:a.example", "state": "registered", "flows": ["1"]}]},
    "/v1/outbox": {"messages": [{"id": "x1", "to": "sip:a@a.example", "state": "queued", "attempts": 3}], "next": None},
}


class Api(Resource):
    """Answers as a service would."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """One of the answers, or a problem."""
        request.setHeader("content-type", "application/json")
        path = (request.path if request.method == b"POST" else request.uri).decode("ascii")
        if request.method == b"POST":
            request.setResponseCode(202)
            request.setHeader("location", f"{path}/7")
            return (
                b'{"wait":'
                + json.dumps(request.getHeader("prefer")).encode()
                + b',"got":'
                + request.content.read()
                + b"}"
            )
        if path not in ANSWERS:
            request.setResponseCode(404)
            return b'{"detail": "There is no such thing."}'
        return json.dumps(ANSWERS[path]).encode("ascii")


class ShowTests(TestCase):
    """What is shown of a service."""

    timeout = 20

    async def shown(self, options: ShowOptions | ControlCommandOptions, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        site = Site(Api())
        site.noisy = False
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        options.parseOptions([*arguments, "--control", str(port.getHost().port)])
        out, err = io.StringIO(), io.StringIO()
        code = await options.show(reactor, out, err)
        await port.stopListening()
        return code, out.getvalue(), err.getvalue()

    async def test_flows(self) -> None:
        """One line a flow with what matters, made safe; no colours where there is no terminal (row:M10)."""
        code, out, _ = await self.shown(ShowOptions(), "flows")
        heading, row = out.splitlines()
        self.assertEqual(code, ExitCode.OK)
        self.assertEqual(heading.split(), ["flow", "peer", "address", "over", "age", "in", "out", "held"])
        self.assertEqual(
            row.split(),
            ["3", "from", "a.example\\x1b", "192.0.2.1:40000", "TLS", "TLSv1.3", "1:01:01", "12", "7", "0"],
        )

    async def test_pages(self) -> None:
        """A list that is longer than one answer is shown whole."""
        self.patch(
            sys.modules[__name__],
            "ANSWERS",
            {
                "/v1/sessions": {"sessions": [{"id": "9"}, {"id": "8"}], "next": "8"},
                "/v1/sessions?after=8": {"sessions": [{"id": "7"}], "next": None},
            },
        )
        code, out, _ = await self.shown(ShowOptions(), "sessions", "--json")
        self.assertEqual(code, ExitCode.OK)
        self.assertEqual([each["id"] for each in json.loads(out)["sessions"]], ["9", "8", "7"])

    async def test_everything(self) -> None:
        """Each thing has its table, or a line that says that there is none."""
        for what, expected in {
            "service": "sip:bob@b.example",
            "metrics": "core_requests  5",
            "sessions": "there are no sessions",
            "ended": "terminated remotely",
            "identities": "a.example  3, 4",
            "certificates": "b.example",
            "failures": "do this",
            "requests": "nobody there",
        }.items():
            with self.subTest(what):
                code, out, err = await self.shown(ShowOptions(), what)
                self.assertEqual((code, err), (ExitCode.OK, ""))
                self.assertIn(expected, out)

    async def test_what_lives_on(self) -> None:
        """Subscriptions, those of peers and the outbox: how they stand, for how long, and why."""
        code, out, _ = await self.shown(ShowOptions(), "subscriptions")
        self.assertEqual(code, ExitCode.OK)
        first, second = out.splitlines()[1:]
        self.assertEqual(first.split(), ["1", "sip:a@a.example", "presence", "subscribed,", "pending", "0:59:59", "2"])
        self.assertTrue(second.endswith("nobody there"), second)
        self.assertIn("waiting for retry", second)
        _, out, _ = await self.shown(ShowOptions(), "subscribers")
        self.assertEqual(
            out.splitlines()[1].split(),
            ["1", "sip:a@a.example", "presence", "bob", "active", "0:01:00", "a.example"],
        )
        _, out, _ = await self.shown(ShowOptions(), "outbox")
        self.assertEqual(out.splitlines()[1].split(), ["x1", "sip:a@a.example", "queued", "3"])

    async def test_json(self) -> None:
        """What the API says, as it says it."""
        _, out, _ = await self.shown(ShowOptions(), "certificates", "--json")
        self.assertEqual(json.loads(out), ANSWERS["/v1/certificates"])

    async def test_a_request(self) -> None:
        """Any request, with what it makes named beside what it answers."""
        code, out, err = await self.shown(
            ControlCommandOptions(), "post", "/v1/messages", '{"to":"sip:a@b"}', "--wait", "5"
        )
        self.assertEqual((code, json.loads(out)), (ExitCode.OK, {"wait": "wait=5", "got": {"to": "sip:a@b"}}))
        self.assertEqual(err, "sip-p2p: see /v1/messages/7\n")

    async def test_a_refusal(self) -> None:
        """It has a code of its own, and a line."""
        code, _, err = await self.shown(ControlCommandOptions(), "GET", "/v1/nothing")
        self.assertEqual(code, ExitCode.REFUSED)
        self.assertTrue(err.endswith("/v1/nothing: 404: There is no such thing.\n"), err)


class MistakeTests(SynchronousTestCase):
    """One line each."""

    def test_show(self) -> None:
        """What cannot be shown, and a service that is not named."""
        error = self.assertRaises(usage.UsageError, ShowOptions().parseOptions, ["weather"])
        self.assertEqual(str(error), f"weather cannot be shown. There are service, metrics, {', '.join(SHOWN)}")
        options = ShowOptions()
        options.parseOptions([])
        error = self.assertRaises(usage.UsageError, options.client, reactor)
        self.assertTrue(str(error).startswith("--control is missing: which service is to be asked?"), str(error))

    def test_control(self) -> None:
        """What is no request."""
        for arguments, expected in {
            ("GET",): "control needs a method and a path",
            ("G T", "/v1"): "G T is no method of HTTP",
            ("GET", "v1"): "v1 is no path: it begins with /",
            ("POST", "/v1", "{"): "the body is no JSON",
            ("GET", "/v1", "--wait", "x"): "--wait x is not a whole number of seconds",
        }.items():
            with self.subTest(arguments):
                error = self.assertRaises(usage.UsageError, ControlCommandOptions().parseOptions, list(arguments))
                self.assertTrue(str(error).startswith(expected), str(error))
