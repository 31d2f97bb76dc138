"""The credentials of a party: a name and a password for one realm, and the peer that may ask for them (RFC 3261 section
22.3, RFC 7616 section 3.6).

A challenge says which realm it is for, and anybody can say that. So an entry names who may ask as well: a name that the
peer at the other end of the connection has proved. Whoever else asks gets no answer, for a BYE as little as for an
INVITE: a peer for whom there is no entry cannot have anything computed (fault E2).

The nonces of answered challenges are remembered, so that the next request carries credentials at once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, final
from unicodedata import normalize

from sip_p2p.sip.abnf import has_octets
from sip_p2p.sip.digest import ALGORITHMS, ClientNonce, ha1_of, is_digest
from sip_p2p.transport.trust.identity import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sip_p2p.sip.digest import Challenge
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Target

__all__ = ["Credentials", "Entry"]

_MOST_PLACES = 16


@final
class Entry:
    """One name with its password.

    :ivar realm: for which realm.
    :ivar username: the name.
    :ivar peer: who may ask.
    :ivar algorithms: which may be used.
    :ivar send_to_unverified_peers: whether a connection that proves nothing will do, where *peer* was dialled.
    """

    __slots__ = ("_ha1", "_password", "_places", "algorithms", "peer", "realm", "send_to_unverified_peers", "username")

    def __init__(
        self,
        realm: str,
        username: str,
        peer: str,
        password: str | None,
        ha1: Mapping[str, str],
        algorithms: tuple[str, ...],
        send_to_unverified_peers: bool,
    ) -> None:
        self.realm = realm
        self.username = username
        self.peer = peer
        self.algorithms = algorithms
        self.send_to_unverified_peers = send_to_unverified_peers
        self._password = password
        self._ha1 = ha1
        # Where the peer was dialled that proves nothing, the newest last.
        self._places: dict[tuple[str, str, int], None] = {}

    def may_go_over(self, flow: LiveFlow, target: Target, is_dialled: bool) -> bool:
        """Whether what is at the other end of *flow* may have an answer.

        :param target: what was to be reached over it.
        :param is_dialled: whether that is where the flow leads. Within a dialog it may not be: there the target is what
            the peer has written into its Contact, and the flow the one by which it was heard.
        """
        if flow.peer:
            return flow.proves(self.peer)
        if not self.send_to_unverified_peers:
            return False
        place = (flow.transport, flow.remote_host, flow.remote_port)
        if is_dialled and self.peer in (target.name, target.host):
            self._places.pop(place, None)
            if len(self._places) >= _MOST_PLACES:
                del self._places[next(iter(self._places))]
            self._places[place] = None
        return place in self._places

    def answering(self, challenge: Challenge, cnonce: str) -> ClientNonce:
        """What answers *challenge*, whose algorithm is one of :attr:`algorithms`."""
        base = challenge.algorithm.removesuffix("-sess")
        username, password = self.username, self._password or ""
        if challenge.is_composed:
            username, password = normalize("NFC", username), normalize("NFC", password)
        ha1 = self._ha1.get(base)
        if ha1 is None:
            ha1 = ha1_of(base, username, self.realm, password)
        return ClientNonce(challenge, username, ha1, cnonce)

    def __repr__(self) -> str:
        return f"<credentials of {self.username!r} for {self.realm!r} at {self.peer}>"


@final
class Credentials:
    """With what a party answers those who ask for a name and a password.

    ::

        credentials = Credentials()
        credentials.add(realm="trunk.example", username="alice", password=secret, peer="proxy.trunk.example")
        endpoint = SipPeerToPeerEndpoint("sip:alice@a.example", manager, credentials=credentials)

    It can be changed at any time, and shared by endpoints.
    """

    __slots__ = ("_entries", "_nonces")

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._nonces: OrderedDict[tuple[Entry, bool, str], ClientNonce] = OrderedDict()

    def add(
        self,
        *,
        realm: str,
        username: str,
        peer: str,
        password: str | None = None,
        ha1: Mapping[str, str] | None = None,
        allow_md5: bool = False,
        send_to_unverified_peers: bool = False,
    ) -> None:
        """Add what *peer* is to be told; it takes the place of what was there for the same realm and peer.

        :param realm: exactly as the challenge says it.
        :param peer: the name that the next hop proves on its TLS connection: the proxy's, or that of the peer itself
            where no proxy is between.
        :param password: the password; or
        :param ha1: in its place, by algorithm, what :func:`sip_p2p.sip.digest.ha1_of` makes of it.
        :param allow_md5: whether MD5 is used where nothing better can be (fault E4). Who hears such an answer can try
            passwords on it a thousand million times a second.
        :param send_to_unverified_peers: whether *peer* is also believed without proof, over UDP, TCP and WS, where it
            is what was dialled: whoever is on the way can then try passwords at leisure.
        :raises ValueError: for a realm or a name that is empty or cannot be written, a peer that is no name, no or two
            secrets, and an algorithm that there is not.
        """
        for what, text in (("realm", realm), ("user name", username)):
            if not text or not text.isprintable():
                raise ValueError(f"credentials need a {what} of printable characters")
        if (password is None) == (ha1 is None):
            raise ValueError("credentials have a password, or hashes of it in its place")
        if password is not None and not has_octets(password):
            raise ValueError("the password has no UTF-8 form")
        hashes = {} if ha1 is None else dict(_hash(name, value) for name, value in ha1.items())
        known = ALGORITHMS if ha1 is None else tuple(name for name in ALGORITHMS if name in hashes)
        algorithms = tuple(name for name in known if allow_md5 or name != "MD5")
        if not algorithms:
            raise ValueError("there is a hash for MD5 only, and MD5 is not allowed: allow_md5=True lets it be used")
        name = normalise_name(peer)
        self.remove(realm, name)
        self._entries[realm, name] = Entry(
            realm, username, name, password, hashes, algorithms, send_to_unverified_peers
        )

    def remove(self, realm: str, peer: str) -> None:
        """Tell *peer* nothing more for *realm*; nothing happens where there was nothing."""
        entry = self._entries.pop((realm, normalise_name(peer)), None)
        if entry is not None:
            for key in [key for key in self._nonces if key[0] is entry]:
                del self._nonces[key]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def find(self, realm: str, flow: LiveFlow, target: Target, is_dialled: bool) -> Entry | None:
        """What may be said to who asks for *realm*; the other arguments are those of :meth:`Entry.may_go_over`."""
        for entry in self._entries.values():
            if entry.realm == realm and entry.may_go_over(flow, target, is_dialled):
                return entry
        return None

    def why_not(self, realm: str) -> str:
        """Why :meth:`find` found nothing, in words."""
        peers = sorted(entry.peer for entry in self._entries.values() if entry.realm == realm)
        if not peers:
            return "there are no credentials for it"
        return f"the credentials for it are for {', '.join(peers)}, which did not prove to be who asks"

    # -- nonces --------------------------------------------------------------------------------------------------------

    def known(self, space: str) -> list[tuple[Entry, ClientNonce]]:
        """The nonces that a request may carry at once, each for the peers of its entry.

        :param space: which host it is for: a UAS's realm is remembered for this alone, a proxy's for the way there.
        """
        return [
            (entry, nonce)
            for (entry, is_proxy, where), nonce in self._nonces.items()
            if (is_proxy or where == space) and not nonce.is_used_up
        ]

    def remember(self, entry: Entry, space: str, nonce: ClientNonce, most: int) -> bool:
        """Keep *nonce* for later requests.

        :param most: how many are kept; the oldest gives way.
        :returns: whether one had to.
        """
        is_proxy = nonce.challenge.is_proxy
        key = (entry, is_proxy, "" if is_proxy else space)
        self._nonces.pop(key, None)
        if nonce.is_too_long or self._entries.get((entry.realm, entry.peer)) is not entry:
            return False
        is_full = len(self._nonces) >= most
        if is_full:
            self._nonces.popitem(last=False)
        self._nonces[key] = nonce
        return is_full

    def forget(self, nonce: ClientNonce) -> None:
        """*nonce* is good no longer."""
        for key in [key for key, known in self._nonces.items() if known is nonce]:
            del self._nonces[key]

    def __repr__(self) -> str:
        return f"<Credentials: {len(self._entries)} entries>"


def _hash(name: str, value: str) -> tuple[str, str]:
    for known in ALGORITHMS:
        if known.lower() == name.lower():
            if not is_digest(known, value):
                raise ValueError(f"the hash for {known} is not as many hexadecimal digits as {known} makes")
            return known, value.lower()
    raise ValueError(f"{name[:32]!r} is no algorithm of digest authentication: {', '.join(ALGORITHMS)}")
