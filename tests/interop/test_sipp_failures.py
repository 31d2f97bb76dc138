"""Calls with SIPp in which somebody goes away: killed, started again, drained; and calls over mutual TLS by socat."""

from __future__ import annotations

import os
import signal
from typing import Any

from sip_p2p import Recovery
from tests.interop.calls import Called
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER, Scenario
from tests.interop.peers.sipp import Sipp, TlsBefore
from tests.interop.support import reactor
from tests.interop.test_sipp_calls import ON_LOOPBACK, SippCallTestCase
from tests.interop.test_sipp_changes import EVERYTHING, called


class KilledTests(SippCallTestCase):
    """SIPp is killed in the midst of a call over TCP, and somebody else stands where it stood."""

    async def after_the_kill(self, scenario: Scenario, **options: Any) -> tuple[Any, Sipp, list[str]]:
        """A call whose SIPp was killed, another SIPp at its port that plays *scenario*, and the news of the way."""
        first = await self.plays(called(EVERYTHING).gets("BYE"))
        call = self.begin(await self.clear_text_party(), first.uri("tcp"), **options)
        told: list[str] = []
        call.session.route_set_changed.subscribe(lambda event: told.append(event.status.name))
        await call.session.establish(OFFER)
        os.killpg(first.program.pid, signal.SIGKILL)
        await first.program.ended()
        second = self.peer(Sipp)
        second.port = first.port
        await second.play(scenario, "tcp")
        return call, second, told

    async def test_it_comes_back(self) -> None:
        """The call is taken up with an UPDATE on a new connection, and goes on there (row:H32)."""
        # The first one after the INVITE, or a later one where the new SIPp takes its time.
        wanted = {"Contact": "<sip:alice", "CSeq": "^ *[2-9] "}
        scenario = Scenario().gets("UPDATE", wants=wanted).answers(200, "UPDATE")
        scenario.gets("BYE").answers(200, "BYE")
        call, sipp, told = await self.after_the_kill(scenario)
        await until(reactor, lambda: told == ["RECOVERING", "HEALTHY"], 10, "recovery")
        await call.session.terminate()
        await sipp.answered()

    async def test_it_has_forgotten(self) -> None:
        """Who comes back and knows nothing of the call says 481, and the call is over (row:H32)."""
        call, sipp, _ = await self.after_the_kill(Scenario().gets("UPDATE").answers(481, "UPDATE"))
        self.assertEqual(await call.reaches("DISCONNECTED"), "SESSION_DOES_NOT_EXIST")
        await sipp.answered()

    async def test_nobody_looks(self) -> None:
        """A call whose way is not to be looked for is left alone until we want something of it (row:H32)."""
        scenario = Scenario().gets("BYE").answers(200, "BYE")
        call, sipp, told = await self.after_the_kill(scenario, recovery=Recovery.NONE)
        self.assertEqual((told, call.session.state.name), ([], "CONNECTED"))
        await call.session.terminate()
        await sipp.answered()


class DrainTests(SippCallTestCase):
    """We are about to go."""

    async def test_drained(self) -> None:
        """While we drain, a call that stands goes on until it ends, over UDP as over TCP (row:B15)."""
        for transport in ("udp", "tcp"):
            party, calls = await self.called(transport)
            scenario = Scenario(party.uri(transport)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180)
            scenario.gets(200).asks("ACK", 1).gets("INFO").answers(200, "INFO")
            scenario.asks("MESSAGE", 2).gets(405, of="MESSAGE").asks("BYE", 3).gets(200, of="BYE")
            sipp = await self.plays(scenario, transport, party)
            call = await calls.call()
            await call.reaches("CONNECTED")
            drained = party.manager.drain(20)
            await call.session.request("INFO")
            await sipp.answered()
            await drained
            self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")

    async def test_new_calls(self) -> None:
        """Who calls while we drain is sent elsewhere with 302, or refused with 503 and Retry-After (row:B15)."""
        for places, status, wants in (
            (["sip:alice@elsewhere.example"], 302, {"Contact": "<sip:alice@elsewhere.example>"}),
            ([], 503, {"Retry-After": "[1-9]"}),
        ):
            party, calls = await self.called("udp")
            address = ("127.0.0.1", party.manager.listening_port)
            uri = party.uri("udp")
            scenario = Scenario(uri).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180).gets(200)
            sipp = await self.plays(scenario.asks("ACK", 1).gets("BYE").answers(200, "BYE"), "udp", party)
            call = await calls.call()
            await call.reaches("CONNECTED")
            drained = party.manager.drain(20, redirect_to=places)
            late = self.peer(Sipp)
            scenario = Scenario(uri).asks("INVITE", 1, body=OFFER).gets(status, wants=wants)
            await late.play(scenario.asks("ACK", 1, branch="INVITE1"), "udp", address)
            await late.answered()
            await call.session.terminate()
            await sipp.answered()
            await drained
            self.assertEqual(len(calls.calls), 1)


class TlsTests(SippCallTestCase):
    """SIPp behind socat, whose TLS is not Twisted's."""

    needs = (Sipp, TlsBefore)

    async def test_it_calls(self) -> None:
        """A call over mutual TLS whose Via says TCP stands and ends on its connection (row:D4, row:H4, row:E15)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        calls = Called(party)
        tls = self.peer(TlsBefore)
        await tls.dial(party.manager.listening_port, self.certificates.right("localhost"), self.certificates.trust)
        scenario = Scenario(party.uri("tls")).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180).gets(200)
        scenario.asks("ACK", 1).asks("BYE", 2).gets(200, of="BYE")
        sipp = self.peer(Sipp)
        await sipp.play(scenario, "tcp", ("127.0.0.1", tls.port))
        await sipp.answered()
        self.assertEqual(await (await calls.call()).reaches("DISCONNECTED"), "TERMINATED_REMOTELY")

    async def test_we_call(self) -> None:
        """Our call over mutual TLS stands, though its Contact names no TLS; neither the ACK nor the BYE leaves TLS for
        that (row:D4, row:H3, fault:D8)."""
        party = await self.tls_party()
        sipp, tls = self.peer(Sipp), self.peer(TlsBefore)
        await sipp.play(
            Scenario()
            .gets("INVITE")
            .answers(180)
            .answers(200, body=ANSWER)
            .gets("ACK")
            .gets("BYE")
            .answers(200, "BYE"),
            "tcp",
        )
        await tls.accept(sipp.port, self.certificates.right("localhost"), self.certificates.trust)
        call = await self.call(party, f"sip:sipp@127.0.0.1:{tls.port};transport=tls", OFFER)
        await call.session.terminate()
        await sipp.answered()
        self.assertEqual(party.manager.metrics()["connections_out"], 1)
