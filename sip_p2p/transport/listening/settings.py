"""The TLS settings of one listener: what its description says, and for the rest what the connection manager's say.

Both can change while it listens: the manager's settings are replaced, and the files of either are (:mod:`.tls.reload`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from sip_p2p.errors import TlsFailure
from sip_p2p.transport.tls.reload import Reloader, Watched
from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.revocation import Revocation, RevocationMode
from sip_p2p.transport.trust.stack import Authorities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.transport.listening.description_text import Description
    from sip_p2p.transport.trust.stack import TrustStack

__all__ = ["ListenerSettings", "given_credential", "given_revocation", "given_server_names", "given_trust"]

_PARTS = ("credential", "anchors", "policy", "usage", "revocation", "server_certificates")
_WORDS = {
    "credential": "certKey",
    "anchors": "trustRoots",
    "revocation": "crl",
    "server_certificates": "sni",
}


@final
class ListenerSettings:
    """The settings of one listener."""

    __slots__ = ("_base", "_compared", "_description", "_given", "_own", "_reactor", "_reloader", "_seen", "_watched")

    def __init__(
        self, reactor: Any, description: str, base: TlsSettings | None, given: Mapping[str, Any], mutual: bool
    ) -> None:
        """
        :param base: the manager's settings.
        :param given: what the description says, by the names that :meth:`.TlsSettings.replace` has; None or missing for
            what it leaves out.
        :param mutual: whether peers must show a certificate.
        :raises ValueError: something is missing.
        :raises TlsFailure: OpenSSL cannot use a certificate.
        """
        self._reactor = reactor
        self._description = description
        self._base = base
        self._given = {name: value for name, value in given.items() if value is not None}
        self._own: TlsSettings | None = None
        self._reloader: Reloader | None = None
        self._seen = self._parts()
        self._compared: tuple[object, ...] = ()
        if base is None or self._given or mutual is not base.need_mutual_tls:
            if self._seen["anchors"] is None:
                raise ValueError("trustRoots is missing: name the PEM file or folder of the authorities you trust")
            self._own = TlsSettings(
                need_mutual_tls=mutual,
                on_failure=None if base is None else base.on_failure,
                protocol=None if base is None else base.protocol,
                key_log=None if base is None else base.key_log,
                **self._seen,
            )
        self._watched = [self._watch(name) for name in _WORDS if name in self._given]

    def refresh(self) -> TlsSettings:
        """The settings for the next connection."""
        own = self._own
        if own is None:
            assert self._base is not None
            return self._base
        parts = self._parts()
        if parts != self._seen:
            own.replace(**parts)
            self._seen = parts
        self._compare(own)
        return own

    def _compare(self, own: TlsSettings) -> None:
        """Find out whether who is believed here need not be believed by the manager: what is meant for a name must not
        go to whoever has proved it to a listener's own authorities, or where no pin or revocation list counts."""
        base = self._base
        if base is None or not ("anchors" in self._given or "revocation" in self._given):
            return
        judges = (own.trust, base.trust, own.revocation, base.revocation)
        if judges != self._compared:
            self._compared = judges
            own.is_for_callers = not (
                ("anchors" not in self._given or _is_within(own.trust, base.trust))
                and ("revocation" not in self._given or _is_as_strict(own.revocation, base.revocation))
            )

    def start(self) -> None:
        """The listener listens: watch its files."""
        if not self._watched:
            return
        base = self._base
        if base is not None and base.reloader is not None:
            self._reloader = base.reloader
        else:
            self._reloader = Reloader(self._reactor)
            self._reloader.start()
        self._reloader.watch(self._watched)

    def stop(self) -> None:
        """The listener does not listen any more."""
        reloader, self._reloader = self._reloader, None
        if reloader is None:
            return
        reloader.unwatch(self._watched)
        if self._base is None or reloader is not self._base.reloader:
            reloader.stop()

    def _parts(self) -> dict[str, Any]:
        base = self._base
        parts: dict[str, Any] = {name: self._given.get(name, getattr(base, name, None)) for name in _PARTS}
        if base is not None and base.policy.excluded and "policy" in self._given:
            # Whom the manager has nothing more to do with hears of it here in the handshake, too.
            for name in base.policy.excluded:
                parts["policy"] = parts["policy"].excluding(name)
        return parts

    def _watch(self, name: str) -> Watched:
        def put(new: object) -> None:
            old = self._given[name]
            self._given[name] = new
            try:
                self.refresh()
            except TlsFailure:
                self._given[name] = old
                raise

        return Watched(f"{_WORDS[name]} of {self._description}", lambda: self._given[name], put)


def _is_within(some: TrustStack, whole: TrustStack) -> bool:
    """Whether all authorities of *some* are among those of *whole*, which knows nobody by anything else."""
    return all(isinstance(each, Authorities) for each in (*some.trusts, *whole.trusts)) and all(
        each in whole for each in some.certificates
    )


def _is_as_strict(some: Revocation | None, other: Revocation | None) -> bool:
    """Whether whom *other* refuses *some* refuses as well."""
    if other is None or other.mode is RevocationMode.OFF:
        return True
    if some is None or some.mode is RevocationMode.OFF:
        return False
    known = [each.crl for each in some.lists]
    return some.mode in (other.mode, RevocationMode.HARD) and all(each.crl in known for each in other.lists)


def given_credential(parsed: Description) -> Credential | None:
    """The certificate that a description names.

    :raises ValueError: it is of no use, or half of it is missing.
    """
    certificate, key = parsed.path("certKey"), parsed.path("privateKey")
    chain, staple = parsed.path("extraCertChain"), parsed.path("staple")
    others = (("privateKey", key), ("extraCertChain", chain), ("staple", staple))
    if certificate is None:
        for name, value in others:
            if value is not None:
                raise ValueError(f"{name} is given without certKey: give the certificate that it belongs to")
        return None
    try:
        return Credential.from_files(certificate, key, () if chain is None else (chain,), staple=staple)
    except TlsFailure as failure:
        named = [f"{name}={value}" for name, value in others if value]
        raise ValueError(f"{', '.join([f'certKey={certificate}', *named])}: {failure.detail}") from failure


def given_trust(parsed: Description) -> TrustAnchors | None:
    """The authorities that a description names.

    :raises ValueError: there are none there.
    """
    path = parsed.path("trustRoots")
    if path is None:
        return None
    try:
        return TrustAnchors.from_files(path)
    except ValueError as error:
        raise ValueError(f"trustRoots={path}: {error}") from error


def given_revocation(parsed: Description) -> Revocation | None:
    """The revocation lists that a description names, and how strictly they are taken.

    :raises ValueError: they are of no use, or the mode is none.
    """
    path, mode = parsed.path("crl"), parsed.values.get("revocation")
    if path is None:
        if mode is None or mode.lower() == RevocationMode.OFF.value:
            return None if mode is None else Revocation((), RevocationMode.OFF)
        raise ValueError(f"revocation={mode} is given without crl: name the file or folder of the lists")
    try:
        return Revocation.from_files(*path.split(","), mode=RevocationMode.SOFT if mode is None else mode)
    except ValueError as error:
        raise ValueError(f"crl={path}: {error}") from error


def given_server_names(parsed: Description) -> ServerNames | None:
    """The certificates by name that a description names: files and folders, with commas between them.

    :raises ValueError: they are of no use.
    """
    paths = parsed.path("sni")
    if paths is None:
        return None
    try:
        return ServerNames.from_files(*paths.split(","))
    except ValueError as error:
        raise ValueError(f"sni={paths}: {error}") from error
