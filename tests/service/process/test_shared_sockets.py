"""Which descriptions several processes can listen on together, and what each of them is passed."""

from __future__ import annotations

import socket

from twisted.internet import reactor

from sip_p2p.service.process.shared_sockets import SharedSockets
from tests.support import SynchronousTestCase


class DescriptionTests(SynchronousTestCase):
    """What a worker is told to listen on."""

    def described(self, *descriptions: str) -> list[str]:
        """Where a worker listens."""
        return list(SharedSockets(descriptions, 2).descriptions())

    def test_its_own_port_first(self) -> None:
        """A worker listens on its own port first, which its Contact names, and by the same rules as on the shared
        one."""
        self.assertEqual(
            self.described("tls:port=5061:interface=127.0.0.1:allow=b.example:backlog=7"),
            ["tls:allow=b.example:systemd=own-0", "tls:allow=b.example:systemd=shared-0"],
        )

    def test_one_for_each_transport(self) -> None:
        """A worker has one port of its own for each of TLS and TCP, and none for browsers, whom nobody dials."""
        self.assertEqual(
            self.described("tcp:5060", "tls:5061", "tls:5062", "ws:8080:origins=*"),
            [
                "tcp:systemd=own-0",
                "tls:systemd=own-1",
                "tcp:systemd=shared-0",
                "tls:systemd=shared-1",
                "tls:systemd=shared-2",
                "ws:origins=*:systemd=shared-3",
            ],
        )

    def test_behind_a_load_balancer(self) -> None:
        """Who comes by the load balancer comes to the shared port: a worker's own is reached without it."""
        self.assertEqual(
            self.described("haproxy:tls:port=5061:proxies=192.0.2.7"),
            ["tls:systemd=own-0", "haproxy:tls:systemd=shared-0:proxies=192.0.2.7"],
        )

    def test_quoting(self) -> None:
        """What is quoted in a description stays so."""
        self.assertEqual(
            self.described("wss:port=443:origins=https\\://chat.example"),
            ["wss:origins=https\\://chat.example:systemd=shared-0"],
        )

    def test_what_cannot_be_shared(self) -> None:
        """UDP, a description that has no port, and one of Twisted's own are refused, with the reason."""
        for description, words in (
            ("udp:5060", "udp:5060: UDP has no connections"),
            ("unix:/tmp/x", "unix: cannot be shared"),
            ("tls:interface=127.0.0.1", "port is missing"),
            ("haproxy", "needs another description"),
            ("tcp:port=x", "port=x is not a number"),
        ):
            error = self.assertRaises(ValueError, SharedSockets, [description], 2)
            self.assertIn(words, str(error))

    def test_too_many_ports(self) -> None:
        """The last worker's own port is one that there is."""
        SharedSockets(["tls:1"], 6, 65530)
        error = self.assertRaises(ValueError, SharedSockets, ["tls:1", "tcp:2"], 6, 65530)
        self.assertEqual(str(error), "the last worker's own port would be 65541, and 65535 is the highest")


class BindingTests(SynchronousTestCase):
    """The sockets themselves."""

    def bound(self, *descriptions: str, first_port: int | None = None) -> SharedSockets:
        """The sockets of two workers."""
        sockets = SharedSockets(descriptions, 2, first_port)
        self.addCleanup(sockets.close)
        sockets.bind(reactor)
        return sockets

    def test_all_listen(self) -> None:
        """Both workers are passed the shared socket, and each one of its own; all of them accept already."""
        sockets = self.bound("tcp:0:interface=127.0.0.1")
        first, second = sockets.descriptors(1), sockets.descriptors(2)
        self.assertEqual((first[1], len({*first, *second})), (second[1], 3))
        self.assertEqual(sockets.names(), ["own-0", "shared-0"])
        for address in (*sockets.shared_addresses(), *sockets.own_addresses(1), *sockets.own_addresses(2)):
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), 5).close()

    def test_ports_that_are_said(self) -> None:
        """Workers have the ports of their own in their order."""
        free = socket.socket()
        free.bind(("127.53.7.1", 0))
        port = free.getsockname()[1]
        free.close()
        sockets = self.bound(f"tcp:{port}:interface=127.53.7.1", first_port=port + 1)
        places = [sockets.shared_addresses(), *(sockets.own_addresses(number) for number in (1, 2))]
        self.assertEqual(places, [[f"127.53.7.1:{port + offset}"] for offset in range(3)])

    def test_six(self) -> None:
        """IPv6 is written as everywhere."""
        if not socket.has_ipv6:
            self.skipTest("there is no IPv6 here")
        sockets = self.bound("tcp:0:interface=\\:\\:1")
        self.assertEqual({each.rpartition(":")[0] for each in sockets.own_addresses(1)}, {"[::1]"})

    def test_a_port_that_is_taken(self) -> None:
        """A port that another program has is told with its number, and nothing stays open."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sockets = SharedSockets(["tcp:0:interface=127.0.0.1", f"tcp:{port}:interface=127.0.0.1"], 2)
        error = self.assertRaises(OSError, sockets.bind, reactor)
        self.assertIn(f"cannot listen on 127.0.0.1:{port}", str(error))

    def test_one_that_systemd_has_not_passed(self) -> None:
        """A socket that was not passed to this process is refused by its name."""
        sockets = SharedSockets(["tls:systemd=sips"], 2)
        self.assertIn("no socket 'sips'", str(self.assertRaises(ValueError, sockets.bind, reactor)))
