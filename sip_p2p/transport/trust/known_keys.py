"""The file in which keys that were seen first are kept, one line a name, for people to read and edit.

::

    b.example sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= 2030-01-31T08:15:00Z dialled

Blank lines and lines that begin with ``#`` are passed over. A line that cannot be read, or a name with two keys, stops
everything at the start: half a memory would greet a known peer as a new one. A new line is appended under a lock, after
reading what other processes have appended meanwhile, and reaches the disk before it counts. What could not be written
whole is taken back.

Left out: network file systems that do not lock.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import final

from sip_p2p.transport.trust.identity import normalise_name
from sip_p2p.transport.trust.pins import normalise_pin

__all__ = ["KeyStoreFull", "KnownKey", "KnownKeys"]

_LARGEST_FILE = 16 * 1024 * 1024
# Whoever holds the lock holds it for one line, until that is on the disk. While we run, nobody waits for longer than
# this altogether; at the start there is time.
_PAUSE = 0.001
_ATTEMPTS, _ATTEMPTS_AT_START = 100, 5000


class KeyStoreFull(Exception):
    """There is no room for another name."""


@final
class KnownKey:
    """What is kept for one name.

    :ivar pin: its key.
    :ivar line: the line of the file, from 1.
    """

    __slots__ = ("line", "pin")

    def __init__(self, pin: str, line: int) -> None:
        self.pin = pin
        self.line = line


@final
class KnownKeys:
    """The keys in one file, which any number of processes may share.

    :ivar path: the file.
    :ivar limit: the most names that are kept.
    """

    __slots__ = ("_identity", "_known", "_lines", "_size", "limit", "path")

    def __init__(self, path: str | os.PathLike[str], limit: int) -> None:
        """
        :param path: the file; it is made, for its owner only, with the first key if it is not there.
        :raises ValueError: the file cannot be read or trusted; the message names it, the line and the remedy.
        """
        # A service leaves the folder in which it was started.
        self.path = Path(path).absolute()
        self.limit = limit
        self._known: dict[str, KnownKey] = {}
        self._lines = 0
        self._size = 0
        self._identity: tuple[int, ...] = ()
        self._read(_ATTEMPTS_AT_START)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str) -> KnownKey | None:
        """What is kept for *name*, in normal form; None if nothing is. Does not look at the file."""
        return self._known.get(name)

    def read(self) -> None:
        """Read the file anew; if that fails, what was known stays known.

        :raises ValueError: as for the constructor.
        """
        self._read(_ATTEMPTS)

    def _read(self, attempts: int) -> None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if self._identity:
                raise ValueError(
                    f"{self.path} has vanished: put it back; to begin anew without it, start again"
                ) from None
            if not self.path.parent.is_dir():
                raise ValueError(
                    f"{self.path} cannot be kept: there is no folder {self.path.parent}; make it"
                ) from None
            return
        except OSError as error:
            raise ValueError(f"the known keys {self.path} cannot be read: {error.strerror}") from error
        try:
            self._lock(descriptor, fcntl.LOCK_SH, attempts)
            self._read_all(descriptor)
        except OSError as error:
            raise ValueError(f"the known keys {self.path} cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def read_if_changed(self) -> bool:
        """Read the file if it is not as we left it; whether it was read.

        :raises ValueError: as for :meth:`read`.
        """
        try:
            identity = _identity(os.stat(self.path))
        except OSError:
            # Gone, or out of reach for now: that is no reason to forget.
            return False
        if identity == self._identity:
            return False
        self.read()
        return True

    def add(self, name: str, pin: str, note: str) -> KnownKey:
        """Keep *pin* as the key of *name*, unless another process was first, and say what is kept now.

        :param name: in normal form.
        :param note: a word on how it came here.
        :raises KeyStoreFull: there are too many names already.
        :raises OSError: it could not be written; nothing has changed then.
        :raises ValueError: the file has been spoilt since it was read.
        """
        # A file that was there and is not any more may be on a disk that is away: only the first key makes one.
        make = 0 if self._identity else os.O_CREAT
        descriptor = os.open(self.path, os.O_RDWR | make | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._lock(descriptor, fcntl.LOCK_EX, _ATTEMPTS)
            self._catch_up(descriptor)
            known = self._known.get(name)
            if known is not None:
                return known
            if len(self._known) >= self.limit:
                raise KeyStoreFull(f"{self.path} holds {self.limit} names already")
            return self._append(descriptor, name, pin, note)
        finally:
            # Closing it lets go of the lock.
            os.close(descriptor)

    def _lock(self, descriptor: int, kind: int, attempts: int) -> None:
        for attempt in range(attempts):
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt == attempts - 1:
                    raise
                time.sleep(_PAUSE)
            else:
                # It may have been replaced or removed before we got the lock: what is appended then is lost.
                if not os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                    raise BlockingIOError(None, "it is being replaced", str(self.path))
                return

    def _catch_up(self, descriptor: int) -> None:
        if _identity(os.fstat(descriptor)) != self._identity:
            self._read_all(descriptor)

    def _append(self, descriptor: int, name: str, pin: str, note: str) -> KnownKey:
        line = f"{name} {pin} {datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ} {note}\n".encode("ascii")
        if self._size and os.pread(descriptor, 1, self._size - 1) != b"\n":
            line = b"\n" + line
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(None, "the line could not be written whole", str(self.path))
            os.fsync(descriptor)
            if not self._size:
                self._keep_entry()
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        self._lines += 1
        self._size += len(line)
        self._identity = _identity(os.fstat(descriptor))
        known = self._known[name] = KnownKey(pin, self._lines)
        return known

    def _keep_entry(self) -> None:
        """Have the folder remember a new file, too."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read_all(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{self.path} is not a file: name one to keep the keys of peers in")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (os.geteuid(), 0):
            raise ValueError(
                f"{self.path} can be changed by others, who could put their keys there: make it ours, and chmod 600 it"
            )
        if status.st_size > _LARGEST_FILE:
            raise ValueError(f"{self.path} has {status.st_size} octets: that is not a file of known keys")
        data = os.pread(descriptor, status.st_size, 0)
        known: dict[str, KnownKey] = {}
        try:
            lines = data.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise self._corrupt(data.count(b"\n", 0, error.start) + 1, "it holds an octet beyond ASCII") from None
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            name, pin = self._entry(words, number)
            earlier = known.get(name)
            if earlier is not None and earlier.pin != pin:
                raise self._corrupt(number, f"{name} has another key in line {earlier.line}")
            known.setdefault(name, KnownKey(pin, number))
        self._known = known
        self._lines = len(lines) - (lines[-1] == "")
        self._size = status.st_size
        self._identity = _identity(status)

    def _entry(self, words: list[str], number: int) -> tuple[str, str]:
        try:
            if len(words) < 2:
                raise ValueError("it should hold a name and a key")
            return normalise_name(words[0]), normalise_pin(words[1])
        except ValueError as error:
            raise self._corrupt(number, str(error)) from None

    def _corrupt(self, line: int, what: str) -> ValueError:
        return ValueError(
            f"{self.path}, line {line}: {what}; correct the line, or remove it if you know why it is wrong"
        )


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
