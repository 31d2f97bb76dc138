"""What the tests of authentication share: parties of which one asks, in whatever words a test has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sip_p2p import Credentials, RequestFailed, SipPeerToPeerEndpoint
from sip_p2p.sip.digest import Presented, ha1_of, parse_presented
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.profile import Judgement
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

__all__ = ["BOB", "PASSWORD", "AskingTestCase", "Script", "ask", "presented"]

BOB = "sip:bob@b.example"
PASSWORD = "correct horse"


def ask(text: str = "", *, realm: str = "b.example", nonce: str = "n1", is_proxy: bool = False) -> Judgement:
    """A challenge with SHA-256, unless *text* names its algorithm."""
    algorithm = "" if "algorithm" in text else ', algorithm=SHA-256, qop="auth"'
    name = "Proxy-Authenticate" if is_proxy else "WWW-Authenticate"
    value = f'Digest realm="{realm}", nonce="{nonce}"{algorithm}{text}'
    return Judgement("", 407 if is_proxy else 401, ((name, value),))


def presented(request: Request, realm: str = "b.example", *, is_proxy: bool = False) -> Presented | None:
    """The credentials of *request*."""
    return parse_presented(request, realm, is_proxy=is_proxy)


class Script:
    """An authenticator that says what it is told to.

    :ivar seen: the requests that it was asked about.
    """

    def __init__(self, judge: Callable[[Request], Judgement | None]) -> None:
        self._judge = judge
        self.seen: list[Request] = []

    def judge(self, request: Request, flow: Flow, now: float) -> Judgement:
        """What the test says; None lets the request pass."""
        self.seen.append(request)
        return self._judge(request) or Judgement("somebody")


class AskingTestCase(SynchronousTestCase):
    """Alice has credentials, and Bob asks for them."""

    def setUp(self) -> None:
        """Alice and Bob on one clock."""
        self.network = Network(delay=0.01)
        self.addCleanup(self.network.finish)
        self.credentials = Credentials()
        self.alice = self.network.party("sip:alice@a.example", credentials=self.credentials)
        self.bob = self.network.party(BOB)
        self.bob.message_received.subscribe(lambda event: None)

    def knows(self, **changes: Any) -> None:
        """Alice knows a password."""
        given: dict[str, Any] = {"realm": "b.example", "username": "alice", "password": PASSWORD, "peer": "b.example"}
        self.credentials.add(**(given | changes))

    def asks(self, judge: Callable[[Request], Judgement | None], party: SipPeerToPeerEndpoint | None = None) -> Script:
        """Bob asks like this from now on."""
        script = Script(judge)
        (party or self.bob).profile.authenticator = script
        return script

    def send(self, sender: SipPeerToPeerEndpoint | None = None, target: str = BOB, **arguments: Any) -> Any:
        """The outcome of a MESSAGE: the status, or the failure."""
        sending = (sender or self.alice).request("MESSAGE", target, body="x", **arguments)
        try:
            return self.network.run_until(sending).status  # type: ignore[attr-defined]
        except RequestFailed as failure:
            return failure

    def is_right(self, request: Request, *, realm: str = "b.example", is_proxy: bool = False) -> bool:
        """Whether *request* shows that its sender knows the password."""
        given = presented(request, realm, is_proxy=is_proxy)
        if given is None:
            return False
        return given.answers(ha1_of(given.algorithm, "alice", realm, PASSWORD), request.method, request.body)
