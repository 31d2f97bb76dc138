"""What happens within a session, with SIPp as the other side: changes by re-INVITE and UPDATE, at the same time too,
session timers, and other requests."""

from __future__ import annotations

import os
import signal
from typing import Any

from sip_p2p import InvalidOperation, RequestFailed, SessionTimerSettings
from tests.interop.calls import Called
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER, Scenario, session_description
from tests.interop.support import Party, reactor
from tests.interop.test_sipp_calls import ON_LOOPBACK, SippCallTestCase

HELD = session_description(40000, "sendonly", 2)
RECEIVING = session_description(50000, "recvonly", 2, "answering")
EVERYTHING = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, MESSAGE, OPTIONS"


class ChangeTests(SippCallTestCase):
    """Re-INVITE and UPDATE."""

    async def test_we_change(self) -> None:
        """Our re-INVITE and our UPDATE are answered, each with its own ACK or none; a re-INVITE that is refused leaves
        everything as it was (row:H19)."""
        scenario = called(EVERYTHING).gets("INVITE", name="hold", wants={"": "a=sendonly"})
        scenario.answers(200, "hold", body=RECEIVING).gets("ACK")
        scenario.gets("UPDATE").answers(200, "UPDATE", body=ANSWER)
        scenario.gets("INVITE", name="refused").answers(488, "refused").gets("ACK").gets("BYE").answers(200, "BYE")
        call, sipp = await self.stands(scenario)
        answer = await call.session.renegotiate(HELD)
        self.assertIn(b"recvonly", answer.body)
        answer = await call.session.renegotiate(OFFER, method="UPDATE")
        self.assertIn(b"sendrecv", answer.body)
        failure = await self.failure_of(call.session.renegotiate(HELD), RequestFailed)
        self.assertEqual((failure.response.status, call.session.state.name), (488, "CONNECTED"))
        self.assertIn(b"sendrecv", call.session.local_description.body)
        await self.ends(call, sipp)

    async def test_we_call_a_change_off(self) -> None:
        """Our re-INVITE rings and is cancelled; the session goes on (row:H21)."""
        scenario = called().gets("INVITE", name="hold").answers(180, "hold").gets("CANCEL").answers(200, "CANCEL")
        scenario.answers(487, "hold").gets("ACK").gets("BYE").answers(200, "BYE")
        call, sipp = await self.stands(scenario)
        changing = call.session.renegotiate(HELD)
        with self.assertRaises(InvalidOperation) as raised:
            call.session.renegotiate(HELD)
        self.assertTrue(raised.exception.retryable)
        await until(reactor, lambda: len(self.said("INVITE")) == 2, 10, "re-INVITE")
        self.assertTrue(call.session.cancel_renegotiation())
        failure = await self.failure_of(changing, RequestFailed)
        self.assertEqual((failure.response.status, call.session.state.name), (487, "CONNECTED"))
        await self.ends(call, sipp)

    async def test_it_changes(self) -> None:
        """SIPp's re-INVITE is answered by our handler after it has rung, one that asks for an offer gets one, a
        repeated offer is answered without anybody, a new one that nobody takes is refused (row:H20, row:H22)."""
        new = session_description(50004, version=4, user="answering")
        scenario = called().asks("INVITE", 1, body=RECEIVING).gets(100, optional=True).gets(180)
        scenario.gets(200, wants={"": "a=sendonly"}).asks("ACK", 1)
        scenario.asks("INVITE", 2).gets(100, optional=True).gets(200, wants={"": "a=sendonly"})
        scenario.asks("ACK", 2, body=RECEIVING)
        scenario.asks("INVITE", 3, body=RECEIVING).gets(100, optional=True).gets(200).asks("ACK", 3)
        scenario.asks("INVITE", 4, body=new).gets(100, optional=True).gets(488).asks("ACK", 4, branch="INVITE4")
        scenario.asks("UPDATE", 5, body=new).gets(488, of="UPDATE").asks("BYE", 6).gets(200, of="BYE")
        sipp = await self.plays(scenario)
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
        offers: list[Any] = []

        def decide(offer: Any) -> Any:
            offers.append(offer)
            if len(offers) > 1:
                return None
            offer.progress(180)
            return HELD

        call.session.offer_received.subscribe(decide)
        await call.session.establish(OFFER)
        self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        self.assertEqual(len(offers), 5)
        await sipp.answered()

    async def test_both_change_by_invite(self) -> None:
        """Both send a re-INVITE: both get 491, and ours comes again after the time that the caller has to wait, 2.1 to
        4 s (RFC 3261 section 14.1; fault:D3)."""
        scenario = called().gets("INVITE", name="theirs").asks("INVITE", 1, body=RECEIVING).gets(100, optional=True)
        scenario.gets(491).asks("ACK", 1, branch="INVITE1").answers(491, "theirs").gets("ACK")
        scenario.gets("INVITE", name="again").answers(200, "again", body=RECEIVING).gets("ACK")
        scenario.gets("BYE").answers(200, "BYE")
        party = await self.hurried_party(5, t1=2.0)
        call, sipp = await self.stands(scenario, party)
        began = reactor.seconds()
        answer = await call.session.renegotiate(HELD)
        self.assertIn(b"recvonly", answer.body)
        self.assertTrue(2.1 <= 5 * (reactor.seconds() - began) < 5.0, reactor.seconds() - began)
        await self.ends(call, sipp)

    async def test_both_change_by_update(self) -> None:
        """Both send an UPDATE: SIPp's gets 491, and ours, after 491, comes again (fault:D3)."""
        scenario = called(EVERYTHING).gets("UPDATE", name="theirs").asks("UPDATE", 1, body=RECEIVING)
        scenario.gets(491, of="UPDATE").answers(491, "theirs").gets("UPDATE", name="again")
        scenario.answers(200, "again", body=RECEIVING).gets("BYE").answers(200, "BYE")
        call, sipp = await self.stands(scenario, await self.hurried_party(5, t1=2.0))
        answer = await call.session.renegotiate(HELD, method="UPDATE")
        self.assertIn(b"recvonly", answer.body)
        await self.ends(call, sipp)

    async def test_one_change_at_a_time(self) -> None:
        """A second change that SIPp begins before its first is decided gets 500 with Retry-After (RFC 3311 section 5.2,
        RFC 3261 section 14.2)."""
        scenario = called().asks("UPDATE", 1, body=RECEIVING).asks("UPDATE", 2, body=RECEIVING)
        scenario.gets(500, of="UPDATE", wants={"Retry-After": "[0-9]", "CSeq": "2 UPDATE"})
        scenario.asks("INFO", 3, lines=["Subject: now"]).gets(200, of="INFO").gets(
            200, of="UPDATE", wants={"CSeq": "1 "}
        )
        scenario.asks("BYE", 4).gets(200, of="BYE")
        sipp = await self.plays(scenario)
        call = self.begin(await self.clear_text_party(), sipp.uri("tcp"))
        offers: list[Any] = []
        call.session.offer_received.subscribe(offers.append)
        call.session.offer_received.subscribe(lambda offer: offer.defer())

        def decide(request: Any) -> None:
            request.respond(200)
            offers[0].accept(HELD)

        call.session.request_received.subscribe(decide)
        await call.session.establish(OFFER)
        await call.reaches("DISCONNECTED")
        await sipp.answered()

    async def test_it_has_forgotten(self) -> None:
        """A 481 to a change ends the session, and nothing more is sent in it (RFC 5057 section 5.1)."""
        scenario = called().gets("INVITE", name="hold").answers(481, "hold").gets("ACK").waits(0.3)
        call, sipp = await self.stands(scenario)
        await self.failure_of(call.session.renegotiate(HELD), RequestFailed)
        self.assertEqual(await call.reaches("DISCONNECTED"), "SESSION_DOES_NOT_EXIST")
        await sipp.answered()


