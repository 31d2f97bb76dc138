"""Options of the commands that ask a running service: where it is, and with what token."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.commands.control_client import ControlClient, ControlError, ControlPlace
from sip_p2p.service.settings.command_line import CommandOptions, file_path
from sip_p2p.service.settings.option_table import CONTROL_VARIABLE

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

__all__ = ["ControlOptions"]

_LONGEST_TOKEN = 4096
_FILES = ("control-token-file", "control-trust", "control-certificate", "control-private-key")


class ControlOptions(CommandOptions):
    """Which service is asked.

    :ivar place: where its API is; None where nobody says so.
    """

    optParameters: ClassVar = [
        [
            "control",
            None,
            None,
            "the HTTP API of a running service: unix:/PATH, PORT, HOST:PORT or https://HOST:PORT; SIP_P2P_CONTROL in "
            "the environment without it",
        ],
        ["control-token-file", None, None, "file with the token that it asks for, on its first line"],
        ["control-trust", None, None, "PEM file with the authorities that may vouch for it; without it this system's"],
        ["control-certificate", None, None, "PEM file with the certificate to show it, where it asks for one"],
        ["control-private-key", None, None, "PEM file with the key of that certificate, if it is another one"],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place: ControlPlace | None = None

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        text = self["control"]
        if text is None and self.asks_environment:
            text = os.environ.get(CONTROL_VARIABLE) or None
        for name in _FILES:
            if self[name] is not None:
                self[name] = file_path(name, self[name])
                if text is None:
                    raise usage.UsageError(f"--{name} is given without --control: which service is to be asked?")
        if self["control-private-key"] is not None and self["control-certificate"] is None:
            raise usage.UsageError("--control-private-key is given without --control-certificate")
        if text is None:
            return
        try:
            self.place = ControlPlace.parse(text)
        except ValueError as error:
            raise usage.UsageError(f"--control {printable(text)}: {error}") from None
        for name in ("control-trust", "control-certificate"):
            if self[name] is not None and self.place.scheme != "https":
                raise usage.UsageError(f"--{name} is given, and there is no TLS at {self.place}: name it as https://")

    @property
    def asks_environment(self) -> bool:
        """Whether the environment may say which service is meant."""
        return True

    def client(self, reactor: IReactorTime) -> ControlClient:
        """What asks it; files are read.

        :raises UsageError: nobody says where it is, or a file cannot be used.
        """
        if self.place is None:
            raise usage.UsageError(
                "--control is missing: which service is to be asked? Name the place that it was given with --http, "
                "such as --control 8080 or --control unix:/run/sip-p2p/control.sock"
            )
        try:
            return ControlClient(reactor, self.place, self._token(), self._policy())
        except ControlError as error:
            raise usage.UsageError(str(error)) from None
        except OSError as error:
            name = printable(str(error.filename))
            raise usage.UsageError(f"{name}: {error.strerror or type(error).__name__}") from None
        except ValueError as error:
            raise usage.UsageError(printable(str(error), 512)) from None

    def _token(self) -> str:
        path = self["control-token-file"]
        if path is None:
            return ""
        with open(path, "rb") as file:
            line = file.read(_LONGEST_TOKEN).partition(b"\n")[0].strip()
        if not line or not line.isascii() or not line.decode("ascii").isprintable() or b" " in line:
            raise ValueError(f"{path}: its first line is no token")
        return line.decode("ascii")

    def _policy(self) -> object:
        if self.place is None or self.place.scheme != "https":
            return None
        from sip_p2p.errors import TlsFailure
        from sip_p2p.transport.trust.credential import Credential
        from sip_p2p.transport.trust.https import HttpsPolicy, system_authorities

        try:
            shown = self["control-certificate"]
            credential = None if shown is None else Credential.from_files(shown, self["control-private-key"])
            return HttpsPolicy(self["control-trust"] or system_authorities(), credential=credential)
        except TlsFailure as failure:
            raise ValueError(failure.detail or "a certificate cannot be used") from None
