"""The event packages of ``--package``, who may watch (``--watchers``), and who may publish for others to watch
(``--publishers``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.publication.compositor import EventStateCompositor
from sip_p2p.endpoint.subscription.package import Verdict, resource_name
from sip_p2p.endpoint.subscription.packages.dialogs import DialogPackage
from sip_p2p.endpoint.subscription.packages.message_summary import MessageSummaryPackage
from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from sip_p2p.endpoint.subscription.packages.resources import ResourcePackage
from sip_p2p.service.lives.names import names_sender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest

__all__ = ["ASK", "PACKAGES", "PUBLISHED", "VERIFIED", "Publishers", "Watchers", "add_packages"]

PACKAGES = ("presence", "dialog", "message-summary")
"""What ``--package`` knows."""

PUBLISHED = ("presence", "message-summary")
"""For which of them one may publish: what our sessions are nobody else knows."""

VERIFIED = "verified"
"""For ``--watchers`` and ``--publishers``: whoever has proved the address in From."""

ASK = "ask"
"""For ``--watchers``: the application decides about those whom nothing else lets in."""


@final
class Watchers:
    """Says who may know our state.

    :param given: what ``--watchers`` says: names that have to be proved, :data:`VERIFIED` and :data:`ASK`.
    :param ask: asks the application.
    """

    def __init__(
        self,
        given: Iterable[str],
        ask: Callable[[IncomingRequest], Verdict | bool | Awaitable[Verdict | bool]],
    ) -> None:
        self._given = tuple(given)
        self._ask = ask

    def __call__(self, request: IncomingRequest) -> Any:
        """The verdict about a SUBSCRIBE."""
        is_proved = request.is_proved_sender
        if is_proved and (VERIFIED in self._given or names_sender(self._given, request.from_.uri)):
            return Verdict.accept()
        return self._ask(request) if ASK in self._given else Verdict.reject()


@final
class Publishers:
    """Says who may publish here: each for the address that he has proved to be his, and for no other.

    :param given: what ``--publishers`` says: names that have to be proved, and :data:`VERIFIED`.
    """

    def __init__(self, given: Iterable[str]) -> None:
        self._given = tuple(given)

    def __call__(self, request: IncomingRequest, resource: str) -> bool:
        """The verdict about a PUBLISH for *resource*."""
        sender = request.from_.uri
        if not request.is_proved_sender or resource_name(sender) != resource:
            return False
        return VERIFIED in self._given or names_sender(self._given, sender)


def add_packages(
    endpoint: RealTimeEndpoint,
    names: Iterable[str],
    watchers: Iterable[str],
    ask: Callable[[IncomingRequest], Verdict | bool | Awaitable[Verdict | bool]],
    publishers: Iterable[str] = (),
) -> None:
    """Let peers subscribe to these packages of *endpoint*. Without any *watchers* each has its own rule: whoever has
    proved the address in From may watch presence and mailboxes, and nobody else but ourselves our sessions.

    Our presence is open until something else is said: the service is there.

    :param publishers: what ``--publishers`` says; without any, PUBLISH is no method of ours.
    """
    given = tuple(watchers)
    may_watch = Watchers(given, ask) if given else None
    for name in names:
        if name == "presence":
            package = PresencePackage(may_watch)
            package.set(endpoint.owner_uri, Presence.of(str(endpoint.owner_uri)))
            endpoint.packages.add(package)
        elif name == "dialog":
            endpoint.packages.add(DialogPackage(endpoint, may_watch))
        else:
            endpoint.packages.add(MessageSummaryPackage(may_watch))
    may_publish = tuple(publishers)
    if may_publish:
        published = [package for package in endpoint.packages if isinstance(package, ResourcePackage)]
        EventStateCompositor(endpoint, published, may_publish=Publishers(may_publish))
