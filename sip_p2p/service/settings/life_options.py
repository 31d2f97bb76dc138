"""Options of what lives on beside sessions: event packages, subscriptions, the outbox, and what peers may transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from twisted.python import usage

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.errors import MalformedMessage
from sip_p2p.observe.text import printable
from sip_p2p.service.lives.names import checked_name
from sip_p2p.service.lives.packages import ASK, PACKAGES, PUBLISHED, VERIFIED
from sip_p2p.service.lives.replacing import OFF, SAME, ReplacesRule
from sip_p2p.service.settings.command_line import CommandOptions, file_path
from sip_p2p.sip.fields import parse_event

if TYPE_CHECKING:
    from sip_p2p.endpoint.transfer.replacing import ReplacesPolicy

__all__ = ["LifeOptions"]

_REFERRALS = ("application", "decline")


class LifeOptions(CommandOptions):
    """What peers may watch and transfer, what is subscribed to, and where messages are kept."""

    optParameters: ClassVar = [
        [
            "outbox",
            None,
            None,
            "file in which messages of the HTTP API are kept until they are delivered, over restarts and crashes",
        ],
        [
            "referrals",
            None,
            "application",
            "what becomes of a peer's REFER: application (it decides, where it knows of them) or decline",
        ],
    ]

    repeatable: ClassVar[tuple[str, ...]] = ("package", "publishers", "replaces", "subscribe", "watchers")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.packages: list[str] = []
        self.watchers: list[str] = []
        self.publishers: list[str] = []
        self.subscriptions: list[tuple[str, str]] = []
        self.replaces: list[str] = []

    def opt_package(self, name: str) -> None:
        """what peers may subscribe to: presence, dialog (your sessions) or message-summary; may be given several
        times"""
        if name not in PACKAGES:
            raise usage.UsageError(f"--package {printable(name)} is none of {', '.join(PACKAGES)}")
        if name in self.packages:
            raise usage.UsageError(f"--package {name} is given twice")
        self.packages.append(name)

    def opt_watchers(self, name: str) -> None:
        """who may subscribe to --package: verified (whoever has proved the address in From), ask (the application
        decides) or a name that has to be proved: b.example, .example, bob@b.example; may be given several times"""
        self.watchers.append(name if name in (ASK, VERIFIED) else _name("watchers", name))

    def opt_publishers(self, name: str) -> None:
        """who may say with PUBLISH how he is himself, and have it kept here for those who watch him: verified (whoever
        has proved the address in From) or a name that has to be proved; may be given several times"""
        self.publishers.append(name if name == VERIFIED else _name("publishers", name))

    def opt_subscribe(self, entry: str) -> None:
        """EVENT=URI: subscribe to this, as in presence=sip:bob@b.example, from the start to the end; may be given
        several times"""
        event, equals, uri = entry.partition("=")
        try:
            parse_event(event)
            to_sip_uri(uri)
        except (MalformedMessage, ValueError) as error:
            words = error.reason if isinstance(error, MalformedMessage) else str(error)
            raise usage.UsageError(
                f"--subscribe {printable(entry)} is not EVENT=URI, as in presence=sip:bob@b.example "
                f"({printable(words if equals else 'there is no =')})"
            ) from None
        self.subscriptions.append((event, uri))

    def opt_replaces(self, name: str) -> None:
        """who may take over a session of yours: same (the party that it is with, as without it), verified (whoever has
        proved the address in From), off (nobody) or a name that has to be proved; may be given several times"""
        self.replaces.append(name if name in (OFF, SAME, VERIFIED) else _name("replaces", name))

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for options that contradict each other.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        if self["referrals"] not in _REFERRALS:
            raise usage.UsageError(f"--referrals {printable(self['referrals'])} is neither application nor decline")
        if self.watchers and not self.packages:
            raise usage.UsageError("--watchers is given without --package: there is nothing to watch")
        if self.publishers and not set(self.packages) & set(PUBLISHED):
            words = " or ".join(PUBLISHED)
            raise usage.UsageError(f"--publishers is given without --package {words}: there is nothing to publish")
        if OFF in self.replaces and len(self.replaces) > 1:
            raise usage.UsageError("--replaces off says that nobody may, and another one that somebody may")
        if self["outbox"] is not None:
            self["outbox"] = file_path("outbox", self["outbox"])
        if self.get("workers") not in (None, "1"):
            if self.subscriptions:
                raise usage.UsageError("--subscribe is for one process: each of --workers would subscribe by itself")
            if self.publishers:
                raise usage.UsageError("--publishers is for one process: each of --workers would keep what came to it")

    @property
    def replaces_policy(self) -> ReplacesPolicy | None:
        """Who may; None for the usual rule."""
        return ReplacesRule(self.replaces) if self.replaces else None


def _name(option: str, text: str) -> str:
    try:
        return checked_name(text)
    except ValueError as error:
        raise usage.UsageError(f"--{option} {printable(text)}: {printable(str(error), 256)}") from None
