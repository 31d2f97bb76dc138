"""How long our own certificates and the authorities that we trust are still valid, and a word in time before they are
not."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.trust.credential import Credential, TrustAnchors

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator

    from cryptography import x509

    from sip_p2p.transport.tls.settings import TlsSettings

__all__ = ["NOTICE_DAYS", "CertificateExpiring", "ExpiryNotices", "certificates_of", "certificates_read"]

NOTICE_DAYS = (30, 14, 7, 3, 1, 0)
"""With how many days left a word is said, once each; 0 says that it is too late."""


@final
class CertificateExpiring:
    """A certificate that we rely on will not be valid for much longer.

    :ivar certificate: the certificate.
    :ivar name: what it is to us, and where it was read from.
    :ivar days_left: how many days are left; negative once it has expired.
    """

    __slots__ = ("certificate", "days_left", "name")

    def __init__(self, certificate: x509.Certificate, name: str, days_left: float) -> None:
        self.certificate = certificate
        self.name = name
        self.days_left = days_left

    def __str__(self) -> str:
        end = f"{self.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if self.days_left < 0:
            return f"{self.name} has expired on {end}: replace it"
        days = int(self.days_left)
        left = "less than a day" if days == 0 else "1 day" if days == 1 else f"{days} days"
        return f"{self.name} expires in {left}, on {end}: renew it"

    def __repr__(self) -> str:
        return f"<CertificateExpiring: {self}>"


@final
class ExpiryNotices:
    """Says once at each of :data:`NOTICE_DAYS` what is about to expire."""

    __slots__ = ("_said",)

    def __init__(self) -> None:
        # The least of the numbers of days at which something was said, by certificate.
        self._said: dict[tuple[str, int], int] = {}

    def due(
        self, certificates: Iterable[tuple[str, x509.Certificate]], now: datetime.datetime
    ) -> list[CertificateExpiring]:
        """What is to be said at *now*, aware; of several steps that were missed, only the last.

        :param certificates: each with what it is to us.
        """
        found: list[CertificateExpiring] = []
        present: dict[tuple[str, int], int] = {}
        for name, certificate in certificates:
            key = (certificate.issuer.rfc4514_string(), certificate.serial_number)
            if key in present:
                continue
            said = self._said.get(key, NOTICE_DAYS[0] + 1)
            days_left = (certificate.not_valid_after_utc - now).total_seconds() / 86400
            step = min((days for days in NOTICE_DAYS if days_left < days), default=said)
            if step < said:
                found.append(CertificateExpiring(certificate, name, days_left))
            present[key] = min(step, said)
        # Of what is not in use any more nothing is kept.
        self._said = present
        return found


def certificates_of(settings: TlsSettings) -> Iterator[tuple[str, x509.Certificate]]:
    """Every certificate that connections with *settings* rely on, on our side, with what it is to us."""
    credentials = {"our certificate": settings.credential}
    credentials |= {f"our certificate for {name}": each for name, each in settings.server_certificates.items()}
    for name, credential in credentials.items():
        if credential is not None:
            yield from _of_credential(name, credential)
    yield from _of_authorities(settings.trust.certificates)


def certificates_read(what: str, source: object) -> Iterator[tuple[str, x509.Certificate]]:
    """The same of one *source* that was read from files; nothing of one that holds none.

    :param what: what the source is to us.
    """
    if isinstance(source, Credential):
        yield from _of_credential(f"our certificate, {what}", source)
    elif isinstance(source, ServerNames):
        for name, credential in source.items():
            yield from _of_credential(f"our certificate for {name}, {what}", credential)
    elif isinstance(source, TrustAnchors):
        yield from _of_authorities(source.certificates, f", {what}")


def _of_credential(name: str, credential: Credential) -> Iterator[tuple[str, x509.Certificate]]:
    yield f"{name} ({credential.source})" if credential.source else name, credential.certificate
    for authority in credential.chain:
        yield f"the intermediate authority {authority.subject.rfc4514_string()} of {name}", authority


def _of_authorities(anchors: Iterable[x509.Certificate], what: str = "") -> Iterator[tuple[str, x509.Certificate]]:
    for anchor in anchors:
        yield f"the trusted authority {anchor.subject.rfc4514_string()}{what}", anchor
