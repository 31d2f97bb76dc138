"""Asking a peer to call somebody: REFER within a session and outside of one, and transfer by one call (rows I1, I8, I9;
RFC 3515, RFC 4488, RFC 4538, RFC 5589, RFC 7614)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from twisted.internet.defer import CancelledError, Deferred

from sip_p2p.endpoint.address import RealTimeAddress, to_sip_uri
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.endpoint.transfer.referral import Referral
from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.dialog.references import Replaces, TargetDialog
from sip_p2p.sip.dialog.replacing import REPLACES
from sip_p2p.sip.event.refer import EXPLICITSUB, NOSUB, TDIALOG, ReferTo
from sip_p2p.sip.host import IPV4
from sip_p2p.sip.privacy import ANONYMOUS, is_anonymous
from sip_p2p.sip.uri import OpaqueUri, SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.transfer.states import ReferProgress
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.references import Join
    from sip_p2p.sip.tel import TelUri
    from sip_p2p.transport.target import Target

    Referred = str | SipUri | TelUri | OpaqueUri | RealTimeAddress | ReferTo

__all__ = ["ReferArguments", "refer", "refer_in", "transfer", "transfer_to"]

_SUBSCRIPTIONS = ("wanted", "unwanted", "none", "explicit")


class ReferArguments(TypedDict, total=False):
    """What may be said of a referral beside whom it is for and to whom it leads.

    :ivar method: what the peer is to send: INVITE by default.
    :ivar replaces: the session that the new one is to take the place of, as the one who is asked names it.
    :ivar join: the session that it is to be added to, likewise.
    :ivar uri_headers: header fields for the request that the peer makes; which of them it takes is its own affair.
    :ivar headers: further header fields of the REFER.
    :ivar referred_by: whether Referred-By says who we are, which it does by default, but not in a session in which we
        have no name. Nobody can rely on it.
    :ivar subscription: ``wanted`` by default: the peer tells what becomes of it; ``unwanted`` asks it not to (RFC
        4488), and ``none`` insists that it does not (RFC 7614). ``explicit`` insists that it says where to subscribe to
        that, which is then done: outside of the session's dialog, with all that a subscription can have (RFC 7614).
    :ivar in_dialog: within a session: False sends the REFER outside of its dialog, and names that in Target-Dialog (RFC
        4538).
    :ivar target_dialog: outside of a session: one that the peer knows, which is why it is to do what we ask.
    :ivar via: outside of a session: send the REFER there instead of where its target leads (row E22).
    """

    method: str
    replaces: Replaces | None
    join: Join | None
    uri_headers: Iterable[tuple[str, str]]
    headers: Iterable[tuple[str, str]]
    referred_by: bool
    subscription: str
    in_dialog: bool
    target_dialog: SignalingSession | None
    via: Target | None


def refer_to_of(target: Referred, arguments: ReferArguments, domain: str) -> ReferTo:
    """The Refer-To that these arguments mean.

    :param domain: whose telephone numbers are meant.
    :raises TypeError: for an argument that there is not.
    :raises ValueError: for what cannot be referred to.
    """
    unknown = arguments.keys() - ReferArguments.__annotations__.keys()
    if unknown:
        raise TypeError(f"a referral has no argument {', '.join(sorted(unknown))}")
    if isinstance(target, ReferTo):
        return target
    uri = target if isinstance(target, OpaqueUri) else to_sip_uri(target, domain)
    return ReferTo.of(
        uri,
        method=arguments.get("method", "INVITE"),
        replaces=arguments.get("replaces"),
        join=arguments.get("join"),
        fields=arguments.get("uri_headers", ()),
    )


def _fields(
    endpoint: RealTimeEndpoint, refer_to: ReferTo, arguments: ReferArguments, is_nobody: bool = False
) -> list[tuple[str, str]]:
    """The header fields of the REFER, of one in a session in which we have no name where *is_nobody*."""
    subscription = arguments.get("subscription", "wanted")
    if subscription not in _SUBSCRIPTIONS:
        raise ValueError(f"subscription is one of {', '.join(_SUBSCRIPTIONS)}, not {subscription!r}")
    fields = [("Refer-To", str(refer_to))]
    if arguments.get("referred_by", not is_nobody):
        fields.append(("Referred-By", f"<{endpoint.owner_uri}>"))
    if subscription == "unwanted":
        fields.append(("Refer-Sub", "false"))
    elif subscription == "none":
        fields.append(("Require", NOSUB))
    elif subscription == "explicit":
        fields.append(("Require", EXPLICITSUB))
    fields.append(("Supported", endpoint.profile.supported_value))
    return [*fields, *application_fields(arguments.get("headers", ()))]


def refer(
    endpoint: RealTimeEndpoint,
    peer: str | SipUri | TelUri | RealTimeAddress,
    target: Referred,
    arguments: ReferArguments,
    is_nobody: bool = False,
) -> Deferred[Referral]:
    """Refer outside of a session; see :meth:`~sip_p2p.endpoint.endpoint.RealTimeEndpoint.refer`.

    :param is_nobody: whether it is for a session in which we have no name.
    """
    check_thread()
    refer_to = refer_to_of(target, arguments, endpoint.owner_uri.host)
    fields = _fields(endpoint, refer_to, arguments, is_nobody)
    known = arguments.get("target_dialog")
    if known is not None:
        fields += _naming(known)
    uri = to_sip_uri(peer, endpoint.owner_uri.host)
    plan = endpoint.compose("REFER", uri, headers=fields, from_=ANONYMOUS if is_nobody else None)
    endpoint.first_hop(plan, arguments.get("via"))
    plan.prepare()
    referral = Referral(endpoint, refer_to, arguments.get("subscription", "wanted"), is_nobody)
    return referral.start(plan, arguments.get("via"))


def refer_in(session: SignalingSession, target: Referred, arguments: ReferArguments) -> Deferred[Referral]:
    """Refer within a session; see :meth:`.SignalingSession.refer`."""
    endpoint = session.endpoint
    check_thread()
    dialog = _dialog_of(session)
    is_nobody = is_anonymous(dialog.local)
    if not arguments.get("in_dialog", True):
        return refer(endpoint, str(dialog.remote_target), target, {**arguments, "target_dialog": session}, is_nobody)
    refer_to = refer_to_of(target, arguments, endpoint.owner_uri.host)
    fields = _fields(endpoint, refer_to, arguments, is_nobody)
    referral = Referral(endpoint, refer_to, arguments.get("subscription", "wanted"), is_nobody)
    return referral.start_in(dialog, fields)


def _naming(session: SignalingSession) -> list[tuple[str, str]]:
    """The header fields that name the dialog of *session* to its peer, who has to understand that where it has said so
    (RFC 4538 section 3)."""
    fields = [(TargetDialog.name, str(TargetDialog.to(_dialog_of(session))))]
    if session.usage is not None and session.usage.capabilities.supports(TDIALOG):
        fields.append(("Require", TDIALOG))
    return fields


def _dialog_of(session: SignalingSession) -> Dialog:
    usage = session.usage
    if usage is None or session.state is not SignalingState.CONNECTED:
        raise InvalidOperation(f"a session that is {session.state.name.lower()} cannot be transferred")
    return usage.dialog


def transfer(session: SignalingSession, target: Referred, arguments: ReferArguments) -> Deferred[ReferProgress]:
    """Have the peer call somebody else in our place; see :meth:`.SignalingSession.transfer`."""
    referring = refer_in(session, target, arguments)
    return Deferred.fromCoroutine(_transferred(referring, (session,)))


def transfer_to(
    session: SignalingSession, other: SignalingSession, arguments: ReferArguments
) -> Deferred[ReferProgress]:
    """Bring the peers of two sessions together; see :meth:`.SignalingSession.transfer_to`."""
    if other is session:
        raise ValueError("a session is transferred to another one")
    dialog = _dialog_of(other)
    _dialog_of(session)
    target, fields = _address_of(dialog)
    # RFC 3891 section 4: as the party names it that is to give it up.
    given: ReferArguments = {
        **arguments,
        "replaces": Replaces.to(dialog),
        "uri_headers": [*fields, *arguments.get("uri_headers", ())],
    }
    referring = refer_in(session, target, given)
    return Deferred.fromCoroutine(_transferred(referring, (session, other)))


def _address_of(dialog: Dialog) -> tuple[SipUri, list[tuple[str, str]]]:
    """Where the party of *dialog* is to be called: just there (RFC 5589 section 7.3), but for an address that nobody
    can prove to be his. Under his name somebody else may be found, who is to understand what the call is about (section
    7.5): the header fields for that."""
    target, known = dialog.remote_target, dialog.remote_uri
    if isinstance(known, SipUri) and isinstance(target, SipUri) and dialog.is_verified and _is_literal(target.host):
        return known, [("Require", REPLACES)]
    return to_sip_uri(str(target)), []


def _is_literal(host: str) -> bool:
    return host.startswith("[") or IPV4.fullmatch(host) is not None


async def _transferred(referring: Deferred[Referral], sessions: tuple[SignalingSession, ...]) -> ReferProgress:
    """The outcome; where that is good the sessions are not needed any more (RFC 5589 section 6.1)."""
    referral = await referring
    try:
        outcome = await referral.when_final()
    except CancelledError:
        referral.stop()
        raise
    for session in sessions:
        session.end([])
    return outcome
