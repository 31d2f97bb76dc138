"""The event packages of one party, and the SUBSCRIBEs that come for them (RFC 6665 sections 4.2.1, 4.4.4 and 8.3.2).

Who subscribes is asked for in this order: an event that the party has (489), its account (500 with Retry-After over a
limit), what it says (400, 423) with a media type that both know (406), and then the package, who may know. A party
without packages answers 405, or what a handler of its own for SUBSCRIBE says, which comes before everything here.
"""

from __future__ import annotations

import random
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.endpoint.subscription.package import Verdict, check_media_type, resource_name
from sip_p2p.endpoint.subscription.server import ServerSubscription
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.event.notifier import Notifier
from sip_p2p.sip.event.terms import read_event, read_subscribe
from sip_p2p.sip.readings import warning_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.subscription.package import EventPackage
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived

__all__ = ["EventPackages"]

P = TypeVar("P", bound="EventPackage")


@final
class EventPackages:
    """What peers can subscribe to at one endpoint: ``endpoint.packages``."""

    __slots__ = ("_endpoint", "_packages")

    def __init__(self, endpoint: RealTimeEndpoint, packages: Iterable[EventPackage] = ()) -> None:
        """
        :raises ValueError: as :meth:`add`.
        """
        self._endpoint = endpoint
        self._packages: dict[str, EventPackage] = {}
        for package in packages:
            self.add(package)

    def add(self, package: P) -> P:
        """Let peers subscribe to *package*, which is returned.

        :raises ValueError: when its name is no token, one of its media types is none, there is one with this name
            already, or its seconds are not in order.
        """
        check_thread()
        if TOKEN.fullmatch(package.name) is None:
            raise ValueError(f"{package.name[:64]!r} is not the name of an event package: it must be a token")
        if package.name in self._packages:
            raise ValueError(f"there is an event package {package.name!r} already")
        for media_type in package.content_types:
            check_media_type(media_type)
        package.terms  # noqa: B018 - reading them is the check
        self._packages[package.name] = package
        self._changed()
        return package

    def remove(self, package: EventPackage) -> None:
        """Let nobody subscribe to *package* any more; whoever has is told that there is no such thing (``noresource``).

        :raises ValueError: when it is not here.
        """
        check_thread()
        if self._packages.get(package.name) is not package:
            raise ValueError(f"there is no event package {package.name!r}")
        del self._packages[package.name]
        self._changed()
        for subscription in package.subscribers:
            if subscription.endpoint is self._endpoint:
                subscription.end("noresource")
        self._endpoint.connection_manager.driver.drain()

    def get(self, name: str) -> EventPackage | None:
        """The package with this name, which is compared octet by octet (section 8.2.1); None where there is none."""
        return self._packages.get(name)

    def __iter__(self) -> Iterator[EventPackage]:
        """The packages, in the order in which they were added."""
        return iter(tuple(self._packages.values()))

    def __contains__(self, package: object) -> bool:
        return package in self._packages.values()

    def __len__(self) -> int:
        return len(self._packages)

    @property
    def subscriptions(self) -> tuple[ServerSubscription, ...]:
        """The subscriptions of peers at this endpoint, the oldest first."""
        lives = self._endpoint.connection_manager.lives
        # A referral that a peer is told of is of this kind, too.
        notified = lives.of(self._endpoint, ServerSubscription.kind)
        return tuple(each for each in notified if isinstance(each, ServerSubscription))

    def _changed(self) -> None:
        """4.4.4: what Allow and Allow-Events say."""
        self._endpoint.profile.event_packages = tuple(self._packages)
        self._endpoint.event_packages_changed()

    # -- the SUBSCRIBEs ------------------------------------------------------------------------------------------------

    def received(self, incoming: IncomingRequest) -> object:
        """A SUBSCRIBE outside of any dialog; a handler of requests."""
        return self._receive(incoming, None)

    def received_in_dialog(self, output: InDialogRequestReceived) -> bool:
        """A SUBSCRIBE in a dialog, to something that was not subscribed to in it yet (section 4.5.2); return whether it
        is dealt with."""
        if not self._packages:
            return False
        manager = self._endpoint.connection_manager
        incoming = IncomingRequest(manager, output)
        incoming.run((lambda each: self._receive(each, output.dialog),))
        if not incoming.is_answered:
            manager.dispatch.wait_for(incoming, self._endpoint)
        return True

    def _receive(self, incoming: IncomingRequest, dialog: Dialog | None) -> object:
        incoming.defer()
        manager, request = self._endpoint.connection_manager, incoming.request
        event = read_event(request)
        package = None if event is None else self._packages.get(event.package)
        if event is None or package is None:
            # 8.3.2: which there are instead.
            incoming.respond(489, headers=self.allow_events)
            return None
        if self._refused_for_now(incoming):
            return None
        transaction = incoming.transaction
        if dialog is None:
            tag = transaction.echo.to_tag = transaction.echo.to_tag or manager.core.tokens.tag()
            reading = read_subscribe(request, event, package.terms, incoming.flow, tag)
            if reading.dialog is not None:
                reading.dialog.username = incoming.authenticated_as
        else:
            reading = read_subscribe(request, event, package.terms)
        if reading.status:
            warning = [("Warning", warning_value(reading.reason))] if reading.reason else []
            incoming.respond(reading.status, headers=[*reading.fields, *warning])
            return None
        types = package.acceptable(request)
        notifier = Notifier(
            manager.core, self._endpoint.profile, reading.dialog or cast("Dialog", dialog), event, package.terms
        )
        notifier.asked(transaction, reading)
        subscription = ServerSubscription(self._endpoint, package, notifier, self._resource(package, incoming), types)
        verdict = package.authorise(incoming)
        if iscoroutine(verdict) or isinstance(verdict, Deferred):
            waiting: Deferred[Any] = Deferred.fromCoroutine(verdict) if iscoroutine(verdict) else verdict
            return waiting.addCallback(self._decided, subscription, incoming)
        self._decided(verdict, subscription, incoming)
        return None

    def _refused_for_now(self, incoming: IncomingRequest) -> bool:
        """Whether it was refused because there are too many."""
        if not self._endpoint.connection_manager.lives.crowd.refuses(incoming.flow):
            return False
        # A 503 would speak for all of us, and have the peer ask for nothing at all for a while.
        incoming.respond(500, headers=(("Retry-After", str(random.randint(30, 90))),))
        return True

    def _resource(self, package: EventPackage, incoming: IncomingRequest) -> str:
        """The name of what is subscribed to."""
        given = package.resource_of(incoming)
        if given:
            return resource_name(given)
        uri = incoming.request.uri
        endpoint = self._endpoint
        is_contact = getattr(uri, "user", None) == endpoint.contact_uri.user
        return resource_name(endpoint.owner_uri if is_contact else uri)

    def _decided(self, result: object, subscription: ServerSubscription, incoming: IncomingRequest) -> None:
        """The package has said who may know."""
        verdict = _verdict(result)
        if incoming.is_answered:
            # Nobody waits for it any more.
            return
        notifier = subscription.notifier
        dialog, endpoint = notifier.dialog, self._endpoint
        if verdict.status != 200:
            retry = verdict.retry_after
            incoming.respond(verdict.status, headers=() if retry is None else [("Retry-After", str(retry))])
        elif endpoint.is_terminated:
            incoming.respond(480)
        elif dialog.usages and dialog not in endpoint.connection_manager.core.dialogs:
            incoming.respond(481)
        elif notifier.name in (dialog.subscriptions or ()):
            incoming.respond(500, headers=[("Retry-After", "1")])
        elif not self._refused_for_now(incoming):
            self._accept(subscription, incoming, verdict)

    def _accept(self, subscription: ServerSubscription, incoming: IncomingRequest, verdict: Verdict) -> None:
        manager = self._endpoint.connection_manager
        notifier, driver = subscription.notifier, manager.driver
        subscription.begin()
        notifier.accept(driver.now(), is_active=not verdict.is_pending, fields=self.allow_events)
        manager.sessions.errands.heard(notifier.dialog)
        try:
            subscription.package.subscribed(subscription, incoming)
        except Exception:
            manager.dispatch.handler_failed("SUBSCRIBE", Failure())
        subscription.stands()
        manager.dispatch.request_answered(incoming)
        driver.drain()

    @property
    def allow_events(self) -> tuple[tuple[str, str], ...]:
        """Allow-Events (section 8.2.2)."""
        return (("Allow-Events", ", ".join(self._packages)),) if self._packages else ()

    def __repr__(self) -> str:
        return f"<EventPackages {', '.join(self._packages) or 'none'}>"


def _verdict(result: object) -> Verdict:
    """A verdict in any of the forms in which a package may give it.

    :raises TypeError: when it is none.
    """
    if isinstance(result, Verdict):
        return result
    if isinstance(result, bool):
        return Verdict.accept() if result else Verdict.reject()
    raise TypeError(f"an event package says a Verdict, True or False, not {type(result).__name__}")
