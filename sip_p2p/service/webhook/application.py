"""``webhook``: the hook's answers are ours.

Every MESSAGE, every INVITE, every REFER and every request with one of ``--webhook-methods`` is POSTed, and answered
with what the hook says to it; where ``--watchers ask`` leaves it to us, so is every SUBSCRIBE. No 2xx leaves before the
hook has accepted; a hook that fails means 503 with Retry-After (:mod:`.failure`).
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.errors import SipError
from sip_p2p.service.applications.base import Answer, Application
from sip_p2p.service.applications.passing import may_have_body
from sip_p2p.service.webhook.decision import parse_request_answer
from sip_p2p.service.webhook.deliverer import Deliverer
from sip_p2p.service.webhook.failure import STATUS, HookFailure
from sip_p2p.service.webhook.payload import referral_data, request_data
from sip_p2p.service.webhook.permission import parse_referral_answer, parse_verdict
from sip_p2p.service.webhook.sessions import DecidedSession
from sip_p2p.service.words import explain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.service.applications.setting import ApplicationSetting
    from sip_p2p.sip.message import Response

__all__ = ["RETRY_AFTER", "WebhookApplication"]

RETRY_AFTER = (5, 10)
"""Between how many seconds a sender is told to wait where the hook does not say: drawn, so that not all come back at
once."""


class WebhookApplication(Application):
    """Asks the hook about everything, and answers what it says.

    :ivar deliverer: what goes to the hook.
    :param draw: an integer between two bounds, both included.
    """

    def __init__(
        self,
        setting: ApplicationSetting,
        deliverer: Deliverer,
        draw: Callable[[int, int], int] = random.randint,
    ) -> None:
        self.deliverer = deliverer
        self.methods = deliverer.settings.methods
        self._happenings = setting.happenings
        self._reactor = setting.reactor
        self._draw = draw

    @classmethod
    def make(cls, setting: ApplicationSetting) -> Self:
        """As the command line says.

        :raises ValueError: there is no hook, or a file cannot be used.
        """
        deliverer = setting.webhook
        if deliverer is None:
            settings = setting.options.webhook
            if settings is None:
                raise ValueError("--application webhook needs --webhook: where do deliveries go?")
            # Made to be looked at: nothing follows what happens.
            quiet = settings._replace(events=frozenset())
            deliverer = Deliverer(setting.reactor, setting.happenings, quiet)
        return cls(setting, deliverer)

    def message(self, event: IncomingRequest) -> Answer:
        """Ask the hook."""
        return self._ask("message", event, None)

    def request(self, event: IncomingRequest) -> Answer:
        """Ask the hook."""
        return self._ask("request", event, None)

    def session(self, session: SignalingSession) -> Awaitable[object] | None:
        """Ask the hook until it has decided."""
        decided = DecidedSession(
            self._reactor, self.deliverer, self._happenings, session, self._ask_within, self.retry_after
        )
        return decided.decide(tuple(self.methods))

    async def referral(self, referral: IncomingReferral) -> None:
        """Ask the hook, and do what it says; what it does not answer is declined with 503."""
        try:
            answer = await self.deliverer.ask("referral", referral_data(referral), parse_referral_answer)
        except HookFailure as failure:
            if not referral.is_decided:
                referral.decline(STATUS, headers=[self.retry_after(failure)])
            return
        if referral.is_decided:
            # Its sender has gone meanwhile.
            return
        if not answer.is_accepted:
            referral.decline(answer.status, answer.reason)
            return
        try:
            referral.accept(offer=answer.offer)
        except (SipError, ValueError) as error:
            words = explain(error)
            self._happenings.emit("session-failed", words=words.what, remedy=words.remedy)
            if not referral.is_decided:
                referral.decline(500)

    async def subscriber(self, request: IncomingRequest) -> Verdict:
        """Ask the hook; a subscription about which it says nothing is refused with 503."""
        try:
            return await self.deliverer.ask("subscriber", request_data(request), parse_verdict, request.call_id)
        except HookFailure as failure:
            return Verdict.reject(STATUS, retry_after=int(self.retry_after(failure)[1]))

    def stopped(self) -> Awaitable[None] | None:
        """What the hook has not heard of yet is delivered, within the drain time."""
        return self.deliverer.drain()

    def retry_after(self, failure: HookFailure) -> tuple[str, str]:
        """The field that says when a request may come again."""
        least, most = RETRY_AFTER
        told = failure.retry_after or 0.0
        return "Retry-After", str(max(math.ceil(told), self._draw(least, most)))

    def _ask_within(self, event: IncomingRequest, session: SignalingSession) -> Deferred[Response | int | None]:
        return self._ask("message" if event.method == "MESSAGE" else "request", event, session)

    def _ask(
        self, kind: str, event: IncomingRequest, session: SignalingSession | None
    ) -> Deferred[Response | int | None]:
        return Deferred.fromCoroutine(self._answer(kind, event, session))

    async def _answer(self, kind: str, event: IncomingRequest, session: SignalingSession | None) -> Response:
        data = request_data(event, session)
        try:
            answer = await self.deliverer.ask(kind, data, parse_request_answer, event.call_id)
        except HookFailure as failure:
            return event.response(STATUS, headers=[self.retry_after(failure)])
        body, content_type = answer.body, answer.content_type
        if not may_have_body(event, answer.status):
            body, content_type = b"", None
        return event.response(
            answer.status, answer.reason, headers=answer.headers, body=body, content_type=content_type
        )
