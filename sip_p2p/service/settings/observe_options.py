"""Options of the instruments that look at the wire: what is recorded, what is counted, and what the log says of it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import ClassVar

from twisted.python import usage

from sip_p2p.observe.redact import NO_BODIES, BodyPolicy
from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import CommandOptions

__all__ = ["DEFAULT_RECORD", "MOST_RECORDED", "ObserveOptions"]

DEFAULT_RECORD = 64
"""How many events of each flow are kept where the HTTP API shows them and nobody says how many."""

MOST_RECORDED = 100_000
"""How many may be asked for."""


class ObserveOptions(CommandOptions):
    """What is looked at, and what is told of it."""

    optParameters: ClassVar = [
        [
            "record",
            None,
            None,
            "how many messages of each connection are kept in memory, for ladders and traces of a running service; 64 "
            "with --http, else 0, which looks at none",
        ],
        [
            "keep-bodies",
            None,
            "none",
            "whose bodies the record and the trace keep: none, all, or types such as text/plain,application/sdp;"
            " keys in SDP are withheld all the same",
        ],
        ["log-format", None, "text", "what the log is made of: text, or json (one object a line)"],
    ]

    optFlags: ClassVar = [
        ["transaction-log", None, "write a line to the log for every transaction, when it ends"],
        [
            "opentelemetry",
            None,
            "tell an OpenTelemetry collector of every transaction, as OTEL_... in the environment say",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.record = 0
        self.keep_bodies: BodyPolicy = NO_BODIES

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        text = self["record"]
        if text is None:
            self.record = DEFAULT_RECORD if getattr(self, "http", None) else 0
        elif text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= MOST_RECORDED:
            self.record = int(text)
        else:
            raise usage.UsageError(
                f"--record {printable(text)} is not a number of messages from 0 to {MOST_RECORDED} a connection"
            )
        try:
            self.keep_bodies = BodyPolicy.parse(self["keep-bodies"])
        except ValueError as error:
            raise usage.UsageError(f"--keep-bodies: {printable(str(error))}") from None
        if self["opentelemetry"] and not _has_opentelemetry():
            raise usage.UsageError("--opentelemetry needs what the extra brings: pip install 'sip-p2p[opentelemetry]'")
        if self["log-format"] not in ("text", "json"):
            raise usage.UsageError(f"--log-format {printable(self['log-format'])} is neither text nor json")


def _has_opentelemetry() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
