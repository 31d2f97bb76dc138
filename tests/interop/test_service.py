"""``twistd -n sip-p2p --listen tls:port=0:...`` answers Kamailio, SIPp and node-sip; the command asks them."""

from __future__ import annotations

from typing import Any

from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.node_sip import NodeSip
from tests.interop.peers.ours import Command, Service
from tests.interop.peers.sipp import Sipp
from tests.interop.support import TEXT, InteropTestCase

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class ServiceTests(InteropTestCase):
    """One service for each peer, on ports that the system chose."""

    needs = (Kamailio, NodeSip, Sipp)

    def identity(self) -> list[str]:
        """Who we are and whom we trust."""
        return [
            "--uri=sip:alice@a.example",
            f"--certificate={self.certificates.right('a.example').certificate}",
            f"--trust={self.certificates.trust}",
        ]

    async def service(self, *listen: str) -> Service:
        """The service, listening as *listen* says."""
        service = self.peer(Service)
        await service.start(
            *self.identity(), "--allow=localhost", *(f"--listen={description}" for description in listen)
        )
        return service

    async def assert_answers_over_tls(self, peer: Any) -> None:
        """The service answers *peer* over mutual TLS, and logs whom it proved to be."""
        certificate = self.certificates.right("a.example").certificate
        service = await self.service(f"tls:{ON_LOOPBACK}:certKey={certificate}:mutual=yes")
        uri = f"sip:alice@127.0.0.1:{service.port};transport=tls"
        self.assertEqual(await peer.request("OPTIONS", uri), 200)
        self.assertEqual(await peer.request("MESSAGE", uri, TEXT), 200)
        message = await service.event("message")
        self.assertEqual((message["text"], message["peer"], message["transport"]), (TEXT, "localhost", "TLS"))

    async def test_answers_kamailio(self) -> None:
        """Kamailio's OPTIONS and MESSAGE over mutual TLS (row:M14, row:C2, row:C12)."""
        kamailio = self.peer(Kamailio)
        leaf = self.certificates.right("localhost")
        await kamailio.start(leaf, self.certificates.trust, client_certificate=leaf)
        await self.assert_answers_over_tls(kamailio)

    async def test_answers_node_sip(self) -> None:
        """node-sip's OPTIONS and MESSAGE over mutual TLS (row:M14, row:C2, row:C12)."""
        node = self.peer(NodeSip)
        await node.start(self.certificates.right("localhost"), self.certificates.trust)
        await self.assert_answers_over_tls(node)

    async def test_answers_sipp(self) -> None:
        """SIPp's OPTIONS and MESSAGE over TCP (row:M14)."""
        service = await self.service(f"tcp:{ON_LOOPBACK}")
        uri = f"sip:alice@127.0.0.1:{service.port};transport=tcp"
        for method, body in (("OPTIONS", ""), ("MESSAGE", TEXT)):
            await self.peer(Sipp).request(method, uri, ("127.0.0.1", service.port), "tcp", body)
        self.assertEqual((await service.event("message"))["text"].strip(), TEXT)

    async def test_command_asks(self) -> None:
        """``sip-p2p options`` and ``send`` end with 0 when Kamailio answers 200 over mutual TLS (row:F1, row:D4)."""
        kamailio = self.peer(Kamailio)
        await kamailio.start(self.certificates.right("localhost"), self.certificates.trust)
        target = kamailio.uri("tls")
        command = await self.peer(Command).ends("options", *self.identity(), target)
        self.assertEqual(command.exit_code, 0, command.report())
        command = await self.peer(Command).ends("send", *self.identity(), target, TEXT)
        self.assertEqual(command.exit_code, 0, command.report())
        self.assertIn("Kamailio says yes", command.output)
        self.assertEqual((await kamailio.saw("MESSAGE")).body.decode(), TEXT)

    async def test_command_explains(self) -> None:
        """``sip-p2p options`` says in plain words that the peer's certificate has expired (row:D16)."""
        kamailio = self.peer(Kamailio)
        await kamailio.start(self.certificates.expired("localhost"), self.certificates.trust)
        command = await self.peer(Command).ends("options", *self.identity(), kamailio.uri("tls"))
        self.assertNotIn(command.exit_code, (0, None))
        self.assertIn("expired", command.text)
        self.assertNotIn("Traceback", command.text)
