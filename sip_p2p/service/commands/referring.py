"""``sip-p2p refer``: ask a peer, outside of a session, to call somebody, and be told what comes of it (RFC 3515)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from twisted.python import usage

from sip_p2p.errors import RequestFailed, RestrictedHeader
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.sending import LastHeard, proof, proved_by
from sip_p2p.service.commands.telling import LastingOptions, begun, within
from sip_p2p.service.words import ExitCode, Words, call_exit_code
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.message import Response

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.transfer.referral import Referral
    from sip_p2p.service.commands.telling import Told
    from sip_p2p.service.party import Party
    from sip_p2p.service.settings.command_line import Work

__all__ = ["ReferOptions"]


class ReferOptions(LastingOptions):
    """The options of ``sip-p2p refer``.

    :ivar refer_to: whom the peer is to call.
    :ivar timeout: for how many seconds to wait for the outcome.
    """

    synopsis = "Usage: sip-p2p refer --uri URI [options] TO TARGET"
    longdesc = "Ask the peer TO to call TARGET, and tell what it says of it, until it is through or has failed."
    optParameters: ClassVar = [
        ["method", "m", "INVITE", "what the peer is to send to TARGET"],
        ["timeout", None, "60", "how many seconds to wait for the outcome"],
    ]
    optFlags: ClassVar = [["no-progress", None, "ask the peer not to tell what comes of it (RFC 4488)"]]

    def __init__(self) -> None:
        super().__init__()
        self.refer_to = ""

    def parseArgs(self, *arguments: str) -> None:
        """Take the peer, and whom it is to call."""
        if len(arguments) != 2:
            raise usage.UsageError(
                "refer needs a peer and whom it is to call: sip-p2p refer ... sip:bob@b.example sip:carol@c.example"
            )
        self.take_target(arguments[0])
        self.refer_to = arguments[1]

    def postOptions(self) -> None:
        """Check the method."""
        super().postOptions()
        if TOKEN.fullmatch(self["method"]) is None:
            raise usage.UsageError(f"--method {printable(self['method'])} is not a method")

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return begun(self, out, err, _refer, "hearing no more of it; the peer is not stopped")


async def _refer(reactor: IReactorTime, options: ReferOptions, told: Told, party: Party, heard: LastHeard) -> ExitCode:
    """Refer, and tell what comes of it.

    :raises UsageError: for what cannot be referred to.
    """
    target: Any = options.target
    wanted = "unwanted" if options["no-progress"] else "wanted"
    try:
        referring = party.endpoint.refer(
            target, options.refer_to, method=options["method"], headers=options.headers, subscription=wanted
        )
    except (ValueError, RestrictedHeader) as error:
        raise usage.UsageError(printable(str(error))) from None
    told.tell("referring", f"asking {target} to call {options.refer_to}", target=str(target), refer_to=options.refer_to)
    referral = await within(reactor, options.timeout, referring)
    peer = heard.peer
    fields = proved_by(peer)
    told.tell("accepted", f"accepted{proof(peer)}", **fields)
    if options["no-progress"]:
        return told.ended(ExitCode.OK, None)
    return await _follow(reactor, options, told, referral)


async def _follow(reactor: IReactorTime, options: ReferOptions, told: Told, referral: Referral) -> ExitCode:
    """Tell what the peer says, up to the outcome."""
    stopping = reactor.callLater(options.timeout, referral.stop)
    try:
        async for report in referral:
            told.tell(
                "progress",
                f"{report.status} {report.reason}",
                status=report.status,
                reason=report.reason,
                is_final=report.is_final,
            )
    finally:
        is_late = not stopping.active()
        if not is_late:
            stopping.cancel()
    outcome = referral.outcome
    if outcome is None:
        code = ExitCode.TIMEOUT if is_late else ExitCode.LOST
        return told.ended(code, Words("The peer has not said what came of it.", "It may still do what it was asked."))
    if outcome.status < 300:
        return told.ended(ExitCode.OK, None)
    failure = RequestFailed(Response(outcome.status, outcome.reason))
    words = Words(f"Whom the peer has asked answered {outcome.status} {printable(outcome.reason)}.", "")
    return told.ended(call_exit_code(failure, rang=True), words)
