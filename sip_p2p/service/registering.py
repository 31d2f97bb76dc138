"""A service that registers: from its start to its stop its registrar knows where it is (RFC 3261 section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.service.parts import Part
from sip_p2p.service.words import explain

if TYPE_CHECKING:
    from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
    from sip_p2p.endpoint.registration.states import RegistrationStateChanged
    from sip_p2p.service.happenings import Happenings
    from sip_p2p.sip.uri import SipUri

__all__ = ["Registering"]


@final
class Registering(Part):
    """Registers *endpoint* while the service runs, and tells *happenings* of ``registration``: how it stands, each time
    that this changes.

    Whatever the registrar says, it is asked again after a while: nobody sits beside a service to do so. The drain of a
    stop takes the binding out again.
    """

    def __init__(self, happenings: Happenings, endpoint: SipEndpoint, registrar: SipUri, expires: int) -> None:
        """
        :param expires: for how many seconds the registrar is to remember us.
        """
        self._happenings = happenings
        self._endpoint = endpoint
        self._registrar = registrar
        self._expires = expires

    def started(self) -> None:
        """Register."""
        self._endpoint.registration_changed.subscribe(self._changed)
        registering = self._endpoint.register(self._registrar, expires=self._expires, keep_trying=True)
        # That it came to nothing was told.
        registering.addErrback(lambda _: None)

    def _changed(self, event: RegistrationStateChanged) -> None:
        registration = event.registration
        self._happenings.emit(
            "registration",
            state=event.state.value,
            previous_state=event.previous_state.value,
            registrar=str(registration.registrar),
            expires=int(registration.expires),
            reason="" if event.reason is None else explain(event.reason, "registrar").what,
        )

    def ended(self) -> None:
        """Tell nothing more."""
        self._endpoint.registration_changed.unsubscribe(self._changed)
