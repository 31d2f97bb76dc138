"""``sip-p2p publish``: have a compositor keep a state of ours, and tell it to others, for as long as the command runs
(RFC 3903)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from twisted.internet.defer import Deferred
from twisted.python import usage

from sip_p2p.errors import RestrictedHeader
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.sending import LastHeard, proof, proved_by
from sip_p2p.service.commands.telling import (
    EXPIRES,
    SECONDS,
    LastingOptions,
    begun,
    expiry,
    first_hop,
    is_enough,
    staying,
    within,
)
from sip_p2p.service.words import ExitCode, Words, explain
from sip_p2p.sip.event.publisher import PublicationState

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.publication.publication import Publication
    from sip_p2p.service.commands.telling import Told
    from sip_p2p.service.party import Party
    from sip_p2p.service.settings.command_line import Work

__all__ = ["PublishOptions"]

_STATUSES = ("open", "closed")


class PublishOptions(LastingOptions):
    """The options of ``sip-p2p publish``.

    :ivar event: the event package.
    :ivar expires: for how many seconds to ask.
    :ivar seconds: how long to keep it there; None until somebody ends it.
    :ivar timeout: for how many seconds to wait for the answer to the first PUBLISH.
    """

    synopsis = "Usage: sip-p2p publish --uri URI [options] TO EVENT"
    longdesc = (
        "Publish a state of TO, usually your own address, at the compositor that serves it, refresh it, and take it "
        "back at the end or at Ctrl-C. For presence, --status and --note make the document."
    )
    optParameters: ClassVar = [
        ["body", "b", None, "file with the document; - is standard input"],
        ["content-type", None, None, "what the file holds"],
        ["status", None, None, "for presence: open or closed; open where only --note is given"],
        ["note", None, None, "for presence: a few words"],
        [EXPIRES, None, "3600", "for how many seconds to ask; it is refreshed before they are over"],
        [SECONDS, "s", "none", "how many seconds to keep it there, or none: until Ctrl-C"],
        ["timeout", None, "10", "how many seconds to wait for the answer to the first PUBLISH"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.event = ""
        self.expires = 0
        self.seconds: float | None = None

    def parseArgs(self, *arguments: str) -> None:
        """Take whose state it is, and of what kind."""
        if len(arguments) != 2:
            raise usage.UsageError(
                "publish needs an address and an event: sip-p2p publish ... sip:alice@a.example presence"
            )
        self.take_target(arguments[0])
        self.event = arguments[1]

    def postOptions(self) -> None:
        """Check the numbers, and read or make the document."""
        super().postOptions()
        self.expires = expiry(self)
        self.seconds = staying(self)
        is_made = self["status"] is not None or self["note"] is not None
        if is_made and (self["body"] is not None or self.event != "presence"):
            raise usage.UsageError("--status and --note make the document of presence, in the place of --body")
        if is_made:
            self._make_presence()
            return
        self.take_body()
        if not self.body:
            raise usage.UsageError("what is to be published? --body names a file with it; presence has --status")

    def _make_presence(self) -> None:
        from sip_p2p.documents.pidf import Presence

        status = self["status"] or "open"
        if status not in _STATUSES:
            raise usage.UsageError(f"--status {printable(status)} is neither {' nor '.join(_STATUSES)}")
        try:
            document = Presence.of(str(self.target), status == "open", note=self["note"] or "")
            self.body, self.content_type = document.to_bytes(), document.media_type
        except ValueError as error:
            raise usage.UsageError(f"--note: {printable(str(error))}") from None

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return begun(self, out, err, _publish, "taking it back")


async def _publish(
    reactor: IReactorTime, options: PublishOptions, told: Told, party: Party, heard: LastHeard
) -> ExitCode:
    """Publish, stay, and take it back.

    :raises UsageError: for what cannot be published.
    """
    target = options.target
    try:
        publishing = party.endpoint.publish(
            options.event,
            options.body,
            options.content_type,
            target=target,
            expires=options.expires,
            headers=options.headers,
        )
    except (ValueError, RestrictedHeader) as error:
        raise usage.UsageError(printable(str(error))) from None
    told.tell("publishing", f"publishing {options.event} of {target}", target=str(target), package=options.event)
    publication = await within(reactor, options.timeout, publishing)
    peer = heard.peer
    fields = proved_by(peer)
    expires = round(publication.expires)
    told.tell("published", f"published for {expires} s{proof(peer)}", expires=expires, etag=publication.etag, **fields)
    return await _keep(reactor, options, told, publication)


async def _keep(reactor: IReactorTime, options: PublishOptions, told: Told, publication: Publication) -> ExitCode:
    """Keep it there until it is to be taken back."""
    over: Deferred[None] = Deferred()
    etags = [publication.etag]

    def changed(state: PublicationState) -> None:
        if state is PublicationState.STANDS and publication.etag != etags[-1]:
            etags[:] = [publication.etag]
            told.tell("refreshed", "refreshed", etag=publication.etag, expires=round(publication.expires))
        elif state is PublicationState.WAITING and publication.error is not None:
            told.tell("waiting", f"{explain(publication.error).what} It is tried again.")
        elif state is PublicationState.OVER and not over.called:
            over.callback(None)

    publication.state_changed.subscribe(changed)
    try:
        is_left = await is_enough(reactor, options.seconds, over)
    finally:
        publication.state_changed.unsubscribe(changed)
    if is_left:
        await publication.remove()
        told.tell("removed", "taken back")
        return told.ended(ExitCode.OK, None)
    error = publication.error
    words = Words("The publication is over.", "") if error is None else explain(error, first_hop(options))
    return told.ended(ExitCode.LOST, words, error)
