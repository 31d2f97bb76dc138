"""A publication of ours, from the first PUBLISH to the last (RFC 3903 sections 4 and 5; row J11).

::

    IDLE --PUBLISH--> ASKING --2xx--> STANDS --Expires: 0--> REMOVING --2xx--> OVER
                       |  ^             |
               failure |  | retry       | refresh, modify, 412
                       v  |             v
                      WAITING        ASKING

What was published is known at the compositor by an entity-tag, another one after each 2xx. One PUBLISH at a time is
under way (section 4); what the application says meanwhile goes out with the next, and of several only the last. Where
the compositor has forgotten it (412) it is published anew with all of it. A failure after the first success is no end:
it is tried again, later each time, and the application is told.

Left out: what is published; several publications of one event, which are several of these.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.abnf import is_token
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.effects import Errand, Purpose, RequestUnwanted, RequestWanted
from sip_p2p.sip.event.usage import EventEffect
from sip_p2p.sip.readings import seconds_of

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["PublicationOver", "PublicationState", "PublishEnded", "Publisher", "refresh_after"]

_LONGEST_TAG = 256
_LONGEST_EXPIRES = 2**31
_LONGEST_MARGIN = 900.0
_LEAST_PAUSE = 5.0
_FIRST_WAIT = 30.0
_LONGEST_WAIT = 1800.0
_LONGEST_RETRY_AFTER = 86400.0
_STEPS = 1000

_FATAL = frozenset((403, 404, 405, 410, 413, 415, 416, 484, 485, 489, 501, 600, 603, 604, 606))
"""Answers that will not be others later: whoever they are given to is not to ask again by itself."""


class PublicationState(enum.Enum):
    """How one publication stands."""

    IDLE = "nothing was sent"
    ASKING = "a PUBLISH with which it is made, changed or refreshed is not answered yet"
    STANDS = "the compositor has it"
    WAITING = "the last PUBLISH came to nothing, and another one follows"
    REMOVING = "the PUBLISH that removes it is not answered yet"
    OVER = "nothing more is sent for it"


_IDLE = PublicationState.IDLE
_ASKING = PublicationState.ASKING
_STANDS = PublicationState.STANDS
_WAITING = PublicationState.WAITING
_REMOVING = PublicationState.REMOVING
_OVER = PublicationState.OVER


@final
class PublishEnded(EventEffect):
    """A PUBLISH has its outcome, and the publication goes on.

    :ivar owner: the :class:`Publisher`.
    :ivar serial: which of the states that the application has given it carried, or, for a refresh, spoke of.
    :ivar response: the final response; None where there was none.
    :ivar reason: what happened instead; None where there was a response.
    """

    __slots__ = ("reason", "response", "serial")

    def __init__(
        self, owner: Publisher, serial: int, response: Response | None, reason: BaseException | None = None
    ) -> None:
        super().__init__(owner)
        self.serial = serial
        self.response = response
        self.reason = reason


@final
class PublicationOver(EventEffect):
    """A publication is over.

    :ivar owner: the :class:`Publisher`.
    :ivar is_removed: whether that was wanted.
    :ivar response: the response that ended it; None where none did.
    :ivar reason: what ended it instead; None where nothing did.
    """

    __slots__ = ("is_removed", "reason", "response")

    def __init__(
        self, owner: Publisher, is_removed: bool, response: Response | None, reason: BaseException | None = None
    ) -> None:
        super().__init__(owner)
        self.is_removed = is_removed
        self.response = response
        self.reason = reason


def refresh_after(expires: float) -> float:
    """After how many seconds a publication that stands for *expires* is refreshed: a quarter of an hour before its end,
    and not before half of it has passed."""
    return max(_LEAST_PAUSE, expires / 2, expires - _LONGEST_MARGIN)


@final
class Publisher:
    """One publication.

    :ivar user: whatever the facade put there; it has an ``endpoint``, and a method ``take`` for the effects.
    :ivar state: how it stands.
    :ivar etag: the entity-tag by which the compositor knows it; empty where it does not.
    :ivar expires: the seconds that each PUBLISH asks for.
    :ivar expires_at: when the compositor forgets it.
    :ivar flow: by what it has answered last; None where it has not, and when it is over.
    :ivar has_stood: whether the compositor has ever had it.
    :ivar serial: how many states the application has given it.
    """

    __slots__ = (
        "_base",
        "_body",
        "_content_type",
        "_core",
        "_errand",
        "_event",
        "_failures",
        "_has_grown",
        "_is_leaving",
        "_sent",
        "_told",
        "etag",
        "expires",
        "expires_at",
        "flow",
        "has_stood",
        "serial",
        "state",
        "user",
    )

    def __init__(self, core: UserAgentCore, plan: RequestPlan, event: str, expires: int) -> None:
        """
        :param plan: what all PUBLISHes of it have in common; it is never sent itself.
        :param event: what Event says.
        """
        self._core = core
        self._base = plan
        self._event = event
        self._body = b""
        self._content_type: str | None = None
        self._errand: Errand | None = None
        # The states that the last PUBLISH has carried, and that the compositor has for certain.
        self._sent = self._told = 0
        self._failures = 0
        self._has_grown = self._is_leaving = False
        self.has_stood = False
        self.user: object = None
        self.state = _IDLE
        self.etag = ""
        self.expires = expires
        self.expires_at = 0.0
        self.flow: Flow | None = None
        self.serial = 0

    @property
    def is_leaving(self) -> bool:
        """Whether it is over, or is to be: nothing more can be published by it."""
        return self._is_leaving or self.state in (_REMOVING, _OVER)

    # -- what the application wants ------------------------------------------------------------------------------------

    def publish(self, body: bytes, content_type: str, now: float) -> int:
        """Make it, or change it (sections 4.2 and 4.4); what is under way ends first. Return its serial number.

        :raises InvalidOperation: when it is over, or is to be.
        """
        if self.is_leaving:
            raise InvalidOperation("the publication is over")
        self._body = body
        self._content_type = content_type
        self.serial += 1
        if self.state is not _ASKING:
            self._begin()
        return self.serial

    def refresh(self, now: float) -> int:
        """Refresh it now, and not only when it is due (section 4.3); return the serial number of what is refreshed.

        :raises InvalidOperation: when it is over, or is to be, or nothing was published.
        """
        if self.is_leaving or self.state is _IDLE:
            raise InvalidOperation("there is no publication that could be refreshed")
        if self.state is not _ASKING:
            self._begin()
        return self.serial

    def remove(self, now: float) -> None:
        """Remove it (section 4.5); nothing happens the second time."""
        if self.is_leaving:
            return
        if self.state is _ASKING:
            # What is under way may make it after all.
            self._is_leaving = True
        else:
            self._leave(now)

    def abandon(self) -> None:
        """Let go of it at once, and say nothing: the compositor forgets it in time."""
        if self.state is not _OVER:
            self._let_go()

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response came."""
        if errand is not self._errand or response.status < 200:
            return
        self._errand = None
        self.flow = flow
        # Whoever sent it may have had to send it more than once.
        self._base.cseq = errand.plan.cseq
        if self.state is _REMOVING:
            self._over(True, response)
        elif response.status < 300:
            self._accepted(response, now)
        elif response.status == 412 and self.etag:
            self._forgotten(response)
        elif not self._asks_longer(response):
            self._failed(response, None, seconds_of(response.headers, "Retry-After"), now)

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """There will be no final response."""
        if errand is not self._errand:
            return
        self._errand = None
        self._base.cseq = errand.plan.cseq
        if self.state is _REMOVING:
            self._over(True, None, reason)
        else:
            self._failed(None, reason, 0, now)

    def handle_timer(self, now: float) -> None:
        """It is time to refresh it, or to try once more."""
        if self.state is _WAITING and now >= self.expires_at:
            # 3: it has expired by now, and what was forgotten cannot be refreshed.
            self.etag = ""
        if self.state is _STANDS or self.state is _WAITING:
            self._begin()

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._has_grown = False
        self._ask()

    def _ask(self) -> None:
        """Send the PUBLISH that is due (Table 1 of section 4.1): an initial one without an entity-tag, a change where
        the compositor does not have the newest state, or a refresh."""
        self._core.appointments.set(self, None)
        self.state = _ASKING
        self._sent = self.serial
        has_body = not self.etag or self._told < self.serial
        self._send(self.expires, has_body=has_body)

    def _send(self, expires: int, *, has_body: bool) -> None:
        base = self._base
        plan = RequestPlan("PUBLISH", base.uri, base.from_, base.from_tag, base.call_id)
        plan.to, plan.max_forwards = base.to, base.max_forwards
        base.cseq += 1
        plan.cseq = base.cseq
        plan.fields = [*base.fields, ("Event", self._event), ("Expires", str(expires))]
        if self.etag:
            plan.fields.append(("SIP-If-Match", self.etag))
        if has_body:
            plan.body, plan.content_type = self._body, self._content_type
        self._errand = Errand(self, plan, Purpose.OTHER)
        self._core.say(RequestWanted(self._errand))

    def _accepted(self, response: Response, now: float) -> None:
        """4.2 to 4.4: a 2xx has the entity-tag, and says for how long."""
        tag = response.headers.get("SIP-ETag") or ""
        # One that is none cannot be sent back: the next PUBLISH has all of it again.
        self.etag = tag if is_token(tag) and len(tag) <= _LONGEST_TAG else ""
        expires = min(seconds_of(response.headers, "Expires", self.expires), _LONGEST_EXPIRES)
        self.expires_at = now + max(expires, 1)
        self.state = _STANDS
        self._told = self._sent
        self.has_stood = True
        self._failures = 0
        self._core.say(PublishEnded(self, self._sent, response))
        if self._is_leaving:
            self._leave(now)
        elif self._told < self.serial:
            self._begin()
        else:
            self._core.appointments.set(self, now + refresh_after(expires))

    def _forgotten(self, response: Response) -> None:
        """5: after a 412 the entity-tag is worth nothing any more."""
        self.etag = ""
        if self._is_leaving:
            self._over(True, response)
        else:
            self._ask()

    def _asks_longer(self, response: Response) -> bool:
        """Whether *response* is a 423 that says how long would do (section 5), and it was asked for so."""
        if response.status != 423 or self._has_grown or self._is_leaving:
            return False
        least = seconds_of(response.headers, "Min-Expires")
        if not self.expires < least <= _LONGEST_EXPIRES:
            return False
        self.expires = least
        self._has_grown = True
        self._ask()
        return True

    def _failed(self, response: Response | None, reason: BaseException | None, wish: int, now: float) -> None:
        if self._is_leaving and self.etag:
            # What was there before the failure may be there still.
            self._leave(now)
            return
        is_final = self._is_leaving or not self.has_stood or (response is not None and response.status in _FATAL)
        if is_final:
            self._over(self._is_leaving, response, reason)
            return
        longest = min(_FIRST_WAIT * 2 ** min(self._failures, 10), _LONGEST_WAIT)
        # Those who were sent away at once do not come back at once.
        wait = longest * (0.5 + self._core.tokens.number(_STEPS) / (2 * _STEPS))
        self._failures += 1
        self.state = _WAITING
        self._core.appointments.set(self, now + min(wish, _LONGEST_RETRY_AFTER) + wait)
        self._core.say(PublishEnded(self, self._sent, response, reason))

    def _leave(self, now: float) -> None:
        if not self.etag or now >= self.expires_at:
            self._over(True, None)
            return
        self._core.appointments.set(self, None)
        self.state = _REMOVING
        self._send(0, has_body=False)

    def _over(self, is_removed: bool, response: Response | None, reason: BaseException | None = None) -> None:
        self._let_go()
        self._core.say(PublicationOver(self, is_removed, response, reason))

    def _let_go(self) -> None:
        self._core.appointments.set(self, None)
        self.state = _OVER
        self.flow = None
        self.etag = ""
        self._body = b""
        errand, self._errand = self._errand, None
        if errand is not None:
            self._core.say(RequestUnwanted(errand))

    def __repr__(self) -> str:
        return f"<Publisher of {self._event} {self.state.name}>"
