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

from sip_p2p.observe.private_file import PrivateFile

__all__ = ["KeyLog"]

_log = Logger()


@final
class KeyLog(PrivateFile[bytes]):
    """A file of keys, mode 0600, appended to.

    :param max_file_octets: beyond this size nothing more is written, with a word in the log: a capture is unreadable
        without the keys that came first. A connection has about 800 octets of them.
    :raises OSError: when the file cannot be opened, is a symbolic link, or belongs to another user.
    :raises ValueError: when it is there already and others may read it; opening it anew raises that, too.
    """

    ends = "the TLS keys in {path} end here: {error}"
    log = _log
    follows_links = False

    def _begin(self, found: os.stat_result) -> None:
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
            raise ValueError(f"{self.path}: others may read it, and keys go there: chmod 600 it, or name another file")

    def _append(self, item: bytes) -> None:
        data = item + b"\n"
        if self._size + len(data) > self._max_file_octets:
            raise OSError(0, f"it has {self._size} octets")
        self._add(data)

    def __call__(self, line: bytes) -> None:
        """Append *line*, which has no line end."""
        self.write(line)
