"""Options that say how peers are known, where they are found, and how much of them is borne.

The same for the service and for the command. Nothing here touches a file before :meth:`PeerOptions.tls_arguments`.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, NoReturn

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import CommandOptions, file_path, seconds
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.dns.name_servers import parse_name_server
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.stream.websocket import WebSocketOptions
from sip_p2p.transport.trust.first_use import FirstUse
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy
from sip_p2p.transport.trust.pins import PinnedKeys
from sip_p2p.transport.trust.revocation import Revocation, RevocationMode
from sip_p2p.transport.trust.stack import Trust

__all__ = ["PeerOptions", "described", "limit_words", "limits_from"]

_MODES = {mode.value for mode in RevocationMode}
_IN_MESSAGE = "message."
_IVAR = re.compile(r":ivar ([a-z_]+): (.*?)(?=\n *:ivar|\Z)", re.DOTALL)
_MARKUP = re.compile("`+|:[a-z]+:")


class PeerOptions(CommandOptions):
    """By what a peer is known besides authorities, where it is found, and the bounds."""

    optParameters: ClassVar = [
        [
            "key-usage",
            None,
            None,
            "what a peer's certificate must be meant for: sip-either (as without it), strict or sip-domain-only",
        ],
        [
            "required-eku",
            None,
            None,
            "purposes that a peer's certificate must list besides, each of them: dotted numbers, or sipDomain, "
            "serverAuth and the like, with commas between",
        ],
        [
            "reload-interval",
            None,
            None,
            "after how many seconds files are looked at again: certificates, keys, authorities, revocation lists; 10 "
            "without it, and with 0 only when told to",
        ],
        [
            "revocation",
            None,
            None,
            "what becomes of a peer of whom no list of --crl tells whether it is revoked: soft (as without it) lets it "
            "in, hard refuses it",
        ],
        ["stapling", None, None, "the same for the OCSP answer that a server staples to its handshake; off without it"],
        [
            "first-use",
            None,
            None,
            "remember in this file the key that a peer which you dial shows first, and refuse any other after",
        ],
        [
            "websocket-path",
            None,
            None,
            "the resource, such as /sip, to ask of servers that you dial over WebSocket; / without it",
        ],
        ["websocket-origin", None, None, "what to call yourself there, as a web page would: https://chat.example"],
        ["family", None, None, "which addresses to use: all, v4, v6, prefer-v4 or prefer-v6"],
    ]

    optFlags: ClassVar = [
        ["no-alpn", None, "do not say sip/2 in ALPN where you dial: some servers end the handshake at it"],
    ]

    repeatable: ClassVar[tuple[str, ...]] = ("crl", "dns-server", "first-use-for", "limit", "pin")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pins: list[str] = []
        self.crls: list[str] = []
        self.first_use_for: list[str] = []
        self.dns_servers: list[tuple[str, int]] = []
        self.limits = Limits()
        self._changes: dict[str, str] = {}

    def opt_pin(self, entry: str) -> None:
        """NAME=sha256/...: the key that NAME must show, whoever has signed its certificate; may be given several times,
        also for one name"""
        self.pins.append(entry)

    def opt_crl(self, path: str) -> None:
        """file with a certificate revocation list, or folder with some; may be given several times"""
        self.crls.append(file_path("crl", path))

    def opt_first_use_for(self, name: str) -> None:
        """a name that --first-use is for: b.example, or .example for all below; may be given several times"""
        self.first_use_for.append(name)

    def opt_dns_server(self, address: str) -> None:
        """ADDRESS or ADDRESS:PORT of a name server to ask instead of those of this machine; may be given several
        times"""
        try:
            self.dns_servers.append(parse_name_server(address))
        except ValueError:
            raise usage.UsageError(
                f"--dns-server {printable(address)} is not the address of a name server, such as 192.0.2.53 or "
                "[2001:db8::53]:53"
            ) from None

    def opt_limit(self, entry: str) -> None:
        """NAME=VALUE: another bound than usual; --help-limits lists them; may be given several times"""
        name, equals, value = entry.partition("=")
        if not equals or not value:
            raise usage.UsageError(f"--limit {printable(entry)} is not NAME=VALUE; --help-limits lists the names")
        if self._changes.setdefault(name, value) != value:
            raise usage.UsageError(f"--limit {printable(name)} is given twice: {self._changes[name]} and {value}")

    def opt_help_limits(self) -> NoReturn:
        """list the bounds with their usual values, and leave"""
        print(limit_words())
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for options that contradict each other.
        """
        self.limits = limits_from(self._changes)
        for name, parse in (("key-usage", KeyUsagePolicy.parse), ("family", AddressFamilyHint.named)):
            try:
                if self[name] is not None:
                    parse(self[name])
            except ValueError as error:
                raise usage.UsageError(f"--{name}: {printable(str(error))}") from None
        try:
            KeyUsage(required=self["required-eku"] or ())
        except ValueError as error:
            raise usage.UsageError(f"--required-eku: {printable(str(error), 200)}") from None
        if self["reload-interval"] is not None:
            seconds("reload-interval", self["reload-interval"])
        if self["websocket-path"] is not None and not self["websocket-path"].startswith("/"):
            path = printable(self["websocket-path"])
            raise usage.UsageError(f"--websocket-path {path} is no path: it begins with a slash")
        try:
            self._websocket()
        except ValueError as error:
            raise usage.UsageError(f"--websocket-origin: {printable(str(error), 200)}") from None
        for name in ("revocation", "stapling"):
            if self[name] is not None and self[name] not in _MODES:
                raise usage.UsageError(f"--{name} {printable(self[name])} is neither soft nor hard")
        if self["revocation"] not in (None, "off") and not self.crls:
            raise usage.UsageError("--revocation is given without --crl: which lists are to be looked at?")
        if self["first-use"] is not None:
            self["first-use"] = file_path("first-use", self["first-use"])
        elif self.first_use_for:
            raise usage.UsageError("--first-use-for is given without --first-use: in which file are keys remembered?")
        try:
            if self.pins:
                PinnedKeys.parse(self.pins)
        except ValueError as error:
            raise usage.UsageError(f"--pin: {printable(str(error), 200)}") from None

    @property
    def knows_peers(self) -> bool:
        """Whether peers can be known without any authority."""
        return bool(self.pins) or self["first-use"] is not None

    def trusts(self) -> list[Trust]:
        """By what peers are known besides authorities; files are read.

        :raises ValueError: the file of known keys cannot be used.
        """
        found: list[Trust] = []
        if self.pins:
            found.append(PinnedKeys.parse(self.pins))
        if self["first-use"] is not None:
            from_others = bool(self.get("first-use-incoming"))
            only = self.first_use_for or None
            found.append(FirstUse(self["first-use"], only=only, accept_unknown_incoming_peers=from_others))
        return found

    def manager_arguments(self) -> dict[str, Any]:
        """What every connection manager is made with, but for what stands in files."""
        return {"family": self["family"], "limits": self.limits, "websocket": self._websocket()}

    def _websocket(self) -> WebSocketOptions:
        return WebSocketOptions(self["websocket-path"] or "/", self["websocket-origin"] or "")

    def tls_arguments(self) -> dict[str, Any]:
        """What a connection manager with TLS is made with besides; files are read.

        :raises ValueError: one cannot be used; the message names it.
        """
        arguments: dict[str, Any] = {}
        if self["key-usage"] is not None:
            arguments["key_usage"] = KeyUsagePolicy.parse(self["key-usage"])
        if self["required-eku"] is not None:
            arguments["required_eku"] = self["required-eku"]
        if self["reload-interval"] is not None:
            arguments["reload_interval"] = seconds("reload-interval", self["reload-interval"])
        if self["no-alpn"]:
            arguments["offer_alpn"] = False
        if self.crls or self["stapling"] is not None:
            arguments["revocation"] = Revocation.from_files(
                *self.crls, mode=self["revocation"] or "soft", stapling=self["stapling"] or "off"
            )
        return arguments


