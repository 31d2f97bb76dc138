"""What one party behind the core can do: its methods, extensions and body types (RFC 3261 sections 8.2.1 to 8.2.3), and
what it says of itself (RFC 3840)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.preferences import FeatureParameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.sip.digest import Proof
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request

__all__ = ["STACK_EXTENSIONS", "Authenticator", "Judgement", "Profile"]

STACK_EXTENSIONS = ("100rel", "199", "explicitsub", "join", "norefersub", "nosub", "replaces", "tdialog", "timer")
"""The option tags of what the stack does by itself: RFC 3262, RFC 6228, RFC 7614, RFC 3911, RFC 4488, RFC 7614, RFC
3891, RFC 4538, RFC 4028."""


@final
class Judgement:
    """What an authenticator says of a request.

    :ivar username: whose request it is; empty where nobody was asked.
    :ivar status: what it is refused with, 401 or 407 and the like; 0 where it may pass.
    :ivar fields: what stands in that refusal.
    :ivar proof: what a 2xx shows of us in turn; None for nothing.
    :ivar address: ``name@host``, where the user name stands for an address that the sender may give as its own; empty
        where it stands for none.
    """

    __slots__ = ("address", "fields", "proof", "status", "username")

    def __init__(
        self,
        username: str = "",
        status: int = 0,
        fields: tuple[tuple[str, str], ...] = (),
        *,
        proof: Proof | None = None,
        address: str = "",
    ) -> None:
        self.username = username
        self.status = status
        self.fields = fields
        self.proof = proof
        self.address = address


class Authenticator(Protocol):
    """The place of digest authentication in the order of section 8.2: before anything else is looked at."""

    def judge(self, request: Request, flow: Flow, now: float) -> Judgement:
        """Whether *request*, which came by *flow*, may pass.

        :raises MalformedMessage: with the status to answer.
        """


@final
class Profile:
    """The abilities of one party, as the core's UAS rules need them. They can change at any time.

    :ivar contact: gives the Contact value for a message on a flow (RFC 3261 section 12.1.1), the second argument being
        whether it has to be a ``sips`` URI; None for a party that nobody can have a dialog with.
    :ivar anonymous_contact: the same for a dialog in which this party has no name (RFC 3323 section 4.1.1.2).
    :ivar features: what its Contact says of it besides (RFC 3840).
    :ivar instance_id: ``urn:uuid:...``, which its Contact says as well; empty for none (RFC 5626 section 4.1).
    :ivar in_dialogs: the methods that reach the application within its dialogs, whether or not they do outside of one.
    :ivar info_packages: the Info Packages whose INFOs this party takes (RFC 6086 section 5.2).
    :ivar event_packages: the event packages that peers can subscribe to (RFC 6665 section 4.4.4: Allow-Events).
    :ivar user: whatever the owner wants to find again in the outputs.
    :ivar supported: the option tags of extensions that are understood (section 19.2).
    :ivar authenticator: asked first, where there is one.
    :ivar trusted_proxies: the names whose holders may pass on what others send to this party.
    """

    __slots__ = (
        "_accept",
        "_allow",
        "_methods",
        "anonymous_contact",
        "authenticator",
        "contact",
        "event_packages",
        "features",
        "in_dialogs",
        "info_packages",
        "instance_id",
        "supported",
        "trusted_proxies",
        "user",
    )

    def __init__(self, user: object = None, methods: Iterable[str] = (), supported: Iterable[str] = ()) -> None:
        self.user = user
        self._methods: set[str] = set(methods)
        self._accept: dict[str, tuple[str, ...]] = {}
        self._allow = ""
        self.features = FeatureParameters()
        self.instance_id = ""
        self.in_dialogs: frozenset[str] = frozenset()
        self.info_packages: tuple[str, ...] = ()
        self.event_packages: tuple[str, ...] = ()
        self.supported: set[str] = set(supported)
        self.authenticator: Authenticator | None = None
        self.contact: Callable[[Flow, bool], str] | None = None
        self.anonymous_contact: Callable[[Flow, bool], str] | None = None
        self.trusted_proxies: frozenset[str] = frozenset()

    def contact_value(self, flow: Flow, secure: bool, names_nobody: bool = False) -> str:
        """The Contact value that leads back to this party, for a message on *flow*.

        :param secure: whether it has to be a ``sips`` URI (RFC 5630 section 5).
        :param names_nobody: whether it is to say where the party is, and not who (RFC 3323 section 4.1.1.2).
        :raises InvalidOperation: when the party has none.
        """
        contact = self.anonymous_contact or self.contact if names_nobody else self.contact
        if contact is None:
            raise InvalidOperation("a party without a Contact can have no dialog")
        return contact(flow, secure)

    def feature_set(self) -> dict[str, str | None]:
        """What callers' preferences are compared with: what its Contact says, and the methods that it takes (RFC 3841
        section 6)."""
        features = self.features.feature_set(self._methods | self.in_dialogs)
        if self.instance_id:
            features["+sip.instance"] = f"<{self.instance_id}>"
        return features

    def allow(self, method: str, accept: tuple[str, ...] | None = None) -> None:
        """Let *method* reach the application.

        :param accept: the media types that its bodies may have, ``type/subtype`` or ``type/*``; None means any.
        """
        self._methods.add(method)
        self._allow = ""
        if accept is None:
            self._accept.pop(method, None)
        else:
            self._accept[method] = tuple(entry.lower() for entry in accept)

    def allow_in_dialogs(self, methods: Iterable[str]) -> None:
        """Let *methods*, and no others, reach the application in its dialogs, beside those of :meth:`allow`."""
        self.in_dialogs = frozenset(methods)
        self._allow = ""

    def disallow(self, method: str) -> None:
        """Answer *method* with 405 from now on."""
        self._methods.discard(method)
        self._accept.pop(method, None)
        self._allow = ""

    def allows(self, method: str) -> bool:
        """Whether *method* reaches the application."""
        return method in self._methods

    @property
    def allow_value(self) -> str:
        """The Allow value: what the application takes, and OPTIONS, which is always answered (section 11.2)."""
        if not self._allow:
            self._allow = ", ".join(sorted(self._methods | self.in_dialogs | {"OPTIONS"}))
        return self._allow

    @property
    def supported_value(self) -> str:
        """The Supported value; empty where no extension is understood."""
        return ", ".join(sorted(self.supported))

    @property
    def accept_value(self) -> str:
        """The Accept value over all methods; ``*/*`` where one of them takes anything."""
        if any(method not in self._accept for method in self._methods):
            return "*/*"
        return ", ".join(sorted({entry for entries in self._accept.values() for entry in entries}))

    def accept_value_for(self, method: str) -> str:
        """The Accept value of one method."""
        return ", ".join(self._accept.get(method, ("*/*",)))

    def accepts(self, method: str, media_type: str) -> bool:
        """Whether a body of *media_type* (``type/subtype``, lower case) may come with *method*."""
        accepted = self._accept.get(method)
        if accepted is None:
            return True
        return media_type in accepted or f"{media_type.partition('/')[0]}/*" in accepted or "*/*" in accepted
