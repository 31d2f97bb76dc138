"""Options of what leaves the service for other programs to read: captures, a Homer server, the keys of TLS."""

from __future__ import annotations

from typing import ClassVar

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.instruments.hep_sender import HepTarget
from sip_p2p.service.settings.command_line import CommandOptions, file_path

__all__ = ["ExportOptions"]


class ExportOptions(CommandOptions):
    """What is handed to other programs.

    :ivar hep_target: the collector that gets the messages; None for none.
    :ivar hep_agent: the number by which it knows us.
    """

    optParameters: ClassVar = [
        ["pcapng", None, None, "write what passes to this file as packets that Wireshark opens, TLS taken off"],
        [
            "hep",
            None,
            None,
            "send what passes to this Homer server: udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT (HEP version 3)",
        ],
        ["hep-id", None, None, "the number by which the Homer server knows you; 0 without it"],
        [
            "hep-password-file",
            None,
            None,
            "file with the password that the Homer server wants to see, on its first line",
        ],
        ["hep-trust", None, None, "PEM file with the authorities that may vouch for the Homer server of tls:"],
        [
            "insecure-tls-key-log",
            None,
            None,
            "write the keys of all TLS connections to this file, for Wireshark; whoever has it reads what is captured",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.hep_target: HepTarget | None = None
        self.hep_agent = 0

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for options that contradict each other.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        for name in ("pcapng", "hep-password-file", "hep-trust", "insecure-tls-key-log"):
            if self[name] is not None:
                self[name] = file_path(name, self[name])
        text, agent = self["hep"], self["hep-id"]
        if text is None:
            for name in ("hep-id", "hep-password-file", "hep-trust"):
                if self[name] is not None:
                    raise usage.UsageError(f"--{name} is given without --hep: where is the Homer server?")
            return
        try:
            self.hep_target = HepTarget.parse(text)
        except ValueError as error:
            raise usage.UsageError(f"--hep {printable(text)}: {error}") from None
        if self["hep-trust"] is not None and self.hep_target.transport != "tls":
            raise usage.UsageError("--hep-trust is given, and --hep is in clear text: begin it with tls:")
        if agent is not None:
            if not (agent.isascii() and agent.isdigit() and len(agent) <= 10 and int(agent) <= 0xFFFFFFFF):
                raise usage.UsageError(f"--hep-id {printable(agent)} is not a number from 0 to 4294967295")
            self.hep_agent = int(agent)
