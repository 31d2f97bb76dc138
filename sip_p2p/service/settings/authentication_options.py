"""The options of names and passwords, for peers that ask for them and for those who are asked; the files themselves are
:mod:`sip_p2p.service.passwords`'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.observe.text import printable
from sip_p2p.service.passwords import CredentialsFile, UsersFile

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AUTHENTICATE_USERS", "CREDENTIALS", "credentials_file", "users_file"]

CREDENTIALS = [
    "credentials",
    None,
    None,
    "TOML file with names and passwords for peers that ask for them: [[credentials]] with realm, username, password "
    "and peer; SIGHUP reads it anew",
]
AUTHENTICATE_USERS = [
    "authenticate-users",
    None,
    None,
    "TOML file with the names and passwords that peers are asked for: a realm and [users]; SIGHUP reads the users anew",
]


def credentials_file(options: Mapping[str, Any]) -> CredentialsFile | None:
    """The file of ``--credentials``; None where none is given.

    :raises ValueError: it cannot be used; the message names it.
    """
    path = options["credentials"]
    if path is None:
        return None
    try:
        return CredentialsFile(path)
    except OSError as error:
        raise ValueError(f"--credentials {printable(path)}: {error.strerror or type(error).__name__}") from None


def users_file(options: Mapping[str, Any]) -> UsersFile | None:
    """The file of ``--authenticate-users``; None where none is given, and for commands that have no such option.

    :raises ValueError: it cannot be used; the message names it.
    """
    path = options.get("authenticate-users")
    if path is None:
        return None
    try:
        return UsersFile(path)
    except OSError as error:
        raise ValueError(f"--authenticate-users {printable(path)}: {error.strerror or type(error).__name__}") from None
