"""Parties on the network in memory: what a user's own test needs."""

from __future__ import annotations

import textwrap

from twisted.trial.reporter import TestResult

import sip_p2p.testing
from sip_p2p.errors import ConnectionFailure, OperationTimeout, TlsFailure
from sip_p2p.sip.transaction.timers import Timers
from sip_p2p.testing import Network
from sip_p2p.transport.trust.credential import Credential
from tests.support import SynchronousTestCase


class PartyTests(SynchronousTestCase):
    """:meth:`sip_p2p.testing.Network.party`."""

    def setUp(self) -> None:
        self.network = Network(seed=7, delay=0.02)

    def test_the_example(self) -> None:
        """The test in the package's documentation is a whole test, has at most twelve lines, and passes. row:M16"""
        documentation = sip_p2p.testing.__doc__ or ""
        start = documentation.index("    class GreetingTests")
        code = textwrap.dedent(documentation[start : documentation.index("\n\n", start)])
        self.assertLessEqual(len(code.splitlines()), 12)
        names = {"SynchronousTestCase": SynchronousTestCase, "Network": Network}
        exec(compile(code, "example", "exec"), names)
        result = TestResult()
        names["GreetingTests"]("test_greeting").run(result)
        self.assertEqual((result.errors, result.failures, result.successes), ([], [], 1))

    def test_both_ways(self) -> None:
        """Both parties have a name, a port and a certificate, and each can send to the other."""
        alice, bob = self.network.party("sip:alice@a.example"), self.network.party("sip:bob@b.example")
        heard: list[tuple[str, str | None]] = []
        for party in (alice, bob):
            party.message_received.subscribe(lambda event: heard.append((event.peer.identity, event.text)))
        self.network.run_until(alice.send_message("sip:bob@b.example", "there"))
        self.network.run_until(bob.send_message("sip:alice@a.example", "and back"))
        self.assertEqual(heard, [("a.example", "there"), ("b.example", "and back")])
        self.network.finish()

    def test_one_domain(self) -> None:
        """Parties of one domain share a connection manager; what they share is decided by the first."""
        alice, carol = self.network.party("sip:alice@a.example"), self.network.party("sip:carol@a.example")
        self.assertIs(alice.connection_manager, carol.connection_manager)
        self.assertRaises(ValueError, self.network.party, "sip:dave@a.example", listen="tcp:0")
        self.assertRaises(ValueError, self.network.party, "sip:dave@a.example", manager={"allow": "b.example"})
        self.network.finish()

    def test_clear_text(self) -> None:
        """A party can be had over TCP and UDP, too."""
        for transport in ("tcp", "udp"):
            network = Network()
            options = {"default_transport": transport}
            alice, bob = (network.party(f"sip:{name}.example", **options) for name in ("alice@a", "bob@b"))
            bob.message_received.subscribe(lambda event: None)
            self.assertEqual(network.run_until(alice.send_message("sip:bob@b.example", "hello")).status, 200)
            self.assertTrue(any(line.split()[1] == transport.upper() for line in network.log))
            network.finish()

    def test_addresses(self) -> None:
        """A party may be named by its address, or live on a host that the test has made."""
        host = self.network.host("10.1.0.1", names=["a.example"])
        alice, bob = self.network.party("sip:alice@a.example"), self.network.party("sip:bob@10.9.0.9")
        self.assertIs(alice.connection_manager.reactor, host)
        bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.network.run_until(alice.send_message("sip:bob@10.9.0.9", "hello")).status, 200)
        self.network.finish()

    def test_only_dials(self) -> None:
        """A party without listeners can send, and be nobody's target."""
        alice, bob = self.network.party("sip:alice@a.example", listen=()), self.network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.network.run_until(alice.send_message("sip:bob@b.example", "hello")).status, 200)
        self.network.cut("a.example", "b.example")
        self.network.settle()
        self.assertRaises(
            ConnectionFailure, self.network.run_until, bob.send_message("sip:alice@a.example", "nobody there")
        )
        self.network.finish()

    def test_who_may_talk(self) -> None:
        """Who may talk to a party is up to the test."""
        alice = self.network.party("sip:alice@a.example")
        self.network.party("sip:bob@b.example", manager={"allow": "c.example"})
        self.assertRaises(TlsFailure, self.network.run_until, alice.send_message("sip:bob@b.example", "hello"))
        self.network.finish()

    def test_other_certificate(self) -> None:
        """A party can be given another certificate, of the same authority or of a stranger."""
        impostor = self.network.authority.issue("c.example")
        alice = self.network.party("sip:alice@a.example")
        self.network.party("sip:bob@b.example", manager={"certificate": Credential.from_pem(impostor.pem)})
        self.assertRaises(TlsFailure, self.network.run_until, alice.send_message("sip:bob@b.example", "hello"))
        self.network.finish()

    def test_vanished(self) -> None:
        """A peer that has vanished answers nothing: the request times out by the network's clock, in no real time."""
        timers = {"timers": Timers(t1=0.1)}
        alice = self.network.party("sip:alice@a.example", manager=timers)
        bob = self.network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: None)
        self.network.run_until(alice.send_message("sip:bob@b.example", "hello"))
        self.network.half_open("b.example")
        before = self.network.seconds()
        self.assertRaises(OperationTimeout, self.network.run_until, alice.send_message("sip:bob@b.example", "again"))
        self.assertLess(self.network.seconds() - before, 7)
        self.network.finish()

    def test_lossy_datagrams(self) -> None:
        """Over UDP that loses, doubles and reorders datagrams each message arrives, and is handed over once."""
        network = Network(seed=3, delay=0.02, jitter=0.05, loss=0.2, duplicate=0.2, reorder=0.2)
        alice, bob = (network.party(f"sip:{name}.example", default_transport="udp") for name in ("alice@a", "bob@b"))
        heard: list[str] = []
        bob.message_received.subscribe(lambda event: heard.append(event.text))
        for number in range(20):
            network.run_until(alice.send_message("sip:bob@b.example", str(number)))
        self.assertEqual(heard, [str(number) for number in range(20)])
        network.finish()
