"""What a session tells, in which order, and the events by which it does (rows H12, H15, H18, K5).

For one thing that happens the order is always the same: first the session's own attributes are as they will be, then
``state_changed`` is told if the state is another one, then the event that says more, and last the Deferreds fire. What
a handler does to the session from within counts at once; what follows from it is told after the event that is being
told.

Handlers cost memory only where there are any: a session that nobody listens to has no events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, final, overload

from sip_p2p.endpoint.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.session.participant import EarlyDialog
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.message import Response

__all__ = ["InvitationAccepted", "ProvisionalResponseReceived", "RemoteAnswer", "SessionEvent"]

T = TypeVar("T")


@final
class SessionEvent(Generic[T]):
    """Stands in the class of the session for an :class:`~sip_p2p.endpoint.events.Event` that each session makes when
    somebody asks for it."""

    def __init__(self, words: str, changed: str = "") -> None:
        """
        :param words: when it is told, for the documents.
        :param changed: the session's method to call when the first handler comes and when the last one goes.
        """
        self.__doc__ = words
        self._name = ""
        self._changed = changed

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, session: None, owner: type) -> SessionEvent[T]: ...

    @overload
    def __get__(self, session: SignalingSession, owner: type) -> Event[T]: ...

    def __get__(self, session: SignalingSession | None, owner: type) -> Any:
        if session is None:
            return self
        events = session.events
        found = events.get(self._name)
        if found is None:
            bounds = session.endpoint.connection_manager.driver.log_bounds
            changed = getattr(session, self._changed) if self._changed else None
            found = events[self._name] = Event(changed, log_bounds=bounds)
        return found


@final
class ProvisionalResponseReceived:
    """A provisional response to our INVITE, 100 apart.

    :ivar response: the response.
    :ivar dialog: the early dialog that it belongs to; None where it made none.
    """

    __slots__ = ("dialog", "response")

    def __init__(self, response: Response, dialog: EarlyDialog | None) -> None:
        self.response = response
        self.dialog = dialog

    def __repr__(self) -> str:
        return f"<ProvisionalResponseReceived {self.response.status} {self.response.reason}>"


@final
class RemoteAnswer:
    """The peer answered our offer.

    :ivar description: the answer.
    :ivar is_preview: whether it came in a provisional response that may be lost, and will come again in the 2xx.
    :ivar dialog: the early dialog that it came in; None once the session stands.
    """

    __slots__ = ("description", "dialog", "is_preview")

    def __init__(self, description: ContentDescription, is_preview: bool, dialog: EarlyDialog | None) -> None:
        self.description = description
        self.is_preview = is_preview
        self.dialog = dialog


@final
class InvitationAccepted:
    """The peer accepted our INVITE; where the session was made with ``automatic_ack=False``, it waits for
    :meth:`acknowledge`.

    :ivar response: the 2xx.
    :ivar session: the session.
    """

    __slots__ = ("response", "session")

    def __init__(self, session: SignalingSession, response: Response) -> None:
        self.session = session
        self.response = response

    def acknowledge(self, answer: Any = None, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send the ACK (row H15); see :meth:`.SignalingSession.acknowledge`."""
        self.session.acknowledge(answer, headers=headers)
