"""What may be said of a subscription beside whose state it is for, and what of that stands in its SUBSCRIBEs (rows J6
and J7; RFC 6665 section 4.1.2, RFC 6446).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, final

from twisted.python.failure import Failure

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.composition import PLAIN_TEXT
from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.abnf import octets_of
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.event.rates import Rates
from sip_p2p.sip.event.subscribing import SubscribeKind, SubscriberOptions
from sip_p2p.sip.fields import EventValue, parse_event
from sip_p2p.transport.dns.family import AddressFamilyHint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.uri import SipUri, TelUri
    from sip_p2p.transport.target import Target

    Said: TypeAlias = tuple[bytes, str | None]

__all__ = ["RETRIES", "Assembler", "SubscribeArguments", "SubscribeTerms", "checked_body"]

RETRIES = ("established", "always", "never")
"""When a subscription that came to its end is begun anew: once it has stood; also when it has not; not at all."""

_USUAL_EXPIRES = 3600

_ACCEPT = {
    "dialog": "application/dialog-info+xml",
    "message-summary": "application/simple-message-summary",
    "presence": "application/pidf+xml",
    "refer": "message/sipfrag",
}
"""The bodies that the packages ask for which the stack can read; others ask for whatever the notifier has."""


class Assembler(Protocol):
    """Who makes whole states of documents that say only what has changed, such as
    :class:`~sip_p2p.documents.dialog_info.DialogTable`.

    :ivar is_complete: whether nothing is missing.
    """

    is_complete: bool

    def add(self, document: Any, /) -> object:
        """Take the next document in."""

    def reset(self) -> None:
        """What comes next is of a new subscription."""


class SubscribeArguments(TypedDict, total=False):
    """What may be said of a subscription beside whose state it is for.

    :ivar expires: for how many seconds to ask: an hour by default. It is refreshed before that is over.
    :ivar accept: the media types that notifications may have, as Accept lists them; by default that of the package
        where the stack can read it, and any otherwise. Others are answered 415.
    :ivar body: what the first SUBSCRIBE says, such as a filter; or a callable that is given the
        :class:`~sip_p2p.sip.event.subscribing.SubscribeKind` of each of them and returns it, None for nothing.
    :ivar content_type: the type of the body; by default ``text/plain; charset=UTF-8`` for text.
    :ivar headers: further header fields of every SUBSCRIBE, or a callable likewise.
    :ivar max_rate: how many notifications a second to ask for at most (RFC 6446 section 5.1); above 0 and below 100, as
        are the others.
    :ivar min_rate: how many a second to ask for at least, changed or not (section 6.1).
    :ivar adaptive_min_rate: the same on average (section 7.1).
    :ivar retry: ``established`` begins it anew when it ends after it has stood, as the notifier's reason says;
        ``always`` also where the first attempt fails; ``never`` does not.
    :ivar forked: called with one more :class:`~.subscription.Subscription` for each further notifier that the SUBSCRIBE
        has reached behind a proxy; by default the first has it, and the others are answered 481.
    :ivar decoders: how bodies are read, by media type; beside those of the stack or in their place.
    :ivar assembler: who makes whole states of partial ones; by default one for ``dialog``, and none for others.
    :ivar queue: how many notifications wait to be taken: by default ``limits.notification_queue``. Over it the oldest
        is given up.
    :ivar from_: another From than the owner's, if ``may_impersonate`` allows it (row A16).
    :ivar via: send the SUBSCRIBE there instead of where the target leads (row E22).
    :ivar family: which addresses may be used, and which come first (row E23).
    """

    expires: int
    accept: str | Iterable[str] | None
    body: str | bytes | Callable[[SubscribeKind], str | bytes | None] | None
    content_type: str | None
    headers: Iterable[tuple[str, str]] | Callable[[SubscribeKind], Iterable[tuple[str, str]]]
    max_rate: float | None
    min_rate: float | None
    adaptive_min_rate: float | None
    retry: str
    forked: Callable[[Subscription], object] | None
    decoders: Mapping[str, Callable[[bytes], Any]] | None
    assembler: Assembler | None
    queue: int
    from_: str | SipUri | None
    via: Target | None
    family: AddressFamilyHint | str | None


@functools.lru_cache(maxsize=256)
def _options(event: str, expires: int, accept: str, max_forks: int, notify_burst: int) -> SubscriberOptions:
    """The options of the machine: the same object for all that are the same, of which there may be very many."""
    return SubscriberOptions(parse_event(event), expires, accept=accept, max_forks=max_forks, notify_burst=notify_burst)


@final
class SubscribeTerms:
    """The arguments of one subscription, checked: how its SUBSCRIBEs are made, each time that it is begun.

    :ivar endpoint: whose it is.
    :ivar target: whose state it is for; None in the dialog of a session.
    :ivar options: what the machine needs of them.
    :ivar update: what the application wants to be said once, while it is on its way: the body and its type.
    """

    __slots__ = (
        "_body",
        "_content_type",
        "_fields",
        "_from",
        "_headers",
        "assembler",
        "decoders",
        "endpoint",
        "family",
        "forked",
        "options",
        "queue",
        "retry",
        "target",
        "update",
        "via",
    )

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        target: str | SipUri | TelUri | RealTimeAddress | None,
        event: str,
        arguments: SubscribeArguments,
    ) -> None:
        """
        :raises TypeError: for an argument that there is not, or of the wrong type.
        :raises ValueError: for anything that cannot stand in a request.
        :raises RestrictedHeader: for a header field that the stack sets.
        """
        unknown = arguments.keys() - SubscribeArguments.__annotations__.keys()
        if unknown:
            raise TypeError(f"a subscription has no argument {', '.join(sorted(unknown))}")
        self.endpoint = endpoint
        self.target = None if target is None else to_sip_uri(target, endpoint.owner_uri.host)
        self.forked = arguments.get("forked")
        self.decoders = arguments.get("decoders")
        self.retry = arguments.get("retry", "established")
        if self.retry not in RETRIES:
            raise ValueError(f"retry is one of {', '.join(RETRIES)}, not {self.retry!r}")
        self.queue = arguments.get("queue", endpoint.connection_manager.limits.notification_queue)
        if self.queue < 1:
            raise ValueError("there has to be room for one notification")
        self.via = arguments.get("via")
        family = arguments.get("family")
        self.family = None if family is None else AddressFamilyHint.named(family)
        self._from = arguments.get("from_")
        self._body = arguments.get("body")
        self._content_type = arguments.get("content_type")
        headers = arguments.get("headers", ())
        self._headers = headers if callable(headers) else None
        self.update: Said | None = None
        self.options = self._checked_options(event, arguments)
        self.assembler = self._assembler(arguments)
        if self._body is not None and not callable(self._body):
            checked_body(self._body, self._content_type)
        # What is wrong about it is told before anything is done.
        plan = endpoint.compose(
            "SUBSCRIBE",
            endpoint.owner_uri if self.target is None else self.target,
            headers=() if callable(headers) else headers,
            from_=self._from,
        )
        if self.target is not None:
            endpoint.first_hop(plan, self.via)
        plan.prepare()
        self._fields = tuple(plan.fields)

    def _checked_options(self, event: str, arguments: SubscribeArguments) -> SubscriberOptions:
        try:
            parsed = parse_event(event)
        except MalformedMessage as error:
            raise ValueError(f"{event[:64]!r} is no event: {error.reason}") from None
        params = dict(parsed.params)
        params |= Rates(arguments.get("max_rate"), arguments.get("min_rate"), arguments.get("adaptive_min_rate")).params
        accept = arguments.get("accept")
        if accept is None:
            accept = _ACCEPT.get(parsed.package, "")
        elif not isinstance(accept, str):
            accept = ", ".join(accept)
        limits = self.endpoint.connection_manager.limits
        expires = arguments.get("expires", _USUAL_EXPIRES)
        max_forks = 1 if self.forked is None else limits.forks
        try:
            text = str(EventValue(parsed.package, params))
            return _options(text, expires, accept, max_forks, limits.notifications)
        except MalformedMessage as error:
            raise ValueError(str(error)) from None

    def _assembler(self, arguments: SubscribeArguments) -> Assembler | None:
        if "assembler" in arguments or self.options.event.package != "dialog" or not self.options.expires:
            return arguments.get("assembler")
        from sip_p2p.documents.dialog_info import DialogTable

        return DialogTable()

    def plan(self) -> RequestPlan:
        """A SUBSCRIBE outside of any dialog, without what the machine adds: with a Call-ID and a tag of its own.

        :raises InvalidOperation: where ``may_impersonate`` does not allow its From, and where there is no target.
        """
        if self.target is None:
            raise InvalidOperation("this subscription belongs to a session")
        return self.endpoint.compose("SUBSCRIBE", self.target, from_=self._from)

    def compose(self, plan: RequestPlan, kind: SubscribeKind) -> None:
        """Add what the application wants to be said; see :class:`.SubscribeComposer`. What it gives wrongly is logged,
        and left out."""
        plan.fields += self._fields
        try:
            if self._headers is not None:
                plan.fields += application_fields(self._headers(kind))
            update, body = self.update, self._body
            if kind is SubscribeKind.UPDATE and update is not None:
                plan.body, plan.content_type = update
            elif callable(body):
                said = body(kind)
                if said is not None:
                    plan.body, plan.content_type = checked_body(said, self._content_type)
            elif body is not None and kind in (SubscribeKind.SUBSCRIBE, SubscribeKind.FETCH):
                plan.body, plan.content_type = checked_body(body, self._content_type)
        except Exception:
            self.endpoint.connection_manager.dispatch.handler_failed("SUBSCRIBE", Failure())


def checked_body(body: str | bytes, content_type: str | None) -> Said:
    """What a SUBSCRIBE is to say.

    :raises ValueError: for octets that do not say what they are.
    """
    if content_type is None and isinstance(body, str):
        content_type = PLAIN_TEXT
    octets = octets_of(body)
    if octets and not content_type:
        raise ValueError("a body needs a content type (RFC 3261 section 7.4.1)")
    return octets, content_type
