"""Two or three players around a hub that forks, loses, delays, repeats and reorders; whoever crashes has forgotten
everything.

Every player has one flow, to the hub, and the hub finds the way: a request goes to the host of its Request-URI, a
response to the host of its topmost Via. A first INVITE to ``hunt.example`` goes to everybody else, and the hub does for
it what a forking proxy does (RFC 3261 section 16.7): it passes on provisional responses and every 2xx at once, keeps
refusals back until all have refused, acknowledges them itself, and cancels the others when one has accepted.
"""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import parse_message
from tests.sip.dialog.pair import Wires
from tests.sip.dialog.player import Player
from tests.sip.dialog.wire_rules import WireRules

if TYPE_CHECKING:
    from sip_p2p.sip.message import Response

__all__ = ["HUNT", "NAMES", "World"]

HUNT = "hunt.example"
NAMES = ("alice", "bob", "carol")


class _Fork:
    """What the hub knows of one INVITE that it gave to several."""

    __slots__ = ("final", "invite", "legs", "origin", "winner")

    def __init__(self, origin: str, invite: bytes, legs: list[str]) -> None:
        self.origin = origin
        self.invite = invite
        # By name, the refusal of each; None while there is none.
        self.legs: dict[str, bytes | None] = dict.fromkeys(legs)
        # Who accepted first, and what the caller was told where nobody did.
        self.winner = ""
        self.final = b""

    def waiting(self) -> list[str]:
        """Who is still to be asked: not who has refused, nor who was cancelled because another one accepted."""
        return [name for name, refusal in self.legs.items() if refusal is None and self.winner in ("", name)]


