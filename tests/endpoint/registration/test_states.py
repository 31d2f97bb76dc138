"""Tests of :mod:`sip_p2p.endpoint.registration.states`."""

from __future__ import annotations

from itertools import product
from typing import Any, cast

from sip_p2p.endpoint.registration.states import RegistrationState, RegistrationStateChanged, state_of
from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.registration.binding import BindingState
from tests.support import SynchronousTestCase


class StateOfTests(SynchronousTestCase):
    """From how the bindings stand to how the registration does."""

    def test_one(self) -> None:
        """A registration of one binding stands as that does."""
        expected = {
            BindingState.IDLE: "idle",
            BindingState.REGISTERING: "registering",
            BindingState.REGISTERED: "registered",
            BindingState.REFRESHING: "registered",
            BindingState.WAITING: "waiting for retry",
            BindingState.ENDING: "unregistering",
            BindingState.REMOVING: "unregistering",
            BindingState.OVER: "terminated",
        }
        self.assertEqual({state: state_of([state]).value for state in BindingState}, expected)

    def test_two(self) -> None:
        """Of several the best one counts, and only the end of all is the end."""
        for one, two in product(BindingState, repeat=2):
            self.assertIn(state_of([one, two]), (state_of([one]), state_of([two])))
            self.assertIs(state_of([one, two]), state_of([two, one]))
            is_over = one is two is BindingState.OVER
            self.assertEqual(state_of([one, two]) is RegistrationState.TERMINATED, is_over)

    def test_shown(self) -> None:
        """A change says from where to where, and why."""
        nobody = cast("Any", None)
        idle, waiting = RegistrationState.IDLE, RegistrationState.WAITING_FOR_RETRY
        shown = repr(RegistrationStateChanged(nobody, idle, waiting, ConnectionFailure("lost")))
        self.assertEqual(shown, "<RegistrationStateChanged idle -> waiting for retry: lost>")
