"""What the doctor finds of a listener of ours."""

from __future__ import annotations

import datetime
import errno
import socket
from pathlib import Path

from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.error import CannotListenError

from sip_p2p.errors import ListenFailed
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.diagnosis.findings import Finding, Verdict
from sip_p2p.service.diagnosis.listener_check import of_credential, of_listening, of_usage
from sip_p2p.service.words import ExitCode
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.key_usage import KeyUsagePolicy
from tests.service.diagnosis.test_doctor import PatientCase
from tests.service.support import keys
from tests.service.test_service import port_is_free
from tests.support import SynchronousTestCase

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class ListenerTests(PatientCase):
    """Listening for a moment, and dialling ourselves."""

    def description(self, certificate: str, more: str = "", port: int = 0) -> str:
        """A listener on loopback."""
        return f"tls:port={port}:interface=127.0.0.1:certKey={certificate}{more}"

    @property
    def trust(self) -> tuple[str, ...]:
        """Whom everybody trusts."""
        return ("--trust", str(keys() / "ca.pem"))

    async def test_well(self) -> None:
        """row:M14: files, names, both roles, the port and the answer are looked at, and the port is free afterwards."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        findings = await self.examine(self.description(str(keys() / "a.example.pem"), port=port), *self.trust)
        self.assertEqual({each.verdict for each in findings}, {Verdict.OK}, [each.what for each in findings])
        causes = [each.cause for each in findings]
        self.assertEqual(causes, ["own-files", "own-name", "key-usage", "bound", "contact", "answers"])
        self.assertTrue(port_is_free(port))

    async def test_open_for_others(self) -> None:
        """row:M14: a listener that is for others only answers, and that it refuses ourselves is as it should be; one
        that trusts another authority than our own is noted."""
        mine = str(keys() / "a.example.pem")
        findings = await self.examine(self.description(mine, ":allow=c.example"), *self.trust)
        self.assertEqual((findings[-1].cause, findings[-1].verdict), ("answers", Verdict.OK))
        self.assertIn("c.example only", findings[-1].what)
        findings = await self.examine(self.description(mine), "--trust", str(keys() / "other" / "ca.pem"))
        self.assertEqual({each.verdict for each in findings if each.step == "listen"}, {Verdict.OK, Verdict.NOTE})
        self.assertEqual(findings[-1].cause, "another-authority")

    async def test_files(self) -> None:
        """row:M14 fault:J10: a missing certificate, one without its key, one that has run out, and a key that everybody
        can read."""
        folder = Path(self.mktemp())
        folder.mkdir()
        authority = CertificateAuthority.load(keys())
        issued = authority.issue("a.example")
        (folder / "alone.pem").write_bytes(issued.certificate_pem)
        other = authority.issue("b.example").write(folder)
        old = authority.issue("old.example", not_before=NOW - 9 * DAY, not_after=NOW - DAY).write(folder)
        for path, more, cause in (
            (folder / "none.pem", "", "own-files"),
            (folder / "alone.pem", "", "own-files"),
            (folder / "alone.pem", f":privateKey={other}", "own-files"),
            (old, "", "expired"),
        ):
            found = await self.ill(self.description(str(path), more), *self.trust)
            self.assertEqual((found.step, found.cause, found.code), ("own", cause, ExitCode.USAGE), found.what)
        other.chmod(0o644)
        findings = await self.examine(self.description(str(other)), *self.trust)
        self.assertEqual([each.cause for each in findings if each.verdict is Verdict.NOTE], ["key-permissions"])
        found = await self.ill("tls:port=0", *self.trust)
        self.assertEqual(found.cause, "own-files")

    async def test_names(self) -> None:
        """row:M14 row:E28: a domain that the certificate does not prove, and an advertised host that it does not
        carry."""
        mine = self.description(str(keys() / "a.example.pem"))
        found = await self.ill(mine, *self.trust, "--uri", "sip:alice@c.example")
        self.assertEqual((found.cause, found.code), ("own-name", ExitCode.USAGE))
        findings = await self.examine(mine, *self.trust, "--advertise", "gate.example")
        [noted] = [each for each in findings if each.verdict is Verdict.NOTE]
        self.assertEqual(noted.cause, "contact-not-certified")
        self.assertIn("gate.example", noted.what)

    async def test_the_port(self) -> None:
        """row:M14 fault:J7: a port that is taken, an address that is not ours, and a description that is none."""
        mine = str(keys() / "a.example.pem")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            found = await self.ill(self.description(mine, port=taken.getsockname()[1]), *self.trust)
        self.assertEqual((found.cause, found.code), ("port-taken", ExitCode.USAGE))
        elsewhere = f"tls:port=0:interface=192.0.2.1:certKey={mine}"
        self.assertEqual((await self.ill(elsewhere, *self.trust)).cause, "no-such-address")
        self.assertEqual((await self.ill(self.description(mine, ":frob=1"), *self.trust)).cause, "description")

    async def test_clear_text(self) -> None:
        """row:M14: a listener in clear text is noted, and dialled all the same."""
        findings = await self.examine("tcp:0:interface=127.0.0.1")
        self.assertEqual([each.cause for each in findings], ["clear-text", "bound", "answers"])

    async def test_websocket(self) -> None:
        """row:M14: a WebSocket is dialled at its own path."""
        mine = str(keys() / "a.example.pem")
        for description in (
            f"wss:port=0:interface=127.0.0.1:path=/sip:certKey={mine}",
            "ws:port=0:interface=127.0.0.1:path=/sip",
        ):
            findings = await self.examine(description, *self.trust)
            self.assertEqual(findings[-1].cause, "answers", findings[-1].what)

    async def test_behind_a_proxy(self) -> None:
        """row:M14: a port that is for a load balancer only is bound, and not dialled."""
        mine = str(keys() / "a.example.pem")
        for proxies in ("127.0.0.1", "192.0.2.1"):
            findings = await self.examine(
                f"haproxy:tls:port=0:interface=127.0.0.1:proxies={proxies}:certKey={mine}", *self.trust
            )
            self.assertEqual((findings[-1].cause, findings[-1].verdict), ("proxies", Verdict.NOTE), findings[-1].what)


class JudgementTests(SynchronousTestCase):
    """Values only."""

    def credential(self, **options: object) -> Credential:
        """A certificate of ours."""
        issued = CertificateAuthority.load(keys()).issue("a.example", **options)  # type: ignore[arg-type]
        return Credential.from_pem(issued.pem)

    def test_usage(self) -> None:
        """row:M14 fault:F4: a certificate for one side of TLS only is noted, as strict peers will refuse it; one for
        neither is wrong."""
        [both] = of_usage(self.credential(), KeyUsagePolicy.SIP_EITHER)
        [server] = of_usage(self.credential(key_purposes=[ExtendedKeyUsageOID.SERVER_AUTH]), KeyUsagePolicy.SIP_EITHER)
        [code] = of_usage(self.credential(key_purposes=[ExtendedKeyUsageOID.CODE_SIGNING]), KeyUsagePolicy.SIP_EITHER)
        self.assertEqual([each.verdict for each in (both, server, code)], [Verdict.OK, Verdict.NOTE, Verdict.WRONG])
        self.assertIn("who dials", server.what)

    def test_dates(self) -> None:
        """row:M14: before, in and after its time, and shortly before its end."""
        credential = self.credential(not_before=NOW - DAY, not_after=NOW + 90 * DAY)
        for moment, cause in (
            (NOW, "own-files"), (NOW + 80 * DAY, "expires-soon"), (NOW + 91 * DAY, "expired"),
            (NOW - 2 * DAY, "not-yet-valid"),
        ):  # fmt: skip
            self.assertEqual(of_credential(credential, moment).cause, cause)

    def test_ports(self) -> None:
        """row:M14 fault:J7: each reason why a port cannot be bound has its remedy."""
        cases = ((errno.EADDRINUSE, "port-taken"), (errno.EACCES, "port-privileged"), (errno.EIO, "listen"))
        for number, cause in cases:
            failed = ListenFailed("tls:5061", CannotListenError("", 5061, OSError(number, "x")))
            found: Finding = of_listening(failed)
            self.assertEqual((found.cause, found.verdict), (cause, Verdict.WRONG))
