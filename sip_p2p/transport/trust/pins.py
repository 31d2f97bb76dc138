"""Public keys that peers must have, whoever has signed their certificates: pins.

The fingerprint is that of RFC 7469 section 2.4, the SHA-256 of the SubjectPublicKeyInfo, so that it survives the
renewal of a certificate with the same key. A second pin of the same name prepares for the next key.

:class:`PinnedKeys` are a :class:`.Trust`: alone they let in peers with self-signed certificates, under the names of the
table and never under those that a certificate claims; beside an authority they also restrict what it may vouch for.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.identity import PeerIdentities, normalise_name
from sip_p2p.transport.trust.stack import Doubt, Grant, Shown, Trust, TrustedBy

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["PinnedKeys", "normalise_pin", "pin_of"]

_PREFIX = "sha256/"
_DIGEST_OCTETS = 32


def pin_of(certificate: x509.Certificate) -> str:
    """The pin of a certificate's key: ``sha256/`` and 44 characters of base64."""
    encoded = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _PREFIX + b64encode(hashlib.sha256(encoded).digest()).decode("ascii")


def normalise_pin(text: str) -> str:
    """The one spelling of a pin.

    :raises ValueError: it is none; the message says how one looks.
    """
    stripped = text.strip()
    try:
        digest = b64decode(stripped.removeprefix(_PREFIX), validate=True) if stripped.startswith(_PREFIX) else b""
    except ValueError:
        digest = b""
    if len(digest) != _DIGEST_OCTETS:
        raise ValueError(
            f"{stripped[:80]!r} is not the pin of a key: write sha256/ and the base64 of the SHA-256 of its "
            "SubjectPublicKeyInfo, 44 characters"
        )
    return _PREFIX + b64encode(digest).decode("ascii")


@final
class PinnedKeys(Trust):
    """Trust in certain public keys, by name.

    A peer whose name is listed must show one of the keys that are listed for it; another key is refused, even if an
    authority vouches for it (``REMOTE_KEY_NOT_PINNED``). With one of them it is known by every name that lists that
    key, whatever its certificate says of its owner and its issuer; the certificate must be valid today, strong and
    meant for this use all the same. Names that are not listed are left to the other trusts.

    :ivar pins: the keys by name, both in normal form.
    :ivar is_sufficient: whether a pinned key is proof enough; see the constructor.
    """

    def __init__(self, pins: Mapping[str, str | Iterable[str]], *, is_sufficient: bool = True) -> None:
        """
        :param pins: for each domain, host or IP address the pins of its keys, as :func:`pin_of` writes them.
        :param is_sufficient: False takes the pins as a restriction only: another trust, such as an authority, must
            vouch for the certificate as well.
        :raises ValueError: a name or pin is none, a name has no pin, or there is nothing at all.
        """
        self.pins: dict[str, frozenset[str]] = {}
        for name, given in pins.items():
            try:
                normal = normalise_name(name)
            except ValueError as error:
                raise ValueError(f"a key cannot be pinned for this name: {error}") from None
            keys = frozenset(normalise_pin(each) for each in ([given] if isinstance(given, str) else given))
            if not keys:
                raise ValueError(f"no key is pinned for {name}: give one, or leave the name out")
            self.pins[normal] = self.pins.get(normal, frozenset()) | keys
        if not self.pins:
            raise ValueError("no key is pinned for anybody: give a name and its pin")
        self.is_sufficient = is_sufficient
        self.judges_keys = is_sufficient
        self._names: dict[str, list[str]] = {}
        for name, keys in self.pins.items():
            for key in keys:
                self._names.setdefault(key, []).append(name)

    @classmethod
    def parse(cls, entries: str | Iterable[str], *, is_sufficient: bool = True) -> PinnedKeys:
        """Pins from their written form, ``b.example=sha256/...``; a name with several keys comes several times.

        :param entries: a list, or one string with commas between the entries.
        :raises ValueError: an entry is not of this form; the message quotes it.
        """
        listed = entries.split(",") if isinstance(entries, str) else entries
        pins: dict[str, list[str]] = {}
        for entry in filter(None, (each.strip() for each in listed)):
            name, equals, pin = entry.partition("=")
            if not equals:
                raise ValueError(f"{entry[:120]!r} pins nothing: write NAME=sha256/...")
            pins.setdefault(name.strip(), []).append(pin)
        return cls(pins, is_sufficient=is_sufficient)

    def consider(self, shown: Shown) -> Grant | Doubt:
        """Whether the key is pinned, and for whom."""
        pin = shown.facts.pin
        for name in shown.names:
            pinned = self.pins.get(name)
            if pinned is not None and pin not in pinned:
                words = f"{name} should have {' or '.join(sorted(pinned))}, and shows {pin}"
                return Doubt(TlsFailureReason.REMOTE_KEY_NOT_PINNED, words, is_final=True)
        names = self._names.get(pin, ()) if self.is_sufficient else ()
        if not names or (shown.expected is not None and shown.expected not in names):
            who = shown.expected or "whoever shows this key"
            return Doubt(TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE, f"no key is pinned for {who}: it shows {pin}")
        return Grant(PeerIdentities.of_names(names), TrustedBy.PINNED_KEY, self)

    def __repr__(self) -> str:
        return f"<PinnedKeys: {', '.join(sorted(self.pins))}>"
