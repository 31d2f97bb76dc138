"""The application that runs in a service, and what takes its place when its file has changed.

Whoever asks it goes through here, so that another one can take over from one moment to the next. What a request or a
session was given to before goes on with it.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sip_p2p.endpoint.connection_request import asking
from sip_p2p.service.applications.base import Application
from sip_p2p.service.applications.loader import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sip_p2p.endpoint.connection_request import Authorize, ConnectionRequest
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.package import Verdict
    from sip_p2p.endpoint.subscription.subscription import Subscription
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.service.applications.base import Answer
    from sip_p2p.service.applications.loader import Loader

__all__ = ["RunningApplication", "authorizer"]

_log = Logger("sip_p2p.service")


@final
class RunningApplication:
    """The application of one service.

    :ivar application: it, as it is at the moment.
    :param loader: where a newer one comes from; None where there never is one.
    :param takes_referrals: whether REFERs of peers may go to it.
    """

    def __init__(self, application: Application, loader: Loader | None = None, *, takes_referrals: bool = True) -> None:
        self.application = application
        self._takes_referrals = takes_referrals
        self._loader = loader
        self._endpoint: SipPeerToPeerEndpoint | None = None
        self._methods: tuple[str, ...] = ()

    def attach(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """From now on what arrives at *endpoint* goes to it."""
        self._endpoint = endpoint
        endpoint.message_received.subscribe(self._message)
        endpoint.connection_manager.lives.notified.subscribe(self._notified)
        self._take(self.application)

    def _take(self, application: Application) -> None:
        """What reaches the endpoint is what *application* takes."""
        endpoint = self._endpoint
        assert endpoint is not None
        methods = tuple(application.methods)
        for method in set(self._methods) - set(methods):
            endpoint.stop_handling(method)
        for method in methods:
            endpoint.handle(method, self._request)
        self._methods = methods
        takes_sessions = type(application).session is not Application.session
        if not takes_sessions:
            endpoint.session_received.unsubscribe(self._session)
        elif self._session not in endpoint.session_received.handlers:
            endpoint.session_received.subscribe(self._session)

        if not self._takes_referrals or type(application).referral is Application.referral:
            endpoint.refer_received.unsubscribe(self._referral)
        elif self._referral not in endpoint.refer_received.handlers:
            endpoint.refer_received.subscribe(self._referral)

    def _message(self, event: IncomingRequest) -> Answer:
        return self.application.message(event)

    def _request(self, event: IncomingRequest) -> Answer:
        return self.application.request(event)

    def _session(self, session: SignalingSession) -> Awaitable[object] | None:
        return self.application.session(session)

    def _referral(self, referral: IncomingReferral) -> Awaitable[object] | None:
        return self.application.referral(referral)

    def _notified(self, notified: tuple[Subscription, Notification]) -> None:
        self.application.notified(*notified)

    def subscriber(self, request: IncomingRequest) -> Verdict | bool | Awaitable[Verdict | bool]:
        """What it says to somebody who wants to watch us."""
        return self.application.subscriber(request)

    def authorize(self, connection: ConnectionRequest) -> bool | Awaitable[bool]:
        """What it says to a connection."""
        return self.application.authorize(connection)

    def reload(self) -> list[str]:
        """A newer one takes over where its file has changed; otherwise this one reads its own files anew.

        :returns: what has changed, in words. A newer one that cannot be had, or fails at its start, leaves this one in
            use, and the log says why.
        """
        loader, endpoint = self._loader, self._endpoint
        try:
            if loader is None or endpoint is None or not loader.has_changed:
                return list(self.application.reload())
            application = loader.load_again()
            application.started(endpoint)
        except ApplicationError as error:
            _log.error("the application stays as it was: {error}", error=str(error))
            return []
        except Exception:
            _log.failure("the application stays as it was, for what is new failed")
            return []
        old, self.application = self.application, application
        self._take(application)
        manager = endpoint.connection_manager
        manager.keeper.authorization = asking(manager.reactor, authorizer(self), manager.driver.log_bounds)
        _let_go(old)
        return [f"the application {loader.name} was read anew"]


def authorizer(running: RunningApplication) -> Authorize | None:
    """Who is to be asked about connections; None where the application leaves all of them."""
    return None if type(running.application).authorize is Application.authorize else running.authorize


def _let_go(old: Application) -> None:
    """Tell *old* that another has taken its place; what it says to that is logged where it fails."""
    try:
        result: Any = old.stopped()
    except Exception:
        _log.failure("the application that was replaced failed at its end")
        return
    if iscoroutine(result):
        result = Deferred.fromCoroutine(result)
    if isinstance(result, Deferred):
        result.addErrback(lambda failure: _log.failure("the application that was replaced failed at its end", failure))
