"""Lives by the thousand, as a random generator has them, and what is left of one that fails when all deeds that do not
matter are taken out of it.

That is many times as fast as Hypothesis; :mod:`.test_model` has both.
"""

from __future__ import annotations

import random
import traceback
from time import monotonic

from tests.sip.dialog.deeds import BEGINNINGS, DEEDS, OFTEN, Life

__all__ = ["Story", "play_some"]

_STEPS = 60
_PATIENCE = 20.0


class Story:
    """What happens in one life, and around it.

    :ivar count: how many players there are.
    :ivar reliable: whether they have streams.
    :ivar seed: what the wires draw their lots from.
    :ivar deeds: the deeds, in their order.
    """

    def __init__(self, seed: int, steps: int = _STEPS) -> None:
        chance = random.Random(seed)
        # No life has everything in it: some deeds leave no time for others.
        usual = chance.sample(list(DEEDS), chance.randrange(6, len(DEEDS))) + list(OFTEN) * chance.randrange(1, 4)
        names = [chance.choice(usual) for _ in range(steps)]
        self.deeds = [(name, tuple(chance.randrange(choices) for choices in DEEDS[name])) for name in names]
        self.deeds[:0] = chance.choice(BEGINNINGS)
        self.count = chance.choice((2, 2, 3))
        self.reliable = chance.random() < 0.3
        self.seed = seed

    def play(self) -> None:
        """All of it, up to the question whether everybody agrees and nothing is left."""
        life = Life(self.count, reliable=self.reliable, seed=self.seed)
        for name, choices in self.deeds:
            life.play(name, choices)
            life.check()
        life.end()

    def failure(self) -> str:
        """What goes wrong, and where; empty where nothing does."""
        try:
            self.play()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {error} in {where.name}"
        return ""

    def shorten(self) -> None:
        """Leave out whatever the failure does not need."""
        wanted, end = self.failure(), monotonic() + _PATIENCE
        size = len(self.deeds) // 2
        while size and monotonic() < end:
            for start in range(len(self.deeds) - size, -1, -size):
                before = self.deeds
                self.deeds = before[:start] + before[start + size :]
                if self.failure() != wanted:
                    self.deeds = before
            size //= 2

    def __str__(self) -> str:
        said = [f"{self.count} players, {'streams' if self.reliable else 'datagrams'}, seed {self.seed}"]
        return "\n    ".join([*said, *(str(deed) for deed in self.deeds)])


def play_some(steps: int, seed: int = 0) -> tuple[int, Story | None]:
    """Play lives with as many *steps* altogether, until one fails; return how many were played, and that one."""
    played = 0
    while played < steps:
        story = Story(seed)
        played += len(story.deeds)
        seed += 1
        if story.failure():
            story.shorten()
            return played, story
    return played, None
