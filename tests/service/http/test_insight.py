"""Events, traces and metrics over HTTP."""

from __future__ import annotations

from sip_p2p.service.http.insight import MOST_TRACED
from tests.service.http.support import ApiCase, Client


class EventTests(ApiCase):
    """What happens."""

    def test_where_a_follower_goes_on(self) -> None:
        """Last-Event-ID, and ``since`` where that cannot be sent, begin after the event that was seen last."""
        happenings = self.server.service.happenings
        for number in range(4):
            happenings.emit("test", number=number)
        newest = happenings.newest
        for path, headers in (
            ("/v1/events", {"Last-Event-ID": str(newest - 2)}),
            (f"/v1/events?since={newest - 2}", {}),
        ):
            client = Client(self.factory)
            client.ask("GET", path, None, headers)
            self.assertEqual([each.get("number") for _, each in client.got.events], [None, 2, 3])

    def test_what_was_missed(self) -> None:
        """A follower who was away for longer than is kept hears how much it has missed."""
        for _ in range(1100):
            self.server.service.happenings.emit("test")
        client = Client(self.factory)
        client.ask("GET", "/v1/events?since=1")
        hello = client.got.events[0][1]
        self.assertEqual(hello["missed"], self.server.service.happenings.newest - 1024 - 1)

    def test_from_before_a_restart(self) -> None:
        """A number that is higher than any is from before a restart: all that is kept is told."""
        client = Client(self.factory)
        client.ask("GET", "/v1/events", None, {"Last-Event-ID": "999999"})
        self.assertEqual(client.got.events[1][1]["id"], 1)

    def test_no_number(self) -> None:
        """A Last-Event-ID that is no number is refused."""
        self.assert_problem(self.ask("GET", "/v1/events", None, {"Last-Event-ID": "x"}), 400, "bad-request")

    def test_by_kind(self) -> None:
        """Only the kinds that were asked for are told."""
        client = Client(self.factory)
        client.ask("GET", "/v1/events?event=message&event=state")
        for kind in ("message", "request", "state"):
            self.server.service.happenings.emit(kind)
        self.assertEqual([kind for kind, _ in client.got.events], ["hello", "message", "state"])

    def test_as_json(self) -> None:
        """Who asks for JSON gets what is kept, and no stream."""
        self.network.run_until(self.theirs.send_message("sip:user@a.example", "hello"))
        found = self.get("/v1/events?event=message", Accept="application/json")
        (message,) = found["events"]
        self.assertEqual((message["peer"], message["text"]), ("b.example", "hello"))
        self.assertEqual(found["newest"], self.server.service.happenings.newest)


