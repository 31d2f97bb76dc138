"""Which session an INVITE means to take the place of, or to be added to (RFC 3891 section 3, RFC 3911 section 4).

Values in, values out. Whether that is allowed is for somebody else to say, who is told whether the INVITE comes from
the very party that the session is with: from its connection, and under its address; or, where passwords are asked for,
with that of its user. Until that is decided nothing tells a stranger which sessions there are: what he may not touch is
answered as what does not exist.

Left out: what makes a whole conference of two sessions that are joined, and the signed Referred-By with which RFC 3891
would let a third party prove who sent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.references import Join, Replaces
from sip_p2p.sip.privacy import is_anonymous

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.table import DialogTable
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request

__all__ = ["JOIN", "REPLACES", "Relation", "is_from_party", "read_relation", "relation_of"]

REPLACES = "replaces"
"""The option tag of Replaces (RFC 3891 section 6.2)."""

JOIN = "join"
"""The option tag of Join (RFC 3911 section 7.2)."""


@final
class Relation:
    """An INVITE that names a session of the party that it is for.

    :ivar reference: how it names it, and which of the two it wants.
    :ivar usage: the session's usage of its dialog.
    :ivar is_same_party: whether the party that the session is with has sent the INVITE, as far as was verified.
    """

    __slots__ = ("is_same_party", "reference", "usage")

    def __init__(self, reference: Replaces | Join, usage: InviteUsage, is_same_party: bool) -> None:
        self.reference = reference
        self.usage = usage
        self.is_same_party = is_same_party

    def refusal(self) -> int:
        """Once it is allowed: the status to refuse it with because of how the session stands; 0 where it can be."""
        usage, reference = self.usage, self.reference
        if usage.is_over:
            # RFC 3891 section 3, RFC 3911 section 4: it has ended.
            return 603
        if usage.is_early:
            # The same: what is early is only replaced where we have called; it may be joined on either side.
            return 0 if usage.dialog.is_caller or isinstance(reference, Join) else 481
        # RFC 3891 section 3: it was accepted meanwhile.
        return 486 if isinstance(reference, Replaces) and reference.is_early_only else 0


def read_relation(request: Request, supported: set[str]) -> Replaces | Join | None:
    """What *request*, an INVITE, says of another session; None where it says nothing that is understood.

    :param supported: the option tags of what is understood.
    :raises MalformedMessage: when it says both, or one of them twice, or what cannot be read (400).
    """
    replaces = request.headers.get_all(Replaces.name) if REPLACES in supported else []
    join = request.headers.get_all(Join.name) if JOIN in supported else []
    if not replaces and not join:
        return None
    if len(replaces) + len(join) > 1:
        raise MalformedMessage("an INVITE replaces or joins one session (RFC 3891 section 3, RFC 3911 section 4)")
    return Replaces.parse(replaces[0]) if replaces else Join.parse(join[0])


def relation_of(
    reference: Replaces | Join, request: Request, flow: Flow, dialogs: DialogTable, username: str = ""
) -> Relation | None:
    """The session that *reference* names; None where there is none, which is answered 481.

    :param request: the INVITE that names it.
    :param flow: what that came by.
    :param username: whose password its sender has shown to know; empty where nobody asked.
    :raises MalformedMessage: when From cannot be read (400).
    """
    dialog = reference.find(dialogs)
    usage = None if dialog is None else dialog.user
    if dialog is None or usage is None:
        # RFC 3891 section 3: nor is a dialog meant that no INVITE has made.
        return None
    return Relation(reference, usage, is_from_party(dialog, request, flow, username))


def is_from_party(dialog: Dialog, request: Request, flow: Flow, username: str = "") -> bool:
    """Whether *request*, which is in no dialog, comes from the verified party that *dialog* is with.

    :param username: whose password its sender has shown to know; empty where nobody asked.
    :raises MalformedMessage: when From cannot be read (400).
    """
    if username and dialog.username:
        # RFC 3891 section 3: who shares the credentials is the same, on another device as well.
        return username == dialog.username
    # Many may come by one connection, that of a proxy or of a whole domain: the address tells them apart, and who has
    # none (RFC 3323 section 4.1.1.3) is like everybody else without one.
    if is_anonymous(dialog.remote):
        return False
    return dialog.is_verified and dialog.may_come_from(flow) and dialog.is_from_peer(request)
