"""Two user agents, or three with a proxy that forks, under any sequence of deeds and mishaps: never an exception,
nothing on the wire that may not be there, nothing told twice, and in the end everybody agrees and nothing is left.

What can happen is :mod:`.deeds`, what may never be said is :mod:`.wire_rules`, and what an application may be told is
:mod:`.player`. As many steps as ``SIP_P2P_MODEL_STEPS`` says are played, from the seed ``SIP_P2P_MODEL_SEED`` on.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.usage import InviteUsage
from tests.sip.dialog.deeds import BEGINNINGS, DEEDS, OFTEN, Life
from tests.sip.dialog.lives import play_some

STEPS = int(os.environ.get("SIP_P2P_MODEL_STEPS", "4000"))
SEED = int(os.environ.get("SIP_P2P_MODEL_SEED", "0"))
STEPS_A_LIFE = 50


def _choices(deed: str) -> st.SearchStrategy[tuple[str, tuple[int, ...]]]:
    return st.tuples(st.just(deed), st.tuples(*(st.integers(0, choices - 1) for choices in DEEDS[deed])))


deeds: Any = st.one_of([_choices(deed) for deed in (*OFTEN, *OFTEN, *DEEDS)])


class LifeMachine(RuleBasedStateMachine):
    """One life."""

    @initialize(
        count=st.sampled_from((2, 3)),
        reliable=st.booleans(),
        lots=st.integers(0, 1000),
        beginning=st.sampled_from(BEGINNINGS),
    )
    def begin(self, count: int, reliable: bool, lots: int, beginning: Any) -> None:
        """Two or three, over datagrams or streams, with nothing or with a session already."""
        self.life = Life(count, reliable=reliable, seed=lots)
        for deed in beginning:
            self.life.play(*deed)

    @rule(deed=deeds)
    def do(self, deed: tuple[str, tuple[int, ...]]) -> None:
        """Somebody does something, something goes wrong, or time passes."""
        self.life.play(*deed)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Whatever is over has been told."""
        if hasattr(self, "life"):
            self.life.check()

    def teardown(self) -> None:
        """Everything comes to its end; both sides of each session agree, and nothing is left of any."""
        if hasattr(self, "life"):
            self.life.end()


class ModelTests(SynchronousTestCase):
    """Sessions, by their rules."""

    def test_any_sequence(self) -> None:
        """Call, ring, accept, refuse, redirect, offer, answer, change, hang up, crash, and lose, delay, repeat and
        reorder messages, in any order: both sides agree in the end, on the same descriptions and on one refresher
        (row:H1, row:H12, row:H19, row:H26, fault:C5, fault:C6, fault:D3, fault:D7)."""
        machine: Any = LifeMachine
        run_state_machine_as_test(
            seed(SEED)(machine),
            settings=settings(
                max_examples=max(STEPS // STEPS_A_LIFE, 1),
                stateful_step_count=STEPS_A_LIFE,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_many_lives(self) -> None:
        """The same by a random generator, which plays more of them in the same time (row:H1, fault:C5, fault:D3)."""
        _, failed = play_some(STEPS * 3, SEED)
        if failed is not None:
            self.fail(f"{failed.failure()}\n{failed}")

    def test_nothing_is_left(self) -> None:
        """Not even an object of the sessions of many lives (row:H1)."""
        play_some(600, SEED)
        gc.collect()
        before = sum(isinstance(each, InviteUsage) for each in gc.get_objects())
        play_some(1200, SEED + 100)
        gc.collect()
        self.assertEqual(sum(isinstance(each, InviteUsage) for each in gc.get_objects()), before)
