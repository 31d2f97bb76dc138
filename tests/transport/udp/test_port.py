"""A UDP port that is told of errors, on real sockets and in memory."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater

from sip_p2p.testing import Network
from sip_p2p.transport.udp.port import LONGEST_DATAGRAM, UdpPort, listen_udp, overflowed
from tests.support import SynchronousTestCase, TestCase

reactor: Any = _reactor


class Told(DatagramProtocol):
    """Keeps what comes and what it is told."""

    noisy = False

    def __init__(self) -> None:
        self.received: list[tuple[bytes, tuple[str, int]]] = []
        self.errors: list[tuple[tuple[str, int], bytes, int]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if datagram == b"raise":
            raise ValueError("on purpose")
        self.received.append((datagram, addr))

    def unreachable(self, address: tuple[str, int], quote: bytes, number: int) -> None:
        """An error."""
        self.errors.append((address, quote, number))


class Untold(DatagramProtocol):
    """Wants to know of no errors."""

    noisy = False


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((host, 0))
        port: int = taken.getsockname()[1]
        return port


class RealTests(TestCase):
    """On the reactor's own sockets."""

    async def open(self, interface: str = "127.0.0.1", protocol: Any = None) -> Any:
        """A port on loopback."""
        port = listen_udp(reactor, 0, protocol or Told(), interface)
        self.addCleanup(port.stopListening)
        return port

    async def until(self, condition: Any) -> None:
        """Wait for it, a second at most."""
        for _ in range(200):
            if condition():
                return
            await deferLater(reactor, 0.005)
        self.fail("it did not happen")

    async def test_overflow(self) -> None:
        """What the system had no room for is counted by it, and told (row:M10, fault:H5)."""
        port = await self.open()
        port.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.assertEqual(overflowed(port), 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(b"x" * 1000, ("127.0.0.1", port.getHost().port))
        lost = overflowed(port)
        self.assertGreater(lost, 50)
        await self.until(lambda: len(port.protocol.received) == 100 - lost)
        self.assertEqual((overflowed(object()), overflowed(None)), (0, 0))

    async def test_nobody_there(self) -> None:
        """That nobody has a port is told with its address and the beginning of the datagram, and the port lives on
        (fault:I6, RFC 1122 section 4.1.3.3)."""
        port, other = await self.open(), await self.open()
        nobody = ("127.0.0.1", free_port())
        for _ in range(3):
            port.write(b"hello nobody" * 100, nobody)
            await self.until(lambda: port.protocol.errors)
            [(address, quote, number), *_] = port.protocol.errors
            self.assertEqual((address, number), (nobody, errno.ECONNREFUSED))
            self.assertTrue(quote.startswith(b"hello nobody" * 10))
            port.protocol.errors.clear()
            other.write(b"hello", ("127.0.0.1", port.getHost().port))
            await self.until(lambda: port.protocol.received)
            port.protocol.received.clear()

    async def test_not_lost_with_an_error(self) -> None:
        """A datagram with which the error of another is told goes out all the same (fault:I6)."""
        port, other = await self.open(), await self.open()
        address = ("127.0.0.1", other.getHost().port)
        nobody = ("127.0.0.1", free_port())
        for number in range(50):
            port.write(b"x", nobody)
            port.write(b"%d" % number, address)
        await self.until(lambda: len(other.protocol.received) == 50)
        await self.until(lambda: len(port.protocol.errors) == 50)

    async def test_six(self) -> None:
        """The same on IPv6 (fault:I6)."""
        port = await self.open("::1")
        nobody = ("::1", free_port("::1"))
        port.write(b"x", nobody)
        await self.until(lambda: port.protocol.errors)
        self.assertEqual(port.protocol.errors, [(nobody, b"x", errno.ECONNREFUSED)])

    async def test_raising(self) -> None:
        """A protocol that raises is logged, and gets the next datagram."""
        port, other = await self.open(), await self.open()
        for data in (b"raise", b"next"):
            other.write(data, ("127.0.0.1", port.getHost().port))
        await self.until(lambda: port.protocol.received)
        self.assertEqual(port.protocol.received[0][0], b"next")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_too_long(self) -> None:
        """What no datagram can hold is refused to the caller, and what the largest holds arrives whole (fault:I3)."""
        port, other = await self.open(), await self.open()
        address = ("127.0.0.1", other.getHost().port)
        with self.assertRaises(MessageLengthError):
            port.write(b"x" * 65508, address)
        port.write(b"x" * 65507, address)
        await self.until(lambda: other.protocol.received)
        self.assertEqual(len(other.protocol.received[0][0]), 65507)

    async def test_taken(self) -> None:
        """A port that somebody has is refused as Twisted refuses it."""
        port = await self.open()
        with self.assertRaises(CannotListenError):
            listen_udp(reactor, port.getHost().port, Told(), "127.0.0.1")

    async def test_no_interest(self) -> None:
        """A protocol that wants no errors has Twisted's port: nothing comes, and nothing is lost."""
        port = await self.open(protocol=Untold())
        port.write(b"x", ("127.0.0.1", free_port()))
        await deferLater(reactor, 0.05)
        self.assertTrue(port.connected)

    async def test_zone(self) -> None:
        """A link-local address keeps its zone, so that an answer leaves by the interface that the question came by (RFC
        4007)."""
        zoned = _link_local()
        if zoned is None:
            self.skipTest("no interface here has a link-local address")
        port, other = await self.open("::"), await self.open("::")
        host, _, zone = zoned.partition("%")
        number = socket.if_nametoindex(zone)
        other.write(b"hello", (f"{host}%{number}", port.getHost().port))
        await self.until(lambda: port.protocol.received)
        [(_, source)] = port.protocol.received
        self.assertEqual(source, (f"{host}%{number}", other.getHost().port))
        port.write(b"back", source)
        await self.until(lambda: other.protocol.received)


def _link_local() -> str | None:
    """A link-local address of this machine with the name of its interface, or None."""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as table:
            for line in table:
                digits, _, _, scope, _, name = line.split()
                if scope == "20":
                    groups = ":".join(digits[start : start + 4] for start in range(0, 32, 4))
                    return f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))}%{name}" if groups else None
    except OSError:
        return None
    return None