class RequestTests(SippCallTestCase):
    """Other requests within the session."""

    async def test_requests(self) -> None:
        """MESSAGE, INFO of a package, OPTIONS and a method that nobody knows, both ways (row:H25)."""
        info = ["Info-Package: dtmf", "Content-Type: application/dtmf-relay", "Content-Disposition: info-package"]
        scenario = called(EVERYTHING, "Recv-Info: dtmf").gets("MESSAGE", wants={"": "hello"}).answers(200, "MESSAGE")
        scenario.gets("INFO", wants={"Info-Package": "dtmf", "": "Signal=5"}).answers(200, "INFO").gets("OPTIONS")
        scenario.answers(200, "OPTIONS")
        scenario.asks("MESSAGE", 1, lines=["Content-Type: text/plain"], body="and back").gets(200, of="MESSAGE")
        scenario.asks("INFO", 2, lines=info, body="Signal=6").gets(200, of="INFO")
        scenario.asks("INFO", 3, lines=["Info-Package: other"]).gets(469, of="INFO", wants={"Recv-Info": "dtmf"})
        scenario.asks("OPTIONS", 4).gets(200, of="OPTIONS", wants={"Allow": "UPDATE"})
        scenario.asks("PUBLISH", 5).gets(405, of="PUBLISH").asks("MESSAGE", 5).gets(500, of="MESSAGE")
        scenario.gets("BYE").answers(200, "BYE")
        sipp = await self.plays(scenario)
        party = await self.clear_text_party(info_packages=["dtmf"])
        call = self.begin(party, sipp.uri("tcp"))
        heard: list[tuple[str, bytes]] = []

        def answer(request: Any) -> None:
            heard.append((request.method, request.body.strip()))
            request.respond(200 if request.method != "PUBLISH" else 405)

        call.session.message_received.subscribe(answer)
        call.session.request_received.subscribe(answer)
        await call.session.establish(OFFER)
        await call.session.send_message("hello")
        await call.session.send_info("dtmf", "Signal=5", "application/dtmf-relay")
        await call.session.request("OPTIONS")
        await until(reactor, lambda: bool(self.said("SIP/2.0 500")), 10, "500")
        told = [("MESSAGE", b"and back"), ("INFO", b"Signal=6"), ("PUBLISH", b"")]
        self.assertEqual([each for each in heard if each[0] != "OPTIONS"], told)
        await self.ends(call, sipp)


