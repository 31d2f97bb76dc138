"""Whose request is it? The parties behind one core, found by Request-URI and To (RFC 3261 section 8.2.2.1).

Several endpoints can share one set of listeners. The order of the search is: the opaque user part that we put into an
endpoint's Contact, the address of record or the GRUU in the Request-URI, the same in To, and last the fallback, if any.

Parties that agree to it share an address of record, as the devices of one person do; which of them a request goes to is
then for its method and its caller's preferences to say (RFC 3841 section 7.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.message import Request
from sip_p2p.sip.preferences import preference_score
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.sip.uri import OpaqueUri, TelUri

__all__ = ["Directory"]


def _address_key(user: str | None, host: str) -> str:
    return f"{user or ''}@{host}"


def _gruu_key(uri: SipUri) -> str:
    """RFC 5627 section 3.1.1: the devices of one address of record differ in the value of ``gr``."""
    return f"{_address_key(uri.user, uri.host)};{uri.params.get('gr') or ''}"


@final
class Directory:
    """The table of profiles that one core serves.

    :ivar fallback: who gets a request that names nobody here; None answers it with 404.
    """

    __slots__ = ("_by_address", "_by_contact_user", "_by_gruu", "_sharing", "fallback")

    def __init__(self) -> None:
        self._by_address: dict[str, Profile] = {}
        self._by_contact_user: dict[str, Profile] = {}
        self._by_gruu: dict[str, Profile] = {}
        self._sharing: dict[str, list[Profile]] = {}
        self.fallback: Profile | None = None

    def __len__(self) -> int:
        return len(self._by_contact_user)

    def add(
        self, profile: Profile, address: SipUri, contact_user: str, gruu: SipUri | None = None, *, shares: bool = False
    ) -> None:
        """Enter a party under its address of record, the user part of its Contact and perhaps its GRUU (RFC 5627).

        :param shares: whether other parties that say the same may have the same address of record.
        :raises ValueError: when another party has one of them.
        """
        key = _address_key(address.user, address.host)
        addresses = (address,) if gruu is None else (address, gruu)
        for each in addresses:
            taken = _address_key(each.user, each.host)
            if taken in self._by_address and not (shares and taken == key and key in self._sharing):
                raise ValueError(f"{each} is served already")
        if gruu is not None and _gruu_key(gruu) in self._by_gruu:
            raise ValueError(f"{gruu} is served already")
        if contact_user in self._by_contact_user:
            raise ValueError(f"the contact {contact_user!r} is taken")
        if shares:
            self._sharing.setdefault(key, []).append(profile)
        for each in addresses:
            self._by_address.setdefault(_address_key(each.user, each.host), profile)
        if gruu is not None:
            self._by_gruu[_gruu_key(gruu)] = profile
        self._by_contact_user[contact_user] = profile

    def remove(self, profile: Profile) -> None:
        """Take a party out; requests for it go to who shares its address, or are answered 404 from now on."""
        for table in (self._by_address, self._by_contact_user, self._by_gruu):
            for key in [key for key, value in table.items() if value is profile]:
                del table[key]
        for key, sharing in list(self._sharing.items()):
            if profile in sharing:
                sharing.remove(profile)
                if sharing:
                    self._by_address.setdefault(key, sharing[0])
                else:
                    del self._sharing[key]
        if self.fallback is profile:
            self.fallback = None

    def find(self, request: Request) -> Profile | None:
        """The profile that *request* is for, or None.

        :raises MalformedMessage: when its Request-URI, To or the preferences of its caller cannot be read.
        """
        uri = request.uri
        found = self.serves(uri) if isinstance(uri, SipUri) else None
        if found is not None:
            return self._preferred(found, uri, request) if self._sharing else found
        if len(self._by_contact_user) == 1 and self.fallback is not None:
            return self.fallback
        to = request.to.uri
        if isinstance(to, SipUri):
            found = self._by_address.get(_address_key(to.user, to.host))
            if found is not None:
                return self._preferred(found, to, request) if self._sharing else found
        return self.fallback

    def _preferred(self, found: Profile, uri: SipUri | TelUri | OpaqueUri, request: Request) -> Profile:
        """RFC 3841 section 7.2.4: of the parties that share the address *uri*, the one that scores best; of equal ones
        the first that was entered.

        Where none is wanted the first is returned: whoever asked refuses the request in its name.
        """
        if not isinstance(uri, SipUri) or uri.user in self._by_contact_user or _gruu_key(uri) in self._by_gruu:
            return found
        sharing = self._sharing.get(_address_key(uri.user, uri.host))
        if sharing is None:
            return found
        # 7.2.2.1: the method is a preference that nobody has to write down.
        candidates = [profile for profile in sharing if profile.allows(request.method)] or sharing
        best, highest = candidates[0], -1.0
        for profile in candidates:
            score = preference_score(request.headers, profile.feature_set())
            if score is not None and score > highest:
                best, highest = profile, score
        return best

    def serves(self, uri: SipUri) -> Profile | None:
        """The profile whose Contact, address of record or GRUU *uri* is, or None."""
        user = uri.user
        if user is not None:
            found = self._by_contact_user.get(user)
            if found is not None:
                return found
        if self._by_gruu and "gr" in uri.params:
            found = self._by_gruu.get(_gruu_key(uri))
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