class MemoryTests(SynchronousTestCase):
    """In the network in memory."""

    def test_nobody_there(self) -> None:
        """The network in memory tells of errors as a real one does, and its ports are ours (fault:I6)."""
        network = Network(delay=0.01)
        alice, bob = network.host(), network.host()
        told = Told()
        port: Any = listen_udp(alice, 5060, told)
        self.assertIsInstance(port, UdpPort)
        self.assertEqual(port.maxPacketSize, LONGEST_DATAGRAM)
        port.write(b"hello", (bob.addresses[0], 9))
        network.advance(0.1)
        self.assertEqual(told.errors, [((bob.addresses[0], 9), b"hello", errno.ECONNREFUSED)])
        port.stopListening()
        network.assert_quiet()

    def test_kinds(self) -> None:
        """A time to live that ran out is passed over; that a datagram could not be understood on its way is told
        (fault:I6, RFC 3261 section 18.4)."""
        host = Network().host()
        told = Told()
        port: Any = listen_udp(host, 5060, told)
        self.addCleanup(port.stopListening)
        address = ("192.0.2.1", 5060)
        six = ("2001:db8::1", 5060, 0, 0)
        for source, level, option, origin, kind, number, is_told in (
            (address, socket.IPPROTO_IP, 11, 2, 3, errno.ECONNREFUSED, True),
            (address, socket.IPPROTO_IP, 11, 2, 3, errno.EHOSTUNREACH, True),
            (address, socket.IPPROTO_IP, 11, 2, 11, errno.EHOSTUNREACH, False),
            (address, socket.IPPROTO_IP, 11, 2, 12, errno.EPROTO, True),
            (address, socket.IPPROTO_IP, 11, 2, 3, errno.EMSGSIZE, False),
            (six, socket.IPPROTO_IPV6, 25, 3, 1, errno.ENETUNREACH, True),
            (six, socket.IPPROTO_IPV6, 25, 3, 3, errno.EHOSTUNREACH, False),
            (six, socket.IPPROTO_IPV6, 25, 3, 4, errno.EPROTO, True),
        ):
            error = number.to_bytes(4, sys.byteorder) + bytes((origin, kind)) + bytes(26)
            self.patch(port, "socket", Erring(port.socket, [(b"x", [(level, option, error)], 0, source)]))
            port.doRead()
            self.assertEqual(told.errors, [(source[:2], b"x", number)] if is_told else [], (source, origin, kind))
            told.errors.clear()


class Erring:
    """A socket to which nothing comes but these errors."""

    def __init__(self, inner: Any, errors: list[Any]) -> None:
        self._inner = inner
        self._errors = errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def recvfrom(self, size: int) -> Any:
        """Nothing."""
        raise BlockingIOError(errno.EWOULDBLOCK, "nothing")

    def recvmsg(self, size: int, ancillary: int, flags: int) -> Any:
        """The next error."""
        if not self._errors:
            raise BlockingIOError(errno.EWOULDBLOCK, "nothing")
        return self._errors.pop(0)
