"""Messages that wait: the event package ``message-summary`` (RFC 3842)."""

from __future__ import annotations

from typing import final

from sip_p2p.documents.message_summary import MEDIA_TYPE, MessageSummary
from sip_p2p.endpoint.subscription.packages.resources import ResourcePackage

__all__ = ["MessageSummaryPackage"]


@final
class MessageSummaryPackage(ResourcePackage[MessageSummary]):
    """How many messages wait for somebody: ``package.set("sip:alice@a.example", MessageSummary(True))``.

    It tells whoever has proved the address in From unless it is told who may know; a mailbox is best shown to its owner
    alone.
    """

    name = "message-summary"
    content_types = (MEDIA_TYPE,)
    # RFC 3842 section 3.4.
    default_expires = 3600
    shortest_interval = 1.0

    def parse(self, content_type: str, body: bytes) -> MessageSummary:
        """Read a message summary."""
        return MessageSummary.parse(body)
