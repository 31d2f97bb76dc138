"""Who takes part in a session: names, tags, identity and capabilities (rows H12, H13, H30; RFC 3261 section 12, RFC
3840)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from sip_p2p.endpoint.peer import Peer
from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.name_addr import parse_name_addr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.capabilities import Capabilities
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.uri import Uri
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["EarlyDialog", "SignalingParticipant", "early_usage"]


@final
class SignalingParticipant:
    """The other end of a dialog: what it calls itself, what it has proved, and what it said it can do."""

    __slots__ = ("_usage",)

    def __init__(self, usage: InviteUsage) -> None:
        self._usage = usage

    @property
    def uri(self) -> Uri:
        """Its address, from the From or To of the dialog: a claim, unless :attr:`peer` proves it."""
        return self._usage.dialog.remote_uri

    @property
    def display_name(self) -> str:
        """The name beside it; empty for none."""
        return parse_name_addr(self._usage.dialog.remote, "From").display_name

    @property
    def tag(self) -> str:
        """Its tag."""
        return self._usage.dialog.remote_tag

    @property
    def contact_uri(self) -> Uri:
        """Where it is at the moment: its last Contact (RFC 3261 section 12.2: the remote target)."""
        return self._usage.dialog.remote_target

    @property
    def peer(self) -> Peer | None:
        """Who is at the end of the flow by which it was heard last; None once that is lost. Behind a proxy that is the
        proxy."""
        flow = self._usage.dialog.flow
        return None if flow is None else Peer(cast("LiveFlow", flow))

    @property
    def capabilities(self) -> Capabilities:
        """Its methods, extensions, body types and feature parameters, as far as it has said."""
        return self._usage.capabilities

    @property
    def is_update_supported(self) -> bool | None:
        """Whether it takes UPDATE (RFC 3311); None while that is unknown."""
        return self.capabilities.allows("UPDATE")

    @property
    def is_reliability_supported(self) -> bool | None:
        """Whether it knows reliable provisional responses (RFC 3262); None while that is unknown."""
        return self.capabilities.supports("100rel")

    @property
    def is_session_timer_supported(self) -> bool | None:
        """Whether it knows session timers (RFC 4028); None while that is unknown."""
        return self.capabilities.supports("timer")

    @property
    def gruu(self) -> str | None:
        """The GRUU in its Contact (RFC 5627), or None."""
        return self.capabilities.gruu

    @property
    def is_focus(self) -> bool:
        """Whether it is the focus of a conference (RFC 4579)."""
        return self.capabilities.is_focus

    def __repr__(self) -> str:
        return f"<SignalingParticipant {self._usage.dialog.remote}>"


@final
class EarlyDialog:
    """One of the early dialogs of a session that does not stand yet: a phone that rings, here or there (RFC 3261
    section 12.1)."""

    __slots__ = ("_session", "_usage")

    def __init__(self, session: SignalingSession, usage: InviteUsage) -> None:
        self._session = session
        self._usage = usage

    @property
    def session(self) -> SignalingSession:
        """The session that it may become."""
        return self._session

    @property
    def usage(self) -> InviteUsage:
        """What the core knows of it."""
        return self._usage

    @property
    def local_tag(self) -> str:
        """Our tag: what tells several of ours apart (row H13)."""
        return self._usage.dialog.local_tag

    @property
    def participant(self) -> SignalingParticipant:
        """Who is at the other end."""
        return SignalingParticipant(self._usage)

    def renegotiate(
        self, offer: Any, *, headers: Iterable[tuple[str, str]] = ()
    ) -> Deferred[ContentDescription | None]:
        """Change what was agreed in it, by UPDATE (row H11, RFC 3311); see :meth:`.SignalingSession.renegotiate`."""
        return self._session.renegotiate(offer, headers=headers, dialog=self)

    def __eq__(self, other: object) -> bool:
        return self._usage is other._usage if isinstance(other, EarlyDialog) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._usage)

    def __repr__(self) -> str:
        dialog = self._usage.dialog
        return f"<EarlyDialog {dialog.local_tag} {dialog.remote_tag}>"


def early_usage(session: SignalingSession, dialog: EarlyDialog) -> InviteUsage:
    """What the core knows of *dialog*, which an application has named as one of *session*.

    :raises TypeError: when it is no early dialog.
    :raises InvalidOperation: when it is another session's.
    """
    if not isinstance(dialog, EarlyDialog):
        raise TypeError(f"{type(dialog).__name__} is no early dialog")
    if dialog.session is not session:
        raise InvalidOperation("the early dialog is another session's")
    return dialog.usage
