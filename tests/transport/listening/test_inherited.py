"""Sockets that were opened by whoever started us, in a process that is started with some."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.pki import CertificateAuthority
from sip_p2p.testing import Network
from sip_p2p.transport.listening.inherited import InheritedSocket

ROOT = Path(__file__).resolve().parents[3]

# In a process of its own: a party on a socket that it has not opened, asked by one that dials.
SCRIPT = """
import sys
from twisted.internet.task import react
from sip_p2p import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint

def manager(reactor, domain, folder):
    return RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/{domain}.pem", trust=f"{folder}/ca.pem", allow=["localhost"]
    )

async def main(reactor, folder, scheme, *descriptions):
    make = manager if scheme == "tls" else lambda reactor, *_: RealTimeServerTcpConnectionManager(reactor)
    bob = SipPeerToPeerEndpoint("sip:bob@localhost", make(reactor, "localhost", folder))
    bob.message_received.subscribe(lambda event: print("got", event.text))
    alice = SipPeerToPeerEndpoint("sip:alice@localhost", make(reactor, "localhost", folder))
    for description in descriptions:
        listener = await bob.connection_manager.start_listening(description)
        uri = f"sip:bob@localhost:{listener.port};transport={scheme}"
        print((await alice.send_message(uri, description)).status, listener.transport)
        await listener.stop()
        listener = await bob.connection_manager.start_listening(description)
        print("again", listener.is_listening)
    await alice.connection_manager.terminate()
    await bob.connection_manager.terminate()

react(main, sys.argv[1:])
"""


class ActivationTests(SynchronousTestCase):
    """Descriptors that are really inherited, as ``systemd.socket(5)`` passes them."""

    def run_with_sockets(self, *arguments: str, count: int = 2, names: str = "sip:sips") -> str:
        """What the script prints, started with listening sockets from descriptor 3 on."""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        for each in sockets:
            self.addCleanup(each.close)
        copies = [str(each.fileno()) for each in sockets]
        # The shell becomes the process that LISTEN_PID has to name. What is moved passes by numbers that are in use.
        moved = " ".join(f"{50 + i}<&{copy}" for i, copy in enumerate(copies))
        placed = " ".join(f"{3 + i}<&{50 + i}" for i in range(count))
        line = (
            f"exec {moved}; exec {placed}; export LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names};"
            ' exec "$0" "$@"'
        )
        command = ["bash", "-c", line, sys.executable, "-c", SCRIPT, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
            pass_fds=[each.fileno() for each in sockets],
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_tcp_and_tls(self) -> None:
        """A party listens on inherited sockets, named or numbered, in clear text and with TLS, and again after it has
        stopped (row:C13)."""
        out = self.run_with_sockets("", "tcp", "systemd:domain=INET:index=0", "systemd:name=sips", "tcp:systemd=0")
        self.assertEqual(out.count("200 TCP\nagain True\n"), 3, out)
        folder = self.mktemp()
        authority = CertificateAuthority.create()
        authority.write(folder)
        authority.issue("localhost").write(folder)
        out = self.run_with_sockets(folder, "tls", "tls:systemd=sips", "tls:systemd=0")
        self.assertEqual(out.count("200 TLS\nagain True\n"), 2, out)

    def test_none(self) -> None:
        """Where no socket was passed the description is wrong, and says so."""
        host = Network().host("10.0.0.1")
        for name in ("0", "sip", "a:b"):
            self.assertIn("was passed to this process", str(self.assertRaises(ValueError, InheritedSocket, host, name)))
