"""Calls with SIPp, which says what is written down for it and nothing else: one side of each, over UDP and TCP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import OperationTimeout, RequestFailed, SessionTerminated, Timers
from tests.interop.calls import Call, Called, CallTestCase
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER, Scenario, session_description
from tests.interop.peers.sipp import Sipp
from tests.interop.support import Party, reactor

if TYPE_CHECKING:
    from collections.abc import Mapping

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class SippCallTestCase(CallTestCase):
    """One SIPp, and a party of ours."""

    needs = (Sipp,)

    async def called(
        self, transport: str = "tcp", *, manager_options: Mapping[str, Any] | None = None, **options: object
    ) -> tuple[Party, Called]:
        """A party that takes calls."""
        party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}", manager_options=manager_options)
        return party, Called(party, **options)

    async def plays(
        self, scenario: Scenario, transport: str = "tcp", party: Party | None = None, calls: int = 1
    ) -> Sipp:
        """SIPp, which calls *party* or waits to be called."""
        sipp = self.peer(Sipp)
        target = None if party is None else ("127.0.0.1", party.manager.listening_port)
        await sipp.play(scenario, transport, target, calls)
        return sipp

    async def stands(self, scenario: Scenario, party: Party | None = None) -> tuple[Call, Sipp]:
        """A session with SIPp, which we called and which plays the rest of *scenario* in it."""
        sipp = await self.plays(scenario)
        return await self.call(party or await self.clear_text_party(), sipp.uri("tcp"), OFFER), sipp

    async def ends(self, call: Call, sipp: Sipp) -> None:
        """We hang up, and SIPp is content."""
        await call.session.terminate()
        await sipp.answered()


class PlainTests(SippCallTestCase):
    """What every call is made of."""

    async def test_it_calls_and_hangs_up(self) -> None:
        """SIPp calls, hears it ring, is answered, and hangs up, over UDP and TCP (row:H4, row:H8, row:H17)."""
        for transport in ("udp", "tcp"):
            party, called = await self.called(transport)
            scenario = Scenario(party.uri(transport))
            scenario.asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180).gets(200).asks("ACK", 1)
            scenario.asks("BYE", 2).gets(200, of="BYE")
            sipp = await self.plays(scenario, transport, party)
            await sipp.answered()
            call = await called.call()
            self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
            self.assertEqual([state for state, _ in call.states], ["CONNECTING", "CONNECTED", "DISCONNECTED"])

    async def test_we_call_and_hang_up(self) -> None:
        """We call SIPp, it rings and answers, and we hang up, over UDP and TCP (row:H3, row:H17)."""
        for transport in ("udp", "tcp"):
            scenario = Scenario().gets("INVITE").answers(180).answers(200, body=ANSWER).gets("ACK").gets("BYE")
            sipp = await self.plays(scenario.answers(200, "BYE"), transport)
            call = await self.call(await self.clear_text_party(), sipp.uri(transport), OFFER)
            self.assertEqual([state for state, _ in call.states], ["CONNECTING", "ALERTED", "CONNECTED"])
            description = call.session.remote_description
            assert description is not None
            self.assertIn(b"m=audio 50000", description.body)
            await call.session.terminate()
            await sipp.answered()

    async def test_it_hangs_up(self) -> None:
        """SIPp answers our call without ringing, and hangs up (row:H17, row:H18)."""
        scenario = Scenario().gets("INVITE").answers(200, body=ANSWER).gets("ACK")
        sipp = await self.plays(scenario.asks("BYE", 1).gets(200, of="BYE"))
        call = await self.call(await self.clear_text_party(), sipp.uri("tcp"), OFFER)
        self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        await sipp.answered()

    async def test_refused(self) -> None:
        """SIPp is busy, or declines; the call fails with what it said (row:H3, row:H31)."""
        for status, reason in (
            (486, "BUSY"),
            (603, "DECLINED"),
            (404, "UNREACHABLE"),
            (480, "TEMPORARILY_UNAVAILABLE"),
        ):
            sipp = await self.plays(Scenario().gets("INVITE").answers(180).answers(status).gets("ACK"))
            call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
            failure = await self.failure_of(call.session.establish(OFFER), RequestFailed)
            self.assertEqual((failure.response.status, call.states[-1]), (status, ("DISCONNECTED", reason)))
            await sipp.answered()

    async def test_we_refuse(self) -> None:
        """SIPp is told that we are busy (row:H5)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        party.endpoint.session_received.subscribe(lambda session: session.reject(486, headers=[("Retry-After", "5")]))
        scenario = Scenario(party.uri("tcp")).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
        scenario.gets(486, wants={"Retry-After": "5"}).asks("ACK", 1, branch="INVITE1")
        await (await self.plays(scenario, party=party)).answered()

    async def test_late_offers(self) -> None:
        """The offer comes in the 2xx and the answer in the ACK, whoever calls (row:H22, row:H15)."""
        party, called = await self.called(answer=OFFER)
        scenario = Scenario(party.uri("tcp")).asks("INVITE", 1).gets(100, optional=True).gets(180)
        scenario.gets(200, wants={"": "m=audio 40000"}).asks("ACK", 1, body=ANSWER).asks("BYE", 2).gets(200, of="BYE")
        await (await self.plays(scenario, party=party)).answered()
        call = await called.call()
        await call.reaches("DISCONNECTED")
        self.assertIn(b"m=audio 50000", call.session.remote_description.body)
        scenario = Scenario().gets("INVITE", lacks=["Content-Type"]).answers(200, body=OFFER)
        scenario.gets("ACK", wants={"": "m=audio 50000"}).gets("BYE").answers(200, "BYE")
        sipp = await self.plays(scenario)
        call = self.begin(party, sipp.uri("tcp"))
        call.session.offer_received.subscribe(lambda offer: ANSWER)
        await call.session.establish()
        await call.session.terminate()
        await sipp.answered()

    async def test_redirected(self) -> None:
        """SIPp sends us to another SIPp, and we go there; we send it elsewhere (row:H6, row:H7)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        there = await self.plays(
            Scenario().gets("INVITE").answers(200, body=ANSWER).gets("ACK").gets("BYE").answers(200, "BYE")
        )
        elsewhere = f"Contact: <sip:nobody@127.0.0.1:9;transport=udp>;q=0.1, <{there.uri('tcp')}>;q=0.9"
        here = await self.plays(Scenario().gets("INVITE").answers(302, lines=[elsewhere]).gets("ACK"))
        call = await self.call(party, here.uri("tcp"), OFFER)
        self.assertEqual([state for state, _ in call.states], ["CONNECTING", "REDIRECTING", "CONNECTING", "CONNECTED"])
        await call.session.terminate()
        await here.answered()
        await there.answered()
        party.endpoint.session_received.subscribe(lambda session: session.redirect(["sip:bob@b.example"]))
        scenario = Scenario(party.uri("tcp")).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
        scenario.gets(302, wants={"Contact": "<sip:bob@b.example>"}).asks("ACK", 1, branch="INVITE1")
        await (await self.plays(scenario, party=party)).answered()

    async def test_many_at_once(self) -> None:
        """Two hundred calls, fifty at a time over one socket, stand and end (row:H4, row:G9)."""
        # SIPp takes a 2xx that comes again, because a busy machine let it run late, for one that it did not ask for.
        patient = {"timers": Timers(5.0)}
        for transport in ("udp", "tcp"):
            party, called = await self.called(transport, manager_options=patient)
            scenario = Scenario(party.uri(transport)).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
            scenario.gets(180, optional=True).gets(200).asks("ACK", 1).asks("BYE", 2).gets(200, of="BYE")
            await (await self.plays(scenario, transport, party, 200)).answered()
            self.assertEqual(len(called.calls), 200)
            for call in called.calls:
                await call.reaches("DISCONNECTED")
            self.assertEqual(
                {tuple(call.states[-2:]) for call in called.calls},
                {(("CONNECTED", "NONE"), ("DISCONNECTED", "TERMINATED_REMOTELY"))},
            )


class ReliableTests(SippCallTestCase):
    """Provisional responses that are acknowledged, early media, and changes before the session stands."""

    async def test_it_rings_reliably(self) -> None:
        """SIPp's 183 with the answer and its 180 are acknowledged in order, a late one of wrong order is not; its
        UPDATE in the early dialog is answered, ours gets its answer (row:H10, row:H11, row:H24)."""
        reliable = ("Require: 100rel", "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE")
        scenario = Scenario().gets("INVITE", wants={"Supported": "100rel"})
        scenario.answers(183, lines=[*reliable, "RSeq: 500"], body=ANSWER)
        scenario.gets("PRACK", wants={"RAck": "500 [0-9]+ INVITE"}).answers(200, "PRACK")
        scenario.answers(180, lines=[*reliable, "RSeq: 502"]).answers(180, lines=[*reliable, "RSeq: 501"])
        scenario.gets("PRACK", wants={"RAck": "501 [0-9]+ INVITE"}).answers(200, "PRACK")
        scenario.gets("UPDATE", wants={"": "a=sendonly"})
        scenario.answers(200, "UPDATE", body=session_description(50000, "recvonly", 2, "answering"))
        scenario.asks("UPDATE", 1, body=session_description(50002, "sendrecv", 3, "answering"))
        scenario.gets(200, of="UPDATE", wants={"": "m=audio 40002"})
        scenario.answers(200).gets("ACK").gets("BYE").answers(200, "BYE")
        sipp = await self.plays(scenario)
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
        rang = []
        call.session.provisional_response_received.subscribe(lambda event: rang.append(event.response.status))
        call.session.offer_received.subscribe(lambda offer: session_description(40002, version=3))
        standing = call.session.establish(OFFER)
        await until(reactor, lambda: 180 in rang, 10, "180")
        (dialog,) = call.session.early_dialogs
        answer = await call.session.renegotiate(session_description(40000, "sendonly", 2), dialog=dialog)
        self.assertIn(b"recvonly", answer.body)
        await standing
        self.assertEqual(rang, [183, 180])
        self.assertIn(b"m=audio 50002", call.session.remote_description.body)
        await call.session.terminate()
        await sipp.answered()

    async def test_we_ring_reliably(self) -> None:
        """SIPp acknowledges our 183 with the answer in it and changes the early session by UPDATE; a PRACK of something
        that we never said gets 481 (row:H9, row:H11)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        called = Called(party, None, rings=False, accepts=False)
        said = "Supported: 100rel"
        scenario = Scenario(party.uri("tcp"))
        scenario.asks("INVITE", 1, lines=[said, "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE"], body=OFFER)
        scenario.gets(100, optional=True).gets(
            183, wants={"Require": "100rel", "": "m=audio 50000"}, keeps={"RSeq": "rseq"}
        )
        scenario.asks("PRACK", 2, lines=["RAck: 1 17 INVITE"]).gets(481, of="PRACK")
        scenario.asks("PRACK", 3, lines=["RAck:[$rseq] 1 INVITE"]).gets(200, of="PRACK")
        scenario.asks("UPDATE", 4, body=session_description(40002, version=2)).gets(
            200, of="UPDATE", wants={"": "m=audio 50002"}
        )
        scenario.gets(200, lacks=["Content-Type"]).asks("ACK", 1).gets("BYE").answers(200, "BYE")
        sipp = await self.plays(scenario, party=party)
        session = (await called.call()).session
        offers = []

        def answer(offer: object) -> str:
            offers.append(offer)
            return session_description(50002, version=2, user="answering")

        session.offer_received.subscribe(answer)
        session.ring(183, answer=ANSWER)
        await until(reactor, lambda: bool(offers), 10, "UPDATE")
        await session.accept()
        await session.terminate()
        await sipp.answered()

    async def test_it_does_not_acknowledge(self) -> None:
        """Who asks for reliability and acknowledges nothing is told again and again, and then refused (row:H9)."""
        party = await self.hurried_party(30, f"tcp:{ON_LOOPBACK}")
        called = Called(party, None, rings=False, accepts=False)
        scenario = Scenario(party.uri("tcp")).asks("INVITE", 1, lines=["Require: 100rel"], body=OFFER)
        scenario.gets(100, optional=True)
        scenario.gets(180, wants={"RSeq": "[0-9]+"}).gets(180)
        # How many more there is time for is a matter of milliseconds.
        for _ in range(6):
            scenario.gets(180, optional=True)
        scenario.gets(504).asks("ACK", 1, branch="INVITE1")
        sipp = await self.plays(scenario, party=party)
        call = await called.call()
        call.session.ring()
        await sipp.answered()
        await call.reaches("DISCONNECTED")
        self.assertGreater(sipp.messages.count("SIP/2.0 180"), 3)

    async def test_early_media(self) -> None:
        """An answer in a 180 that is not reliable is told at once, and again in the 2xx (row:H10, limit:L14)."""
        scenario = Scenario().gets("INVITE").answers(180, body=ANSWER).waits(0.3).answers(200, body=ANSWER)
        sipp = await self.plays(scenario.gets("ACK").gets("BYE").answers(200, "BYE"))
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
        answers: list[tuple[str, bool]] = []
        call.session.answer_received.subscribe(
            lambda event: answers.append((call.session.state.name, event.is_preview))
        )
        await call.session.establish(OFFER)
        self.assertEqual(answers[0], ("ALERTED", True))
        await call.session.terminate()
        await sipp.answered()


