"""``sip-p2p call``: a call from the terminal, told as it happens, and an exit code that says how it went.

It has no media: it offers silence, or the file that it is given, and takes whatever is answered. An interrupt hangs up
before the program ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.python import usage

from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.errors import RestrictedHeader, SipError
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.sending import AddressedOptions, LastHeard, proof, proved_by
from sip_p2p.service.commands.telling import Told, first_hop, in_party, staying
from sip_p2p.service.settings.command_line import seconds
from sip_p2p.service.settings.session_options import (
    RELIABLE,
    SESSION_TIMER,
    SESSION_TIMER_LEAST,
    reliability,
    session_timer,
)
from sip_p2p.service.silence import Silence
from sip_p2p.service.words import ExitCode, Words, call_exit_code, explain_call
from sip_p2p.sip.dialog.description import SDP, ContentDescription
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.calling import Redirecting
    from sip_p2p.endpoint.session.events import ProvisionalResponseReceived
    from sip_p2p.endpoint.session.recovery import RouteSetStatusChanged
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.service.party import Party
    from sip_p2p.service.settings.command_line import Work

__all__ = ["CallingOptions", "place_call"]

_RINGING = 180


class CallingOptions(AddressedOptions):
    """The options of ``sip-p2p call``.

    :ivar seconds: how long to stay in the call; None for as long as the peer does.
    :ivar max_ring: how long to wait for an answer, in seconds.
    """

    synopsis = "Usage: sip-p2p call --uri URI [options] TO"
    longdesc = (
        "Call a peer, wait until it answers, stay for a while, and hang up. What happens is told line by line; Ctrl-C "
        "hangs up."
    )
    optParameters: ClassVar = [
        ["body", "b", None, "file with what is offered; - is standard input; without it an audio stream in silence"],
        ["content-type", None, None, "what the file holds; application/sdp without it"],
        ["seconds", "s", "5", "how many seconds to stay in the call, or none: until the peer hangs up"],
        ["max-ring", None, "60", "how many seconds to wait for an answer"],
        ["max-redirects", None, "5", "how many redirections may follow one another; 0 follows none"],
        RELIABLE,
        SESSION_TIMER,
        SESSION_TIMER_LEAST,
    ]
    optFlags: ClassVar = [
        ["json", "j", "tell what happens as JSON, one object a line"],
        ["late-offer", None, "let the peer make the offer; what is offered otherwise is the answer then"],
    ]
    repeatable: ClassVar[tuple[str, ...]] = ("header",)

    def __init__(self) -> None:
        super().__init__()
        self.seconds: float | None = None
        self.max_ring = 0.0
        self.max_redirects = 0
        self.reliable = ""
        self.session_timer = SessionTimerSettings()

    def opt_header(self, field: str) -> None:
        """'NAME: VALUE': one more header field of the INVITE; may be given several times"""
        self.take_header(field)

    opt_H = opt_header

    def parseArgs(self, *arguments: str) -> None:
        """Take the peer."""
        if len(arguments) != 1:
            raise usage.UsageError("call needs one peer: sip-p2p call ... sip:bob@b.example")
        self.take_target(arguments[0])

    def postOptions(self) -> None:
        """Check the times and read the body."""
        super().postOptions()
        self.seconds = staying(self)
        self.max_ring = seconds("max-ring", self["max-ring"], least=0.001)
        text = self["max-redirects"]
        if not (text.isascii() and text.isdigit() and len(text) <= 2):
            raise usage.UsageError(f"--max-redirects {printable(text)} is not a number from 0 to 99")
        self.max_redirects = int(text)
        self.reliable = reliability(self)
        self.session_timer = session_timer(self)
        self.take_body(SDP)
        if self["body"] is not None and not self.body:
            raise usage.UsageError(f"{printable(self['body'])} is empty: an offer without octets describes nothing")

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return lambda reactor: place_call(reactor, self, out, err)

    @property
    def source(self) -> Silence:
        """Where our offers and answers come from.

        :raises UsageError: when the body cannot be one.
        """
        description = None
        if self.body:
            try:
                description = ContentDescription(self.body, self.content_type or SDP)
            except ValueError as error:
                raise usage.UsageError(f"--body: {printable(str(error))}") from None
        return Silence(description, is_late=bool(self["late-offer"]))


@final
class _Call:
    """One call, and what was heard of it."""

    def __init__(self, reactor: IReactorTime, options: CallingOptions, told: Told, heard: LastHeard) -> None:
        self._reactor = reactor
        self._options = options
        self._told = told
        self._heard = heard
        self._rang = False
        self._answered_at = 0.0
        self._ending: SignalingStateChanged | None = None
        self._over: Deferred[None] = Deferred()

    async def run(self, endpoint: SipPeerToPeerEndpoint, source: Silence) -> ExitCode:
        """Call, stay, and hang up.

        :raises UsageError: for what cannot be called.
        """
        options = self._options
        target: Any = options.target
        try:
            session = endpoint.create_session(
                target,
                headers=options.headers,
                max_ring=options.max_ring,
                reliable=options.reliable,
                session_timer=options.session_timer,
                max_redirects=options.max_redirects,
            )
        except (ValueError, RestrictedHeader) as error:
            raise usage.UsageError(printable(str(error))) from None
        session.state_changed.subscribe(self._state_changed)
        session.provisional_response_received.subscribe(self._progress)
        session.redirecting.subscribe(self._redirected)
        session.message_received.subscribe(self._message)
        session.route_set_changed.subscribe(self._route_changed)
        self._told.tell("calling", f"calling {target}", target=str(target), call_id=session.call_id)
        try:
            await session.establish(source)
        except SipError as error:
            return self._failed(error)
        except ValueError as error:
            raise usage.UsageError(f"--header: {printable(str(error))}") from None
        self._answered(session)
        return await self._stay()

    def _failed(self, error: SipError) -> ExitCode:
        ending = self._ending
        if ending is not None and ending.reason is SignalingTransitionReason.TERMINATED_LOCALLY:
            # Whoever waited for the answer gave up: that ends the session before it is heard of here.
            raise CancelledError
        words = explain_call(error, self._rang, first_hop(self._options))
        return self._told.ended(call_exit_code(error, self._rang), words, error)

    def _answered(self, session: SignalingSession) -> None:
        self._answered_at = self._reactor.seconds()
        peer = session.peer or self._heard.peer
        fields = proved_by(peer)
        description = session.remote_description
        if description is not None:
            fields |= {"content_type": description.content_type, "body": description.text}
        self._told.tell("answered", f"answered{proof(peer)}", **fields)
        if description is not None:
            self._told.show(description.text)

    async def _stay(self) -> ExitCode:
        """Wait for the end of the call, or make it."""
        staying = self._options.seconds
        if self._ending is None and staying is not None:
            self._over.addTimeout(staying, self._reactor)
        try:
            await self._over
        except TimeoutError:
            self._told.tell("hung-up", f"hanging up after {self._lasted:.1f} s", seconds=round(self._lasted, 3))
            return self._told.ended(ExitCode.OK, None)
        ending = self._ending
        reason = SignalingTransitionReason.NONE if ending is None else ending.reason
        if reason is SignalingTransitionReason.TERMINATED_REMOTELY:
            said = None if ending is None or ending.message is None else ending.message.headers.get("Reason")
            because = "" if said is None else f", saying {said}"
            fields: dict[str, object] = {} if said is None else {"reason": said}
            words = f"the peer hung up after {self._lasted:.1f} s{because}"
            self._told.tell("peer-hung-up", words, seconds=round(self._lasted, 3), **fields)
            return self._told.ended(ExitCode.OK, None)
        lost = Words(f"The call was lost after {self._lasted:.1f} s: {reason.value}.", "")
        return self._told.ended(ExitCode.LOST, lost)

    @property
    def _lasted(self) -> float:
        return self._reactor.seconds() - self._answered_at

    # -- what is heard of it -------------------------------------------------------------------------------------------

    def _state_changed(self, event: SignalingStateChanged) -> None:
        if event.state is SignalingState.DISCONNECTED:
            self._ending = event
            if not self._over.called:
                self._over.callback(None)

    def _progress(self, event: ProvisionalResponseReceived) -> None:
        response = event.response
        self._rang = self._rang or response.status >= _RINGING
        fields = {} if event.dialog is None else {"tag": event.dialog.participant.tag}
        words = f"{response.status} {response.reason}"
        self._told.tell("progress", words, status=response.status, reason=response.reason, **fields)

    def _redirected(self, event: Redirecting) -> None:
        response = event.response
        where = ", ".join(event.targets)
        words = f"{response.status} {response.reason}: trying {where}" if where else f"{response.status}: nowhere to go"
        self._told.tell("redirected", words, status=response.status, targets=list(event.targets))

    def _route_changed(self, event: RouteSetStatusChanged) -> None:
        self._told.tell("route", f"the way to the peer: {event.status.value}", status=event.status.name.lower())

    def _message(self, event: IncomingRequest) -> int:
        try:
            text = event.text
        except (SipError, ValueError):
            return 415
        self._told.tell("message", f"message: {text}", text=text)
        return 200


async def place_call(reactor: IReactorTime, options: CallingOptions, out: TextIO, err: TextIO) -> ExitCode:
    """Call whom *options* name, tell what happens, and return how it went; nothing is left open afterwards.

    :raises UsageError: when the party cannot be made, or the call not be described.
    """
    source = options.source
    told = Told(options, out, err)

    async def call(party: Party, heard: LastHeard) -> ExitCode:
        return await _Call(reactor, options, told, heard).run(party.endpoint, source)

    return await in_party(reactor, options, told, call, "hanging up")
