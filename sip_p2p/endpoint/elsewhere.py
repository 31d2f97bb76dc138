"""Where a request of an application goes that was redirected (RFC 3261 section 8.1.3.4, row F11).

What a 3xx names is a stranger's word, so nothing is followed unless the application says how far. The rules of where
nothing ever leads are those of calls (:mod:`sip_p2p.sip.dialog.redirection`): no target twice, out of TLS never, not to
this machine from elsewhere, and not back to ourselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.dialog.redirection import Redirection, another_attempt, fields_of_uri

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.transport.target import Target

__all__ = ["Elsewhere"]

_MOST_TARGETS = 10


@final
class Elsewhere:
    """The targets that redirections have named for one request.

    :ivar plan: the request as it goes to the target of :meth:`next`.
    """

    __slots__ = ("_endpoint", "_fields", "_redirection", "plan")

    def __init__(self, endpoint: RealTimeEndpoint, plan: RequestPlan, most: int) -> None:
        """
        :param most: how many redirections may follow one another.
        """
        self._endpoint = endpoint
        self._redirection = Redirection(plan.uri, most, _MOST_TARGETS)
        self._fields = plan.fields
        self.plan = plan

    def hear(self, response: Response, flow: Flow) -> None:
        """A response of 300 or above came by *flow*; what it says of targets is taken."""
        redirection = self._redirection
        if response.status >= 600:
            # 21.6: it speaks for whomever is asked for, wherever that is.
            redirection.clear()
        elif response.status < 400 and response.status != 305 and redirection.may_follow:
            directory = self._endpoint.connection_manager.core.directory
            redirection.follow(redirection.contacts(response, flow, self._endpoint.profile, directory))

    def next(self) -> tuple[Target, IStreamClientEndpoint | None] | None:
        """Where to go now, with :attr:`plan`; None when nothing is left."""
        while (uri := self._redirection.next()) is not None:
            said = {name.lower() for name, _ in self._fields}
            asked = [(name, value) for name, value in fields_of_uri(uri) if name.lower() not in said]
            plan = another_attempt(self.plan, uri, [*self._fields, *asked])
            plan.routes = []
            try:
                hop = self._endpoint.first_hop(plan)
                plan.prepare()
            except ValueError:
                # It names nothing that can be sent to.
                continue
            self.plan = plan
            return hop
        return None
