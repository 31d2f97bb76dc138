"""What ``--check`` says of what stands beside the party."""

from __future__ import annotations

import socket
from pathlib import Path

from sip_p2p.service.diagnosis.check_parts import check_parts, reach
from sip_p2p.service.diagnosis.findings import Report
from tests.service.diagnosis.test_check import identity
from tests.service.support import parsed
from tests.support import SynchronousTestCase


class PartTests(SynchronousTestCase):
    """row:M14: each of them is explained."""

    def found(self, *arguments: str, trouble: str = "") -> str:
        """What is found with *arguments*, and servers that cannot be had for the reason *trouble*."""
        self.asked: list[tuple[str, int]] = []

        def reached(host: str, port: int) -> str:
            self.asked.append((host, port))
            return trouble

        report = Report()
        check_parts(parsed(*identity(), *arguments), report, reached)
        return report.text

    def file(self, text: str) -> str:
        """The name of a file with *text*."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        return str(path)

    def test_http(self) -> None:
        """row:M14: who may steer the service is told for each place, and a file of tokens is read."""
        self.assertIn("ok    http: no --http", self.found())
        self.assertIn("note  http: 8080 is for every user and program of this machine", self.found("--http", "8080"))
        socket_path = Path(self.mktemp()).absolute()
        self.assertIn(
            f"ok    http: unix:{socket_path}:mode=600 is for those who may open it (mode 0600)",
            self.found("--http", f"unix:{socket_path}:mode=600"),
        )
        for path, words in (
            ("/nowhere/at/all.sock", "there is no folder /nowhere/at to make"),
            (self.file("mine"), "there is something else of that name"),
        ):
            self.assertIn(f"WRONG http: unix:{path}: {words}", self.found("--http", f"unix:{path}"))
        token = self.file("0123456789abcdef0123456789abcdef\n")
        self.assertIn(
            f"ok    http: 8080 is for those who know a token of {token}",
            self.found("--http", "8080", "--http-token-file", token),
        )
        short = self.file("short\n")
        self.assertIn(f"WRONG http: {short} holds", self.found("--http", "8080", "--http-token-file", short))

    def test_webhook(self) -> None:
        """row:M14: where deliveries go, with how many secrets, and whether anybody takes connections there."""
        secret = self.file("whsec_" + "A" * 44 + "\n")
        arguments = (
            "--webhook", "http://127.0.0.1:8090/sip?key=x", "--webhook-secret-file", secret, "--application", "webhook",
            "--webhook-methods", "INFO",
        )  # fmt: skip
        text = self.found(*arguments)
        self.assertIn(
            "ok    webhook: http://127.0.0.1:8090/sip takes MESSAGE, INVITE, INFO; deliveries are signed with 1 secret",
            text,
        )
        self.assertIn("ok    webhook: 127.0.0.1:8090 takes connections", text)
        self.assertEqual(self.asked, [("127.0.0.1", 8090)])
        text = self.found(*arguments[:4], trouble="Connection refused")
        self.assertIn("is told of events only", text)
        self.assertIn("note  webhook: 127.0.0.1:8090 cannot be had at the moment: Connection refused", text)
        self.assertIn("\nIt would start.", text)
        bad = self.file("nonsense\n")
        self.assertIn("WRONG webhook: ", self.found(*arguments[:2], "--webhook-secret-file", bad))
        named = self.found(*arguments, "--webhook-events", "sesion-state,state")
        self.assertIn("note  webhook: nothing here tells of sesion-state (is session-state meant?)", named)

    def test_exports(self) -> None:
        """row:M14: where copies of what passes go, and who can read them."""
        text = self.found("--hep", "udp:192.0.2.9:9060", "--hep-id", "7")
        self.assertIn("ok    hep: what passes goes to udp:192.0.2.9:9060, under the number 7", text)
        self.assertIn("note  hep: udp:192.0.2.9:9060 is clear text", text)
        self.assertEqual(self.asked, [])
        text = self.found("--hep", "tls:192.0.2.9:9061", trouble="No route to host")
        self.assertIn("note  hep: tls:192.0.2.9:9061 cannot be had at the moment: No route to host", text)
        self.assertNotIn("clear text", text)
        text = self.found("--insecure-tls-key-log", "keys.log", "--record", "9")
        self.assertIn("note  insecure-tls-key-log: whoever has ", text)
        self.assertIn("ok    record: the newest 9 messages of each connection", text)

    def test_workers(self) -> None:
        """row:M14: how many processes there are to be, and on which ports."""
        text = self.found("--listen", "tls:port=5061:interface=127.0.0.1", "--workers", "2", "--worker-port", "6000")
        self.assertIn(
            "ok    workers: 2 processes share --listen, and each listens on a port from 6000 on besides", text
        )

    def test_reaching(self) -> None:
        """A server that takes connections can be had; one that refuses them, or has no address, cannot."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            port = listening.getsockname()[1]
            self.assertEqual(reach("127.0.0.1", port), "")
        self.assertEqual(reach("127.0.0.1", port), "Connection refused")
        self.assertNotEqual(reach("." * 3, port), "")
