"""What happens in a service, told to whoever follows it."""

from __future__ import annotations

from sip_p2p.service.happenings import Happening, Happenings
from sip_p2p.service.words import ExitCode
from tests.support import SynchronousTestCase


class HappeningsTests(SynchronousTestCase):
    """Everything is told to everybody, in order, and the newest is kept."""

    def setUp(self) -> None:
        """Three are kept, at a time that stands still."""
        self.happenings = Happenings(capacity=3, clock=lambda: 86_400.25)

    def test_followers_hear_everything_in_order(self) -> None:
        """Every follower hears of each event, with its number, its time and its fields."""
        heard: list[Happening] = []
        self.happenings.follow(heard.append)
        self.happenings.emit("message", text="hello")
        self.happenings.emit("stopped")
        self.assertEqual(
            [happening.as_json() for happening in heard],
            [
                {"id": 1, "time": "1970-01-02T00:00:00.250Z", "event": "message", "text": "hello"},
                {"id": 2, "time": "1970-01-02T00:00:00.250Z", "event": "stopped"},
            ],
        )

    def test_which_process_tells_it(self) -> None:
        """What all events have in common stands behind the fields of each."""
        happenings = Happenings(clock=lambda: 0.0, common={"worker": 2})
        self.assertEqual(list(happenings.emit("message", text="hello").as_json().items())[2:], [
            ("event", "message"), ("text", "hello"), ("worker", 2),
        ])  # fmt: skip

    def test_who_leaves_hears_no_more(self) -> None:
        """A follower that has left is told of nothing, and may leave twice."""
        heard: list[Happening] = []
        leave = self.happenings.follow(heard.append)
        leave()
        leave()
        self.happenings.emit("message")
        self.assertEqual(heard, [])

    def test_who_follows_twice(self) -> None:
        """One that follows already is told once, and has left when it leaves."""
        heard: list[Happening] = []
        self.happenings.follow(heard.append)
        leave = self.happenings.follow(heard.append)
        self.happenings.emit("message")
        leave()
        self.happenings.emit("message")
        self.assertEqual(len(heard), 1)

    def test_what_was_missed(self) -> None:
        """What happened since a number can be had as far back as it is kept; the older is gone."""
        for _ in range(5):
            self.happenings.emit("message")
        self.assertEqual([happening.number for happening in self.happenings.since(3)], [4, 5])
        self.assertEqual([happening.number for happening in self.happenings.since(0)], [3, 4, 5])
        self.assertEqual(self.happenings.newest, 5)

    def test_nothing_is_kept(self) -> None:
        """Without room nothing is kept, who follows hears all the same, and without followers nobody would notice."""
        happenings = Happenings(capacity=0)
        self.assertTrue(happenings.is_unheard)
        heard: list[Happening] = []
        leave = happenings.follow(heard.append)
        self.assertFalse(happenings.is_unheard)
        happenings.emit("message")
        leave()
        self.assertEqual(([each.number for each in heard], happenings.since(0), happenings.newest), ([1], (), 1))
        self.assertTrue(happenings.is_unheard)
        self.assertFalse(Happenings(capacity=1).is_unheard)

    def test_a_flood_of_large_events(self) -> None:
        """What is kept is bounded in octets as well: the oldest gives way, and what is too large for all of it is kept
        without its texts, while followers hear of the whole."""
        happenings = Happenings(most_octets=100_000)
        heard: list[Happening] = []
        happenings.follow(heard.append)
        for _ in range(20):
            happenings.emit("message", text="\N{GRINNING FACE}" * 10_000, identities=["x" * 100])
        self.assertEqual([each.number for each in happenings.since(0)], [19, 20])
        happenings.emit("message", text="x" * 200_000)
        self.assertEqual([sorted(each.fields) for each in happenings.since(20)], [["left_out"]])
        self.assertEqual(len(str(heard[-1].fields["text"])), 200_000)
        happenings.emit("message", text="hello")
        self.assertEqual([each.number for each in happenings.since(0)], [19, 20, 21, 22])

    def test_fields_of_any_type(self) -> None:
        """What is kept is what JSON would make of it, whatever type a value is of, and is no follower's to change."""
        heard: list[Happening] = []
        self.happenings.follow(heard.append)
        fields = {"text": "Gr\udcfc\xdfe", "none": None, "many": ["a", {"b": 1.5}], "is_it": True, "code": ExitCode.TLS}
        self.happenings.emit("message", **fields)
        (kept,) = self.happenings.since(0)
        self.assertEqual(kept.as_json(), heard[0].as_json())
        kept.fields["many"].clear()  # type: ignore[attr-defined]
        self.assertEqual(self.happenings.since(0)[0].fields["many"], ["a", {"b": 1.5}])

    def test_a_follower_that_raises(self) -> None:
        """What a follower raises is logged and harms neither the others nor who tells."""
        heard: list[Happening] = []

        def fail(happening: Happening) -> None:
            raise RuntimeError(happening.event)

        self.happenings.follow(fail)
        self.happenings.follow(heard.append)
        self.happenings.emit("message")
        self.assertEqual(len(heard), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
