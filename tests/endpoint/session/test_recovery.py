"""Sessions whose connection is lost: the machine pair by pair, and two or three parties that find each other again."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from sip_p2p.endpoint.session.recovery import Recovery, RouteSet, RouteSetStatus
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    pass

STATES = ("healthy", "recovering", "waiting", "lost")
INPUTS = ("lost", "attempted", "failed", "failed at last", "heard")

TABLE = (
    # state, input, with Recovery.NONE, with LIMITED, with MAXIMUM; what is added says when to look for it next
    ("healthy", "lost", "healthy", "recovering in 3", "recovering in 3"),
    ("healthy", "attempted", "healthy", "healthy", "healthy"),
    ("healthy", "failed", "healthy", "healthy", "healthy"),
    ("healthy", "failed at last", "healthy", "healthy", "healthy"),
    ("healthy", "heard", "healthy", "healthy", "healthy"),
    ("recovering", "lost", "-", "recovering in 3", "recovering in 3"),
    ("recovering", "attempted", "-", "recovering", "recovering"),
    ("recovering", "failed", "-", "recovering in 1", "recovering in 1"),
    ("recovering", "failed at last", "-", "lost", "waiting"),
    ("recovering", "heard", "-", "healthy", "healthy"),
    ("waiting", "lost", "-", "-", "waiting"),
    ("waiting", "attempted", "-", "-", "waiting"),
    ("waiting", "failed", "-", "-", "waiting"),
    ("waiting", "failed at last", "-", "-", "waiting"),
    ("waiting", "heard", "-", "-", "healthy"),
    ("lost", "lost", "-", "lost", "-"),
    ("lost", "attempted", "-", "lost", "-"),
    ("lost", "failed", "-", "lost", "-"),
    ("lost", "failed at last", "-", "lost", "-"),
    ("lost", "heard", "-", "lost", "-"),
)


def route_set(recovery: Recovery, state: str) -> RouteSet | None:
    """One in *state* at 1000 s, or None where there is no way to it."""
    route = RouteSet(recovery)
    if state != "healthy":
        route.lost(1000.0, 3.0, 180.0)
    if state in ("waiting", "lost"):
        route.attempted()
        route.failed(1180.0)
    return route if route.status.name.lower() == state else None


def happens(route: RouteSet, what: str) -> str:
    """The state after that, and in how many seconds it is looked for."""
    if what == "lost":
        route.lost(1000.0, 3.0, 180.0)
    elif what == "attempted":
        route.attempted()
    elif what == "heard":
        route.heard()
    else:
        route.failed(1180.0 if what == "failed at last" else 1000.0)
    state = route.status.name.lower()
    return state if route.next_attempt is None else f"{state} in {route.next_attempt - 1000.0:g}"


class MachineTests(SynchronousTestCase):
    """The way to one peer, as far as it is known."""

    def test_table(self) -> None:
        """Every pair of a state and an input leads where the table says, under each of the three modes (row:H32)."""
        self.assertEqual([row[:2] for row in TABLE], list(itertools.product(STATES, INPUTS)))
        for state, what, *expected in TABLE:
            for recovery, outcome in zip(Recovery, expected, strict=True):
                route = route_set(recovery, state)
                seen = "-" if route is None else happens(route, what)
                self.assertEqual(seen, outcome, (state, what, recovery))

    def test_pauses(self) -> None:
        """Each attempt that fails doubles the time to the next one, up to half a minute; the last one is made when the
        time is up (row:H32)."""
        route = RouteSet(Recovery.LIMITED)
        route.lost(0.0, 0.5, 100.0)
        times = []
        while route.next_attempt is not None:
            times.append(now := route.next_attempt)
            route.attempted()
            route.failed(now)
        self.assertEqual(times, [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5, 100.0])
        self.assertIs(route.status, RouteSetStatus.LOST)

    def test_again(self) -> None:
        """A way that was found and is lost again is looked for as if it were the first time."""
        route = RouteSet(Recovery.LIMITED)
        for now in (0.0, 1000.0):
            route.lost(now, 0.0, 10.0)
            for failure in (now, now + 1.0):
                route.attempted()
                route.failed(failure)
            self.assertEqual(route.next_attempt, now + 3.0)
            route.heard()
            self.assertEqual((route.status, route.next_attempt), (RouteSetStatus.HEALTHY, None))

    def test_lost_at_once(self) -> None:
        """A way that is lost again and again as soon as it was found is looked for ever more rarely, until it has held
        for a minute (row:H32)."""
        route = RouteSet(Recovery.LIMITED)
        now, pauses = 0.0, []
        for _ in range(8):
            route.lost(now, 0.25, 180.0)
            assert route.next_attempt is not None
            pauses.append(route.next_attempt - now)
            now = route.next_attempt + 0.1
            route.attempted()
            route.heard()
        self.assertEqual([round(pause, 2) for pause in pauses], [0.25, 1, 2, 4, 8, 16, 30, 30])
        route.lost(now + 61.0, 0.25, 180.0)
        self.assertEqual(route.next_attempt, now + 61.25)
