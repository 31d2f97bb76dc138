"""What every request and response in a dialog that INVITE made carries besides its own matter (RFC 3261 sections 12.2
and 13.2.1, RFC 3311 section 5, RFC 4028 section 9, RFC 6086 section 5.2).

One place writes Contact, Allow, Supported and Recv-Info, so that no 2xx goes without them: a response to a refresh that
lacked one has cost people their calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import AlreadyResponded
from sip_p2p.sip.dialog.modification import Modification
from sip_p2p.sip.dialog.session_timer import OPTION_TAG as TIMER_TAG
from sip_p2p.sip.dialog.session_timer import SessionTimer, SessionTimerSettings
from sip_p2p.sip.privacy import is_anonymous

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = [
    "capability_fields",
    "describe_plan",
    "describe_response",
    "farewell_fields",
    "in_dialog_response",
    "judge_timer",
    "refuse",
    "refuse_pending",
    "timer_request_fields",
    "timer_response_fields",
    "timer_response_received",
]

_UNASKED = SessionTimerSettings(interval=None)
"""A session that wants no timer of its own, and goes along with the peer's (RFC 4028 section 9)."""


def capability_fields(profile: Profile, has_timer: bool = True, has_packages: bool = True) -> list[tuple[str, str]]:
    """What we say of ourselves in whatever may change a session, requests and responses alike.

    RFC 3261 section 13.2.1 and RFC 3311 section 4: Allow, so that the peer knows of UPDATE. RFC 4028 section 7.1:
    ``timer`` among what is supported, in every one of them. RFC 6086 section 5.2.3: Recv-Info.

    :param has_timer: whether session timers are not left out here: whoever says ``timer`` is taken for one that
        refreshes.
    :param has_packages: whether Recv-Info may stand there: in a response only where the request has one.
    """
    supported = profile.supported_value
    if not has_timer and TIMER_TAG in profile.supported:
        supported = ", ".join(sorted(profile.supported - {TIMER_TAG}))
    fields = [("Allow", profile.allow_value), ("Supported", supported)]
    if has_packages:
        # RFC 6086 section 5.2.2: an empty one says that no package is taken. Where there is none, the peer does not say
        # either what it takes.
        fields.append(("Recv-Info", ", ".join(profile.info_packages)))
    if profile.event_packages:
        # RFC 6665 section 4.4.4: in whatever makes a dialog.
        fields.append(("Allow-Events", ", ".join(profile.event_packages)))
    return fields


def in_dialog_response(
    usage: InviteUsage,
    transaction: ServerTransaction,
    status: int,
    has_packages: bool = True,
    wants_secure: bool = False,
) -> Response:
    """Begin a provisional response or a 2xx to a request that may change the session.

    :param has_packages: whether that request has a Recv-Info.
    :param wants_secure: whether it asks for a ``sips`` Contact, in whatever dialog.
    :raises InvalidOperation: when the party has no Contact.
    """
    response = usage.core.response(transaction, status)
    profile = usage.profile
    # 12.1.1, 12.2.2, RFC 3311 section 5.2: a target refresh is answered with a Contact.
    names_nobody = is_anonymous(usage.dialog.local)
    is_secure = usage.dialog.is_secure or wants_secure
    response.headers.add("Contact", profile.contact_value(transaction.flow, is_secure, names_nobody))
    for name, value in capability_fields(profile, usage.has_timer, has_packages):
        response.headers.add(name, value)
    return response


def describe_response(response: Response, description: ContentDescription | None) -> None:
    """Put a session description into *response*."""
    if description is None:
        return
    response.headers.add("Content-Type", description.content_type)
    if description.disposition:
        response.headers.add("Content-Disposition", description.disposition)
    response.body = description.body


def describe_plan(plan: RequestPlan, description: ContentDescription | None) -> None:
    """Put a session description into what *plan* will make."""
    if description is None:
        return
    plan.body = description.body
    plan.content_type = description.content_type
    if description.disposition:
        plan.fields.append(("Content-Disposition", description.disposition))


def farewell_fields(status: int, fields: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a BYE carries that stands for a refusal with *status* and *fields*, since the offer came in a response.

    RFC 3326 section 3.2: Reason says why; RFC 3261 section 20.43: Warning is for responses.
    """
    said = [field for field in fields if field[0].lower() != "warning"]
    if all(name.lower() != "reason" for name, _ in said):
        said.append(("Reason", f"SIP;cause={status}"))
    return said


def refuse(
    core: UserAgentCore,
    transaction: ServerTransaction,
    status: int,
    now: float,
    fields: Sequence[tuple[str, str]] = (),
    reason: str | None = None,
    may_retry: bool = True,
) -> None:
    """Answer a request with a final response that is no 2xx; nothing happens where it has one, or its flow is gone.

    :param may_retry: whether a 500 asks to come again; not where the application is what has failed.
    """
    if transaction.is_final_sent:
        return
    response = core.response(transaction, status, reason)
    if status == 500 and not fields and may_retry:
        # 14.2, RFC 3311 section 5.2: come again, at a time that is not the same for everybody.
        response.headers.add("Retry-After", str(Modification.retry_after(core.tokens)))
    for name, value in fields:
        response.headers.add(name, value)
    try:
        core.respond(transaction, response, now)
    except AlreadyResponded:
        # 17.2.4: its flow was lost; nobody waits for the answer.
        return


def refuse_pending(core: UserAgentCore, keys: Iterable[str], now: float) -> None:
    """15.1.2: the session is over, and what is pending of the requests with these keys is answered 487."""
    waiting = core.layer.table.servers
    for key in keys:
        transaction = waiting.get(key)
        if transaction is not None:
            refuse(core, transaction, 487, now)


def timer_request_fields(usage: InviteUsage, method: str) -> list[tuple[str, str]]:
    """What a re-INVITE or an UPDATE of ours says of the session timer; nothing before the session is established."""
    if usage.session_timer is None or not usage.is_timed:
        return []
    return usage.session_timer.request_fields(method)


def timer_response_received(usage: InviteUsage, response: Response, now: float) -> None:
    """A 2xx of the peer's to INVITE or UPDATE says how long the session lasts (RFC 4028 section 7.2)."""
    if usage.is_early:
        return
    if usage.session_timer is None and "Session-Expires" in response.headers:
        # A proxy or the peer asks for what we never asked for.
        usage.session_timer = SessionTimer(_UNASKED)
    if usage.session_timer is not None:
        usage.session_timer.response_received(response, now)


def judge_timer(usage: InviteUsage, request: Request) -> tuple[int, list[tuple[str, str]]]:
    """Judge the session interval that a re-INVITE or an UPDATE of the peer's asks for (RFC 4028 section 9).

    :returns: 0; or the status to refuse the request with, and the fields that go with it.
    """
    if usage.is_early:
        return 0, []
    if usage.session_timer is None:
        if "Session-Expires" not in request.headers:
            return 0, []
        usage.session_timer = SessionTimer(_UNASKED)
    status = usage.session_timer.request_received(request)
    return status, usage.session_timer.refusal_fields() if status == 422 else []


def timer_response_fields(usage: InviteUsage, method: str, now: float) -> list[tuple[str, str]]:
    """What the 2xx to a request that was judged says of the session timer; the interval begins anew with it."""
    if usage.session_timer is None or usage.is_early:
        return []
    return usage.session_timer.response_fields(now, method)
