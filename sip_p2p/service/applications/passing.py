"""What goes from one side of a back-to-back user agent to the other, and what stays (RFC 3261 sections 16.6 and 16.7,
RFC 7332): header fields, and the outcome of a request.

Either side is a dialog, or a transaction, of its own: what speaks of the dialog, of the hop or of what a user agent can
do is said anew for each, and credentials are for whom they were made. Everything else goes on as it is, extensions
included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sip_p2p.errors import (
    ConnectionFailure,
    EndpointTerminated,
    MalformedMessage,
    OfferRejected,
    OperationTimeout,
    PeerOverloaded,
    RequestFailed,
    SessionTerminated,
)
from sip_p2p.sip.compose import RESTRICTED_HEADERS
from sip_p2p.sip.fields import parse_max_forwards, split_values
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.sip.message import Message, Request, Response

__all__ = [
    "LOOP_FIELD",
    "Outcome",
    "answer_to",
    "body_of",
    "hops_left",
    "may_have_body",
    "outcome_of",
    "passed",
    "passed_on",
    "refusal_of_loop",
    "time_for_an_answer",
]

LOOP_FIELD = "X-Sip-P2p-Forwarded"
"""Lists who has passed a request on, so that nobody does so twice (RFC 3261 section 16.3 has Via for that, and a user
agent begins it anew)."""

MOST_PASSES = 16
"""How many parties may have passed a request on."""

_OWN = frozenset(name.lower() for name in RESTRICTED_HEADERS) | frozenset(
    """
    accept accept-encoding allow allow-events authentication-info authorization feature-caps flow-timer
    identity identity-info in-reply-to join max-breadth min-se p-asserted-identity p-preferred-identity path
    proxy-authenticate proxy-authentication-info proxy-authorization proxy-require rack recv-info replaces require rseq
    security-client security-server security-verify server service-route session-expires supported target-dialog
    timestamp unsupported user-agent www-authenticate
    """.split()
)
"""What each side says for itself."""

_OF_DESCRIPTIONS = frozenset(("content-disposition", "content-encoding", "content-language", "expires", "mime-version"))
"""What goes with a session description, or with the time that an INVITE may take."""

_SHARE = 0.9
"""Of the time in which we have to answer, what the other side has."""

_ANONYMOUS = "anonymous.invalid"


def passed(message: Message, *, described: bool = False) -> list[tuple[str, str]]:
    """The header fields of *message* that go on to the other side.

    :param described: whether its body, if any, is a session description, which goes on by itself.
    """
    own = _OWN | _OF_DESCRIPTIONS if described else _OWN
    loop = LOOP_FIELD.lower()
    return [(name, value) for name, value in message.headers if name.lower() not in own and name.lower() != loop]


def passed_on(request: Request, token: str, *, described: bool = False) -> list[tuple[str, str]]:
    """The header fields of a request that begins something: those that go on, who has passed it on with us among them,
    and whom an answer outside of it is for, which our From does not say.

    :param token: what we call ourselves there.
    """
    fields = passed(request, described=described)
    fields.append((LOOP_FIELD, ", ".join([*_passes(request), token])))
    if "Reply-To" not in request.headers and "Privacy" not in request.headers:
        try:
            uri = request.from_.uri
        except MalformedMessage:
            return fields
        if isinstance(uri, SipUri) and uri.host != _ANONYMOUS:
            fields.append(("Reply-To", f"<{uri}>"))
    return fields


def hops_left(request: Request) -> int:
    """How many more hops a request may take; 70 where it does not say."""
    value = request.headers.get("Max-Forwards")
    number = None if value is None else parse_max_forwards(value)
    return 70 if number is None else number


def refusal_of_loop(request: Request, token: str) -> int:
    """483 or 482 for a request that may take no further hop, or has been here before; 0 for all others."""
    passes = _passes(request)
    if token in passes:
        return 482
    return 483 if hops_left(request) < 1 or len(passes) >= MOST_PASSES else 0


def _passes(request: Request) -> list[str]:
    values = ",".join(request.headers.get_all(LOOP_FIELD)).split(",")
    return [value.strip() for value in values if value.strip()]


class Outcome(NamedTuple):
    """What the other side is answered.

    :ivar status: the status.
    :ivar reason: its phrase; None for the usual one.
    :ivar headers: header fields.
    :ivar contacts: of a redirection, where to go instead.
    """

    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    contacts: tuple[str, ...] = ()


def outcome_of(error: BaseException, *, is_invite: bool = False) -> Outcome:
    """What becomes of a request whose copy has failed with *error* (RFC 3261 section 16.7).

    A refusal goes back as it is, with two exceptions: who asks us for credentials asks nobody else (403), and one
    server that is busy does not make us one (503 becomes 500).

    :param is_invite: nothing else may be answered 408 (RFC 4320 section 4.2).
    """
    if isinstance(error, RequestFailed):
        return _refused(error.response)
    if isinstance(error, PeerOverloaded):
        return Outcome(500, None, (("Retry-After", str(max(1, round(error.retry_after)))),))
    if isinstance(error, OfferRejected):
        return Outcome(error.status)
    if isinstance(error, OperationTimeout):
        return Outcome(408 if is_invite else 504)
    if isinstance(error, SessionTerminated):
        return Outcome(488 if error.reason == "NOT_ACCEPTABLE_MEDIA" else 480)
    if isinstance(error, EndpointTerminated):
        return Outcome(480)
    return Outcome(502 if isinstance(error, ConnectionFailure) else 500)


def _refused(response: Response) -> Outcome:
    status = response.status
    if status in (401, 407):
        return Outcome(403)
    fields = tuple(passed(response, described=True))
    if status == 503:
        return Outcome(500, None, fields)
    if status < 400:
        values = response.headers.get_all("Contact")
        contacts = tuple(each for value in values for each in split_values(value))
        return Outcome(status, response.reason, fields, contacts)
    return Outcome(status, response.reason, fields)


def body_of(message: Message) -> tuple[bytes, str | None]:
    """The body of *message*, and its type; octets of no type are just that (RFC 3261 section 20.15)."""
    body = message.body
    return body, message.headers.get("Content-Type", "application/octet-stream") if body else None


def time_for_an_answer(endpoint: RealTimeEndpoint) -> float:
    """How long the other side may take to answer a request, in seconds: whoever waits for ours waits no longer."""
    return endpoint.connection_manager.limits.answer_timeout * _SHARE


def may_have_body(event: IncomingRequest, status: int) -> bool:
    """Whether an answer to *event* may have a body; what somebody else wrote into a 2xx to a MESSAGE is left out (RFC
    3428 section 7), since the message was taken all the same."""
    return status >= 300 or event.method != "MESSAGE"


def answer_to(event: IncomingRequest, outcome: Response | BaseException) -> Response:
    """The answer to *event* whose copy was answered, or failed, with *outcome*."""
    response = outcome.response if isinstance(outcome, RequestFailed) else outcome
    if isinstance(response, BaseException):
        found = outcome_of(response)
        return event.response(found.status, found.reason, headers=found.headers)
    if response.status >= 300:
        found = _refused(response)
        status, reason, fields, contacts = found.status, found.reason, list(passed(response)), found.contacts
    else:
        status, reason, fields, contacts = response.status, response.reason, passed(response), ()
    body, content_type = body_of(response) if may_have_body(event, status) else (b"", None)
    answer = event.response(status, reason, headers=fields, body=body, content_type=content_type)
    for contact in contacts:
        answer.headers.add("Contact", contact)
    return answer
