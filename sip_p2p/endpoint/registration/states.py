"""How a registration stands, and what is told when that changes."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.sip.registration.binding import BindingState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.registration.registration import Registration

__all__ = ["RegistrationState", "RegistrationStateChanged", "state_of"]


class RegistrationState(enum.Enum):
    """How a registration stands, over all of its flows."""

    IDLE = "idle"
    """Nothing was sent."""

    REGISTERING = "registering"
    """A registrar was asked, and no binding stands."""

    REGISTERED = "registered"
    """A binding stands: the registrar knows where we are."""

    WAITING_FOR_RETRY = "waiting for retry"
    """There is none at the moment; it is asked for again after a while."""

    UNREGISTERING = "unregistering"
    """The registrar was asked to forget us."""

    TERMINATED = "terminated"
    """It is over."""


_UNREGISTERING = (BindingState.ENDING, BindingState.REMOVING)
_ORDER = (
    (RegistrationState.REGISTERED, (BindingState.REGISTERED, BindingState.REFRESHING)),
    (RegistrationState.REGISTERING, (BindingState.REGISTERING,)),
    (RegistrationState.WAITING_FOR_RETRY, (BindingState.WAITING,)),
    (RegistrationState.UNREGISTERING, _UNREGISTERING),
    (RegistrationState.IDLE, (BindingState.IDLE,)),
)


def state_of(bindings: Iterable[BindingState]) -> RegistrationState:
    """How a registration stands whose bindings stand so: the best of them counts, and the end of all ends it."""
    found = frozenset(bindings)
    for state, those in _ORDER:
        if not found.isdisjoint(those):
            return state
    return RegistrationState.TERMINATED


@final
class RegistrationStateChanged:
    """A registration stands in another way.

    :ivar registration: which.
    :ivar previous_state: how it stood.
    :ivar state: how it stands.
    :ivar reason: why, where something went wrong: a :class:`~sip_p2p.errors.SipError`; else None.
    """

    __slots__ = ("previous_state", "reason", "registration", "state")

    def __init__(
        self,
        registration: Registration,
        previous_state: RegistrationState,
        state: RegistrationState,
        reason: BaseException | None,
    ) -> None:
        self.registration = registration
        self.previous_state = previous_state
        self.state = state
        self.reason = reason

    def __repr__(self) -> str:
        why = "" if self.reason is None else f": {self.reason}"
        return f"<RegistrationStateChanged {self.previous_state.value} -> {self.state.value}{why}>"
