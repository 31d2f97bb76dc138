"""The sessions of a party, as others may see them: the event package ``dialog`` (RFC 4235).

Each NOTIFY has the whole state, with a version that rises by one, and once each session that has ended since the last
one. Who talks to whom is nobody else's business: only the party itself, at another of its devices, may know unless
somebody says who else may. Left out on purpose: partial notifications, which are recommended and never have to be sent
(section 3.7); targets and session descriptions, which say where somebody is; passing over a subscriber's own calls with
the party (section 3.3); and the one dialog that stands for all, for those who may know no more than that a line is busy
(section 3.7.2).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, final

from sip_p2p.documents.dialog_info import MEDIA_TYPE, DialogEntry, DialogInfo, DialogParty
from sip_p2p.documents.xml import clean_text
from sip_p2p.endpoint.session.calling import Calling
from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.endpoint.subscription.package import EventPackage, Verdict, resource_name
from sip_p2p.sip.event.terms import read_event
from sip_p2p.sip.message import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.endpoint.subscription.server import ServerSubscription

__all__ = ["DialogPackage", "entry_of"]

_MOST_ENDED = 64
"""How many sessions that have ended are remembered for those who have not been told."""

_MOST_TOLD = 128
"""How many sessions one NOTIFY tells of; the oldest are left out."""

_STATES = {
    SignalingState.ALERTED: "early",
    SignalingState.REDIRECTING: "trying",
    SignalingState.CONNECTED: "confirmed",
    SignalingState.DISCONNECTED: "terminated",
}

_EVENTS = {
    SignalingTransitionReason.CANCELED: "cancelled",
    SignalingTransitionReason.TERMINATED_REMOTELY: "remote-bye",
    SignalingTransitionReason.TIMEOUT: "timeout",
    SignalingTransitionReason.SESSION_TIMER_EXPIRED: "timeout",
}

_NAMED = (("call-id", "call_id"), ("to-tag", "local_tag"), ("from-tag", "remote_tag"))
"""The parameters of Event that name a dialog (section 3.2), and what of it each one names."""


def _state_of(session: SignalingSession) -> str:
    """The state of section 3.7.1; empty where nothing was sent yet."""
    if session.state is SignalingState.CONNECTING:
        # What we have accepted is confirmed with our 2xx, whether or not its ACK has come.
        return "confirmed" if session.is_incoming else "trying"
    if session.state is SignalingState.INCOMING:
        # It is early once it rings: a response with a tag has made a dialog.
        return "early" if session.early_dialogs else "trying"
    return _STATES.get(session.state, "")


def _event_of(changed: SignalingStateChanged, session: SignalingSession) -> tuple[str, int | None]:
    """What ended a session, and the status of the response to its INVITE that did (sections 3.7.1 and 4.1.2)."""
    message, previous = changed.message, changed.previous_state
    code = message.status if isinstance(message, Response) and message.status >= 300 else None
    is_local = changed.reason is SignalingTransitionReason.TERMINATED_LOCALLY
    if previous is SignalingState.CONNECTED:
        # A response that ends it is one to another request, 481 or 408.
        event = "error" if code is not None else _EVENTS.get(changed.reason, "error")
        return "local-bye" if is_local else event, None
    if is_local:
        return ("rejected", code) if session.is_incoming else ("cancelled", code)
    event = _EVENTS.get(changed.reason, "rejected")
    if event == "timeout" and not (session.is_incoming and previous is SignalingState.CONNECTING):
        # Only what is confirmed ends by one: an INVITE without an answer is as good as one that was answered 408.
        event = "rejected"
    return event, code


def entry_of(
    session: SignalingSession,
    changed: SignalingStateChanged | None = None,
    remote: DialogParty | None = None,
    *,
    is_replaced: bool = False,
    replaces: tuple[str, str, str] | None = None,
) -> DialogEntry | None:
    """*session* as others may see it; None for one of which nobody knows yet.

    :param changed: what has ended it; None while it lives.
    :param remote: the other side, where it is known from before; by default what the session says.
    :param is_replaced: whether another one has taken its place (RFC 3891), which has ended it.
    :param replaces: Call-ID, local and remote tag of the one whose place it takes; None for none.
    """
    state = _state_of(session)
    if not state:
        return None
    event, code = ("", None) if changed is None else _event_of(changed, session)
    if is_replaced and changed is not None:
        event, code = "replaced", None
    local_tag, remote_tag = _tags_of(session)
    return DialogEntry(
        str(session.number),
        state,
        event,
        code,
        clean_text(session.call_id),
        local_tag,
        remote_tag,
        "recipient" if session.is_incoming else "initiator",
        local=DialogParty(str(session.endpoint.owner_uri)),
        remote=_remote_of(session) if remote is None else remote,
        replaces=replaces,
    )


def _tags_of(session: SignalingSession) -> tuple[str, str]:
    """Our tag and the peer's, as far as they are there (section 4.1.1)."""
    usage, invite, set_up = session.usage, session.invite, session.set_up
    if usage is None and set_up is not None and set_up.early_usages:
        usage = set_up.early_usages[0]
    if usage is not None:
        return usage.dialog.local_tag, clean_text(usage.dialog.remote_tag)
    if invite is not None:
        return "", clean_text(invite.from_.tag or "")
    return set_up.plan.from_tag if isinstance(set_up, Calling) else "", ""


