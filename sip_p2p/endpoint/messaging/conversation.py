"""What passes between us and one other party: texts in order, one at a time, and who is writing (RFC 3428, 3994)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from sip_p2p.documents.is_composing import MEDIA_TYPE as COMPOSING
from sip_p2p.documents.is_composing import ComposingState, ComposingWatch, IsComposing
from sip_p2p.endpoint.messaging.message import OutgoingText
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import EndpointTerminated, InvalidOperation, RequestFailed, SipError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall

    from sip_p2p.endpoint.messaging.messenger import Messenger
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri

__all__ = ["Conversation", "Errand"]

MOST_WAITING = 1000
"""How many texts to one party may wait for those before them; more are refused at once."""

_UNSUPPORTED = 415


@final
class Errand:
    """One MESSAGE that is to go out, and who is told of what becomes of it."""

    __slots__ = ("arguments", "body", "content_type", "failed", "goes_out", "is_composing", "succeeded", "to")

    def __init__(self, to: SipUri, body: str | bytes, content_type: str | None, arguments: dict[str, Any]) -> None:
        self.to = to
        self.body = body
        self.content_type = content_type
        self.arguments = arguments
        self.is_composing = False
        self.goes_out: Callable[[], None] | None = None
        self.succeeded: Callable[[Response], None] | None = None
        self.failed: Callable[[Exception], None] | None = None

    @staticmethod
    def of(message: OutgoingText, body: str | bytes, content_type: str | None, arguments: dict[str, Any]) -> Errand:
        """That of a text."""
        errand = Errand(message.to, body, content_type, arguments)
        errand.goes_out, errand.succeeded, errand.failed = message.goes_out, message.accepted, message.failed
        return errand


@final
class Conversation:
    """What passes between us and one other party.

    :ivar messenger: whose it is.
    :ivar peer: the other party; where its own URI says more than that of another one with the same user and host, the
        one that we were told first counts.
    """

    __slots__ = ("_alarm", "_composer", "_is_pumping", "_pending", "_waiting", "_watch", "messenger", "peer")

    def __init__(self, messenger: Messenger, peer: SipUri) -> None:
        self.messenger = messenger
        self.peer = peer
        self._waiting: deque[Errand] = deque()
        self._pending: Errand | None = None
        self._is_pumping = False
        self._composer = messenger.composer()
        self._watch = ComposingWatch()
        self._alarm: IDelayedCall | None = None

    @property
    def is_peer_composing(self) -> bool:
        """Whether the other party is writing, as far as it tells."""
        return self._watch.state is ComposingState.ACTIVE

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way and nobody writes: it may be forgotten."""
        idle = self._composer.state is not ComposingState.ACTIVE and not self.is_peer_composing
        return idle and self._pending is None and not self._waiting

    def send(self, text: str | bytes, **arguments: Any) -> OutgoingText:
        """Send a text to the other party; the arguments are those of :meth:`.Messenger.send`."""
        return self.messenger.send(text, self.peer, **arguments)

    def composing(self) -> None:
        """Somebody has written something that is not sent yet: call it at each key. The other party is told when it
        begins, now and then while it goes on, and when it stops (RFC 3994); who does not want to know is told no more.

        :raises EndpointTerminated: when the messenger was closed.
        """
        check_thread()
        self.messenger.check_open()
        self._tell(self._composer.typed(self.messenger.now()))

    def given_up(self) -> None:
        """What was written is not sent after all; without this the other party learns it after 15 seconds."""
        check_thread()
        if not self.messenger.is_closed:
            self._tell(self._composer.stopped())

    # -- for the messenger ---------------------------------------------------------------------------------------------

    def add(self, errand: Errand, *, is_text: bool = True) -> None:
        """Something is to go out, after what waits already.

        :raises InvalidOperation: when too much does.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise InvalidOperation(f"{MOST_WAITING} messages to {self.peer} wait already", retryable=True)
        if is_text:
            self._composer.sent()
            # The text itself tells that it is written.
            self._waiting = deque(each for each in self._waiting if not each.is_composing)
            self._set_alarm()
        self._waiting.append(errand)
        self._pump()

    def heard(self, report: IsComposing | None) -> None:
        """The other party told that it writes or not; or, with None, sent what it has written."""
        watch = self._watch
        if watch.message_received() if report is None else watch.received(report, self.messenger.now()):
            self.messenger.composing_changed.tell(self)
        self._set_alarm()

    def close(self) -> None:
        """The messenger is closed: what waits is not sent, and nobody is told anything any more."""
        self._composer.refused()
        self._watch = ComposingWatch()
        self._set_alarm()
        waiting, self._waiting = self._waiting, deque()
        for errand in waiting:
            if errand.failed is not None:
                errand.failed(EndpointTerminated("the messenger was closed"))

    # -- what goes out -------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Send what waits, unless something is under way. One that fails at once makes room for the next, so this is a
        loop and calls nobody that calls it."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._waiting and self._pending is None:
                errand = self._pending = self._waiting.popleft()
                if errand.goes_out is not None:
                    errand.goes_out()
                self._begin(errand).addCallbacks(self._succeeded, self._failed)
        finally:
            self._is_pumping = False

    def _begin(self, errand: Errand) -> Deferred[Response]:
        endpoint = self.messenger.endpoint
        try:
            return endpoint.send_message(errand.to, errand.body, errand.content_type, **errand.arguments)
        except (ValueError, TypeError, SipError):
            return fail()

    def _succeeded(self, response: Response) -> None:
        errand, self._pending = self._pending, None
        if errand is not None and errand.succeeded is not None:
            errand.succeeded(response)
        self._pump()

    def _failed(self, failure: Failure) -> None:
        errand, self._pending = self._pending, None
        error = failure.value
        if errand is not None and errand.is_composing:
            if isinstance(error, RequestFailed) and error.status == _UNSUPPORTED:
                # RFC 3994 section 4.
                self._composer.refused()
                self._set_alarm()
        elif errand is not None and errand.failed is not None:
            errand.failed(error if isinstance(error, Exception) else EndpointTerminated(str(error)))
        self._pump()

    # -- who is writing ------------------------------------------------------------------------------------------------

    def _tell(self, report: IsComposing | None) -> None:
        """Tell the other party, after what goes out before; of two that wait the later one is true."""
        if report is not None:
            errand = Errand(
                self.peer, report.to_bytes(), COMPOSING, {"retry_after": "never", "expires": report.refresh}
            )
            errand.is_composing = True
            self._waiting = deque(each for each in self._waiting if not each.is_composing)
            self._waiting.append(errand)
            self._pump()
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Look again when one of the two machines has something to do."""
        moments = [when for when in (self._composer.next_deadline(), self._watch.next_deadline()) if when is not None]
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()
        if moments:
            messenger = self.messenger
            self._alarm = messenger.reactor.callLater(max(0.0, min(moments) - messenger.now()), self._time_has_come)

    def _time_has_come(self) -> None:
        self._alarm = None
        now = self.messenger.now()
        if self._watch.handle_timer(now):
            self.messenger.composing_changed.tell(self)
        self._tell(self._composer.handle_timer(now))

    def __repr__(self) -> str:
        return f"<Conversation with {self.peer}>"
