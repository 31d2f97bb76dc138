"""Files that what passes is written to: ours alone, in a folder where others may write as well, on a disk that may be
full.

Whoever can put something in its place before the service starts must neither read what is written, nor choose another
file for it, nor stop the service: a file or a symbolic link of another user's is refused, and a pipe that nobody reads
is an error and no wait. What is already there and belongs to us keeps its mode.

What cannot be written is counted, told of once, and disturbs nobody; a file never ends in half of something.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from sip_p2p.observe.text import printable

if TYPE_CHECKING:
    from twisted.logger import Logger

__all__ = ["MOST_OCTETS", "PrivateFile", "open_private"]

Item = TypeVar("Item")

MOST_OCTETS = 64 * 1024 * 1024
"""How large such a file becomes, unless it is told otherwise."""


def open_private(path: str, *, follows_links: bool = True) -> int:
    """The descriptor of *path*, opened to append; a file that is not there is made with the mode 0600.

    :param follows_links: whether it may be a symbolic link, one of our own or of root's.
    :raises OSError: it cannot be opened, or it is somebody else's.
    """
    ours = {os.geteuid(), 0}
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    try:
        link = os.lstat(path)
    except FileNotFoundError:
        # What appears there from now on was not asked about.
        follows_links = False
    else:
        if stat.S_ISLNK(link.st_mode) and link.st_uid not in ours:
            raise OSError(errno.EPERM, "it is another user's symbolic link", path)
    descriptor = os.open(path, flags if follows_links else flags | os.O_NOFOLLOW, 0o600)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid not in ours:
            raise OSError(errno.EPERM, "it belongs to another user, who would read what is written", path)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class PrivateFile(Generic[Item]):
    """A file, mode 0600, that one thing after another is appended to, and that is kept below a bound.

    The file is opened at once, so that a path which cannot be written is an error at the start and not an hour later.

    :cvar ends: what the log says where nothing more can be written.
    :cvar follows_links: whether the name may be a symbolic link of ours.
    :ivar path: its name.
    :ivar lost: how many things were not written.
    :param max_file_octets: at this size the file becomes ``NAME.1``, which replaces the one before, and a new one is
        begun.
    :raises OSError: when the file cannot be opened, or is somebody else's.
    :raises ValueError: for a bound that is none.
    """

    ends: ClassVar[str]
    log: ClassVar[Logger]
    follows_links: ClassVar[bool] = True

    def __init__(self, path: str, *, max_file_octets: int = MOST_OCTETS) -> None:
        if max_file_octets <= 0:
            raise ValueError("max_file_octets must be positive")
        self.path = path
        self.lost = 0
        self._max_file_octets = max_file_octets
        self._descriptor = -1
        self._size = 0
        self._open()

    def _open(self) -> None:
        self._descriptor = open_private(self.path, follows_links=self.follows_links)
        try:
            found = os.fstat(self._descriptor)
            self._size = found.st_size
            self._begin(found)
        except OSError as error:
            self.close()
            # What a write says does not name the file.
            raise OSError(error.errno, error.strerror, self.path) from error
        except BaseException:
            self.close()
            raise

    def _begin(self, found: os.stat_result) -> None:
        """The file is open: look at it, or begin it."""

    def _append(self, item: Item) -> None:
        """Write *item* with :meth:`_add`, after :meth:`_make_room`.

        :raises OSError: it could not be written.
        """
        raise TypeError("PrivateFile is abstract")

    def _make_room(self, octets: int) -> None:
        """Begin a new file where so many *octets* more would be too many for this one."""
        if self._size and self._size + octets > self._max_file_octets:
            self.close()
            os.replace(self.path, f"{self.path}.1")
            self._open()

    def _add(self, data: bytes) -> None:
        """Write all of *data*, or nothing.

        :raises OSError: nothing was written.
        """
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:] if written else data)
        except OSError:
            if written:
                # Half of it would spoil what comes after it, too.
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def write(self, item: Item) -> None:
        """Append *item*; when the disk refuses, say so once in the log and count what is lost."""
        if self._descriptor < 0:
            self.lost += 1
            return
        try:
            self._append(item)
        except OSError as error:
            self.lost += 1
            self.log.error(self.ends, path=printable(self.path), error=error.strerror)
            self.close()

    def reopen(self) -> None:
        """Open the file anew: after somebody has moved it away, or made room on its disk.

        :raises OSError: it cannot be opened; what is written counts as lost until the next time.
        """
        self.close()
        self._open()

    def close(self) -> None:
        """Close the file; what is written afterwards counts as lost. Does nothing when it is closed already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