class TimerTests(SippCallTestCase):
    """Session timers, on a clock of ours that runs thirty times as fast."""

    async def hurried(self, *listen: str) -> Party:
        """A party on that clock."""
        return await self.hurried_party(30, *listen, t1=6.0)

    async def test_it_wants_longer(self) -> None:
        """A 422 raises the interval, and the session stands (row:H26)."""
        scenario = Scenario().gets("INVITE", wants={"Session-Expires": "^ *90"})
        scenario.answers(422, lines=["Min-SE: 2000"], tag="").gets("ACK")
        scenario.gets("INVITE", name="again", wants={"Session-Expires": "2000", "Min-SE": "2000", "CSeq": "2 "})
        lines = ["Require: timer", "Session-Expires: 2000;refresher=uac"]
        scenario.answers(200, "again", tag="sipp", lines=lines, body=ANSWER).gets("ACK").gets("BYE").answers(200, "BYE")
        sipp = await self.plays(scenario)
        timer = SessionTimerSettings(90)
        call = await self.call(await self.clear_text_party(), sipp.uri("tcp"), OFFER, session_timer=timer)
        await self.ends(call, sipp)

    async def test_we_want_longer(self) -> None:
        """SIPp's interval below 90 s gets 422, and its next try stands (row:H26)."""
        party, _ = await self.called()
        scenario = Scenario(party.uri("tcp"))
        scenario.asks("INVITE", 1, lines=["Supported: timer", "Session-Expires: 60"], body=OFFER).gets(
            100, optional=True
        )
        scenario.gets(422, wants={"Min-SE": "90"}).asks("ACK", 1, branch="INVITE1")
        scenario.asks("INVITE", 2, lines=["Supported: timer", "Session-Expires: 90", "Min-SE: 90"], body=OFFER)
        scenario.gets(100, optional=True).gets(180).gets(
            200, wants={"Session-Expires": "90;refresher=uac", "Require": "timer"}
        )
        scenario.asks("ACK", 2).asks("BYE", 3).gets(200, of="BYE")
        await (await self.plays(scenario, party=party)).answered()

    async def test_we_refresh_by_update(self) -> None:
        """Where we are to refresh, we do so by UPDATE at half the interval, again and again (row:H26, row:H27)."""
        lines = ["Require: timer", "Session-Expires: 90;refresher=uac"]
        scenario = called(EVERYTHING, *lines)
        for _ in range(2):
            scenario.gets("UPDATE", wants={"Session-Expires": "90;refresher=uac"}, lacks=["Content-Type"])
            scenario.answers(200, "UPDATE", lines=lines)
        scenario.gets("BYE").answers(200, "BYE")
        call, sipp = await self.stands(scenario, await self.hurried())
        waiting = self.parties[0].manager.inventory
        # SIPp does not expect us to hang up before it has answered.
        over = lambda: len(self.said("UPDATE")) == 2 and not waiting()["requests"]  # noqa: E731
        await until(reactor, over, 10, "the answer to the second UPDATE")
        await self.ends(call, sipp)

    async def test_it_takes_no_update(self) -> None:
        """Where UPDATE is not allowed, or answered 405 though it was, the refresh is a re-INVITE, by itself (row:H26,
        limit:L17)."""
        lines = ["Require: timer", "Session-Expires: 90;refresher=uac"]
        for done, allow in ((3, "Allow: INVITE, ACK, CANCEL, BYE"), (6, EVERYTHING)):
            scenario = called(allow, *lines)
            if "UPDATE" in allow:
                scenario.gets("UPDATE").answers(405, "UPDATE")
            for name in ("one", "two"):
                scenario.gets("INVITE", name=name, wants={"Session-Expires": "90;refresher=uac", "": "m=audio 40000"})
                scenario.answers(200, name, lines=lines, body=ANSWER).gets("ACK")
            call, sipp = await self.stands(scenario.gets("BYE").answers(200, "BYE"), await self.hurried())
            await until(reactor, lambda done=done: len(self.said("ACK")) == done, 10, "ACK")  # type: ignore[misc]
            await self.ends(call, sipp)

    async def test_it_refreshes_and_stops(self) -> None:
        """SIPp refreshes by UPDATE, then by re-INVITE, and then no more: the session is ended (row:H26, limit:L15)."""
        lines = ["Supported: timer", "Session-Expires: 90;refresher=uac"]
        agreed = {"Session-Expires": "90;refresher=uac", "Require": "timer", "Contact": "<sip:alice"}
        scenario = called(EVERYTHING, "Require: timer", "Session-Expires: 90;refresher=uas").waits(1.2)
        scenario.asks("UPDATE", 1, lines=lines).gets(200, of="UPDATE", wants=agreed).waits(1.2)
        scenario.asks("INVITE", 2, lines=lines, body=ANSWER).gets(100, optional=True).gets(200, wants=agreed)
        scenario.asks("ACK", 2).gets("BYE").answers(200, "BYE")
        began = reactor.seconds()
        call, sipp = await self.stands(scenario, await self.hurried())
        self.assertEqual(await call.reaches("DISCONNECTED"), "SESSION_TIMER_EXPIRED")
        self.assertGreater(reactor.seconds() - began, 2.4 + 60 / 30 - 0.1)
        await sipp.answered()

    async def test_it_lets_us_refresh(self) -> None:
        """SIPp calls and wants us to refresh: we do (row:H26)."""
        party = await self.hurried(f"tcp:{ON_LOOPBACK}")
        called = Called(party, rings=False)
        scenario = Scenario(party.uri("tcp"))
        scenario.asks(
            "INVITE", 1, lines=["Supported: timer", "Session-Expires: 90;refresher=uas", EVERYTHING], body=OFFER
        )
        scenario.gets(100, optional=True).gets(200, wants={"Session-Expires": "90;refresher=uas"}).asks("ACK", 1)
        for _ in range(2):
            scenario.gets("UPDATE", wants={"Session-Expires": "90;refresher=uac"})
            scenario.answers(200, "UPDATE", lines=["Require: timer", "Session-Expires: 90;refresher=uac"])
        scenario.asks("BYE", 2).gets(200, of="BYE")
        await (await self.plays(scenario, party=party)).answered()
        await (await called.call()).reaches("DISCONNECTED")

    async def test_it_is_killed(self) -> None:
        """A SIPp that is killed in the midst of a call answers no refresh: the session is over in a bounded time
        (row:H26)."""
        lines = ["Require: timer", "Session-Expires: 90;refresher=uac"]
        scenario = called(EVERYTHING, *lines).gets("UPDATE").answers(200, "UPDATE", lines=lines).gets("BYE")
        call, sipp = await self.stands(scenario, await self.hurried())
        await until(reactor, lambda: bool(self.said("UPDATE")), 10, "UPDATE")
        os.killpg(sipp.program.pid, signal.SIGKILL)
        self.assertIn(await call.reaches("DISCONNECTED"), ("SESSION_TIMER_EXPIRED", "RECOVERY_FAILED", "TIMEOUT"))


def called(*lines: str) -> Scenario:
    """SIPp takes a call, and says *lines* in its 200."""
    return Scenario().gets("INVITE").answers(200, lines=lines, body=ANSWER).gets("ACK")
