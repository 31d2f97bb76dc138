"""``sip-p2p send``, ``options`` and ``request``: one request, its answer on the terminal, and an exit code."""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import TYPE_CHECKING, ClassVar, final

from twisted.python import usage

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.peer import Peer
from sip_p2p.errors import MalformedMessage, RequestFailed, RestrictedHeader, SipError, TlsFailure
from sip_p2p.observe.text import host_and_port, printable
from sip_p2p.service.json_lines import proved
from sip_p2p.service.party import make_party
from sip_p2p.service.settings.options import PartyOptions, seconds
from sip_p2p.service.words import ExitCode, exit_code, explain
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.compose import application_fields

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.settings.command_line import Work
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri


__all__ = [
    "AddressedOptions",
    "AskOptions",
    "LastHeard",
    "RequestOptions",
    "RequestingOptions",
    "SendOptions",
    "proof",
    "proved_by",
]

_LARGEST_BODY = 48 * 1024


class AddressedOptions(PartyOptions):
    """What every command shares that says something to one peer.

    :ivar target: whom it is for.
    :ivar body: what it carries.
    :ivar content_type: what that is.
    :ivar headers: the header fields that were asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.target: SipUri | None = None
        self.body = b""
        self.content_type: str | None = None
        self.headers: list[tuple[str, str]] = []

    @property
    def is_clear_text(self) -> bool:
        """Whether the first hop is said to be in clear text."""
        target = self.target
        if target is None or target.is_secure:
            return False
        if self.proxy is not None:
            return not self.proxy.target.transport.is_secure
        return target.transport is not None and target.transport.lower() in ("tcp", "udp", "ws")

    def take_target(self, text: str) -> None:
        """Read the URI of the peer.

        :raises UsageError: when it is none.
        """
        try:
            self.target = to_sip_uri(text)
        except ValueError as error:
            raise usage.UsageError(printable(str(error))) from None

    def take_header(self, field: str) -> None:
        """Read one header field, ``Name: value``.

        :raises UsageError: when it is none, or the stack's own.
        """
        name, colon, value = field.partition(":")
        if not colon:
            raise usage.UsageError(f"--header {printable(field)} is not 'Name: value': it has no colon")
        try:
            self.headers.extend(application_fields([(name.strip(), value.strip())]))
        except (ValueError, RestrictedHeader) as error:
            raise usage.UsageError(f"--header {printable(field)} cannot be sent: {printable(str(error))}") from None

    def take_body(self, usual_type: str | None = None) -> None:
        """Read the file of ``--body``, and what it holds by ``--content-type``.

        :param usual_type: what it holds where nobody says so.
        :raises UsageError: for a file that cannot be read, and for a type that is none, or is missing.
        """
        self.content_type = self["content-type"]
        if self["body"] is None:
            if self.content_type is not None:
                raise usage.UsageError("--content-type is given without --body")
            return
        self.content_type = self.content_type or usual_type
        if self.content_type is None:
            raise usage.UsageError("--body is given without --content-type: what does the file hold?")
        try:
            parse_media_type(self.content_type)
        except MalformedMessage:
            raise usage.UsageError(
                f"--content-type {printable(self.content_type)} is not a media type such as text/plain"
            ) from None
        self.body = _read(self["body"])


class RequestingOptions(AddressedOptions):
    """What the three commands share that send one request.

    :ivar method: the request's method.
    """

    optParameters: ClassVar = [["timeout", None, "10", "how many seconds to wait for the final response"]]
    optFlags: ClassVar = [["json", "j", "print the outcome as one JSON object"]]

    method = "OPTIONS"

    def __init__(self) -> None:
        super().__init__()
        self.timeout = 0.0

    def postOptions(self) -> None:
        """Check the time and what :class:`~sip_p2p.service.settings.options.PartyOptions` checks."""
        super().postOptions()
        self.timeout = seconds("timeout", self["timeout"], least=0.001)

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""

        async def work(reactor: IReactorTime) -> ExitCode:
            outcome = await perform(reactor, self)
            outcome.show(out, err)
            return outcome.code

        return work


class SendOptions(RequestingOptions):
    """The options of ``sip-p2p send``."""

    synopsis = "Usage: sip-p2p send --uri URI [options] TO TEXT"
    longdesc = "Send TEXT in a MESSAGE; - sends what stands on standard input."
    method = "MESSAGE"

    def parseArgs(self, *arguments: str) -> None:
        """Take the peer and the text."""
        if len(arguments) != 2:
            raise usage.UsageError("send needs a peer and a text: sip-p2p send ... sip:bob@b.example 'hello'")
        self.take_target(arguments[0])
        self.body = _read("-") if arguments[1] == "-" else os.fsencode(arguments[1])
        self.content_type = "text/plain; charset=UTF-8"


class AskOptions(RequestingOptions):
    """The options of ``sip-p2p options``."""

    synopsis = "Usage: sip-p2p options --uri URI [options] TO"
    longdesc = "Ask a peer with OPTIONS what it can do, and whether it is there at all."

    def parseArgs(self, *arguments: str) -> None:
        """Take the peer."""
        if len(arguments) != 1:
            raise usage.UsageError("options needs one peer: sip-p2p options ... sip:bob@b.example")
        self.take_target(arguments[0])


class RequestOptions(RequestingOptions):
    """The options of ``sip-p2p request``."""

    synopsis = "Usage: sip-p2p request --uri URI [options] METHOD TO"
    longdesc = "Send a request with any method."
    optParameters: ClassVar = [
        ["body", "b", None, "file with the body; - is standard input"],
        ["content-type", None, None, "the body's content type"],
    ]
    repeatable: ClassVar[tuple[str, ...]] = ("header",)

    def opt_header(self, field: str) -> None:
        """'NAME: VALUE': one more header field; may be given several times"""
        self.take_header(field)

    opt_H = opt_header

    def parseArgs(self, *arguments: str) -> None:
        """Take the method and the peer."""
        if len(arguments) != 2:
            raise usage.UsageError("request needs a method and a peer: sip-p2p request ... INFO sip:bob@b.example")
        self.method = arguments[0]
        if TOKEN.fullmatch(self.method) is None:
            raise usage.UsageError(f"{printable(self.method)} is not a method")
        if self.method in ("ACK", "CANCEL", "INVITE"):
            raise usage.UsageError(f"{self.method} belongs to a session, and this command sends single requests")
        self.take_target(arguments[1])

    def postOptions(self) -> None:
        """Read the body."""
        super().postOptions()
        self.take_body()


def _read(path: str) -> bytes:
    """What a file or standard input holds.

    :raises UsageError: when it cannot be read, or is larger than a body may be.
    """
    try:
        if path == "-":
            content = sys.stdin.buffer.read(_LARGEST_BODY + 1)
        else:
            with open(path, "rb") as file:
                content = file.read(_LARGEST_BODY + 1)
    except OSError as error:
        raise usage.UsageError(f"{printable(path)}: {error.strerror or type(error).__name__}") from None
    if len(content) > _LARGEST_BODY:
        raise usage.UsageError(f"{printable(path)} is larger than a body may be ({_LARGEST_BODY} octets)")
    return content


@final
class LastHeard:
    """A tap that remembers on which flow something came last: it proves who answered."""

    def __init__(self) -> None:
        self.peer: Peer | None = None

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        """Remember the flow of what comes in."""
        if direction == "in":
            self.peer = Peer(flow)  # type: ignore[arg-type]


def proof(peer: Peer | None) -> str:
    """Who has been proved to have answered, and how: the end of a sentence."""
    if peer is None:
        return ""
    where = host_and_port(*peer.address)
    if not peer.is_verified:
        return f" from {where} over {peer.transport}, unverified"
    return f" from {printable(peer.identity)} at {where}, {peer.tls_version}"


def proved_by(peer: Peer | None) -> dict[str, object]:
    """The same as JSON, for the field ``peer``; no field at all where nobody was heard."""
    if peer is None:
        return {}
    fields = proved(peer)
    return {"peer": {"identity": fields.pop("peer"), **fields}}


@final
class Outcome:
    """What became of the request.

    :ivar code: the exit code.
    """

    __slots__ = ("_failure", "_options", "_peer", "_response", "code")

    def __init__(
        self,
        options: RequestingOptions,
        peer: Peer | None,
        response: Response | None = None,
        failure: BaseException | None = None,
    ) -> None:
        self._options = options
        self._peer = peer
        self._failure = failure
        self._response = failure.response if isinstance(failure, RequestFailed) else response
        self.code = ExitCode.OK if failure is None else exit_code(failure)

    def show(self, out: TextIO, err: TextIO) -> None:
        """Tell it to a person, or as JSON."""
        if self._options["json"]:
            print(json.dumps(self._as_json()), file=out)
            return
        response = self._response
        if response is not None:
            print(f"{response.status} {printable(response.reason)}{proof(self._peer)}", file=out)
            if self._options.method != "MESSAGE":
                self._show_content(response, out)
        if self._failure is not None:
            words = explain(self._failure, "peer" if self._options.proxy is None else "proxy", "--timeout")
            print(f"sip-p2p: {words.what}", file=err)
            if words.remedy:
                print(f"         {words.remedy}", file=err)

    @staticmethod
    def _show_content(response: Response, out: TextIO) -> None:
        for name, value in response.headers:
            if name not in _OUR_OWN_FIELDS:
                print(f"  {printable(name)}: {printable(value, 1024)}", file=out)
        if response.body:
            print(file=out)
            for line in response.body.decode("utf-8", "backslashreplace").splitlines():
                print(f"  {printable(line, 1024)}", file=out)

    def _as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "method": self._options.method,
            "target": str(self._options.target),
            "exit": int(self.code),
            "outcome": self.code.name.lower(),
            **proved_by(self._peer),
        }
        response = self._response
        if response is not None:
            shown["status"], shown["reason"] = response.status, response.reason
            shown["headers"] = [[name, value] for name, value in response.headers]
            if response.body:
                try:
                    shown["body"] = response.body.decode("utf-8")
                except UnicodeDecodeError:
                    shown["body_base64"] = base64.b64encode(response.body).decode("ascii")
        if self._failure is not None:
            words = explain(self._failure, "peer" if self._options.proxy is None else "proxy", "--timeout")
            shown["words"], shown["remedy"] = words.what, words.remedy
            if isinstance(self._failure, TlsFailure):
                shown["tls_failure"] = self._failure.reason.name
        return shown


_OUR_OWN_FIELDS = frozenset(("Via", "From", "To", "Call-ID", "CSeq", "Content-Length"))


async def perform(reactor: IReactorTime, options: RequestingOptions) -> Outcome:
    """Send the request that *options* describe and wait for what becomes of it; nothing is left open afterwards.

    :raises UsageError: when the party cannot be made.
    """
    target = options.target
    if target is None:
        raise usage.UsageError("whom is it for?")
    party = make_party(reactor, options, is_clear_text=options.is_clear_text)
    heard = LastHeard()
    party.manager.add_tap(heard)
    response, failure = None, None
    try:
        response = await party.endpoint.request(
            options.method,
            target,
            body=options.body,
            content_type=options.content_type,
            headers=options.headers,
            timeout=options.timeout,
            retry_after="never",
        )
    except SipError as error:
        failure = error
    except ValueError as error:
        raise usage.UsageError(printable(str(error))) from None
    finally:
        await party.manager.terminate()
    return Outcome(options, heard.peer, response, failure)
