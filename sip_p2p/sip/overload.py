"""Overload control between two neighbours, by loss (RFC 7339): what stands in the Via, and who is to be spared.

A client that takes part says ``oc`` and the algorithms that it knows in its Via; the server fills in, in every
response, the percentage of requests that it would rather not get, for how long that holds, and a number by which older
wishes are told from newer ones. The default algorithm of section 6 is all there is here; the rate of RFC 7415 is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import parse_number
from sip_p2p.sip.params import format_params
from sip_p2p.sip.via import parse_via

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.compose import RequestPlan

__all__ = ["OFFER", "Feedback", "LossControl", "answer_offer", "is_offer", "is_spared", "read_feedback"]

OFFER = ';oc;oc-algo="loss"'
"""What a client that takes part appends to its Via (sections 4.1, 4.2 and 5.1)."""

DEFAULT_VALIDITY = 0.5
"""Seconds; section 4.3."""

_PARAMS = frozenset(("oc", "oc-algo", "oc-validity", "oc-seq"))
_LONGEST_VALIDITY = 3_600_000
# The default algorithm of section 6 begins with four fifths of all requests in the category that is reduced first.
_FIRST_MIX = 80.0
_MIXED = 1000
# Seconds: a response is not under way for longer than transactions live. A server whose numbers begin anew after that,
# because its clock was set back, is believed.
_LONGEST_UNDER_WAY = 64.0


@final
class Feedback:
    """What a server said.

    :ivar loss: the percentage of requests that it does not want, 0 to 100.
    :ivar validity: for how many seconds; 0 ends all control (section 4.3).
    :ivar sequence: its number; None where it gave none.
    """

    __slots__ = ("loss", "sequence", "validity")

    def __init__(self, loss: int, validity: float, sequence: tuple[int, int] | None) -> None:
        self.loss = loss
        self.validity = validity
        self.sequence = sequence

    def __repr__(self) -> str:
        return f"<Feedback {self.loss} % for {self.validity:g} s>"


def is_offer(via: str) -> bool:
    """Whether *via* is of a client that takes part and knows the algorithm of loss."""
    try:
        params = parse_via(via).params
    except MalformedMessage:
        return False
    return "oc" in params and params["oc"] is None and "loss" in _algorithms(params)


def answer_offer(via: str, loss: int, validity: float, now: float) -> str:
    """*via* as a response has it: with our wish in the place of the offer, and otherwise as it came (section 5.2).

    :param loss: the percentage of requests that are not wanted; 0 when there is no overload.
    :param validity: for how many seconds that holds.
    :param now: a time in seconds that never goes back, from which the wish takes its number.
    """
    if not is_offer(via):
        return via
    parsed = parse_via(via)
    kept = {name: value for name, value in parsed.params.items() if name not in _PARAMS}
    milliseconds = round(validity * 1000) if loss else 0
    head = f"{parsed.protocol}/{parsed.transport} {parsed.sent_by}{format_params(kept)}"
    seconds, fraction = divmod(int(now * 100_000), 100_000)
    return f'{head};oc={loss};oc-algo="loss";oc-validity={milliseconds};oc-seq={seconds % 10**12}.{fraction:05}'


def read_feedback(via: str) -> Feedback | None:
    """What a server says in our Via; None for what is no feedback, or none that we can use (section 5.4)."""
    try:
        params = parse_via(via).params
        value = params.get("oc")
        if value is None or ("oc-algo" in params and "loss" not in _algorithms(params)):
            return None
        loss = parse_number(value, 100)
        text = params.get("oc-validity")
        validity = DEFAULT_VALIDITY if text is None else parse_number(text, _LONGEST_VALIDITY) / 1000.0
        sequence = None
        number = params.get("oc-seq")
        if number is not None:
            seconds, dot, fraction = number.partition(".")
            if not dot or len(fraction) > 5:
                return None
            sequence = (parse_number(seconds, 10**12 - 1), parse_number(fraction.ljust(5, "0"), 99999))
    except (MalformedMessage, ValueError):
        return None
    return Feedback(loss, validity, sequence)


def is_spared(plan: RequestPlan) -> bool:
    """Whether a request is of those that are reduced last (section 5.10.1): within a dialog, or an emergency by what
    it says of itself."""
    if plan.dialog is not None or plan.uri.lower().startswith("urn:service:sos"):
        return True
    for name, value in plan.fields:
        lower = name.lower()
        if lower == "resource-priority" or (lower == "priority" and value.strip().lower() == "emergency"):
            return True
    return False


def _algorithms(params: Mapping[str, str | None]) -> list[str]:
    """The algorithms that are named; a neighbour that names none means the default."""
    named = params.get("oc-algo")
    return ["loss"] if named is None else [each.strip().lower() for each in named.split(",")]


@final
class LossControl:
    """What we send to one neighbour while it is overloaded (section 6).

    Requests fall into two categories: those that are reduced first, and those that are spared until all of the first
    are gone. The mix of the two is measured, because the percentage is one of all requests.
    """

    __slots__ = ("_first", "_heard", "_loss", "_second", "_sequence", "_until")

    def __init__(self) -> None:
        self._loss = 0
        self._until = 0.0
        self._heard = 0.0
        self._sequence: tuple[int, int] | None = None
        self._first = _FIRST_MIX
        self._second = 100.0 - _FIRST_MIX

    def heard(self, feedback: Feedback, now: float) -> None:
        """The neighbour has said something; what is older than what we have heard counts for nothing (section 4.4)."""
        if feedback.sequence is not None:
            before = self._sequence if now - self._heard < _LONGEST_UNDER_WAY else None
            if before is not None and feedback.sequence <= before:
                return
            self._sequence = feedback.sequence
            self._heard = now
        self._loss = feedback.loss if feedback.validity else 0
        self._until = now + feedback.validity

    def loss(self, now: float) -> int:
        """The percentage that the neighbour does not want now."""
        return self._loss if now < self._until else 0

    def lets_through(self, is_spared: bool, draw: float, now: float) -> bool:
        """Whether one more request may be sent.

        :param is_spared: whether it belongs to the second category: within a dialog, or an emergency (section 5.10.1).
        :param draw: a random number from 0 to 100, exclusive.
        """
        loss = self.loss(now)
        if not loss:
            return True
        if is_spared:
            self._second += 1.0
        else:
            self._first += 1.0
        together = self._first + self._second
        if together > _MIXED:
            self._first /= 2.0
            self._second /= 2.0
            together /= 2.0
        first = 100.0 * self._first / together
        if loss <= first:
            rejected = 0.0 if is_spared else 100.0 * loss / first
        else:
            rejected = 100.0 * (loss - first) / (100.0 - first) if is_spared else 100.0
        return draw >= rejected
