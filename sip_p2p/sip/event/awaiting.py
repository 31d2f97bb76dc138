"""The dialogs that a NOTIFY may make (RFC 6665 sections 4.1.2.4, 4.1.4 and 4.4.1).

A SUBSCRIBE, and a REFER, makes its dialog with the first NOTIFY rather than with its 2xx: a NOTIFY may come before
that, and several may, each from another party that the request was forked to. Until its dialog is there, such a NOTIFY
is known by the Call-ID and by our tag alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request

__all__ = ["Awaiting", "DialogMaker"]


class DialogMaker(Protocol):
    """Who waits for NOTIFYs that are in no dialog yet."""

    def dialog_of(self, request: Request, flow: Flow) -> Dialog | None:
        """The dialog that *request* makes; None to answer it 481, as where it names another event, or where whoever
        sent it is not the party that was asked.

        :raises MalformedMessage: when a field that the dialog needs cannot be read.
        """


@final
class Awaiting:
    """Everybody who waits for such NOTIFYs, by Call-ID and our tag."""

    __slots__ = ("_makers",)

    def __init__(self) -> None:
        self._makers: dict[str, DialogMaker] = {}

    def __len__(self) -> int:
        return len(self._makers)

    def add(self, call_id: str, local_tag: str, maker: DialogMaker) -> None:
        """Ask *maker* about NOTIFYs with this Call-ID and our tag that are in no dialog."""
        self._makers[f"{call_id}\n{local_tag}"] = maker

    def discard(self, call_id: str, local_tag: str) -> None:
        """Nobody waits for these any more; nothing happens where nobody did."""
        self._makers.pop(f"{call_id}\n{local_tag}", None)

    def dialog_of(self, request: Request, flow: Flow) -> Dialog | None:
        """The dialog that *request*, a NOTIFY with a tag in To that is in no dialog, makes; None where it makes none.

        :raises MalformedMessage: when one of its fields cannot be read.
        """
        maker = self._makers.get(f"{request.call_id}\n{request.to.tag}")
        return None if maker is None else maker.dialog_of(request, flow)
