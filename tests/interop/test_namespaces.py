"""On a wire of one's own: peers that vanish, processes that are killed, firewalls, and packets that are really lost."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

from sip_p2p import ConnectionFailure, KeepAlive, Limits, OperationTimeout, Timers
from sip_p2p.transport.dns.resolver import AddressResolver, StaticResolver
from tests.interop.namespaces import HERE, THERE
from tests.interop.peers.program import until
from tests.interop.support import OUR_DOMAIN, reactor
from tests.interop.wires import ASKS_FOR, PEER, PONG_TIMEOUT, WireTestCase


class ClearTextTests(WireTestCase):
    """The peer listens by TCP and UDP."""

    async def begin(self, **manager: Any) -> None:
        """Two hosts, the peer on the other one, and ourselves."""
        await self.enter()
        listen = (f"tcp:5060:interface={THERE}", f"udp:5060:interface={THERE}")
        await self.there.start(*listen, keep_alive=self.keep_alive)
        self.party = self.watch(await self.clear_text_party(manager_options={**self.usual(), **manager}))

    async def say(self, text: str, transport: str = "tcp", **options: Any) -> Any:
        """Send a message to the peer."""
        return await self.party.endpoint.send_message(self.uri(transport), text, **options)

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
        self.there.kill()
        self.assertLess(await self.seconds_until_lost(10), 2)
        began = reactor.seconds()
        failure = await self.failure_of(self.say("anybody?", "udp"), ConnectionFailure)
        self.assertIn("nobody is at", str(failure))
        self.assertLess(reactor.seconds() - began, 5)

    async def test_a_third_is_lost(self) -> None:
        """With a third of all packets really lost, messages by UDP arrive once each and are answered (fault:I1)."""
        # With the usual T2 of four seconds, chance alone would lose one message in two thousand.
        await self.begin(keep_alive=KeepAlive(), timers=Timers(t2=1.0))
        self.hosts.lose(30)
        for start in range(0, 40, 20):
            sending = [self.party.endpoint.send_message(f"sip:p@{THERE};transport=udp", f"m{start + number}")
                       for number in range(20)]  # fmt: skip
            for each in sending:
                self.assertEqual((await each).status, 200)
        self.hosts.heal()
        heard = [event["text"] for event in self.there.events("heard")]
        self.assertEqual(sorted(heard), sorted(f"m{number}" for number in range(40)))


class TlsTests(WireTestCase):
    """Both prove who they are."""

    async def start_there(self) -> None:
        """The peer, on its host."""
        await self.there.start(
            f"tls:5061:interface={THERE}",
            uri=f"sip:peer@{PEER}",
            manager=self.identity(PEER, OUR_DOMAIN),
            keep_alive=self.keep_alive,
        )

    async def begin(self, **options: Any) -> None:
        """Two hosts, the peer on the other one, and ourselves."""
        await self.enter()
        await self.start_there()
        resolver = StaticResolver({PEER: (THERE, 5061)}, AddressResolver(reactor))
        given = self.usual(**self.identity(OUR_DOMAIN, PEER), resolver=resolver, **options.pop("manager", {}))
        self.party = self.watch(await self.tls_party(manager_options=given, **options))

    async def say(self, text: str, **options: Any) -> Any:
        """Send a message to the peer."""
        return await self.party.endpoint.send_message(f"sip:peer@{PEER}", text, **options)

    async def test_cut(self) -> None:
        """When a TLS connection is cut without a word, what was on it fails as soon as the peer owes a pong; the next
        request is answered over a new one when there is a way again (fault:G5, row:E17)."""
        await self.begin()
        await self.say("hello")
        self.hosts.vanish()
        began = reactor.seconds()
        failure = await self.failure_of(self.say("into the void"), ConnectionFailure)
        self.assertLess(reactor.seconds() - began, ASKS_FOR + PONG_TIMEOUT + 1)
        self.assertIn("did not answer a keep-alive", str(failure))
        await self.seconds_until_lost(1)
        self.assertEqual(len(self.lost[0].transactions), 1)
        self.hosts.heal()
        self.assertEqual((await self.say("again")).status, 200)
        self.assertEqual([event["text"] for event in self.there.events("heard")], ["hello", "again"])

    async def test_cut_for_a_moment(self) -> None:
        """A connection that is cut for less time than a pong may take goes on where it was (fault:G5)."""
        await self.begin()
        await self.say("hello")
        self.hosts.vanish()
        sending = self.party.endpoint.send_message(f"sip:peer@{PEER}", "late")
        failed = self.failure_of(self.party.endpoint.send_message(f"sip:peer@{PEER}", "x", timeout=1), OperationTimeout)
        await failed
        self.hosts.heal()
        self.assertEqual((await sending).status, 200)
        self.assertEqual((self.lost, len(self.opened)), ([], 1))

    async def test_killed_under_load(self) -> None:
        """When a peer is killed in the midst of requests, each of them ends at once, with an answer or as failed; none
        is delivered twice, and the next one reaches its successor (fault:C4, fault:J5, row:E13)."""
        await self.begin()
        await self.say("hello")
        sending = [self.party.endpoint.send_message(f"sip:peer@{PEER}", f"m{number}") for number in range(200)]
        outcomes: list[str] = []
        for each in sending:
            each.addCallbacks(
                lambda response: outcomes.append(str(response.status)),
                lambda failure: outcomes.append(failure.type.__name__),
            )
        await self.there.event("heard", where="m20")
        self.there.kill()
        began = reactor.seconds()
        await until(reactor, lambda: len(outcomes) == 200, 10, "200 outcomes")
        self.assertLess(reactor.seconds() - began, 2)
        self.assertLessEqual(set(outcomes), {"200", "ConnectionFailure"})
        self.assertIn("ConnectionFailure", outcomes)
        heard = [event["text"] for event in self.there.events("heard")]
        self.assertEqual(len(heard), len(set(heard)))
        await self.there.program.ended()
        await self.start_there()
        self.assertEqual((await self.say("here again", timeout=20)).status, 200)

    async def test_restarted_unseen(self) -> None:
        """A peer that was killed while no packet passed is another one when they do: it resets what it knows nothing
        of, OPTIONS goes out again by itself, a text fails, since it might have been read, and the next one arrives
        (fault:J5, fault:G5, row:E13)."""
        for method in ("OPTIONS", "MESSAGE"):
            await self.begin()
            await self.say("before")
            self.hosts.vanish()
            self.there.kill()
            await self.there.program.ended()
            await self.start_there()
            self.hosts.heal()
            self.assertEqual(self.lost, [])
            if method == "OPTIONS":
                answer = await self.party.endpoint.request("OPTIONS", f"sip:peer@{PEER}")
                self.assertEqual(answer.status, 200)
            else:
                await self.failure_of(self.say("lost"), ConnectionFailure)
            self.assertEqual((await self.say("after")).status, 200)
            self.assertEqual([event["text"] for event in self.there.events("heard")], ["after"])
            await self._stop_all()

    async def test_killed_and_back_eager(self) -> None:
        """An eager party is connected to its proxy again as soon as that is back, though nobody sends (row:E14,
        fault:G6)."""
        proxy = {"proxy": f"tls:{THERE}:5061", "proxy_tls_name": PEER}
        await self.begin(manager={"reconnect": "eager"}, **proxy)
        await until(reactor, lambda: len(self.opened) == 1, 10, "a connection that nobody asked for")
        self.there.kill()
        self.assertLess(await self.seconds_until_lost(5), 1)
        await self.there.program.ended()
        await self.start_there()
        await until(reactor, lambda: len(self.opened) == 2, 20, "the next one")
        self.assertEqual((await self.say("hello again")).status, 200)
        self.assertEqual(len(self.opened), 2)

    async def test_behind_a_firewall(self) -> None:
        """A peer that nobody can call is reached by the connection that it opened, and only by that one (row:E16,
        row:E12)."""
        await self.enter()
        self.hosts.close_to_callers()
        resolver = StaticResolver({PEER: (THERE, 5061)}, AddressResolver(reactor))
        given = self.usual(**self.identity(OUR_DOMAIN, PEER), resolver=resolver, limits=Limits(connect_timeout=2))
        self.party = self.watch(await self.tls_party(f"tls:5061:interface={HERE}", manager_options=given))
        await self.start_there()
        await self.there.sent(f"sip:alice@{HERE}:5061;transport=tls", "call me back")
        answers = await gatherResults(
            [self.party.endpoint.send_message(f"sip:peer@{PEER}", f"back {number}") for number in range(5)]
        )
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual(len(self.opened), 1)
        self.assertTrue(self.opened[0].flow.is_incoming)
        self.there.kill()
        await self.seconds_until_lost(5)
        await self.failure_of(self.say("where are you?"), ConnectionFailure)
