"""The dialog that a NOTIFY makes for its subscriber (RFC 6665 section 4.4.1, RFC 3261 section 12.1, RFC 5630).

It is the subscriber's dialog, as though its own request had made it, but for what comes from the NOTIFY: the peer's
tag, the route set and the target. Whoever has seen the SUBSCRIBE knows what such a NOTIFY has to say, so here is judged
as well who may send it: the party to which the request was sent, or who proves the domain that it was for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.name_addr import parse_name_addr
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request

__all__ = ["Asked"]


@final
class Asked:
    """The request outside of any dialog that may be answered by a NOTIFY: a SUBSCRIBE or a REFER.

    :ivar call_id: its Call-ID.
    :ivar local_tag: our tag in it.
    :ivar cseq: its sequence number, the last one where it was sent more than once.
    """

    __slots__ = ("_errand", "_from", "_is_secure", "_peer", "_to", "_uri", "call_id", "cseq", "local_tag")

    def __init__(self, plan: RequestPlan) -> None:
        self.call_id = plan.call_id
        self.local_tag = plan.from_tag
        self.cseq = plan.cseq
        self._from = plan.from_
        self._to = plan.to
        self._uri = plan.uri
        self._errand: Errand | None = None
        self._peer = ""
        self._is_secure = True

    def sent(self, errand: Errand) -> None:
        """The request is on its way as *errand*, which tells by which flow it went."""
        self._errand = errand
        self.cseq = errand.plan.cseq

    def answered(self, flow: Flow) -> None:
        """Its final response came by *flow*."""
        if self._errand is not None:
            # 22.2 of RFC 3261, 8.1.3.4: whoever answers a challenge or follows a redirection counts on.
            self.cseq = self._errand.plan.cseq
        self._errand = None
        self._peer = flow.peer
        self._is_secure = flow.is_secure

    @property
    def last_cseq(self) -> int:
        """The sequence number that it has now: another one each time that it went out once more."""
        return self.cseq if self._errand is None else self._errand.plan.cseq

    def may_be_answered_by(self, flow: Flow) -> bool:
        """Whether a NOTIFY that came by *flow* is from where the request went: from the same party or, where something
        else than the request's own target was asked, from who proves the domain of that target. What went out over TLS
        is not answered in clear."""
        errand = self._errand
        if errand is not None:
            if errand.transaction is None:
                # Nobody has it.
                return False
            sent = errand.transaction.flow
            peer, is_secure = sent.peer, sent.is_secure
        else:
            peer, is_secure = self._peer, self._is_secure
        if not peer:
            return flow.is_secure or not is_secure
        if flow.peer == peer:
            return True
        return bool(flow.peer) and flow.proves(self._host())

    def _host(self) -> str:
        uri = parse_name_addr(self._to, "To").uri
        return uri.host if isinstance(uri, SipUri) else ""

    def dialog(self, request: Request, flow: Flow) -> Dialog:
        """The dialog that *request*, a NOTIFY that came by *flow*, makes.

        :raises MalformedMessage: when it has no Contact, when that or a Record-Route cannot be read, or when they leave
            the ``sips`` that was asked (RFC 5630 section 5.1.2).
        """
        made = Dialog.of_callee(request, self.local_tag, flow)
        is_secure = flow.is_secure and self._uri.startswith("sips:")
        if is_secure and not (isinstance(made.remote_target, SipUri) and made.remote_target.is_secure):
            raise MalformedMessage("a sips request has to be answered from a sips Contact (RFC 5630 section 5.1.2)")
        made.local = self._from
        made.is_caller = True
        made.is_early = False
        made.is_secure = made.is_secure or is_secure
        made.local_cseq = self.last_cseq
        # What it is compared with next is this NOTIFY itself, which is not to be found out of order.
        made.remote_cseq = None
        return made
