"""The requests of INVITEs and of dialogs on their way: a flow is found, the transaction runs, and the owner hears all
of it (RFC 3261 sections 8.1.2, 12.2.1 and 13.2.2.4, RFC 3263 section 4.3).

The machines of :mod:`sip_p2p.sip.dialog` say which request they want to be sent (an *errand*), and what comes of it is
theirs to judge: provisional responses, a 503 that no other server makes good, any number of 2xx to one INVITE. Here is
only the way: an INVITE goes from server to server, each time with another branch, with the Contact that belongs to its
flow; a request of a dialog goes where :mod:`.dialog_flow` says. Retry-After is not waited for here, and no request that
a peer may have read goes out twice, but for BYE: a second one is answered 481 at worst.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast, final

from twisted.python.failure import Failure

from sip_p2p.endpoint.authentication.login import credentials_of, refusal_of
from sip_p2p.endpoint.delivery import Delivery
from sip_p2p.endpoint.flow_search import FlowSearch
from sip_p2p.endpoint.session.dialog_flow import DialogFlows, Hop
from sip_p2p.endpoint.session.recovery import Recoveries
from sip_p2p.errors import (
    ConnectionFailure,
    EndpointTerminated,
    InvalidOperation,
    MalformedMessage,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.transport.stream.flow import StreamFlow

if TYPE_CHECKING:
    from typing import TypeAlias

    from twisted.internet.interfaces import IStreamClientEndpoint

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import AckWanted, Errand
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.outputs import ResponseReceived
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Target

    _Way: TypeAlias = tuple[Target | None, AddressFamilyHint | None]

__all__ = ["Errands"]


@final
class Errands:
    """Every request of a session that is under way, of one connection manager.

    :ivar manager: the connection manager.
    :ivar flows: the flows that dialogs hold.
    :ivar recoveries: the dialogs that look for a new one.
    """

    __slots__ = ("_acks", "_moving_up", "_parties", "_publishing", "_runs", "flows", "manager", "recoveries")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self.manager = manager
        self._runs: dict[Errand, _Run] = {}
        self._acks: dict[_AckRun, None] = {}
        # How many requests each party has on their way: asked whenever one of many parties ends.
        self._parties: Counter[RealTimeEndpoint] = Counter()
        # RFC 3903 section 4: of each resource for which a PUBLISH is under way, those that wait for its end.
        self._publishing: dict[tuple[RealTimeEndpoint, str], dict[Errand, _Way]] = {}
        self._moving_up: set[tuple[RealTimeEndpoint, str]] = set()
        self.flows = DialogFlows()
        self.recoveries = Recoveries(self, manager)

    def __len__(self) -> int:
        """How many have no final response yet, ACKs without a flow among them, and what waits for its turn."""
        return len(self._runs) + len(self._acks) + sum(map(len, self._publishing.values()))

    def run(
        self,
        errand: Errand,
        endpoint: RealTimeEndpoint,
        *,
        via: Target | None = None,
        family: AddressFamilyHint | None = None,
    ) -> None:
        """Send the request of *errand*, and tell its owner what becomes of it.

        :param endpoint: whose request it is.
        :param via: outside of a dialog, send it there instead of where its Request-URI leads (row E22).
        :param family: which addresses may be used; by default the endpoint's.
        """
        if self.recoveries.holds_back(errand):
            return
        if _is_publication(errand):
            waiting = self._publishing.get((endpoint, errand.plan.uri))
            if waiting is not None:
                waiting[errand] = (via, family)
                return
            self._publishing[endpoint, errand.plan.uri] = {}
        self._begin(errand, endpoint, via, family)

    def _begin(
        self, errand: Errand, endpoint: RealTimeEndpoint, via: Target | None, family: AddressFamilyHint | None
    ) -> None:
        try:
            hop, target, through = self._way(errand.plan, endpoint, via)
        except (ConnectionFailure, ValueError) as error:
            reason = error if isinstance(error, ConnectionFailure) else ConnectionFailure(str(error))
            self.failed(errand, reason)
            self._let_next(errand, endpoint)
            return
        hint = endpoint.family if family is None else family
        run = self._runs[errand] = _Run(self, errand, endpoint, hop, target, through, hint)
        self._parties[endpoint] += 1
        run.start()

    def _let_next(self, errand: Errand, endpoint: RealTimeEndpoint) -> None:
        """*errand* is over: the PUBLISH that has waited longest for that goes out."""
        key = (endpoint, errand.plan.uri)
        if not _is_publication(errand) or key not in self._publishing or key in self._moving_up:
            return
        waiting = self._publishing[key]
        # One that fails at once comes back here, and is followed by this loop.
        self._moving_up.add(key)
        try:
            while waiting:
                following = next(iter(waiting))
                self._begin(following, endpoint, *waiting.pop(following))
                if following in self._runs:
                    return
        finally:
            self._moving_up.remove(key)
        del self._publishing[key]

    def acknowledge(self, effect: AckWanted, endpoint: RealTimeEndpoint) -> None:
        """Send the ACK of *effect*, and give its octets and its flow to the usage that owns it.

        Where there is no flow for it nothing is told: the peer sends its 2xx again, and the usage asks once more.
        """
        plan = effect.plan
        if plan.dialog is not None and plan.dialog.credentials:
            # 13.2.2.4: nobody can challenge an ACK.
            plan.fields = [*plan.fields, *plan.dialog.credentials]
        try:
            hop, target, through = self._way(plan, endpoint, None)
        except (ConnectionFailure, ValueError):
            return
        run = _AckRun(self, effect, endpoint, hop, target, through)
        self._acks[run] = None
        run.start()

    def withdraw(self, errand: Errand) -> None:
        """The request of *errand* is wanted no longer: where it was not sent it never is, and nobody hears of it again;
        where it was, no other server gets it, and its outcome is told as ever."""
        run = self._runs.get(errand)
        if run is not None:
            run.withdraw()
        for waiting in self._publishing.values() if _is_publication(errand) else ():
            waiting.pop(errand, None)
        self.recoveries.withdraw(errand)

    def carries(self, errand: Errand) -> bool:
        """Whether the request of *errand* is on its way."""
        return errand in self._runs

    # -- what becomes of dialogs and of flows --------------------------------------------------------------------------

    def heard(self, dialog: Dialog) -> None:
        """A request or an ACK of the peer came in *dialog*: the flow that it came by is held from now on."""
        if dialog in self.manager.core.dialogs:
            self.flows.hold(dialog)
            self.recoveries.heard(dialog)

    def dialog_ended(self, dialog: Dialog) -> None:
        """*dialog* is no more, or only waits for the end of what is under way: it holds nothing, unless subscriptions
        still use it."""
        if dialog.user is None:
            self.recoveries.forget(dialog)
        if not dialog.subscriptions:
            self.flows.release(dialog)

    def flow_lost(self, flow: LiveFlow, reason: BaseException) -> None:
        """*flow* is gone: the dialogs on it need another one."""
        dialogs = self.flows.lost(flow)
        if dialogs:
            self.recoveries.flow_lost(flow, dialogs, reason)
            self.manager.lives.flow_lost(flow, dialogs)
            self.manager.driver.drain()

    def under_way(self, endpoint: RealTimeEndpoint) -> int:
        """How many requests of *endpoint* have no outcome yet."""
        return self._parties[endpoint]

    def end(self, endpoint: RealTimeEndpoint) -> None:
        """*endpoint* is no more: what it has under way fails."""
        waiting = [(each, list(each)) for (whose, _), each in self._publishing.items() if whose is endpoint]
        for each, errands in waiting:
            each.clear()
            for errand in errands:
                self.failed(errand, EndpointTerminated("the endpoint was terminated"))
        for run in [run for run in self._runs.values() if run.endpoint is endpoint]:
            run.give_up(EndpointTerminated("the endpoint was terminated"))
        for ack in [ack for ack in self._acks if ack.endpoint is endpoint]:
            ack.give_up()

    def _way(
        self, plan: RequestPlan, endpoint: RealTimeEndpoint, via: Target | None
    ) -> tuple[Hop | None, Target, IStreamClientEndpoint | None]:
        """Where a request goes.

        :raises ConnectionFailure: when it leads nowhere.
        :raises ValueError: likewise.
        """
        if plan.dialog is None:
            target, through = endpoint.first_hop(plan, via)
            return None, target, through
        hop = Hop(plan, plan.dialog, endpoint)
        return hop, hop.target, hop.through

    # -- what the runs tell --------------------------------------------------------------------------------------------

    def answered(self, errand: Errand, output: ResponseReceived) -> None:
        """A response came; called by the run."""
        manager = self.manager
        plan, flow, response = errand.plan, output.transaction.flow, output.response
        dialog = plan.dialog
        if dialog is not None:
            if response.status >= 200 and self.recoveries.takes_answer(errand, response.status):
                return
            dialog.flow = flow
        errand.owner.errand_answered(errand, response, flow, manager.driver.now())
        if dialog is None:
            dialog = self._made_by(plan, response)
        if dialog is not None and response.status > 100:
            self.heard(dialog)
            if plan.method == "INVITE" and 200 <= response.status < 300:
                dialog.credentials = credentials_of(output.transaction.request)
        manager.driver.drain()

    def failed(self, errand: Errand, reason: BaseException) -> None:
        """There will be no final response; called by the run."""
        if not self.recoveries.takes_failure(errand, reason):
            errand.owner.errand_failed(errand, reason, self.manager.driver.now())
        self.manager.driver.drain()

    def ended(self, run: _Run | _AckRun) -> None:
        """One is over; called by the run."""
        if isinstance(run, _Run):
            if self._runs.pop(run.errand, None) is not None:
                self._parties[run.endpoint] -= 1
                if not self._parties[run.endpoint]:
                    del self._parties[run.endpoint]
                self._let_next(run.errand, run.endpoint)
        else:
            self._acks.pop(run, None)
        self.manager.drain_state.maybe_quiet(run.endpoint)

    def _made_by(self, plan: RequestPlan, response: Response) -> Dialog | None:
        """The dialog that *response* has made or meant (section 12.1), if it lives."""
        try:
            tag = response.to.tag if 100 < response.status < 300 else None
        except MalformedMessage:
            return None
        return None if tag is None else self.manager.core.dialogs.find(plan.call_id, plan.from_tag, tag)


def _is_publication(errand: Errand) -> bool:
    """Whether the request of *errand* waits for those before it to the same resource."""
    return errand.plan.method == "PUBLISH" and errand.plan.dialog is None


@final
class _Run(Delivery):
    """One errand.

    :ivar errand: the errand.
    """

    __slots__ = ("_errands", "_hop", "_is_unwanted", "_was_sent", "errand")

    def __init__(
        self,
        errands: Errands,
        errand: Errand,
        endpoint: RealTimeEndpoint,
        hop: Hop | None,
        target: Target,
        through: IStreamClientEndpoint | None,
        family: AddressFamilyHint,
    ) -> None:
        super().__init__(endpoint, errand.plan, target, through, family)
        self.errand = errand
        self._errands = errands
        self._hop = hop
        self._is_unwanted = False
        self._was_sent = False

    @property
    def endpoint(self) -> RealTimeEndpoint:
        """Whose request it is."""
        return self._endpoint

    def start(self) -> None:
        """Begin."""
        self._find_flow()

    def _find_flow(self) -> None:
        # Nobody can have read what went before, if anything did.
        self.errand.transaction = None
        hop = self._hop
        flow = None if hop is None else hop.own_flow(self._manager.pool)
        if flow is None:
            super()._find_flow()
        elif not (isinstance(flow, StreamFlow) and self._is_to_be_read_first(flow)):
            self._begin_on_known_flow()
            self._carry(flow)

    def _carry(self, flow: LiveFlow) -> None:
        hop = self._hop
        if hop is not None and not hop.may_carry(flow):
            self._fail(Failure(_stranger(hop, flow)))
            return
        super()._carry(flow)
        if self._transaction is not None:
            self._was_sent = True
            self.errand.transaction = self._transaction

    def _progressed(self, output: ResponseReceived) -> None:
        self._errands.answered(self.errand, output)

    def _may_be_sent_anew(self) -> bool:
        return not self._is_unwanted

    def _renumber(self) -> bool:
        dialog = self._plan.dialog
        if dialog is None:
            return super()._renumber()
        if self._plan.method != "BYE" and dialog not in self._manager.core.dialogs:
            return False
        try:
            # 12.2.1.1: other requests may have gone out meanwhile.
            self._plan.cseq = dialog.plan(self._plan.method).cseq
        except InvalidOperation:
            return False
        return True

    def _answered(self, output: ResponseReceived) -> None:
        self.errand.refusal = refusal_of(output.response, self._login)
        if self._login is not None and 200 <= output.response.status < 300:
            self._login.hear_success(output.response)
        # 13.2.2.4: to an INVITE there may be any number of 2xx; the transaction lives on for them.
        if not self._finished:
            self._finished = True
            self._stop_searching()
            self._errands.ended(self)
        self._errands.answered(self.errand, output)

    def _refused_by_all(self, output: ResponseReceived) -> None:
        self._answered(output)

    def _fail_over(self, failure: Failure, retry_after: float | None = None) -> None:
        if self._is_unwanted and not self._finished:
            # 9.1: who has called it off wants no other server to begin with it.
            self._exhausted(failure)
            return
        # Until the next server has it, no transaction carries it.
        self.errand.transaction = None
        super()._fail_over(failure, retry_after)

    def _exhausted(self, failure: Failure) -> None:
        hop = self._hop
        if (
            hop is not None
            and not self._was_sent
            and not self._is_unwanted
            and isinstance(failure.value, ConnectionFailure)
        ):
            flow = hop.opened_by_peer(self._manager.pool)
            if flow is not None:
                # The peer cannot be dialled, and has come by itself.
                self._was_sent = True
                self._carry(flow)
                return
        super()._exhausted(failure)

    def _has_others(self) -> bool:
        # 12.2.1.2: the peer of a dialog is one party, without others to ask in its place.
        return self._hop is None or self._hop.is_route

    def _ended(self, failure: Failure, *, may_go_on: bool) -> None:
        super()._ended(failure, may_go_on=may_go_on and self._has_others())

    def _may_be_read_twice(self) -> bool:
        return self._plan.method == "BYE" or super()._may_be_read_twice()

    def _fail(self, failure: Failure) -> None:
        if not self._finished:
            self.give_up(cast("BaseException", failure.value))

    def give_up(self, reason: BaseException) -> None:
        """There will be no final response, for this *reason*."""
        self._close()
        self._errands.failed(self.errand, reason)

    def withdraw(self) -> None:
        """Begin nothing more; it is over where no transaction carries it, or one whose outcome nobody waits for."""
        self._is_unwanted = True
        if self._transaction is None or self._transaction.is_abandoned:
            self._close()

    def _close(self) -> None:
        self._finished = True
        self._abandon()
        self._errands.ended(self)


@final
class _AckRun(FlowSearch):
    """The ACK of one 2xx, until it has a flow.

    :ivar endpoint: whose it is.
    """

    __slots__ = ("_errands", "_hop", "_owner", "endpoint")

    def __init__(
        self,
        errands: Errands,
        effect: AckWanted,
        endpoint: RealTimeEndpoint,
        hop: Hop | None,
        target: Target,
        through: IStreamClientEndpoint | None,
    ) -> None:
        super().__init__(endpoint.connection_manager, effect.plan, target, through, endpoint.family)
        self._errands = errands
        self._owner = effect.owner
        self._hop = hop
        self.endpoint = endpoint

    def start(self) -> None:
        """Begin."""
        self._find_flow()

    def _find_flow(self) -> None:
        hop = self._hop
        flow = None if hop is None else hop.own_flow(self._manager.pool)
        if flow is None:
            super()._find_flow()
        else:
            self._carry(flow)

    def _carry(self, flow: LiveFlow) -> None:
        hop = self._hop
        if hop is not None and not hop.may_carry(flow):
            self._fail(Failure(_stranger(hop, flow)))
            return
        self._close()
        octets = self._manager.core.acknowledge(self._plan, flow)
        self._owner.ack_sent(octets, flow)
        if hop is not None:
            hop.dialog.flow = flow
            if hop.dialog in self._manager.core.dialogs:
                self._errands.flows.hold(hop.dialog)
        self._manager.driver.drain()

    def _exhausted(self, failure: Failure) -> None:
        flow = None if self._hop is None else self._hop.opened_by_peer(self._manager.pool)
        if flow is None:
            self._fail(failure)
        else:
            self._carry(flow)

    def _fail(self, failure: Failure) -> None:
        self._close()

    def give_up(self) -> None:
        """Nobody wants it to be sent any more."""
        if not self._finished:
            self._close()

    def _close(self) -> None:
        self._finished = True
        self._stop_searching()
        self._errands.ended(self)


def _stranger(hop: Hop, flow: LiveFlow) -> TlsFailure:
    """Why a flow that was found is not for this dialog."""
    detail = f"{flow!r} is not the party that the dialog was made with"
    return TlsFailure(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, hop.dialog.peer, detail=detail)
