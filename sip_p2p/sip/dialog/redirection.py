"""Where else a call may go: the targets of 3xx responses, in order and within bounds (RFC 3261 sections 8.1.3.4 and
19.1.5).

Values in, values out: who decides and who sends is :mod:`.client_invitation`. What is held to here is that nothing is
tried twice, that there is an end to it, that a call to a ``sips:`` URI never leaves TLS (RFC 5630 section 4), and that
no other one leaves TLS, or comes back to its caller or to this machine, because a peer says so. URIs of other schemes
are passed over: no call of ours can follow them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.fields import parse_contact
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.host import is_loopback
from sip_p2p.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.directory import Directory
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.profile import Profile

__all__ = ["Redirection", "another_attempt", "fields_of_uri", "may_name"]

_IN_TLS = (None, "tls", "wss")

_FIELDS_OF_URIS = frozenset(
    """
    Accept-Contact Call-Info History-Info In-Reply-To Priority Reason Reject-Contact Request-Disposition Subject
    """.split()
)
"""What a URI may put into a request of ours. Section 19.1.5 forbids some fields and warns of more; those that say only
what the call is about, or how it is to be routed, are left."""


@final
class Redirection:
    """The targets of one call: those that were tried and those that are still to be.

    :ivar hops: how many redirections led to what is being tried.
    """

    __slots__ = ("_is_secure", "_left", "_most_hops", "_most_targets", "_tried", "hops")

    def __init__(self, uri: str, most_hops: int, most_targets: int) -> None:
        """
        :param uri: the Request-URI of the first attempt.
        :param most_hops: how many redirections may follow one another; 0: none is followed.
        :param most_targets: how many targets are tried altogether, the first not counted.
        :raises MalformedMessage: when *uri* is none.
        """
        first = parse_uri(uri)
        self._is_secure = isinstance(first, SipUri) and first.is_secure
        self._tried = [first.as_request_uri()] if isinstance(first, SipUri) else []
        # What is tried next stands at the end: the targets of a redirection come before what was left before it.
        self._left: list[tuple[int, SipUri]] = []
        self._most_hops = most_hops
        self._most_targets = most_targets
        self.hops = 0

    @property
    def may_follow(self) -> bool:
        """Whether one more redirection is within the bounds."""
        return self.hops < self._most_hops and len(self._tried) <= self._most_targets

    def contacts(
        self,
        response: Response,
        flow: Flow | None = None,
        caller: Profile | None = None,
        served: Directory | None = None,
    ) -> list[str]:
        """The targets that *response* names and that may be tried, the likeliest first.

        :param flow: what carried the response. Where that is TLS it leads to no transport in clear, where anybody could
            read the offer that was made to somebody who is known; and from elsewhere it does not lead to this machine,
            where more may be believed of who comes from within.
        :param caller: who calls: a call does not come back to there, where it may begin the next one.
        :param served: where *caller* is to be found.
        8.1.3.4: by ``q``, the highest first, and in their own order where it is the same. Section 20.10 leaves open
        what a missing one means; here it is 1. A Contact that cannot be read names nobody.
        """
        found: list[tuple[float, SipUri]] = []
        for value in response.headers.get_all("Contact"):
            try:
                for contact in parse_contact(value) or ():
                    uri = contact.uri
                    if not isinstance(uri, SipUri) or not self._may_try(uri):
                        continue
                    if flow is not None and not may_name(flow, uri):
                        continue
                    if served is None or caller is None or served.serves(uri) is not caller:
                        q = contact.q
                        found.append((1.0 if q is None else q, uri))
            except MalformedMessage:
                continue
        found.sort(key=lambda entry: -entry[0])
        contacts: list[SipUri] = []
        for _, uri in found:
            if uri not in contacts:
                contacts.append(uri)
        return [str(uri) for uri in contacts]

    def _may_try(self, uri: SipUri) -> bool:
        # RFC 5630 section 4: a call that was to be safe on every hop is not redirected to one that is not.
        if self._is_secure and not uri.is_secure:
            return False
        return uri.as_request_uri() not in self._tried

    def follow(self, targets: Iterable[str]) -> None:
        """Try *targets*, in this order, before what is left of earlier redirections.

        :raises ValueError: for what is no SIP URI, and for one that would take a ``sips:`` call out of TLS.
        """
        following: list[tuple[int, SipUri]] = []
        for target in targets:
            try:
                uri = parse_uri(target)
            except MalformedMessage as error:
                raise ValueError(f"{target[:64]!r} cannot be called: {error}") from None
            if not isinstance(uri, SipUri):
                raise ValueError(f"{target[:64]!r} cannot be called: it is no SIP URI")
            if self._is_secure and not uri.is_secure:
                raise ValueError(f"{target[:64]!r} would take a call that was to be safe out of TLS (RFC 5630)")
            following.append((self.hops + 1, uri))
        self._left += following[::-1]

    def next(self) -> SipUri | None:
        """What to try now; None when nothing is left, or the bound on targets is reached."""
        while self._left and len(self._tried) <= self._most_targets:
            hops, uri = self._left.pop()
            address = uri.as_request_uri()
            if address not in self._tried:
                self._tried.append(address)
                self.hops = hops
                return uri
        return None

    def clear(self) -> None:
        """Try nothing more."""
        self._left.clear()


def may_name(flow: Flow, uri: SipUri) -> bool:
    """Whether a response or a REFER that came by *flow* may lead to *uri* without anybody being asked."""
    if flow.is_secure and not uri.is_secure and uri.transport not in _IN_TLS:
        return False
    return is_loopback(flow.remote_host) or not is_loopback(uri.maddr or uri.host)


def fields_of_uri(uri: SipUri) -> list[tuple[str, str]]:
    """The header fields that *uri* asks for (section 19.1.5), as far as a stranger may put them into our request.

    A ``body`` is never taken: an offer is ours.
    """
    fields: list[tuple[str, str]] = []
    for name, value in uri.headers:
        try:
            checked = list(Headers([(name, value)]))
        except ValueError:
            continue
        fields += [field for field in checked if field[0] in _FIELDS_OF_URIS]
    return fields


def another_attempt(plan: RequestPlan, uri: SipUri | None, fields: list[tuple[str, str]]) -> RequestPlan:
    """The plan of one more INVITE of the same call: what 8.1.3.4 and 8.1.3.5 keep is the same, CSeq is one higher.

    :param uri: the new Request-URI; None for the same. To stays as it was.
    :param fields: its header fields.
    """
    target = plan.uri if uri is None else str(uri.as_request_uri())
    attempt = RequestPlan(plan.method, target, plan.from_, plan.from_tag, plan.call_id)
    attempt.to = plan.to
    attempt.cseq = plan.cseq + 1
    attempt.max_forwards = plan.max_forwards
    attempt.contact = plan.contact
    attempt.dialog = plan.dialog
    attempt.routes = plan.routes
    attempt.next_hop = plan.next_hop
    attempt.fields = fields
    attempt.body = plan.body
    attempt.content_type = plan.content_type
    return attempt
