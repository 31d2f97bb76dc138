"""Entries by their numbers: what lives, and for a while what has ended."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from sip_p2p.observe.text import in_words, printable
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.waiting import Outcome

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["MOST_ENDED", "Book", "Entry"]

MOST_ENDED = 256
"""Entries of one book that are remembered after their end; the oldest gives way."""

L = TypeVar("L")
E = TypeVar("E", bound="Entry")  # type: ignore[type-arg]


class Entry(Generic[L]):
    """One life, and what is known of it beside what it says itself; derive from it, and say :meth:`facts`.

    :ivar key: its number, as text.
    :ivar life: it; None once it has ended.
    :ivar began: when, in seconds since 1970.
    :ivar changed: when its state became what it is.
    :ivar state: the state that was told last.
    :ivar failure: what went wrong, as JSON; None for nothing.
    :ivar outcome: comes when it stands, or is over.
    """

    __slots__ = ("_said", "began", "changed", "failure", "key", "life", "outcome", "state")

    def __init__(self, key: str, life: L) -> None:
        self.key = key
        self.life: L | None = life
        self.began = self.changed = time.time()
        self.state = ""
        self.failure: dict[str, object] | None = None
        self.outcome: Outcome | None = None
        self._said: dict[str, object] = {}

    def facts(self, life: L) -> dict[str, object]:
        """What *life* says of itself, its ``state`` among it."""
        raise TypeError("Entry.facts is abstract")

    def fail(self, failure: Failure) -> None:
        """It came to nothing."""
        from sip_p2p.service.http.descriptions import failure as described

        self.failure = described(failure)

    def decided(self) -> Outcome:
        """What comes when it stands, or is over."""
        if self.outcome is None:
            self.outcome = Outcome()
        return self.outcome

    def settle(self) -> None:
        """It stands, or is over: nobody waits any longer."""
        self.decided().come()

    def end(self) -> None:
        """Keep what there is to know of it, and not itself."""
        if self.life is not None:
            self._said = self.facts(self.life)
            self.life = None
            self.changed = time.time()
        self.over()

    def over(self) -> None:
        """It has ended: nobody waits any longer."""
        self.settle()

    def as_json(self) -> dict[str, object]:
        """It as the API has it."""
        said = self._said if self.life is None else self.facts(self.life)
        said = {"id": self.key, **said, "began": in_words(self.began), "changed": in_words(self.changed)}
        return said if self.failure is None else said | {"failure": self.failure}


class Book(Generic[E]):
    """All entries of one kind.

    :param what: what one is called.
    :param make: makes an entry of its number and its life.
    :param keeps_ended: whether what has ended is remembered for a while.
    """

    def __init__(self, what: str, make: type[E], *, keeps_ended: bool = True) -> None:
        self._what = what
        self._make = make
        self._keeps_ended = keeps_ended
        self._live: dict[str, E] = {}
        self._ended: collections.OrderedDict[str, E] = collections.OrderedDict()
        self._keys: dict[object, str] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many live."""
        return len(self._live)

    def add(self, life: object) -> E:
        """The entry of *life*, which is made when there is none."""
        known = self.entry_of(life)
        if known is not None:
            return known
        self._count += 1
        entry: E = self._make(str(self._count), life)
        self._live[entry.key] = entry
        self._keys[life] = entry.key
        return entry

    def newest(self) -> E:
        """The one that was added last, and lives; there has to be one."""
        return self._live[next(reversed(self._live))]

    def entry_of(self, life: object) -> E | None:
        """The entry of *life*; None for what has none, or none any more."""
        key = self._keys.get(life)
        return None if key is None else self._live.get(key)

    def gone(self, life: object) -> E | None:
        """*life* has ended; its entry, the first time."""
        key = self._keys.pop(life, None)
        if key is None:
            return None
        entry = self._live.pop(key)
        entry.end()
        if self._keeps_ended:
            self._ended[key] = entry
            if len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)
        return entry

    def find(self, key: str) -> E:
        """The one of that number.

        :raises Problem: there is none, or none any more.
        """
        found = self._live.get(key) or self._ended.get(key)
        if found is None:
            raise Problem("not-found", f"There is no {self._what} {printable(key)}, or none any more.")
        return found

    def living(self, key: str) -> E:
        """The same for one that is not over.

        :raises Problem: there is none, or it is over.
        """
        found = self.find(key)
        if found.life is None:
            raise Problem("conflict", f"The {self._what} {printable(key)} is over.", retryable=False)
        return found

    def listed(
        self, name: str, *, is_over: bool, limit: int, before: int | None = None, wanted: dict[str, object]
    ) -> dict[str, object]:
        """A page of them, the newest first.

        :param name: how the list is called.
        :param is_over: those that have ended, in the place of those that live.
        :param before: begin after the one of this number.
        :param wanted: what their members must be; nothing is asked of them where this is empty.
        """
        entries = list((self._ended if is_over else self._live).values())
        entries.reverse()
        if wanted:
            entries = [entry for entry in entries if _fits(entry.as_json(), wanted)]
        rest = entries if before is None else [entry for entry in entries if int(entry.key) < before]
        page = rest[:limit]
        return {
            name: [entry.as_json() for entry in page],
            "total": len(entries),
            "next": page[-1].key if len(rest) > limit else None,
        }


def _fits(said: dict[str, object], wanted: dict[str, object]) -> bool:
    return all(said.get(name) == value for name, value in wanted.items())
