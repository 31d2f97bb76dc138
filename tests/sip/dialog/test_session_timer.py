"""RFC 4028 on both sides: every pair of a state and an input, its tables, its call flow, and two timers against each
other."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.session_timer import (
    LEAST_INTERVAL,
    OPTION_TAG,
    Refresher,
    SessionTimer,
    SessionTimerSettings,
    TimerDue,
)
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from tests.support import vectors

Fields = list[tuple[str, str]]

STATES = ("off", "local", "refreshing", "remote", "paused")
INPUTS = (
    *("2xx", "2xx uac", "2xx uas", "request", "request uac", "request uas", "request of a stranger", "request 60"),
    *("half", "over", "failed", "refused 405", "422", "pause", "resume"),
)

TABLE = [
    # state, input, what follows; local and remote is who refreshes, half and over are times of the interval, and what
    # is answered names the refresher
    ("off", "2xx", "off"),
    ("off", "2xx uac", "local"),
    ("off", "2xx uas", "remote"),
    ("off", "request", "remote >200 uac"),
    ("off", "request uac", "remote >200 uac"),
    ("off", "request uas", "local >200 uas"),
    ("off", "request of a stranger", "local >200 uas"),
    ("off", "request 60", "off >422"),
    ("off", "half", "off"),
    ("off", "over", "off"),
    ("off", "failed", "off"),
    ("off", "refused 405", "off again"),
    ("off", "422", "off again"),
    ("off", "pause", "off"),
    ("off", "resume", "off"),
    ("local", "2xx", "off"),
    ("local", "2xx uac", "local"),
    ("local", "2xx uas", "remote"),
    ("local", "request", "local >200 uas"),
    ("local", "request uac", "remote >200 uac"),
    ("local", "request uas", "local >200 uas"),
    ("local", "request of a stranger", "local >200 uas"),
    ("local", "request 60", "local >422"),
    ("local", "half", "refreshing refresh"),
    ("local", "over", "off end"),
    ("local", "failed", "local"),
    ("local", "refused 405", "local again"),
    ("local", "422", "local again"),
    ("local", "pause", "paused"),
    ("local", "resume", "local"),
    ("refreshing", "2xx", "off"),
    ("refreshing", "2xx uac", "local"),
    ("refreshing", "2xx uas", "remote"),
    ("refreshing", "request", "local >200 uas"),
    ("refreshing", "request uac", "remote >200 uac"),
    ("refreshing", "request uas", "local >200 uas"),
    ("refreshing", "request of a stranger", "local >200 uas"),
    ("refreshing", "request 60", "refreshing >422"),
    ("refreshing", "half", "refreshing"),
    ("refreshing", "over", "off end"),
    ("refreshing", "failed", "local"),
    ("refreshing", "refused 405", "refreshing again"),
    ("refreshing", "422", "refreshing again"),
    ("refreshing", "pause", "paused"),
    ("refreshing", "resume", "refreshing"),
    ("remote", "2xx", "off"),
    ("remote", "2xx uac", "local"),
    ("remote", "2xx uas", "remote"),
    ("remote", "request", "remote >200 uac"),
    ("remote", "request uac", "remote >200 uac"),
    ("remote", "request uas", "local >200 uas"),
    ("remote", "request of a stranger", "local >200 uas"),
    ("remote", "request 60", "remote >422"),
    ("remote", "half", "remote"),
    ("remote", "over", "off end"),
    ("remote", "failed", "remote"),
    ("remote", "refused 405", "remote again"),
    ("remote", "422", "remote again"),
    ("remote", "pause", "paused"),
    ("remote", "resume", "remote"),
    ("paused", "2xx", "off"),
    ("paused", "2xx uac", "local"),
    ("paused", "2xx uas", "remote"),
    ("paused", "request", "local >200 uas"),
    ("paused", "request uac", "remote >200 uac"),
    ("paused", "request uas", "local >200 uas"),
    ("paused", "request of a stranger", "local >200 uas"),
    ("paused", "request 60", "paused >422"),
    ("paused", "half", "paused"),
    ("paused", "over", "paused"),
    ("paused", "failed", "paused"),
    ("paused", "refused 405", "paused again"),
    ("paused", "422", "paused again"),
    ("paused", "pause", "paused"),
    ("paused", "resume", "local"),
]


def request(fields: Fields, method: str = "INVITE", supports: bool = True) -> Request:
    """A request with *fields*; its sender knows session timers or does not."""
    return Request(method, "sip:b@b.example", Headers([*([("Supported", "timer")] if supports else []), *fields]), b"")


def response(fields: Fields, status: int = 200) -> Response:
    """A response with *fields*."""
    return Response(status, "", Headers(fields), b"")


def session_expires(interval: int, role: str = "") -> Fields:
    """The field alone."""
    return [("Session-Expires", f"{interval};refresher={role}" if role else str(interval))]


def value_of(fields: Fields, name: str) -> str:
    """The value of the field *name* among *fields*; empty for none."""
    return dict(fields).get(name, "")


def answer(timer: SessionTimer, received: Request, now: float) -> tuple[int, Fields]:
    """What *timer* has the UAS answer to *received*."""
    status = timer.request_received(received)
    if status:
        return status, timer.refusal_fields() if status == 422 else []
    return 200, timer.response_fields(now, received.method)


def state_of(timer: SessionTimer) -> str:
    """The state by what can be seen."""
    if not timer.is_running:
        return "off"
    if timer.next_deadline is None:
        return "paused"
    if timer.refresher is Refresher.REMOTE:
        return "remote"
    return "refreshing" if timer.is_refreshing else "local"


def bring(state: str, wanted: SessionTimerSettings | None = None) -> SessionTimer:
    """A timer in *state*, its session 0 seconds old, the interval 1800 s."""
    timer = SessionTimer(wanted or SessionTimerSettings())
    if state != "off":
        timer.response_received(response(session_expires(1800, "uas" if state == "remote" else "uac")), 0.0)
        if state in ("refreshing", "paused"):
            assert timer.due(900.0) is TimerDue.REFRESH
        if state == "paused":
            timer.pause()
    return timer


def apply(timer: SessionTimer, what: str) -> str:
    """Give *timer* the input *what* at half its interval, or when told; what came of it."""
    kind, _, role = what.partition(" ")
    if kind == "2xx":
        timer.response_received(response(session_expires(1800, role) if role else []), 900.0)
    elif kind == "request":
        fields = session_expires(60) if role == "60" else session_expires(1800, role) if role in ("uac", "uas") else []
        status, said = answer(timer, request(fields, "UPDATE", supports=role != "of a stranger"), 900.0)
        return f">{status} {value_of(said, 'Session-Expires').partition('=')[2]}".rstrip()
    elif kind in ("half", "over"):
        due = timer.due(900.0 if kind == "half" else 1768.0)
        return "" if due is None else "refresh" if due is TimerDue.REFRESH else "end"
    elif kind == "failed":
        timer.refresh_failed(901.0)
    elif kind in ("pause", "resume"):
        timer.pause() if kind == "pause" else timer.resume(901.0)
    elif kind == "refused":
        return "again" if timer.fallback("UPDATE", 405) else ""
    else:
        return "again" if timer.too_small(response([("Min-SE", "3600")], 422)) else ""
    return ""


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        self.assertEqual([row[:2] for row in TABLE], [(state, what) for state in STATES for what in INPUTS])

    def test_every_pair(self) -> None:
        """RFC 4028 sections 7, 9 and 10: each input in each state leads where the table says. row:H26"""
        for state, what, expected in TABLE:
            timer = bring(state)
            self.assertEqual(state_of(timer), state)
            said = apply(timer, what)
            self.assertEqual(f"{state_of(timer)} {said}".rstrip(), expected, (state, what))


WISHES = {
    "off": SessionTimerSettings(is_enabled=False),
    "none": SessionTimerSettings(None),
    "asks": SessionTimerSettings(1800),
    "itself": SessionTimerSettings(1800, refresher=Refresher.LOCAL),
    "other": SessionTimerSettings(1800, refresher=Refresher.REMOTE),
}

WHO = [
    # what the caller wants, whether a proxy asks, what the callee wants, who refreshes, of whom the timer runs
    ("off", False, "off", "nobody", "none"),
    ("off", False, "none", "nobody", "none"),
    ("off", False, "asks", "callee", "callee"),
    ("off", False, "itself", "callee", "callee"),
    ("off", False, "other", "callee", "callee"),
    ("off", True, "off", "nobody", "none"),
    ("off", True, "none", "callee", "callee"),
    ("off", True, "asks", "callee", "callee"),
    ("off", True, "itself", "callee", "callee"),
    ("off", True, "other", "callee", "callee"),
    ("none", False, "off", "nobody", "none"),
    ("none", False, "none", "nobody", "none"),
    ("none", False, "asks", "caller", "both"),
    ("none", False, "itself", "callee", "both"),
    ("none", False, "other", "caller", "both"),
    ("none", True, "off", "caller", "caller"),
    ("none", True, "none", "caller", "both"),
    ("none", True, "asks", "caller", "both"),
    ("none", True, "itself", "callee", "both"),
    ("none", True, "other", "caller", "both"),
    ("asks", False, "off", "nobody", "none"),
    ("asks", False, "none", "caller", "both"),
    ("asks", False, "asks", "caller", "both"),
    ("asks", False, "itself", "callee", "both"),
    ("asks", False, "other", "caller", "both"),
    ("asks", True, "off", "caller", "caller"),
    ("asks", True, "none", "caller", "both"),
    ("asks", True, "asks", "caller", "both"),
    ("asks", True, "itself", "callee", "both"),
    ("asks", True, "other", "caller", "both"),
    ("itself", False, "off", "nobody", "none"),
    ("itself", False, "none", "caller", "both"),
    ("itself", False, "asks", "caller", "both"),
    ("itself", False, "itself", "caller", "both"),
    ("itself", False, "other", "caller", "both"),
    ("itself", True, "off", "caller", "caller"),
    ("itself", True, "none", "caller", "both"),
    ("itself", True, "asks", "caller", "both"),
    ("itself", True, "itself", "caller", "both"),
    ("itself", True, "other", "caller", "both"),
    ("other", False, "off", "nobody", "none"),
    ("other", False, "none", "callee", "both"),
    ("other", False, "asks", "callee", "both"),
    ("other", False, "itself", "callee", "both"),
    ("other", False, "other", "callee", "both"),
    ("other", True, "off", "caller", "caller"),
    ("other", True, "none", "callee", "both"),
    ("other", True, "asks", "callee", "both"),
    ("other", True, "itself", "callee", "both"),
    ("other", True, "other", "callee", "both"),
]


def invite(caller: str, is_proxy_there: bool, callee: str) -> tuple[SessionTimer, SessionTimer]:
    """One INVITE from end to end, through a proxy of section 8 if there is one; the timers of both ends."""
    uac, uas = SessionTimer(WISHES[caller]), SessionTimer(WISHES[callee])
    sent = uac.request_fields("INVITE")
    supports = uac.settings.is_enabled
    passed = sent
    if is_proxy_there and not value_of(sent, "Session-Expires"):
        # 8.1: a proxy may ask in the caller's place.
        passed = [*sent, *session_expires(1000)]
    status, answered = answer(uas, request(passed, supports=supports), 0.0)
    assert status == 200
    if is_proxy_there and supports and not value_of(answered, "Session-Expires"):
        # 8.2: and when the callee knows nothing of it, the proxy lets the caller refresh.
        interval = int(value_of(passed, "Session-Expires").partition(";")[0])
        answered = [*session_expires(interval, "uac"), ("Require", OPTION_TAG)]
    uac.response_received(response(answered), 0.0)
    return uac, uas


def who_refreshes(uac: SessionTimer, uas: SessionTimer) -> str:
    """Caller, callee or nobody, as both see it."""
    seen = {
        {Refresher.LOCAL: "caller", Refresher.REMOTE: "callee", None: ""}[uac.refresher],
        {Refresher.LOCAL: "callee", Refresher.REMOTE: "caller", None: ""}[uas.refresher],
    } - {""}
    return "nobody" if not seen else "/".join(sorted(seen))


def whose(uac: SessionTimer, uas: SessionTimer) -> str:
    """Whose timer runs."""
    return {(True, True): "both", (True, False): "caller", (False, True): "callee", (False, False): "none"}[
        (uac.is_running, uas.is_running)
    ]


class RefresherTests(SynchronousTestCase):
    """Who refreshes."""

    def test_every_combination(self) -> None:
        """Sections 7.2, 8 and 9: whatever caller, proxy and callee want, at most one end refreshes. row:H26"""
        self.assertEqual([row[:3] for row in WHO], list(itertools.product(WISHES, (False, True), WISHES)))
        for caller, is_proxy_there, callee, who, running in WHO:
            uac, uas = invite(caller, is_proxy_there, callee)
            self.assertEqual(
                (who_refreshes(uac, uas), whose(uac, uas)), (who, running), (caller, is_proxy_there, callee)
            )
            if running == "both":
                self.assertEqual(uac.interval, uas.interval)

    def test_table_1(self) -> None:
        """Section 4, Table 1: INVITE, UPDATE and their 2xx carry Session-Expires, a 422 Min-SE; nothing else does."""
        wanted = SessionTimerSettings(1800, minimum=300)
        for state in STATES:
            timer = bring(state, wanted)
            for method in ("ACK", "BYE", "CANCEL", "INFO", "MESSAGE", "OPTIONS", "PRACK", "REFER", "SUBSCRIBE"):
                self.assertEqual(timer.request_fields(method), [])
            for method in ("INVITE", "UPDATE"):
                self.assertEqual([name for name, _ in timer.request_fields(method)], ["Session-Expires", "Min-SE"])
        timer = SessionTimer(wanted)
        self.assertEqual(answer(timer, request(session_expires(299)), 0.0), (422, [("Min-SE", "300")]))
        self.assertEqual(answer(timer, request(session_expires(300)), 0.0)[0], 200)

    def test_table_2(self) -> None:
        """Section 9, Table 2: the refresher of the response follows from the request, and Require with it. row:H26"""
        rows = [
            # does the caller know timers, the refresher that it names, what we wish, the one of the response
            *((False, role, wish, "uas") for role in ("", "uac", "uas", "odd") for wish in (None, *Refresher)),
            *((True, "uac", wish, "uac") for wish in (None, *Refresher)),
            *((True, "uas", wish, "uas") for wish in (None, *Refresher)),
            *((True, role, None, "uac") for role in ("", "odd")),
            *((True, role, Refresher.LOCAL, "uas") for role in ("", "odd")),
            *((True, role, Refresher.REMOTE, "uac") for role in ("", "odd")),
        ]
        for knows, role, wish, expected in rows:
            timer = SessionTimer(SessionTimerSettings(refresher=wish))
            status, fields = answer(timer, request(session_expires(1800, role), supports=knows), 0.0)
            self.assertEqual((status, fields[0]), (200, ("Session-Expires", f"1800;refresher={expected}")))
            # 9: whoever is to act on the response must have it required of it; who does not know it must not.
            self.assertEqual(fields[1:], [("Require", "timer")] if knows else [])

    def test_roles_stay(self) -> None:
        """Section 7.4: a refresh names its refresher by who it is now, whichever side sends it."""
        for state, role in (("local", "uac"), ("refreshing", "uac"), ("remote", "uas")):
            for method in ("INVITE", "UPDATE"):
                fields = bring(state).request_fields(method)
                self.assertEqual(fields, [("Session-Expires", f"1800;refresher={role}")])

    def test_wish_of_the_caller(self) -> None:
        """Section 7.1: an initial request names a refresher only when its sender insists, and may require the timer."""
        for name, value in (("asks", "1800"), ("itself", "1800;refresher=uac"), ("other", "1800;refresher=uas")):
            self.assertEqual(SessionTimer(WISHES[name]).request_fields("INVITE"), [("Session-Expires", value)])
        for name in ("none", "off"):
            self.assertEqual(SessionTimer(WISHES[name]).request_fields("INVITE"), [])
        timer = SessionTimer(SessionTimerSettings(600, minimum=200, is_required=True))
        fields = [("Session-Expires", "600"), ("Min-SE", "200"), ("Require", "timer")]
        self.assertEqual(timer.request_fields("INVITE"), fields)
        timer.response_received(response(session_expires(600, "uac")), 0.0)
        # 7.4: as in the first one.
        fields = [("Session-Expires", "600;refresher=uac"), ("Min-SE", "200"), ("Require", "timer")]
        self.assertEqual(timer.request_fields("INVITE"), fields)
        again = SessionTimer(SessionTimerSettings(600, minimum=200))
        again.restore(timer.save(), 0.0)
        self.assertEqual(again.request_fields("UPDATE"), fields)
        called = SessionTimer(SessionTimerSettings(600, is_required=True))
        answer(called, request([], supports=False), 0.0)
        self.assertEqual(called.request_fields("INVITE"), [("Session-Expires", "600;refresher=uac")])

    def test_response_that_names_nobody(self) -> None:
        """Section 7.2: a 2xx without a refresher breaks the rule that it is always there: then we refresh."""
        timer = SessionTimer(SessionTimerSettings())
        timer.response_received(response(session_expires(1800)), 0.0)
        self.assertIs(timer.refresher, Refresher.LOCAL)


class IntervalTests(SynchronousTestCase):
    """How long a session lasts."""

    def test_callee(self) -> None:
        """Section 9: the callee may shorten the interval, never below Min-SE, and never lengthens it. row:H26"""
        for asked, least, wanted, minimum, agreed in (
            (1800, None, 1800, 90, 1800),
            (3600, None, 1800, 90, 1800),
            (3600, 2400, 1800, 90, 2400),
            (600, None, 1800, 90, 600),
            (600, 600, None, 90, 600),
            (600, None, 90, 90, 90),
            (600, 700, 90, 90, 600),
            (None, None, 1800, 90, 1800),
            (None, 2400, 1800, 90, 2400),
            (3600, None, 1800, 1800, 1800),
        ):
            timer = SessionTimer(SessionTimerSettings(wanted, minimum=minimum))
            fields = [] if asked is None else session_expires(asked)
            if least is not None:
                fields = [*fields, ("Min-SE", str(least))]
            _, said = answer(timer, request(fields), 0.0)
            self.assertEqual((timer.interval, said[0][1]), (agreed, f"{agreed};refresher=uac"), (asked, least, wanted))

    def test_too_small(self) -> None:
        """Sections 5, 6 and 9: less than 90 s, or than our own least, is answered 422 to whoever understands it."""
        for minimum, asked, status in ((90, 0, 422), (90, 89, 422), (90, 90, 200), (120, 119, 422), (120, 120, 200)):
            timer = SessionTimer(SessionTimerSettings(minimum=minimum))
            self.assertEqual(timer.request_received(request(session_expires(asked))), 0 if status == 200 else 422)
            self.assertEqual(timer.refusal_fields(), [("Min-SE", str(minimum))])
            self.assertFalse(timer.is_running)
        # A proxy asked for a caller that knows nothing of it: nobody could act on a 422.
        timer = SessionTimer(SessionTimerSettings())
        _, said = answer(timer, request(session_expires(60), supports=False), 0.0)
        self.assertEqual(said, session_expires(90, "uas"))

    def test_required_is_supported(self) -> None:
        """Who requires the extension knows it, also when Supported does not say so."""
        timer = SessionTimer(SessionTimerSettings())
        received = request([*session_expires(60), ("Require", "Timer")], supports=False)
        self.assertEqual(timer.request_received(received), 422)

    def test_unreadable(self) -> None:
        """A request whose fields are no numbers is answered 400, a response with such is one without them."""
        for fields in ([("Session-Expires", "soon")], [("Session-Expires", "1800;;")], [("Min-SE", "-1")]):
            self.assertEqual(SessionTimer(SessionTimerSettings()).request_received(request(fields)), 400)
        timer = bring("local")
        timer.response_received(response([("Session-Expires", "for ever")]), 5.0)
        self.assertFalse(timer.is_running)
        self.assertFalse(bring("off").too_small(response([("Min-SE", "more")], 422)))

    def test_spellings(self) -> None:
        """Section 4: blanks, capitals and other parameters change nothing, a number past 2**32 is the largest."""
        timer = SessionTimer(SessionTimerSettings())
        timer.response_received(response([("x", " 1800 ; x=y ;Refresher=UAS")]), 0.0)
        self.assertEqual((timer.interval, timer.refresher), (1800, Refresher.REMOTE))
        timer.response_received(response([("Session-Expires", f"{2**40};refresher=uac")]), 0.0)
        self.assertEqual(timer.interval, 2**32 - 1)

    def test_less_than_the_least(self) -> None:
        """A response below 90 s is taken at its word, so that its sender does not hang up, but not below 30."""
        for said, interval in ((60, 60), (30, 30), (1, 30), (0, 30)):
            timer = SessionTimer(SessionTimerSettings())
            timer.response_received(response(session_expires(said, "uac")), 0.0)
            self.assertEqual((timer.interval, timer.next_deadline), (interval, interval / 2))

    def test_settings(self) -> None:
        """Settings that RFC 4028 forbids, or that contradict each other, are refused where they are made."""
        for arguments in ({"minimum": 89}, {"interval": 89}, {"interval": 100, "minimum": 101}, {"interval": 2**32}):
            self.assertRaises(ValueError, SessionTimerSettings, **arguments)
        self.assertRaises(ValueError, SessionTimerSettings, is_required=True, is_enabled=False)
        self.assertEqual(
            [repr(wish) for wish in WISHES.values()][:3],
            [f"<SessionTimerSettings {text}, at least 90 s>" for text in ("off", "none", "1800 s")],
        )


class TimeTests(SynchronousTestCase):
    """When something is due."""

    def test_times(self) -> None:
        """Sections 7.2 and 10: refresh at half the interval, hang up min(32, a third) before it is over. row:H26"""
        words = vectors("timers")["session_timer_4028"]
        self.assertEqual(words["min_se_floor"], LEAST_INTERVAL)
        self.assertEqual((words["refresh_at"], words["bye_at"][:20]), ("SE/2", "SE - min(32, SE/3) a"))
        for interval, end in ((90, 60.0), (96, 64.0), (1800, 1768.0)):
            timer = SessionTimer(SessionTimerSettings())
            timer.response_received(response(session_expires(interval, "uac")), 100.0)
            self.assertEqual(timer.next_deadline, 100 + interval / 2)
            self.assertIsNone(timer.due(100 + interval / 2 - 0.001))
            self.assertIs(timer.due(100 + interval / 2), TimerDue.REFRESH)
            self.assertIsNone(timer.due(100 + interval / 2))
            self.assertEqual(timer.next_deadline, 100 + end)
            self.assertIs(timer.due(100 + end), TimerDue.EXPIRED)
            self.assertEqual((timer.next_deadline, timer.due(10_000.0)), (None, None))
            other = SessionTimer(SessionTimerSettings())
            answer(other, request(session_expires(interval, "uac")), 100.0)
            self.assertEqual(other.next_deadline, 100 + end)
            self.assertIs(other.due(100 + end), TimerDue.EXPIRED)

    def test_failed_refresh(self) -> None:
        """Section 10: a refresh that fails is tried again in half of what is left, until nothing is. row:H26"""
        timer = bring("refreshing")
        tries, now = 1, 900.0
        while True:
            timer.refresh_failed(now)
            assert timer.next_deadline is not None
            now = timer.next_deadline
            what = timer.due(now)
            if what is TimerDue.EXPIRED:
                break
            self.assertIs(what, TimerDue.REFRESH)
            tries += 1
        self.assertEqual(now, 1768.0)
        self.assertLess(tries, 14)

    def test_retry_after(self) -> None:
        """A Retry-After that is longer than our own pause is kept, but not beyond the end of the session."""
        timer = bring("refreshing")
        timer.refresh_failed(900.0, 500.0)
        self.assertEqual(timer.next_deadline, 1400.0)
        self.assertIs(timer.due(1400.0), TimerDue.REFRESH)
        timer.refresh_failed(1400.0, 5000.0)
        self.assertEqual(timer.next_deadline, 1768.0)
        self.assertIs(timer.due(1768.0), TimerDue.EXPIRED)

    def test_pause(self) -> None:
        """While the way to the peer is looked for nothing is due; with the peer the interval begins anew. row:H32"""
        for state in ("local", "refreshing", "remote"):
            timer = bring(state)
            timer.pause()
            timer.refresh_failed(1000.0)
            self.assertEqual((timer.next_deadline, timer.due(100_000.0)), (None, None))
            timer.resume(100_000.0)
            self.assertEqual(timer.next_deadline, 100_000 + (1768 if state == "remote" else 900))
            timer.resume(100_500.0)
            self.assertEqual(timer.next_deadline, 100_000 + (1768 if state == "remote" else 900))

    def test_peer_refreshes_meanwhile(self) -> None:
        """A refresh of the peer counts as much as our own: the session starts anew while ours is on its way."""
        timer = bring("refreshing")
        answer(timer, request(session_expires(1800, "uas"), "UPDATE"), 901.0)
        self.assertEqual((state_of(timer), timer.next_deadline), ("local", 1801.0))


class FallbackTests(SynchronousTestCase):
    """What a session is refreshed with."""

    def test_method(self) -> None:
        """Section 7.4: UPDATE where the peer's Allow lists it, INVITE where it does not or there is none. limit:L17"""
        for may_update, method in ((True, "UPDATE"), (False, "INVITE"), (None, "INVITE")):
            self.assertEqual(bring("local").refresh_method(may_update), method)

    def test_update_refused(self) -> None:
        """A peer that refuses the UPDATE that its Allow promised is refreshed by INVITE from then on. limit:L17"""
        for status, again in ((405, True), (501, True), (500, False), (488, False), (200, False)):
            timer = bring("refreshing")
            self.assertEqual(timer.fallback("UPDATE", status), again)
            self.assertEqual(timer.refresh_method(True), "INVITE" if again else "UPDATE")
        self.assertFalse(bring("refreshing").fallback("INVITE", 405))

    def test_every_answer_to_a_refresh(self) -> None:
        """Section 9: while a timer runs each 2xx to UPDATE and re-INVITE says so. limit:L15 row:H27"""
        for state, method, role, knows in itertools.product(
            STATES[1:], ("INVITE", "UPDATE"), (None, "", "uac", "uas"), (True, False)
        ):
            timer = bring(state)
            fields = [] if role is None else session_expires(1800, role)
            status, said = answer(timer, request(fields, method, knows), 900.0)
            self.assertEqual(status, 200)
            self.assertRegex(value_of(said, "Session-Expires"), "^1800;refresher=ua[cs]$")
            self.assertTrue(timer.is_running)
            self.assertGreaterEqual(timer.next_deadline, 1800.0)

    def test_overlapping_requests(self) -> None:
        """An UPDATE that is answered while a re-INVITE waits for its answer leaves the re-INVITE's terms alone."""
        timer = bring("remote")
        self.assertEqual(timer.request_received(request([*session_expires(600, "uac")], "INVITE")), 0)
        _, said = answer(timer, request(session_expires(1800, "uac"), "UPDATE"), 900.0)
        self.assertEqual(said[0], ("Session-Expires", "1800;refresher=uac"))
        self.assertEqual(timer.response_fields(901.0, "INVITE")[0], ("Session-Expires", "600;refresher=uac"))
        self.assertEqual(timer.interval, 600)