class ForkTests(SippCallTestCase):
    """One INVITE of ours that several answer."""

    async def test_several_ring_and_one_answers(self) -> None:
        """Each branch that rings is an early dialog of its own, one of them ends with 199, and the one that accepts is
        the session (row:H12, row:H35)."""
        scenario = Scenario().gets("INVITE", wants={"Supported": "199"})
        scenario.answers(180, tag="a").answers(183, tag="b", body=ANSWER).answers(180, tag="c").answers(199, tag="c")
        scenario.answers(200, tag="b", body=ANSWER).gets("ACK", wants={"To": "tag=b"})
        sipp = await self.plays(scenario.gets("BYE", wants={"To": "tag=b"}).answers(200, "BYE"))
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
        early: list[int] = []
        call.session.forked.subscribe(lambda dialog: early.append(len(call.session.early_dialogs)))
        await call.session.establish(OFFER)
        self.assertEqual(early, [2, 3])
        self.assertEqual(call.session.early_dialogs, ())
        await call.session.terminate()
        await sipp.answered()

    async def test_several_accept(self) -> None:
        """The first 2xx is the session; every other one of twenty is acknowledged and ended, and one that comes twice
        is acknowledged twice (row:H12, fault:D7)."""
        scenario = Scenario().gets("INVITE")
        for number in range(10):
            scenario.answers(180, tag=f"t{number}x")
        scenario.answers(200, tag="t0x", body=ANSWER).gets("ACK", wants={"To": "tag=t0x"})
        for number in range(1, 20):
            scenario.answers(200, tag=f"t{number}x", body=ANSWER).gets("ACK", wants={"To": f"tag=t{number}x"})
            scenario.gets("BYE", wants={"To": f"tag=t{number}x"}).answers(200, "BYE")
        scenario.answers(200, tag="t0x", body=ANSWER).gets("ACK", wants={"To": "tag=t0x"})
        scenario.gets("BYE", wants={"To": "tag=t0x"})
        sipp = await self.plays(scenario.answers(200, "BYE"))
        call = await self.call(await self.clear_text_party(), sipp.uri("tcp"), OFFER)
        await until(reactor, lambda: len(self.said("ACK")) == 21, 10, "every ACK")
        self.assertEqual((call.session.state.name, len(self.said("BYE"))), ("CONNECTED", 19))
        await call.session.terminate()
        await sipp.answered()


