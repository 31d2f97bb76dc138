"""Delivery reports, both ways: those that our texts wait for, and those that others want of us (RFC 5438).

A report of somebody else counts when it names a text of ours, by an id that nobody can guess, and comes from the domain
that the text was sent to. One of ours goes to who has sent the text, as From says and as the connection has proved,
never to an address that the text names: who has put itself into IMDN-Record-Route is named in the report (section
7.2.1), and gets it where it stands on the way to that sender. Nobody reports on a report.
"""

from __future__ import annotations

from collections import OrderedDict
from time import time
from typing import TYPE_CHECKING, final

from twisted.internet.defer import DeferredList

from sip_p2p.documents.cpim import MEDIA_TYPE as ENVELOPE
from sip_p2p.documents.cpim import CpimAddress
from sip_p2p.documents.imdn import Disposition, Imdn, Wanted
from sip_p2p.endpoint.messaging.conversation import Errand
from sip_p2p.endpoint.messaging.envelope import enclose_report, recipients_of
from sip_p2p.endpoint.messaging.message import ReportReceived
from sip_p2p.errors import InvalidOperation, MalformedDocument, MalformedMessage, OperationTimeout
from sip_p2p.sip.privacy import ANONYMOUS_HOST
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.messaging.conversation import Conversation
    from sip_p2p.endpoint.messaging.message import IncomingText, OutgoingText
    from sip_p2p.endpoint.messaging.messenger import Messenger

__all__ = ["MOST_AWAITED", "Reports"]

MOST_AWAITED = 10_000
"""How many texts of ours may wait for reports; the oldest one waits no longer."""

_ANSWERS = {
    Disposition.DELIVERED: ("delivered", Wanted.DELIVERED),
    Disposition.FAILED: ("delivered", Wanted.FAILED),
    Disposition.DISPLAYED: ("displayed", Wanted.DISPLAYED),
}