def _remote_of(session: SignalingSession) -> DialogParty | None:
    """The other side of *session*; None where nothing is known of it, as when it has ended before it stood."""
    participant, invite, set_up = session.participant, session.invite, session.set_up
    if participant is not None:
        return _party(str(participant.uri), participant.display_name)
    if invite is not None:
        return _party(invite.from_.uri_text, invite.from_.display_name)
    return _party(set_up.plan.uri, "") if isinstance(set_up, Calling) else None


def _party(uri: str, display: str) -> DialogParty:
    # Neither has to be what a document can carry, for a peer may have written them.
    return DialogParty(clean_text(uri), clean_text(display))


@final
class _Told:
    """What one subscriber wants to be told, and has been.

    :ivar named: what it has named of the dialogs that it is about; empty for all.
    :ivar version: the version of its next NOTIFY.
    :ivar ended: how many sessions had ended when it was told last; None before it was told anything.
    """

    __slots__ = ("ended", "named", "version")

    def __init__(self, named: Mapping[str, str]) -> None:
        self.named = named
        self.version = 0
        self.ended: int | None = None

    def is_about(self, entry: DialogEntry) -> bool:
        """Whether it wants to be told of *entry*."""
        return all(getattr(entry, name) == value for name, value in self.named.items())


@final
class DialogPackage(EventPackage):
    """The sessions of *endpoint*: ``endpoint.packages.add(DialogPackage(endpoint))``.

    :param endpoint: whose sessions are told; nobody else's.
    :param may_watch: says who may know: it is given the SUBSCRIBE and says a :class:`.Verdict`, True or False, or a
        Deferred or coroutine of one. By default only the party itself, which has proved its address.
    """

    name = "dialog"
    content_types = (MEDIA_TYPE,)
    # RFC 4235 sections 3.4 and 3.10.
    default_expires = 3600
    shortest_interval = 1.0

    def __init__(self, endpoint: RealTimeEndpoint, may_watch: Callable[[IncomingRequest], Any] | None = None) -> None:
        self._endpoint = endpoint
        self._may_watch = may_watch
        self._ended: OrderedDict[int, DialogEntry] = OrderedDict()
        self._count = 0
        # With whom the sessions are that do not stand yet: what ends early forgets it.
        self._remotes: dict[int, DialogParty] = {}
        # Which session each one takes the place of: its number, and its dialog as section 4.1.4 names it.
        self._replacing: dict[int, tuple[int, tuple[str, str, str]]] = {}
        # Those whose place was taken, and which end because of that.
        self._replaced: set[int] = set()
        sessions = endpoint.connection_manager.sessions
        sessions.begun.subscribe(self._session_begun)
        sessions.rang.subscribe(self._session_rang)
        sessions.state_changed.subscribe(self._session_changed)

    def close(self) -> None:
        """Follow the sessions no longer."""
        sessions = self._endpoint.connection_manager.sessions
        sessions.begun.unsubscribe(self._session_begun)
        sessions.rang.unsubscribe(self._session_rang)
        sessions.state_changed.unsubscribe(self._session_changed)
        self._ended.clear()
        self._remotes.clear()
        self._replacing.clear()
        self._replaced.clear()

    def authorise(self, request: IncomingRequest) -> Any:
        """Ask whoever was given, or take nobody but the party itself."""
        if self._may_watch is not None:
            return self._may_watch(request)
        is_self = resource_name(request.from_.uri) == resource_name(self._endpoint.owner_uri)
        return Verdict.accept() if is_self and request.is_proved_sender else Verdict.reject()

    def resource_of(self, request: IncomingRequest) -> str:
        """It is always about the party."""
        return str(self._endpoint.owner_uri)

    def subscribed(self, subscription: ServerSubscription, request: IncomingRequest) -> None:
        """Remember which dialog it is about, where Event names one."""
        event = read_event(request.request)
        params = {} if event is None else event.params
        subscription.context = _Told({name: value for param, name in _NAMED if (value := params.get(param))})

    def state(self, subscription: ServerSubscription) -> tuple[str, bytes]:
        """All sessions that live, and those that have ended since *subscription* was told last; of one that has named a
        dialog, that one."""
        told = subscription.context
        if not isinstance(told, _Told):
            told = subscription.context = _Told({})
        since = self._count if told.ended is None else told.ended
        live = [
            entry
            for session in self._endpoint.sessions
            if (entry := entry_of(session, replaces=self._place_of(session))) is not None
        ]
        entries = [entry for entry in live if not entry.is_terminated]
        entries += [entry for number, entry in self._ended.items() if number > since]
        entries = [entry for entry in entries if told.is_about(entry)]
        info = DialogInfo(resource_name(self._endpoint.owner_uri), told.version, tuple(entries[-_MOST_TOLD:]))
        told.version += 1
        told.ended = self._count
        return MEDIA_TYPE, info.to_bytes()

    def _place_of(self, session: SignalingSession) -> tuple[str, str, str] | None:
        """The dialog whose place *session* takes; None for none."""
        known = self._replacing.get(session.number)
        return None if known is None else known[1]

    def _session_begun(self, session: SignalingSession) -> None:
        if session.endpoint is not self._endpoint:
            return
        remote = _remote_of(session)
        if remote is not None:
            self._remotes[session.number] = remote
        replacement = session.replacement
        usage = None if replacement is None or replacement.is_join else replacement.session.usage
        if replacement is not None and usage is not None:
            dialog = usage.dialog
            named = (clean_text(dialog.call_id), dialog.local_tag, clean_text(dialog.remote_tag))
            self._replacing[session.number] = (replacement.session.number, named)
        if session.is_incoming:
            self.changed()

    def _session_rang(self, session: SignalingSession) -> None:
        if session.endpoint is self._endpoint:
            self.changed()

    def _session_changed(self, told: tuple[SignalingSession, SignalingStateChanged]) -> None:
        session, changed = told
        if session.endpoint is not self._endpoint:
            return
        if changed.state is SignalingState.CONNECTED and session.number in self._replacing:
            # RFC 3891 section 3: now that it stands, the other one ends.
            self._replaced.add(self._replacing[session.number][0])
        if changed.state is SignalingState.DISCONNECTED:
            remote, place = self._remotes.pop(session.number, None), self._place_of(session)
            is_replaced = session.number in self._replaced
            self._replaced.discard(session.number)
            replaced = self._replacing.pop(session.number, None)
            if replaced is not None:
                self._replaced.discard(replaced[0])
            is_new = changed.previous_state is SignalingState.IDLE
            entry = None if is_new else entry_of(session, changed, remote, is_replaced=is_replaced, replaces=place)
            if entry is not None:
                self._count += 1
                self._ended[self._count] = entry
                if len(self._ended) > _MOST_ENDED:
                    self._ended.popitem(last=False)
        self.changed()
