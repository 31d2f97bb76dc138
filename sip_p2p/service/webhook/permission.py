"""What the hook's answer means for whoever wants to watch us, and for a peer's REFER.

For a subscriber one of::

    {"decision": "accept"}
    {"decision": "pending"}
    {"decision": "reject", "status": 403, "retry_after": 3600}

For a referral one of::

    {"decision": "accept", "offer": "v=0...", "content_type": "application/sdp"}
    {"decision": "decline", "status": 603, "reason": "..."}

Nothing at all leaves a subscriber pending, and declines a referral: nobody has said yes. Pure: values in, values out.
"""

from __future__ import annotations

from typing import Any, final

from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.service.webhook.decision import check_names, integer_of, object_of, octets_of_text, reason_of, text_of
from sip_p2p.sip.dialog.description import SDP, ContentDescription

__all__ = ["ReferralAnswer", "parse_referral_answer", "parse_verdict"]

_LONGEST_RETRY = 2**31 - 1
_VERDICTS = {
    "accept": frozenset[str](),
    "pending": frozenset[str](),
    "reject": frozenset(("status", "retry_after")),
}
_REFERRALS = {"accept": frozenset(("offer", "content_type")), "decline": frozenset(("status", "reason"))}


@final
class ReferralAnswer:
    """The hook's decision about a REFER.

    :ivar is_accepted: whether the call is made.
    :ivar offer: what it offers; None asks the other side to offer.
    :ivar status: the status that declines it.
    :ivar reason: the phrase; None for the usual one.
    """

    __slots__ = ("is_accepted", "offer", "reason", "status")

    def __init__(
        self,
        *,
        is_accepted: bool,
        offer: ContentDescription | None = None,
        status: int = 603,
        reason: str | None = None,
    ) -> None:
        self.is_accepted = is_accepted
        self.offer = offer
        self.status = status
        self.reason = reason


def _decision(body: bytes, known: dict[str, frozenset[str]], usual: str) -> tuple[str, dict[str, Any]]:
    said = object_of(body)
    word = said.pop("decision", None if said else usual)
    if not isinstance(word, str) or word not in known:
        raise ValueError(f"the decision is none of {', '.join(known)}")
    check_names(said, known[word])
    return word, said


def parse_verdict(body: bytes) -> Verdict:
    """What the body of a hook's 2xx says about a subscriber.

    :raises ValueError: it cannot be understood to its end; the text says why.
    """
    word, said = _decision(body, _VERDICTS, "pending")
    if word == "accept":
        return Verdict.accept()
    if word == "pending":
        return Verdict.pending()
    retry_after = None
    if "retry_after" in said:
        retry_after = integer_of(said, "retry_after", 0, 0, _LONGEST_RETRY)
    return Verdict.reject(integer_of(said, "status", 403, 400, 699), retry_after=retry_after)


def parse_referral_answer(body: bytes) -> ReferralAnswer:
    """What the body of a hook's 2xx says about a REFER.

    :raises ValueError: it cannot be understood to its end; the text says why.
    """
    word, said = _decision(body, _REFERRALS, "decline")
    if word == "decline":
        status = integer_of(said, "status", 603, 300, 699)
        return ReferralAnswer(is_accepted=False, status=status, reason=reason_of(said, status))
    offer = octets_of_text(said, "offer")
    content_type = text_of(said, "content_type")
    if offer is None and content_type is not None:
        raise ValueError("there is a content_type and nothing of that type")
    return ReferralAnswer(
        is_accepted=True, offer=None if offer is None else ContentDescription(offer, content_type or SDP)
    )
