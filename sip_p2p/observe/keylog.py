"""The keys of TLS connections, in the file format that Wireshark reads as ``SSLKEYLOGFILE`` (RFC 9850).

Whoever has the file and a capture reads everything that passed while it was written, bodies and credentials too, so it
is made only when somebody asks for it by a long name, for its owner's eyes, and the log says so at every start. OpenSSL
writes the lines; nothing here looks into them.
"""

from __future__ import annotations

import os
import stat
from typing import final

from twisted.logger import Logger

from sip_p2p.observe.private_file import open_private
from sip_p2p.observe.text import printable

__all__ = ["KeyLog"]

_log = Logger()


@final
class KeyLog:
    """A file of keys, mode 0600, appended to.

    :ivar path: its name.
    :ivar lost: how many lines were not written.
    :param max_file_octets: beyond this size nothing more is written, with a word in the log: a capture is unreadable
        without the keys that came first. A connection has about 800 octets of them.
    :raises OSError: when the file cannot be opened, is a symbolic link, or belongs to another user.
    :raises ValueError: when it is there already and others may read it.
    """

    def __init__(self, path: str, *, max_file_octets: int = 64 * 1024 * 1024) -> None:
        self.path = path
        self.lost = 0
        self._max_file_octets = max_file_octets
        self._descriptor = -1
        self._size = 0
        self._open()

    def _open(self) -> None:
        self._descriptor = open_private(self.path, follows_links=False)
        found = os.fstat(self._descriptor)
        self._size = found.st_size
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
            self.close()
            raise ValueError(f"{self.path}: others may read it, and keys go there: chmod 600 it, or name another file")

    def __call__(self, line: bytes) -> None:
        """Append *line*, which has no line end; when the disk refuses, say so once and count what is lost."""
        if self._descriptor < 0:
            self.lost += 1
            return
        data = line + b"\n"
        try:
            if self._size + len(data) > self._max_file_octets:
                raise OSError(0, f"it has {self._size} octets")
            written = os.write(self._descriptor, data)
            if written != len(data):
                os.ftruncate(self._descriptor, self._size)
                raise OSError(0, "the disk is full")
            self._size += written
        except OSError as error:
            self.lost += 1
            _log.error("the TLS keys in {path} end here: {error}", path=printable(self.path), error=error.strerror)
            self.close()

    def reopen(self) -> None:
        """Open the file anew: after somebody has moved it away, or made room on its disk.

        :raises OSError: it cannot be opened; what is written counts as lost until the next time.
        :raises ValueError: it is there, and others may read it.
        """
        self.close()
        self._open()

    def close(self) -> None:
        """Close the file; what comes afterwards counts as lost. Does nothing when it is closed already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
