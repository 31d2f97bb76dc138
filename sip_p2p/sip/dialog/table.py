"""The dialogs of one core, and how a message finds its own (RFC 3261 sections 12 and 12.2.2).

A look-up is one step in a dictionary whose key is the whole of Call-ID and both tags: it takes the same work whether a
guess is nearly right or not right at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.dialog.dialog import INVITE_USAGE, dialog_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.event.usage import EventUsage
    from sip_p2p.sip.message import Request

__all__ = ["DialogTable"]


@final
class DialogTable:
    """Every dialog that lives.

    :ivar limit: how many there may be before a peer can make no further one; what we ask for ourselves, and the forks
        of it, come on top.
    """

    __slots__ = ("_dialogs", "limit")

    def __init__(self, limit: int = 65536) -> None:
        """
        :raises ValueError: when *limit* is below 1.
        """
        if limit < 1:
            raise ValueError("the limit of dialogs must be at least 1")
        self._dialogs: dict[str, Dialog] = {}
        self.limit = limit

    def __len__(self) -> int:
        return len(self._dialogs)

    def __iter__(self) -> Iterator[Dialog]:
        """The dialogs as they are now; the table may change meanwhile."""
        return iter(tuple(self._dialogs.values()))

    def __contains__(self, dialog: Dialog) -> bool:
        return self._dialogs.get(dialog.id) is dialog

    @property
    def is_full(self) -> bool:
        """Whether a request of a peer that would make a dialog is to be answered 503."""
        return len(self._dialogs) >= self.limit

    def add(self, dialog: Dialog, usage: str = INVITE_USAGE) -> None:
        """Let *dialog* be found, and be used for *usage*. A second one with the same id takes the first one's place."""
        dialog.join(usage)
        self._dialogs[dialog.id] = dialog

    def add_subscription(self, dialog: Dialog, name: str, usage: EventUsage) -> None:
        """Let *dialog* be found, and be used for the subscription *usage* under this *name*."""
        if dialog.subscriptions is None:
            dialog.subscriptions = {}
        dialog.subscriptions[name] = usage
        dialog.join(name)
        self._dialogs[dialog.id] = dialog

    def discard(self, dialog: Dialog, usage: str = INVITE_USAGE) -> None:
        """The *usage* of *dialog* is over, and so is the dialog if it was the last (RFC 5057 section 4); nothing
        happens where it is over already."""
        if dialog.leave(usage) and self._dialogs.get(dialog.id) is dialog:
            del self._dialogs[dialog.id]

    def end(self, dialog: Dialog) -> None:
        """*dialog* is gone with all its usages (RFC 5057 section 5.1: a 404 or a 410 in it, among others)."""
        for usage in dialog.usages:
            self.discard(dialog, usage)

    def find(self, call_id: str, local_tag: str, remote_tag: str) -> Dialog | None:
        """The dialog of these three, or None."""
        return self._dialogs.get(dialog_id(call_id, local_tag, remote_tag))

    def find_for(self, request: Request) -> Dialog | None:
        """The dialog that *request*, which came from a peer, names: To has our tag and From the peer's (section 12).

        :raises MalformedMessage: when one of the fields cannot be read.
        """
        local_tag = request.to.tag
        if local_tag is None:
            return None
        return self._dialogs.get(dialog_id(request.call_id, local_tag, request.from_.tag or ""))
