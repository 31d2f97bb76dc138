"""What the peer of a dialog can do, as far as it has said (RFC 3261 sections 20.1, 20.5, 20.37, 20.41; RFC 3840; RFC
5627; row H30).

A dialog keeps what its peer's messages said last, as text: it is read when somebody asks. A field that never came says
nothing, and the answer is then None: neither yes nor no.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.accept import is_acceptable, parse_accept
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.dialog.info import packages_of
from sip_p2p.sip.fields import parse_contact, parse_tokens
from sip_p2p.sip.preferences import is_feature_tag
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.message import Message
    from sip_p2p.sip.name_addr import NameAddr

__all__ = ["Capabilities"]

_LONGEST_SHARED = 512


@final
class Capabilities:
    """What the other end of a dialog has said of itself.

    :ivar recv_info: its Recv-Info as it came last; None before one has come.
    :ivar user_agent: its User-Agent or, where it answers, its Server; empty for none.
    """

    __slots__ = ("_accept", "_allow", "_contact", "_supported", "recv_info", "user_agent")

    def __init__(self) -> None:
        self._allow: str | None = None
        self._supported: str | None = None
        self._accept: str | None = None
        self._contact: str | None = None
        self.recv_info: str | None = None
        self.user_agent = ""

    def heard(self, message: Message) -> None:
        """*message* came from the peer in the dialog, or made it; each field that it has takes the place of the one
        before."""
        names, _ = message.headers.parallel_lists()
        headers = message.headers
        # The dialogs with one peer, and with others of its make, say the same: one string serves all of them.
        if "Allow" in names:
            self._allow = _shared(", ".join(headers.get_all("Allow")))
        if "Supported" in names:
            self._supported = _shared(", ".join(headers.get_all("Supported")))
        if "Accept" in names:
            self._accept = ", ".join(headers.get_all("Accept"))
        if "Recv-Info" in names:
            self.recv_info = ", ".join(headers.get_all("Recv-Info"))
        if "Contact" in names:
            self._contact = _shared(headers["Contact"])
        agent = headers.get("User-Agent") or headers.get("Server")
        if agent:
            self.user_agent = _shared(agent)

    @property
    def methods(self) -> frozenset[str] | None:
        """The methods of its Allow; None where it sent none, which says nothing (RFC 3261 section 20.5)."""
        return _tokens(self._allow, "Allow")

    @property
    def extensions(self) -> frozenset[str] | None:
        """The option tags of its Supported, in small letters; None where it sent none."""
        tags = _tokens(self._supported, "Supported")
        return None if tags is None else frozenset(tag.lower() for tag in tags)

    @property
    def info_packages(self) -> frozenset[str] | None:
        """The Info Packages whose INFOs it takes (RFC 6086 section 5.2); None where it has sent no Recv-Info."""
        if self.recv_info is None:
            return None
        try:
            return packages_of([self.recv_info])
        except MalformedMessage:
            return None

    def allows(self, method: str) -> bool | None:
        """Whether it takes *method*; None while that is unknown."""
        methods = self.methods
        return None if methods is None else method in methods

    def supports(self, option_tag: str) -> bool | None:
        """Whether it understands the extension *option_tag*; None while that is unknown."""
        extensions = self.extensions
        return None if extensions is None else option_tag.lower() in extensions

    def accepts(self, media_type: str) -> bool | None:
        """Whether it takes bodies of *media_type*; None while that is unknown.

        :raises MalformedMessage: when *media_type* is none.
        """
        wanted = parse_media_type(media_type)
        if self._accept is None:
            return None
        try:
            return is_acceptable(parse_accept([self._accept]), wanted)
        except MalformedMessage:
            return None

    @property
    def contact(self) -> NameAddr | None:
        """Its Contact as it was last; None for none, and for one that cannot be read."""
        if self._contact is None:
            return None
        try:
            found = parse_contact(self._contact)
        except MalformedMessage:
            return None
        return found[0] if found else None

    @property
    def features(self) -> dict[str, str | None]:
        """The feature parameters of its Contact (RFC 3840 section 9): ``+sip.instance``, ``isfocus``, ``audio``, ...

        Name in small letters to value, None where it has none. What a Contact carries besides (``q``, ``expires``) is
        left out.
        """
        contact = self.contact
        if contact is None:
            return {}
        return {name: value for name, value in contact.params.items() if is_feature_tag(name)}

    @property
    def is_focus(self) -> bool:
        """Whether it is the focus of a conference (RFC 4579 section 3)."""
        return "isfocus" in self.features

    @property
    def instance_id(self) -> str | None:
        """Its instance id, without the angle brackets (RFC 5626 section 4.1)."""
        value = self.features.get("+sip.instance")
        return None if value is None else value.removeprefix("<").removesuffix(">")

    @property
    def gruu(self) -> str | None:
        """Its Contact URI, where that is a GRUU (RFC 5627 section 3.1); such a one can be called out of the dialog."""
        contact = self.contact
        if contact is None:
            return None
        try:
            uri = contact.uri
        except MalformedMessage:
            return None
        return contact.uri_text if isinstance(uri, SipUri) and "gr" in uri.params else None

    # Over a restart

    def save(self) -> dict[str, str]:
        """What another process needs to know as much of the peer, JSON's own types only."""
        said = {
            "allow": self._allow,
            "supported": self._supported,
            "accept": self._accept,
            "contact": self._contact,
            "recv_info": self.recv_info,
            "user_agent": self.user_agent or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def restore(self, saved: Mapping[str, object]) -> None:
        """Take what :meth:`save` gave.

        :raises ValueError: when it is not of that shape.
        """
        texts: dict[str, str] = {}
        for name in ("allow", "supported", "accept", "contact", "recv_info", "user_agent"):
            value = saved.get(name)
            if isinstance(value, str):
                texts[name] = value
            elif value is not None:
                raise ValueError(f"{name} of a saved peer is no text: {value!r:.64}")
        self._allow = texts.get("allow")
        self._supported = texts.get("supported")
        self._accept = texts.get("accept")
        self._contact = texts.get("contact")
        self.recv_info = texts.get("recv_info")
        self.user_agent = texts.get("user_agent", "")

    def __repr__(self) -> str:
        methods = self.methods
        return f"<Capabilities: {'unknown' if methods is None else ' '.join(sorted(methods))}>"


@functools.lru_cache(maxsize=256)
def _remembered(text: str) -> str:
    """The first string of those that are equal to *text*."""
    return text


def _shared(text: str) -> str:
    """*text*, and the same string for all who have lately said the same; a long one stays what it is."""
    return _remembered(text) if len(text) <= _LONGEST_SHARED else text


def _tokens(value: str | None, name: str) -> frozenset[str] | None:
    if value is None:
        return None
    try:
        return frozenset(parse_tokens(value, name))
    except MalformedMessage:
        return None
