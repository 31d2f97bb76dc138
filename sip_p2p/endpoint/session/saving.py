"""Sessions that outlive their process (row H33): an established session as text, and taken up again.

What the core knows of a session is :class:`~sip_p2p.sip.dialog.state.DialogState`; here is added what the facade knows,
and what is done about the connection, which is gone: as with one that was lost, the peer is looked for, has to be the
party that it was, and gets an UPDATE with our new Contact (:mod:`.recovery`).

Left out: where the text is kept, and session descriptions, which may hold keys. Events and handlers are the new
process's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.endpoint.session.recovery import Recovery
from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.refreshing import refresh
from sip_p2p.sip.dialog.state import DialogState

if TYPE_CHECKING:
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.session_timer import SessionTimerSettings

__all__ = ["restore", "save"]


def save(session: SignalingSession, wall: float) -> str:
    """*session* as one line of JSON.

    :param wall: what the wall clock says, in seconds since 1970.
    :raises InvalidOperation: for a session that does not stand.
    """
    if session.usage is None:
        raise InvalidOperation("only an established session can be saved")
    extra = {
        "owner": str(session.endpoint.owner_uri),
        "side": "called" if session.is_incoming else "caller",
        "recovery": session.recovery.name,
    }
    return DialogState.of(session.usage, wall, extra).to_json()


def restore(
    session: SignalingSession,
    text: str,
    settings: SessionTimerSettings,
    wall: float,
    *,
    recovery: Recovery | None = None,
    description: ContentDescription | None = None,
) -> None:
    """Let *session*, which is new, be what :func:`save` wrote, and look for its peer.

    :param settings: what is wanted of its session timer, which starts anew.
    :param wall: what the wall clock says now.
    :param recovery: what is done when the way to the peer is lost; None leaves it as it was.
    :param description: our last one, for a refresh of a peer that takes no UPDATE.
    :raises ValueError: when *text* is no saved session, or one of another party.
    :raises InvalidOperation: when the session is here already, or its timer has run out meanwhile.
    """
    endpoint = session.endpoint
    manager = endpoint.connection_manager
    state = DialogState.from_json(text)
    owner = state.extra.get("owner")
    if owner != str(endpoint.owner_uri):
        raise ValueError(f"the saved session is one of {owner!r:.128}, and this is {endpoint.owner_uri}")
    if state.has_expired(wall):
        raise InvalidOperation("the session timer has run out since the session was saved (RFC 4028 section 10)")
    name = state.extra.get("recovery", "")
    session.recovery = recovery or Recovery.__members__.get(name, Recovery.LIMITED)
    now = manager.driver.now()
    usage = state.restore(manager.core, endpoint.profile, settings, now, session)
    usage.local_description = description
    session.resumed(usage, state.extra.get("side") == "called")
    manager.sessions.add(session)
    if session.recovery is Recovery.NONE:
        refresh(usage, now)
    else:
        manager.sessions.errands.recoveries.resume(usage.dialog)
    manager.driver.drain()
