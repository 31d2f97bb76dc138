"""A network in memory, to test programs that speak over one: several hosts, one clock, faults on demand.

Each :class:`Host` is a reactor. Give it to a program in the place of the real one: Twisted's endpoints, TLS and name
resolution work on it unchanged, and so do :class:`~sip_p2p.RealTimeServerTlsConnectionManager` and everything above it.
Time passes only when :class:`Network` is told so, and whatever gets lost, delayed or cut into pieces is decided by a
seed: a test runs the same each time, as fast as the machine allows, and touches no real socket::

    network = Network(seed=7, delay=0.02)
    alice = network.host("10.0.0.1", names=["a.example"])
    bob = network.host("10.0.0.2", names=["b.example"])
    bob.listenTCP(7, factory)
    protocol = network.run_until(HostnameEndpoint(alice, "b.example", 7).connect(other_factory))
    network.half_open(alice, bob)           # bob vanishes, alice is not told
    network.advance(120)                    # and finds out by herself
    network.assert_quiet()                  # she has closed everything

SIP parties with certificates, listening on mutual TLS, are one call each::

    class GreetingTests(SynchronousTestCase):
        def test_greeting(self):
            network = Network(delay=0.02)
            alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
            heard = []
            bob.message_received.subscribe(lambda event: heard.append((event.peer.identity, event.text)))
            response = network.run_until(alice.send_message("sip:bob@b.example", "hello"))
            self.assertEqual((response.status, heard), (200, [("a.example", "hello")]))
            network.finish()

Two things to know. TLS needs its time from the host: what takes a ``clock`` (Twisted's ``TLSMemoryBIOFactory``, say) is
to be given the host. And a program that imports ``twisted.internet.reactor`` instead of taking a reactor gets the real
one.

For users of ``sip_p2p`` and for its own tests; no part of the library imports it. :mod:`.network` has the hosts, wires
and faults (:mod:`.conditions`), :mod:`.host` one host with its :mod:`.sockets` and :mod:`.streams`, :mod:`.names` and
:mod:`.zones` its names, :mod:`.party` the parties.
"""

from __future__ import annotations

from sip_p2p.testing.conditions import Conditions, Datagram
from sip_p2p.testing.host import Host
from sip_p2p.testing.network import Network
from sip_p2p.testing.zones import Zones

__all__ = ["Conditions", "Datagram", "Host", "Network", "Zones"]
