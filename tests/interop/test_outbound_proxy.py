"""Kamailio as our outbound proxy: it proves its own name, not ours, takes its Route and puts in its Record-Route.

Two users of the proxy's domain, each behind it: ``bob`` is the library in this process, ``alice`` is our service.
"""

from __future__ import annotations

import json

from twisted.internet import reactor

from sip_p2p import RequestFailed, TlsFailure, TlsFailureReason
from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.ours import Command, Service
from tests.interop.peers.program import free_port, until
from tests.interop.support import TEXT, InteropTestCase, Party

PROXY = "kamailio.example"
ON_LOOPBACK = "port=0:interface=127.0.0.1"


class LibraryTests(InteropTestCase):
    """The library behind the proxy."""

    needs = (Kamailio,)

    async def start(self, relays: dict[str, str], transport: str = "tls") -> tuple[Kamailio, str]:
        """Kamailio, which proves :data:`PROXY` and no address, and how it is named as our proxy."""
        kamailio = self.peer(Kamailio)
        leaf = self.certificates.for_domain_only(PROXY)
        await kamailio.start(leaf, self.certificates.trust, client_certificate=leaf, relays=relays, alias=PROXY)
        return kamailio, f"{transport}:127.0.0.1:{kamailio.ports[transport]}"

    async def receiver(self) -> Party:
        """A party to which Kamailio relays, and which accepts requests of others from Kamailio."""
        return await self.tls_party(f"tls:{ON_LOOPBACK}", allow=[PROXY], trusted_proxies=[PROXY])

    async def test_first_hop(self) -> None:
        """Everything goes to the proxy, which finds itself in Route, and on to whom the URI names (row:A6, row:A7);
        what the proxy passes on under the sender's From is let through, and is a claim (fault:F14)."""
        receiver = await self.receiver()
        kamailio, proxy = await self.start({"bob": receiver.uri("tls")})
        sender = await self.tls_party(proxy=proxy, proxy_tls_name=PROXY)
        answer = await sender.endpoint.send_message(f"sip:bob@{PROXY}", TEXT)
        self.assertEqual(answer.status, 200)
        seen = await kamailio.saw("MESSAGE")
        self.assertEqual(seen.uri, f"sip:bob@{PROXY}")
        self.assertEqual(seen.route, f"<sip:127.0.0.1:{kamailio.ports['tls']};transport=tls;lr>")
        (event,) = receiver.received
        self.assertEqual((event.text, event.peer.identity), (TEXT, PROXY))
        self.assertEqual((event.from_.uri.host, event.is_verified_sender), ("a.example", False))
        self.assertNotIn("Route", event.request.headers)
        self.assertIn("lr", event.request.headers["Record-Route"])
        self.assertEqual(len(event.request.vias()), 2)

    async def test_sips(self) -> None:
        """Beside a sips Request-URI the proxy finds itself in Route as a sips URI (RFC 5630 section 5.1.1)."""
        receiver = await self.receiver()
        kamailio, proxy = await self.start({"bob": receiver.uri("tls").replace("sip:", "sips:", 1)})
        sender = await self.tls_party(proxy=proxy, proxy_tls_name=PROXY)
        self.assertEqual((await sender.endpoint.send_message(f"sips:bob@{PROXY}", TEXT)).status, 200)
        seen = await kamailio.saw("MESSAGE")
        self.assertEqual((seen.uri, seen.route), (f"sips:bob@{PROXY}", f"<sips:127.0.0.1:{kamailio.ports['tls']};lr>"))
        (event,) = receiver.received
        self.assertTrue(event.request.uri_text.startswith("sips:"))
        self.assertNotIn("Route", event.request.headers)

    async def test_back_over_our_connection(self) -> None:
        """What is for us comes by the connection that we keep to the proxy, which takes our ``;alias`` for what it is,
        and not to our port; after the proxy has been away it does so again, though we have nothing to say (row:E14,
        row:E16)."""
        port = free_port()
        kamailio = self.peer(Kamailio)
        leaf = self.certificates.for_domain_only(PROXY)

        async def start() -> None:
            await kamailio.start(
                leaf, self.certificates.trust, client_certificate=leaf, alias=PROXY, takes_aliases=True,
                relays={"alice": f"sip:127.0.0.1:{port};transport=tls"},
            )  # fmt: skip

        await start()
        proxy = {"proxy": f"tls:127.0.0.1:{kamailio.ports['tls']}", "proxy_tls_name": PROXY}
        listen = f"tls:port={port}:interface=127.0.0.1"
        alice = await self.tls_party(listen, allow=[PROXY], manager_options={"reconnect": "eager"}, **proxy)
        bob = await self.tls_party(certificate=self.certificates.right("bob.example"), **proxy)
        for text in ("one", "two"):
            self.assertEqual((await alice.endpoint.request("OPTIONS", f"sip:kamailio@{PROXY}")).status, 200)
            self.assertEqual((await bob.endpoint.send_message(f"sip:alice@{PROXY}", text)).status, 200)
            dialled = alice.manager.metrics()["connections_out"]
            await kamailio.stop()
            await start()
            await until(
                reactor, lambda had=dialled: alice.manager.metrics()["connections_out"] > had, 20, "the next connection"
            )  # type: ignore[misc]
        self.assertEqual([event.text for event in alice.received], ["one", "two"])
        self.assertEqual(alice.manager.metrics()["connections_in"], 0)

    async def test_options_through_it(self) -> None:
        """OPTIONS goes the same way, and the answer that comes back is the party's own (row:A6, row:F12)."""
        receiver = await self.receiver()
        kamailio, proxy = await self.start({"bob": receiver.uri("tls")})
        sender = await self.tls_party(proxy=proxy, proxy_tls_name=PROXY)
        answer = await sender.endpoint.request("OPTIONS", f"sip:bob@{PROXY}")
        self.assertEqual(answer.status, 200)
        self.assertIn("MESSAGE", answer.headers["Allow"])
        self.assertEqual((await kamailio.saw("OPTIONS")).common_name, "a.example")

    async def test_over_tcp(self) -> None:
        """A proxy over TCP: two requests share one connection to it (row:A6)."""
        receiver = await self.receiver()
        kamailio, proxy = await self.start({"bob": receiver.uri("tls")}, "tcp")
        sender = await self.clear_text_party(proxy=proxy)
        ports = set()
        for text in ("one", "two"):
            answer = await sender.endpoint.send_message(f"sip:bob@{PROXY}", text)
            self.assertEqual(answer.status, 200)
            seen = await kamailio.saw("MESSAGE")
            self.assertEqual(seen.transport, "tcp")
            ports.add(seen.port)
        self.assertEqual(len(ports), 1)
        self.assertEqual([event.text for event in receiver.received], ["one", "two"])

    async def test_wrong_name(self) -> None:
        """Without being told its name we look for the proxy's address in its certificate, and refuse it (row:A7)."""
        kamailio, proxy = await self.start({})
        sender = await self.tls_party(proxy=proxy)
        failure = await self.failure_of(sender.endpoint.send_message(f"sip:bob@{PROXY}", TEXT), TlsFailure)
        self.assertIs(failure.reason, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)
        self.assertFalse(kamailio.saw_any)

    async def test_its_own_answer(self) -> None:
        """What the proxy itself answers fails the request with its status (row:F2)."""
        _, proxy = await self.start({})
        sender = await self.tls_party(proxy=proxy, proxy_tls_name=PROXY)
        failure = await self.failure_of(sender.endpoint.send_message(f"sip:nobody@{PROXY}", TEXT), RequestFailed)
        self.assertEqual(failure.response.status, 404)


