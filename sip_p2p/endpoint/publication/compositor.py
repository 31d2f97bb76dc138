"""What peers publish here: kept until it expires, composed, and told to whoever has subscribed (RFC 3903 section 6,
row J11).

A small event state compositor for the packages of one endpoint. Who publishes has proved the address whose state it is,
unless somebody says who else may. An entity-tag cannot be guessed, and is worth nothing to anybody but the party that
got it. How much is kept is bounded for all and for each party.

Left out on purpose: a store that outlives the process. Whoever published is told 412 after a restart, and publishes
anew (section 5).
"""

from __future__ import annotations

import random
from collections import Counter
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, succeed

from sip_p2p.endpoint.peer import holder_of
from sip_p2p.endpoint.subscription.package import Verdict, resource_name
from sip_p2p.endpoint.subscription.packages.resources import ResourcePackage
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import is_token
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.event.terms import read_event
from sip_p2p.sip.fields import parse_seconds
from sip_p2p.sip.readings import warning_value
from sip_p2p.sip.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.events import StateChanged
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.sip.event.terms import Terms
    from sip_p2p.sip.message import Request

__all__ = ["EventStateCompositor", "PublishedState"]


@final
class PublishedState:
    """Something that a peer has published.

    :ivar etag: by what its publisher knows it.
    :ivar package: the event package.
    :ivar resource: the name of the resource whose state it is.
    :ivar holder: who has proved to have published it, a peer or, after ``user``, a user with a password; the address
        where nobody has.
    :ivar document: what was published, as the package reads it.
    :ivar octets: how long that was.
    """

    __slots__ = ("document", "etag", "holder", "octets", "package", "resource")

    def __init__(
        self, etag: str, package: ResourcePackage[Any], resource: str, holder: str, document: Any, octets: int
    ) -> None:
        self.etag = etag
        self.package = package
        self.resource = resource
        self.holder = holder
        self.document = document
        self.octets = octets

    def __repr__(self) -> str:
        return f"<PublishedState {self.package.name} of {self.resource}>"


@final
class _Reading:
    """What a PUBLISH says.

    :ivar package: the event package.
    :ivar resource: the name of the resource.
    :ivar known: what it refreshes, changes or removes; None for an initial one.
    :ivar expires: the seconds that are granted; 0 to remove it, and where nothing is to be kept.
    :ivar document: what it carries; None where it carries nothing.
    """

    __slots__ = ("document", "expires", "known", "package", "resource")

    def __init__(self, package: ResourcePackage[Any], resource: str) -> None:
        self.package = package
        self.resource = resource
        self.known: PublishedState | None = None
        self.expires = 0
        self.document: Any = None


