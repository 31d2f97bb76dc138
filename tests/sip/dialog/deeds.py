"""Everything that can happen in a world, as a table: the name of a deed and how many choices each of its arguments has.

A life is a list of deeds. :class:`Life` plays it, settles whatever is left, and then asks whether everybody agrees and
nothing is left over."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.session_timer import Refresher, SessionTimerSettings
from sip_p2p.sip.dialog.usage import UsageState
from tests.sip.dialog.player import ANSWER_OPTIONS
from tests.sip.dialog.world import HUNT, NAMES, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sip_p2p.sip.dialog.client_invitation import ClientInvitation
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.dialog.server_invitation import ServerInvitation
    from sip_p2p.sip.dialog.usage import InviteUsage
    from tests.sip.dialog.player import Player

__all__ = ["BEGINNINGS", "DEEDS", "OFTEN", "Life"]

CALL_OPTIONS = (
    CallOptions(40.0, session_timer=SessionTimerSettings(None)),
    CallOptions(40.0, "off"),
    CallOptions(40.0, "required", SessionTimerSettings(90, refresher=Refresher.LOCAL)),
    CallOptions(20.0, session_timer=SessionTimerSettings(120, refresher=Refresher.REMOTE)),
    CallOptions(40.0, session_timer=SessionTimerSettings(1800), automatic_ack=False),
    CallOptions(40.0, session_timer=SessionTimerSettings(100), max_forks=1, max_redirects=2),
)
TIMES = (0.0, 0.004, 0.011, 0.021, 0.031, 0.031, 0.06, 0.11, 0.11, 0.6, 0.6, 2.0, 5.0, 33.0, 100.0)
MOST_CALLS = 4

DEEDS: dict[str, tuple[int, ...]] = {
    "wait": (len(TIMES),),
    "call": (3, 3, len(CALL_OPTIONS), 2),
    "cancel": (6,),
    "give_up": (4, 2),
    "ring": (6, 3, 2, 3),
    "early_dialog": (6,),
    "end_early": (6, 3),
    "accept": (6, 3),
    "reject": (6, 3),
    "answer": (6,),
    "decline": (6,),
    "modify": (6, 2, 3, 3),
    "cross": (6, 2, 2, 2),
    "part": (6,),
    "cancel_change": (6,),
    "progress": (6,),
    "bye": (6,),
    "request": (6, 3),
    "respond": (6,),
    "refresh": (6,),
    "acknowledge": (6,),
    "wires": (3, 3, 2),
    "cut_off": (3,),
    "heal": (),
    "crash": (3,),
    "lose_flow": (3,),
    "dialling": (3,),
    "dialled": (3, 2),
    "call_manner": (3, 4),
    "offer_manner": (3, 3),
    "event_manner": (3, 4),
    "answering": (3, len(ANSWER_OPTIONS)),
}
"""The deeds, each with the number of choices of every argument."""

_CHOOSING: dict[str, Callable[[Player], Iterable[Any]]] = {
    **dict.fromkeys(("cancel",), lambda player: player.outgoing_calls),
    **dict.fromkeys(("give_up",), lambda player: player.redirected),
    **dict.fromkeys(("ring", "early_dialog", "end_early", "accept", "reject"), lambda player: player.incoming_calls),
    **dict.fromkeys(("answer", "decline", "progress"), lambda player: player.offers),
    **dict.fromkeys(
        ("modify", "cross", "part", "bye", "request", "refresh", "acknowledge"), lambda player: player.known
    ),
    **dict.fromkeys(("cancel_change",), lambda player: player.changes),
    **dict.fromkeys(("respond",), lambda player: player.unanswered),
}
"""What the first choice of a deed is made from."""

OFTEN = ("wait",) * 6 + (
    "call",
    "ring",
    "ring",
    "accept",
    "answer",
    "answer",
    "modify",
    "modify",
    "cross",
    "progress",
    "heal",
    "dialled",
)
"""What happens more often than the rest."""


BEGINNINGS: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...] = (
    (),
    (("call", (0, 0, 0, 1)), ("wait", (7,)), ("accept", (0, 0)), ("wait", (7,))),
    (("call", (0, 0, 2, 0)), ("wait", (7,)), ("accept", (0, 0)), ("wait", (7,)), ("answer", (0,)), ("wait", (7,))),
    (("call", (1, 2, 3, 1)), ("wait", (7,)), ("ring", (0, 1, 1, 1)), ("ring", (1, 1, 1, 1)), ("wait", (7,))),
)
"""How a life may begin: with nothing, with a session, with one whose offer the callee made, or with an early answer."""


class Life:
    """One world from beginning to end.

    :ivar world: the world.
    :ivar done: the deeds so far, for whoever wants to see a failure again.
    """

    def __init__(self, count: int = 2, *, reliable: bool = False, seed: int = 0) -> None:
        self.world = World(count, reliable=reliable, seed=seed)
        self.done: list[tuple[str, tuple[int, ...]]] = []

    def play(self, deed: str, choices: Sequence[int]) -> None:
        """Do *deed*; what cannot be done now changes nothing."""
        self.done.append((deed, tuple(choices)))
        if deed == "wait":
            self.world.wait(TIMES[choices[0]])
        elif deed == "wires":
            self._wires(*choices)
        elif deed == "heal":
            self.heal()
        elif deed in _CHOOSING:
            # Out of everything that this can be done with, whosesoever it is.
            some = [(player, each) for player in self.world.players.values() for each in _CHOOSING[deed](player)]
            if some:
                player, each = some[choices[0] % len(some)]
                getattr(self, f"_{deed}")(player, each, *choices[1:])
                player.work()
        else:
            name = NAMES[choices[0] % len(self.world.players)]
            if deed in ("crash", "lose_flow"):
                getattr(self.world, deed)(name)
            elif deed == "cut_off":
                self.world.cut_off.add(name)
            else:
                player = self.world.players[name]
                getattr(self, f"_{deed}")(player, *choices[1:])
                player.work()

    def check(self) -> None:
        """What holds at any time."""
        for player in self.world.players.values():
            for usage in player.known:
                assert usage.state is not UsageState.ENDED, "it ended, and nobody was told"
            for call in player.incoming_calls:
                assert call.is_open, "it is decided, and nobody was told"

    # -- the world -----------------------------------------------------------------------------------------------------

    def _wires(self, loss: int, jitter: int, duplicates: int) -> None:
        wires = self.world.wires
        wires.loss = (0.0, 0.2, 0.5)[loss]
        wires.jitter = (0.0, 0.1, 1.0)[jitter]
        wires.duplicates = (0.0, 0.3)[duplicates]

    def heal(self) -> None:
        """Everybody hears everybody."""
        self._wires(0, 0, 0)
        self.world.cut_off.clear()

    # -- the deeds -----------------------------------------------------------------------------------------------------

    def _call(self, player: Player, whom: int, options: int, has_offer: int) -> None:
        if len(player.outgoing_calls) + len(player.known) >= MOST_CALLS:
            return
        names = [name for name in self.world.players if name != player.name]
        host = HUNT if whom >= len(names) else f"{names[whom]}.example"
        player.attempt_call(f"sip:somebody@{host}", CALL_OPTIONS[options], bool(has_offer))

    def _cancel(self, player: Player, call: ClientInvitation) -> None:
        call.cancel(self.world.now)

    def _give_up(self, player: Player, call: ClientInvitation, is_followed: int) -> None:
        player.redirected.remove(call)
        if is_followed:
            call.follow(["sip:else@bob.example", "sip:else@carol.example"], self.world.now)
        else:
            call.give_up(self.world.now)

    def _ring(self, player: Player, call: ServerInvitation, status: int, describes: int, reliable: int) -> None:
        player.attempt_ring(call, (180, 183, 182)[status], bool(describes), (None, True, False)[reliable])

    def _early_dialog(self, player: Player, call: ServerInvitation) -> None:
        if len(call.usages) < 3:
            _try(call.early_dialog)

    def _end_early(self, player: Player, call: ServerInvitation, which: int) -> None:
        if call.usages:
            _try(call.end_early, call.usages[which % len(call.usages)], self.world.now)

    def _accept(self, player: Player, call: ServerInvitation, which: int) -> None:
        player.attempt_accept(call, which)

    def _reject(self, player: Player, call: ServerInvitation, how: int) -> None:
        if how == 2:
            # Whoever was redirected already is not sent back.
            with contextlib.suppress(ValueError):
                _try(call.redirect, ["<sip:else@carol.example>;q=0.5", "<sip:else@bob.example>"], self.world.now)
        else:
            _try(call.reject, (486, 603)[how], self.world.now)

    def _answer(self, player: Player, usage: InviteUsage) -> None:
        player.attempt_answer(usage)

    def _decline(self, player: Player, usage: InviteUsage) -> None:
        player.attempt_decline(usage, 488)

    def _modify(self, player: Player, usage: InviteUsage, has_offer: int, method: int, requires: int) -> None:
        player.attempt_modify(usage, bool(has_offer), (None, "INVITE", "UPDATE")[method], requires == 0)

    def _cross(self, player: Player, usage: InviteUsage, has_offer: int, one: int, two: int) -> None:
        """Both sides at once (RFC 5407 section 3.1)."""
        player.attempt_modify(usage, bool(has_offer), ("INVITE", "UPDATE")[one])
        if found := self._counterpart(player, usage):
            other, theirs = found
            other.attempt_modify(theirs, True, ("INVITE", "UPDATE")[two])
            other.work()

    def _part(self, player: Player, usage: InviteUsage) -> None:
        found = self._counterpart(player, usage)
        player.attempt_bye(usage)
        if found:
            other, theirs = found
            other.attempt_bye(theirs)
            other.work()

    def _cancel_change(self, player: Player, usage: InviteUsage) -> None:
        usage.cancel_modification(self.world.now)

    def _progress(self, player: Player, usage: InviteUsage) -> None:
        _try(usage.progress, 183, self.world.now)

    def _bye(self, player: Player, usage: InviteUsage) -> None:
        player.attempt_bye(usage)

    def _request(self, player: Player, usage: InviteUsage, method: int) -> None:
        player.attempt_request(usage, ("MESSAGE", "INFO", "OPTIONS")[method])

    def _respond(self, player: Player, output: InDialogRequestReceived) -> None:
        player.unanswered.remove(output)
        _try(player.say_yes, output)

    def _refresh(self, player: Player, usage: InviteUsage) -> None:
        usage.refresh(self.world.now)

    def _acknowledge(self, player: Player, usage: InviteUsage) -> None:
        if usage not in player.offers:
            _try(usage.acknowledge, None, (), self.world.now)

    def _dialling(self, player: Player) -> None:
        player.is_dialling = True

    def _dialled(self, player: Player, is_there: int) -> None:
        if is_there:
            player.dialled()
        else:
            player.not_dialled()

    def _call_manner(self, player: Player, manner: int) -> None:
        player.manner.call = ("", "ring", "accept", "reject")[manner]

    def _offer_manner(self, player: Player, manner: int) -> None:
        player.manner.offer = ("", "answer", "decline")[manner]

    def _event_manner(self, player: Player, manner: int) -> None:
        player.manner.event = ("", "bye", "cancel", "modify")[manner]

    def _answering(self, player: Player, options: int) -> None:
        player.options = ANSWER_OPTIONS[options]

    def end(self) -> None:
        """Everything comes to its end."""
        self.settle()
        self.check()
        self.agree()
        self.finish()

    # -- the end -------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Nothing goes wrong any more, everybody answers, and all that was begun comes to its end."""
        world = self.world
        self.heal()
        for player in world.players.values():
            player.manner.call, player.manner.offer, player.manner.event = "accept", "answer", ""
            player.dialled()
        for _ in range(3):
            for player in world.players.values():
                self._decide_all(player)
            world.wait(50.0)
        # Session timers tell whose peer has gone: the longest interval but one is 200 s.
        world.wait(250.0)
        self._await_quiet()

    def _decide_all(self, player: Player) -> None:
        for call in list(player.incoming_calls):
            if not player.attempt_accept(call, 0):
                _try(call.reject, 480, self.world.now)
        for redirected in list(player.redirected):
            self._give_up(player, redirected, 0)
        for usage in list(player.offers):
            player.attempt_answer(usage)
        for usage in list(player.known):
            if usage not in player.offers:
                _try(usage.acknowledge, None, (), self.world.now)
        for output in list(player.unanswered):
            self._respond(player, output)
        player.work()

    def _await_quiet(self) -> None:
        for _ in range(100):
            if self.world.is_quiet:
                return
            self.world.wait(1.37)
        raise AssertionError("it never comes to rest")

    def agree(self) -> None:
        """Whoever knows of a session knows the same of it as the other side."""
        for player in self.world.players.values():
            for usage in list(player.known):
                assert usage.state is UsageState.CONFIRMED, f"{player.name} is left {usage.state}"
                other = self._counterpart(player, usage)
                if other is None:
                    # Its peer has forgotten it, and was silent since: that ends where a session timer runs.
                    timer = usage.session_timer
                    assert timer is None or not timer.is_running or timer.interval > 250, "a session outlives its timer"
                    usage.refresh(self.world.now)
                    player.work()
        self.world.wait(80.0)
        self._await_quiet()
        for player in self.world.players.values():
            for usage in list(player.known):
                found = self._counterpart(player, usage)
                assert found is not None, f"{player.name} has a session that nobody else knows"
                self._compare(player, usage, *found)

    def _counterpart(self, player: Player, usage: InviteUsage) -> tuple[Player, InviteUsage] | None:
        ours = usage.dialog
        for other in self.world.players.values():
            dialog = other.core.dialogs.find(ours.call_id, ours.remote_tag, ours.local_tag)
            if dialog is not None and dialog.user in other.known:
                return other, dialog.user
        return None

    def _compare(self, player: Player, usage: InviteUsage, other: Player, theirs: InviteUsage) -> None:
        assert usage.state is theirs.state is UsageState.CONFIRMED, f"{usage.state} here, {theirs.state} there"
        assert player.agreed.get(usage) == other.agreed.get(theirs), "they agreed on different things"
        assert usage.offer_answer.state is usage.offer_answer.state.AGREED, usage.offer_answer.state
        local = usage.local_description
        assert local is not None, "nobody knows what was agreed"
        assert local.body in player.agreed[usage], "what stands is not what was agreed"
        one, two = usage.session_timer, theirs.session_timer
        running = [timer for timer in (one, two) if timer is not None and timer.is_running]
        refreshing = [timer for timer in running if timer.refresher is Refresher.LOCAL]
        assert len(refreshing) == bool(running), f"{len(refreshing)} refresh the session"
        assert len({timer.interval for timer in running}) < 2, "the intervals differ"

    def finish(self) -> None:
        """Everybody hangs up, and nothing is left."""
        for player in self.world.players.values():
            for usage in list(player.known):
                assert player.attempt_bye(usage)
            player.work()
        self.world.wait(80.0)
        for player in self.world.players.values():
            assert not player.known, "somebody never hung up"
            assert not player.outgoing_calls and not player.incoming_calls, "a call has no outcome"
            left = {name: count for name, count in player.inventory().items() if count}
            assert not left, f"{player.name} has left {left}"


def _try(what: Any, *arguments: Any) -> None:
    try:
        what(*arguments)
    except InvalidOperation:
        return
