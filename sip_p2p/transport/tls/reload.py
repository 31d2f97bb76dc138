"""Certificates, authorities and revocation lists that change while we run: files watched, and read again.

Whoever renews a certificate replaces files, one after the other, in place or by swapping a symbolic link, and none of
it is done at one instant. So a change is first waited out: it is read when the files have been the same twice in a row.
What cannot be read, does not fit together, has expired, or is of no use to OpenSSL, changes nothing: the last good
state stays in use, the log says once what is wrong, and each look tries again. What has been replaced holds for the
handshakes that follow, in both directions; connections that stand are left alone.

Files are looked at by what the system says of them (time, size and inode, behind every link), every few seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final

from twisted.logger import Logger

from sip_p2p.errors import InvalidOperation, TlsFailure
from sip_p2p.transport.trust.credential import Credential

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from sip_p2p.transport.tls.settings import TlsSettings

__all__ = ["Reloader", "Source", "Watched", "watched_parts"]

_log = Logger()

# How soon files that have just changed are looked at again, to see whether whoever changes them is done.
_SETTLING = 1.0
_MOST_FILES = 4096

_Stamp: TypeAlias = "tuple[object, ...]"


class Source(Protocol):
    """What was read from files and can be read again: a credential, authorities, revocation lists."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files and folders; empty for what was not read from any."""

    @property
    def content(self) -> object:
        """What is compared to tell whether anything has changed."""

    def read_again(self) -> Any:
        """A new object with what the files hold by now."""


