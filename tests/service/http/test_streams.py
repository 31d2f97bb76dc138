"""Followers: in order, bounded, and dropped when they do not read."""

from __future__ import annotations

from sip_p2p.service.http.streams import KEEP_ALIVE, MOST_FOLLOWERS, MOST_WAITING, MOST_WAITING_OCTETS, PATIENCE
from tests.service.http.support import ApiCase, Client


class StreamTests(ApiCase):
    """Server-sent events of a service."""

    def follow(self, path: str = "/v1/events", **headers: str) -> Client:
        """A follower."""
        client = Client(self.factory)
        client.ask("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})
        return client

    def emit(self, count: int = 1, size: int = 1) -> None:
        """Let something happen."""
        for _ in range(count):
            self.server.service.happenings.emit("test", text="x" * size)

    def test_as_it_happens(self) -> None:
        """row:M14: events come as they happen, each with its number, kind and fields."""
        client = self.follow()
        self.emit(2)
        got = client.got
        self.assertEqual((got.status, got.headers["content-type"]), (200, "text/event-stream"))
        (hello, said), *events = got.events
        self.assertEqual((hello, said["missed"], said["instance"]), ("hello", 0, self.server.instance))
        self.assertEqual([(kind, each["text"]) for kind, each in events], [("test", "x")] * 2)
        self.assertIn(f"id: {events[0][1]['id']}\nevent: test\n".encode(), client.wire.value())

    def test_a_hostile_field(self) -> None:
        """Whatever a peer sends, it ends no line of the stream and begins no event."""
        client = self.follow()
        self.server.service.happenings.emit("test", text="\r\ndata: x\n\nid: 9\n\n\u2028\u0000")
        self.assertEqual([kind for kind, _ in client.got.events], ["hello", "test"])

    def test_keep_alive(self) -> None:
        """A quiet stream says that it lives."""
        client = self.follow()
        client.clear()
        self.network.advance(KEEP_ALIVE)
        self.assertIn(b": \n\n", client.wire.value())

    def test_a_follower_that_does_not_read(self) -> None:
        """What waits for a slow follower is bounded in number; then it is dropped, and the others hear on."""
        slow, quick = self.follow(), self.follow()
        slow.channel.pauseProducing()
        self.emit(MOST_WAITING)
        self.assertFalse(slow.wire.aborted)
        self.emit()
        self.assertTrue(slow.wire.aborted)
        self.assertEqual((len(self.server.followers), self.server.followers.dropped), (1, 1))
        self.assertEqual(len(quick.got.events), MOST_WAITING + 2)

    def test_octets(self) -> None:
        """What waits is bounded in octets, too."""
        slow = self.follow()
        slow.channel.pauseProducing()
        self.emit(16, MOST_WAITING_OCTETS // 16)
        self.assertTrue(slow.wire.aborted)

    def test_patience(self) -> None:
        """A follower that takes nothing for long is dropped, though nothing much waits for it."""
        slow = self.follow()
        slow.channel.pauseProducing()
        self.network.advance(PATIENCE + KEEP_ALIVE)
        self.assertTrue(slow.wire.aborted)

    def test_a_follower_that_pauses(self) -> None:
        """Who reads again in time misses nothing, and has it in order."""
        client = self.follow()
        client.channel.pauseProducing()
        self.emit(5)
        self.assertEqual(len(client.got.events), 1)
        client.channel.resumeProducing()
        numbers = [each["id"] for _, each in client.got.events[1:]]
        self.assertEqual((len(numbers), numbers), (5, sorted(numbers)))
        self.network.advance(PATIENCE * 2)
        self.assertFalse(client.wire.aborted)

    def test_too_many(self) -> None:
        """There are only so many followers; one more is told when to come back, and one who leaves makes room."""
        clients = [self.follow() for _ in range(MOST_FOLLOWERS)]
        refused = self.follow()
        self.assert_problem(refused.got, 429, "too-many")
        self.assertIn("retry-after", refused.got.headers)
        clients[0].wire.end()
        self.assertEqual(self.follow().got.status, 200)

    def test_the_end(self) -> None:
        """With the service every stream ends as it should, and nothing more is told."""
        client = self.follow()
        self.network.run_until(self.server.service.stopService())
        self.assertIn("stopping", [kind for kind, _ in client.got.events])
        self.assertTrue(client.wire.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(len(self.server.followers), 0)

    def test_what_was_missed_is_told_as_it_is_taken(self) -> None:
        """What a follower has missed may be more than would wait for it: it is told as fast as it is read, in order,
        with what happens meanwhile."""
        self.emit(64, MOST_WAITING_OCTETS // 16)
        client = Client(self.factory)
        client.wire.pauses = client.channel
        client.ask("GET", "/v1/events?since=0&event=test")
        self.emit(2)
        for _ in range(80):
            client.channel.resumeProducing()
        self.assertFalse(client.wire.aborted)
        numbers = [each["id"] for kind, each in client.got.events if kind == "test"]
        self.assertEqual((len(numbers), numbers), (66, sorted(set(numbers))))

    def test_slower_than_things_happen(self) -> None:
        """Who is slower than things happen hears how much is kept no more."""
        self.emit(3)
        client = Client(self.factory)
        client.wire.pauses = client.channel
        client.ask("GET", "/v1/events?since=0&event=test")
        self.emit(2000)
        client.wire.pauses = None
        client.channel.resumeProducing()
        self.assertIn("missed", [kind for kind, _ in client.got.events])
        self.assertEqual(client.got.events[-1][1]["id"], self.server.service.happenings.newest)
