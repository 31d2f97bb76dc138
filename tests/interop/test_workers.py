"""Several workers on one port, called by SIPp through proxies: what belongs to a call finds the worker that has it."""

from __future__ import annotations

from twisted.internet.defer import ensureDeferred, gatherResults

from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.program import free_port
from tests.interop.peers.scenario import OFFER, Scenario
from tests.interop.peers.sipp import Sipp
from tests.interop.peers.steered import SteeredService
from tests.interop.support import InteropTestCase

WORKERS = 2
PROXIES = 3
CALLS = 20


class WorkerTests(InteropTestCase):
    """One service of two processes, and Kamailios each of which keeps one connection to it."""

    needs = (SteeredService, Kamailio, Sipp)

    async def calls(self, target: str) -> None:
        """Twenty calls at once through a Kamailio, each of which SIPp ends."""
        kamailio = self.peer(Kamailio)
        leaf = self.certificates.right("localhost")
        await kamailio.start(leaf, self.certificates.trust, relays={"farm": target})
        scenario = Scenario(kamailio.uri("udp", "farm")).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
        # The Contact is the way to one worker, and not to all.
        scenario.gets(200, lacks=["Retry-After"]).asks("ACK", 1).waits(0.5)
        sipp = self.peer(Sipp)
        await sipp.play(scenario.asks("BYE", 2).gets(200, of="BYE"), "udp", ("127.0.0.1", kamailio.ports["udp"]), CALLS)
        await sipp.answered()
        self.assertNotIn(target, {(await kamailio.saw("BYE")).uri for _ in range(CALLS)})

    async def test_calls_end_where_they_began(self) -> None:
        """row:M15: every BYE of sixty calls through three proxies comes to the worker that has the call, by the
        port of its own that its Contact names."""
        service, port = self.peer(SteeredService), free_port()
        folder = service.directory
        service.launch_twistd(
            *("--uri=sip:alice@a.example", "--application=answer", f"--listen=tcp:port={port}:interface=127.0.0.1"),
            *(f"--workers={WORKERS}", f"--http=unix:{folder}/{{worker}}.sock"),
        )
        sockets = [f"{folder}/{number}.sock" for number in range(1, WORKERS + 1)]
        await service.is_there(*sockets)
        target = f"sip:127.0.0.1:{port};transport=tcp"
        await gatherResults([ensureDeferred(self.calls(target)) for _ in range(PROXIES)])
        ended = []
        for service.socket in sockets:
            ended += (await service.asks(200, "/v1/sessions?state=disconnected"))["sessions"]
            self.assertEqual((await service.asks(200, "/v1"))["sessions"], 0)
        self.assertEqual([each["reason"] for each in ended], ["terminated_remotely"] * (CALLS * PROXIES))
