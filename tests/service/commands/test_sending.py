"""``sip-p2p send``, ``options`` and ``request``: options, outcomes, and what is shown of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TypeVar

from twisted.internet import defer
from twisted.internet.protocol import Factory, Protocol
from twisted.python import usage

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager
from sip_p2p.service.commands.sending import (
    AskOptions,
    Outcome,
    RequestingOptions,
    RequestOptions,
    SendOptions,
    perform,
)
from sip_p2p.service.words import ExitCode
from tests.service.support import keys
from tests.support import SynchronousTestCase, TestCase, reactor

Kind = TypeVar("Kind", bound=RequestingOptions)

URI = ("--uri", "sip:bob@b.example")


def parsed(kind: type[Kind], *arguments: str) -> Kind:
    """The options of one of the three commands."""
    options = kind()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    """What the commands take."""

    def test_send(self) -> None:
        """The text is the body, in UTF-8; options may stand behind the arguments."""
        options = parsed(SendOptions, "sip:alice@a.example", "Grüße", *URI, "--timeout", "2.5")
        self.assertEqual(
            (options.method, str(options.target), options.body, options.timeout),
            ("MESSAGE", "sip:alice@a.example", "Grüße".encode(), 2.5),
        )

    def test_a_text_that_looks_like_an_option(self) -> None:
        """Behind -- everything is an argument."""
        self.assertEqual(parsed(SendOptions, *URI, "--", "sip:alice@a.example", "--uri").body, b"--uri")

    def test_request(self) -> None:
        """A method, a body from a file, and header fields of one's own."""
        path = Path(self.mktemp())
        path.write_bytes(b"\x00\xff")
        options = parsed(
            RequestOptions, "PUBLISH", "alice@a.example", *URI, "--body", str(path), "--content-type", "application/x",
            "--header", "Event: presence", "-H", "Expires:60",
        )  # fmt: skip
        self.assertEqual(
            (options.method, options.body, options.content_type), ("PUBLISH", b"\x00\xff", "application/x")
        )
        self.assertEqual(options.headers, [("Event", "presence"), ("Expires", "60")])
        self.assertEqual(str(options.target), "sip:alice@a.example")

    def test_mistakes(self) -> None:
        """Each has its one line."""
        large = Path(self.mktemp())
        large.write_bytes(b"x" * 49153)
        to = "sip:alice@a.example"
        cases: tuple[tuple[type[RequestingOptions], tuple[str, ...], str], ...] = (
            (SendOptions, (to,), "send needs a peer and a text"),
            (SendOptions, (to, "x"), "--uri is missing"),
            (SendOptions, ("http://x", "x", *URI), "'http://x' is neither a sip, a sips nor a tel URI"),
            (SendOptions, ("sip:\x1b", "x", *URI), "'sip:\\\\x1b' is not an address"),
            (AskOptions, (), "options needs one peer"),
            (AskOptions, (to, *URI, "--timeout", "0"), "--timeout 0 is not a number of seconds"),
            (AskOptions, (to, *URI, "--timeout", "x"), "--timeout x is not a number of seconds"),
            (RequestOptions, ("INFO",), "request needs a method and a peer"),
            (RequestOptions, ("IN FO", to, *URI), "IN FO is not a method"),
            (RequestOptions, ("INVITE", to, *URI), "INVITE belongs to a session"),
            (RequestOptions, ("INFO", to, *URI, "--header", "x"), "--header x is not 'Name: value': it has no colon"),
            (
                RequestOptions,
                ("INFO", to, *URI, "--header", "Via: x"),
                "--header Via: x cannot be sent: the header",
            ),
            (RequestOptions, ("INFO", to, *URI, "--header", "a: b\r\nc: d"), "--header a: b\\r\\nc: d cannot be sent"),
            (RequestOptions, ("INFO", to, *URI, "--body", str(large)), "--body is given without --content-type"),
            (RequestOptions, ("INFO", to, *URI, "--content-type", "a/b"), "--content-type is given without --body"),
            (
                RequestOptions,
                ("INFO", to, *URI, "--content-type", "text", "--body", str(large)),
                "--content-type text is not a media type such as text/plain",
            ),
            (
                RequestOptions,
                ("INFO", to, *URI, "--content-type", "a/b", "--body", str(large)),
                f"{large} is larger than a body may be (49152 octets)",
            ),
            (
                RequestOptions,
                ("INFO", to, *URI, "--content-type", "a/b", "--body", "/there/is/none"),
                "/there/is/none: No",
            ),
        )
        for kind, arguments, expected in cases:
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, kind().parseOptions, list(arguments))
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())


