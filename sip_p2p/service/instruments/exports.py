"""What leaves a service for other programs to read: a capture, a Homer server, the keys of TLS.

Each is there only where it was asked for; with none there is no tap, and a message costs what it costs without this
module. What is written has lost its secrets as a trace has; ``--keep-bodies`` says whose bodies stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from sip_p2p.observe.export import ExportTap
from sip_p2p.observe.hep import HepEncoder
from sip_p2p.observe.keylog import KeyLog
from sip_p2p.observe.pcapng import PcapngWriter
from sip_p2p.observe.text import printable
from sip_p2p.service.instruments.hep_sender import HepSender, collectors
from sip_p2p.service.parts import Part
from sip_p2p.transport.trust.https import system_authorities

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.observe.redact import BodyPolicy
    from sip_p2p.service.settings.options import Options
    from sip_p2p.transport.trust.https import HttpsPolicy

__all__ = ["Exports"]

_LONGEST_PASSWORD_FILE = 4096

_log = Logger()


@final
class Exports(Part):
    """All of them, opened when this is made: what cannot be opened is an error at the start.

    :ivar capture: the capture file; None where there is none.
    :ivar hep: what sends to a Homer server.
    :ivar key_log: the file with the keys of TLS, which the connection manager is to be made with.
    """

    def __init__(self, reactor: IReactorTime, options: Options) -> None:
        """
        :raises OSError: a file cannot be opened or read.
        :raises ValueError: a file holds something else than it should, or others may read the one with the keys.
        """
        self._collectors = _collectors(options)
        self._collectors_file = options["hep-trust"]
        self.hep = _sender(reactor, options, self._collectors)
        self.capture: PcapngWriter | None = None
        self.key_log: KeyLog | None = None
        self._manager: RealTimeConnectionManager | None = None
        self._tap: ExportTap | None = None
        try:
            if options["pcapng"] is not None:
                self.capture = PcapngWriter(options["pcapng"])
            if options["insecure-tls-key-log"] is not None:
                self.key_log = KeyLog(options["insecure-tls-key-log"])
        except BaseException:
            self.close()
            raise

    def attach(self, manager: RealTimeConnectionManager, bodies: BodyPolicy, local: str = "") -> None:
        """Take what passes *manager*, from when the service begins to listen.

        :param bodies: whose bodies are kept.
        :param local: what this side is called.
        """
        sinks = [sink for sink in (self.capture, self.hep) if sink is not None]
        self._manager = manager
        self._tap = ExportTap(*sinks, local=local, bodies=bodies) if sinks else None

    def listen(self) -> None:
        """Take everything from before the first message on."""
        if self.key_log is not None:
            _log.warn(
                "--insecure-tls-key-log: {path} holds the keys of all TLS connections, so keep it to yourself",
                path=printable(self.key_log.path),
            )
        if self._manager is not None and self._tap is not None:
            self._manager.add_tap(self._tap)
        if self.hep is not None:
            self.hep.start()

    def reload(self) -> list[str]:
        """Open the files anew: somebody may have moved them away, or made room."""
        for what, written in (("capture", self.capture), ("TLS key log", self.key_log)):
            try:
                if written is not None:
                    written.reopen()
            except (OSError, ValueError) as error:
                words = printable(getattr(error, "strerror", None) or str(error))
                _log.error("the {what} cannot be opened anew: {words}", what=what, words=words)
        if self.hep is not None:
            self.hep.reload()
        if self._collectors is not None and self._collectors_file is not None:
            try:
                self._collectors.replace_trust(self._collectors_file)
            except ValueError as error:
                _log.warn("{error}: the old authorities stay in use for --hep", error=printable(str(error), 512))
        return []

    def ended(self) -> Deferred[Any]:
        """Close everything."""
        if self._manager is not None and self._tap is not None:
            self._manager.remove_tap(self._tap)
        for what, lost in (("capture", self.capture), ("Homer server", self.hep)):
            if lost is not None and lost.lost:
                _log.warn("{count} messages did not reach the {what}", count=lost.lost, what=what)
        self.close()
        return succeed(None) if self.hep is None else self.hep.stop()

    def close(self) -> None:
        """Close the files, where the service does not come to be."""
        for each in (self.capture, self.key_log):
            if each is not None:
                each.close()


def _sender(reactor: IReactorTime, options: Options, trust: HttpsPolicy | None) -> HepSender | None:
    target = options.hep_target
    if target is None:
        return None
    password = ""
    if options["hep-password-file"] is not None:
        password = _first_line(options["hep-password-file"])
    return HepSender(reactor, target, HepEncoder(options.hep_agent, password), trust)


def _collectors(options: Options) -> HttpsPolicy | None:
    """Which collectors are believed over TLS."""
    if options.hep_target is None or options.hep_target.transport != "tls":
        return None
    return collectors(options["hep-trust"] or system_authorities())


def _first_line(path: str) -> str:
    """The first line of a small file.

    :raises OSError: it cannot be read.
    :raises ValueError: the line is empty, or is no text.
    """
    with open(path, "rb") as file:
        line = file.read(_LONGEST_PASSWORD_FILE).partition(b"\n")[0].rstrip(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise ValueError(f"{path}: its first line holds no text")
    return text
