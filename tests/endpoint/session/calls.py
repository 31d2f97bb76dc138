"""Alice calls Bob: what the tests of sessions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.session.session import SignalingSession
from tests.endpoint.support import PartyTestCase

if TYPE_CHECKING:
    from sip_p2p import SipPeerToPeerEndpoint

__all__ = ["ANSWER", "BOB", "OFFER", "CallTestCase", "Calls", "Heard"]

BOB = "sip:bob@b.example"
OFFER = "v=0\r\no=alice 1 1 IN IP4 a.example\r\n"
ANSWER = "v=0\r\no=bob 1 1 IN IP4 b.example\r\n"

_PASSING = (
    "sessions",
    "invitations",
    "errands",
    "dialogs",
    "appointments",
    "clients",
    "servers",
    "unanswered",
    "leases",
)


class Heard:
    """What the events of one session say, in the order in which they are told, in words.

    :ivar told: the words.
    :ivar events: what was told.
    """

    def __init__(self, session: SignalingSession) -> None:
        self.told: list[str] = []
        self.events: list[Any] = []
        for name in (
            "state_changed",
            "provisional_response_received",
            "forked",
            "redirecting",
            "invitation_accepted",
            "answer_received",
        ):
            getattr(session, name).subscribe(lambda event, name=name: self._add(name, event))

    def _add(self, name: str, event: Any) -> None:
        self.events.append(event)
        if name == "state_changed":
            self.told.append(f"{event.state.name} {event.reason.name}")
        elif name == "provisional_response_received":
            self.told.append(f"provisional {event.response.status}")
        elif name == "answer_received":
            self.told.append("preview" if event.is_preview else "answer")
        else:
            self.told.append(name)


class Calls:
    """How Alice calls, and Bob is called.

    :cvar called: whom she calls.
    :ivar received: the sessions that were shown to Bob.
    """

    called: ClassVar[str] = BOB
    alice: Any
    bob: Any
    network: Any
    received: list[SignalingSession]

    @property
    def parties(self) -> tuple[SipPeerToPeerEndpoint, ...]:
        """Everybody who takes part."""
        return self.alice, self.bob

    def assert_nothing_is_left(self) -> None:
        """Once every timer of SIP has run out, no session, dialog, transaction or time that is waited for is left."""
        self.network.advance(70)
        for party in self.parties:
            assert not self.living(party), (party, self.living(party))

    def living(self, party: SipPeerToPeerEndpoint) -> dict[str, int]:
        """What of sessions lives on the side of *party*."""
        inventory = party.connection_manager.inventory()
        return {name: inventory[name] for name in _PASSING if inventory[name]}

    def begin(self, offer: Any = OFFER, **arguments: Any) -> tuple[SignalingSession, Deferred[SignalingSession]]:
        """Alice calls, and Bob has it."""
        session = self.alice.create_session(self.called, **arguments)
        establishing = session.establish(offer)
        self.network.advance(0.5)
        return session, establishing

    def call(
        self, offer: Any = OFFER, answer: Any = ANSWER, **arguments: Any
    ) -> tuple[SignalingSession, SignalingSession]:
        """A session that stands: Alice's side and Bob's."""
        session, establishing = self.begin(offer, **arguments)
        theirs = self.received[-1]
        accepting = theirs.accept(answer)
        for waiting in (establishing, accepting):
            self.network.run_until(waiting)
        return session, theirs


class CallTestCase(Calls, PartyTestCase):
    """Bob's sessions are kept; in the end nothing is left on either side.

    :ivar lines: the first lines of what went over the wires of sessions that :meth:`watch` was told of.
    """

    def setUp(self) -> None:
        """Both on one clock; Bob does nothing by himself."""
        super().setUp()
        self.received: list[SignalingSession] = []
        self.lines: list[str] = []
        self.bob.session_received.subscribe(self.received.append)
        self.addCleanup(self.assert_nothing_is_left)

    def watch(self, session: SignalingSession) -> None:
        """Add the first line of each of its messages to :attr:`lines`, the direction before it."""
        session.traced.subscribe(lambda event: self.lines.append(f"{event.direction} {short(event.start_line)}"))


def short(start_line: str) -> str:
    """The method, or the status and its phrase."""
    words = start_line.split(" ")
    return start_line.removeprefix("SIP/2.0 ") if words[0] == "SIP/2.0" else words[0]