class PerformTests(TestCase):
    """One request to a party on loopback."""

    async def alice(self, allow: str = "b.example") -> SipPeerToPeerEndpoint:
        """``sip:alice@a.example`` over mutual TLS."""
        folder = keys()
        manager = RealTimeServerTlsConnectionManager(
            reactor, folder / "a.example.pem", trust=folder / "ca.pem", allow=[allow]
        )
        self.addCleanup(manager.terminate)
        await manager.start_listening("tls:port=0:interface=127.0.0.1")
        return SipPeerToPeerEndpoint("sip:alice@a.example", manager)

    def arguments(self, port: int, certificate: str = "b.example.pem", trust: str = "ca.pem") -> tuple[str, ...]:
        """Who we are, and where a.example is."""
        folder = keys()
        return (
            *URI, "--certificate", str(folder / certificate), "--trust", str(folder / trust),
            "--resolve", f"a.example=127.0.0.1:{port}", "--timeout", "5",
        )  # fmt: skip

    async def shown(self, options: RequestingOptions) -> tuple[ExitCode, str, str]:
        """Perform it: exit code, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        outcome: Outcome = await perform(reactor, options)
        outcome.show(out, err)
        return outcome.code, out.getvalue(), err.getvalue()

    async def test_a_message_arrives(self) -> None:
        """The text arrives; what is shown names who has been proved to have answered, and how."""
        alice = await self.alice()
        heard: list[str] = []
        alice.message_received.subscribe(lambda event: heard.append(event.text))
        port = alice.connection_manager.listening_port
        code, out, err = await self.shown(parsed(SendOptions, *self.arguments(port), "sip:alice@a.example", "hi"))
        self.assertEqual((code, err, heard), (ExitCode.OK, "", ["hi"]))
        self.assertTrue(out.startswith(f"200 OK from a.example at 127.0.0.1:{port}, TLSv1."), out)

    async def test_json(self) -> None:
        """``--json`` has the outcome, the proof, and the whole response."""
        alice = await self.alice()
        alice.handle("INFO", lambda event: event.response(299, "Fine\x07", body=b"\xff", content_type="a/b"))
        port = alice.connection_manager.listening_port
        code, out, _ = await self.shown(
            parsed(RequestOptions, *self.arguments(port), "--json", "INFO", "sip:alice@a.example")
        )
        shown = json.loads(out)
        self.assertEqual((code, shown["exit"], shown["outcome"]), (0, 0, "ok"))
        self.assertEqual((shown["status"], shown["reason"], shown["body_base64"]), (299, "Fine\x07", "/w=="))
        self.assertEqual((shown["peer"]["identity"], shown["peer"]["transport"]), ("a.example", "TLS"))
        self.assertIn(["Content-Type", "a/b"], shown["headers"])
        self.assertTrue(out.isascii() and out.count("\n") == 1)

    async def test_a_refusal(self) -> None:
        """row:F2: a final response of 300 and above is shown with what it suggests, and code 2."""
        alice = await self.alice()
        port = alice.connection_manager.listening_port
        options = parsed(RequestOptions, *self.arguments(port), "PUBLISH", "sip:alice@a.example")
        code, out, err = await self.shown(options)
        self.assertEqual(code, ExitCode.REFUSED)
        self.assertTrue(out.startswith("405 Method Not Allowed from a.example"), out)
        self.assertTrue(err.startswith("sip-p2p: The peer answered 405 Method Not Allowed."), err)

    async def test_what_the_peer_says_is_escaped(self) -> None:
        """fault:B4: neither reason, header nor body of a response drives the terminal."""
        alice = await self.alice()
        alice.handle(
            "INFO",
            lambda event: event.response(
                200,
                "\x1b[2J",
                headers=[("Subject", "\x1b]0;pwned\x07")],
                body="line\x1b[1m\nnext\u202e",
                content_type="text/x",
            ),
        )
        port = alice.connection_manager.listening_port
        _, out, _ = await self.shown(parsed(RequestOptions, *self.arguments(port), "INFO", "sip:alice@a.example"))
        self.assertTrue(all(line.isprintable() for line in out.splitlines()), out)
        self.assertIn("  Subject: \\x1b]0;pwned\\x07\n", out)
        self.assertIn("\n  line\\x1b[1m\n  next\\u202e\n", out)

    async def test_tls_failures(self) -> None:
        """row:D14 row:D15: each side's refusal has its reason, its words, and code 5."""
        alice = await self.alice()
        port = alice.connection_manager.listening_port
        closed_to_us = (await self.alice(allow="c.example")).connection_manager.listening_port
        to = "sip:alice@a.example"
        cases = (
            (self.arguments(port, trust="other/ca.pem"), to, "UNTRUSTED_REMOTE_CERTIFICATE"),
            (self.arguments(port, certificate="other/b.example.pem"), to, "LOCAL_CERTIFICATE_REJECTED"),
            (self.arguments(closed_to_us), to, "LOCAL_CERTIFICATE_REJECTED"),
            (self.arguments(port), f"sip:alice@127.0.0.1:{port}", "INCORRECT_NAME_IN_REMOTE_CERTIFICATE"),
        )
        for arguments, target, reason in cases:
            code, out, err = await self.shown(parsed(AskOptions, *arguments, "--json", target))
            shown = json.loads(out)
            self.assertEqual((code, shown["outcome"], shown["tls_failure"], err), (5, "tls", reason, ""))
            self.assertTrue(shown["words"] and shown["remedy"])

    async def test_no_connection(self) -> None:
        """row:F4: nobody there is code 4."""
        manager = RealTimeServerTcpConnectionManager(reactor)
        listener = await manager.start_listening("tcp:0:interface=127.0.0.1")
        await manager.terminate()
        code, out, err = await self.shown(
            parsed(AskOptions, *URI, f"sip:alice@127.0.0.1:{listener.port};transport=tcp")
        )
        self.assertEqual((code, out), (ExitCode.CONNECTION, ""))
        self.assertTrue(err.startswith("sip-p2p: No connection to the peer: could not connect to 127.0.0.1"), err)

    async def test_a_proxy_that_is_not_there(self) -> None:
        """A connection that could not be had with --proxy was one to the proxy, and that is what is said."""
        options = parsed(AskOptions, *self.arguments(1), "--proxy", "127.0.0.1:1", "sip:alice@a.example")
        code, _, err = await self.shown(options)
        self.assertEqual(code, ExitCode.CONNECTION)
        self.assertTrue(err.startswith("sip-p2p: No connection to the proxy: could not connect to 127.0.0.1:1"), err)
        self.assertIn("See that the proxy runs", err)

    async def test_no_answer(self) -> None:
        """row:F3: a peer that says nothing is code 3, after the time that was given."""
        silent = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        target = f"sip:alice@127.0.0.1:{silent.getHost().port};transport=tcp"
        code, _, err = await self.shown(parsed(AskOptions, *URI, "--timeout", "0.1", target))
        self.assertEqual(code, ExitCode.TIMEOUT)
        self.assertTrue(err.startswith("sip-p2p: No final response came in time."), err)

    async def test_clear_text(self) -> None:
        """Clear text works where the URI asks for it, and says that nobody was verified."""
        manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        SipPeerToPeerEndpoint("sip:alice@a.example", manager)
        for transport in ("tcp", "udp"):
            listener = await manager.start_listening(f"{transport}:0:interface=127.0.0.1")
            target = f"sip:alice@127.0.0.1:{listener.port};transport={transport}"
            code, out, _ = await self.shown(parsed(AskOptions, *URI, target))
            self.assertEqual(code, ExitCode.OK)
            self.assertIn(f" over {transport.upper()}, unverified\n", out)

    async def test_tls_needs_a_certificate(self) -> None:
        """row:A3: without a certificate, and without clear text being asked for, nothing is sent."""
        for arguments, expected in (
            ((*URI,), "--certificate is missing"),
            ((*URI, "--certificate", str(keys() / "b.example.pem")), "--trust is missing"),
            (self.arguments(1, certificate="none.pem"), f"the certificate {keys() / 'none.pem'} cannot be read"),
            (self.arguments(1, trust="none.pem"), f"the trusted certificates {keys() / 'none.pem'} cannot be read"),
        ):
            options = parsed(AskOptions, *arguments, "sip:alice@a.example")
            with self.assertRaises(usage.UsageError) as caught:
                await perform(reactor, options)
            self.assertTrue(str(caught.exception).startswith(expected), str(caught.exception))

    async def test_a_proxy_in_between(self) -> None:
        """row:A6 row:A7: with --proxy the request goes there, and the proxy proves the name that --proxy-name says."""
        alice = await self.alice()
        port = alice.connection_manager.listening_port
        folder = keys()
        arguments = (
            *URI, "--certificate", str(folder / "b.example.pem"), "--trust", str(folder / "ca.pem"),
            "--proxy", f"tls:127.0.0.1:{port}", "--proxy-name", "a.example",
        )  # fmt: skip
        code, out, err = await self.shown(parsed(AskOptions, *arguments, "sip:carol@c.example"))
        self.assertEqual((code, err), (ExitCode.OK, ""))
        self.assertIn(f"from a.example at 127.0.0.1:{port}", out)

    def test_giving_up(self) -> None:
        """Nothing is left when the work is cancelled before its end."""
        silent = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        target = f"sip:alice@127.0.0.1:{silent.getHost().port};transport=tcp"
        work = defer.Deferred.fromCoroutine(perform(reactor, parsed(AskOptions, *URI, target)))
        work.cancel()
        return self.assertFailure(work, defer.CancelledError)  # type: ignore[return-value]
