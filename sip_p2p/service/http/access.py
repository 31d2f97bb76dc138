"""Who may ask: bearer tokens, and the rules that keep web pages of others out.

On loopback and on a Unix socket no token is needed, so a browser on this machine must not be made a weapon: a page of
somebody else's can send requests to 127.0.0.1 (CSRF), and its own host name can be made to lead there (DNS rebinding).
Against the second, a listener on loopback answers only where the Host field names loopback itself; against the first,
what a browser says of a request's origin (``Sec-Fetch-Site``, Fetch Metadata; ``Origin``, RFC 6454) must be this very
place. Programs that are no browsers send neither. There is no CORS: no page of others ever reads an answer.

Tokens are compared in constant time (RFC 6750 has how they are sent).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from sip_p2p.observe.text import printable
from sip_p2p.service.http.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_TOKENS", "Access", "Tokens", "is_loopback"]

MOST_TOKENS = 16
"""How many tokens one file may hold."""

_LEAST_CHARACTERS = 16
_MOST_OCTETS = 8192
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")
_SAFE = frozenset(("GET", "HEAD"))
_CHALLENGE = 'Bearer realm="sip_p2p"'


@final
class Tokens:
    """The tokens of one file: one a line, empty lines and lines that begin with ``#`` apart.

    Only digests are kept, so that all comparisons are of one length.
    """

    __slots__ = ("_digests", "path")

    def __init__(self, path: str) -> None:
        """
        :raises ValueError: the file holds no token, too many, or one that is too short or no token of RFC 6750; the
            text never says which characters it has.
        :raises OSError: it cannot be read.
        """
        self.path = path
        self._digests = _read(path)

    def reload(self) -> bool:
        """Read the file again; whether it holds others than before.

        :raises ValueError: as for the constructor; the old tokens stay in use then.
        :raises OSError: likewise.
        """
        digests = _read(self.path)
        has_changed = digests != self._digests
        self._digests = digests
        return has_changed

    def accepts(self, token: str) -> bool:
        """Whether *token* is one of them; takes the same time whatever it is."""
        digest = _digest(token)
        found = False
        for each in self._digests:
            found |= hmac.compare_digest(each, digest)
        return found

    def __repr__(self) -> str:
        return f"<{len(self._digests)} tokens>"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _read(path: str) -> tuple[bytes, ...]:
    with open(path, "rb") as file:
        data = file.read(_MOST_OCTETS + 1)
    name = printable(path)
    if len(data) > _MOST_OCTETS:
        raise ValueError(f"{name} holds more than {_MOST_OCTETS} octets: give one token a line")
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    tokens = [line for line in lines if line and not line.startswith("#")]
    if not tokens:
        raise ValueError(f"{name} holds no token: put one there, for example of `openssl rand -hex 32`")
    if len(tokens) > MOST_TOKENS:
        raise ValueError(f"{name} holds more than {MOST_TOKENS} tokens")
    for token in tokens:
        if len(token) < _LEAST_CHARACTERS or _TOKEN.fullmatch(token) is None:
            raise ValueError(
                f"{name} holds something that is no token: one has at least {_LEAST_CHARACTERS} letters, digits and "
                "-._~+/ without spaces"
            )
    return tuple(_digest(token) for token in tokens)


def is_readable_by_others(path: str) -> bool:
    """Whether users other than its owner and group may read the file."""
    try:
        return bool(os.stat(path).st_mode & 0o004)
    except OSError:
        return False


def is_loopback(host: str) -> bool:
    """Whether *host*, an address, is this machine's alone."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (address if mapped is None else mapped).is_loopback


@final
class Access:
    """The rules of one listener.

    :param tokens: of which one must be sent; None where nobody needs one.
    :param is_local: whether it listens on loopback, where the Host field must name loopback.
    """

    __slots__ = ("is_local", "tokens")

    def __init__(self, tokens: Tokens | None, *, is_local: bool) -> None:
        self.tokens = tokens
        self.is_local = is_local

    def check_place(self, method: str, path: str, header: Callable[[str], str | None]) -> None:
        """That the request was meant for us, and comes from no page of somebody else's.

        :param header: gives the value of a header field.
        :raises Problem: it does not; nothing must be done then.
        """
        host = header("host")
        if self.is_local and not _names_loopback(host):
            raise Problem(
                "misdirected",
                f"The Host is {printable(host or 'missing')!r}, and here are only localhost, 127.0.0.1 and [::1].",
            )
        site = header("sec-fetch-site")
        if site is not None:
            is_ours = site in ("same-origin", "none") or (
                # A link or a bookmark may lead to the console: a page that does nothing by itself.
                method in _SAFE and header("sec-fetch-mode") == "navigate" and not path.startswith("/v1")
            )
            if not is_ours:
                raise Problem("cross-site", "The request comes from a page of another site.")
        origin = header("origin")
        if origin is not None and not _is_same(origin, host):
            raise Problem("cross-site", f"The Origin is {printable(origin)}, and not this place.")

    def check_token(self, authorization: str | None) -> None:
        """That a token of ours was sent, where one is needed.

        :raises Problem: it was not.
        """
        if self.tokens is None:
            return
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Problem("unauthorized", "There is no bearer token.", headers=[("WWW-Authenticate", _CHALLENGE)])
        if not self.tokens.accepts(token.strip()):
            challenge = f'{_CHALLENGE}, error="invalid_token"'
            raise Problem("unauthorized", "The token is not one of ours.", headers=[("WWW-Authenticate", challenge)])


def _names_loopback(host: str | None) -> bool:
    found = _HOST.fullmatch(host or "")
    if found is None:
        return False
    name = found[1].removeprefix("[").removesuffix("]")
    return name.rstrip(".").lower() == "localhost" or is_loopback(name)


def _is_same(origin: str, host: str | None) -> bool:
    """Whether *origin* is the place that *host* names; ``null``, as of a sandboxed page, is none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == str(host).lower()
