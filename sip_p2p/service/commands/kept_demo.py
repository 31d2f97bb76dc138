"""``sip-p2p demo --keep``: the demo goes on, and Alice becomes a service whose console can be looked at.

Bob and Carol write to her, ask her what she can do and call her, she writes back, and now and then Mallory is refused.
Carol's calls ring until somebody answers them in the console, or she gives up. All of it is on loopback, in one
process, and is over with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from sip_p2p.errors import SipError
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.applications.base import Application
from sip_p2p.service.assembly import make
from sip_p2p.service.http.server import ControlServer
from sip_p2p.service.settings.options import Options
from sip_p2p.service.silence import silent_answer, silent_offer

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.python.failure import Failure

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.service.commands.demo import Demonstration
    from sip_p2p.service.service import SipService

__all__ = ["Company", "Hostess"]

_PATIENCE = 4.0
_PAUSE = 2.5
"""Seconds between one thing that happens and the next."""

_CALL = 4.0
"""Seconds that a call of Bob's lasts."""

_RING = 20.0
"""Seconds after which Carol gives up."""

_WAITS = "c.example"
"""Whose calls wait for somebody at the console."""

_TEXTS = (
    "Hello Alice, is it really you?",
    "The pump in hall 3 runs again.",
    "Grüße aus Köln!",
    "Do you have the readings of last night?",
    "Temperature 21.4 °C, pressure 1013 hPa.",
)


class Hostess(Application):
    """What Alice does: she takes every text, answers Bob's calls after a moment, and lets Carol's ring."""

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Keep the clock."""
        self._reactor = endpoint.connection_manager.reactor

    async def session(self, session: SignalingSession) -> None:
        """It rings; who waits for somebody at the console goes on ringing."""
        session.message_received.subscribe(_taken)
        session.ring()
        if session.peer is not None and session.peer.identity == _WAITS:
            return
        await deferLater(self._reactor, 1.0)
        try:
            await session.accept(silent_answer(session.offer) if session.offer else None)
        except SipError:
            # The caller has given up meanwhile.
            return


@final
class Company:
    """Who lives on the stage: Alice as a service, and those who have to do with her.

    :ivar service: Alice.
    :ivar address: where her console is.
    """

    def __init__(self, stage: Demonstration, folder: Path, port: int = 0) -> None:
        self._stage = stage
        self._folder = folder
        self._port = port
        self._texts = itertools.cycle(_TEXTS)
        self._aside: Deferred[None] | None = None
        self.service: SipService | None = None
        self.address = ""

    async def gather(self) -> None:
        """Let everybody come, and Alice's service start."""
        stage, folder = self._stage, self._folder
        trusted, own = folder / "ours", folder / "theirs"
        ours = CertificateAuthority.create("the authority of the demo", trusted)
        theirs = CertificateAuthority.create("the authority of mallory", own)
        self._bob = await stage.party("sip:bob@b.example", ours.issue("b.example").write(trusted), "a.example")
        self._carol = await stage.party("sip:carol@c.example", ours.issue("c.example").write(trusted), "a.example")
        self._mallory = await stage.party(
            "sip:alice@a.example", theirs.issue("a.example").write(own), "a.example", listens=False
        )
        for friend in (self._bob, self._carol):
            friend.session_received.subscribe(self._pick_up)
            friend.message_received.subscribe(_taken)
        self.service = self._make(ours.issue("a.example").write(trusted))
        self.service.privilegedStartService()
        self.service.startService()
        stage.addresses["a.example"] = self.service.manager.listeners[0].address
        stage.introduce()
        (control,) = (part for part in self.service.parts if isinstance(part, ControlServer))
        self.address = f"{control.addresses[0]}/console/"

    def _make(self, certificate: Path) -> SipService:
        options = Options()
        known = [
            part
            for name in ("b.example", "c.example")
            for part in ("--allow", name, "--resolve", f"{name}=127.0.0.1:{self._stage.addresses[name][1]}")
        ]
        options.parseOptions(
            [
                *("--uri", "sip:alice@a.example", "--certificate", str(certificate)),
                *("--trust", str(self._folder / "ours" / "ca.pem"), *known),
                *("--listen", "tls:port=0:interface=127.0.0.1", "--application", f"{__name__}:Hostess"),
                *("--http", f"tcp:{self._port}:interface=127.0.0.1", "--keep-bodies", "all", "--drain", "1"),
            ]
        )
        return make(self._stage.reactor, options)

    async def live(self) -> None:
        """Go on until somebody ends it."""
        acts = (self._write, self._call, self._ask, self._answer, self._ring, self._write, self._refuse, self._answer)
        for act in itertools.cycle(acts):
            # A call that nobody takes and an impostor who is refused belong to the play; the console shows them.
            with contextlib.suppress(SipError):
                await act()
            await deferLater(self._stage.reactor, _PAUSE)

    async def end(self) -> None:
        """Alice goes; the stage ends the others."""
        if self._aside is not None:
            self._aside.cancel()
        if self.service is not None:
            await self.service.stopService()

    async def _write(self) -> None:
        await self._bob.send_message("sip:alice@a.example", next(self._texts), timeout=_PATIENCE)

    async def _ask(self) -> None:
        await self._carol.request("OPTIONS", "sip:alice@a.example", timeout=_PATIENCE)

    async def _answer(self) -> None:
        assert self.service is not None
        await self.service.endpoint.send_message("sip:bob@b.example", "Thank you, Bob.", timeout=_PATIENCE)

    async def _call(self) -> None:
        session = await self._bob.invite("sip:alice@a.example", silent_offer(), max_ring=_PATIENCE)
        await deferLater(self._stage.reactor, _CALL / 2)
        await session.send_message("Can you hear me?")
        await deferLater(self._stage.reactor, _CALL / 2)
        await session.terminate()

    async def _ring(self) -> None:
        """The others do not wait for it."""
        if self._aside is None:
            self._aside = Deferred.fromCoroutine(self._long_call()).addErrback(_given_up).addCallback(self._is_over)

    async def _long_call(self) -> None:
        session = await self._carol.invite("sip:alice@a.example", silent_offer(), max_ring=_RING)
        await deferLater(self._stage.reactor, _RING)
        await session.terminate()

    def _is_over(self, _: object) -> None:
        self._aside = None

    async def _refuse(self) -> None:
        await self._mallory.send_message("sip:alice@a.example", "Open the gate.", timeout=_PATIENCE)

    async def _pick_up(self, session: SignalingSession) -> None:
        session.ring()
        await session.accept(silent_answer(session.offer) if session.offer else None)


def _taken(event: IncomingRequest) -> None:
    """A text is read, and answered 200."""


def _given_up(failure: Failure) -> None:
    """Nobody took Carol's call, or the demo is over."""
    failure.trap(SipError, CancelledError)
