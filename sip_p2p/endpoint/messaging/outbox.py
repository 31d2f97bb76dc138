"""Store and forward: messages that are kept in a file until they are delivered, have failed, or are too old.

::

    outbox = Outbox(reactor, "outbox.sqlite", alice)

    @outbox.settled.subscribe
    def known(entry):
        print(entry.id, entry.state.value, entry.reason)

    await outbox.open()
    entry = await outbox.send("The gate is open.", "sip:bob@b.example")

When the Deferred of :meth:`Outbox.send` fires, the message is on the disk, and whatever happens to the process after
that, it is delivered, or the application is told that it was not: each step is written down before the next one is
taken. A process that dies between sending a message and writing down its answer sends it again when it has come back,
under the same Call-ID and, in an envelope, the same Message-ID (RFC 3261 section 8.1.3.5, RFC 5438 section 6.3): a
:class:`~sip_p2p.endpoint.messaging.messenger.Messenger` at the other end tells it once. Likewise what became of a
message is told again where it is not written down that it was told.

To each party messages go one after the other, in the order in which they were accepted: one that is tried again later
holds up those after it, until it is delivered or expires.
"""

from __future__ import annotations

import json
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from sip_p2p.documents.cpim import MEDIA_TYPE as ENVELOPE
from sip_p2p.documents.cpim import CpimAddress
from sip_p2p.documents.imdn import Disposition
from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.composition import PLAIN_TEXT
from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.messaging import outbox_store as store
from sip_p2p.endpoint.messaging.envelope import enclose, wishes
from sip_p2p.endpoint.messaging.outbox_database import OutboxDatabase
from sip_p2p.endpoint.messaging.outbox_entry import OutboxEntry, OutboxLimits, OutboxState
from sip_p2p.endpoint.messaging.outbox_sending import Sending, lane_of
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import EndpointTerminated, InvalidOperation
from sip_p2p.sip.abnf import octets_of
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.compose import application_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.documents.imdn import Imdn
    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.messaging.messenger import Messenger
    from sip_p2p.endpoint.messaging.outbox_database import Database
    from sip_p2p.sip.uri import SipUri, TelUri

__all__ = ["Outbox"]


