"""A certificate for each name under which a TLS listener is called (RFC 6066 section 3).

A caller says in its first message which name it means to reach. If that name is listed, the listener answers with the
certificate that is listed with it; otherwise, and for callers that name nobody, with its own one: a caller that wanted
another name finds that out from the certificate and hangs up, and one that sends the address it dialled, which RFC 6066
does not allow and some telephones do, gets what it needs. No rule on who may call depends on the name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import final

from sip_p2p.errors import TlsFailure
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import is_ip_address, normalise_name

__all__ = ["ServerNames"]

_SUFFIXES = frozenset([".pem", ".crt", ".p12", ".pfx"])


@final
class ServerNames(Mapping[str, Credential]):
    """Our credentials by the name that a caller asks for, in normal form."""

    __slots__ = ("_credentials", "_folders")

    def __init__(self, credentials: Mapping[str, Credential] | None = None) -> None:
        """
        :raises ValueError: a name is none, or is an address: those cannot be asked for.
        """
        self._folders: tuple[Path, ...] = ()
        self._credentials: dict[str, Credential] = {}
        for given, credential in (credentials or {}).items():
            name = normalise_name(given)
            if is_ip_address(name):
                raise ValueError(f"{given} is an address, and TLS can ask for names only: make it the own certificate")
            self._credentials[name] = credential

    @classmethod
    def from_files(cls, *paths: str | os.PathLike[str]) -> ServerNames:
        """Take certificates with their keys from files and from folders, each under all domains that it proves.

        In folders, files without a private key are passed over.

        :raises ValueError: a file cannot be used, proves no domain, or proves one that another one proves as well; the
            message names it.
        """
        found: dict[str, Credential] = {}
        for path in _files_of(paths):
            try:
                credential = Credential.from_files(path)
            except TlsFailure as failure:
                raise ValueError(failure.detail) from failure
            if not credential.identities.domains:
                raise ValueError(f"{path} proves no domain, so nobody can ask for it by name")
            for name in credential.identities.domains:
                other = found.setdefault(name, credential)
                if other is not credential:
                    raise ValueError(f"{other.source} and {path} are both for {name}: remove one of them")
        made = cls(found)
        made._folders = tuple(Path(each) for each in paths)
        return made

    @property
    def files(self) -> tuple[Path, ...]:
        """The files and folders that they were read from, and that :meth:`read_again` reads; empty for objects."""
        if self._folders:
            return self._folders
        return tuple(dict.fromkeys(path for credential in self._credentials.values() for path in credential.files))

    def read_again(self) -> ServerNames:
        """What :attr:`files` hold by now.

        :raises TlsFailure: a file is not what it should be.
        :raises ValueError: as for :meth:`from_files`.
        """
        if self._folders:
            return ServerNames.from_files(*self._folders)
        again = {each: each.read_again() if each.files else each for each in self._credentials.values()}
        return ServerNames({name: again[credential] for name, credential in self._credentials.items()})

    @property
    def content(self) -> object:
        """What is the same for two objects that a caller cannot tell apart."""
        return [(name, credential.content) for name, credential in sorted(self._credentials.items())]

    def asked_for(self, name: bytes | None) -> Credential | None:
        """The credential for what a caller has sent as the server's name; None for the listener's own one."""
        if not name or not self._credentials:
            return None
        try:
            return self._credentials.get(normalise_name(name.decode("ascii")))
        except ValueError:
            return None

    def __getitem__(self, name: str) -> Credential:
        return self._credentials[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._credentials)

    def __len__(self) -> int:
        return len(self._credentials)

    def __repr__(self) -> str:
        return f"<ServerNames: {', '.join(self._credentials) or 'none'}>"


def _files_of(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for each in paths:
        path = Path(each)
        try:
            if not path.is_dir():
                found.append(path)
                continue
            inside = [file for file in sorted(path.iterdir()) if file.suffix in _SUFFIXES and file.is_file()]
            found.extend(file for file in inside if _holds_key(file))
        except OSError as error:
            raise ValueError(f"the certificates in {path} cannot be read: {error.strerror}") from error
    return found


def _holds_key(path: Path) -> bool:
    return path.suffix in (".p12", ".pfx") or b"PRIVATE KEY-----" in path.read_bytes()
