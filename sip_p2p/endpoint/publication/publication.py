"""One publication of a party's, as an application sees it (row J11, RFC 3903 sections 4 and 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, final

from twisted.internet.defer import Deferred, fail, succeed

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import EndpointTerminated, InvalidOperation, MalformedMessage, RequestFailed
from sip_p2p.sip.abnf import octets_of
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.event.publisher import PublicationOver, PublicationState, PublishEnded, Publisher
from sip_p2p.sip.fields import parse_event
from sip_p2p.transport.dns.family import AddressFamilyHint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.event.usage import EventEffect
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri, TelUri
    from sip_p2p.transport.target import Target

    Body: TypeAlias = "str | bytes | Document"

__all__ = ["Document", "Publication", "content_of", "publish"]

_LONGEST_EXPIRES = 2**31 - 1


class Document(Protocol):
    """What :mod:`sip_p2p.documents` has: a value with a media type, which can be written."""

    @property
    def media_type(self) -> str:
        """Its media type."""

    def to_bytes(self) -> bytes:
        """It, as a body."""


def content_of(body: Body, content_type: str | None) -> tuple[bytes, str]:
    """The octets and the media type of what is to be published.

    :raises ValueError: when it is empty, says no media type, or one that is none.
    :raises TypeError: when it has no octets.
    """
    if isinstance(body, str | bytes):
        octets = octets_of(body)
    else:
        octets = body.to_bytes()
        content_type = content_type or body.media_type
    if not octets or not content_type:
        raise ValueError("what is published has a body and a content type (RFC 3903 section 4.2)")
    _checked(parse_media_type, content_type)
    return octets, content_type


def _checked(parse: Callable[[str], object], text: str) -> None:
    """Refuse *text*, a field of the application's own, where *parse* cannot read it.

    :raises ValueError: then.
    """
    try:
        parse(text)
    except MalformedMessage as error:
        raise ValueError(error.reason) from None


@final
class Publication:
    """Something that a compositor keeps for us, and tells others: refreshed until it is removed.

    A failure of the first PUBLISH is the end of it; after that it is tried again, later each time, and
    :attr:`state_changed` tells.

    :ivar kind: ``publications``, as which it is counted.
    :ivar endpoint: whose it is.
    :ivar event: the event package.
    :ivar target: the resource whose state it is.
    :ivar state_changed: told with the :class:`~sip_p2p.sip.event.publisher.PublicationState` when a PUBLISH has its
        outcome, and when it is over.
    :ivar error: what the last PUBLISH came to; None where it was accepted.
    :ivar via: where its PUBLISHes go, if not where the target leads (row E22).
    :ivar family: which addresses they may use; None for those of the endpoint (row E23).
    """

    __slots__ = (
        "_machine",
        "_removing",
        "_waiting",
        "endpoint",
        "error",
        "event",
        "family",
        "state_changed",
        "target",
        "via",
    )

    kind = "publications"

    def __init__(self, endpoint: RealTimeEndpoint, event: str, target: SipUri, machine: Publisher) -> None:
        self.endpoint = endpoint
        self.event = event
        self.target = target
        self.state_changed: Event[PublicationState] = Event(log_bounds=endpoint.connection_manager.driver.log_bounds)
        self.error: BaseException | None = None
        self.via: Target | None = None
        self.family: AddressFamilyHint | None = None
        self._machine = machine
        self._waiting: dict[Deferred[Publication], int] = {}
        self._removing: list[Deferred[None]] = []
        machine.user = self
        endpoint.connection_manager.lives.add(self)

    @property
    def state(self) -> PublicationState:
        """How it stands."""
        return self._machine.state

    @property
    def etag(self) -> str:
        """The entity-tag by which the compositor knows it; empty where it does not."""
        return self._machine.etag

    @property
    def is_over(self) -> bool:
        """Whether it is over, or is about to be."""
        return self._machine.is_leaving

    @property
    def expires(self) -> float:
        """The seconds after which the compositor forgets it, unless it is refreshed before; 0 where it does not have
        it."""
        machine = self._machine
        if machine.state is PublicationState.OVER or not machine.etag:
            return 0.0
        return max(0.0, machine.expires_at - self.endpoint.connection_manager.driver.now())

    @property
    def flow(self) -> Flow | None:
        """By what the compositor has answered last; None where it has not."""
        return self._machine.flow

    def modify(self, body: Body, content_type: str | None = None) -> Deferred[Publication]:
        """Publish this instead (section 4.4). It waits for a PUBLISH that is under way, and of several the last counts.

        :param body: octets, text, or a document that knows its media type.
        :returns: fires with this publication when the compositor has it, or something newer; fails with
            :class:`~sip_p2p.errors.RequestFailed` and what else fails a request. Then it is tried again later.
        :raises ValueError: for what cannot be published.
        :raises InvalidOperation: when it is over.
        """
        check_thread()
        octets, media_type = content_of(body, content_type)
        return self._wait(self._machine.publish(octets, media_type, self._now()))

    def refresh(self) -> Deferred[Publication]:
        """Refresh it now, and not only when it is due (section 4.3).

        :returns: as for :meth:`modify`.
        :raises InvalidOperation: when it is over.
        """
        check_thread()
        return self._wait(self._machine.refresh(self._now()))

    def remove(self) -> Deferred[None]:
        """Take it back (section 4.5).

        :returns: fires when it is over, whatever the compositor has said. Idempotent.
        """
        check_thread()
        if self._machine.state is PublicationState.OVER:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._removing.append(waiting)
        self.end()
        return waiting

    # -- what the stack calls ------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Its party goes, or it is not wanted any more."""
        self._machine.remove(self._now())
        self.endpoint.connection_manager.driver.drain()

    def abandon(self, error: EndpointTerminated) -> None:
        """There is no time left: the compositor forgets it when it expires."""
        if self._machine.state is not PublicationState.OVER:
            self._machine.abandon()
            self._gone(error, error)

    def take(self, effect: EventEffect) -> None:
        """What its machine says."""
        if type(effect) is PublishEnded:
            self.error = _error(effect.response, effect.reason)
            self._settle(effect.serial, self.error)
            lives = self.endpoint.connection_manager.lives
            if lives.changed:
                lives.changed.tell(self)
            self.state_changed.tell(self._machine.state)
        elif type(effect) is PublicationOver:
            error = _error(effect.response, effect.reason)
            if effect.is_removed:
                self._gone(None, InvalidOperation("the publication was removed"))
            else:
                self._gone(error, error or InvalidOperation("the publication is over"))

    def _now(self) -> float:
        return self.endpoint.connection_manager.driver.now()

    def _wait(self, serial: int) -> Deferred[Publication]:
        waiting: Deferred[Publication] = Deferred(self._forget)
        self._waiting[waiting] = serial
        self.endpoint.connection_manager.driver.drain()
        return waiting

    def _forget(self, waiting: Deferred[Any]) -> None:
        """Nobody waits for it any more. What was never there is taken back."""
        self._waiting.pop(waiting, None)
        if not self._machine.has_stood and not self._waiting:
            self.end()

    def _settle(self, serial: int, error: BaseException | None) -> None:
        """A PUBLISH with the state *serial* has its outcome."""
        for waiting in [each for each, wanted in self._waiting.items() if wanted <= serial]:
            del self._waiting[waiting]
            if error is None:
                waiting.callback(self)
            else:
                waiting.errback(error)

    def _gone(self, error: BaseException | None, why: BaseException) -> None:
        """It is over.

        :param error: what ended it; None where we did.
        :param why: what those are told who wait for something else.
        """
        self._machine.user = None
        self.error = error
        self.endpoint.connection_manager.lives.gone(self)
        self._settle(self._machine.serial, why)
        removing, self._removing = self._removing, []
        for waiting in removing:
            waiting.callback(None)
        self.state_changed.tell(PublicationState.OVER)

    def __repr__(self) -> str:
        return f"<Publication of {self.event} for {self.target} {self.state.name}>"


