"""Texts between a party and others: in order, with reports, and with who is writing (RFC 3428, 3862, 3994, 5438).

::

    messenger = Messenger(alice)

    @messenger.text_received.subscribe
    def heard(text):
        print(text.peer.identity, text.text)
        text.displayed()

    message = messenger.send("Are you there?", "sip:bob@b.example", want=("delivered", "displayed"))
    await message.displayed

Left out: lists of recipients (RFC 5365), and texts within sessions, which are the session's own.
"""

from __future__ import annotations

from collections import OrderedDict
from inspect import iscoroutine
from time import time
from typing import TYPE_CHECKING, Any, Protocol, final

from twisted.internet.defer import Deferred, DeferredList

from sip_p2p.documents.cpim import MEDIA_TYPE as ENVELOPE
from sip_p2p.documents.cpim import CpimAddress
from sip_p2p.documents.imdn import message_id, wanted_in
from sip_p2p.documents.is_composing import IDLE_TIMEOUT, SHORTEST_REFRESH, Composer, IsComposing
from sip_p2p.documents.is_composing import MEDIA_TYPE as COMPOSING
from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.composition import PLAIN_TEXT
from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.messaging.conversation import Conversation, Errand
from sip_p2p.endpoint.messaging.envelope import enclose, opened, reports_in, wishes
from sip_p2p.endpoint.messaging.message import IncomingText, OutgoingText, ReportReceived
from sip_p2p.endpoint.messaging.reports import Reports
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import EndpointTerminated, InvalidOperation, MalformedDocument, MalformedMessage
from sip_p2p.sip.abnf import octets_of
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.dates import parse_date
from sip_p2p.sip.message import Response
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.documents.imdn import Imdn
    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.sip.body import MediaType
    from sip_p2p.sip.uri import TelUri
    from sip_p2p.transport.target import Target

__all__ = ["KeepsReports", "Messenger"]


class KeepsReports(Protocol):
    """An outbox, as its messenger knows it."""

    def reported(self, report: Imdn, host: str) -> Deferred[None]:
        """A report came from *host*; fires when it is written down."""


