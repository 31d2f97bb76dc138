"""``forward``: everything goes on to another party, and its answer comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import InvalidOperation, RequestFailed, SipError
from sip_p2p.service.applications.base import Answer, Application
from sip_p2p.service.applications.bridge import Bridge
from sip_p2p.service.applications.passing import (
    answer_to,
    body_of,
    hops_left,
    outcome_of,
    passed_on,
    refusal_of_loop,
    time_for_an_answer,
)
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Self

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.service.applications.setting import ApplicationSetting
    from sip_p2p.sip.message import Request, Response

__all__ = ["ForwardApplication"]

MOST_UNDER_WAY = 4096
"""How many requests may wait for the other party's answer; a further one is answered 500 with Retry-After."""

_LATER = "5"


class ForwardApplication(Application):
    """Passes messages, the requests of ``--forward-methods`` and sessions on to ``--forward-to``, and its answers back.

    A back-to-back user agent: to either side it is the party at the other end, under its own name; who asked is named
    in Reply-To. A target without a user stands for the user whom the request is for. What may take no further hop is
    answered 483, what has been here before 482.
    """

    def __init__(self, setting: ApplicationSetting) -> None:
        self.methods = setting.options.forward_methods
        self._happenings = setting.happenings
        self._target = SipUri.parse(setting.options["forward-to"])
        self._endpoint: SipPeerToPeerEndpoint | None = None
        self._token = ""
        self._under_way = 0

    @classmethod
    def make(cls, setting: ApplicationSetting) -> Self:
        """As the command line says."""
        return cls(setting)

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Keep the endpoint to send with."""
        self._endpoint = endpoint
        self._token = endpoint.connection_manager.tokens.tag()

    def message(self, event: IncomingRequest) -> Answer:
        """Pass it on."""
        return self._pass_on(event)

    def request(self, event: IncomingRequest) -> Answer:
        """Pass it on."""
        return self._pass_on(event)

    async def _pass_on(self, event: IncomingRequest) -> Response | int:
        endpoint = self._started
        refusal = refusal_of_loop(event.request, self._token)
        if refusal:
            return refusal
        if self._under_way >= MOST_UNDER_WAY:
            return event.response(500, headers=(("Retry-After", _LATER),))
        target = self._target_of(event.request)
        body, content_type = body_of(event.request)
        self._under_way += 1
        outcome: Response | BaseException
        try:
            outcome = await endpoint.request(
                event.method,
                target,
                body=body,
                content_type=content_type,
                headers=passed_on(event.request, self._token),
                max_forwards=hops_left(event.request) - 1,
                timeout=time_for_an_answer(endpoint),
                retry_after="never",
            )
        except (SipError, ValueError) as error:
            outcome = error
        finally:
            self._under_way -= 1
        answer = answer_to(event, outcome)
        received = outcome.response if isinstance(outcome, RequestFailed) else outcome
        forwarded = {} if isinstance(received, BaseException) else {"forwarded_call_id": received.call_id}
        self._happenings.emit(
            "forwarded", call_id=event.call_id, method=event.method, to=target, status=answer.status, **forwarded
        )
        return answer

    def session(self, session: SignalingSession) -> Awaitable[object] | None:
        """Call the other party for it."""
        invite = session.invite
        if invite is None:
            return None
        refusal = refusal_of_loop(invite, self._token)
        if refusal:
            session.reject(refusal)
            return None
        target = self._target_of(invite)
        try:
            bridge = Bridge(self._started, session, target, self._token)
        except (SipError, ValueError) as error:
            outcome = outcome_of(error, is_invite=True)
            session.reject(outcome.status, headers=outcome.headers)
            return None
        outgoing = bridge.outgoing
        self._happenings.emit(
            "forwarded",
            call_id=session.call_id,
            method="INVITE",
            to=target,
            session=session.number,
            forwarded_call_id=outgoing.call_id,
            forwarded_session=outgoing.number,
        )
        bridge.start()
        return None

    @property
    def _started(self) -> SipPeerToPeerEndpoint:
        if self._endpoint is None:
            raise InvalidOperation("the service has not started")
        return self._endpoint

    def _target_of(self, request: Request) -> str:
        """Where *request* goes."""
        target = self._target
        asked = request.uri
        if target.user is None and isinstance(asked, SipUri) and asked.user is not None:
            target = target.replace(user=asked.user)
        return str(target)
