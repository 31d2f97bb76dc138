"""Among whom P-Asserted-Identity counts (RFC 3325): peers that TLS has proved to be those whom we trust for it.

RFC 3324 section 2.3 calls them a trust domain. To anybody else nothing of it is sent, and what anybody else sends is
taken out before an application can see it: an address, a Via or a From makes nobody trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.privacy import NETWORK_FIELDS
from sip_p2p.transport.trust.identity import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.headers import Headers
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["TrustDomain"]


@final
class TrustDomain:
    """The peers that one party believes what they say of others' identities.

    :ivar names: the names that their certificates prove, in normal form.
    """

    __slots__ = ("names",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        """
        :param names: each for exactly itself; none by default.
        :raises ValueError: one of them is no name; the message quotes it.
        :raises TypeError: they are one string, and not a list of names.
        """
        if isinstance(names, str):
            raise TypeError(f"expected a list of names, not one string: [{names!r}]")
        self.names: frozenset[str] = frozenset(_exact(name) for name in names)

    def includes(self, flow: LiveFlow) -> bool:
        """Whether who is at the other end of *flow* has proved one of the names."""
        if not self.names:
            return False
        verified = flow.verified
        identities = None if verified is None else verified.identities
        return identities is not None and any(identities.matches(name) is not None for name in self.names)

    def clean(self, headers: Headers, flow: LiveFlow) -> None:
        """Take out of the fields of a message from or for *flow* what only those may send and see who are included."""
        names, _ = headers.parallel_lists()
        for name in NETWORK_FIELDS:
            if name in names and not self.includes(flow):
                headers.remove(name)

    def clean_fields(self, fields: list[tuple[str, str]], flow: LiveFlow) -> list[tuple[str, str]]:
        """*fields* without what only those may see who are included."""
        if self.includes(flow):
            return fields
        return [(name, value) for name, value in fields if name not in NETWORK_FIELDS]

    def __repr__(self) -> str:
        return f"<TrustDomain: {', '.join(sorted(self.names)) or 'nobody'}>"


def _exact(name: str) -> str:
    if name.startswith(".") or "*" in name:
        raise ValueError(f"{name!r}: a trusted peer is named exactly, as its certificate names it")
    return normalise_name(name)
