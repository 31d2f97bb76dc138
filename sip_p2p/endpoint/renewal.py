"""What a connection manager does about time: certificates that are replaced in their files, and those that run out."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, final

from sip_p2p.transport.tls.expiry import CertificateExpiring, ExpiryNotices, certificates_of, certificates_read
from sip_p2p.transport.tls.reload import Reloader, watched_parts
from sip_p2p.transport.trust.credential import Credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography import x509
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.transport.tls.reload import Watched
    from sip_p2p.transport.tls.settings import TlsSettings

__all__ = ["Renewal"]

_BETWEEN_CHECKS = 600.0


@final
class Renewal:
    """Keeps the TLS settings of one manager up to date with their files, and warns of what expires.

    :ivar reloader: what looks at the files; listeners have it look at theirs.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        settings: TlsSettings,
        interval: float,
        warn: Callable[[CertificateExpiring], None],
    ) -> None:
        """
        :param interval: seconds between two looks at the files; 0 looks only when told to.
        :param warn: is told of certificates that expire.
        """
        self._settings = settings
        self._warn = warn
        self._notices = ExpiryNotices()
        self._reactor = reactor
        self._checked = -_BETWEEN_CHECKS
        self.reloader = settings.reloader = Reloader(reactor, interval, self._looked)
        self._own_parts = watched_parts(settings)
        self.reloader.watch(self._own_parts)
        self.reloader.start()

    def reload(self) -> list[str]:
        """Read all files again, now.

        :returns: what has changed, in words.
        """
        changes = self.reloader.reload()
        self.check_expiry()
        return changes

    def _looked(self) -> None:
        now = self._reactor.seconds()
        if not 0 <= now - self._checked < _BETWEEN_CHECKS:
            self._checked = now
            self.check_expiry()

    def check_expiry(self) -> None:
        """Say what is about to expire, as far as it has not been said."""
        for each in self._notices.due(self.certificates(), datetime.datetime.now(datetime.UTC)):
            self._warn(each)

    def certificates(self) -> Iterator[tuple[str, x509.Certificate]]:
        """Every certificate that the manager and its listeners rely on, once each, with what it is to us."""
        told: set[x509.Certificate] = set()
        for name, certificate in self._all():
            if certificate not in told:
                told.add(certificate)
                yield name, certificate

    def _all(self) -> Iterator[tuple[str, x509.Certificate]]:
        yield from certificates_of(self._settings)
        for each in self._of_listeners():
            yield from certificates_read(each.what, each.source)

    def _of_listeners(self) -> list[Watched]:
        return [each for each in self.reloader.watched if each not in self._own_parts]

    def metrics(self) -> dict[str, int]:
        """Days left, handshakes and reloads, by name; of days only whole ones count."""
        settings = self._settings
        found = {
            "tls_handshakes": settings.handshakes,
            "tls_resumptions": settings.resumptions,
            "tls_sessions": settings.sessions,
            "certificate_reloads": self.reloader.reloads,
            "certificate_troubles": len(self.reloader.troubles),
        }
        if settings.credential is not None:
            found["certificate_days_left"] = int(settings.credential.days_left() // 1)
        for name, credential in settings.server_certificates.items():
            found[f"certificate_days_left_{name}"] = int(credential.days_left() // 1)
        for each in self._of_listeners():
            source = each.source
            if isinstance(source, Credential) and source.identities.identities:
                key = f"certificate_days_left_{source.identities.identities[0]}"
                days = int(source.days_left() // 1)
                found[key] = min(days, found.get(key, days))
        authorities = [anchor.not_valid_after_utc for anchor in settings.trust.certificates]
        if authorities:
            left = min(authorities) - datetime.datetime.now(datetime.UTC)
            found["trust_days_left"] = left // datetime.timedelta(days=1)
        return found

    def stop(self) -> None:
        """Look at nothing any more."""
        self.reloader.stop()
