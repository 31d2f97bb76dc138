"""What peers have asked us to do less of, each for itself: Retry-After (RFC 3261 section 21.5.4) and RFC 7339.

A 503 of one peer holds up nothing that goes to another. A peer is an address and port with its transport and what was
proved there: of a cluster that shows one certificate the other servers are asked on, and whoever shares an address with
others speaks for himself.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias, final

from sip_p2p.errors import PeerOverloaded
from sip_p2p.sip.overload import LossControl, answer_offer, is_spared, read_feedback

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.flow import Flow
    from sip_p2p.transport.limits import Limits

__all__ = ["Restraint"]

_Key: TypeAlias = "tuple[str, str, int, str]"

_VALIDITY = 2.0
_TOLERANCE = 0.05


@final
class Restraint:
    """What is held back from whom.

    :ivar limits: how many peers are remembered.
    :ivar held_back: how many requests were not sent.
    :ivar forgotten: how many peers had to make place.
    :ivar shortened: how often a peer asked for more time than it was given.
    """

    __slots__ = (
        "_controls",
        "_draw",
        "_epoch",
        "_loss",
        "_now",
        "_until",
        "forgotten",
        "held_back",
        "limits",
        "shortened",
    )

    def __init__(
        self,
        now: Callable[[], float],
        limits: Limits,
        loss: Callable[[], int],
        epoch: float = 0.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """
        :param now: seconds on a monotonic scale.
        :param loss: the percentage of requests that we do not want ourselves.
        :param epoch: what is added to *now* for the numbers of our own wishes, so that they go on after a restart.
        :param draw: random numbers from 0 to 1, exclusive.
        """
        self._now = now
        self.limits = limits
        self._loss = loss
        self._epoch = epoch
        self._draw = draw
        self._until: OrderedDict[_Key, float] = OrderedDict()
        self._controls: OrderedDict[_Key, LossControl] = OrderedDict()
        self.held_back = 0
        self.forgotten = 0
        self.shortened = 0

    def __len__(self) -> int:
        """Of how many peers something is remembered."""
        return len(self._until.keys() | self._controls.keys())

    def asked(self, flow: Flow, seconds: float) -> None:
        """The peer at the end of *flow* has answered 503 and wants to be left alone for so long."""
        key = _key(flow)
        longest = self.limits.longest_hold
        self.shortened += seconds > longest
        until = self._now() + min(seconds, longest)
        until = max(until, self._until.pop(key, 0.0))
        self._until[key] = until
        if len(self._until) > self.limits.remembered_peers:
            self._until.popitem(last=False)
            self.forgotten += 1

    def refusal(self, flow: Flow, plan: RequestPlan) -> PeerOverloaded | None:
        """Why a request is not to be sent on *flow* now; None when it may be."""
        if not self._until and not self._controls:
            return None
        key = _key(flow)
        until = self._until.get(key)
        if until is not None:
            left = until - self._now()
            if left > _TOLERANCE:
                if plan.dialog is not None:
                    # The 503 was about something new. Who drains, above all, wants its sessions to end.
                    return None
                self.held_back += 1
                return PeerOverloaded(
                    f"{flow.remote_host}:{flow.remote_port} wants no request for another {left:.1f} s", left
                )
            del self._until[key]
        control = self._controls.get(key)
        if control is not None and not control.lets_through(is_spared(plan), 100.0 * self._draw(), self._now()):
            self.held_back += 1
            return PeerOverloaded(f"{flow.remote_host}:{flow.remote_port} is overloaded and has asked for less", 0.0)
        return None

    def later(self, seconds: float) -> float:
        """A time to wait that is not the same for everybody who was told *seconds*."""
        return seconds + min(1.0, seconds / 10.0) * self._draw()

    def answer_via(self, text: str) -> str:
        """What our responses say in the place of a Via with an offer."""
        return answer_offer(text, self._loss(), _VALIDITY, self._epoch + self._now())

    def heard_via(self, flow: Flow, text: str) -> None:
        """What a peer says in our own Via."""
        feedback = read_feedback(text)
        if feedback is None:
            return
        key = _key(flow)
        control = self._controls.pop(key, None)
        if control is None:
            if not feedback.loss:
                return
            control = LossControl()
            if len(self._controls) >= self.limits.remembered_peers:
                self._controls.popitem(last=False)
                self.forgotten += 1
        control.heard(feedback, self._now())
        if control.loss(self._now()) or feedback.sequence is not None:
            # Without a loss for its number's sake: an older wish may still be under way.
            self._controls[key] = control


def _key(flow: Flow) -> _Key:
    return flow.transport, flow.remote_host, flow.remote_port, flow.peer
