"""Pages of a book, and the end of one in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sip_p2p.service.http.books import MOST_LISTED, ended, page_of, stands
from sip_p2p.service.http.waiting import Outcome
from tests.support import SynchronousTestCase


class _Book:
    """A book that says what it was asked for, and has one entry."""

    def __init__(self) -> None:
        self.life: Any = SimpleNamespace(end=lambda: self.ends.append(1))
        self.ends: list[int] = []

    def listed(self, name: str, **asked: object) -> dict[str, object]:
        """What was asked for."""
        return {"name": name, **asked}

    def find(self, key: str) -> Any:
        """The entry."""
        assert key == "7"
        return self


class PageTests(SynchronousTestCase):
    """What a book is asked for."""

    def test_query(self) -> None:
        """The state and the filters are handed on, except for the state that asks for those that are over."""
        for query, is_over, wanted in (
            ({}, False, {}),
            ({"state": "active", "event": "dialog", "other": "x"}, False, {"state": "active", "event": "dialog"}),
            ({"state": "over", "event": "dialog"}, True, {"event": "dialog"}),
        ):
            call: Any = SimpleNamespace(query=query)
            book: Any = _Book()
            said = page_of(book, "things", call, "event", over="over").content
            self.assertEqual(
                said, {"name": "things", "is_over": is_over, "limit": MOST_LISTED, "before": None, "wanted": wanted}
            )

    def test_page(self) -> None:
        """How many are wanted, after which, and whether those that are over, may be said."""
        call: Any = SimpleNamespace(query={"limit": 3, "after": 9})
        book: Any = _Book()
        said = page_of(book, "things", call, is_over=True).content
        self.assertEqual(said, {"name": "things", "is_over": True, "limit": 3, "before": 9, "wanted": {}})


class LifeTests(SynchronousTestCase):
    """One in a book."""

    def test_end(self) -> None:
        """It is ended where it lives; the answer is the same when it is over."""
        book: Any = _Book()
        call: Any = SimpleNamespace(parameters={"id": "7"})
        self.assertEqual(ended(book, call).status, 204)
        book.life = None
        self.assertEqual(ended(book, call).status, 204)
        self.assertEqual(book.ends, [1])

    def test_stands(self) -> None:
        """Who does not say that it waits does not wait; who does hears how long that was."""
        clock, outcome = Clock(), Outcome()
        server: Any = SimpleNamespace(reactor=clock)
        entry: Any = SimpleNamespace(decided=lambda: outcome)
        call: Any = SimpleNamespace(header=lambda name: None)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(stands(server, call, entry))), [])
        call.header = lambda name: "wait=5"
        waiting = Deferred.fromCoroutine(stands(server, call, entry))
        self.assertNoResult(waiting)
        outcome.come()
        self.assertEqual(self.successResultOf(waiting), [("Preference-Applied", "wait=5")])
        self.assertEqual(clock.getDelayedCalls(), [])
