"""Our service, and a party that sends, while their clocks are set a day on and a day back in the midst of traffic.

libfaketime changes what the processes take for the time of day, and leaves their monotonic clock alone, as an
administrator, a time server or a virtual machine does.
"""

from __future__ import annotations

import datetime
import socket
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from sip_p2p import TlsFailure, TlsFailureReason
from tests.interop.peers.ours import Service
from tests.interop.peers.party import OtherParty
from tests.interop.peers.program import FakeClock, StepClock
from tests.interop.support import OUR_DOMAIN, InteropTestCase, Party, reactor

ON_LOOPBACK = "port=0:interface=127.0.0.1"
PEER = "b.example"
DAY = datetime.timedelta(days=1)


class Silent(Protocol):
    """Connects, and says nothing."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def connectionLost(self, reason: Any = None) -> None:
        """The other side has had enough of it."""
        self.ended.callback(None)


class ServiceTests(InteropTestCase):
    """``twistd sip-p2p`` under a clock that is set; we are not."""

    needs = (FakeClock,)
    timeout = 90

    async def begin(self) -> None:
        """The service, and a party that sends to it."""
        self.clock = StepClock(self.folder())
        self.service = self.peer(Service)
        await self.service.start(
            f"--uri=sip:peer@{PEER}",
            f"--certificate={self.certificates.right(PEER).certificate}",
            f"--trust={self.certificates.trust}",
            f"--allow={OUR_DOMAIN}",
            f"--listen=tls:{ON_LOOPBACK}",
            environment=self.clock.environment,
        )
        self.uri = f"sip:peer@127.0.0.1:{self.service.port};transport=tls"
        self.party = await self.tls_party(allow=[PEER])
        self.lost: list[Any] = []
        self.party.manager.flow_lost.subscribe(self.lost.append)

    async def load(self, what: str, party: Party | None = None) -> None:
        """Fifty messages, all answered, each of them soon."""
        endpoint = (party or self.party).endpoint
        began = reactor.seconds()
        answers = await gatherResults([endpoint.send_message(self.uri, f"{what} {number}") for number in range(50)])
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertLess(reactor.seconds() - began, 5)

    async def test_under_load(self) -> None:
        """Its clock is set a day on, then two back, then on again, while messages run: each is answered, no connection
        is lost to a deadline that came early, and a deadline that stands is kept in time (fault:J1, row:M14)."""
        await self.begin()
        await self.load("before")
        for step in (DAY, -DAY, datetime.timedelta()):
            running = [self.party.endpoint.send_message(self.uri, f"at {step} {number}") for number in range(50)]
            self.clock.set(step)
            self.assertEqual({answer.status for answer in await gatherResults(running)}, {200})
            await self.load(f"after {step}")
            await self.silent_caller()
        self.assertEqual(self.lost, [])
        await self.service.stop()
        await self.service.event("stopped")
        self.assertNotIn("Traceback", self.service.log)
        self.assertEqual(self.service.program.output.count('"event": "message"'), 50 + 3 * 100)

    async def silent_caller(self) -> None:
        """A caller that never says hello is let go after the five seconds of ``limits.handshake_timeout``."""
        began = reactor.seconds()
        caller = Silent()
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.service.port), caller)
        await caller.ended.addTimeout(15, reactor)
        self.assertTrue(4.5 < reactor.seconds() - began < 8, reactor.seconds() - began)

    async def test_certificates(self) -> None:
        """Whether a certificate is valid is judged by the clock as it is at each handshake; open connections live on
        (fault:J1, row:D16, fault:F6)."""
        await self.begin()
        short = self.certificates.for_one_day(OUR_DOMAIN)
        with_short = await self.tls_party(certificate=short, allow=[PEER])
        await self.load("valid", with_short)
        self.clock.set(DAY * 2)
        await self.load("open", with_short)
        again = await self.tls_party(certificate=short, allow=[PEER])
        failure = await self.failure_of(again.endpoint.send_message(self.uri, "expired"), TlsFailure)
        self.assertIs(failure.reason, TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)
        await self.load("others")
        self.clock.set(datetime.timedelta())
        back = await self.tls_party(certificate=short, allow=[PEER])
        await self.load("valid again", back)
        # The authority is of today.
        self.clock.set(-DAY)
        early = await self.tls_party(certificate=short, allow=[PEER])
        failure = await self.failure_of(early.endpoint.send_message(self.uri, "not yet valid"), TlsFailure)
        self.assertIs(failure.reason, TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)
        await self.load("open still", back)
        self.assertEqual(self.lost, [])


class SenderTests(InteropTestCase):
    """A party that sends is under such a clock."""

    needs = (FakeClock,)
    timeout = 90

    async def begin(self) -> None:
        """The party that sends, one that answers, and a port where nobody does."""
        self.party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(deaf.close)
        deaf.bind(("127.0.0.1", 0))
        self.nobody = f"sip:nobody@127.0.0.1:{deaf.getsockname()[1]}"
        self.clock = StepClock(self.folder())
        self.sender = self.peer(OtherParty)
        await self.sender.start(environment=self.clock.environment, timers={"t1": 0.1}, default_transport="udp")

    async def test_transactions(self) -> None:
        """Requests that wait for an answer neither fail early nor wait for ever when the clock is set (fault:J1)."""
        await self.begin()
        for step in (DAY, -DAY):
            number = self.sender.send(self.nobody, "is anybody there?")
            await deferLater(reactor, 0.5)
            self.clock.set(step)
            for text in range(20):
                await self.sender.sent(self.party.uri("udp"), f"{step} {text}", 5)
            failed = await self.sender.event("failed", 20, f'"number": {number},')
            self.assertEqual(failed["error"], "OperationTimeout")
            self.assertTrue(6 < failed["took"] < 9, failed)
        self.assertEqual(len(self.party.received), 40)

    async def test_suspended(self) -> None:
        """A party that is stopped in the midst of traffic, and whose clock is a day further when it goes on, as with a
        computer that was asleep, gets every answer (fault:J9, fault:J1)."""
        await self.begin()
        numbers = [self.sender.send(self.party.uri("udp"), f"before {number}") for number in range(30)]
        self.sender.freeze()
        self.clock.set(DAY)
        await deferLater(reactor, 2.0)
        numbers += [self.sender.send(self.party.uri("udp"), f"asleep {number}") for number in range(30)]
        self.sender.thaw()
        for _ in numbers:
            self.assertEqual((await self.sender.event("answered"))["status"], 200)
        self.assertEqual(len(self.party.received), 60)
        live = await self.sender.inventory()
        self.assertEqual((live["clients"], live["requests"]), (0, 0))
