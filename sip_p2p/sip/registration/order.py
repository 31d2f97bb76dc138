"""What all REGISTERs of one registration have in common, whichever flow they take (RFC 3261 section 10.2, RFC 5626
section 4.2.1, RFC 3327 section 5.1, RFC 5627 section 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.registration.recovery import FlowRecovery

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONGEST_EXPIRES", "RegisterOrder"]

LONGEST_EXPIRES = 2**32 - 1


@final
class RegisterOrder:
    """What is asked of a registrar.

    :ivar uri: the Request-URI: the domain of the registrar, without a user.
    :ivar owner: the address of record, for To and From.
    :ivar expires: for how many seconds a binding is wanted.
    :ivar use_outbound: whether flows are numbered, so that a registrar can tell them apart (RFC 5626).
    :ivar use_gruu: whether a GRUU is wanted (RFC 5627).
    :ivar keeps_trying: whether even a refusal that is final is followed by another attempt, after a wait.
    :ivar recovery: how long these waits are.
    :ivar fields: further header fields, already checked.
    """

    __slots__ = ("expires", "fields", "from_", "keeps_trying", "owner", "recovery", "uri", "use_gruu", "use_outbound")

    def __init__(
        self,
        uri: str,
        owner: str,
        from_: str,
        *,
        expires: int = 3600,
        use_outbound: bool = True,
        use_gruu: bool = True,
        keeps_trying: bool = False,
        recovery: FlowRecovery | None = None,
        fields: Iterable[tuple[str, str]] = (),
    ) -> None:
        """
        :param from_: the From value, without a tag.
        :raises ValueError: for an *expires* that is not between 1 and 2**32 - 1.
        """
        if not 1 <= expires <= LONGEST_EXPIRES:
            raise ValueError(f"expires={expires}: a binding stands for 1 to {LONGEST_EXPIRES} seconds")
        self.uri = uri
        self.owner = owner
        self.from_ = from_
        self.expires = expires
        self.use_outbound = use_outbound
        self.use_gruu = use_gruu
        self.keeps_trying = keeps_trying
        self.recovery = FlowRecovery() if recovery is None else recovery
        self.fields = list(fields)

    def plan(self, tag: str, call_id: str, cseq: int, expires: int, *, is_outbound: bool) -> RequestPlan:
        """One REGISTER; its Contact is that of the flow that it will take.

        :param is_outbound: whether it names the number of its flow.
        """
        plan = RequestPlan("REGISTER", self.uri, self.from_, tag, call_id)
        plan.to = f"<{self.owner}>"
        plan.cseq = cseq
        supported = ["path"]
        if is_outbound:
            supported.append("outbound")
        if self.use_gruu:
            supported.append("gruu")
        plan.fields = [("Supported", ", ".join(supported)), ("Expires", str(expires)), *self.fields]
        return plan