class RefusalTests(SynchronousTestCase):
    """The 422 and the way on from it."""

    def test_call_flow(self) -> None:
        """Section 13: two proxies want more, one after the other; the third INVITE stands. row:H26"""
        alice = SessionTimer(SessionTimerSettings(90))
        bob = SessionTimer(SessionTimerSettings(None))
        self.assertEqual(alice.request_fields("INVITE"), session_expires(90))
        self.assertTrue(alice.too_small(response([("Min-SE", "3600")], 422)))
        self.assertEqual(alice.request_fields("INVITE"), [*session_expires(3600), ("Min-SE", "3600")])
        self.assertTrue(alice.too_small(response([("Min-SE", "4000")], 422)))
        third = alice.request_fields("INVITE")
        self.assertEqual(third, [*session_expires(4000), ("Min-SE", "4000")])
        status, accepted = answer(bob, request(third), 10.0)
        self.assertEqual((status, accepted), (200, [*session_expires(4000, "uac"), ("Require", "timer")]))
        alice.response_received(response(accepted), 10.1)
        self.assertIs(alice.due(2010.1), TimerDue.REFRESH)
        update = alice.request_fields(alice.refresh_method(True))
        # 7.4, message 18: what proxies wanted that may not be on the way any more is said no longer.
        self.assertEqual(update, session_expires(4000, "uac"))
        status, again = answer(bob, request(update, "UPDATE"), 2010.2)
        self.assertEqual((status, again), (200, accepted))
        alice.response_received(response(again), 2010.3)
        # Within the dialog it stays: in a 422, and in a request of the peer's.
        self.assertTrue(alice.too_small(response([("Min-SE", "5000")], 422)))
        for _ in range(2):
            self.assertEqual(alice.request_fields("UPDATE"), [*session_expires(5000, "uac"), ("Min-SE", "5000")])
            alice.response_received(response(session_expires(4000, "uac")), 2010.3)
        self.assertEqual((alice.next_deadline, bob.next_deadline), (4010.3, 2010.2 + 4000 - 32))
        # Bob heard of the least interval in the requests, and says it in his own (7.4).
        self.assertEqual(bob.request_fields("UPDATE"), [*session_expires(4000, "uas"), ("Min-SE", "4000")])

    def test_bounded(self) -> None:
        """Section 7.3: servers that want ever more are followed a few times only; a success starts anew. fault:D3"""
        timer = SessionTimer(SessionTimerSettings())
        for _ in range(2):
            base = timer.interval or 1800
            tries = 0
            while timer.too_small(response([("Min-SE", str(base + 100 * (tries + 1)))], 422)):
                tries += 1
                self.assertLess(tries, 100)
            self.assertEqual(tries, 6)
            timer.response_received(response(session_expires(base + 100 * tries, "uac")), 0.0)

    def test_contradictions(self) -> None:
        """A 422 that asks for no more than what it was given, or for nothing, ends it at once."""
        for fields in ([], [("Min-SE", "90")], [("Min-SE", "1800")], [("Min-SE", "what")]):
            self.assertFalse(SessionTimer(SessionTimerSettings()).too_small(response(fields, 422)))
        self.assertFalse(SessionTimer(WISHES["off"]).too_small(response([("Min-SE", "3600")], 422)))

    def test_asked_by_a_proxy(self) -> None:
        """Section 7.3: who is refused for what a proxy asked for names the least interval itself."""
        timer = SessionTimer(WISHES["none"])
        self.assertTrue(timer.too_small(response([("Min-SE", "3600")], 422)))
        self.assertEqual(timer.request_fields("INVITE"), [("Min-SE", "3600")])

    def test_refresh_refused(self) -> None:
        """Section 7.4: a 422 to a refresh raises both fields, and the session as it is goes on until a 2xx."""
        timer = bring("refreshing")
        self.assertTrue(timer.too_small(response([("Min-SE", "2400")], 422)))
        self.assertEqual(timer.request_fields("UPDATE"), [*session_expires(2400, "uac"), ("Min-SE", "2400")])
        self.assertEqual((timer.interval, timer.next_deadline), (1800, 1768.0))


