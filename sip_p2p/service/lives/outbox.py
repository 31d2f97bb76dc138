"""The part of the service that keeps messages in a file until they are delivered (``--outbox``).

It tells ``outbox`` of each message whose outcome is known, those of which nobody was told before the last end of the
process included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.logger import Logger

from sip_p2p.endpoint.messaging.outbox import Outbox
from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import in_words, printable
from sip_p2p.service.http.descriptions import content
from sip_p2p.service.parts import Part

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.messaging.outbox_database import Database
    from sip_p2p.endpoint.messaging.outbox_entry import OutboxEntry
    from sip_p2p.service.happenings import Happenings

__all__ = ["OutboxPart", "described_entry"]

_log = Logger("sip_p2p.service")


def described_entry(entry: OutboxEntry, *, is_short: bool = False) -> dict[str, object]:
    """A message, and what became of it.

    :param is_short: without the body.
    """
    said: dict[str, object] = {
        "id": entry.id,
        "to": printable(without_passwords(entry.target), 1024),
        "state": entry.state.value,
        "queued": in_words(entry.queued_at),
        "expires": in_words(entry.expires_at),
        "attempts": entry.attempts,
        "octets": len(entry.body),
    }
    if entry.settled_at is not None:
        said["settled"] = in_words(entry.settled_at)
    elif entry.attempts:
        said["due"] = in_words(entry.due_at)
    if entry.status:
        said["status"] = entry.status
    if entry.reason:
        said["reason"] = printable(entry.reason)
    if entry.report:
        said["report"] = entry.report
    return said if is_short else said | content(entry.body, entry.content_type)


@final
class OutboxPart(Part):
    """Opens the outbox at *path*, and tells *happenings* what becomes of its messages; the endpoint closes it.

    :ivar outbox: it.
    """

    def __init__(
        self,
        reactor: Any,
        happenings: Happenings,
        endpoint: RealTimeEndpoint,
        path: str,
        *,
        database: Database | None = None,
    ) -> None:
        """
        :param database: as for :class:`~sip_p2p.endpoint.messaging.outbox.Outbox`.
        :raises OutboxFailed: the file cannot be had.
        """
        self.outbox = Outbox(reactor, path, endpoint, database=database)
        self._happenings = happenings

    def listen(self) -> Deferred[Any]:
        """Open the file; fails where it is another program's, damaged, or used by another process."""
        self.outbox.settled.subscribe(self._settled)
        return self.outbox.open().addErrback(self._not_opened)

    def _not_opened(self, failure: Failure) -> Failure:
        _log.error("--outbox: {error}", error=printable(str(failure.value), 256))
        return failure

    def _settled(self, entry: OutboxEntry) -> None:
        self._happenings.emit("outbox", **described_entry(entry, is_short=True))