def _error(response: Response | None, reason: BaseException | None) -> BaseException | None:
    """What a PUBLISH came to; None where it was accepted."""
    if response is not None and response.status >= 300:
        return RequestFailed(response)
    return reason


def publish(
    endpoint: RealTimeEndpoint,
    event: str,
    body: Body,
    content_type: str | None,
    target: str | SipUri | TelUri | RealTimeAddress | None,
    expires: int,
    headers: Iterable[tuple[str, str]],
    from_: str | SipUri | None = None,
    via: Target | None = None,
    family: AddressFamilyHint | str | None = None,
) -> Deferred[Publication]:
    """See :meth:`.RealTimeEndpoint.publish`."""
    check_thread()
    octets, media_type = content_of(body, content_type)
    if not 0 < expires <= _LONGEST_EXPIRES:
        raise ValueError(f"a publication cannot stand for {expires} s")
    _checked(parse_event, event)
    hint = None if family is None else AddressFamilyHint.named(family)
    manager = endpoint.connection_manager
    uri = to_sip_uri(endpoint.owner_uri if target is None else target, endpoint.owner_uri.host)
    try:
        plan = endpoint.compose("PUBLISH", uri, headers=headers, from_=from_)
    except EndpointTerminated as error:
        return fail(error)
    if via is not None:
        endpoint.first_hop(plan, via)
    plan.body, plan.content_type = octets, media_type
    plan.fields.append(("Event", event))
    # What is wrong with it is said now, and not by a request that fails.
    plan.prepare()
    plan.fields.pop()
    plan.body, plan.content_type, plan.cseq = b"", None, 0
    publication = Publication(endpoint, event, uri, Publisher(manager.core, plan, event, expires))
    publication.via = via
    publication.family = hint
    return publication.modify(octets, media_type)