def limits_from(changes: dict[str, str]) -> Limits:
    """The usual bounds but for *changes*: names, those within one message after ``message.``, and what was written.

    :raises UsageError: one line that says which of them is wrong.
    """
    usual, in_message = Limits(), MessageLimits()
    own: dict[str, Any] = {}
    inner = {name: getattr(in_message, name) for name in MessageLimits.__slots__}
    for name, text in changes.items():
        of_message = name.removeprefix(_IN_MESSAGE)
        if name == "drain_timeout":
            raise usage.UsageError("--limit drain_timeout: --drain says how long a stop may take")
        if name.startswith(_IN_MESSAGE) and of_message in inner:
            inner[of_message] = _number(name, text, inner[of_message])
        elif name != "message" and name in Limits.__slots__:
            own[name] = _number(name, text, getattr(usual, name))
        else:
            raise usage.UsageError(f"--limit {printable(name)} is no bound; --help-limits lists them")
    try:
        return usual.replace(message=MessageLimits(**inner), **own)
    except ValueError as error:
        raise usage.UsageError(f"--limit: {printable(str(error))}") from None


def _number(name: str, text: str, usual: float) -> float:
    """What *text* gives for a bound: a whole number where the usual value is one."""
    try:
        return int(text) if isinstance(usual, int) else float(text)
    except ValueError:
        kind = "whole number" if isinstance(usual, int) else "number"
        raise usage.UsageError(f"--limit {name}={printable(text)} is not a {kind}") from None


def described(kind: type[Limits] | type[MessageLimits]) -> dict[str, str]:
    """Each bound of *kind* by its name, as its class's docstring describes it; nothing where Python left that out."""
    return {name: " ".join(text.split()) for name, text in _IVAR.findall(kind.__doc__ or "")}


def limit_words() -> str:
    """Every bound, its usual value and what it bounds, in lines for a terminal."""
    lines = ["Bounds for --limit NAME=VALUE, with their usual values; times are in seconds, sizes in octets."]
    for prefix, usual in (("", Limits()), (_IN_MESSAGE, MessageLimits())):
        words = described(type(usual))
        for name in sorted(usual.__slots__):
            if prefix or name not in ("message", "drain_timeout"):
                value = getattr(usual, name)
                shown = value if isinstance(value, int) else f"{value:g}"
                lines.append(f"{prefix}{name} = {shown}: {_MARKUP.sub('', words.get(name, ''))}")
    return "\n".join(lines)
