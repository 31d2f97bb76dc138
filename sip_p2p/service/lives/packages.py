"""The event packages of ``--package``, and who may watch (``--watchers``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.endpoint.subscription.packages.dialogs import DialogPackage
from sip_p2p.endpoint.subscription.packages.message_summary import MessageSummaryPackage
from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from sip_p2p.service.lives.names import names_sender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest

__all__ = ["ASK", "PACKAGES", "VERIFIED", "Watchers", "add_packages"]

PACKAGES = ("presence", "dialog", "message-summary")
"""What ``--package`` knows."""

VERIFIED = "verified"
"""For ``--watchers``: whoever has proved the address in From."""

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


def add_packages(
    endpoint: RealTimeEndpoint,
    names: Iterable[str],
    watchers: Iterable[str],
    ask: Callable[[IncomingRequest], Verdict | bool | Awaitable[Verdict | bool]],
) -> None:
    """Let peers subscribe to these packages of *endpoint*. Without any *watchers* each has its own rule: whoever has
    proved the address in From may watch presence and mailboxes, and nobody else but ourselves our sessions.

    Our presence is open until something else is said: the service is there.
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