class AcknowledgementTests(SippCallTestCase):
    """2xx that are said until somebody has heard them."""

    async def test_it_repeats(self) -> None:
        """A 2xx that comes again gets the same ACK again (row:H15, row:H34)."""
        scenario = Scenario().gets("INVITE").answers(200, body=ANSWER).gets("ACK").answers(200, body=ANSWER)
        sipp = await self.plays(scenario.gets("ACK").gets("BYE").answers(200, "BYE"))
        call = await self.call(await self.clear_text_party(), sipp.uri("tcp"), OFFER)
        await until(reactor, lambda: len(self.said("ACK")) == 2, 10, "the second ACK")
        self.assertEqual(len(set(self.said("ACK"))), 1)
        await call.session.terminate()
        await sipp.answered()

    async def test_it_never_acknowledges(self) -> None:
        """Our 2xx is said again until 64*T1 are over, then we hang up (row:H34)."""
        party = await self.hurried_party(30, f"tcp:{ON_LOOPBACK}")
        called = Called(party, rings=False)
        scenario = Scenario(party.uri("tcp")).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
        # Whether the last one still comes before the end is a matter of milliseconds.
        for number in range(11):
            scenario.gets(200, optional=number >= 9)
        await (await self.plays(scenario.gets("BYE").answers(200, "BYE"), party=party)).answered()
        call = await called.call()
        self.assertEqual(call.states, [("CONNECTING", "NONE"), ("DISCONNECTED", "TIMEOUT")])
        self.assertEqual([failure.type for failure in called.failures], [OperationTimeout])


