"""The certificates of signers by their URLs, remembered for a while (RFC 8224 section 7.2).

One fetch at a time for each URL, whoever waits for it; what could not be had is not asked for again at once, since
every signature makes us ask.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.identity.chain import read_chain
from sip_p2p.endpoint.identity.fetching import NotFetched, fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.x509 import Certificate

    from sip_p2p.endpoint.identity.fetching import FetchRules
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.trust.https import HttpsPolicy

__all__ = ["Around", "CertificateStore"]

_LONGEST = 3600.0
_SHORTEST = 60.0
_FAILED = 30.0
_PART = 4
"""What one asker may have under way is this part of what all may."""


@final
class Around:
    """What a verifier is used in: one connection manager's world.

    :ivar reactor: its reactor.
    :ivar limits: its bounds.
    :ivar limit_hit: told the name of one that was reached.
    :ivar asker: who has sent the request: who has proved a name, or an address.
    """

    __slots__ = ("asker", "limit_hit", "limits", "reactor")

    def __init__(self, reactor: Any, limits: Limits, limit_hit: Callable[[str], object], asker: str = "") -> None:
        self.reactor = reactor
        self.limits = limits
        self.limit_hit = limit_hit
        self.asker = asker


@final
class _Entry:
    """What is known of one URL."""

    __slots__ = ("chain", "ends", "failure", "fetching", "waiting")

    def __init__(self) -> None:
        self.chain: tuple[Certificate, ...] = ()
        self.failure: NotFetched | None = None
        self.ends = 0.0
        self.fetching: Deferred[Any] | None = None
        self.waiting: list[Deferred[tuple[Certificate, ...]]] = []


@final
class CertificateStore:
    """The certificates of one verifier.

    :ivar fetched: how many were fetched, or tried to be.
    :ivar under_way: how many are being fetched.
    """

    __slots__ = ("_askers", "_entries", "_policy", "_rules", "fetched", "under_way")

    def __init__(self, rules: FetchRules, policy: HttpsPolicy) -> None:
        """
        :param rules: what may be fetched.
        :param policy: which servers are believed.
        """
        self._rules = rules
        self._policy = policy
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._askers: Counter[str] = Counter()
        self.under_way = 0
        self.fetched = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, url: str, around: Around) -> Deferred[tuple[Certificate, ...]]:
        """The chain at *url*, the signer's certificate first.

        :returns: fires at once where it is remembered. Fails with :class:`.NotFetched`. Cancelling it leaves others who
            wait for the same alone.
        """
        done: Deferred[tuple[Certificate, ...]] = Deferred(lambda cancelled: self._unwanted(url, cancelled))
        entry = self._entries.get(url)
        if entry is not None and entry.fetching is None and entry.ends <= around.reactor.seconds():
            del self._entries[url]
            entry = None
        if entry is None:
            # Who names servers that never answer has no more than a part of what there is for all.
            most = around.limits.passport_fetches
            if self.under_way >= most or self._askers[around.asker] >= max(1, most // _PART):
                around.limit_hit("passport_fetches")
                done.errback(Failure(NotFetched("too many certificates are being fetched")))
                return done
            entry = self._begin(url, around)
        else:
            self._entries.move_to_end(url)
        entry.waiting.append(done)
        if entry.fetching is None:
            self._tell(entry)
        return done

    def forget(self) -> None:
        """Let go of everything; what is being fetched is given up."""
        entries = list(self._entries.values())
        self._entries.clear()
        for entry in entries:
            if entry.fetching is not None:
                entry.fetching.cancel()

    def _begin(self, url: str, around: Around) -> _Entry:
        entry = self._entries[url] = _Entry()
        limits = around.limits
        self._make_room(around)
        self.under_way += 1
        self._askers[around.asker] += 1
        self.fetched += 1
        fetching = fetch(
            around.reactor, url, self._rules, self._policy, limits.passport_octets, limits.passport_fetch_timeout
        )
        entry.fetching = fetching
        fetching.addCallback(_read).addCallbacks(self._came, self._failed, (entry, around), {}, (entry, around))
        return entry

    def _make_room(self, around: Around) -> None:
        """The one not asked for longest gives way; one that is being fetched has somebody waiting for it."""
        if len(self._entries) > around.limits.passport_certificates:
            around.limit_hit("passport_certificates")
            for url, entry in self._entries.items():
                if entry.fetching is None and entry.ends:
                    del self._entries[url]
                    return

    def _came(self, found: tuple[tuple[Certificate, ...], float | None], entry: _Entry, around: Around) -> None:
        entry.chain, good_for = found
        kept = _LONGEST if good_for is None else min(max(good_for, _SHORTEST), _LONGEST)
        self._over(entry, around, around.reactor.seconds() + kept)

    def _failed(self, failure: Failure, entry: _Entry, around: Around) -> None:
        error = failure.value
        entry.failure = error if isinstance(error, NotFetched) else NotFetched(f"it was not fetched: {error}"[:200])
        if entry.failure.limit:
            around.limit_hit(entry.failure.limit)
        self._over(entry, around, around.reactor.seconds() + _FAILED)

    def _over(self, entry: _Entry, around: Around, ends: float) -> None:
        self.under_way -= 1
        self._askers[around.asker] -= 1
        if not self._askers[around.asker]:
            del self._askers[around.asker]
        entry.ends = ends
        entry.fetching = None
        self._tell(entry)

    def _tell(self, entry: _Entry) -> None:
        waiting, entry.waiting = entry.waiting, []
        for done in waiting:
            if entry.failure is not None:
                # A Failure of its own for each: one that is shared would be one traceback that all of them change.
                done.errback(Failure(NotFetched(str(entry.failure))))
            else:
                done.callback(entry.chain)

    def _unwanted(self, url: str, cancelled: Deferred[tuple[Certificate, ...]]) -> None:
        """Who waited for it does no more. It is fetched to its end: the next one may want it."""
        entry = self._entries.get(url)
        if entry is not None and cancelled in entry.waiting:
            entry.waiting.remove(cancelled)


def _read(found: tuple[bytes, float | None]) -> tuple[tuple[Certificate, ...], float | None]:
    octets, good_for = found
    try:
        return read_chain(octets), good_for
    except ValueError as error:
        raise NotFetched(f"what was fetched is {error}"[:200]) from None
