"""The base of every application that the service runs.

All methods run in the reactor's thread. What they raise is logged with its traceback and answered with 500, and nothing
else notices.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeAlias

from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.sip.message import Response

if TYPE_CHECKING:
    from typing import Self

    from sip_p2p.endpoint.connection_request import ConnectionRequest
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.service.applications.setting import ApplicationSetting

__all__ = ["Answer", "Application"]

Answer: TypeAlias = Response | int | Awaitable[Response | int | None] | None
"""What a request is answered with: None for 200 OK, a status, a response made with
:meth:`~sip_p2p.endpoint.incoming.IncomingRequest.response`, or something awaitable with one of these as its result."""


class Application:
    """What the service does with what arrives. Every method may be left out.

    :ivar methods: the methods other than MESSAGE whose requests go to :meth:`request`; the endpoint's ``Allow`` names
        them.
    """

    methods: tuple[str, ...] = ()

    @classmethod
    def make(cls, setting: ApplicationSetting) -> Self:
        """One of this class, for a service; by default it is made without arguments.

        :param setting: the command line, where to tell what happens, and the clock.
        """
        return cls()

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """The service runs: it listens where it was told to, and *endpoint* can send."""

    def message(self, event: IncomingRequest) -> Answer:
        """A MESSAGE came outside of any session.

        :return: None for 200 OK, a status, a response, or something awaitable with one of these as its result.
        """
        return None

    def request(self, event: IncomingRequest) -> Answer:
        """A request came with one of :attr:`methods`, outside of any session; the answer is given as for
        :meth:`message`."""
        return 501

    def session(self, session: SignalingSession) -> Awaitable[object] | None:
        """A peer wants to establish a session; asked only of a class that has this method of its own: where none does,
        INVITE is answered 405.

        It decides with :meth:`~.SignalingSession.accept`, :meth:`~.SignalingSession.reject` or
        :meth:`~.SignalingSession.redirect`, at once or later; what nobody decides within ``--max-ring`` is answered
        480. Requests within the session go to the session's own events.

        :param session: incoming, with its ``offer`` and the ``peer`` that was verified.
        """
        return None

    def referral(self, referral: IncomingReferral) -> Awaitable[object] | None:
        """A peer asks for a request to somebody else (REFER), within a session or outside of one; asked only of a class
        that has this method of its own: where none does, such a REFER is refused.

        It decides with :meth:`~.IncomingReferral.accept` or :meth:`~.IncomingReferral.decline`, before the awaitable
        has its result; what nobody decides about is declined (603).
        """
        return None

    def subscriber(self, request: IncomingRequest) -> Verdict | bool | Awaitable[Verdict | bool]:
        """A peer wants to subscribe to one of the packages of ``--package``; asked where ``--watchers ask`` leaves that
        to the application.

        :return: a :class:`~sip_p2p.endpoint.subscription.package.Verdict`, True or False (403), or something awaitable
            with one of these as its result. By default it is pending: it stands, and knows nothing until somebody
            approves it by the HTTP API.
        """
        return Verdict.pending()

    def subscribed(self, subscription: Subscription) -> None:
        """A subscription of ``--subscribe`` has begun; its notifications go to :meth:`notified`."""

    def notified(self, subscription: Subscription, notification: Notification) -> None:
        """A notification came for a subscription of ours, whoever began it."""

    def authorize(self, connection: ConnectionRequest) -> bool | Awaitable[bool]:
        """Whether a connection, in or out, may carry messages; asked before it carries any, and only of a class that
        has this method of its own. What takes longer than ``--limit authorization_timeout`` is a no."""
        return True

    def reload(self) -> list[str]:
        """SIGHUP: read your own files anew. Where the file of the class itself has changed, another object of the new
        class takes this one's place instead, and :meth:`stopped` is called.

        :return: what has changed, in words.
        """
        return []

    def stopped(self) -> Awaitable[None] | None:
        """The service has stopped listening and what was in flight is finished, or another object has taken this one's
        place: nothing new will come. Sessions that another has taken over from go on, and this one with them.

        The end of the process waits for what this returns, within the drain time.
        """
        return None
