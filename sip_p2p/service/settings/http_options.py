"""The options of the HTTP API: where it listens, and who may ask."""

from __future__ import annotations

from typing import ClassVar

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.http.listening import Place
from sip_p2p.service.settings.command_line import CommandOptions, file_path
from sip_p2p.transport.trust.identity import TrustPolicy

__all__ = ["HttpOptions"]


class HttpOptions(CommandOptions):
    """``--http`` and what belongs to it.

    :ivar http_places: where it listens.
    :ivar http_allow: whose certificates may steer the service.
    """

    optParameters: ClassVar = [
        [
            "http-token-file",
            None,
            None,
            "file with the tokens that the HTTP API asks for, one a line; SIGHUP reads it anew",
        ],
    ]
    optFlags: ClassVar = [
        [
            "http-allow-clear-text",
            None,
            "let the HTTP API listen where other machines reach it without TLS, so that tokens come in clear text",
        ],
    ]
    repeatable: ClassVar[tuple[str, ...]] = ("http", "http-allow")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.http: list[str] = []
        self.http_allow: list[str] = []
        self.http_places: list[Place] = []

    def opt_http(self, description: str) -> None:
        """where the HTTP API and the console listen: a port of this machine alone such as 8080, unix:/PATH, or
        tls:port=8443:... for others; may be given several times"""
        self.http.append(description)

    def opt_http_allow(self, name: str) -> None:
        """name that a client certificate has to prove to use the HTTP API where it listens with tls:; may be given
        several times"""
        self.http_allow.append(name)

    def postOptions(self) -> None:
        """Check where it listens, and that nobody reaches it who should not.

        :raises UsageError: one line.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        if self["http-token-file"] is not None:
            self["http-token-file"] = file_path("http-token-file", self["http-token-file"])
        for name in ("http-token-file", "http-allow-clear-text"):
            if self[name] and not self.http:
                raise usage.UsageError(f"--{name} is given without --http: there is no HTTP API")
        try:
            if self.http_allow:
                TrustPolicy.parse(self.http_allow)
        except ValueError as error:
            raise usage.UsageError(f"--http-allow: {printable(str(error), 512)}") from None
        self.http_places = [self._place(text) for text in self.http]
        if self.http_allow and not any(place.is_mutual(self.http_allow) for place in self.http_places):
            raise usage.UsageError("--http-allow is given without --http tls:...: nobody proves a name elsewhere")

    def _place(self, text: str) -> Place:
        if self.http.count(text) > 1:
            raise usage.UsageError(f"--http {printable(text)} is given twice")
        try:
            place = Place.parse(text)
            has_token = self["http-token-file"] is not None
            place.check(has_token, self.http_allow, bool(self["http-allow-clear-text"]))
        except ValueError as error:
            raise usage.UsageError(f"--http {printable(text)}: {printable(str(error), 512)}") from None
        return place
