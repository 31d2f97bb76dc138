"""Entries by their numbers."""

from __future__ import annotations

import gc
import weakref

from sip_p2p.service.http.problems import Problem
from sip_p2p.service.lives.book import MOST_ENDED, Book, Entry
from tests.support import SynchronousTestCase


class Life:
    """Something that lives."""


class LifeEntry(Entry[Life]):
    """Says one thing of it."""

    def facts(self, life: Life) -> dict[str, object]:
        """Its state."""
        return {"state": "well"}


class BookTests(SynchronousTestCase):
    """A book by itself."""

    def test_numbers(self) -> None:
        """Each life has one entry, whose number is never given twice."""
        book: Book[LifeEntry] = Book("life", LifeEntry)
        first, second = Life(), Life()
        self.assertEqual([book.add(each).key for each in (first, first, second)], ["1", "1", "2"])
        self.assertIs(book.newest(), book.entry_of(second))
        book.gone(second)
        self.assertEqual((book.add(Life()).key, len(book)), ("3", 2))
        self.assertIsNone(book.gone(second))

    def test_ended(self) -> None:
        """What has ended is remembered for a while, and the life itself is not held."""
        book: Book[LifeEntry] = Book("life", LifeEntry)
        life = Life()
        held = weakref.ref(life)
        entry = book.add(life)
        book.gone(life)
        del life
        gc.collect()
        self.assertIsNone(held())
        self.assertEqual((book.find("1").as_json()["state"], entry.decided().is_there), ("well", True))
        self.assertEqual(self.assertRaises(Problem, book.living, "1").kind, "conflict")
        for _ in range(MOST_ENDED):
            other = Life()
            book.add(other)
            book.gone(other)
        self.assertEqual(self.assertRaises(Problem, book.find, "1").kind, "not-found")

    def test_forgotten(self) -> None:
        """A book that is told so remembers nothing that has ended."""
        book: Book[LifeEntry] = Book("life", LifeEntry, keeps_ended=False)
        life = Life()
        book.add(life)
        book.gone(life)
        self.assertRaises(Problem, book.find, "1")

    def test_pages(self) -> None:
        """A page is the newest first, and says how the next one is had."""
        book: Book[LifeEntry] = Book("life", LifeEntry)
        lives = [Life() for _ in range(3)]
        for each in lives:
            book.add(each)
        first = book.listed("lives", is_over=False, limit=2, wanted={})
        self.assertEqual((first["total"], first["next"]), (3, "2"))
        last = book.listed("lives", is_over=False, limit=2, before=2, wanted={"state": "well"})
        self.assertEqual((len(last["lives"]), last["next"]), (1, None))  # type: ignore[arg-type]
        self.assertEqual(book.listed("lives", is_over=False, limit=2, wanted={"state": "ill"})["total"], 0)