@final
class Messenger:
    """The texts of one party. It lives as long as its endpoint, or until it is closed.

    It is one of the handlers of ``endpoint.message_received``: the others see the same MESSAGEs as they came.

    :ivar endpoint: whose texts they are.
    :ivar text_received: told of each text that comes, as :class:`IncomingText`; its handlers answer it, as those of
        ``message_received`` do. While nobody is told, texts are answered 480.
    :ivar report_received: told of each report on a text of ours, as :class:`ReportReceived`.
    :ivar composing_changed: told of each :class:`Conversation` in which the other party begins or ceases to write.
    :ivar reports: the reports, and how many there were.
    :ivar outbox: the outbox that is told of reports on its texts, if there is one.
    :ivar duplicates: how many texts came that had come before.
    """

    kind = "messengers"
    flow = None

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        *,
        answers: Iterable[str] = ("delivered", "displayed"),
        report_timeout: float = 86_400.0,
        reports_to_unproved_senders: bool = False,
        idle_timeout: float = IDLE_TIMEOUT,
        refresh: int = SHORTEST_REFRESH,
    ) -> None:
        """
        :param answers: which reports others get that want them: ``delivered``, and ``displayed`` when the application
            says so; none with ``()``.
        :param report_timeout: for how many seconds a text of ours waits for the reports on it.
        :param reports_to_unproved_senders: send reports also where TLS has not proved who wants them, so that anybody
            can have us write to somebody else.
        :param idle_timeout: after how many seconds without a key nobody is writing any more (RFC 3994).
        :param refresh: how often others are told that somebody still writes, 60 s or more.
        :raises ValueError: for a report that there is not, or a time that is none.
        :raises EndpointTerminated: when the endpoint was terminated.
        """
        check_thread()
        manager = endpoint.connection_manager
        if endpoint.is_terminated or manager.is_terminated:
            raise EndpointTerminated("the endpoint was terminated")
        if not report_timeout > 0:
            raise ValueError(f"a report timeout of {report_timeout} s leaves no time")
        self.endpoint = endpoint
        self.reactor: Any = manager.reactor
        self.reports_to_unproved_senders = reports_to_unproved_senders
        self.outbox: KeepsReports | None = None
        self.duplicates = 0
        self._timing = (idle_timeout, refresh)
        self.composer()
        bounds = manager.driver.log_bounds
        self.text_received: Event[IncomingText] = Event(log_bounds=bounds)
        self.report_received: Event[ReportReceived] = Event(log_bounds=bounds)
        self.composing_changed: Event[Conversation] = Event(log_bounds=bounds)
        self.reports = Reports(self, wishes(answers), report_timeout)
        self._conversations: OrderedDict[tuple[str | None, str], Conversation] = OrderedDict()
        # The texts that came, by their sender and their id: their 2xx once they were answered, and while they are not,
        # who else waits for that answer.
        self._known: OrderedDict[tuple[str, str], list[Deferred[Any]] | int] = OrderedDict()
        self._is_closed = False
        endpoint.message_received.subscribe(self._received)
        manager.lives.add(self)

    # -- out -----------------------------------------------------------------------------------------------------------

    def send(
        self,
        text: str | bytes,
        to: str | SipUri | TelUri | RealTimeAddress,
        *,
        want: Iterable[str] = (),
        content_type: str | None = None,
        subject: str = "",
        expires: float | None = None,
        headers: Iterable[tuple[str, str]] = (),
        via: Target | None = None,
        timeout: float | None = None,
    ) -> OutgoingText:
        """Send a text. Those to one party go out one after the other, in the order of the calls.

        :param want: what the sender wants to be told: ``delivered``, ``processed``, ``displayed``. The text then goes
            out in an envelope (``message/cpim``), which the recipient has to understand.
        :param content_type: by default ``text/plain; charset=UTF-8`` for text; octets must say what they are.
        :param subject: what it is about; goes into the envelope, or, where there is none, into the field Subject.
        :param expires: after how many seconds it is of no use any more.
        :param headers: further header fields of the MESSAGE.
        :param via: send it there instead of where *to* leads.
        :param timeout: how long it may take once it is its turn, in seconds.
        :returns: the text, with Deferreds for what becomes of it.
        :raises ValueError: for what cannot be sent.
        :raises InvalidOperation: when the endpoint does not send, or too many texts to this party wait.
        :raises EndpointTerminated: when the messenger or its endpoint was terminated.
        """
        check_thread()
        self.check_open()
        uri = to_sip_uri(to, self.endpoint.owner_uri.host)
        wanted = wishes(want)
        fields = application_fields(headers)
        kind = PLAIN_TEXT if content_type is None and isinstance(text, str) else content_type
        if kind is None:
            raise ValueError("a body needs a content type (RFC 3261 section 7.4.1)")
        body = octets_of(text)
        message = OutgoingText(self.new_id(), uri, wanted)
        if wanted:
            us = CpimAddress(str(self.endpoint.owner_uri), self.endpoint.display_name)
            recipient = CpimAddress(str(uri.without_headers()))
            body = enclose(us, recipient, body, kind, message.id, wanted, date=time(), subject=subject)
            kind = ENVELOPE
        elif subject:
            fields = [*fields, ("Subject", subject)]
        arguments = {"headers": fields, "via": via, "timeout": timeout, "expires": expires}
        conversation = self.conversation(uri)
        if message.is_awaiting:
            self.reports.expect(message)
            message.sent.addErrback(lambda _: self.reports.forget(message))
        try:
            conversation.add(Errand.of(message, body, kind, arguments))
        except InvalidOperation:
            self.reports.forget(message)
            raise
        return message

    def conversation(self, peer: str | SipUri | TelUri | RealTimeAddress) -> Conversation:
        """What passes between us and *peer*: the same object, while anything does.

        :raises ValueError: for what is no address.
        :raises EndpointTerminated: when the messenger was closed.
        """
        check_thread()
        self.check_open()
        uri = to_sip_uri(peer, self.endpoint.owner_uri.host)
        found = self._conversation_of(uri)
        if found is None:
            # Others have filled the table, and ours is not to be theirs.
            found = self._conversations[_key(uri)] = Conversation(self, uri)
        return found

    def new_id(self) -> str:
        """A Message-ID that nobody can guess (RFC 5438 section 6.3)."""
        return self.endpoint.connection_manager.tokens.token()

    # -- in ------------------------------------------------------------------------------------------------------------

    def _received(self, incoming: IncomingRequest) -> Any:
        """A MESSAGE came; what is returned answers it."""
        kind = incoming.content_type
        essence = "" if kind is None else kind.essence
        if essence == COMPOSING:
            return self._hear_composing(incoming, incoming.body)
        if essence != ENVELOPE:
            return self._take(self._text(incoming, incoming.body, kind))
        envelope = opened(incoming.body)
        reports, inner = reports_in(envelope), envelope.content_type
        if reports:
            return self.reports.received(reports, incoming)
        if inner is not None and inner.essence == COMPOSING:
            return self._hear_composing(incoming, envelope.content)
        text = self._text(incoming, envelope.content, inner)
        text.id = message_id(envelope)
        text.envelope, text.sender = envelope, envelope.from_
        text.subject = envelope.subject or text.subject
        text.date = text.date if envelope.date is None else envelope.date
        text.wanted = wanted_in(envelope)
        return self._take(text)

    def _hear_composing(self, incoming: IncomingRequest, body: bytes) -> None:
        try:
            report = IsComposing.parse(body)
        except MalformedDocument as error:
            raise MalformedMessage(f"{COMPOSING}: {error.reason}") from None
        conversation = self._conversation_with(incoming)
        if conversation is not None:
            conversation.heard(report)

    def _text(self, incoming: IncomingRequest, content: bytes, kind: MediaType | None) -> IncomingText:
        text = IncomingText(incoming, self._conversation_with(incoming), content, kind)
        headers = incoming.request.headers
        text.subject = headers.get("Subject") or ""
        expires, date = headers.get("Expires"), headers.get("Date")
        if date is not None:
            try:
                text.date = float(parse_date(date))
            except MalformedMessage:
                # RFC 4475 section 3.1.2.12: a date that cannot be read is as good as none.
                text.date = None
        if expires is not None and expires.isascii() and expires.isdigit() and len(expires) <= 10:
            text.lasts(int(expires), time() if text.date is None else text.date)
        return text

    def _take(self, text: IncomingText) -> Any:
        """A text came: it is told once, however often it comes."""
        if not self.text_received:
            return None if len(self.endpoint.message_received.handlers) > 1 else 480
        if text.conversation is not None:
            text.conversation.heard(None)
        if not text.id:
            return self._tell(text)
        key = (str(text.from_.uri_text), text.id)
        if key in self._known:
            self.duplicates += 1
            waiting = self._known[key]
            if isinstance(waiting, int):
                # Its sender has missed that it arrived, or repeats everything after a restart.
                return self._answered(waiting, text)
            again: Deferred[Any] = Deferred()
            waiting.append(again)
            return again
        if len(self._known) >= self.endpoint.connection_manager.limits.message_ids:
            self.endpoint.connection_manager.keeper.limit_hit("message_ids")
            self._known.popitem(last=False)
        self._known[key] = []
        try:
            answer = self._tell(text)
        except BaseException:
            self._decided(500, key)
            raise
        if isinstance(answer, Deferred):
            return answer.addBoth(self._decided, key)
        return self._decided(answer, key)

    def _tell(self, text: IncomingText) -> Any:
        """Ask the handlers; the first that has an answer gives it, and all of them are asked."""
        answers = []
        for handler in self.text_received.handlers:
            try:
                result: Any = handler(text)
            except BaseException as error:
                answers.append(error)
                continue
            if iscoroutine(result):
                result = Deferred.fromCoroutine(result)
            if result is not None:
                answers.append(result)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        unfinished = [answer for answer in answers if isinstance(answer, Deferred)]
        if unfinished:
            whole = DeferredList(unfinished, fireOnOneErrback=True, consumeErrors=True)
            whole.addCallbacks(
                lambda results: next((value for _, value in results if value is not None), None),
                lambda failure: failure.value.subFailure,
            )
            return whole.addCallback(self._answered, text)
        return self._answered(answers[0] if answers else None, text)

    def _answered(self, answer: Any, text: IncomingText) -> Any:
        """The handlers have answered: where that is a yes, its sender is told what it wants to know."""
        if _is_yes(answer):
            # After the answer, which goes out when this returns.
            self.reactor.callLater(0, text.answered, _status_of(answer))
        return answer

    def _decided(self, answer: Any, key: tuple[str, str]) -> Any:
        """A text has its answer, and whoever repeated it meanwhile gets the same."""
        waiting = self._known.get(key)
        if _is_yes(answer):
            self._known[key] = _status_of(answer)
        else:
            self._known.pop(key, None)
        for each in waiting if isinstance(waiting, list) else ():
            each.callback(_status_of(answer))
        return answer

    def _conversation_with(self, incoming: IncomingRequest) -> Conversation | None:
        """That with who has sent *incoming*, as From says; None where there is no room for one more."""
        uri = incoming.from_.uri
        return self._conversation_of(uri.without_headers()) if isinstance(uri, SipUri) else None

    def _conversation_of(self, uri: SipUri) -> Conversation | None:
        key = _key(uri)
        found = self._conversations.get(key)
        if found is not None:
            self._conversations.move_to_end(key)
            return found
        manager = self.endpoint.connection_manager
        if len(self._conversations) >= manager.limits.conversations:
            manager.keeper.limit_hit("conversations")
            oldest = next((each for each, one in self._conversations.items() if one.is_quiet), None)
            if oldest is None:
                return None
            del self._conversations[oldest]
        found = self._conversations[key] = Conversation(self, uri)
        return found

    # -- its life ------------------------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called, or the endpoint terminated."""
        return self._is_closed

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """Those that are known, the one that was used last at the end."""
        return tuple(self._conversations.values())

    @property
    def most_reports(self) -> int:
        """How many of our reports may be under way at a time."""
        return self.endpoint.connection_manager.limits.reports

    def now(self) -> float:
        """The clock of the endpoint, in seconds."""
        return self.endpoint.connection_manager.driver.now()

    def composer(self) -> Composer:
        """What knows whether we write to one other party.

        :raises ValueError: when our times are none.
        """
        idle_timeout, refresh = self._timing
        return Composer(idle_timeout=idle_timeout, refresh=refresh)

    def check_open(self) -> None:
        """
        :raises EndpointTerminated: when the messenger was closed, or its endpoint terminated.
        """
        if self._is_closed or self.endpoint.is_terminated:
            raise EndpointTerminated("the messenger was closed, or its endpoint terminated")

    def close(self) -> None:
        """Hear no texts any more, and send none; what has gone out comes to its end. Nothing happens the second
        time."""
        if self._is_closed:
            return
        self._is_closed = True
        self.endpoint.message_received.unsubscribe(self._received)
        conversations, self._conversations = self._conversations, OrderedDict()
        for conversation in conversations.values():
            conversation.close()
        self.reports.close(EndpointTerminated("the messenger was closed"))
        self._known.clear()
        self.outbox = None
        self.endpoint.connection_manager.lives.gone(self)

    def end(self) -> None:
        """The endpoint ends."""
        self.close()

    def abandon(self, error: EndpointTerminated) -> None:
        """The endpoint has ended."""
        self.close()

    def take(self, effect: Any) -> None:
        """No machine of the core says anything to it.

        :raises TypeError: always.
        """
        raise TypeError(f"a messenger has no machine that could say {effect!r}")

    def __repr__(self) -> str:
        return f"<Messenger of {self.endpoint.owner_uri}, {len(self._conversations)} conversations>"


def _key(uri: SipUri) -> tuple[str | None, str]:
    """What makes two URIs those of one party: its user and its domain. Where it is to be found may be said or not."""
    return uri.user, uri.host.lower()


def _is_yes(answer: Any) -> bool:
    """Whether what a handler returned is a 2xx."""
    return answer is None or 200 <= _status_of(answer) < 300


def _status_of(answer: Any) -> int:
    """The status of what a handler returned; 500 for what is no answer."""
    if answer is None:
        return 200
    status = answer.status if isinstance(answer, Response) else answer
    return status if isinstance(status, int) and not isinstance(status, bool) else 500
