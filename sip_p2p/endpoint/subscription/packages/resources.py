"""What event packages share that have one document per resource: what the application says of it, what was published
of it, and what subscribers are told (RFC 3903 section 3).

Documents are written once for all subscribers. Nothing is kept of a resource of which nobody says anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sip_p2p.endpoint.subscription.package import EventPackage, resource_name
from sip_p2p.endpoint.thread import check_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.subscription.server import ServerSubscription

__all__ = ["ResourceDocument", "ResourcePackage"]


class ResourceDocument(Protocol):
    """What is told of a resource."""

    @property
    def media_type(self) -> str:
        """Its media type."""

    def to_bytes(self) -> bytes:
        """It, as the body of a NOTIFY."""


D = TypeVar("D", bound=ResourceDocument)


class ResourcePackage(EventPackage, Generic[D]):
    """A package whose state is one document for each resource.

    :param may_watch: says who may know: it is given the SUBSCRIBE and says a :class:`.Verdict`, True or False, or a
        Deferred or coroutine of one. By default whoever has proved the address in From.
    """

    def __init__(self, may_watch: Callable[[IncomingRequest], Any] | None = None) -> None:
        self._may_watch = may_watch
        self._own: dict[str, D] = {}
        self._published: dict[str, tuple[D, ...]] = {}
        self._told: dict[str, tuple[str, bytes]] = {}

    # -- what one says of a resource -----------------------------------------------------------------------------------

    def set(self, resource: object, document: D) -> None:
        """Say *document* of *resource*, a name or an address, and tell its subscribers; nothing happens where it is the
        same as before.

        :raises TypeError: when *document* is text or octets, and no document.
        """
        check_thread()
        if isinstance(document, (str, bytes)):
            raise TypeError("what is said of a resource is a document, not its text")
        name = resource_name(resource)
        if self._own.get(name) != document:
            self._own[name] = document
            self._change(name)

    def remove(self, resource: object) -> None:
        """Say nothing more of *resource* ourselves."""
        check_thread()
        name = resource_name(resource)
        if self._own.pop(name, None) is not None:
            self._change(name)

    def get(self, resource: object) -> D | None:
        """What is told of *resource*, composed of what we say and what was published; None for nothing."""
        name = resource_name(resource)
        return self.compose(name, self._own.get(name), self._published.get(name, ()))

    # -- what one overrides --------------------------------------------------------------------------------------------

    def parse(self, content_type: str, body: bytes) -> D:
        """Read what somebody wants to publish.

        :raises ValueError: when it cannot be read.
        """
        raise TypeError(f"{type(self).__name__} cannot be published")

    def compose(self, resource: str, own: D | None, published: Sequence[D]) -> D | None:
        """Make one document of all that is said of *resource*: by default what we say, or else what was published last.

        :param own: what we say; None for nothing.
        :param published: what was published, the oldest first.
        """
        if own is not None:
            return own
        return published[-1] if published else None

    # -- what the stack calls ------------------------------------------------------------------------------------------

    def authorise(self, request: IncomingRequest) -> Any:
        """Ask whoever was given, or take whoever has proved the address in From."""
        return super().authorise(request) if self._may_watch is None else self._may_watch(request)

    def publications_changed(self, resource: str, published: tuple[D, ...]) -> None:
        """What is published of *resource* is this from now on, the oldest first; called by the compositor."""
        if published:
            self._published[resource] = published
        else:
            self._published.pop(resource, None)
        self._change(resource)

    def state(self, subscription: ServerSubscription) -> tuple[str, bytes] | None:
        """What is told of the resource; None where nobody says anything of it."""
        name = subscription.resource
        if name in self._told:
            return self._told[name]
        document = self.get(name)
        if document is None:
            # Whoever asks for what does not exist is not remembered.
            return None
        told = self._told[name] = (document.media_type, document.to_bytes())
        return told

    def _change(self, name: str) -> None:
        self._told.pop(name, None)
        self.changed(name)
