"""Whose request is it? The parties behind one core, found by Request-URI and To (RFC 3261 section 8.2.2.1).

Several endpoints can share one set of listeners. The order of the search is: the opaque user part that we put into an
endpoint's Contact, the address of record or the GRUU in the Request-URI, the same in To, and last the fallback, if any.
"""

from __future__ import annotations

from typing import final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.message import Request
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.uri import SipUri

__all__ = ["Directory"]


def _address_key(user: str | None, host: str) -> str:
    return f"{user or ''}@{host}"


@final
class Directory:
    """The table of profiles that one core serves.

    :ivar fallback: who gets a request that names nobody here; None answers it with 404.
    """

    __slots__ = ("_by_address", "_by_contact_user", "fallback")

    def __init__(self) -> None:
        self._by_address: dict[str, Profile] = {}
        self._by_contact_user: dict[str, Profile] = {}
        self.fallback: Profile | None = None

    def __len__(self) -> int:
        return len(self._by_contact_user)

    def add(self, profile: Profile, address: SipUri, contact_user: str, gruu: SipUri | None = None) -> None:
        """Enter a party under its address of record, the user part of its Contact and perhaps its GRUU (RFC 5627).

        :raises ValueError: when another party has one of them.
        """
        addresses = (address,) if gruu is None else (address, gruu)
        for each in addresses:
            if _address_key(each.user, each.host) in self._by_address:
                raise ValueError(f"{each} is served already")
        if contact_user in self._by_contact_user:
            raise ValueError(f"the contact {contact_user!r} is taken")
        for each in addresses:
            self._by_address[_address_key(each.user, each.host)] = profile
        self._by_contact_user[contact_user] = profile

    def remove(self, profile: Profile) -> None:
        """Take a party out; requests for it are answered 404 from now on."""
        for table in (self._by_address, self._by_contact_user):
            for key in [key for key, value in table.items() if value is profile]:
                del table[key]
        if self.fallback is profile:
            self.fallback = None

    def find(self, request: Request) -> Profile | None:
        """The profile that *request* is for, or None.

        :raises MalformedMessage: when its Request-URI or To cannot be read.
        """
        uri = request.uri
        found = self.serves(uri) if isinstance(uri, SipUri) else None
        if found is not None:
            return found
        if len(self._by_contact_user) == 1 and self.fallback is not None:
            return self.fallback
        to = request.to.uri
        if isinstance(to, SipUri):
            found = self._by_address.get(_address_key(to.user, to.host))
            if found is not None:
                return found
        return self.fallback

    def serves(self, uri: SipUri) -> Profile | None:
        """The profile whose Contact, address of record or GRUU *uri* is, or None."""
        user = uri.user
        if user is not None:
            found = self._by_contact_user.get(user)
            if found is not None:
                return found
        return self._by_address.get(_address_key(user, uri.host))

    def check_scheme(self, request: Request) -> None:
        """Refuse a Request-URI that is neither ``sip``, ``sips`` nor ``tel`` (416), or that carries headers (400,
        19.1.1)."""
        uri = request.uri
        if isinstance(uri, SipUri):
            if uri.headers:
                raise MalformedMessage("a Request-URI must not carry header fields (RFC 3261 section 19.1.1)")
            return
        if uri.scheme != "tel":
            raise MalformedMessage(f"the URI scheme {uri.scheme[:32]!r} is not served here", 416)
