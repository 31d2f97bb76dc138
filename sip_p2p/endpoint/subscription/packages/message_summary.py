"""Messages that wait: the event package ``message-summary`` (RFC 3842).

Header fields of new messages are told once, to those who were subscribed when a message came: what is told at the
beginning, and after a refresh, has none of them (sections 3.5 and 3.8).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

from sip_p2p.documents.message_summary import MEDIA_TYPE, MessageSummary
from sip_p2p.endpoint.subscription.packages.resources import ResourcePackage

if TYPE_CHECKING:
    from sip_p2p.endpoint.subscription.server import ServerSubscription

__all__ = ["MessageSummaryPackage"]


@final
class MessageSummaryPackage(ResourcePackage[MessageSummary]):
    """How many messages wait for somebody: ``package.set("sip:alice@a.example", MessageSummary(True))``.

    It tells whoever has proved the address in From unless it is told who may know; a mailbox is best shown to its owner
    alone. Of the ``messages`` of a summary each subscriber is told those that it has not known of.
    """

    name = "message-summary"
    content_types = (MEDIA_TYPE,)
    # RFC 3842 sections 3.4 and 3.11.
    default_expires = 3600
    shortest_interval = 1.0

    def parse(self, content_type: str, body: bytes) -> MessageSummary:
        """Read a message summary."""
        return MessageSummary.parse(body)

    def state(self, subscription: ServerSubscription) -> tuple[str, bytes] | None:
        """What waits, and of the messages those that have come since *subscription* was told last."""
        document = self.get(subscription.resource)
        messages = () if document is None else document.messages
        known, subscription.context = subscription.context, messages
        if document is None or not messages:
            return super().state(subscription)
        new = () if known is None else tuple(each for each in messages if each not in known)
        return MEDIA_TYPE, replace(document, messages=new).to_bytes()
