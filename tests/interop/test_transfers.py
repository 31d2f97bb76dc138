"""Transfer with softphones: baresip is sent elsewhere, and sends us; so is and does linphonec, which knows Replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import RequestFailed
from tests.interop.calls import Call, Called
from tests.interop.events import EventTestCase
from tests.interop.namespace import ADDRESS
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.program import until
from tests.interop.peers.scenario import OFFER
from tests.interop.support import Party, reactor
from tests.interop.test_baresip_events import BaresipTestCase

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p import IncomingReferral, ReferProgress
    from tests.interop.peers.baresip import Baresip

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class Referred:
    """A party that does what REFERs ask for.

    :ivar referrals: those that came.
    """

    def __init__(self, party: Party, *, follows: bool = True) -> None:
        self.referrals: list[IncomingReferral] = []
        self._follows = follows
        party.endpoint.refer_received.subscribe(self._received)

    def _received(self, referral: IncomingReferral) -> None:
        self.referrals.append(referral)
        if self._follows:
            referral.accept(offer=OFFER)


class TransferTestCase(EventTestCase):
    """A session that is transferred."""

    async def goes_there(self, call: Call, transferring: Deferred[ReferProgress]) -> None:
        """The peer does what it was asked for, and says so; the session with it ends."""
        outcome = await transferring
        self.assertEqual(outcome.status // 100, 2)
        await call.reaches("DISCONNECTED")

    async def is_there(self, called: Called, number: int = 0) -> None:
        """Whom it was sent to has its call."""
        there = await called.call(number)
        await there.reaches("CONNECTED")
        await there.session.terminate()


class BaresipTransferTests(TransferTestCase, BaresipTestCase):
    """baresip transfers, and is transferred; it knows no Replaces."""

    async def calls_us(self, baresip: Baresip, party: Party, called: Called) -> Call:
        """It calls us, and knows that this stands."""
        baresip.dial(party.uri("udp", ADDRESS))
        call = await called.call()
        await call.reaches("CONNECTED")
        await baresip.program.find("Call established")
        return call

    async def third(self, transport: str) -> tuple[Party, Called]:
        """Somebody else, who takes calls."""
        party = await self.party(transport)
        return party, Called(party)

    async def it_is_sent(self, transport: str) -> None:
        """It is in a call with us, and calls whom we name."""
        await self.enter()
        party = await self.party(transport)
        third, called = await self.third(transport)
        baresip = await self.phone(third, transport)
        call = await self.call(party, baresip.uri(transport), OFFER)
        await self.goes_there(call, call.session.transfer(third.uri(transport, ADDRESS)))
        await self.is_there(called)

    async def test_it_is_sent_over_udp(self) -> None:
        """It is sent to somebody else, says how that goes, and our session ends when theirs stands (row:I1, row:I2)."""
        await self.it_is_sent("udp")

    async def test_it_is_sent_over_tcp(self) -> None:
        """The same over TCP (row:I1, row:I2)."""
        await self.it_is_sent("tcp")

    async def test_it_is_sent_over_tls(self) -> None:
        """The same over TLS (row:I1, row:I2)."""
        await self.it_is_sent("tls")

    async def test_it_is_refused_there(self) -> None:
        """Who is called there refuses: we are told, and our session goes on (row:I1, row:I2)."""
        await self.enter()
        party, third = await self.party("udp"), await self.party("udp")
        third.endpoint.session_received.subscribe(lambda session: session.reject(486))
        baresip = await self.phone(party, "udp")
        call = await self.call(party, baresip.uri("udp"), OFFER)
        failure = await self.failure_of(call.session.transfer(third.uri("udp", ADDRESS)), RequestFailed)
        self.assertGreaterEqual(failure.status, 400)
        self.assertEqual(call.session.state.name, "CONNECTED")
        await call.session.terminate()

    async def test_it_sends(self) -> None:
        """It calls us and sends us to somebody else, whom we call; it hangs up when it is told that this stands
        (row:I5, row:I6)."""
        # Over UDP alone: it drops the parameters of URIs.
        await self.enter()
        party = await self.party("udp")
        called, referred = Called(party), Referred(party)
        third, there = await self.third("udp")
        baresip = await self.phone(party, "udp")
        call = await self.calls_us(baresip, party, called)
        baresip.transfer(third.uri("udp", ADDRESS))
        follows = await there.call()
        await follows.reaches("CONNECTED")
        [referral] = referred.referrals
        self.assertEqual(str(referral.target), third.uri("udp", ADDRESS))
        await call.reaches("DISCONNECTED")
        await follows.session.terminate()

    async def test_we_decline(self) -> None:
        """Nobody has said that REFERs are followed: it is declined, and the call goes on (fault:D5)."""
        await self.enter()
        party = await self.party("udp")
        called = Called(party)
        baresip = await self.phone(party, "udp")
        call = await self.calls_us(baresip, party, called)
        baresip.transfer("sip:nobody@127.0.0.1:9")
        await baresip.program.find("603")
        self.assertEqual(call.session.state.name, "CONNECTED")
        await call.session.terminate()


class LinphoneTransferTests(TransferTestCase):
    """linphonec transfers, and is transferred, with Replaces too."""

    needs = (Linphone,)

    async def phone(self, target: str, **options: Any) -> Linphone:
        """linphonec, which sends everything to *target*."""
        linphone = self.peer(Linphone)
        await linphone.start(target, self.certificates.right("localhost"), self.certificates.trust, **options)
        return linphone

    async def it_is_sent(self, transport: str) -> None:
        """It is in a call with us, and calls whom we name."""
        party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
        third = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
        called = Called(third)
        linphone = await self.phone(third.uri(transport), answers=True)
        call = await self.call(party, linphone.uri(transport), OFFER)
        await self.goes_there(call, call.session.transfer(third.uri(transport)))
        await self.is_there(called)

    async def test_it_is_sent_over_udp(self) -> None:
        """It is sent to somebody else, says how that goes, and our session ends when theirs stands (row:I1, row:I2)."""
        await self.it_is_sent("udp")

    async def test_it_is_sent_over_tcp(self) -> None:
        """The same over TCP (row:I1, row:I2)."""
        await self.it_is_sent("tcp")

    async def it_sends(self, transport: str) -> None:
        """It calls us, and sends us to somebody else."""
        party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
        third = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
        called, referred, there = Called(party), Referred(party), Called(third)
        linphone = await self.phone(party.uri(transport))
        linphone.command(f"call {party.uri(transport)}")
        call = await called.call()
        await call.reaches("CONNECTED")
        await linphone.program.find("connected")
        linphone.command(f"transfer {third.uri(transport)}")
        follows = await there.call()
        await follows.reaches("CONNECTED")
        self.assertEqual(len(referred.referrals), 1)
        await call.reaches("DISCONNECTED")
        await follows.session.terminate()

    async def test_it_sends_over_udp(self) -> None:
        """It sends us to somebody else, whom we call (row:I5, row:I6)."""
        await self.it_sends("udp")

    async def test_it_sends_over_tcp(self) -> None:
        """The same over TCP (row:I5, row:I6)."""
        await self.it_sends("tcp")

    async def test_it_takes_our_place(self) -> None:
        """We have talked to it and to somebody else, and it takes our place there by Replaces (row:I9)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        third = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        third.endpoint.replaces_policy = lambda replacement: True
        called = Called(third)
        linphone = await self.phone(third.uri("udp"), answers=True)
        call = await self.call(party, linphone.uri("udp"), OFFER)
        other = await self.call(party, third.uri("udp"), OFFER)
        await self.goes_there(call, call.session.transfer_to(other.session))
        await other.reaches("DISCONNECTED")
        await self.is_there(called, 1)

    async def test_its_place_is_taken(self) -> None:
        """A call that it has with us is replaced by one from another device of ours (row:I9)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        linphone = await self.phone(party.uri("udp"), answers=True)
        call = await self.call(party, linphone.uri("udp"), OFFER)
        taking = self.begin(party, linphone.uri("udp"), replaces=call.session)
        await taking.session.establish(OFFER)
        await call.reaches("DISCONNECTED")
        await until(reactor, lambda: taking.session.state.name == "CONNECTED", 15, "the one that takes its place")
        await taking.session.terminate()
