"""Kamailio at the end of connections that are kept, used both ways, resumed, refused and lost."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet.defer import gatherResults

from sip_p2p import (
    DnsResolver,
    KeepAlive,
    PeerOverloaded,
    RequestFailed,
    Revocation,
    RevocationMode,
    TlsFailureReason,
)
from sip_p2p.transport.dns.resolver import AddressResolver, StaticResolver
from tests.interop.exchanges import ExchangeTestCase
from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.program import until
from tests.interop.support import OUR_DOMAIN, TEXT, reactor
from tests.transport.name_servers import NameServer

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class FlowTests(ExchangeTestCase):
    """One connection, and what goes over it."""

    needs = (Kamailio,)

    async def start(self, **options: Any) -> Kamailio:
        """Kamailio, which proves ``localhost`` both as server and as client."""
        kamailio = self.peer(Kamailio)
        leaf = options.pop("certificate", None) or self.certificates.right("localhost")
        options.setdefault("client_certificate", leaf)
        await kamailio.start(leaf, self.certificates.trust, patience=3.0, **options)
        return kamailio

    async def test_keep_alive(self) -> None:
        """Kamailio answers our pings over TCP and TLS, and the connection lives (row:E17, fault:A10)."""
        kamailio = await self.start()
        kept = {"keep_alive": KeepAlive(5, pong_timeout=3, pong_required=True)}
        parties = {
            "tcp": await self.clear_text_party(manager_options=kept),
            "tls": await self.tls_party(manager_options=kept),
        }
        lost: list[Any] = []
        for transport, party in parties.items():
            party.manager.flow_lost.subscribe(lost.append)
            await party.endpoint.request("OPTIONS", kamailio.uri(transport))
        for party in parties.values():
            await until(reactor, lambda party=party: party.manager.metrics()["keep_alive_pongs"] > 0, 20, "a pong")  # type: ignore[misc]
        for transport, party in parties.items():
            await party.endpoint.send_message(kamailio.uri(transport), TEXT)
            self.assertEqual(party.manager.metrics()["connections_dialled"], 1)
        self.assertEqual(lost, [])

    async def test_frozen(self) -> None:
        """A Kamailio that is there and does not move is given up when it owes a pong that we may count on (row:E17,
        fault:G5)."""
        kamailio = await self.start()
        kept = {"keep_alive": KeepAlive(5, pong_timeout=2, pong_required=True)}
        party = await self.tls_party(manager_options=kept)
        lost: list[Any] = []
        party.manager.flow_lost.subscribe(lost.append)
        await party.endpoint.request("OPTIONS", kamailio.uri("tls"))
        os.killpg(kamailio.program.pid, signal.SIGSTOP)
        try:
            await until(reactor, lambda: bool(lost), 10, "a lost flow")
        finally:
            os.killpg(kamailio.program.pid, signal.SIGCONT)
        self.assertIn("did not answer a keep-alive", str(lost[0].reason))
        self.assertEqual((await party.endpoint.request("OPTIONS", kamailio.uri("tls"))).status, 200)

    async def test_it_uses_our_connection(self) -> None:
        """Who does not listen is reached by Kamailio over the connection that it opened itself (row:E16, row:D9)."""
        kamailio = await self.start()
        party = await self.tls_party()
        await party.endpoint.request("OPTIONS", kamailio.uri("tls"))
        port = (await kamailio.saw("OPTIONS")).port
        self.assertEqual(await kamailio.request("MESSAGE", f"sip:alice@127.0.0.1:{port};transport=tls", TEXT), 200)
        (event,) = party.received
        self.assertEqual(event.text, TEXT)
        self.assertIn("localhost", event.peer.identities)
        self.assertFalse(event.peer.flow.is_incoming)
        self.assertEqual(len(party.manager.pool), 1)

    async def test_it_takes_our_alias(self) -> None:
        """We listen and say ``;alias``: Kamailio's requests to where we listen come by the connection that we opened,
        and none is made to our port (RFC 5923; row:E16)."""
        kamailio = await self.start(takes_aliases=True)
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await party.endpoint.request("OPTIONS", kamailio.uri("tls"))
        self.assertEqual(await kamailio.request("MESSAGE", party.uri("tls"), TEXT), 200)
        (event,) = party.received
        self.assertFalse(event.peer.flow.is_incoming)
        self.assertEqual(party.manager.metrics()["connections_in"], 0)

    async def test_we_use_its_connection(self) -> None:
        """A request to the name that Kamailio has proved on the connection that it opened goes back over it, though we
        could not find it otherwise (row:E16, row:E12)."""
        kamailio = await self.start(alias="localhost")
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        self.assertEqual(await kamailio.request("MESSAGE", party.uri("tls"), TEXT), 200)
        answer = await party.endpoint.send_message("sip:kamailio@localhost", "and back")
        self.assertEqual(answer.status, 200)
        self.assertEqual((await kamailio.saw("MESSAGE")).body, b"and back")
        self.assertEqual(party.manager.metrics()["connections_out"], 0)

    async def test_names(self) -> None:
        """Of two names at one port each is asked for, proved, and reached by a connection of its own (row:D26,
        fault:G1)."""
        names = {name: self.certificates.for_domain_only(name) for name in ("one.example", "two.example")}
        kamailio = await self.start(names=names)
        table = dict.fromkeys(names, ("127.0.0.1", kamailio.ports["tls"]))
        resolver = StaticResolver(table, AddressResolver(reactor))
        party = await self.tls_party(manager_options={"resolver": resolver})
        ports, proved = set(), []
        party.manager.flow_opened.subscribe(lambda opened: proved.append(opened.flow.verified.matched))
        for name in names:
            failure = await self.failure_of(party.endpoint.request("OPTIONS", f"sip:x@{name}"), RequestFailed)
            self.assertIsNotNone(failure.response.status)
            ports.add((await kamailio.saw("OPTIONS")).port)
        self.assertEqual(len(ports), 2)
        self.assertEqual(proved, list(names))

    async def test_resumed(self) -> None:
        """The second connection to Kamailio resumes the session of the first, and the name is as proved as it was
        (row:D26, fault:F9)."""
        kamailio = await self.start()
        party = await self.tls_party(manager_options={"pool_linger": 0.3})
        settings = party.manager.tls_settings()
        for number in range(3):
            self.assertEqual((await party.endpoint.request("OPTIONS", kamailio.uri("tls"))).status, 200)
            self.assertEqual((settings.handshakes, settings.resumptions), (1, number))
            await until(reactor, lambda: not len(party.manager.pool), 10, "the end of the connection")

    async def test_we_find_it_revoked(self) -> None:
        """What the authority has taken back is refused, whether we dial or are dialled (row:D17, fault:F7)."""
        leaf = self.certificates.revoked("localhost")
        kamailio = await self.start(certificate=leaf)
        lists = Revocation.from_files(self.certificates.revocation_list(leaf), mode=RevocationMode.HARD)
        reason = TlsFailureReason.REMOTE_CERTIFICATE_REVOKED
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", manager_options={"revocation": lists})
        await self.refused_by_us(party, kamailio, reason)
        await self.caller_refused(party, kamailio, reason)

    async def test_it_finds_us_revoked(self) -> None:
        """Kamailio's refusal of our certificate, which its list names, fails the request as such (row:D17, row:D18,
        fault:F11)."""
        leaf = self.certificates.revoked(OUR_DOMAIN)
        kamailio = await self.start(revoked=self.certificates.revocation_list(leaf))
        party = await self.tls_party(certificate=leaf)
        reason = TlsFailureReason.LOCAL_CERTIFICATE_REJECTED
        await self.refused_by_it(party, kamailio, reason, "certificate_revoked")

    async def test_busy(self) -> None:
        """Kamailio's 503 with Retry-After holds back what is for Kamailio, and only that (row:E20, row:E24)."""
        busy, other = await self.start(busy={"busy": 30}), await self.start()
        party = await self.tls_party()
        uri = busy.uri("tls", "busy")
        sending = party.endpoint.send_message(uri, TEXT, retry_after="never")
        failure = await self.failure_of(sending, RequestFailed)
        self.assertEqual((failure.response.status, failure.response.headers.get("Retry-After")), (503, "30"))
        await busy.saw("MESSAGE")
        sending = party.endpoint.send_message(uri, TEXT, retry_after="never")
        failure = await self.failure_of(sending, PeerOverloaded)
        self.assertTrue(25 < failure.retry_after <= 30, failure.retry_after)
        self.assertFalse(busy.saw_more("MESSAGE"))
        self.assertEqual((await party.endpoint.send_message(other.uri("tls"), TEXT)).status, 200)


