"""``sip-p2p subscribe``: somebody's state, each notification a few lines or one JSON object, until enough have come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

from twisted.python import usage

from sip_p2p.endpoint.subscription.states import SubscriptionState
from sip_p2p.errors import RequestFailed, RestrictedHeader, SipError, SubscriptionTerminated
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.sending import LastHeard, proof, proved_by
from sip_p2p.service.commands.telling import (
    EXPIRES,
    SECONDS,
    LastingOptions,
    as_fields,
    begun,
    expiry,
    first_hop,
    staying,
    within,
)
from sip_p2p.service.words import ExitCode, Words, exit_code, explain

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.states import SubscriptionStateChanged
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.service.commands.telling import Told
    from sip_p2p.service.party import Party
    from sip_p2p.service.settings.command_line import Work

__all__ = ["SubscribeOptions"]

_LARGEST_COUNT = 10**9


class SubscribeOptions(LastingOptions):
    """The options of ``sip-p2p subscribe``.

    :ivar event: the event package.
    :ivar accept: the media types that are asked for; None for those of the package.
    :ivar count: after how many notifications to leave; None for any number.
    :ivar expires: for how many seconds to ask.
    :ivar seconds: how long to stay; None for as long as the subscription does.
    :ivar timeout: for how many seconds to wait for the first notification.
    """

    synopsis = "Usage: sip-p2p subscribe --uri URI [options] TO EVENT"
    longdesc = (
        "Subscribe to somebody's state, and print each notification: EVENT is presence, dialog, message-summary or any "
        "other package. It is refreshed until Ctrl-C, which ends it."
    )
    optParameters: ClassVar = [
        ["accept", "a", None, "the media types that notifications may have, with commas; those of the package without"],
        [EXPIRES, None, "3600", "for how many seconds to ask; it is refreshed before they are over"],
        ["count", "n", None, "leave after so many notifications; those of a pending subscription do not count"],
        [SECONDS, "s", "none", "how many seconds to stay, or none: until it ends"],
        ["timeout", None, "10", "how many seconds to wait for the first notification"],
        ["body", "b", None, "file with what the SUBSCRIBE says, such as a filter; - is standard input"],
        ["content-type", None, None, "what the file holds"],
    ]
    optFlags: ClassVar = [["fetch", None, "ask once, and do not subscribe"]]

    def __init__(self) -> None:
        super().__init__()
        self.event = ""
        self.accept: str | None = None
        self.count: int | None = None
        self.expires = 0
        self.seconds: float | None = None

    def parseArgs(self, *arguments: str) -> None:
        """Take whose state it is, and of what kind."""
        if len(arguments) != 2:
            raise usage.UsageError(
                "subscribe needs a peer and an event: sip-p2p subscribe ... sip:bob@b.example presence"
            )
        self.take_target(arguments[0])
        self.event = arguments[1]

    def postOptions(self) -> None:
        """Check the numbers and read the body."""
        super().postOptions()
        self.accept = self["accept"]
        self.expires = expiry(self)
        self.seconds = staying(self)
        text = self["count"]
        if text is not None:
            if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _LARGEST_COUNT):
                raise usage.UsageError(f"--count {printable(text)} is not a whole number from 1 to {_LARGEST_COUNT}")
            self.count = int(text)
        if self["fetch"] and (self.count is not None or self.seconds is not None):
            raise usage.UsageError("--fetch asks once: --count and --seconds are for subscriptions")
        self.take_body()

    @property
    def arguments(self) -> dict[str, Any]:
        """What is said of the subscription."""
        said = {"accept": self.accept, "headers": self.headers}
        return said | ({"body": self.body, "content_type": self.content_type} if self.body else {})

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return begun(self, out, err, _watch, "ending the subscription")


async def _watch(
    reactor: IReactorTime, options: SubscribeOptions, told: Told, party: Party, heard: LastHeard
) -> ExitCode:
    return await _Watching(reactor, options, told).run(party, heard)


@final
class _Watching:
    """One subscription, and what it tells."""

    def __init__(self, reactor: IReactorTime, options: SubscribeOptions, told: Told) -> None:
        self._reactor = reactor
        self._options = options
        self._told = told
        self._heard: LastHeard | None = None
        self._count = 0

    async def run(self, party: Party, heard: LastHeard) -> ExitCode:
        """Subscribe, tell what comes, and leave.

        :raises UsageError: for what cannot stand in a SUBSCRIBE.
        """
        self._heard = heard
        try:
            work = self._fetch if self._options["fetch"] else self._subscribe
            return await work(party.endpoint)
        except (ValueError, RestrictedHeader) as error:
            raise usage.UsageError(printable(str(error))) from None
        except SubscriptionTerminated as error:
            return self._ended(error)

    async def _fetch(self, endpoint: SipPeerToPeerEndpoint) -> ExitCode:
        options = self._options
        fetching = endpoint.fetch(str(options.target), options.event, **options.arguments)
        self._begun("fetching", f"asking for {options.event} of {options.target}")
        self._tell(await within(self._reactor, options.timeout, fetching))
        return self._told.ended(ExitCode.OK, None)

    async def _subscribe(self, endpoint: SipPeerToPeerEndpoint) -> ExitCode:
        options = self._options
        subscription = endpoint.create_subscription(
            str(options.target), options.event, expires=options.expires, **options.arguments
        )
        subscription.state_changed.subscribe(self._state_changed)
        self._begun("subscribing", f"subscribing to {options.event} of {options.target}")
        await within(self._reactor, options.timeout, subscription.start())
        return await self._stay(subscription)

    def _begun(self, event: str, words: str) -> None:
        self._told.tell(event, words, target=str(self._options.target), package=self._options.event)

    async def _stay(self, subscription: Subscription) -> ExitCode:
        """Tell what comes until it is enough."""
        options = self._options
        leaving = None
        if options.seconds is not None:
            leaving = self._reactor.callLater(options.seconds, subscription.terminate)
        try:
            async for notification in subscription:
                if notification.is_terminated and not notification.body:
                    # The end of it is told by itself.
                    continue
                self._tell(notification)
                if options.count is not None and self._count >= options.count:
                    break
        except SipError as error:
            return self._ended(error)
        finally:
            if leaving is not None and leaving.active():
                leaving.cancel()
        await subscription.terminate()
        return self._told.ended(ExitCode.OK, None)

    def _tell(self, notification: Notification) -> None:
        """One notification."""
        is_pending = notification.state == "pending"
        if not is_pending:
            self._count += 1
        peer = None if self._heard is None else self._heard.peer
        reason = f", {notification.reason}" if notification.reason else ""
        what = f"{notification.content_type}, {len(notification.body)} octets" if notification.body else "no body"
        self._told.tell(
            "notification",
            f"{notification.state}{reason}: {what}{proof(peer)}",
            state=notification.state,
            reason=notification.reason,
            expires=notification.expires,
            **proved_by(peer),
            **as_fields(notification.body, notification.content_type),
        )
        self._told.show(notification.body.decode("utf-8", "backslashreplace"))

    def _state_changed(self, event: SubscriptionStateChanged) -> None:
        if event.state is SubscriptionState.WAITING_FOR_RETRY:
            why = event.reason or ("" if event.error is None else str(event.error))
            words = f"it has ended{f' ({why})' if why else ''}, and will be asked for again"
            self._told.tell("waiting", words, reason=event.reason)

    def _ended(self, error: SipError) -> ExitCode:
        """The notifier has ended it, or it was lost."""
        if isinstance(error, SubscriptionTerminated):
            code = ExitCode.LOST if self._count else ExitCode.REFUSED
            remedy = _REMEDIES.get(error.reason, "")
            return self._told.ended(code, Words(f"{printable(str(error)).capitalize()}.", remedy), error)
        code = ExitCode.LOST if self._count and not isinstance(error, RequestFailed) else exit_code(error)
        return self._told.ended(code, explain(error, first_hop(self._options), "--timeout"), error)


_REMEDIES = {
    "rejected": "Whoever decides there does not let us watch.",
    "noresource": "There is no such resource any more: see that the part of the URI before the @ is right.",
    "invariant": "The state will not change again, so there is nothing to wait for.",
}
