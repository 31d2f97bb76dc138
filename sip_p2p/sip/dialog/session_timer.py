"""Session timers: how long a session lasts unless somebody says that it still stands (RFC 4028, row H26).

One machine for each session, the same on both sides. It says which fields a request or a response carries, judges those
of the peer, and knows when to refresh and when to hang up. It sends nothing; ``Supported: timer`` is written by whoever
composes the message. The timer runs from a 2xx to INVITE on; an UPDATE in an early dialog carries no field of it.

What proxies do (section 8) is left out but for what it looks like from the ends: a Session-Expires that the caller
never asked for, in the request or in the response.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.fields import parse_seconds, parse_tokens
from sip_p2p.sip.params import parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.message import Message, Request, Response

__all__ = ["LEAST_INTERVAL", "OPTION_TAG", "Refresher", "SessionTimer", "SessionTimerSettings", "TimerDue"]

LEAST_INTERVAL = 90
"""The smallest session interval that there is, in seconds (section 4)."""

OPTION_TAG = "timer"
"""What Supported and Require call the extension (section 12.3)."""

_USUAL_INTERVAL = 1800
_LARGEST_INTERVAL = 2**32 - 1
_SHORTEST_HEARD = 30
_MOST_REFUSALS = 6
_LEAST_PAUSE = 2.0
_LONGEST_MARGIN = 32.0
_NEVER = float("inf")


class Refresher(enum.Enum):
    """Who says that the session still stands."""

    LOCAL = "we do"
    REMOTE = "the peer does"


class TimerDue(enum.Enum):
    """What it is time for."""

    REFRESH = "refresh the session"
    EXPIRED = "end the session: nobody refreshed it"


@final
class SessionTimerSettings:
    """What one side wants of session timers. Immutable by convention; sessions share it.

    :ivar interval: the session interval to ask for, in seconds; None asks for none, and still takes part where the peer
        or a proxy asks.
    :ivar minimum: the smallest interval that we go along with, at least 90 s; a smaller one is answered 422.
    :ivar refresher: who we wish to refresh; None lets the other side choose when we call, and the caller refresh when
        we are called.
    :ivar is_required: whether a call fails (420) when the peer knows no session timers.
    :ivar is_enabled: False leaves the extension out, as if we had never heard of it.
    """

    __slots__ = ("interval", "is_enabled", "is_required", "minimum", "refresher")

    def __init__(
        self,
        interval: int | None = _USUAL_INTERVAL,
        *,
        minimum: int = LEAST_INTERVAL,
        refresher: Refresher | None = None,
        is_required: bool = False,
        is_enabled: bool = True,
    ) -> None:
        """
        :raises ValueError: when *minimum* is below 90, *interval* below *minimum*, one of them above 2**32 - 1, or
            what is left out is required.
        """
        if not LEAST_INTERVAL <= minimum <= _LARGEST_INTERVAL:
            raise ValueError(f"the smallest session interval is {minimum!r}, and RFC 4028 knows none below 90 seconds")
        if interval is not None and not minimum <= interval <= _LARGEST_INTERVAL:
            raise ValueError(f"the session interval {interval!r} is not between {minimum} and 2**32 - 1 seconds")
        if is_required and not is_enabled:
            raise ValueError("session timers that are left out cannot be required")
        self.interval = interval
        self.minimum = minimum
        self.refresher = refresher
        self.is_required = is_required
        self.is_enabled = is_enabled

    def __repr__(self) -> str:
        wanted = "off" if not self.is_enabled else "none" if self.interval is None else f"{self.interval} s"
        return f"<SessionTimerSettings {wanted}, at least {self.minimum} s>"


@final
class _Terms:
    """What a request says of the timer, kept until its 2xx is written.

    :ivar interval: its Session-Expires; 0 for none.
    :ivar refresher: whom it names.
    :ivar minimum: its Min-SE.
    :ivar is_supported: whether its sender knows session timers.
    """

    __slots__ = ("interval", "is_supported", "minimum", "refresher")

    def __init__(self, interval: int, refresher: str, minimum: int, is_supported: bool) -> None:
        self.interval = interval
        self.refresher = refresher
        self.minimum = minimum
        self.is_supported = is_supported


_SILENT = _Terms(0, "", LEAST_INTERVAL, False)


@final
class SessionTimer:
    """RFC 4028 for one session.

    :ivar settings: what we want.
    :ivar interval: the session interval in seconds; 0 while no timer runs.
    :ivar refresher: who refreshes; None while no timer runs.
    :ivar next_deadline: when :meth:`due` is to be called; None while no timer runs.
    """

    __slots__ = (
        "_expiry",
        "_invite_terms",
        "_is_begun",
        "_is_refreshing",
        "_is_required",
        "_lacks_update",
        "_least",
        "_refresh_at",
        "_refusals",
        "_update_terms",
        "interval",
        "next_deadline",
        "refresher",
        "settings",
    )

    def __init__(self, settings: SessionTimerSettings) -> None:
        self.settings = settings
        self.interval = 0
        self.refresher: Refresher | None = None
        self.next_deadline: float | None = None
        # 7.4: the largest Min-SE of this dialog, in a 422 or in a request; before there is one, of this call.
        self._least = settings.minimum
        self._is_begun = False
        # 7.4: what the first request has required the others require as well.
        self._is_required = settings.is_required
        self._expiry = 0.0
        self._refresh_at = 0.0
        self._is_refreshing = False
        self._lacks_update = False
        self._refusals = 0
        self._invite_terms: _Terms | None = None
        self._update_terms: _Terms | None = None

    @property
    def is_running(self) -> bool:
        """Whether the session ends unless it is refreshed."""
        return self.interval > 0

    @property
    def is_refreshing(self) -> bool:
        """Whether a refresh was due and has not succeeded yet."""
        return self._is_refreshing

    # As UAC

    def request_fields(self, method: str) -> list[tuple[str, str]]:
        """The fields of an INVITE, or of a re-INVITE or UPDATE in the established session; none for other methods."""
        settings = self.settings
        if not settings.is_enabled or method not in ("INVITE", "UPDATE"):
            return []
        fields = []
        if self.interval:
            # 7.4: the current interval, or the least one where that has grown; the roles stay as they are.
            role = "uac" if self.refresher is Refresher.LOCAL else "uas"
            fields.append(("Session-Expires", f"{max(self.interval, self._least)};refresher={role}"))
        elif settings.interval is not None:
            fields.append(("Session-Expires", f"{max(settings.interval, self._least)}{self._wished_role()}"))
        if self._least > LEAST_INTERVAL:
            # 7.1, 7.4: whoever was told of a larger one says so from then on; 90 need not be said.
            fields.append(("Min-SE", str(self._least)))
        if self._is_required:
            fields.append(("Require", OPTION_TAG))
        return fields

    def _wished_role(self) -> str:
        """7.1: the caller may name the refresher, and better leaves the choice to the other side."""
        wish = self.settings.refresher
        return "" if wish is None else ";refresher=uac" if wish is Refresher.LOCAL else ";refresher=uas"

    def too_small(self, response: Response) -> bool:
        """A 422 to our request: return whether to send it again, with the fields that :meth:`request_fields` now gives.

        False where that would change nothing, and after a few in a row: each hop may want more than the one before it,
        but none wants more without end.
        """
        least = _seconds(response, "Min-SE")
        asked = self.interval or self.settings.interval or 0
        self._refusals += 1
        if not self.settings.is_enabled or least <= max(self._least, asked) or self._refusals > _MOST_REFUSALS:
            return False
        # 7.3: from now on neither field is below the largest Min-SE of any 422.
        self._least = least
        return True

    def response_received(self, response: Response, now: float) -> None:
        """A 2xx to our INVITE, re-INVITE or to an UPDATE in the established session came for the first time."""
        if not self.settings.is_enabled:
            return
        self._refusals = 0
        if not self._is_begun:
            # 7.4: what had to be said to be let through on some way is not said on this one.
            self._least = self.settings.minimum
            self._is_begun = True
        interval, role = _session_expires(response)
        if not interval:
            # 7.2: nobody wants a timer, or somebody turned it off.
            self.stop()
            return
        # 7.2: whoever the response names. One that names nobody breaks section 9; two who refresh do less harm than
        # none.
        self._run(interval, Refresher.REMOTE if role == "uas" else Refresher.LOCAL, now)

    # As UAS

    def request_received(self, request: Request) -> int:
        """Judge an INVITE, or a re-INVITE or UPDATE in the established session.

        :returns: 0; or 422, with :meth:`refusal_fields`; or 400 where a field of it cannot be read.
        """
        if not self.settings.is_enabled:
            return 0
        try:
            terms = _terms(request)
        except MalformedMessage:
            return 400
        # 9: only who knows the extension can be told that its interval is too small.
        if terms.is_supported and 0 < terms.interval < self.settings.minimum:
            return 422
        if request.method == "INVITE":
            self._invite_terms = terms
        else:
            self._update_terms = terms
        return 0

    def refusal_fields(self) -> list[tuple[str, str]]:
        """The fields of a 422 (section 6)."""
        return [("Min-SE", str(self.settings.minimum))]

    def response_fields(self, now: float, method: str = "INVITE") -> list[tuple[str, str]]:
        """The fields of the 2xx to what :meth:`request_received` let pass; the timer starts, or stops, with it.

        To be asked once for each 2xx, not when it is sent again.
        """
        if method == "INVITE":
            terms, self._invite_terms = self._invite_terms or _SILENT, None
        else:
            terms, self._update_terms = self._update_terms or _SILENT, None
        if not self.settings.is_enabled:
            return []
        if not self._is_begun:
            self._is_begun, self._is_required = True, False
        # 7.4: what a request of this dialog named as the least counts for ours as well.
        self._least = max(self._least, terms.minimum)
        interval = self._agreed_interval(terms)
        if not interval:
            self.stop()
            return []
        refresher = self._agreed_refresher(terms)
        self._run(interval, refresher, now)
        role = "uac" if refresher is Refresher.REMOTE else "uas"
        fields = [("Session-Expires", f"{interval};refresher={role}")]
        if terms.is_supported:
            # 9: a must where the peer is to refresh, and a should where it is to notice that nobody did.
            fields.append(("Require", OPTION_TAG))
        return fields

    def _agreed_interval(self, terms: _Terms) -> int:
        """9: what the request asks, or less if we want less, but never below its Min-SE; 0 for no timer."""
        wanted = self.settings.interval
        if not terms.interval:
            # 9: nobody asked, and we may. In mid-dialog this keeps alive what runs: a 2xx without the field would turn
            # it off.
            wanted = self.interval or wanted
            return 0 if wanted is None else max(wanted, self._least)
        return terms.interval if wanted is None else min(terms.interval, max(wanted, self._least))

    def _agreed_refresher(self, terms: _Terms) -> Refresher:
        """Section 9, Table 2."""
        if not terms.is_supported:
            return Refresher.LOCAL
        if terms.refresher == "uac":
            return Refresher.REMOTE
        if terms.refresher == "uas":
            return Refresher.LOCAL
        # The choice is ours: as it was, else as we wish, else whoever called.
        return self.refresher or self.settings.refresher or Refresher.REMOTE

    # Time

    def due(self, now: float) -> TimerDue | None:
        """What is to be done by *now*. After :attr:`TimerDue.REFRESH` a refresh is on its way until a 2xx has come, or
        :meth:`refresh_failed` was called; after :attr:`TimerDue.EXPIRED` the timer is off."""
        if not self.interval:
            return None
        if now >= self._expiry:
            self.stop()
            return TimerDue.EXPIRED
        if self.refresher is Refresher.LOCAL and not self._is_refreshing and now >= self._refresh_at:
            self._is_refreshing = True
            self.next_deadline = self._expiry
            return TimerDue.REFRESH
        return None

    def refresh_method(self, may_update: bool | None) -> str:
        """What to refresh with: UPDATE, which carries no offer, or INVITE (section 7.4).

        :param may_update: whether the peer's Allow lists UPDATE; None where it has shown no Allow. Only who says that
            it takes UPDATE is sent one.
        """
        return "UPDATE" if may_update and not self._lacks_update else "INVITE"

    def fallback(self, method: str, status: int) -> bool:
        """A refresh by *method* was answered *status*: return whether to send it again at once by INVITE.

        A peer whose Allow promises UPDATE may stand behind something that refuses it (row L17).
        """
        # RFC 3261 sections 21.4.6 and 21.5.2.
        if method != "UPDATE" or status not in (405, 501):
            return False
        self._lacks_update = True
        return True

    def refresh_failed(self, now: float, retry_after: float = 0.0) -> None:
        """A refresh came to nothing, for a reason that may pass (section 10): the next is due in half the time that
        is left, or after *retry_after* seconds if that is later. The session ends when there is no time left."""
        if not self.interval or not self._is_refreshing:
            return
        self._is_refreshing = False
        if self._expiry == _NEVER:
            # Whoever resumes it begins anew.
            return
        pause = max((self._expiry - now) / 2, retry_after, _LEAST_PAUSE)
        self._refresh_at = now + pause
        self.next_deadline = min(self._refresh_at, self._expiry)

    def pause(self) -> None:
        """Nothing is due before the next 2xx, or :meth:`resume`: the way to the peer is lost, and is looked for."""
        self._expiry = self._refresh_at = _NEVER
        self.next_deadline = None

    def resume(self, now: float) -> None:
        """The peer is there again: what was paused runs from now on, as if it had just been refreshed."""
        if self.refresher is not None and self._expiry == _NEVER:
            self._run(self.interval, self.refresher, now)

    def stop(self) -> None:
        """No timer runs any more."""
        self.interval = 0
        self.refresher = None
        self.next_deadline = None
        self._is_refreshing = False

    def _run(self, interval: int, refresher: Refresher, now: float) -> None:
        """Section 10: a 2xx was sent or came; from here the interval counts."""
        self.interval = interval
        self.refresher = refresher
        self._is_refreshing = False
        # 10: whoever finds no refresh hangs up a little before the interval is over: proxies drop the session then.
        self._expiry = now + interval - min(_LONGEST_MARGIN, interval / 3)
        # 7.2: half of it leaves time to try again.
        self._refresh_at = now + interval / 2
        self.next_deadline = self._refresh_at if refresher is Refresher.LOCAL else self._expiry

    # Over a restart

    def save(self) -> dict[str, int | str]:
        """What another process needs to go on, JSON's own types only."""
        saved: dict[str, int | str] = {"least": self._least}
        if self._is_required:
            saved["required"] = 1
        if self.refresher is not None:
            saved["interval"] = self.interval
            saved["refresher"] = self.refresher.name
        return saved

    def restore(self, saved: Mapping[str, object], now: float) -> None:
        """Go on from what :meth:`save` gave. The interval counts anew: whoever takes a session up again refreshes it.

        :raises ValueError: when it is not of that shape.
        """
        least = saved.get("least", LEAST_INTERVAL)
        interval = saved.get("interval", 0)
        name = saved.get("refresher", "REMOTE")
        if type(least) is not int or not LEAST_INTERVAL <= least <= _LARGEST_INTERVAL:
            raise ValueError(f"{least!r} is not the least session interval of a saved session")
        if type(interval) is not int or not 0 <= interval <= _LARGEST_INTERVAL:
            raise ValueError(f"{interval!r} is not the session interval of a saved session")
        if name not in ("LOCAL", "REMOTE"):
            raise ValueError(f"{name!r} is nobody who could refresh a saved session")
        self._least = max(least, self.settings.minimum)
        self._is_begun, self._is_required = True, saved.get("required") == 1
        if interval and self.settings.is_enabled:
            self._run(max(interval, _SHORTEST_HEARD), Refresher[name], now)