class SavingTests(SynchronousTestCase):
    """Over a restart."""

    def test_there_and_back(self) -> None:
        """What is saved is taken up again: interval, refresher and least interval; the interval counts anew. row:H33"""
        for state in STATES:
            timer = bring(state, SessionTimerSettings(3600, minimum=120))
            again = SessionTimer(SessionTimerSettings(3600))
            again.restore(timer.save(), 5000.0)
            self.assertEqual((again.interval, again.refresher), (timer.interval, timer.refresher))
            self.assertEqual(again.request_fields("UPDATE"), timer.request_fields("UPDATE"))
            if state != "off":
                self.assertEqual(again.next_deadline, 5000.0 + (1768 if state == "remote" else 900))
                self.assertFalse(again.is_refreshing)

    def test_what_is_no_state(self) -> None:
        """Text that somebody changed is refused with a reason, and changes nothing."""
        for saved in (
            {"least": 5},
            {"least": "90"},
            {"interval": -1},
            {"interval": 2.5},
            {"interval": True},
            {"interval": 100, "refresher": "me"},
        ):
            timer = SessionTimer(SessionTimerSettings())
            self.assertRaises(ValueError, timer.restore, saved, 0.0)
            self.assertFalse(timer.is_running)

    def test_left_out(self) -> None:
        """A session that is taken up without the extension has no timer; a bare state is a session without one."""
        timer = SessionTimer(WISHES["off"])
        timer.restore(bring("local").save(), 0.0)
        self.assertFalse(timer.is_running)
        bare = SessionTimer(SessionTimerSettings())
        bare.restore({}, 0.0)
        self.assertFalse(bare.is_running)


