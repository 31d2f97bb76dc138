"""The certificates that the tests hand out: right ones, and one for each way of being wrong."""

from __future__ import annotations

import datetime
import os
from typing import final

from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p.pki import CertificateAuthority, IssuedCertificate

__all__ = ["ADDRESSES", "Certificates", "Leaf"]

ADDRESSES = ("127.0.0.1", "10.99.0.1", "10.98.0.1", "10.98.0.2", "::1")
"""Where tests run: peers that are dialled by address look for the address in the certificate."""

_DAY = datetime.timedelta(days=1)
_YEAR = datetime.timedelta(days=365)


@final
class Leaf:
    """A certificate on disk.

    :ivar certificate: the path of a PEM file with the certificate and its key.
    :ivar key: the path of a PEM file that holds the key: the same file.
    :ivar issued: the certificate itself.
    """

    def __init__(self, issued: IssuedCertificate, directory: str) -> None:
        self.certificate = self.key = str(issued.write(directory))
        self.issued = issued


@final
class Certificates:
    """Two authorities that know nothing of each other, and leaves made when they are first asked for.

    :ivar trust: the path of the authority that everyone in a test trusts.
    :ivar other_trust: the path of the one that nobody does.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._authority = CertificateAuthority.create("interop authority", os.path.join(directory, "ca"))
        self._other = CertificateAuthority.create("another authority", os.path.join(directory, "other"))
        self.trust = os.path.join(directory, "ca", "ca.pem")
        self.other_trust = os.path.join(directory, "other", "ca.pem")
        self._leaves: dict[str, Leaf] = {}

    def _leaf(self, kind: str, authority: CertificateAuthority, *names: str, until: datetime.timedelta = _YEAR) -> Leaf:
        key = f"{kind}-{names[0]}"
        leaf = self._leaves.get(key)
        if leaf is None:
            end = datetime.datetime.now(datetime.UTC) + until
            issued = authority.issue(*names, not_before=end - 2 * _YEAR, not_after=end)
            leaf = self._leaves[key] = Leaf(issued, os.path.join(self.directory, key))
        return leaf

    def right(self, domain: str) -> Leaf:
        """For *domain* and every address that tests use."""
        return self._leaf("right", self._authority, domain, *ADDRESSES)

    def for_domain_only(self, domain: str) -> Leaf:
        """For *domain* alone: the wrong name wherever another name or an address was dialled or is allowed."""
        return self._leaf("domain", self._authority, domain)

    def for_one_day(self, domain: str) -> Leaf:
        """The right names, valid until tomorrow: expired for a peer whose clock is ahead."""
        return self._leaf("short", self._authority, domain, *ADDRESSES, until=_DAY)

    def revoked(self, domain: str) -> Leaf:
        """The right names, and on the list of :meth:`revocation_list`."""
        return self._leaf("revoked", self._authority, domain, *ADDRESSES)

    def revocation_list(self, *leaves: Leaf) -> str:
        """The path of the authority's list with the certificates of *leaves* on it."""
        path = os.path.join(self.directory, "revoked.crl")
        made = self._authority.revocation_list([leaf.issued.certificate for leaf in leaves])
        with open(path, "wb") as file:
            file.write(made.public_bytes(Encoding.PEM))
        return path

    def wrong_authority(self, domain: str) -> Leaf:
        """The right names, signed by the authority that nobody trusts."""
        return self._leaf("other", self._other, domain, *ADDRESSES)

    def expired(self, domain: str) -> Leaf:
        """The right names, valid until yesterday."""
        return self._leaf("expired", self._authority, domain, *ADDRESSES, until=-_DAY)