@final
class Watched:
    """One part of some settings that may come from files.

    :ivar what: its name, for the log.
    :ivar trouble: why what the files hold now is not in use, in words; empty if it is.
    """

    __slots__ = ("_get", "_put", "_seen", "_stamp", "trouble", "what")

    def __init__(self, what: str, get: Callable[[], Source | None], put: Callable[[Any], None]) -> None:
        """
        :param get: what is in use now.
        :param put: puts something new in its place, or raises ``TlsFailure``.
        """
        self.what = what
        self.trouble = ""
        self._get = get
        self._put = put
        # What the files looked like when they were last read, and when they were last looked at.
        self._stamp = self._seen = self._look()

    @property
    def source(self) -> Source | None:
        """What is in use at the moment."""
        return self._get()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are watched at the moment."""
        source = self.source
        return () if source is None else source.files

    @property
    def is_settled(self) -> bool:
        """Whether what the files held when they were last looked at has been read."""
        return self._seen == self._stamp

    def look(self, at_once: bool = False) -> str:
        """Look whether the files have changed, and put what they hold in the place of the old when they have settled.

        :param at_once: read them in any case, and say at once what is wrong with them.
        :returns: what has changed, in words; empty if nothing has.
        """
        before, self._seen = self._seen, self._look()
        # What could not be used is tried again as well: it may become valid, or readable, though no file changes.
        if not at_once and (self._seen != before or (self._seen == self._stamp and not self.trouble)):
            return ""
        self._stamp = self._seen
        source = self._get()
        if source is None or not source.files:
            return ""
        try:
            new = source.read_again()
            if new.content == source.content:
                self.trouble = ""
                return ""
            self._put(new)
        except (TlsFailure, ValueError, OSError, InvalidOperation) as error:
            known, self.trouble = self.trouble, error.detail if isinstance(error, TlsFailure) else str(error)
            if at_once or self.trouble != known:
                _log.warn(
                    "the {what} has changed and cannot be used, so the old one stays in use: {why}",
                    what=self.what,
                    why=self.trouble,
                )
            return ""
        self.trouble = ""
        # What was read may name other files, or have been changed meanwhile: the next look compares with before.
        _log.info("the {what} has changed: {new}", what=self.what, new=new)
        lost = [name for name in _names(source) if name not in _names(new)]
        if lost:
            _log.warn(
                "the {what} that was read last proves {names} no more: who asks for that will refuse us",
                what=self.what,
                names=", ".join(lost),
            )
        return f"{self.what}: {new!r}"

    def _look(self) -> _Stamp:
        return tuple(_stamps(self.files))


def _names(source: Source) -> tuple[str, ...]:
    """What a certificate of ours proves; nothing of other sources."""
    return source.identities.identities if isinstance(source, Credential) else ()


@final
class Reloader:
    """Looks at files every few seconds, on behalf of one connection manager.

    :ivar reloads: how often something new was put in the place of something old.
    """

    def __init__(self, clock: IReactorTime, interval: float = 10.0, on_look: Callable[[], None] | None = None) -> None:
        """
        :param interval: seconds between two looks; 0 looks only when :meth:`reload` is called.
        :param on_look: is called with every look.
        :raises ValueError: the interval is negative.
        """
        if not interval >= 0:
            raise ValueError(f"files cannot be looked at every {interval} seconds: give 0 or more")
        self.reloads = 0
        self._clock = clock
        self._interval = interval
        self._on_look = on_look
        self._watched: dict[Watched, None] = {}
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._call is None and self._interval:
            self._call = self._clock.callLater(self._interval, self._tick)

    def stop(self) -> None:
        """Look no more; nothing is left of it then."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def watch(self, parts: Iterable[Watched]) -> None:
        """Look at these as well."""
        self._watched.update(dict.fromkeys(parts))

    def unwatch(self, parts: Iterable[Watched]) -> None:
        """Look at these no more."""
        for each in parts:
            self._watched.pop(each, None)

    @property
    def watched(self) -> tuple[Watched, ...]:
        """What is looked at."""
        return tuple(self._watched)

    @property
    def troubles(self) -> list[str]:
        """What the files hold that cannot be used, and why."""
        return [f"{each.what}: {each.trouble}" for each in self._watched if each.trouble]

    def reload(self) -> list[str]:
        """Read everything that is there in files, now.

        :returns: what has changed, in words.
        """
        return self._look(at_once=True)

    def _look(self, at_once: bool) -> list[str]:
        changes = []
        for each in list(self._watched):
            try:
                change = each.look(at_once)
            except Exception:
                _log.failure("looking for a change of the {what} failed", what=each.what)
                continue
            if change:
                self.reloads += 1
                changes.append(change)
        return changes

    def _tick(self) -> None:
        self._call = None
        self._look(at_once=False)
        settled = all(each.is_settled for each in self._watched)
        self._call = self._clock.callLater(self._interval if settled else min(_SETTLING, self._interval), self._tick)
        if self._on_look is not None:
            self._on_look()


def watched_parts(settings: TlsSettings, whose: str = "") -> list[Watched]:
    """Everything in *settings* that can come from files, whatever it is at the moment.

    :param whose: stands before each name in the log.
    """
    return [
        Watched(f"{whose}certificate", lambda: settings.credential, lambda new: settings.replace(credential=new)),
        Watched(
            f"{whose}list of trusted authorities", lambda: settings.trust, lambda new: settings.replace(anchors=new)
        ),
        Watched(
            f"{whose}list of revoked certificates",
            lambda: settings.revocation,
            lambda new: settings.replace(revocation=new),
        ),
        Watched(
            f"{whose}set of certificates by name",
            lambda: settings.server_certificates,
            lambda new: settings.replace(server_certificates=new),
        ),
    ]


def _stamps(paths: Iterable[Path]) -> list[object]:
    """What the system says of files, and of those in folders."""
    found: list[object] = []
    for path in paths:
        found.append(_stamp(path))
        if path.is_dir():
            try:
                with os.scandir(path) as entries:
                    names = sorted(entry.name for entry in entries)
            except OSError:
                continue
            found.extend(_stamp(path / name) for name in names[:_MOST_FILES])
    return found


def _stamp(path: Path) -> object:
    try:
        # Behind every symbolic link: a link that is swapped leads to another inode.
        status = path.stat()
    except OSError as error:
        return str(path), error.errno
    return str(path), status.st_mtime_ns, status.st_ino, status.st_size, status.st_dev
