"""Three endpoints as one, behind Kamailio's dispatcher and behind SRV records: one is killed under load."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import Cooperator

from sip_p2p import ConnectionFailure, SignalingState, SipUri
from sip_p2p.service.silence import silent_offer
from sip_p2p.transport.dns.dns_resolver import DnsResolver
from tests.interop.peers.farm import HOSTS, PACKAGING, Dispatcher
from tests.interop.peers.ours import Service
from tests.interop.peers.program import free_port, until
from tests.interop.support import InteropTestCase, Party, reactor
from tests.manual import ROOT, blocks
from tests.transport.name_servers import NameServer

PROXY = "proxy.example"
DOMAIN = "b.example"

(LEDGER,) = blocks(ROOT / "docs" / "farm.rst", "python")
"""The application that the page shows."""

MESSAGES = 240
AT_ONCE = 24


class FarmTestCase(InteropTestCase):
    """Three endpoints that keep what they accept."""

    timeout = 120
    services: list[Service]
    ports: list[int]

    async def start_farm(self, *options: str) -> None:
        """Start all three, each on a port that it keeps."""
        self.services, self.ports = [], []
        for _ in HOSTS:
            service = self.peer(Service)
            service.write_files({"ledger.py": LEDGER})
            self.services.append(service)
            self.ports.append(free_port())
        await gatherResults([ensureDeferred(self.start_one(number, *options)) for number in range(len(HOSTS))])

    async def start_one(self, number: int, *options: str) -> None:
        """Start one of them, or start it again."""
        leaf = self.certificates.right(DOMAIN)
        await self.services[number].start(
            "--uri", f"sip:bob@{DOMAIN}", "--certificate", leaf.certificate, "--trust", self.certificates.trust,
            "--listen", f"tls:port={self.ports[number]}:interface=127.0.0.1", "--application", "ledger:Ledger",
            "--advertise", "127.0.0.1", *options,
        )  # fmt: skip

    def kept(self, number: int) -> list[str]:
        """The texts that one of them has on its disk."""
        path = Path(self.services[number].directory) / "ledger.txt"
        lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def all_kept(self) -> set[str]:
        """The texts that any of them has."""
        return {text for number in range(len(HOSTS)) for text in self.kept(number)}

    async def send(self, sender: Party, texts: list[str], answered: list[str]) -> None:
        """Send *texts*, some at a time; each that is answered 200 is noted in *answered*."""

        async def one(text: str) -> None:
            while True:
                try:
                    answer = await sender.endpoint.send_message(f"sip:bob@{DOMAIN}", text)
                except ConnectionFailure:
                    # Nobody has said that it was accepted: whoever wants it to be says it again.
                    continue
                self.assertEqual(answer.status, 200)
                break
            answered.append(text)

        work = (ensureDeferred(one(text)) for text in texts)
        cooperator = Cooperator()
        await gatherResults([cooperator.coiterate(work) for _ in range(AT_ONCE)])

    async def kill_one_under_load(self, sender: Party, victim: int) -> None:
        """Kill one of them while work comes in: every text is accepted, each that was is on a disk, and the others go
        on taking new ones."""
        texts = [f"text {number}" for number in range(MESSAGES)]
        answered: list[str] = []
        sending = ensureDeferred(self.send(sender, texts, answered))
        await until(reactor, lambda: len(answered) >= MESSAGES // 3, 30.0, "the first third of the answers")
        os.kill(self.services[victim].program.pid, signal.SIGKILL)
        await sending
        self.assertEqual(set(answered), set(texts))
        self.assertEqual(set(texts) - self.all_kept(), set())
        before = [len(self.kept(number)) for number in range(len(HOSTS))]
        later = [f"later {number}" for number in range(60)]
        await self.send(sender, later, [])
        grown = [len(self.kept(number)) - known for number, known in enumerate(before)]
        self.assertEqual((grown[victim], sum(grown)), (0, len(later)))


class DispatcherTests(FarmTestCase):
    """Behind Kamailio."""

    needs = (Dispatcher,)

    async def start(self) -> Party:
        """The farm, Kamailio before it, and a sender that knows Kamailio alone."""
        await self.start_farm("--allow", PROXY, "--trusted-proxy", PROXY)
        dispatcher = self.peer(Dispatcher)
        await dispatcher.start(self.certificates.right(PROXY), self.certificates.trust, self.ports)
        return await self.tls_party(proxy=f"tls:127.0.0.1:{dispatcher.port}", proxy_tls_name=PROXY)

    async def test_one_is_killed(self) -> None:
        """row:M15: when one of three endpoints is killed under load nothing that was accepted is lost, new work goes to
        the others, a call on another of them goes on, and the one that is started again gets work again."""
        sender = await self.start()
        session = await sender.endpoint.invite(f"sip:bob@{DOMAIN}", silent_offer())
        usage: Any = session.usage
        holder = self.ports.index(SipUri.parse(str(usage.dialog.remote_target)).port)
        victim = (holder + 1) % len(HOSTS)
        await self.kill_one_under_load(sender, victim)
        self.assertTrue(all(self.kept(number) for number in range(len(HOSTS))))
        self.assertEqual(session.state, SignalingState.CONNECTED)
        await session.terminate()
        await self.services[holder].event('session-state".*"state": "disconnected')

        self.services[victim] = Service(reactor, self.services[victim].directory)
        self.stop_later(self.services[victim].stop)
        await self.start_one(victim, "--allow", PROXY, "--trusted-proxy", PROXY)
        known = len(self.kept(victim))
        more = iter(range(10_000))

        async def send_until_it_works() -> None:
            while len(self.kept(victim)) == known:
                await self.send(sender, [f"again {next(more)}"], [])

        await ensureDeferred(send_until_it_works()).addTimeout(30, reactor)


class ServiceRecordTests(FarmTestCase):
    """Behind SRV records, without anybody between."""

    async def test_one_is_killed(self) -> None:
        """row:M15: senders that find three endpoints by SRV records lose nothing that was accepted when one of them is
        killed under load, and go on with the others."""
        await self.start_farm("--allow", "a.example")
        zone = (PACKAGING / "farm" / "b.example.zone").read_text("ascii")
        for host, port, address in zip(HOSTS, self.ports, ("192.0.2.11", "192.0.2.12", "192.0.2.13"), strict=True):
            zone = zone.replace(f"5061 {host}.", f"{port} {host}.").replace(address, "127.0.0.1")
        records = [" ".join(line.split()).replace(" IN ", " ") for line in zone.splitlines() if " IN " in line]
        names = NameServer(*records)
        self.stop_later(names.stop)
        sender = await self.tls_party(allow=[DOMAIN])
        manager: Any = sender.manager
        manager.resolver = DnsResolver(reactor, name_servers=[names.address], dead_targets=manager.dead_targets)
        first: list[str] = []
        await self.send(sender, ["the first"], first)
        victim = next(number for number in range(len(HOSTS)) if self.kept(number))
        await self.kill_one_under_load(sender, victim)