class _Refused(Exception):
    """A PUBLISH is answered so."""

    def __init__(self, status: int, *fields: tuple[str, str], words: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.fields = list(fields)
        if words:
            self.fields.append(("Warning", warning_value(words)))


@final
class EventStateCompositor:
    """Keeps what peers publish at *endpoint*, and tells those who have subscribed there.

    ``EventStateCompositor(endpoint, [PresencePackage()])``: packages that the endpoint does not have yet are added to
    it, and PUBLISH is handled from now on.

    :param endpoint: to whom one publishes.
    :param packages: the packages that one may publish for; what is published for a package is kept by one compositor.
    :param may_publish: says who may, given the PUBLISH and the name of the resource: True, False or a
        :class:`.Verdict`, or a Deferred or coroutine of one. By default whoever has proved that the resource is its own
        address.
    """

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        packages: Iterable[ResourcePackage[Any]],
        *,
        may_publish: Callable[[IncomingRequest, str], Any] | None = None,
    ) -> None:
        check_thread()
        self._endpoint = endpoint
        self._may_publish = may_publish
        self._packages = {package.name: package for package in packages}
        self._states: dict[str, PublishedState] = {}
        # Those of one resource, the oldest first.
        self._resources: dict[tuple[str, str], dict[str, PublishedState]] = {}
        # Those of one resource that are not decided yet, in the order in which they came, with what was said of each.
        self._waiting: dict[str, dict[Deferred[Any], tuple[Any] | None]] = {}
        self._holders: Counter[str] = Counter()
        self._octets = 0
        self._schedule: Schedule[str] = Schedule()
        for package in self._packages.values():
            if package not in endpoint.packages:
                endpoint.packages.add(package)
        endpoint.handle("PUBLISH", self._received)
        endpoint.state_changed.subscribe(self._endpoint_changed)

    def __len__(self) -> int:
        """How many publications it keeps."""
        return len(self._states)

    @property
    def octets(self) -> int:
        """How long they are altogether."""
        return self._octets

    def publications(self, package: ResourcePackage[Any], resource: object) -> tuple[PublishedState, ...]:
        """What was published of *resource*, a name or an address, the oldest first."""
        return tuple(self._resources.get((package.name, resource_name(resource)), {}).values())

    def close(self) -> None:
        """Take no more PUBLISHes, and forget all that was published."""
        check_thread()
        self._endpoint.state_changed.unsubscribe(self._endpoint_changed)
        self._endpoint.stop_handling("PUBLISH")
        self._endpoint.connection_manager.core.appointments.set(self, None)
        for state in tuple(self._states.values()):
            self._forget(state)

    # -- a PUBLISH (section 6) -----------------------------------------------------------------------------------------

    def _received(self, incoming: IncomingRequest) -> Any:
        incoming.defer()
        try:
            package = self._package_of(incoming.request)
            resource = self._resource_of(incoming)
        except _Refused as refused:
            incoming.respond(refused.status, headers=refused.fields)
            return None
        verdict = self._authorise(incoming, resource)
        if iscoroutine(verdict):
            verdict = Deferred.fromCoroutine(verdict)
        if isinstance(verdict, Deferred) or resource in self._waiting:
            return self._wait(verdict, resource).addCallback(self._decided, incoming, package, resource)
        self._decided(verdict, incoming, package, resource)
        return None

    def _wait(self, verdict: Any, resource: str) -> Deferred[Any]:
        """6: those of one resource are processed in the order in which they came, however long it takes to decide about
        each.

        :returns: fires with *verdict* when the turn has come.
        """
        asked: Deferred[Any] = verdict if isinstance(verdict, Deferred) else succeed(verdict)
        turn: Deferred[Any] = Deferred(lambda _: asked.cancel())
        self._waiting.setdefault(resource, {})[turn] = None
        asked.addBoth(self._said, turn, resource)
        return turn

    def _said(self, verdict: Any, turn: Deferred[Any], resource: str) -> None:
        waiting = self._waiting[resource]
        waiting[turn] = (verdict,)
        while waiting and (said := waiting[first := next(iter(waiting))]) is not None:
            del waiting[first]
            if not waiting:
                del self._waiting[resource]
            if not first.called:
                first.callback(said[0])

    def _package_of(self, request: Request) -> ResourcePackage[Any]:
        # 6, step 2: the event, exactly one.
        event = read_event(request)
        package = None if event is None else self._packages.get(event.package)
        if package is None:
            raise _Refused(489, ("Allow-Events", ", ".join(self._packages)))
        return package

    def _resource_of(self, incoming: IncomingRequest) -> str:
        # 6, step 1: the Request-URI names the resource; our Contact is that of the party.
        uri, endpoint = incoming.request.uri, self._endpoint
        is_contact = getattr(uri, "user", None) == endpoint.contact_uri.user
        return resource_name(endpoint.owner_uri if is_contact else uri)

    def _authorise(self, incoming: IncomingRequest, resource: str) -> Any:
        if self._may_publish is not None:
            return self._may_publish(incoming, resource)
        return incoming.is_proved_sender and resource_name(incoming.from_.uri) == resource

    def _decided(self, verdict: Any, incoming: IncomingRequest, package: ResourcePackage[Any], resource: str) -> None:
        if incoming.is_answered:
            return
        if isinstance(verdict, Verdict):
            status = 403 if verdict.is_pending else verdict.status
        else:
            status = 200 if verdict is True else 403
        if status != 200:
            incoming.respond(status)
            return
        try:
            reading = self._read(incoming, package, resource)
            self._check_room(incoming, reading)
        except _Refused as refused:
            incoming.respond(refused.status, headers=refused.fields)
            return
        self._keep(incoming, reading)

    def _read(self, incoming: IncomingRequest, package: ResourcePackage[Any], resource: str) -> _Reading:
        request = incoming.request
        reading = _Reading(package, resource)
        reading.known = self._known(request, package.name, resource, _holder(incoming))
        reading.expires = _granted(request, package.terms)
        # 6, step 5: a body where something is made; none where it is refreshed or removed.
        if request.body:
            reading.document = _document(request, package)
        elif reading.known is None:
            raise _Refused(400, words="nothing is published")
        return reading

    def _known(self, request: Request, event: str, resource: str, holder: str) -> PublishedState | None:
        # 6, step 3: the entity-tag, one at most.
        tags = request.headers.get_all("SIP-If-Match")
        if not tags:
            return None
        if len(tags) > 1 or not is_token(tags[0]):
            raise _Refused(400, words="SIP-If-Match is one entity-tag")
        state = self._states.get(tags[0])
        # Whose it is not does not learn that there is one.
        if state is None or (state.package.name, state.resource, state.holder) != (event, resource, holder):
            raise _Refused(412)
        return state

    def _check_room(self, incoming: IncomingRequest, reading: _Reading) -> None:
        """Whether there is room for what *reading* wants to be kept."""
        known, manager = reading.known, self._endpoint.connection_manager
        limits = manager.limits
        if not reading.expires:
            return
        more = len(incoming.request.body) - (known.octets if known is not None else 0)
        if known is None and len(self._states) >= limits.publications:
            name = "publications"
        elif known is None and self._holders[_holder(incoming)] >= limits.publications_per_identity:
            name = "publications_per_identity"
        elif reading.document is not None and self._octets + more > limits.publication_octets:
            name = "publication_octets"
        else:
            return
        manager.keeper.limit_hit(name)
        # A 503 would speak for all of us, and have the peer ask for nothing at all for a while.
        raise _Refused(500, ("Retry-After", str(random.randint(30, 90))))

    def _keep(self, incoming: IncomingRequest, reading: _Reading) -> None:
        """6, steps 5 and 6: it is stored under a new entity-tag, which the 200 says."""
        manager, known = self._endpoint.connection_manager, reading.known
        etag = manager.core.tokens.token()
        if not reading.expires:
            # What was never kept is not kept now.
            if known is not None:
                self._forget(known)
        elif known is None:
            holder, length = _holder(incoming), len(incoming.request.body)
            self._add(PublishedState(etag, reading.package, reading.resource, holder, reading.document, length))
        else:
            self._rename(known, etag, is_youngest=reading.document is not None)
            if reading.document is not None:
                self._octets += len(incoming.request.body) - known.octets
                known.octets = len(incoming.request.body)
                known.document = reading.document
                self._tell(known)
        if reading.expires:
            self._schedule.put(etag, manager.driver.now() + reading.expires)
        self._appoint()
        incoming.respond(200, headers=[("SIP-ETag", etag), ("Expires", str(reading.expires))])

    # -- what is kept --------------------------------------------------------------------------------------------------

    def _add(self, state: PublishedState) -> None:
        self._states[state.etag] = state
        self._resources.setdefault((state.package.name, state.resource), {})[state.etag] = state
        self._holders[state.holder] += 1
        self._octets += state.octets
        self._tell(state)

    def _rename(self, state: PublishedState, etag: str, *, is_youngest: bool) -> None:
        """Know *state* by another entity-tag.

        :param is_youngest: whether it is the one of its resource that was published last.
        """
        old = state.etag
        del self._states[old]
        self._schedule.discard(old)
        state.etag = etag
        self._states[etag] = state
        key = (state.package.name, state.resource)
        states = self._resources[key]
        if is_youngest:
            del states[old]
            states[etag] = state
        else:
            self._resources[key] = {etag if each == old else each: one for each, one in states.items()}

    def _forget(self, state: PublishedState) -> None:
        del self._states[state.etag]
        self._schedule.discard(state.etag)
        key = (state.package.name, state.resource)
        states = self._resources[key]
        del states[state.etag]
        if not states:
            del self._resources[key]
        self._holders[state.holder] -= 1
        if not self._holders[state.holder]:
            del self._holders[state.holder]
        self._octets -= state.octets
        self._tell(state)

    def _tell(self, state: PublishedState) -> None:
        """3: what is published of its resource has changed, and with it what is composed of that."""
        states = self._resources.get((state.package.name, state.resource), {})
        state.package.publications_changed(state.resource, tuple(each.document for each in states.values()))

    # -- time ----------------------------------------------------------------------------------------------------------

    def _appoint(self) -> None:
        self._endpoint.connection_manager.core.appointments.set(self, self._schedule.next_deadline())

    def handle_timer(self, now: float) -> None:
        """What has expired is forgotten (section 3)."""
        while (etag := self._schedule.take(now)) is not None:
            self._forget(self._states[etag])
        self._appoint()

    def _endpoint_changed(self, changed: StateChanged) -> None:
        if self._endpoint.is_terminated:
            self.close()

    def __repr__(self) -> str:
        return f"<EventStateCompositor of {self._endpoint.owner_uri}, {len(self._states)} publications>"


def _holder(incoming: IncomingRequest) -> str:
    """Whose a publication is: the user's whose password its sender knows, or else the peer's. No peer has a name with a
    blank."""
    user = incoming.authenticated_as
    return f"user {user}" if user else holder_of(incoming.flow)


def _granted(request: Request, terms: Terms) -> int:
    """6, step 4: for how many seconds."""
    value = request.headers.get("Expires")
    try:
        granted = terms.granted(None if value is None else parse_seconds(value, "Expires"))
    except MalformedMessage as error:
        raise _Refused(error.status, words=error.reason) from None
    if granted is None:
        raise _Refused(423, ("Min-Expires", str(terms.minimum)))
    return granted


def _document(request: Request, package: ResourcePackage[Any]) -> Any:
    """6, step 5: what the body says, where the package can read it."""
    media_type = parse_media_type(request.headers.get("Content-Type") or "")
    essence = f"{media_type.type}/{media_type.subtype}"
    if essence not in package.content_types:
        raise _Refused(415, ("Accept", ", ".join(package.content_types)))
    try:
        return package.parse(essence, request.body)
    except ValueError as error:
        raise _Refused(400, words=str(error)) from None