class FailoverTests(ExchangeTestCase):
    """Two servers of one domain, found by a real name server."""

    needs = (Kamailio,)
    timeout = 90

    async def servers(self, transport: str, **records: Any) -> tuple[list[Kamailio], DnsResolver]:
        """Two, the second only for when the first does not serve, and who finds them."""
        leaf = self.certificates.for_domain_only("servers.example")
        found = []
        for _ in range(2):
            kamailio = self.peer(Kamailio)
            await kamailio.start(leaf, self.certificates.trust, alias="servers.example", busy={"busy": 30})
            found.append(kamailio)
        service = {"tls": "_sips._tcp", "tcp": "_sip._tcp", "udp": "_sip._udp"}[transport]
        lines = [f"{service}.servers.example 60 SRV {rank} 0 {each.ports[transport]} k.servers.example"
                 for rank, each in enumerate(found)]  # fmt: skip
        server = NameServer(*lines, "k.servers.example 60 A 127.0.0.1")
        self.stop_later(server.stop)
        return found, DnsResolver(reactor, name_servers=[server.address], family="v4")

    async def test_killed_under_load(self) -> None:
        """One of two servers is killed in the midst of requests: none of them is lost in silence or heard twice, and
        the other one serves at once (row:E24, row:E25, fault:J4)."""
        (first, second), resolver = await self.servers("tls")
        party = await self.tls_party(manager_options={"resolver": resolver})
        uri = "sip:kamailio@servers.example"
        await party.endpoint.send_message(uri, "before")
        await first.saw("MESSAGE")
        outcomes: list[str] = []
        for number in range(100):
            party.endpoint.send_message(uri, f"m{number}").addCallbacks(
                lambda response: outcomes.append(str(response.status)),
                lambda failure: outcomes.append(failure.type.__name__),
            )
        await first.saw("MESSAGE")
        os.killpg(first.program.pid, signal.SIGKILL)
        await until(reactor, lambda: len(outcomes) == 100, 15, "a hundred outcomes")
        self.assertLessEqual(set(outcomes), {"200", "ConnectionFailure"})
        began = reactor.seconds()
        answers = await gatherResults([party.endpoint.send_message(uri, f"after {number}") for number in range(50)])
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertLess(reactor.seconds() - began, 5)
        self.assertTrue(second.saw_more("MESSAGE"))
        heard = [line.split("|")[9] for line in (first.log + second.log).splitlines() if "SEEN|MESSAGE|" in line]
        self.assertEqual(len(heard), len(set(heard)))

    async def test_one_is_busy(self) -> None:
        """Where the first server answers 503 the second is asked (row:E24)."""
        (first, second), resolver = await self.servers("tls")
        party = await self.tls_party(manager_options={"resolver": resolver})
        sending = party.endpoint.send_message("sip:busy@servers.example", TEXT, retry_after="never")
        failure = await self.failure_of(sending, RequestFailed)
        self.assertEqual(failure.response.status, 503)
        for kamailio in (first, second):
            self.assertEqual((await kamailio.saw("MESSAGE")).body.decode(), TEXT)

    async def test_clear_text(self) -> None:
        """The same by TCP: a server that is not there costs one try, and then none (row:E24, row:E25)."""
        (first, second), resolver = await self.servers("tcp")
        await first.stop()
        party = await self.clear_text_party(manager_options={"resolver": resolver}, default_transport="tcp")
        for _ in range(3):
            answer = await party.endpoint.send_message("sip:kamailio@servers.example", TEXT)
            self.assertEqual(answer.status, 200)
            await second.saw("MESSAGE")
