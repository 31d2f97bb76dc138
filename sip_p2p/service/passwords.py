"""The two files of names and passwords: what the party answers those who ask it (``--credentials``), and whom it knows
when it asks (``--authenticate-users``). Both are TOML.

A file that anybody on the machine can read is not used: what stands in it would be no secret. No message quotes what a
file holds but for the names of its keys, realms and peers.
"""

from __future__ import annotations

import os
import stat
import tomllib
from typing import TYPE_CHECKING, Any, final

from sip_p2p.endpoint.authentication.authenticator import DigestAuthenticator
from sip_p2p.endpoint.authentication.credentials import Credentials
from sip_p2p.observe.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MOST_OCTETS", "CredentialsFile", "UsersFile"]

MOST_OCTETS = 1024 * 1024
"""How large such a file may be."""

_ENTRY = {
    "realm": str,
    "username": str,
    "peer": str,
    "password": str,
    "ha1": dict,
    "allow-md5": bool,
    "send-to-unverified-peers": bool,
}
_USERS = {
    "realm": str,
    "users": dict,
    "algorithms": list,
    "qop": list,
    "required-for": list,
    "allow-md5": bool,
    "nonce-lifetime": (int, float),
}


@final
class CredentialsFile:
    """The file of ``--credentials``.

    :ivar path: where it is.
    :ivar credentials: what it holds.
    """

    __slots__ = ("_content", "credentials", "path")

    def __init__(self, path: str) -> None:
        """
        :raises ValueError: the file cannot be used; the text says why.
        :raises OSError: it cannot be read.
        """
        self.path = path
        self._content = _read(path)
        self.credentials = Credentials()
        _fill(self.credentials, self._content, path)

    def reload(self) -> bool:
        """Read the file again; whether it holds something else than before. What cannot be used changes nothing.

        :raises ValueError: as for the constructor.
        :raises OSError: likewise.
        """
        content = _read(self.path)
        if content == self._content:
            return False
        _fill(Credentials(), content, self.path)
        for entry in self.credentials:
            self.credentials.remove(entry.realm, entry.peer)
        _fill(self.credentials, content, self.path)
        self._content = content
        return True

    def __repr__(self) -> str:
        return f"<CredentialsFile {self.path}: {len(self.credentials)} entries>"


@final
class UsersFile:
    """The file of ``--authenticate-users``.

    :ivar path: where it is.
    :ivar authenticator: what asks for the names and passwords in it.
    """

    __slots__ = ("_content", "_users", "authenticator", "path")

    def __init__(self, path: str) -> None:
        """
        :raises ValueError: the file cannot be used; the text says why.
        :raises OSError: it cannot be read.
        """
        self.path = path
        self._content = content = _read(path)
        self._users = _users(content, path)
        given = _arguments(content, ("algorithms", "qop", "required-for", "allow-md5", "nonce-lifetime"))
        for name in ("algorithms", "qop", "required-for"):
            if not all(isinstance(each, str) for each in content.get(name, ())):
                raise ValueError(f"{printable(path)}: {name} is a list of names")
        try:
            self.authenticator = DigestAuthenticator(content.get("realm", ""), self._find, **given)
        except ValueError as error:
            raise ValueError(f"{printable(path)}: {error}") from None

    def _find(self, name: str) -> str | Mapping[str, str] | None:
        return self._users.get(name)

    def reload(self) -> bool:
        """Read the users again; whether they are others than before. All else stays as it was at the start.

        :raises ValueError: as for the constructor.
        :raises OSError: likewise.
        """
        content = _read(self.path)
        users = _users(content, self.path)
        for name in _USERS.keys() - {"users"}:
            if content.get(name) != self._content.get(name):
                raise ValueError(f"{printable(self.path)}: {name} is another than at the start: that needs a restart")
        has_changed = users != self._users
        self._users = users
        return has_changed

    def __repr__(self) -> str:
        return f"<UsersFile {self.path}: {len(self._users)} users>"


def _read(path: str) -> dict[str, Any]:
    name = printable(path)
    with open(path, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o007:
            raise ValueError(f"{name} holds passwords, and everybody on this machine can use it: chmod 600 it")
        data = file.read(MOST_OCTETS + 1)
    if len(data) > MOST_OCTETS:
        raise ValueError(f"{name} is larger than such a file may be ({MOST_OCTETS} octets)")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # What it says ends with the place, and quotes at most a character before it.
        where = str(error).rpartition("(")[2].rstrip(")")
        raise ValueError(f"{name} is no TOML ({printable(where)})") from None


def _fill(credentials: Credentials, content: dict[str, Any], path: str) -> None:
    name = printable(path)
    entries = content.get("credentials")
    if not isinstance(entries, list) or not entries or content.keys() != {"credentials"}:
        raise ValueError(f"{name} holds no [[credentials]], or something else beside them")
    for number, entry in enumerate(entries, 1):
        where = f"{name}: entry {number} of [[credentials]]"
        if not isinstance(entry, dict):
            raise ValueError(f"{where} is no table")
        _check(entry, _ENTRY, where)
        missing = [key for key in ("realm", "username", "peer") if key not in entry]
        if missing:
            raise ValueError(f"{where} lacks {', '.join(missing)}")
        if not all(isinstance(value, str) for value in entry.get("ha1", {}).values()):
            raise ValueError(f"{where}: ha1 is a table of hashes by algorithm, such as {{ SHA-256 = '...' }}")
        try:
            credentials.add(**_arguments(entry, tuple(_ENTRY)))
        except ValueError as error:
            raise ValueError(f"{where}: {printable(str(error), 256)}") from None


def _users(content: dict[str, Any], path: str) -> dict[str, str | dict[str, str]]:
    name = printable(path)
    _check(content, _USERS, name)
    users: dict[str, Any] = content.get("users", {})
    if not users:
        raise ValueError(f"{name} holds no [users]: NAME = 'password' lines, or NAME = {{ SHA-256 = 'hash' }}")
    for user, secret in users.items():
        is_table = isinstance(secret, dict) and all(isinstance(value, str) for value in secret.values())
        if not (isinstance(secret, str) or is_table) or not secret:
            raise ValueError(f"{name}: the user {printable(user)} has neither a password nor a table of hashes")
    return users


def _check(given: dict[str, Any], known: Mapping[str, Any], where: str) -> None:
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{where}: {printable(key)} is not known there")
        expected = known[key]
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise ValueError(f"{where}: {key} is of the wrong kind")


def _arguments(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name.replace("-", "_"): given[name] for name in names if name in given}
