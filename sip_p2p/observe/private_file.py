"""Opening a file that what passes is written to, in a folder where others may write as well.

Whoever can put something in its place before the service starts must neither read what is written, nor choose another
file for it, nor stop the service: a file or a symbolic link of another user's is refused, and a pipe that nobody reads
is an error and no wait. What is already there and belongs to us keeps its mode.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["open_private"]


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
