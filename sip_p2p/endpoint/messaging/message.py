"""One text of ours, from the call to the last report on it; and one text of somebody else (RFC 3428, RFC 5438)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Generic, TypeVar, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.documents.imdn import Disposition, Imdn, Wanted
from sip_p2p.errors import InvalidOperation, MessageNotDelivered
from sip_p2p.sip.body import decode_text

if TYPE_CHECKING:
    from sip_p2p.documents.cpim import CpimAddress, CpimMessage
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.messaging.conversation import Conversation
    from sip_p2p.endpoint.peer import Peer
    from sip_p2p.sip.body import MediaType
    from sip_p2p.sip.fields import NameAddr
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri

__all__ = ["IncomingText", "MessageStatus", "Outcome", "OutgoingText", "ReportReceived"]

T = TypeVar("T")

_ACCEPTED = 202
"""The answer of who passes a text on, and does not know what becomes of it (RFC 3428 section 7)."""


@final
class Outcome(Generic[T]):
    """Something that will be known once, and whoever waits for it."""

    __slots__ = ("_error", "_is_known", "_value", "_waiting")

    def __init__(self) -> None:
        self._is_known = False
        self._value: T | None = None
        self._error: Exception | None = None
        self._waiting: list[Deferred[T]] = []

    @property
    def is_known(self) -> bool:
        """Whether it is known already."""
        return self._is_known

    def wait(self) -> Deferred[T]:
        """Fires as soon as it is known; another Deferred each time, which may be cancelled."""
        waiting: Deferred[T] = Deferred(self._forget)
        if self._is_known:
            self._give(waiting)
        else:
            self._waiting.append(waiting)
        return waiting

    def be(self, value: T) -> None:
        """It is *value*; nothing happens the second time."""
        self._settle(value, None)

    def fail(self, error: Exception) -> None:
        """There will be none; nothing happens the second time."""
        self._settle(None, error)

    def _settle(self, value: T | None, error: Exception | None) -> None:
        if self._is_known:
            return
        self._is_known, self._value, self._error = True, value, error
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._give(each)

    def _give(self, waiting: Deferred[T]) -> None:
        if self._error is not None:
            waiting.errback(Failure(self._error))
        else:
            waiting.callback(self._value)  # type: ignore[arg-type]

    def _forget(self, waiting: Deferred[T]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)


class MessageStatus(enum.Enum):
    """What is known of a text of ours."""

    WAITING = "waiting"
    """It has not gone out: another one to the same party is under way."""
    SENDING = "sending"
    SENT = "sent"
    """Whoever took it has answered 2xx: the recipient, or somebody who passes it on."""
    DELIVERED = "delivered"
    """A report says that the recipient has it."""
    DISPLAYED = "displayed"
    """A report says that it was shown."""
    FAILED = "failed"


_RANK = {status: number for number, status in enumerate(MessageStatus)}


@final
class OutgoingText:
    """A text of ours.

    :ivar id: its Message-ID (RFC 5438 section 6.3); also that of one without an envelope, for the application alone.
    :ivar to: whom it is for.
    :ivar want: what its sender wants to be told: ``delivered``, ``processed``, ``displayed``.
    :ivar status: what is known of it.
    :ivar reports: the reports on it that came, in order.
    """

    __slots__ = ("_delivered", "_displayed", "_sent", "id", "reports", "status", "to", "want")

    def __init__(self, identifier: str, to: SipUri, want: tuple[str, ...]) -> None:
        self.id = identifier
        self.to = to
        self.want = want
        self.status = MessageStatus.WAITING
        self.reports: list[Imdn] = []
        self._sent: Outcome[Response] = Outcome()
        self._delivered: Outcome[Imdn] = Outcome()
        self._displayed: Outcome[Imdn] = Outcome()
        if "delivered" not in want:
            self._delivered.fail(InvalidOperation("no report on its delivery is wanted"))
        if "displayed" not in want:
            self._displayed.fail(InvalidOperation("no report on its being displayed is wanted"))

    @property
    def sent(self) -> Deferred[Response]:
        """Fires with the final response below 300; fails as :meth:`~sip_p2p.SipPeerToPeerEndpoint.send_message`
        does. Each use gives another Deferred."""
        return self._sent.wait()

    @property
    def delivered(self) -> Deferred[Imdn]:
        """Fires with the report that the recipient has it. Fails with :class:`~sip_p2p.MessageNotDelivered` when the
        report says otherwise, with :class:`~sip_p2p.OperationTimeout` when none came in time, and as :attr:`sent` does.
        """
        return self._delivered.wait()

    @property
    def displayed(self) -> Deferred[Imdn]:
        """Fires with the report that it was shown; fails as :attr:`delivered` does."""
        return self._displayed.wait()

    @property
    def is_awaiting(self) -> bool:
        """Whether a report is still to come."""
        return not (self._delivered.is_known and self._displayed.is_known)

    # -- for the messenger ---------------------------------------------------------------------------------------------

    def goes_out(self) -> None:
        """It is its turn."""
        self.status = MessageStatus.SENDING

    def accepted(self, response: Response) -> None:
        """It was answered 2xx."""
        self._advance(MessageStatus.SENT)
        self._sent.be(response)

    def failed(self, error: Exception) -> None:
        """It was not sent, or nothing more will be heard of it."""
        if not self._sent.is_known:
            self.status = MessageStatus.FAILED
        self._sent.fail(error)
        self._delivered.fail(error)
        self._displayed.fail(error)

    def reported(self, report: Imdn) -> None:
        """A report came."""
        if len(self.reports) < 16:
            self.reports.append(report)
        disposition = report.disposition
        if disposition is Disposition.DELIVERED:
            self._advance(MessageStatus.DELIVERED)
            self._delivered.be(report)
        elif disposition is Disposition.DISPLAYED:
            # What was shown has arrived.
            self._advance(MessageStatus.DISPLAYED)
            self._delivered.be(report)
            self._displayed.be(report)
        elif disposition.kind == "delivery":
            error = MessageNotDelivered(report)
            if disposition is Disposition.FAILED:
                self.status = MessageStatus.FAILED
                self._displayed.fail(error)
            self._delivered.fail(error)
        elif disposition.kind == "display":
            self._displayed.fail(MessageNotDelivered(report))

    def _advance(self, status: MessageStatus) -> None:
        """Later words may come earlier: what is known already stays known."""
        if self.status is not MessageStatus.FAILED and _RANK[status] > _RANK[self.status]:
            self.status = status

    def __repr__(self) -> str:
        return f"<OutgoingText {self.id} to {self.to} {self.status.value}>"


@final
class ReportReceived:
    """A report on a text of ours has come.

    :ivar message: the text.
    :ivar report: what became of it.
    """

    __slots__ = ("message", "report")

    def __init__(self, message: OutgoingText, report: Imdn) -> None:
        self.message = message
        self.report = report

    def __repr__(self) -> str:
        return f"<ReportReceived {self.report!r}>"


@final
class IncomingText:
    """A text of somebody else.

    Its 200 goes out when the handlers have returned, and the report that it was delivered after that, where the sender
    wants one. A handler that raises makes the answer 500; one that returns a status refuses it with that. One that
    passes it on returns 202, and calls :meth:`delivered` when it knows that.

    :ivar conversation: what else passes between us and its sender; None where there is no room for one more.
    :ivar incoming: the MESSAGE that it came in.
    :ivar content: its octets.
    :ivar content_type: what they are.
    :ivar id: its Message-ID; empty where it has none.
    :ivar sender: who it says that it is from, in its envelope; None where there is none. Only :attr:`peer` is proved.
    :ivar envelope: its envelope as it came; None where there is none.
    :ivar subject: what it is about; empty where it does not say.
    :ivar date: when it was sent, as its sender says, in seconds since 1970; None where that is not said.
    :ivar expires: after how many seconds it is of no use any more: counted from the Date of its MESSAGE, or from when
        it came where it has none (RFC 3428 section 7); None for never.
    :ivar wanted: the reports that its sender wants.
    """

    __slots__ = (
        "_is_answered",
        "_noted",
        "_since",
        "content",
        "content_type",
        "conversation",
        "date",
        "envelope",
        "expires",
        "id",
        "incoming",
        "sender",
        "subject",
        "wanted",
    )

    def __init__(
        self,
        incoming: IncomingRequest,
        conversation: Conversation | None,
        content: bytes,
        content_type: MediaType | None,
    ) -> None:
        self.incoming = incoming
        self.conversation = conversation
        self.content = content
        self.content_type = content_type
        self.id = ""
        self.sender: CpimAddress | None = None
        self.envelope: CpimMessage | None = None
        self.subject = ""
        self.date: float | None = None
        self.expires: int | None = None
        self.wanted: frozenset[Wanted] = frozenset()
        self._is_answered = False
        self._noted: set[Disposition] = set()
        self._since = 0.0

    @property
    def peer(self) -> Peer:
        """Who sent it, as far as that was verified."""
        return self.incoming.peer

    @property
    def from_(self) -> NameAddr:
        """Who sent it, as From says."""
        return self.incoming.from_

    @property
    def text(self) -> str:
        """The text, decoded by its charset.

        :raises ValueError: when it is not text in that charset; :attr:`content` always works.
        """
        return decode_text(self.content, self.content_type)

    def is_expired(self, now: float) -> bool:
        """Whether it is of no use any more, by its sender's clock, where that is known, and ours.

        :param now: seconds since 1970.
        """
        return self.expires is not None and now >= self._since + self.expires

    def lasts(self, expires: int, since: float) -> None:
        """It is of use for *expires* seconds from *since* on; called by the messenger."""
        self.expires, self._since = expires, since

    def displayed(self) -> None:
        """It was shown to somebody: tell its sender, where that is wanted and we tell such things. Nothing happens the
        second time."""
        self._note(Disposition.DISPLAYED)

    def delivered(self) -> None:
        """It has reached whom it is for: tell its sender, where that is wanted and we tell such things. The messenger
        does so after a 200; who has returned 202, since it could not know that, does it then. Nothing happens the
        second time."""
        self._note(Disposition.DELIVERED)

    def answered(self, status: int) -> None:
        """Its 2xx has gone out; called by the messenger. What was noted while it was told is reported now."""
        self._is_answered = True
        if status != _ACCEPTED:
            self._noted.add(Disposition.DELIVERED)
        for each in (Disposition.DELIVERED, Disposition.DISPLAYED):
            if each in self._noted:
                self._report(each)

    def _note(self, disposition: Disposition) -> None:
        if disposition not in self._noted:
            self._noted.add(disposition)
            if self._is_answered:
                self._report(disposition)

    def _report(self, disposition: Disposition) -> None:
        if self.conversation is not None:
            self.conversation.messenger.reports.on(self, disposition)

    def __repr__(self) -> str:
        return f"<IncomingText {self.id!r} from {self.peer.identity or self.peer.address}>"