_SETTINGS = st.builds(
    lambda interval, extra, refresher: SessionTimerSettings(
        None if interval is None else interval + extra, minimum=90 + extra, refresher=refresher
    ),
    st.one_of(st.none(), st.integers(90, 5000)),
    st.integers(0, 2000),
    st.sampled_from((None, *Refresher)),
)


class TwoTimersTests(SynchronousTestCase):
    """Two of them against each other."""

    @settings(max_examples=200, deadline=None)
    @given(
        st.tuples(_SETTINGS, _SETTINGS),
        st.lists(
            st.tuples(st.sampled_from((0, 1, None)), st.sampled_from(("INVITE", "UPDATE")), st.floats(0.01, 3)),
            max_size=25,
        ),
    )
    def test_they_agree(
        self, wishes: tuple[SessionTimerSettings, SessionTimerSettings], steps: list[tuple[int | None, str, float]]
    ) -> None:
        """Exactly one of two ends refreshes, both count the same interval, and nobody hangs up. row:H26"""
        timers = (SessionTimer(wishes[0]), SessionTimer(wishes[1]))
        now = self._exchange(timers, 0, "INVITE", 0.0, 0.1)
        for who, method, delay in steps:
            if who is None:
                # Nothing happens until one of them has to act.
                deadlines = [(timer.next_deadline, number) for number, timer in enumerate(timers)]
                due = min(((when, number) for when, number in deadlines if when is not None), default=None)
                if due is None:
                    continue
                now, who = max(now, due[0]), due[1]
                self.assertIs(timers[who].due(now), TimerDue.REFRESH, "nobody hangs up while refreshes arrive")
            now = self._exchange(timers, who, method, now, delay)

    def _exchange(
        self, timers: tuple[SessionTimer, SessionTimer], who: int, method: str, now: float, delay: float
    ) -> float:
        """One request from *who* and its answer, 422 and all; the time afterwards."""
        mine, other = timers[who], timers[1 - who]
        for _ in range(8):
            status, fields = answer(other, request(mine.request_fields(method), method), now + delay)
            now += 2 * delay
            if status == 200:
                mine.response_received(response(fields), now)
                break
            self.assertTrue(mine.too_small(response(fields, status)))
        else:
            self.fail("never accepted")
        self.assertEqual(mine.interval, other.interval)
        if mine.is_running:
            self.assertGreaterEqual(mine.interval, max(timer.settings.minimum for timer in timers))
            self.assertEqual({mine.refresher, other.refresher}, set(Refresher))
        return now
