"""``sip-p2p doctor`` with real broken peers on loopback: each illness, and what is said of it."""

from __future__ import annotations

import datetime
import io
import json
import socket
import tempfile
from typing import Any

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.protocol import Factory, Protocol
from twisted.names.dns import DNSDatagramProtocol
from twisted.names.server import DNSServerFactory
from twisted.python import usage

from sip_p2p import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from sip_p2p.service.diagnosis.doctor import DoctorOptions, diagnose, show
from sip_p2p.service.diagnosis.findings import Finding, Verdict, worst
from sip_p2p.service.words import ExitCode
from sip_p2p.sip.dates import format_date
from sip_p2p.testing.zones import Zones
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.service.support import COMMAND, keys, run
from tests.support import SynchronousTestCase, TestCase, reactor

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
HERE = "tls:port=0:interface=127.0.0.1"


class Answering(Protocol):
    """Says the same whatever it is told, or nothing."""

    def __init__(self, words: bytes) -> None:
        self.words = words

    def dataReceived(self, data: bytes) -> None:
        """Say it."""
        if self.words and self.transport is not None:
            self.transport.write(self.words)


class Showing(ssl.ContextFactory):
    """TLS that shows a certificate, whatever it is, and asks for none."""

    def __init__(self, issued: IssuedCertificate) -> None:
        self.issued = issued

    def getContext(self) -> SSL.Context:
        """What listens."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(self.issued.certificate)
        context.use_privatekey(self.issued.key)
        return context


class PatientCase(TestCase):
    """Somebody to be examined, and who examines."""

    timeout = 120

    def who(self, trust: str = "ca.pem", timeout: str = "5") -> tuple[str, ...]:
        """Whom the doctor comes from."""
        folder = keys()
        return ("--certificate", str(folder / "b.example.pem"), "--trust", str(folder / trust), "--timeout", timeout)

    async def examine(self, *arguments: str) -> list[Finding]:
        """What the doctor finds."""
        options = DoctorOptions()
        options.parseOptions(list(arguments))
        return await diagnose(reactor, options)

    async def ill(self, *arguments: str) -> Finding:
        """The one thing that is wrong."""
        findings = await self.examine(*arguments)
        [wrong] = [each for each in findings if each.verdict is Verdict.WRONG]
        self.assertTrue(wrong.what)
        self.assertTrue(wrong.remedy)
        return wrong

    def at(self, port: int, name: str = "a.example") -> tuple[str, ...]:
        """Where *name* is."""
        return ("--resolve", f"{name}=127.0.0.1:{port}")

    async def alice(self, allow: str = "b.example", listen: str = HERE, **options: Any) -> SipPeerToPeerEndpoint:
        """A party at a.example."""
        folder = keys()
        manager: Any
        if listen.startswith(("tls", "wss")):
            manager = RealTimeServerTlsConnectionManager(
                reactor, folder / "a.example.pem", trust=folder / "ca.pem", allow=TrustPolicy([allow]), **options
            )
        else:
            manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        await manager.start_listening(listen)
        return SipPeerToPeerEndpoint("sip:alice@a.example", manager)

    def port_of(self, party: SipPeerToPeerEndpoint) -> int:
        """Where *party* listens."""
        return party.connection_manager.listening_port

    def server(self, words: bytes, issued: IssuedCertificate | None = None) -> int:
        """A server of another kind: its port."""
        factory = Factory.forProtocol(lambda: Answering(words))  # type: ignore[arg-type]
        factory.noisy = False
        if issued is None:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        else:
            port = reactor.listenSSL(0, factory, Showing(issued), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def issue(self, **options: Any) -> IssuedCertificate:
        """A certificate for a.example of the authority that everybody trusts."""
        return CertificateAuthority.load(keys()).issue("a.example", **options)


class HealthyTests(PatientCase):
    """Nothing is wrong."""

    async def test_mutual_tls(self) -> None:
        """row:M14: with a peer that is well each step is told, from our own certificate to the answer, and the code is
        0."""
        port = self.port_of(await self.alice())
        findings = await self.examine("sip:alice@a.example", *self.who(), *self.at(port))
        self.assertEqual({each.verdict for each in findings}, {Verdict.OK}, [each.what for each in findings])
        steps = [each.step for each in findings]
        self.assertEqual(list(dict.fromkeys(steps)), ["own", "dns", "connect", "tls", "sip"])
        self.assertIn(f"127.0.0.1, port {port}", " ".join(each.what for each in findings))
        self.assertIn("proves a.example over TLSv1.3", " ".join(each.what for each in findings))

    async def test_clear_text(self) -> None:
        """row:M14: clear text works where the URI says so, and is noted."""
        port = self.port_of(await self.alice(listen="tcp:0:interface=127.0.0.1"))
        findings = await self.examine(f"sip:alice@127.0.0.1:{port};transport=tcp", "--uri", "sip:me@b.example")
        self.assertEqual([each.cause for each in findings if each.verdict is Verdict.NOTE], ["clear-text"])
        self.assertEqual(findings[-1].cause, "answer")

    async def test_notes(self) -> None:
        """row:M14: a peer that lets in anybody, whose clock is a day ahead, and whose Contact its certificate does not
        carry, is reachable, and each of the three is noted."""
        alice = await self.alice(need_mutual_tls=False)

        def answer(event: Any) -> Any:
            response = event.response(200, headers=[("Date", format_date((NOW + DAY).timestamp()))])
            response.headers.add("Contact", "<sip:alice@10.0.0.1:5061>")
            return response

        alice.handle("OPTIONS", answer)
        findings = await self.examine("sip:alice@a.example", *self.who(), *self.at(self.port_of(alice)))
        noted = [each.cause for each in findings if each.verdict is Verdict.NOTE]
        self.assertEqual(noted, ["no-mutual-tls", "clock", "contact-not-certified"])
        self.assertEqual([each for each in findings if each.verdict is Verdict.WRONG], [])

    async def test_a_websocket_for_everybody(self) -> None:
        """row:M14: that a WebSocket asks nobody for a certificate is told as of any other port."""
        port = self.port_of(await self.alice(listen="wss:port=0:interface=127.0.0.1:mutual=no"))
        findings = await self.examine("sips:alice@a.example;transport=ws", *self.who(), *self.at(port))
        self.assertEqual([each.cause for each in findings if each.verdict is not Verdict.OK], ["no-mutual-tls"])


class NetworkTests(PatientCase):
    """The way to the peer."""

    async def test_nobody_listens(self) -> None:
        """row:M14: a port on which nobody listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        found = await self.ill("sip:alice@a.example", *self.who(), *self.at(port))
        self.assertEqual((found.cause, found.code), ("refused", ExitCode.CONNECTION))

    async def test_no_records(self) -> None:
        """row:M14: a name that DNS does not know, or whose SRV record leads to a name without an address; what DNS said
        is told, and what would help."""
        zones = Zones("_sips._tcp.srv.example. SRV 1 1 5061 gone.example.")
        protocol = DNSDatagramProtocol(DNSServerFactory(clients=[zones]))
        port = reactor.listenUDP(0, protocol, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        for name in ("nowhere.example", "srv.example"):
            server = ("--dns-server", f"127.0.0.1:{port.getHost().port}")
            found = await self.ill(f"sip:alice@{name}", *self.who(), *server)
            self.assertEqual((found.step, found.cause, found.code), ("dns", "no-address", ExitCode.CONNECTION))
            self.assertIn(f"_sips._tcp.{name}", found.remedy)

    async def test_another_service(self) -> None:
        """row:M14: a port on which HTTP is spoken."""
        port = self.server(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        found = await self.ill("sip:alice@a.example", *self.who(), *self.at(port))
        self.assertEqual(found.cause, "another-service")
        self.assertIn("HTTP", found.what)


class TlsTests(PatientCase):
    """The handshake."""

    async def test_another_name(self) -> None:
        """row:M14 row:D14: a certificate for another name than the one in the URI."""
        port = self.port_of(await self.alice())
        found = await self.ill("sip:alice@c.example", *self.who(), *self.at(port, "c.example"))
        self.assertEqual((found.cause, found.code), ("name-mismatch", ExitCode.TLS))
        self.assertIn("a.example", found.what)

    async def test_another_authority(self) -> None:
        """row:M14 row:D15: an authority that we do not trust."""
        port = self.port_of(await self.alice())
        found = await self.ill("sip:alice@a.example", *self.who(trust="other/ca.pem"), *self.at(port))
        self.assertEqual(found.cause, "unknown-authority")

    async def test_dates_and_usage(self) -> None:
        """row:M14 row:D16: a certificate that has expired, is not valid yet, or is meant for something else."""
        from cryptography.x509.oid import ExtendedKeyUsageOID

        for options, cause in (
            ({"not_before": NOW - 9 * DAY, "not_after": NOW - DAY}, "expired"),
            ({"not_before": NOW + DAY, "not_after": NOW + 9 * DAY}, "not-yet-valid"),
            ({"key_purposes": [ExtendedKeyUsageOID.CODE_SIGNING]}, "key-usage"),
        ):
            port = self.server(b"", self.issue(**options))
            found = await self.ill("sip:alice@a.example", *self.who(), *self.at(port))
            self.assertEqual((found.cause, found.code), (cause, ExitCode.TLS), found.what)

    async def test_our_certificate_is_refused(self) -> None:
        """row:M14 fault:F11: a peer that refuses our certificate, after its handshake looked complete."""
        port = self.port_of(await self.alice(allow="c.example"))
        found = await self.ill("sip:alice@a.example", *self.who(), *self.at(port))
        self.assertEqual((found.cause, found.code), ("own-certificate-refused", ExitCode.TLS))
        self.assertIn("allow", found.remedy)

    async def test_clear_text_on_a_tls_port(self) -> None:
        """row:M14: SIP in clear text where TLS should be."""
        port = self.port_of(await self.alice(listen="tcp:0:interface=127.0.0.1"))
        found = await self.ill("sip:alice@a.example", *self.who(), *self.at(port))
        self.assertEqual((found.cause, found.code), ("clear-text-on-tls-port", ExitCode.TLS))

    async def test_tls_on_a_clear_text_port(self) -> None:
        """row:M14: TLS where clear text should be."""
        port = self.port_of(await self.alice())
        found = await self.ill(
            f"sip:alice@127.0.0.1:{port};transport=tcp", "--uri", "sip:me@b.example", "--timeout", "3"
        )
        self.assertEqual(found.cause, "tls-on-clear-text-port")

    async def test_our_own_name(self) -> None:
        """row:M14 fault:F14: a --uri that our certificate does not prove is told first, then the 403."""
        port = self.port_of(await self.alice())
        findings = await self.examine("sip:alice@a.example", *self.who(), *self.at(port), "--uri", "sip:me@c.example")
        wrong = [(each.step, each.cause) for each in findings if each.verdict is Verdict.WRONG]
        self.assertEqual(wrong, [("own", "own-name"), ("sip", "forbidden")])
        self.assertEqual(worst(findings), ExitCode.USAGE)

    async def test_our_own_files(self) -> None:
        """row:M14: a certificate of ours that is not there."""
        found = await self.ill(
            "sip:alice@a.example", "--certificate", "/there/is/none", "--trust", str(keys() / "ca.pem")
        )
        self.assertEqual((found.step, found.cause, found.code), ("own", "own-files", ExitCode.USAGE))


class AnswerTests(PatientCase):
    """What the peer says."""

    async def test_refusals(self) -> None:
        """row:M14: answers that refuse have their cause; 405 only means that the peer is there."""
        alice = await self.alice()
        said = [0]
        alice.handle("OPTIONS", lambda event: event.response(said[0], headers=[("Retry-After", "7")]))
        arguments = ("sip:alice@a.example", *self.who(), *self.at(self.port_of(alice)))
        for status, cause in ((403, "forbidden"), (404, "nobody"), (503, "overloaded")):
            said[0] = status
            found = await self.ill(*arguments)
            self.assertEqual((found.cause, found.code), (cause, ExitCode.REFUSED))
        said[0] = 405
        findings = await self.examine(*arguments)
        self.assertEqual([each.cause for each in findings if each.verdict is not Verdict.OK], ["method"])

    async def test_password(self) -> None:
        """row:M14: which realm wants a password, and what became of that, stands in what is found."""
        alice = await self.alice()
        challenge = ("WWW-Authenticate", 'Digest realm="a.example", nonce="n", algorithm=SHA-256, qop="auth"')
        alice.handle("OPTIONS", lambda event: event.response(401, headers=[challenge]))
        found = await self.ill("sip:alice@a.example", *self.who(), *self.at(self.port_of(alice)))
        self.assertEqual(found.cause, "password")
        self.assertIn("the realm 'a.example': there are no credentials for it", found.what)

    async def test_silence(self) -> None:
        """row:M14: a peer that takes the connection and never answers."""
        port = self.server(b"", self.issue())
        found = await self.ill("sip:alice@a.example", *self.who(timeout="0.5"), *self.at(port))
        self.assertEqual((found.cause, found.code), ("no-answer", ExitCode.TIMEOUT))

    async def test_silence_instead_of_tls(self) -> None:
        """row:M14: a port that takes the connection and says nothing to a handshake is told apart from a peer that does
        not answer, however short the patience."""
        found = await self.ill("sip:alice@a.example", *self.who(timeout="0.5"), *self.at(self.server(b"")))
        self.assertEqual((found.step, found.cause, found.code), ("tls", "handshake-timeout", ExitCode.TLS))


class ShownTests(SynchronousTestCase):
    """What a person, or a program, sees."""

    def options(self, *arguments: str) -> DoctorOptions:
        """Options for a listener."""
        options = DoctorOptions()
        options.parseOptions([*arguments, "tcp:0"])
        return options

    def test_for_a_person(self) -> None:
        """row:M14: a line each, the remedy below it, a last line that counts, and colours only on a terminal."""
        findings = [Finding.ok("own", "x", "Well."), Finding.wrong("tls", "y", "Ill.", "Do this.", ExitCode.TLS)]

        class Terminal(io.StringIO):
            """A terminal."""

            def isatty(self) -> bool:
                """It is one."""
                return True

        plain, coloured = io.StringIO(), Terminal()
        self.assertEqual(show(self.options(), findings, plain), ExitCode.TLS)
        show(self.options(), findings, coloured)
        self.assertEqual(
            plain.getvalue(),
            "ok    own:     Well.\nWRONG tls:     Ill.\n               Do this.\n1 thing is wrong.\n",
        )
        self.assertEqual((plain.getvalue().count("\x1b"), coloured.getvalue().count("\x1b")), (0, 4))

    def test_for_a_program(self) -> None:
        """row:M14: one JSON object with every finding and the exit code."""
        out = io.StringIO()
        code = show(self.options("--json"), [Finding.wrong("tls", "y", "Ill.", "Do.", ExitCode.TLS)], out)
        shown = json.loads(out.getvalue())
        self.assertEqual((shown["exit"], shown["patient"], shown["findings"][0]["cause"]), (int(code), "tcp:0", "y"))

    def test_mistakes(self) -> None:
        """row:M14: what is no patient is one line."""
        for arguments in ((), ("sip:a@b", "sip:c@d"), ("http://x",)):
            error = self.assertRaises(usage.UsageError, DoctorOptions().parseOptions, [*arguments])
            self.assertTrue(str(error).isprintable())

    def test_the_command(self) -> None:
        """row:M14: sip-p2p doctor looks at a listener of ours, and leaves with 0."""
        folder = keys()
        done = run(
            COMMAND, "doctor", f"tls:port=0:interface=127.0.0.1:certKey={folder / 'a.example.pem'}", "--trust",
            str(folder / "ca.pem"), cwd=tempfile.gettempdir(),
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertTrue(done.stdout.endswith("Nothing is wrong.\n"))
