"""The service is called, and ``sip-p2p call`` calls: SIPp and baresip are the other side."""

from __future__ import annotations

import os
import signal

from tests.interop.namespace import ADDRESS, PrivateNetwork
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.ours import Command, Service
from tests.interop.peers.scenario import ANSWER, OFFER, Scenario
from tests.interop.peers.sipp import Sipp
from tests.interop.support import InteropTestCase, reactor

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class ServiceTests(InteropTestCase):
    """``twistd sip-p2p --application echo``."""

    needs = (Sipp, Baresip, PrivateNetwork)

    async def service(self, listen: str) -> Service:
        """The service, in clear text."""
        service = self.peer(Service)
        await service.start("--uri=sip:alice@a.example", "--application=echo", f"--listen={listen}")
        return service

    async def test_sipp_calls(self) -> None:
        """SIPp hears it ring, gets its own offer back, or an offer where it made none, and hangs up (row:M14,
        row:H4)."""
        for transport in ("udp", "tcp"):
            service = await self.service(f"{transport}:{ON_LOOPBACK}")
            uri = f"sip:alice@127.0.0.1:{service.port};transport={transport}"
            for body, answer in ((OFFER, ""), ("", ANSWER)):
                scenario = Scenario(uri).asks("INVITE", 1, body=body).gets(100, optional=True).gets(180)
                scenario.gets(200, wants={"": "m=audio 40000" if body else "m=audio "}).asks("ACK", 1, body=answer)
                sipp = self.peer(Sipp)
                scenario.asks("BYE", 2).gets(200, of="BYE")
                await sipp.play(scenario, transport, ("127.0.0.1", service.port))
                await sipp.answered()

    async def test_it_is_stopped(self) -> None:
        """SIGTERM in the midst of a call: the service hangs up, and then ends (row:M14, row:B13)."""
        service = await self.service(f"tcp:{ON_LOOPBACK}")
        scenario = Scenario(f"sip:alice@127.0.0.1:{service.port};transport=tcp").asks("INVITE", 1, body=OFFER)
        scenario.gets(100, optional=True).gets(180).gets(200).asks("ACK", 1)
        sipp = self.peer(Sipp)
        await sipp.play(scenario.gets("BYE").answers(200, "BYE"), "tcp", ("127.0.0.1", service.port))
        await service.program.find('"session-state".*"state": "connected"')
        os.kill(service.program.pid, signal.SIGTERM)
        await sipp.answered()
        await service.program.ended()

    async def test_baresip_calls(self) -> None:
        """baresip calls the service, which answers with what baresip offered, and hangs up (row:M14, row:H4)."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()
        service = await self.service(f"udp:port=0:interface={ADDRESS}")
        baresip = self.peer(Baresip, ADDRESS)
        uri = f"sip:alice@{ADDRESS}:{service.port}"
        await baresip.start(uri, "udp")
        baresip.dial(uri)
        await baresip.program.find("Call established")
        start = len(baresip.program.text)
        baresip.hang_up()
        await baresip.program.find("terminate", start=start)


class CommandTests(InteropTestCase):
    """``sip-p2p call``."""

    needs = (Sipp,)

    async def ends(self, scenario: Scenario, *arguments: str) -> int:
        """Call a SIPp that plays *scenario*; the exit code."""
        sipp = self.peer(Sipp)
        await sipp.play(scenario, "tcp")
        program = await Command(reactor, self.folder()).ends(
            "call", "--uri=sip:alice@a.example", "--seconds=0", *arguments, sipp.uri("tcp")
        )
        await sipp.answered()
        assert program.exit_code is not None
        return program.exit_code

    async def test_outcomes(self) -> None:
        """Its exit code tells an answer, a peer that is busy and one that does not answer apart
        (row:M14, row:H3, row:H28)."""
        invited = Scenario().gets("INVITE").answers(180)
        answered = invited.answers(200, body=ANSWER).gets("ACK").gets("BYE").answers(200, "BYE")
        self.assertEqual(await self.ends(answered), 0)
        self.assertEqual(await self.ends(Scenario().gets("INVITE").answers(486).gets("ACK")), 6)
        ringing = Scenario().gets("INVITE").answers(180).gets("CANCEL").answers(200, "CANCEL").answers(487).gets("ACK")
        self.assertEqual(await self.ends(ringing, "--max-ring=1"), 7)

    async def test_late_offer(self) -> None:
        """With --late-offer the peer makes the offer and gets the answer in the ACK (row:M14, row:H22)."""
        scenario = Scenario().gets("INVITE", lacks=["Content-Type"]).answers(200, body=OFFER)
        scenario.gets("ACK", wants={"": "m=audio "}).gets("BYE").answers(200, "BYE")
        self.assertEqual(await self.ends(scenario, "--late-offer"), 0)
