"""Everything that happens to a party, told in one place: requests, sessions, connections, and what an operator should
know.

What an application decides changes nothing here: a class of a user's own is told of as ``log`` is. Left out are the
responses to what was asked, which the transactions tell (:mod:`sip_p2p.observe`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.endpoint.session.calling import Calling
from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import host_and_port
from sip_p2p.service.json_lines import described, described_session, place, proved
from sip_p2p.service.parts import Part
from sip_p2p.service.words import explain
from sip_p2p.sip.message import Response

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.events import Event, StateChanged
    from sip_p2p.endpoint.flow_events import FlowLost, FlowOpened
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.listener_watch import AddressesChanged, ListenerLost
    from sip_p2p.endpoint.load_events import OverloadChanged, ThrottlingStateChanged
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.errors import TlsFailure
    from sip_p2p.service.happenings import Happenings
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.tls.expiry import CertificateExpiring

__all__ = ["Chronicle"]


@final
class Chronicle(Part):
    """Tells *happenings* of all that happens to *endpoint* and its connection manager, from the moment before it
    listens until it is gone.

    ========================  ======================================================================================
    event                     when
    ========================  ======================================================================================
    ``started``               the party listens, and its application has been told
    ``message``, ``request``  a MESSAGE or another request is about to be given to the application
    ``session``               a session has begun, a peer's or ours
    ``session-state``         its state is another one
    ``flow-opened``           a connection may carry messages
    ``flow-lost``             it is gone
    ``tls-failure``           a TLS connection came to nothing
    ``certificate-expiring``  one of our certificates runs out soon
    ``listener-lost``         a listener accepts nothing any more, though nobody has stopped it
    ``addresses-changed``     the machine has other addresses than before
    ``overload``              more, or less, is refused because of overload
    ``throttled``             nothing more is read from a peer, or it is read again
    ``state``                 peers can connect to the party, or cannot any more
    ``reloaded``              files were read anew
    ``stopping``, ``stopped`` a stop has begun, and is over
    ========================  ======================================================================================
    """

    def __init__(self, happenings: Happenings, endpoint: SipPeerToPeerEndpoint) -> None:
        self._happenings = happenings
        self._tell = happenings.emit
        self._endpoint = endpoint
        self._followed: list[tuple[Event[Any], Any]] = []

    def listen(self) -> None:
        """From now on everything is told."""
        endpoint, manager = self._endpoint, self._endpoint.connection_manager
        self._followed = [
            (endpoint.state_changed, self._state_changed),
            (manager.dispatch.heard, self._heard),
            (manager.sessions.begun, self._session_begun),
            (manager.sessions.state_changed, self._session_changed),
            (manager.flow_opened, self._flow_opened),
            (manager.flow_lost, self._flow_lost),
            (manager.tls_failed, self._tls_failed),
            (manager.listener_lost, self._listener_lost),
            (manager.addresses_changed, self._addresses_changed),
            (manager.overload_changed, self._overload_changed),
            (manager.throttling_changed, self._throttling_changed),
        ]
        if isinstance(manager, RealTimeServerTlsConnectionManager):
            self._followed.append((manager.certificate_expiring, self._certificate_expiring))
        for event, handler in self._followed:
            event.subscribe(handler)

    def started(self) -> None:
        """Tell where the party can be found."""
        endpoint = self._endpoint
        self._tell(
            "started",
            uri=str(endpoint.aor),
            contact=str(endpoint.contact_uri),
            state=endpoint.state.value,
            listening=[place(listener) for listener in endpoint.connection_manager.listeners],
        )

    def stopping(self) -> None:
        """A stop has begun."""
        self._tell("stopping", sessions=len(self._endpoint.connection_manager.sessions))

    def ended(self) -> None:
        """It is over."""
        for event, handler in self._followed:
            event.unsubscribe(handler)
        self._followed = []
        self._tell("stopped")

    # -- requests and sessions -----------------------------------------------------------------------------------------

    def _heard(self, heard: tuple[IncomingRequest, SignalingSession | None]) -> None:
        if self._happenings.is_unheard:
            return
        request, session = heard
        fields = described(request)
        if session is not None:
            fields["session"] = session.number
        self._tell("message" if request.method == "MESSAGE" else "request", **fields, flow=request.flow.number)

    def _session_begun(self, session: SignalingSession) -> None:
        fields = described_session(session)
        fields |= {"call_id": session.call_id, "session": session.number}
        peer = session.peer
        if peer is not None:
            fields["flow"] = peer.flow.number
        if isinstance(session.set_up, Calling):
            fields["to"] = without_passwords(str(session.set_up.plan.uri))
        self._tell("session", direction="in" if session.is_incoming else "out", **fields)

    def _session_changed(self, changed: tuple[SignalingSession, SignalingStateChanged]) -> None:
        session, change = changed
        status = {"status": change.message.status} if isinstance(change.message, Response) else {}
        self._tell(
            "session-state",
            call_id=session.call_id,
            session=session.number,
            state=change.state.name.lower(),
            previous_state=change.previous_state.name.lower(),
            reason=change.reason.name.lower(),
            **status,
        )

    # -- connections ---------------------------------------------------------------------------------------------------

    def _flow_opened(self, event: FlowOpened) -> None:
        self._tell("flow-opened", **_described_flow(event.flow), **proved(event.peer))

    def _flow_lost(self, event: FlowLost) -> None:
        self._tell(
            "flow-lost",
            **_described_flow(event.flow),
            **proved(event.peer),
            reason=str(event.reason),
            age=round(event.age, 3),
            messages_in=event.messages_in,
            messages_out=event.messages_out,
            transactions=len(event.transactions),
        )

    def _tls_failed(self, failure: TlsFailure) -> None:
        words = explain(failure)
        self._tell("tls-failure", reason=failure.reason.name, peer=failure.peer, words=words.what, remedy=words.remedy)

    def _throttling_changed(self, event: ThrottlingStateChanged) -> None:
        self._tell("throttled", is_throttled=event.is_throttled, **_described_flow(event.flow), **proved(event.peer))

    # -- what an operator should know ----------------------------------------------------------------------------------

    def _state_changed(self, event: StateChanged) -> None:
        self._tell(
            "state", state=event.state.value, previous_state=event.previous_state.value, reason=event.reason.value
        )

    def _listener_lost(self, event: ListenerLost) -> None:
        self._tell("listener-lost", **place(event.listener), reason=event.reason, retry_in=event.retry_in)

    def _addresses_changed(self, event: AddressesChanged) -> None:
        self._tell("addresses-changed", added=sorted(event.added), removed=sorted(event.removed))

    def _overload_changed(self, event: OverloadChanged) -> None:
        self._tell("overload", state=event.state.value, previous_state=event.previous_state.value, reason=event.reason)

    def _certificate_expiring(self, notice: CertificateExpiring) -> None:
        self._tell("certificate-expiring", days_left=round(notice.days_left, 1), words=str(notice))


def _described_flow(flow: LiveFlow) -> dict[str, object]:
    return {
        "flow": flow.number,
        "direction": "in" if flow.is_incoming else "out",
        "local_address": host_and_port(flow.local_host, flow.local_port),
    }
