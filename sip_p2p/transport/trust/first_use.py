"""Trust on first use: the key that a peer shows first is remembered on disk, and must be the same ever after.

What SSH does with ``known_hosts``. It protects a conversation that has begun well from everybody who comes later, and
does nothing about whoever is there first: where peers can exchange fingerprints beforehand, :class:`.PinnedKeys` are
better, and an authority is better still.

A peer that we dial is remembered under the name that we dialled. One that dials us only claims to have a name; it is
let in if this name with this key is known already. That anybody may come first under any name that the policy allows,
has to be asked for in so many words.

The file is described in :mod:`.trust.known_keys`. Left out: keys that change by themselves; whoever renews a key tells
the other side, who removes the line.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import final

from twisted.logger import Logger

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.certificate_facts import Refused
from sip_p2p.transport.trust.identity import PeerIdentities, TrustPolicy
from sip_p2p.transport.trust.known_keys import KeyStoreFull, KnownKeys
from sip_p2p.transport.trust.stack import Doubt, Grant, Shown, Trust, TrustedBy

__all__ = ["MOST_KNOWN_KEYS", "FirstUse"]

_log = Logger()

MOST_KNOWN_KEYS = 10000
"""Names that one store keeps; further new peers are refused with ``KEY_NOT_REMEMBERED`` until lines are removed."""

# Whoever shows a wrong key must not make us read the file each time.
_SECONDS_BETWEEN_LOOKS = 1.0


@final
class FirstUse(Trust):
    """Trust in whoever came first under a name.

    A known name with another key is refused, even if an authority vouches for it (``REMOTE_KEY_CHANGED``); the failure
    names the line to remove if the change is a good one. An edited file counts from the next such refusal on, or from
    :meth:`reload`. What cannot be remembered is refused as well (``KEY_NOT_REMEMBERED``).

    Beside an authority it applies to every name for which no authority vouches, which makes the authority worth little:
    name the peers that may be met like this with *only*.

    :ivar policy: for which names it may be used.
    """

    judges_keys = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        only: str | Iterable[str] | TrustPolicy | None = None,
        accept_unknown_incoming_peers: bool = False,
        limit: int = MOST_KNOWN_KEYS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param path: the file of known keys; it is made with the first one.
        :param only: the names for which it may be used, as for :meth:`.TrustPolicy.parse`; None for all.
        :param accept_unknown_incoming_peers: let peers that dial us and are not known yet have any name that the policy
            allows and nobody has had before. Logged at every start.
        :param limit: the most names that are remembered.
        :param monotonic: a clock that counts seconds.
        :raises ValueError: the file is spoilt, unreadable or open to others, with the line where there is one.
        """
        if only is None:
            self.policy = TrustPolicy.any_authenticated()
        else:
            self.policy = only if isinstance(only, TrustPolicy) else TrustPolicy.parse(only)
        self._keys = KnownKeys(path, limit)
        self._accepts_unknown = accept_unknown_incoming_peers
        self._monotonic = monotonic
        self._looked = -_SECONDS_BETWEEN_LOOKS

    @property
    def warnings(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is to be logged at every start."""
        said = [f"a peer that we dial for the first time is believed, and remembered in {self._keys.path}"]
        if self._accepts_unknown:
            said.append("a peer that dials us for the first time is believed whatever allowed name it claims")
        return tuple(said)

    @property
    def files(self) -> tuple[Path, ...]:  # type: ignore[override]
        """The file of known keys."""
        return (self._keys.path,)

    @property
    def count(self) -> int:
        """How many names are known."""
        return len(self._keys)

    def known_key(self, name: str) -> str | None:
        """The key that is known for *name*, in normal form, or None."""
        known = self._keys.get(name)
        return None if known is None else known.pin

    def reload(self) -> None:
        """Read the file again.

        :raises ValueError: as for the constructor; what was known stays known.
        """
        self._keys.read()

    def consider(self, shown: Shown) -> Grant | Doubt:
        """Whether the key is the known one, or the first one."""
        changed = self._changed(shown)
        if changed is not None and self._was_edited():
            changed = self._changed(shown)
        if changed is not None:
            return changed
        names = self._names(shown)
        if len(self._keys) >= self._keys.limit and any(self._keys.get(name) is None for name in names):
            return Doubt(TlsFailureReason.KEY_NOT_REMEMBERED, _full(f"{self._keys.path} is full"))
        if not names:
            who = shown.expected or ", ".join(shown.facts.identities.identities) or "whoever has no SIP identity"
            others = shown.expected is not None or self._accepts_unknown
            rule = "first use is for other names" if others else "who dials us is not believed at first sight"
            words = f"no key is known for {who}, and {rule}"
            return Doubt(TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE, words)
        return Grant(PeerIdentities.of_names(names), TrustedBy.FIRST_USE, self)

    def remember(self, shown: Shown, grant: Grant) -> None:
        """Append what is new, once the peer has proved that it holds the key.

        :raises Refused: it could not be written, there is no room, or another process knows another key meanwhile.
        """
        note = "dialled" if shown.expected is not None else "incoming"
        for name in grant.identities.identities:
            if self._keys.get(name) is None:
                self._add(name, shown.facts.pin, note)
        changed = self._changed(shown)
        if changed is not None:
            raise Refused(changed.reason, changed.detail)

    def _names(self, shown: Shown) -> list[str]:
        """The names under which the peer is known, or becomes so."""
        name = shown.expected
        if name is not None:
            known = self._keys.get(name) is not None
            return [name] if known or self._applies_to(name) else []
        claimed = shown.facts.identities.identities
        names = [each for each in claimed if self._keys.get(each) is not None]
        if names or not self._accepts_unknown:
            return names
        possible = [each for each in claimed if self._applies_to(each)]
        return [each for each in possible if shown.policy.allows(PeerIdentities.of_names([each]))][:1] or possible[:1]

    def _applies_to(self, name: str) -> bool:
        return self.policy.allows(PeerIdentities.of_names([name])) is not None

    def _changed(self, shown: Shown) -> Doubt | None:
        for name in shown.names:
            known = self._keys.get(name)
            if known is not None and known.pin != shown.facts.pin:
                words = (
                    f"{self._keys.path}, line {known.line} has {known.pin} for {name}, and it shows {shown.facts.pin}: "
                    "if its owner confirms the new key, remove that line"
                )
                return Doubt(TlsFailureReason.REMOTE_KEY_CHANGED, words, is_final=True)
        return None

    def _was_edited(self) -> bool:
        now = self._monotonic()
        if now - self._looked < _SECONDS_BETWEEN_LOOKS:
            return False
        self._looked = now
        try:
            return self._keys.read_if_changed()
        except ValueError as error:
            _log.error("{error}; what was known stays known", error=str(error))
            return False

    def _add(self, name: str, pin: str, note: str) -> None:
        not_remembered = TlsFailureReason.KEY_NOT_REMEMBERED
        try:
            self._keys.add(name, pin, note)
        except KeyStoreFull as error:
            raise Refused(not_remembered, _full(str(error))) from None
        except OSError as error:
            raise Refused(not_remembered, f"{self._keys.path} cannot be written: {error.strerror or error}") from None
        except ValueError as error:
            raise Refused(not_remembered, str(error)) from None

    def __repr__(self) -> str:
        return f"<FirstUse: {self.count} known in {self._keys.path}>"


def _full(what: str) -> str:
    return f"{what}: remove the lines of peers that are gone, or raise the limit"
