"""The options of the applications that are built in: ``answer`` and ``forward``."""

from __future__ import annotations

from typing import ClassVar

from twisted.python import usage

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.errors import MalformedMessage
from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import CommandOptions, file_path, seconds
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.body import parse_media_type

__all__ = ["ApplicationOptions"]

_IN_SESSIONS = "it belongs to a session, and goes on within it"
_OF_DIALOGS = "it makes a dialog of its own"
_NOT_FORWARDED = {
    **dict.fromkeys(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"), _IN_SESSIONS),
    **dict.fromkeys(("SUBSCRIBE", "REFER"), _OF_DIALOGS),
    "MESSAGE": "it does anyway",
    "OPTIONS": "it asks what we can do ourselves",
    "REGISTER": "it says where somebody is, and we know nobody's place",
}
"""What ``--forward-methods`` cannot name, and why."""


class ApplicationOptions(CommandOptions):
    """What ``--application answer`` and ``--application forward`` do."""

    optParameters: ClassVar = [
        [
            "answer-status",
            None,
            "200",
            "with --application answer: what messages are answered with, and sessions too where it is a refusal",
        ],
        [
            "answer-body",
            None,
            None,
            "with --application answer: file with what sessions are accepted with, SDP above all",
        ],
        ["answer-type", None, "application/sdp", "the media type of --answer-body"],
        ["answer-after", None, "0", "with --application answer: for how many seconds a session rings before"],
        ["forward-to", None, None, "with --application forward: the URI that everything goes on to, sip:bob@b.example"],
        [
            "forward-methods",
            None,
            "INFO",
            "with --application forward: which requests go on beside MESSAGE and sessions, with commas between them",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answer_status = 200
        self.answer_after = 0.0
        self.forward_methods: tuple[str, ...] = ()

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for an option of an application that does not run.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        self._check_answer()
        self._check_forward()

    def _check_answer(self) -> None:
        text = self["answer-status"]
        if not (text.isascii() and text.isdigit() and len(text) == 3 and 200 <= int(text) <= 699):
            raise usage.UsageError(f"--answer-status {printable(text)} is no final status from 200 to 699")
        self.answer_status = int(text)
        if 300 <= self.answer_status < 400:
            raise usage.UsageError(f"--answer-status {text} is a redirection, and there is nowhere to go")
        self.answer_after = seconds("answer-after", self["answer-after"])
        if self["answer-body"] is not None:
            self["answer-body"] = file_path("answer-body", self["answer-body"])
        try:
            parse_media_type(self["answer-type"])
        except (MalformedMessage, ValueError) as error:
            raise usage.UsageError(f"--answer-type: {printable(str(error))}") from None

    def _check_forward(self) -> None:
        methods = tuple(filter(None, (method.strip() for method in self["forward-methods"].split(","))))
        for method in methods:
            if TOKEN.fullmatch(method) is None:
                raise usage.UsageError(f"--forward-methods: {printable(method)} is no method")
            if method in _NOT_FORWARDED:
                raise usage.UsageError(f"--forward-methods: {method} cannot go on: {_NOT_FORWARDED[method]}")
        self.forward_methods = methods
        text = self["forward-to"]
        if text is None:
            if self["application"] == "forward":
                raise usage.UsageError("--forward-to is missing: where is everything to go on to?")
            return
        try:
            self["forward-to"] = str(to_sip_uri(text))
        except ValueError as error:
            raise usage.UsageError(f"--forward-to: {printable(str(error))}") from None
