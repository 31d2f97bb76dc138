"""Sessions that take the place of another one, or are added to it (row I9, fault D5; RFC 3891, RFC 3911).

Of a peer's INVITE that names a session of ours only that peer is let through with whom the session is, under the
address that it has there, or with the password that its user has shown there; ``replaces_policy`` can let others
through, such as the one whom an attended transfer sends.
Nobody else hears that there is such a session: 481. Who sent them, by Referred-By, is a claim, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from twisted.python.failure import Failure

from sip_p2p.endpoint.peer import Peer
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.references import Join, Replaces
from sip_p2p.sip.dialog.replacing import JOIN, REPLACES, read_relation, relation_of
from sip_p2p.sip.event.refer import read_referred_by
from sip_p2p.sip.readings import warning_value

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.event.refer import ReferredBy
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.outputs import RequestReceived
    from sip_p2p.transport.flow import LiveFlow

    ReplacesPolicy: TypeAlias = Callable[["Replacement"], bool]

__all__ = ["Refusal", "Replacement", "reference_fields", "replacement_of"]


@final
class Replacement:
    """What a peer's INVITE wants with a session that stands, or that we are about to establish.

    :ivar session: that session.
    :ivar is_join: whether the new one is to be added to it; otherwise it takes its place, and the old one ends when the
        new one stands.
    :ivar is_same_party: whether the INVITE is from the party that the session is with: from its connection, under its
        address; or, where the endpoint asks for passwords, from the user that the session is with.
    :ivar invite: the INVITE.
    :ivar peer: who has sent it, as far as was verified.
    """

    __slots__ = ("invite", "is_join", "is_same_party", "peer", "session")

    def __init__(
        self, session: SignalingSession, is_join: bool, is_same_party: bool, invite: Request, peer: Peer
    ) -> None:
        self.session = session
        self.is_join = is_join
        self.is_same_party = is_same_party
        self.invite = invite
        self.peer = peer

    @property
    def referred_by(self) -> ReferredBy | None:
        """Who is said to have asked for it; anybody can write that (RFC 3892 section 6). None where it does not say, or
        cannot be read."""
        try:
            return read_referred_by(self.invite)
        except MalformedMessage:
            return None

    def __repr__(self) -> str:
        return f"<Replacement {'beside' if self.is_join else 'of'} {self.session!r} by {self.peer!r}>"


@final
class Refusal:
    """Why an INVITE that names another session is refused.

    :ivar status: the status.
    :ivar fields: what goes with it.
    """

    __slots__ = ("fields", "status")

    def __init__(self, status: int, warning: str = "") -> None:
        self.status = status
        self.fields = [("Warning", warning_value(warning))] if warning else []


def replacement_of(output: RequestReceived, endpoint: RealTimeEndpoint) -> Replacement | Refusal | None:
    """What the INVITE of *output* wants with another session of *endpoint*; None for nearly all of them."""
    core, request = endpoint.connection_manager.core, output.request
    try:
        reference = read_relation(request, endpoint.profile.supported)
        if reference is None:
            return None
        username = output.transaction.authenticated_as
        relation = relation_of(reference, request, output.flow, core.dialogs, username)
    except MalformedMessage as error:
        return Refusal(error.status, error.reason)
    session = None if relation is None else relation.usage.user
    if relation is None or not isinstance(session, SignalingSession) or session.endpoint is not endpoint:
        return Refusal(481)
    peer = Peer(cast("LiveFlow", output.flow))
    incoming = Replacement(session, isinstance(reference, Join), relation.is_same_party, request, peer)
    if not _is_allowed(incoming, endpoint):
        endpoint.connection_manager.dispatch.replacement_refused(incoming)
        return Refusal(481)
    status = relation.refusal()
    return Refusal(status) if status else incoming


def _is_allowed(incoming: Replacement, endpoint: RealTimeEndpoint) -> bool:
    policy = endpoint.replaces_policy
    if policy is None:
        return incoming.is_same_party
    try:
        return policy(incoming) is True
    except Exception:
        endpoint.connection_manager.dispatch.handler_failed("INVITE", Failure())
        return False


def reference_fields(
    replaces: SignalingSession | Replaces | None, join: SignalingSession | Join | None
) -> list[tuple[str, str]]:
    """The header fields of an INVITE that takes the place of a session, or is added to it: a session of our own, for
    the party that it is with, or another party's, as somebody has named it.

    It requires that this is understood: nobody is to be rung up for a session that he knows nothing of.

    :raises InvalidOperation: when our own session has no dialog.
    :raises TypeError: for what is neither.
    :raises ValueError: for both at once.
    """
    if replaces is not None and join is not None:
        raise ValueError("a session replaces another one, or joins it")
    if replaces is not None:
        return [("Replaces", str(_reference(replaces, Replaces))), ("Require", REPLACES)]
    return [] if join is None else [("Join", str(_reference(join, Join))), ("Require", JOIN)]


def _reference(given: object, kind: type[Replaces] | type[Join]) -> Replaces | Join:
    if isinstance(given, kind):
        return given
    if not isinstance(given, SignalingSession):
        raise TypeError(f"{kind.name} takes a session or {kind.__name__}, not {type(given).__name__}")
    if given.usage is None:
        raise InvalidOperation("a session without a dialog cannot be named to anybody")
    return kind.to(given.usage.dialog)
