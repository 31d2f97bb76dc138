"""What leaves a service for other programs: opened at the start, fed while it runs, opened anew, closed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from sip_p2p import RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.observe.keylog import KeyLog
from sip_p2p.observe.redact import BodyPolicy
from sip_p2p.service.instruments.exports import Exports
from sip_p2p.service.party import make_party
from sip_p2p.testing.network import Network
from tests.observe.test_pcapng import packets
from tests.service.support import keys, parsed
from tests.service.test_service import identity
from tests.support import SynchronousTestCase

CLEAR = ("--uri", "sip:b@b.example", "--listen", "tcp:5060")


class ExportTests(SynchronousTestCase):
    """A service on a network in memory."""

    def exported(self, *arguments: str) -> tuple[Network, Exports, SipPeerToPeerEndpoint]:
        """A network, what leaves one of its parties, and another that sends to it."""
        network = Network()
        self.addCleanup(network.finish)
        bob, alice = network.party("sip:b@b.example"), network.party("sip:a@a.example")
        bob.message_received.subscribe(lambda event: None)
        manager = bob.connection_manager
        exports = Exports(manager.reactor, parsed(*CLEAR, *arguments))
        exports.attach(manager, BodyPolicy(), "b.example")
        exports.listen()
        self.addCleanup(exports.ended)
        return network, exports, alice

    def test_a_capture_of_a_service(self) -> None:
        """What passes is in the file without bodies; SIGHUP opens it anew (row:M10, row:M11, row:M15)."""
        path = self.mktemp()
        network, exports, alice = self.exported("--pcapng", path)
        for number in range(2):
            network.run_until(alice.send_message("sip:b@b.example", "hello"))
            octets = Path(path).read_bytes()
            self.assertEqual(len(packets(octets)), 2)
            self.assertNotIn(b"hello", octets)
            os.replace(path, f"{path}.{number}")
            self.assertEqual(exports.reload(), [])

    def test_other_authorities(self) -> None:
        """SIGHUP reads the authorities of the collector anew; one that holds none leaves the old in use (row:M15)."""
        path = Path(self.mktemp())
        path.write_bytes((keys() / "ca.pem").read_bytes())
        _, exports, _ = self.exported("--hep", "tls:b.example:9061", "--hep-trust", str(path))
        self.assertEqual(exports.reload(), [])
        path.write_text("nothing of the kind")
        with capturedLogs() as heard:
            exports.reload()
        (warning,) = (event for event in heard if event["log_level"] is LogLevel.warn and "error" in event)
        self.assertIn(str(path), warning["error"])

    def test_after_the_end(self) -> None:
        """Nothing is taken any more, and the log says what was lost."""
        path = self.mktemp()
        network, exports, alice = self.exported("--pcapng", path)
        network.run_until(cast("Deferred[object]", exports.ended()))
        network.run_until(alice.send_message("sip:b@b.example", "hello"))
        self.assertEqual(packets(Path(path).read_bytes()), [])

    def test_nothing(self) -> None:
        """Where nothing is asked for, no tap is added."""
        network, exports, _ = self.exported()
        manager = network.party("sip:c@c.example").connection_manager
        exports.attach(manager, BodyPolicy())
        exports.listen()
        self.assertFalse(manager.driver.is_tapped)

    def test_files_that_cannot_be_had(self) -> None:
        """They are an error at the start, which leaves nothing open."""
        missing, capture = os.path.join(self.mktemp(), "missing"), self.mktemp()
        for arguments in (
            ("--pcapng", missing),
            ("--certificate", "x", "--pcapng", capture, "--insecure-tls-key-log", missing),
            ("--hep", "udp:a", "--hep-password-file", missing),
        ):
            with self.subTest(arguments):
                self.assertRaises(OSError, Exports, Network().host(), parsed(*CLEAR, *arguments))

    def test_files_that_hold_something_else(self) -> None:
        """A password that is empty, authorities that are none or cannot be read: the error names the file."""
        empty, missing = self.mktemp(), self.mktemp()
        Path(empty).touch()
        for name, *arguments in (
            (empty, "udp:a", "--hep-password-file", empty),
            (empty, "tls:a", "--hep-trust", empty),
            (missing, "tls:a", "--hep-trust", missing),
        ):
            options = parsed(*CLEAR, "--hep", *arguments)
            error = self.assertRaises(ValueError, Exports, Network().host(), options)
            self.assertIn(os.path.basename(name), str(error))

    def test_keys(self) -> None:
        """The connection manager is made with the key log, and keeps it when its settings change (row:M11)."""
        path = self.mktemp()
        options = parsed(*identity(), "--insecure-tls-key-log", path)
        network = Network()
        exports = Exports(network.host(), options)
        self.addCleanup(exports.close)
        party = make_party(
            network.host(), parsed(*identity()), is_clear_text=False, key_log=cast("KeyLog", exports.key_log)
        )
        self.addCleanup(party.manager.terminate)
        manager = cast("RealTimeServerTlsConnectionManager", party.manager)
        self.assertIs(manager.tls_settings().key_log, exports.key_log)
        manager.tls_settings().replace()
        self.assertIs(manager.tls_settings().key_log, exports.key_log)