@final
class Outbox(Sending):
    """Messages that survive. It lives as long as its endpoint, or until it is closed.

    :ivar endpoint: who sends them.
    :ivar path: the file.
    :ivar limits: how much it holds, and for how long.
    :ivar settled: told of each message that is delivered, has failed or has expired, and of each on which a report
        comes after that; as :class:`OutboxEntry`. Subscribe before :meth:`open`, which tells what was left to tell.
    :ivar waiting: how many messages are not settled.
    :ivar octets: how many octets their bodies have.
    :ivar troubles: how often something could not be written down at once.
    """

    kind = "outboxes"
    flow = None

    def __init__(
        self,
        reactor: Any,
        path: str,
        endpoint: RealTimeEndpoint,
        *,
        messenger: Messenger | None = None,
        limits: OutboxLimits | None = None,
        wall_clock: Callable[[], float] = time,
        database: Database | None = None,
    ) -> None:
        """
        :param path: the file; it is made if there is none, for its owner alone, and is used by one process at a time.
        :param messenger: the messenger of the same endpoint, which hears the reports on messages.
        :param wall_clock: seconds since 1970, for messages outlive the process, and with it every other clock.
        :param database: where the messages are, instead of in the file at *path*; for tests.
        :raises InvalidOperation: when the endpoint does not send, or *messenger* is that of another one.
        :raises OutboxFailed: when the file cannot be had.
        """
        check_thread()
        if messenger is not None and messenger.endpoint is not endpoint:
            raise InvalidOperation("the messenger belongs to another endpoint")
        kept: Database = OutboxDatabase(reactor, path) if database is None else database
        super().__init__(reactor, endpoint, kept, OutboxLimits() if limits is None else limits, wall_clock)
        self.path = path
        self.settled: Event[OutboxEntry] = Event(log_bounds=endpoint.connection_manager.driver.log_bounds)
        self._messenger = messenger
        self._is_open = False
        self._closed: Deferred[None] | None = None
        self._closing: list[Deferred[None]] = []

    # -- its life ------------------------------------------------------------------------------------------------------

    def open(self) -> Deferred[Outbox]:
        """Open the file, queue anew what was being sent when the last process ended, and begin to send.

        :returns: fires with this outbox. Fails with :class:`~sip_p2p.errors.OutboxFailed` when the file is another
            program's, damaged, or used by another process.
        :raises InvalidOperation: when it was opened before.
        :raises EndpointTerminated: when the endpoint was terminated.
        """
        check_thread()
        if self._is_open or self._closed is not None:
            raise InvalidOperation("an outbox is opened once")
        if self.endpoint.is_terminated:
            raise EndpointTerminated("the endpoint was terminated")
        self._is_open = True
        opening = self._database.run(store.prepare, self.path, self._clock(), self.limits.keep)
        return opening.addCallbacks(self._opened, self._not_opened)

    def _opened(self, found: dict[str, Any]) -> Outbox:
        if self._closed is not None:
            raise EndpointTerminated("the outbox was closed")
        self.endpoint.connection_manager.lives.add(self)
        if self._messenger is not None:
            self._messenger.outbox = self
        for entry in found["untold"]:
            self._tell(entry)
        self._begin(found)
        return self

    def _not_opened(self, failure: Failure) -> Deferred[Any]:
        self._is_open = False
        closing = self._database.close()
        return closing.addBoth(lambda _: failure)

    def close(self) -> Deferred[None]:
        """Accept no messages any more, wait for the attempts that are under way, and close the file.

        What is not delivered stays in it. Every call's Deferred fires when the file is closed.
        """
        check_thread()
        waiting: Deferred[None] = Deferred()
        self._closing.append(waiting)
        if self._closed is not None:
            return waiting
        self._closed = Deferred()
        if self._messenger is not None and self._messenger.outbox is self:
            self._messenger.outbox = None
        self._cease()
        return waiting

    def _maybe_closed(self) -> None:
        if self._closed is not None and not self._closed.called and not self._under_way:
            self._closed.callback(None)
            self._database.close().addBoth(self._is_closed)

    def _is_closed(self, _: object) -> None:
        self._is_open = False
        self.endpoint.connection_manager.lives.gone(self)
        waiting, self._closing = self._closing, []
        for each in waiting:
            each.callback(None)

    def end(self) -> None:
        """The endpoint ends."""
        self.close()

    def abandon(self, error: EndpointTerminated) -> None:
        """The endpoint has ended: what is under way is in the file, and is sent again when it is opened anew."""
        self.close()
        self._under_way = 0
        self._maybe_closed()
        self.endpoint.connection_manager.lives.gone(self)

    def take(self, effect: Any) -> None:
        """No machine of the core says anything to it.

        :raises TypeError: always.
        """
        raise TypeError(f"an outbox has no machine that could say {effect!r}")

    @property
    def is_open(self) -> bool:
        """Whether it accepts messages."""
        return self._is_open and self._closed is None

    def _check_open(self) -> None:
        if not self.is_open:
            raise InvalidOperation("the outbox is not open")

    # -- what the application asks for ---------------------------------------------------------------------------------

    def send(
        self,
        text: str | bytes,
        to: str | SipUri | TelUri | RealTimeAddress,
        *,
        content_type: str | None = None,
        want: Iterable[str] = (),
        subject: str = "",
        expires: float | None = None,
        headers: Iterable[tuple[str, str]] = (),
        id: str | None = None,
    ) -> Deferred[OutboxEntry]:
        """Accept a message.

        :param content_type: by default ``text/plain; charset=UTF-8`` for text; octets must say what they are.
        :param want: the reports that are wanted: ``delivered``, ``processed``, ``displayed``; it needs the messenger.
        :param subject: what it is about.
        :param expires: after how many seconds it is of no use any more; by default as the limits say.
        :param headers: further header fields.
        :param id: what it is known by: whoever gives it can give the same message again when it is not known whether
            it was accepted, and it is accepted once. With *want* it is a token (RFC 5438 section 10). By default
            another one each time.
        :returns: fires with the message when it is on the disk. Fails with :class:`~sip_p2p.errors.OutboxFailed` when
            it cannot be kept, a full disk above all: then it was not accepted.
        :raises ValueError: for what cannot be sent.
        :raises InvalidOperation: when the outbox is not open, or full; the latter is retryable.
        """
        check_thread()
        self._check_open()
        limits, now = self.limits, self._clock()
        uri = to_sip_uri(to, self.endpoint.owner_uri.host)
        tokens = self.endpoint.connection_manager.tokens
        identifier = tokens.token() if id is None else id
        lasting = self._lasting(expires)
        wanted = wishes(want)
        if wanted and self._messenger is None:
            raise InvalidOperation("reports need the messenger that hears them: Outbox(..., messenger=...)")
        fields = application_fields(headers)
        kind = PLAIN_TEXT if content_type is None and isinstance(text, str) else content_type
        if kind is None:
            raise ValueError("a body needs a content type (RFC 3261 section 7.4.1)")
        parse_media_type(kind)
        body = octets_of(text)
        digest = sha256("\n".join((kind, subject, *wanted, "")).encode() + body).hexdigest()
        if wanted:
            us = CpimAddress(str(self.endpoint.owner_uri), self.endpoint.display_name)
            recipient = CpimAddress(str(uri.without_headers()))
            body = enclose(us, recipient, body, kind, identifier, wanted, date=now, subject=subject)
            kind = ENVELOPE
        elif not 0 < len(identifier) <= 256 or not identifier.isprintable():
            raise ValueError(f"not an id of 1 to 256 characters: {identifier[:64]!r}")
        elif subject:
            fields = [*application_fields((("Subject", subject),)), *fields]
        self._reserve(len(body))
        values = {
            "id": identifier,
            "target": str(uri),
            "lane": lane_of(uri),
            "digest": digest,
            "body": body,
            "content_type": kind,
            "headers": json.dumps(fields),
            "call_id": tokens.call_id(),
            "state": OutboxState.QUEUED.value,
            "queued_at": now,
            "expires_at": now + lasting,
            "due_at": now,
        }
        accepting = self._database.run(store.accept, values, limits.settled)
        return accepting.addCallbacks(self._accepted, self._not_accepted, (len(body), values["lane"]), {}, (len(body),))

    def _lasting(self, expires: float | None) -> float:
        limits = self.limits
        lasting = limits.expires if expires is None else expires
        # Written so that a NaN is refused as well.
        if not 0 < lasting <= limits.longest_expiry:
            raise ValueError(
                f"a message expires after more than 0 s and {limits.longest_expiry:g} s at most: {lasting}"
            )
        return lasting

    def _reserve(self, octets: int) -> None:
        limits = self.limits
        if octets > limits.message_octets:
            raise ValueError(f"a message of {octets} octets: an outbox takes {limits.message_octets}")
        if self.waiting >= limits.messages or self.octets + octets > limits.octets:
            raise InvalidOperation(f"the outbox is full: {self.waiting} messages, {self.octets} octets", retryable=True)
        self.waiting += 1
        self.octets += octets

    def _accepted(self, found: tuple[OutboxEntry, bool], octets: int, lane: str) -> OutboxEntry:
        entry, is_new = found
        if not is_new:
            self._release(octets)
            return entry
        self._arrived(entry, lane)
        return entry

    def _not_accepted(self, failure: Failure, octets: int) -> Failure:
        self._release(octets)
        return failure

    def find(self, id: str) -> Deferred[OutboxEntry | None]:
        """The message with this id; None where there is none, or none any more.

        :raises InvalidOperation: when the outbox is not open.
        """
        self._check_open()
        return self._database.run(store.find, id)

    def entries(
        self, state: OutboxState | str | None = None, *, after: int = 0, most: int = 100
    ) -> Deferred[list[OutboxEntry]]:
        """Messages in the order in which they were accepted.

        :param state: those in this state only.
        :param after: those behind the one with this ``seq``.
        :param most: how many at most.
        :raises InvalidOperation: when the outbox is not open.
        :raises ValueError: for a state that there is not.
        """
        self._check_open()
        return self._database.run(store.listed, None if state is None else OutboxState(state), after, most)

    def forget(self, id: str) -> Deferred[OutboxEntry | None]:
        """Remove a message, whatever became of it; one that is being sent right now is not removed.

        :returns: fires with what was removed, or None.
        :raises InvalidOperation: when the outbox is not open.
        """
        self._check_open()
        return self._database.run(store.forget, id).addCallback(self._forgotten)

    def _forgotten(self, entry: OutboxEntry | None) -> OutboxEntry | None:
        if entry is not None and not entry.state.is_final:
            self._release(len(entry.body))
            self._hurry(entry.lane)
        return entry

    def try_again(self, id: str, *, expires: float | None = None) -> Deferred[OutboxEntry | None]:
        """Queue anew a message that has failed or expired, with the same id, behind those that wait.

        :param expires: after how many seconds it is of no use any more; by default as the limits say.
        :returns: fires with the message, or None where there is none that has failed or expired, or none any more that
            could be sent: what was delivered, before a report said that it had failed, has lost its text.
        :raises ValueError: for a time that is none.
        :raises InvalidOperation: when the outbox is not open, or full.
        """
        self._check_open()
        now, lasting = self._clock(), self._lasting(expires)
        # How long it is, only the file knows.
        self._reserve(0)
        trying = self._database.run(store.try_again, id, now, now + lasting)
        return trying.addCallbacks(self._queued_anew, self._not_accepted, (), {}, (0,))

    def _queued_anew(self, entry: OutboxEntry | None) -> OutboxEntry | None:
        if entry is None:
            self._release(0)
        else:
            self.octets += len(entry.body)
            self._arrived(entry, entry.lane)
        return entry

    # -- what is told --------------------------------------------------------------------------------------------------

    def _tell(self, entry: OutboxEntry) -> None:
        """The application is told what became of a message, and that is written down: else it is told again."""
        self.settled.tell(entry)
        self._database.run(store.told, entry.seq, entry.state).addErrback(self._trouble)

    def reported(self, report: Imdn, host: str) -> Deferred[None]:
        """A report came from *host*; called by the messenger, which answers when it is written down."""
        disposition = report.disposition
        state = None
        if disposition in (Disposition.DELIVERED, Disposition.DISPLAYED):
            state = OutboxState.REPORTED
        elif disposition is Disposition.FAILED:
            state = OutboxState.FAILED
        if not self.is_open:
            return succeed(None)
        said = disposition.status
        writing = self._database.run(store.report, report.message_id, host, said, state, self._clock())
        return writing.addCallback(self._is_reported)

    def _is_reported(self, found: tuple[OutboxEntry, OutboxEntry] | None) -> None:
        if found is None:
            return
        before, after = found
        if not before.state.is_final and after.state.is_final:
            self._release(len(before.body))
            self._hurry(after.lane)
        if after.state.is_final:
            self._tell(after)

    def __repr__(self) -> str:
        return f"<Outbox {self.path}, {self.waiting} messages wait>"