class TraceTests(ApiCase):
    """What passes."""

    def exchange(self, text: str = "hello") -> None:
        """A message comes and is answered."""
        self.network.run_until(
            self.theirs.send_message("sip:user@a.example", text, headers=(("Authorization", "Digest secret"),))
        )

    def test_what_is_recorded(self) -> None:
        """row:M11: what passed can be asked for, by flow, peer and method, without credentials."""
        self.exchange()
        found = self.get("/v1/trace?method=MESSAGE&peer=b.example&flow=" + self.get("/v1/flows")["flows"][0]["id"])
        request, response = found["events"]
        self.assertEqual((request["direction"], response["direction"]), ("in", "out"))
        self.assertIn("MESSAGE sip:user@a.example SIP/2.0", request["head"])
        self.assertIn(f"Call-ID: {request['call_id']}\r\n", request["head"])
        self.assertEqual(response["call_id"], request["call_id"])
        self.assertNotIn(b"secret", self.client.got.content)
        self.assertEqual(found["next"], response["number"])
        self.assertEqual(self.get(f"/v1/trace?since={found['next']}")["events"], [])
        self.assertEqual(self.get("/v1/trace?peer=c.example")["events"], [])

    def test_pages(self) -> None:
        """A trace that is longer than was asked for is read on with ``next``."""
        for _ in range(3):
            self.exchange()
        everything = [each["number"] for each in self.get("/v1/trace")["events"]]
        read, since = [], 0
        while (page := self.get(f"/v1/trace?since={since}&limit=2"))["events"]:
            read += [each["number"] for each in page["events"]]
            since = page["next"]
        self.assertEqual(read, everything)
        newest = self.get("/v1/trace?limit=2")["events"]
        self.assertEqual([each["number"] for each in newest], everything[-2:])
        self.assert_problem(self.ask("GET", f"/v1/trace?limit={MOST_TRACED + 1}"), 400, "bad-query")

    def test_follow(self) -> None:
        """Messages are told as they pass; who comes back is told what it missed."""
        client = Client(self.factory)
        client.ask("GET", "/v1/trace/follow?method=MESSAGE")
        self.exchange()
        kinds = [kind for kind, _ in client.got.events]
        self.assertEqual(kinds, ["message", "message"])
        again = Client(self.factory)
        number = client.got.events[0][1]["number"]
        again.ask("GET", "/v1/trace/follow?method=MESSAGE", None, {"Last-Event-ID": str(number)})
        self.assertEqual([each["number"] for _, each in again.got.events], [client.got.events[1][1]["number"]])

    def test_follow_from_before_a_restart(self) -> None:
        """A number that is higher than any is from before a restart, and all that is kept is told; nonsense is none."""
        self.exchange()
        client = Client(self.factory)
        client.ask("GET", "/v1/trace/follow", None, {"Last-Event-ID": "999999"})
        self.assertEqual(
            client.got.events[0][1]["number"], self.get("/v1/trace?since=0&limit=1")["events"][0]["number"]
        )
        self.assert_problem(self.ask("GET", "/v1/trace/follow", None, {"Last-Event-ID": "x"}), 400, "bad-request")

    def test_for_wireshark(self) -> None:
        """The same comes as a capture file."""
        self.exchange()
        got = self.ask("GET", "/v1/trace.pcapng")
        self.assertEqual((got.headers["content-type"], got.content[:4]), ("application/x-pcapng", b"\x0a\x0d\x0d\x0a"))
        self.assertIn("attachment", got.headers["content-disposition"])


class NothingRecordedTests(ApiCase):
    """A service that records nothing."""

    record = 0

    def test_nothing(self) -> None:
        """Where nothing is recorded, a trace is not had, and the problem says why."""
        for path in ("/v1/trace", "/v1/trace/follow", "/v1/trace.pcapng"):
            members = self.assert_problem(self.ask("GET", path), 503, "unavailable")
            self.assertIn("--record", members["detail"])


class MetricTests(ApiCase):
    """Figures."""

    def test_as_json(self) -> None:
        """row:M10: everything that is counted is there by name, and so is what the API counts of itself."""
        self.network.run_until(self.theirs.send_message("sip:user@a.example", "hello"))
        counters = self.get("/v1/metrics")["counters"]
        self.assertEqual(counters["core_requests"], 1)
        self.assertEqual(counters["http_followers"], 0)

    def test_for_prometheus(self) -> None:
        """row:M10: Prometheus reads the same page as anywhere."""
        got = self.ask("GET", "/metrics")
        self.assertEqual((got.status, got.headers["content-type"][:10]), (200, "text/plain"))
        self.assertIn(b"sip_p2p_info", got.content)

    def test_as_open_metrics(self) -> None:
        """row:M10: whoever asks for OpenMetrics gets that, with its end."""
        for accept in ("application/openmetrics-text", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"):
            got = self.ask("GET", "/metrics", None, {"Accept": accept})
            self.assertEqual((got.status, got.headers["content-type"][:28]), (200, "application/openmetrics-text"))
            self.assertTrue(got.content.endswith(b"# EOF\n"))
        got = self.ask("GET", "/metrics", None, {"Accept": "application/openmetrics-text;q=0, text/plain"})
        self.assertEqual(got.headers["content-type"][:10], "text/plain")
