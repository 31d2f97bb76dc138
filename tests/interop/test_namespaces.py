"""On a wire of one's own: peers that vanish, processes that are killed, and packets that are really lost."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sip_p2p import ConnectionFailure, FlowLost, KeepAlive, Limits, RealTimeServerTcpConnectionManager
from tests.interop.namespaces import THERE, TwoHosts
from tests.interop.peers.program import Program, until
from tests.interop.support import InteropTestCase, Party, reactor

ROOT = str(Path(__file__).resolve().parent.parent.parent)
PONG_TIMEOUT = 3.0


class WireTests(InteropTestCase):
    """Our party here, another one in a process of its own there."""

    needs = (TwoHosts,)
    timeout = 120

    async def begin(self) -> None:
        """Two hosts, the peer on the other one, and ourselves."""
        self.hosts = TwoHosts(reactor, self.folder())
        self.stop_later(self.hosts.leave)
        await self.hosts.enter()
        descriptions = (f"tcp:5060:interface={THERE}", f"udp:5060:interface={THERE}")
        self.there: Program = self.hosts.program_there(sys.executable, "-m", "tests.interop.peers.party", *descriptions)
        self.stop_later(self.there.stop)
        self.there.start(self.folder(), {"PYTHONPATH": ROOT})
        await self.there.find("^ready$", seconds=30)
        manager = RealTimeServerTcpConnectionManager(
            reactor, keep_alive=KeepAlive(pong_timeout=PONG_TIMEOUT), limits=Limits(unacknowledged_timeout=20)
        )
        self.lost: list[FlowLost] = []
        manager.flow_lost.subscribe(self.lost.append)
        self.stop_later(manager.terminate)
        self.party = Party(manager)

    async def say(self, text: str, transport: str = "tcp", **options: Any) -> Any:
        """Send a message to the peer."""
        uri = f"sip:peer@{THERE}:5060;transport={transport}"
        return await self.party.endpoint.send_message(uri, text, **options)

    async def seconds_until_lost(self, most: float) -> float:
        """How long it takes until the loss of a flow is told."""
        began = reactor.seconds()
        await until(reactor, lambda: bool(self.lost), most, "a lost flow")
        return float(reactor.seconds() - began)

    async def test_vanished(self) -> None:
        """A peer that vanishes is noticed by the ping that it has agreed to answer, at most ten seconds after it, and
        the event says so (fault:G5, row:E17)."""
        await self.begin()
        await self.say("hello")
        self.hosts.vanish()
        took = await self.seconds_until_lost(5 + 10)
        self.assertLess(took, 5 + PONG_TIMEOUT + 1)
        self.assertIn("did not answer a keep-alive", str(self.lost[0].reason))
        self.hosts.heal()
        self.assertEqual((await self.say("back")).status, 200)

    async def test_vanished_by_udp(self) -> None:
        """The same by UDP, where STUN asks (fault:G5, row:E17)."""
        await self.begin()
        await self.say("hello", "udp")
        await until(reactor, lambda: self.party.manager.metrics()["keep_alive_pongs"] > 0, 10, "an answer to STUN")
        self.hosts.vanish()
        await self.seconds_until_lost(5 + 10)
        self.assertEqual(self.lost[0].flow.transport, "UDP")
        self.hosts.heal()
        self.assertEqual((await self.say("back", "udp")).status, 200)

    async def test_killed(self) -> None:
        """A peer whose process is killed is noticed at once by TCP, and by UDP with the next request (fault:G5,
        fault:I6)."""
        await self.begin()
        await self.say("hello", "udp")
        await self.say("hello")
        os.kill(self.there.pid, signal.SIGKILL)
        self.assertLess(await self.seconds_until_lost(10), 2)
        began = reactor.seconds()
        failure = await self.failure_of(self.say("anybody?", "udp"), ConnectionFailure)
        self.assertIn("nobody is at", str(failure))
        self.assertLess(reactor.seconds() - began, 5)

    async def test_a_third_is_lost(self) -> None:
        """With a third of all packets really lost, messages by UDP arrive once each and are answered (fault:I1)."""
        await self.begin()
        self.hosts.lose(30)
        for start in range(0, 40, 20):
            sending = [self.party.endpoint.send_message(f"sip:p@{THERE};transport=udp", f"m{start + number}.")
                       for number in range(20)]  # fmt: skip
            for each in sending:
                self.assertEqual((await each).status, 200)
        self.hosts.heal()
        for number in range(40):
            self.assertEqual(self.there.output.count(f"heard m{number}.\n"), 1)
