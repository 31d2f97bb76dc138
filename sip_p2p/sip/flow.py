"""What SIP needs to know of a flow: over what a message came or goes, and who is at the other end (RFC 5626 section 2).

The transport's live flows derive from :class:`Flow`; the core compares them, reads these attributes and hands them back
in its outputs. It never writes to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.via import Via

__all__ = ["Flow", "SenderCheck"]


class SenderCheck(Protocol):
    """Whether the party at the other end of a flow may send what it sends in the name that From gives."""

    def refusal(self, request: Request, profile: Profile) -> str:
        """Why *request* is answered 403, in words for its sender; the empty string where it is not.

        :param profile: the party that the request is for.
        :raises MalformedMessage: when From cannot be read.
        """


class Flow:
    """One bidirectional path to one peer: a connection, or a pair of UDP addresses.

    :ivar transport: the transport as a Via writes it: ``UDP``, ``TCP``, ``TLS``, ``WS`` or ``WSS``.
    :ivar reliable: True where the transport retransmits by itself (RFC 3261 section 17).
    :ivar sent_by: what our Via names on this flow: ``host`` or ``host:port``.
    :ivar remote_host: the peer's address, as the socket tells it, without brackets.
    :ivar remote_port: the peer's port.
    :ivar peer: a key for the peer's *verified* identity; the empty string where nothing was verified. Two flows with
        the same non-empty key lead to the same party.
    :ivar sender_check: asked about the From of each request; None where it stays a claim that nobody judges.
    :ivar via_params: what our Via says on this flow after its branch, such as ``;keep`` (RFC 6223); usually nothing.
    """

    __slots__ = ("peer", "reliable", "remote_host", "remote_port", "sender_check", "sent_by", "transport", "via_params")

    def __init__(
        self, transport: str, reliable: bool, sent_by: str, remote_host: str, remote_port: int, peer: str = ""
    ) -> None:
        self.transport = transport
        self.reliable = reliable
        self.sent_by = sent_by
        self.remote_host = remote_host
        self.remote_port = remote_port
        self.peer = peer
        self.sender_check: SenderCheck | None = None
        self.via_params = ""

    @property
    def is_secure(self) -> bool:
        """Whether TLS carries it."""
        return self.transport in ("TLS", "WSS")

    def proves(self, host: str) -> bool:
        """Whether the peer's certificate proves *host*, a name or an address (RFC 5922 section 7). Here: nothing is
        ever proved."""
        return False

    def answer_via(self, text: str) -> str:
        """What responses say in the place of *text*, the peer's own Via with a ``keep`` or ``oc`` parameter in it (RFC
        6223 section 4.4, RFC 7339 section 4). Here: the same."""
        return text

    def heard_via(self, text: str) -> None:
        """A response says in our Via what the peer makes of our ``keep`` or ``oc``. Here: nothing comes of it."""

    def presents(self, via: Via) -> None:
        """The peer says where it is, in the top Via of a request (RFC 5923 section 8.2). Here: nothing comes of it."""

    def leads_to_same_peer(self, other: Flow) -> bool:
        """Whether a message on *other* may speak for the party at the end of this flow.

        The same flow always may. A different one may when both proved the same identity, or, on UDP where nothing is
        ever proved, when both have the same remote address.
        """
        if other is self:
            return True
        if self.peer or other.peer:
            return self.peer == other.peer
        return not self.reliable and not other.reliable and self.remote_host == other.remote_host