class World:
    """Everybody, and the hub between them.

    :ivar now: the time, in seconds.
    :ivar players: by name.
    :ivar wires: what happens to messages on their way to the hub; over a stream nothing does.
    :ivar cut_off: who neither sends nor receives.
    :ivar rules: watches what is sent and what arrives.
    """

    def __init__(self, count: int = 2, *, reliable: bool = False, seed: int = 0) -> None:
        self.now = 0.0
        self.reliable = reliable
        self.wires = Wires()
        self.cut_off: set[str] = set()
        self.rules = WireRules()
        self.dead: list[Player] = []
        self._random = random.Random(seed)
        self._on_wire: list[tuple[float, int, str, str, bytes]] = []
        self._last: dict[str, float] = {}
        self._serial = 0
        self._forks: dict[str, _Fork] = {}
        self.players = {name: self._new(name, 0) for name in NAMES[:count]}

    def _new(self, name: str, life: int) -> Player:
        port = 5061 if self.reliable else 5060
        peer = "hub.example" if self.reliable else ""
        flow = Flow("TLS" if self.reliable else "UDP", self.reliable, f"{name}.example:{port}", "192.0.2.9", port, peer)
        return Player(self, name, flow, life)  # type: ignore[arg-type]

    def other(self, player: Player) -> Player:
        """The one that *player* faces, where it calls nobody in particular."""
        names = list(self.players)
        return self.players[names[(names.index(player.name) + 1) % len(names)]]

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def crash(self, name: str) -> None:
        """*name* is gone and comes back at once, and knows nothing."""
        former = self.players[name]
        former.is_alive = False
        self._forget_messages(name)
        self.rules.forget(former)
        self.players[name] = self._new(name, former.life + 1)

    def lose_flow(self, name: str) -> None:
        """The flow between *name* and the hub breaks, with what is on it."""
        player = self.players[name]
        self._forget_messages(name)
        self.rules.flow_lost(player)
        player.lose_flow(ConnectionFailure("it was cut"))

    def _forget_messages(self, name: str) -> None:
        self._on_wire = [entry for entry in self._on_wire if entry[2] != name and entry[3] != name]
        heapq.heapify(self._on_wire)

    # -- the way of a message ------------------------------------------------------------------------------------------

    def send(self, sender: Player, octets: bytes) -> None:
        """*sender* says something."""
        if not sender.is_alive:
            return
        message = parse_message(octets)
        self.rules.sent(sender, message, self.now)
        if sender.name in self.cut_off:
            return
        if isinstance(message, Request):
            self._pass_request(sender, message, octets)
        else:
            self._pass_response(sender, message, octets)

    def _pass_request(self, sender: Player, request: Request, octets: bytes) -> None:
        host = request.uri.host  # type: ignore[union-attr]
        if host != HUNT:
            self._carry(sender.name, host.partition(".")[0], octets)
            return
        branch = request.via.branch or ""
        if request.method == "INVITE":
            fork = self._forks.get(branch)
            if fork is None:
                legs = [name for name in self.players if name != sender.name]
                fork = self._forks[branch] = _Fork(sender.name, octets, legs)
            elif fork.final:
                self._deliver(self.now + self.wires.delay, next(iter(fork.legs)), sender.name, fork.final)
            for name in fork.waiting():
                self._carry(sender.name, name, octets)
        elif request.method == "CANCEL" and branch in self._forks:
            for name in self._forks[branch].waiting():
                self._carry(sender.name, name, octets)

    def _pass_response(self, sender: Player, response: Response, octets: bytes) -> None:
        goal = response.via.host.partition(".")[0]
        fork = self._forks.get(response.via.branch or "")
        if fork is None or sender.name not in fork.legs or response.cseq.method != "INVITE" or response.status <= 100:
            self._carry(sender.name, goal, octets)
        elif response.status < 200:
            self._carry(sender.name, goal, octets)
        elif response.status < 300:
            self._carry(sender.name, goal, octets)
            if not fork.winner:
                cancelled = fork.waiting()
                fork.winner = sender.name
                for name in cancelled:
                    if name != sender.name:
                        self._carry(fork.origin, name, _hop(fork.invite, "CANCEL", None))
        else:
            self._refused(fork, sender, response, octets)

    def _refused(self, fork: _Fork, sender: Player, response: Response, octets: bytes) -> None:
        """16.7: kept until everybody has refused; acknowledged here, each time."""
        self._carry(fork.origin, sender.name, _hop(fork.invite, "ACK", response.headers["To"]))
        if fork.legs[sender.name] is not None:
            return
        fork.legs[sender.name] = octets
        if None not in fork.legs.values() and not fork.winner and not fork.final:
            fork.final = octets
            # From here on nothing is lost: what the hub would say again it says once.
            self._deliver(self.now + self.wires.delay, sender.name, fork.origin, octets)

    def _carry(self, sender: str, goal: str, octets: bytes) -> None:
        if goal not in self.players:
            return
        wires = self.wires
        if self.reliable:
            # A stream keeps its order.
            when = self._last[goal] = max(self._last.get(goal, 0.0), self.now + wires.delay)
            self._deliver(when, sender, goal, octets)
            return
        if self._random.random() < wires.loss:
            return
        for _ in range(2 if self._random.random() < wires.duplicates else 1):
            self._deliver(self.now + wires.delay + self._random.random() * wires.jitter, sender, goal, octets)

    def _deliver(self, when: float, sender: str, goal: str, octets: bytes) -> None:
        self._serial += 1
        heapq.heappush(self._on_wire, (when, self._serial, sender, goal, octets))

    # -- time ----------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass, and everything happen that is due by then."""
        end = self.now + seconds
        while self._step(end):
            continue
        self.now = end

    def _step(self, end: float) -> bool:
        when, who = (self._on_wire[0][0], None) if self._on_wire else (end + 1, None)
        for player in self.players.values():
            deadline = player.core.next_deadline()
            if deadline is not None and deadline < when:
                when, who = deadline, player
        if when > end:
            return False
        self.now = max(self.now, when)
        if who is not None:
            who.core.handle_timer(self.now)
            who.work()
            return True
        _, _, _, goal, octets = heapq.heappop(self._on_wire)
        player = self.players[goal]
        if goal not in self.cut_off:
            self.rules.arrived(player, parse_message(octets), self.now)
            player.receive(octets)
        return True

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way and nobody waits for anything but for a session timer."""
        return not self._on_wire and not any(
            usage.outgoing is not None or usage.incoming is not None or usage.awaited_ack is not None
            for player in self.players.values()
            for usage in player.known
        )


def _hop(invite: bytes, method: str, to: str | None) -> bytes:
    """What a proxy says of an INVITE on one hop: the ACK of a refusal (RFC 3261 17.1.1.3), or a CANCEL (9.1)."""
    request = parse_message(invite)
    assert isinstance(request, Request)
    headers = [(name, request.headers[name]) for name in ("Via", "Max-Forwards", "From", "Call-ID")]
    headers.append(("To", request.headers["To"] if to is None else to))
    headers.append(("CSeq", f"{request.cseq.number} {method}"))
    return Request(method, str(request.uri), headers).serialise()