class CancelTests(SippCallTestCase):
    """Those who change their minds."""

    async def test_we_cancel(self) -> None:
        """Our CANCEL waits for a provisional response, however early we gave up (row:H16, fault:C5)."""
        scenario = Scenario().gets("INVITE").waits(0.5).answers(180).gets("CANCEL")
        scenario.answers(200, "CANCEL").answers(487).gets("ACK")
        sipp = await self.plays(scenario)
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
        standing = call.session.establish(OFFER)
        await until(reactor, lambda: bool(self.said("INVITE")), 10, "INVITE")
        gone = call.session.terminate(reason="Q.850;cause=16")
        await self.failure_of(standing, SessionTerminated)
        await gone
        await sipp.answered()
        (cancel,) = self.said("CANCEL")
        self.assertIn("Reason: Q.850;cause=16", cancel)

    async def test_our_cancel_crosses_200(self) -> None:
        """A 200 that crosses our CANCEL is acknowledged and ended (row:H16, fault:C5)."""
        scenario = (
            Scenario().gets("INVITE").answers(180).gets("CANCEL").answers(200, "CANCEL").answers(200, body=ANSWER)
        )
        sipp = await self.plays(scenario.gets("ACK").gets("BYE").answers(200, "BYE"))
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
        standing = call.session.establish(OFFER)
        await call.reaches("ALERTED")
        gone = call.session.terminate()
        await self.failure_of(standing, SessionTerminated)
        await gone
        await sipp.answered()

    async def test_it_rings_too_long(self) -> None:
        """A call that nobody answers is cancelled when it has rung for as long as it may (row:H28)."""
        scenario = Scenario().gets("INVITE").answers(180).gets("CANCEL").answers(200, "CANCEL").answers(487).gets("ACK")
        sipp = await self.plays(scenario)
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"), max_ring=0.5)
        await self.failure_of(call.session.establish(OFFER), OperationTimeout)
        await sipp.answered()

    async def test_it_cancels(self) -> None:
        """SIPp's CANCEL, while it rings or right after its INVITE, gets 200, its INVITE 487 (row:H16, fault:C5)."""
        for rings in (True, False):
            party, called = await self.called(accepts=False, rings=rings)
            scenario = Scenario(party.uri("tcp")).asks("INVITE", 1, body=OFFER)
            if rings:
                scenario.gets(100, optional=True).gets(180)
            scenario.asks("CANCEL", 1, branch="INVITE1", lines=["Reason: SIP;cause=200"])
            scenario.gets(200, of="CANCEL").gets(487).asks("ACK", 1, branch="INVITE1")
            await (await self.plays(scenario, party=party)).answered()
            # One that is called off in the same moment may never be shown to anybody.
            if rings or called.calls:
                self.assertEqual(await (await called.call()).reaches("DISCONNECTED"), "CANCELED")

    async def test_its_cancel_crosses_200(self) -> None:
        """A CANCEL that comes after our 200 gets 200 and changes nothing (fault:C5, fault:C6)."""
        party, called = await self.called()
        scenario = Scenario(party.uri("tcp")).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180).gets(200)
        scenario.asks("CANCEL", 1, branch="INVITE1").gets(200, of="CANCEL").asks("ACK", 1).waits(0.3)
        scenario.asks("BYE", 2).gets(200, of="BYE")
        await (await self.plays(scenario, party=party)).answered()
        call = await called.call()
        self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        self.assertIn(("CONNECTED", "NONE"), call.states)

    async def test_cancel_of_nothing(self) -> None:
        """A CANCEL of an INVITE that never came gets 481."""
        party, _ = await self.called()
        scenario = Scenario(party.uri("tcp")).asks("CANCEL", 1, branch="nothing").gets(481, of="CANCEL")
        await (await self.plays(scenario, party=party)).answered()