@final
class Reports:
    """The reports of one messenger.

    :ivar sent: how many went out.
    :ivar withheld: how many were wanted and did not: who wanted them is not proved or not named, wants too many, or
        has sent what no report can say.
    :ivar unknown: how many came on texts that nobody waits for, or from somebody that they were not sent to.
    """

    __slots__ = (
        "_alarm",
        "_answers",
        "_awaiting",
        "_messenger",
        "_timeout",
        "_under_way",
        "sent",
        "unknown",
        "withheld",
    )

    def __init__(self, messenger: Messenger, answers: tuple[str, ...], timeout: float) -> None:
        """
        :param answers: which reports go out where they are wanted: ``delivered``, ``displayed``.
        :param timeout: for how many seconds a text waits for those on it.
        """
        # None once it is closed: neither holds the other then.
        self._messenger: Messenger | None = messenger
        self._answers = answers
        self._timeout = timeout
        # By Message-ID, each with the moment when it has waited long enough; the oldest stands first.
        self._awaiting: OrderedDict[str, tuple[float, OutgoingText]] = OrderedDict()
        self._alarm: IDelayedCall | None = None
        self._under_way = 0
        self.sent = 0
        self.withheld = 0
        self.unknown = 0

    # -- on our texts --------------------------------------------------------------------------------------------------

    def expect(self, message: OutgoingText) -> None:
        """Reports on *message* are wanted."""
        messenger = self._messenger
        if messenger is None:
            return
        if len(self._awaiting) >= MOST_AWAITED:
            _, (_, oldest) = self._awaiting.popitem(last=False)
            oldest.failed(OperationTimeout(f"no report on message {oldest.id}, and too many others wait for theirs"))
        self._awaiting[message.id] = (messenger.now() + self._timeout, message)
        if self._alarm is None:
            self._alarm = messenger.reactor.callLater(self._timeout, self._too_late)

    def received(self, documents: Iterable[bytes], incoming: IncomingRequest) -> Deferred[None] | None:
        """One report came, or several in one message.

        :returns: fires when an outbox has written them down; None where that is not needed.
        :raises MalformedMessage: when one cannot be read.
        """
        try:
            reports = [Imdn.parse(each) for each in documents]
        except MalformedDocument as error:
            raise MalformedMessage(f"message/imdn+xml: {error.reason}") from None
        uri = incoming.from_.uri
        host = uri.host if isinstance(uri, SipUri) else ""
        writing = [each for each in [self._told(report, host) for report in reports] if each is not None]
        if len(writing) < 2:
            return writing[0] if writing else None
        whole = DeferredList(writing, fireOnOneErrback=True, consumeErrors=True)
        return whole.addCallbacks(lambda _: None, lambda failure: failure.value.subFailure)

    def _told(self, report: Imdn, host: str) -> Deferred[None] | None:
        """A report came from *host*."""
        messenger = self._messenger
        awaited = self._awaiting.get(report.message_id)
        if awaited is not None and awaited[1].to.host.lower() == host.lower():
            message = awaited[1]
            message.reported(report)
            if not message.is_awaiting:
                del self._awaiting[report.message_id]
            if messenger is not None:
                messenger.report_received.tell(ReportReceived(message, report))
            return None
        if awaited is None and messenger is not None and messenger.outbox is not None:
            return messenger.outbox.reported(report, host)
        self.unknown += 1
        return None

    def forget(self, message: OutgoingText) -> None:
        """Nothing more will be heard of it."""
        self._awaiting.pop(message.id, None)

    def close(self, error: Exception) -> None:
        """The messenger is closed: nobody hears of any report any more."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
        self._messenger = None
        awaiting, self._awaiting = self._awaiting, OrderedDict()
        for _, message in awaiting.values():
            message.failed(error)

    def _too_late(self) -> None:
        self._alarm = None
        messenger = self._messenger
        if messenger is None:
            return
        now = messenger.now()
        while self._awaiting:
            identifier = next(iter(self._awaiting))
            until, message = self._awaiting[identifier]
            if until > now:
                self._alarm = messenger.reactor.callLater(until - now, self._too_late)
                return
            del self._awaiting[identifier]
            message.failed(OperationTimeout(f"no report on message {identifier} within {self._timeout:g} s"))

    # -- on the texts of others ----------------------------------------------------------------------------------------

    def on(self, text: IncomingText, disposition: Disposition) -> bool:
        """Tell the sender of *text* what became of it, where that is wanted and may be told.

        :returns: whether a report goes out.
        """
        messenger, conversation = self._messenger, text.conversation
        answer, wanted = _ANSWERS[disposition]
        if messenger is None or conversation is None or wanted not in text.wanted or answer not in self._answers:
            return False
        if not _may_be_told(text, messenger):
            self.withheld += 1
            return False
        if self._under_way >= messenger.most_reports:
            messenger.endpoint.connection_manager.keeper.limit_hit("reports")
            self.withheld += 1
            return False
        try:
            errand = Errand(conversation.peer, _report_on(text, disposition, messenger, conversation), ENVELOPE, {})
            errand.succeeded = errand.failed = self._over
            conversation.add(errand, is_text=False)
        except (ValueError, InvalidOperation):
            # Too much waits; or the text came from a time, or by a name, that no report can say.
            self.withheld += 1
            return False
        self._under_way += 1
        self.sent += 1
        return True

    def _over(self, _: object) -> None:
        self._under_way -= 1


def _report_on(text: IncomingText, what: Disposition, messenger: Messenger, conversation: Conversation) -> bytes:
    """The report that *text* became *what*, in its envelope.

    :raises ValueError: when something that its sender has said cannot be written.
    """
    us, now = str(messenger.endpoint.owner_uri), time()
    recipient, original = recipients_of(text.envelope, us)
    date = now if text.date is None else text.date
    report = Imdn(text.id, date, what, recipient=recipient, original_recipient=original)
    to = text.sender or CpimAddress(str(conversation.peer))
    return enclose_report(CpimAddress(us), to, report, messenger.new_id(), date=now, on=text.envelope)


def _may_be_told(text: IncomingText, messenger: Messenger) -> bool:
    """Whether a report reaches who has sent the text, and nobody whom it was made to look like."""
    if not (text.peer.is_verified or messenger.reports_to_unproved_senders):
        return False
    sender, uri = text.sender, text.from_.uri
    if isinstance(uri, SipUri) and uri.host.lower() == ANONYMOUS_HOST:
        # There is no address that it could go to (RFC 5438 section 12.1.1).
        return False
    if sender is None or sender.uri.lower().endswith(f"@{ANONYMOUS_HOST}"):
        return True
    # A text from one, in an envelope from another: who wants the report is not known.
    said = sender.uri.partition(":")[2].partition(";")[0]
    return isinstance(uri, SipUri) and said.lower() == f"{uri.user}@{uri.host}".lower()
