"""Who may send under which From: the name in From against the names that the connection has proved (row A16, fault
F14).

RFC 5922 section 7.4 and RFC 3261 section 26.3.2.2: a certificate says for which SIP domains its holder speaks, and a
server that has authenticated a peer so holds the peer's requests against these domains. The rules here:

* where TLS has proved identities, the host in From must be one of them, compared exactly as certificates are (whole
  names, no wildcards, no suffixes; an IP address only with an IP address); ``sips:`` counts as ``sip:`` does;
* ``anonymous.invalid`` (RFC 3323 section 4.1.1.3) claims to be nobody, and may be sent by everybody;
* a ``tel:`` URI and every other one without a domain can be proved by no certificate: only a trusted proxy may send it;
* a trusted proxy speaks for others. An endpoint's own outbound proxy is one for that endpoint;
* where nothing is proved, From stays a claim, and is let through as one.

Left out: Via, Contact and P-Asserted-Identity never say who a peer is (RFC 3325 section 5 trusts them only among
proxies that trust each other), so nothing of them is read; nor is a signature (RFC 8224), which speaks for whoever
first sent a request and not for who brings it. Both are :mod:`.identity`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.privacy import ANONYMOUS_HOST
from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.trust.identity import normalise_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from sip_p2p.sip.flow import SenderCheck
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.uri import OpaqueUri, TelUri
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.trust.identity import PeerIdentities

    AnyUri: TypeAlias = SipUri | TelUri | OpaqueUri

__all__ = ["ANONYMOUS_HOST", "FromPolicy", "VerifiedSender", "proves"]

_SHOWN = 60


@final
class FromPolicy:
    """What is asked of the From of incoming requests. A policy never changes.

    ``FromPolicy()`` asks that it is proved wherever TLS proves anything at all.

    :ivar trusted_proxies: the names, in normal form, whose holders may send under any From.
    """

    __slots__ = ("_any", "trusted_proxies")

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        """
        :param trusted_proxies: names that a proxy's certificate proves, each for exactly itself.
        :raises ValueError: one of them is no name; the message quotes it.
        :raises TypeError: they are one string, and not a list of names.
        """
        if isinstance(trusted_proxies, str):
            raise TypeError(f"expected a list of names, not one string: [{trusted_proxies!r}]")
        self.trusted_proxies: frozenset[str] = frozenset(_proxy_name(name) for name in trusted_proxies)
        self._any = False

    @classmethod
    def any_from(cls) -> FromPolicy:
        """Let every peer send under any From, whatever its certificate proves; who looks at From is then easily fooled,
        and only ``event.peer`` tells who it was."""
        policy = cls()
        policy._any = True
        return policy

    @property
    def allows_any(self) -> bool:
        """Whether this is :meth:`any_from`."""
        return self._any

    def check_for(self, flow: LiveFlow, refused: Callable[[str], object]) -> SenderCheck | None:
        """What judges the From of requests on *flow*; None where every one is let through.

        :param refused: told of each request that is refused, in words for our own log.
        """
        verified = flow.verified
        identities = None if verified is None else verified.identities
        if self._any or not identities:
            return None
        if any(identities.matches(name) is not None for name in self.trusted_proxies):
            return None
        return VerifiedSender(identities, flow.remote_host, refused)

    def __str__(self) -> str:
        if self._any:
            return "any From of any peer"
        if not self.trusted_proxies:
            return "what the certificate proves"
        return f"what the certificate proves, and any From of {', '.join(sorted(self.trusted_proxies))}"

    def __repr__(self) -> str:
        return f"<FromPolicy: {self}>"


@final
class VerifiedSender:
    """The names that one flow has proved, and its requests' From held against them."""

    __slots__ = ("_accepted", "_address", "_identities", "_refused")

    def __init__(self, identities: PeerIdentities, address: str, refused: Callable[[str], object]) -> None:
        """
        :param identities: what the peer has proved.
        :param address: where it is, for the log.
        :param refused: told of each request that is refused, in words.
        """
        self._identities = identities
        self._address = address
        self._refused = refused
        self._accepted = ""

    def refusal(self, request: Request, profile: Profile) -> str:
        """Why *request* is answered 403; the empty string where it is not.

        :raises MalformedMessage: when From cannot be read.
        """
        from_ = request.from_
        # A peer speaks for the same few parties again and again, and mostly for one.
        if from_.uri_text == self._accepted:
            return ""
        uri = from_.uri
        if proves(self._identities, uri) or (isinstance(uri, SipUri) and uri.host == ANONYMOUS_HOST):
            self._accepted = from_.uri_text
            return ""
        if any(self._identities.matches(name) is not None for name in profile.trusted_proxies):
            return ""
        proved = ", ".join(self._identities.identities)
        claimed = f"the host {_short(uri.host)}" if isinstance(uri, SipUri) else f"a {uri.scheme[:16]} URI"
        why = f"From names {claimed}, and this connection's certificate proves {_short(proved)} (RFC 5922)"
        self._refused(f"{request.method[:32]} from {self._address} refused: {why}")
        return why


def proves(identities: PeerIdentities, uri: AnyUri) -> bool:
    """Whether *identities* cover the domain of *uri*; never so for a URI that has none."""
    return isinstance(uri, SipUri) and identities.matches(uri.host) is not None


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _proxy_name(name: str) -> str:
    if name.startswith(".") or "*" in name:
        raise ValueError(f"{name!r}: a trusted proxy is named exactly, as its certificate names it")
    return normalise_name(name)