class ServiceTests(InteropTestCase):
    """``twistd sip-p2p`` and the command behind the proxy."""

    needs = (Kamailio,)
    timeout = 90

    def arguments(self, user: str, domain: str, kamailio: Kamailio) -> list[str]:
        """The options that the service and the command have in common."""
        return [
            f"--uri=sip:{user}@{PROXY}",
            f"--certificate={self.certificates.right(domain).certificate}",
            f"--trust={self.certificates.trust}",
            f"--proxy=tls:127.0.0.1:{kamailio.ports['tls']}",
            f"--proxy-name={PROXY}",
        ]

    async def test_service(self) -> None:
        """A text for alice reaches her through the proxy, her echo comes back through it (row:M14, row:A6, row:A7)."""
        bob = await self.tls_party(f"tls:{ON_LOOPBACK}", allow=[PROXY])
        kamailio, alice = self.peer(Kamailio), self.peer(Service)
        leaf = self.certificates.for_domain_only(PROXY)
        port = free_port()
        relays = {"bob": bob.uri("tls"), "alice": f"sip:127.0.0.1:{port};transport=tls"}
        await kamailio.start(leaf, self.certificates.trust, client_certificate=leaf, relays=relays, alias=PROXY)
        certificate = self.certificates.right("alice.example").certificate
        await alice.start(
            *self.arguments("alice", "alice.example", kamailio),
            f"--listen=tls:port={port}:interface=127.0.0.1:certKey={certificate}",
            f"--allow={PROXY}",
            "--application=echo",
        )
        command = await self.peer(Command).ends(
            "send",
            *self.arguments("bob", "bob.example", kamailio),
            "--json",
            f"sip:alice@{PROXY}",
            TEXT,
        )
        self.assertEqual(command.exit_code, 0, command.report())
        self.assertEqual(json.loads(command.output)["status"], 200)
        message = await alice.event("message")
        self.assertEqual((message["text"], message["peer"]), (TEXT, PROXY))
        await alice.event("echoed")
        await until(reactor, lambda: bool(bob.received), 10.0, f"the echo\n{alice.log}")
        (event,) = bob.received
        self.assertEqual((event.text, event.peer.identity), (TEXT, PROXY))
        await alice.stop()
        await alice.event("stopped")
        self.assertIn("Server Shut Down.", alice.log)

    async def test_command_refuses_the_proxy(self) -> None:
        """A proxy of another name than the one given ends the command in plain words and a code of its own (row:A7)."""
        kamailio = self.peer(Kamailio)
        await kamailio.start(self.certificates.for_domain_only(PROXY), self.certificates.trust, alias=PROXY)
        arguments = self.arguments("bob", "bob.example", kamailio)[:-1]
        command = await self.peer(Command).ends(
            "options", *arguments, "--proxy-name=else.example", f"sip:alice@{PROXY}"
        )
        self.assertNotIn(command.exit_code, (0, None), command.report())
        self.assertNotIn("Traceback", command.text)
        self.assertIn("else.example", command.text)
        self.assertFalse(kamailio.saw_any)
