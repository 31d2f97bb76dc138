"""One REGISTER on its way to a registrar, and what comes back (RFC 3261 section 10.2, RFC 5626 section 4.2.1).

A refresh takes the flow that the binding is bound to, while that is open; anything else goes as any request does, from
server to server until one answers. No two bindings of one registration take the same flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from twisted.python.failure import Failure

from sip_p2p.endpoint.authentication.login import refusal_of
from sip_p2p.endpoint.delivery import Delivery
from sip_p2p.errors import AuthenticationFailed, ConnectionFailure
from sip_p2p.sip.outputs import TransactionTimedOut
from sip_p2p.transport.stream.flow import StreamFlow

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.registration.registration import Registration
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.outputs import ResponseReceived, TransactionFailed
    from sip_p2p.sip.registration.binding import Binding
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Target

__all__ = ["RegisterRun"]


@final
class RegisterRun(Delivery):
    """One REGISTER.

    :ivar errand: which.
    :ivar flow: what carries it, or carried it last; None before anything has.
    """

    __slots__ = ("_binding", "_heard_before", "_is_apart", "_registration", "errand", "flow")

    def __init__(
        self,
        registration: Registration,
        binding: Binding,
        errand: Errand,
        target: Target,
        through: IStreamClientEndpoint | None,
    ) -> None:
        """
        :param target: where it goes first, and the name that is to be proved there.
        :param through: the Twisted client endpoint to connect with; None leaves it to the target's name.
        """
        super().__init__(registration.endpoint, errand.plan, target, through, registration.family)
        self.errand = errand
        self.flow: LiveFlow | None = None
        self._binding = binding
        self._registration = registration
        # Whether it looks for a flow of its own, as the one that was there is another binding's.
        self._is_apart = False
        # How many messages had come by the flow when it was written to.
        self._heard_before = 0

    def start(self, flow: LiveFlow | None) -> None:
        """Begin.

        :param flow: the flow to take while it is open.
        """
        if flow is not None and flow.is_open:
            self._begin_on_known_flow()
            self._carry(flow)
        else:
            self._find_flow()

    def _contact_on(self, flow: LiveFlow) -> str:
        return self._registration.contact_on(flow, self._binding)

    def _carry(self, flow: LiveFlow) -> None:
        if self._registration.serves_other(flow, self._binding):
            # RFC 5626 section 4.2.1: a second flow that is the first one makes nothing safer.
            if self._is_apart:
                words = f"{flow!r} carries another binding of this registration already"
                self._fail(Failure(ConnectionFailure(words)))
            else:
                self._is_apart = True
                self._begin_on_known_flow()
                self._the_candidates().is_elsewhere = True
                self._locate()
            return
        self.flow = flow
        self._heard_before = flow.messages
        # RFC 6223 section 4.2.2: what was agreed holds until the next REGISTER, which asks for it again.
        keep_alive = flow.keep_alive
        is_offered = keep_alive is not None and keep_alive.offer_again(flow)
        super()._carry(flow)
        if keep_alive is not None and is_offered:
            keep_alive.offered(flow)

    def transaction_ended(self, output: TransactionTimedOut | TransactionFailed) -> None:
        """There will be no final response. A connection by which nothing at all came meanwhile has failed, though
        nothing says so (RFC 5626 section 4.5): whoever else is on it learns that by its end, and another one is looked
        for."""
        flow = self.flow
        was_silent = isinstance(flow, StreamFlow) and flow.is_open and flow.messages == self._heard_before
        if was_silent and isinstance(output, TransactionTimedOut):
            cast("StreamFlow", flow).abort()
        super().transaction_ended(output)

    def _answered(self, output: ResponseReceived) -> None:
        if self._finished:
            return
        response, login = output.response, self._login
        self.errand.refusal = refusal_of(response, login)
        wrong = "" if login is None or response.status >= 300 else login.hear_success(response)
        self._close()
        if wrong:
            realm = "" if login is None else login.realm
            self._registration.failed(self.errand, AuthenticationFailed(response, realm, wrong))
        else:
            self._registration.answered(self.errand, output)

    def _refused_by_all(self, output: ResponseReceived) -> None:
        self._answered(output)

    def _fail(self, failure: Failure) -> None:
        if not self._finished:
            reason = cast("BaseException", failure.value)
            self._close()
            self._registration.failed(self.errand, reason)

    def give_up(self) -> None:
        """Nobody wants to hear of it any more."""
        if not self._finished:
            self._close()

    def _close(self) -> None:
        self._finished = True
        self._abandon()
        self._registration.run_ended(self._binding, self)
