"""The log file of ``twistd``, so kept that it can be opened anew and that a full disk ends nothing (fault J10).

``twistd`` writes to a file that it alone knows. When the options are read it is told to take :class:`ServiceLog`
instead, under the same name and with the same rotation; SIGUSR1 still rotates it. A log that goes to the terminal, to
syslog, or to an observer of the user's own, is left as it is.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, final

from twisted.logger import LogLevel, textFileLogObserver
from twisted.python.logfile import LogFile

from sip_p2p.service.process.log_format import json_line, json_log_observer

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from twisted.logger import ILogObserver

__all__ = ["ServiceLog", "open_log", "open_standard_log", "take_over"]

_DEFAULT_NAME = "twistd.log"
_taken: list[ServiceLog] = []


@final
class ServiceLog:
    """A log file that outlives its disk: what cannot be written is counted, told of once, and nobody else notices.

    :ivar path: the file.
    :ivar is_json: whether it is made of JSON.
    :ivar lost: how many lines could not be written since the last one that could.
    """

    def __init__(self, path: str, *, is_json: bool = False) -> None:
        self.path = os.path.abspath(path)
        self.is_json = is_json
        self.lost = 0
        self._file: Any = None

    def observer(self) -> ILogObserver:
        """Open the file, and return what writes to it; for ``twistd``.

        :raises SystemExit: with one line, when it cannot be opened.
        """
        try:
            self._file = LogFile.fromFullPath(self.path)
        except OSError as error:
            raise SystemExit(f"sip-p2p: the log {self.path} cannot be written: {error.strerror}") from None
        # As twistd does by itself: only where nobody has another use for the signal.
        if signal.getsignal(signal.SIGUSR1) in (signal.SIG_DFL, None):
            signal.signal(signal.SIGUSR1, self._rotate)
        make = json_log_observer if self.is_json else textFileLogObserver
        return make(self)  # type: ignore[arg-type]

    def write(self, data: bytes | str) -> None:
        """Append *data*."""
        try:
            if self.lost and self._file is not None:
                self._file.write(self._missing())
            self._file.write(data)
            self.lost = 0
        except (OSError, ValueError, AttributeError) as error:
            self._lose(error)

    def _missing(self) -> str:
        """The line that stands for those that are lost; the one before it may have been cut."""
        lines = "1 line" if self.lost == 1 else f"{self.lost} lines"
        words = f"{lines} before this one could not be written"
        line = f"({words})\n"
        if self.is_json:
            event = {"log_format": "{words}", "words": words, "log_time": time.time(), "log_level": LogLevel.warn}
            line = json_line({**event, "log_namespace": "sip_p2p.service"}) or ""
        return f"\n{line}" if self._file.size else line

    def flush(self) -> None:
        """Nothing waits here: the file has no buffer."""

    def reopen(self) -> None:
        """Open the file anew, as after somebody else has moved it away.

        :raises OSError: it cannot be opened; what is written goes nowhere until the next time.
        """
        self.close()
        self._file = LogFile.fromFullPath(self.path)

    def close(self) -> None:
        """Close the file; what is written afterwards counts as lost."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _rotate(self, *_: object) -> None:
        from twisted.internet import reactor

        if self._file is not None:
            reactor.callFromThread(self._file.rotate)  # type: ignore[attr-defined]

    def _lose(self, error: Exception) -> None:
        self.lost += 1
        if self.lost == 1 and sys.__stderr__ is not None:
            why = getattr(error, "strerror", None) or str(error)
            print(f"sip-p2p: the log {self.path} cannot be written: {why}", file=sys.__stderr__, flush=True)


def take_over(twistd: MutableMapping[str, Any] | None, *, is_json: bool = False) -> ServiceLog | None:
    """Tell ``twistd``, by its options, to write its log file through a :class:`ServiceLog`.

    :param twistd: the options of the program that runs the service; None, or those of another program, change nothing.
    :param is_json: whether the log is to be made of JSON, also where it goes to the terminal.
    :returns: the log; None where it is no file of ``twistd``'s.
    """
    if twistd is None or "nodaemon" not in twistd or twistd.get("logger") or twistd.get("syslog"):
        return None
    name = twistd.get("logfile")
    if name == "-" or (not name and twistd["nodaemon"]):
        if is_json:
            twistd["logger"] = f"{__name__}.{open_standard_log.__name__}"
        return None
    log = ServiceLog(name or _DEFAULT_NAME, is_json=is_json)
    # It takes a name here, and no object.
    _taken[:] = [log]
    twistd["logger"] = f"{__name__}.{open_log.__name__}"
    return log


def open_log() -> ILogObserver:
    """What ``twistd`` calls when it begins to log."""
    return _taken[0].observer()


def open_standard_log() -> ILogObserver:
    """The same for a log of JSON on standard output."""
    return json_log_observer(sys.stdout)