def _seconds(message: Message, name: str) -> int:
    """The seconds of the field *name*; 90 where it is missing or cannot be read, which is what its absence means."""
    value = message.headers.get(name)
    if value is None:
        return LEAST_INTERVAL
    try:
        return _read(value, name)[0]
    except MalformedMessage:
        return LEAST_INTERVAL


def _read(value: str, name: str) -> tuple[int, str]:
    """The seconds and the refresher of a Session-Expires or a Min-SE (section 4).

    :raises MalformedMessage: when it is none (400).
    """
    text, mark, _ = value.partition(";")
    seconds = parse_seconds(text, name)
    role = parse_params(value, len(text), name).get("refresher") if mark else None
    return _LARGEST_INTERVAL if seconds is None else seconds, (role or "").lower()


def _session_expires(response: Response) -> tuple[int, str]:
    """Interval and role of a 2xx; 0 where there is none that can be read.

    RFC 4028 knows no interval below 90 s. A peer that answers less would hang up before a refresh that counts from 90,
    so less is taken at its word, down to a bound at which refreshing costs next to nothing.
    """
    value = response.headers.get("Session-Expires")
    if value is None:
        return 0, ""
    try:
        seconds, role = _read(value, "Session-Expires")
    except MalformedMessage:
        return 0, ""
    return max(seconds, _SHORTEST_HEARD), role


def _terms(request: Request) -> _Terms:
    """What *request* says of the timer.

    :raises MalformedMessage: when a field of it cannot be read (400).
    """
    headers = request.headers
    is_supported = any(
        tag.lower() == OPTION_TAG
        for name in ("Supported", "Require")
        for value in headers.get_all(name)
        for tag in parse_tokens(value, name)
    )
    value = headers.get("Session-Expires")
    interval, role = (0, "")
    if value is not None:
        interval, role = _read(value, "Session-Expires")
        interval = max(interval, 1)
    least = headers.get("Min-SE")
    minimum = LEAST_INTERVAL if least is None else max(LEAST_INTERVAL, _read(least, "Min-SE")[0])
    if interval and not is_supported:
        # A proxy asked. Nobody could be told 422, so what is too small counts as the least there is.
        interval = max(interval, LEAST_INTERVAL)
    return _Terms(interval, role, minimum, is_supported)
