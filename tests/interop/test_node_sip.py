"""node-sip asks and answers, over every transport that it has, with right and with wrong certificates.

It is the strictest peer about TLS: it checks authority and name of whoever it dials, and the authority of who dials it.
Its answers carry no tag in To.
"""

from __future__ import annotations

from typing import Any

from sip_p2p import ConnectionFailure, TlsFailureReason
from tests.interop.exchanges import ExchangeTestCase
from tests.interop.peers.node_sip import NodeSip
from tests.interop.peers.program import FAR_AHEAD, FakeClock
from tests.interop.support import Party

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class ClearTextTests(ExchangeTestCase):
    """Without TLS."""

    needs = (NodeSip,)

    async def start(self) -> NodeSip:
        """node-sip without TLS."""
        node = self.peer(NodeSip)
        await node.start()
        return node

    async def test_we_ask_over_udp(self) -> None:
        """It answers our OPTIONS and MESSAGE over UDP (row:F1, row:E26)."""
        await self.we_ask(await self.clear_text_party(), await self.start(), "udp")

    async def test_our_address_over_udp(self) -> None:
        """From a socket that is bound to no address, Via and Contact name the one that it sends from (row:E28)."""
        party, node = await self.clear_text_party(), await self.start()
        await party.endpoint.request("OPTIONS", node.uri("udp"))
        seen = await node.saw("OPTIONS")
        self.assertEqual(seen.headers["via"][0]["host"], "127.0.0.1")
        self.assertIn("@127.0.0.1:", seen.headers["contact"][0]["uri"])

    async def test_it_asks_over_udp(self) -> None:
        """We answer its OPTIONS and MESSAGE over UDP (row:B6, row:C14, row:F12)."""
        await self.it_asks(await self.clear_text_party(f"udp:{ON_LOOPBACK}"), await self.start(), "udp")

    async def test_we_ask_over_tcp(self) -> None:
        """It answers our OPTIONS and MESSAGE over TCP (row:F1, row:E26)."""
        await self.we_ask(await self.clear_text_party(), await self.start(), "tcp")

    async def test_it_asks_over_tcp(self) -> None:
        """We answer its OPTIONS and MESSAGE over TCP (row:B6, row:E15)."""
        await self.it_asks(await self.clear_text_party(f"tcp:{ON_LOOPBACK}"), await self.start(), "tcp")

    async def test_options_answer(self) -> None:
        """What we are able to do stands in our answer to its OPTIONS (RFC 3261 section 11.2; row:F12)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        node = await self.start()
        answer = await node.send("OPTIONS", party.uri("tcp"))
        self.assertEqual(answer["status"], 200)
        for name in ("allow", "accept", "accept-encoding", "supported"):
            self.assertIn(name, answer["headers"])
        self.assertIn("MESSAGE", answer["headers"]["allow"])

    async def test_large_message_over_udp_goes_over_tcp(self) -> None:
        """A MESSAGE too large for a datagram goes over TCP to the same port (RFC 3261 section 18.1.1; row:F13)."""
        party, node = await self.clear_text_party(), await self.start()
        text = "x" * 1500
        answer = await party.endpoint.send_message(node.uri("udp"), text)
        self.assertEqual(answer.status, 200)
        seen = await node.saw("MESSAGE")
        self.assertEqual((seen.transport, seen.body.decode()), ("tcp", text))


class MutualTlsTests(ExchangeTestCase):
    """With certificates asked for by both sides."""

    needs = (NodeSip, FakeClock)

    async def start(self, leaf: Any, clock: str = "") -> NodeSip:
        """node-sip with *leaf* as its certificate, both when it dials and when it is dialled."""
        node = self.peer(NodeSip)
        await node.start(leaf, self.certificates.trust, clock=clock)
        return node

    async def right(self) -> NodeSip:
        """node-sip as it should be."""
        return await self.start(self.certificates.right("localhost"))

    async def test_we_ask(self) -> None:
        """It sees our names in our certificate and answers OPTIONS and MESSAGE (row:D4, row:F1)."""
        node = await self.right()
        await self.we_ask(await self.tls_party(), node, "tls")
        accepted = await node.event("accepted")
        self.assertIn(f"URI:sip:{self.our_domain}", accepted["names"])
        self.assertEqual(accepted["version"], "TLSv1.3")

    async def test_we_ask_by_name(self) -> None:
        """Dialled by name, it has to prove that name (row:D14, row:E26)."""
        node = await self.right()
        party = await self.tls_party()
        answer = await party.endpoint.send_message(node.uri("tls", host="localhost"), "by name")
        self.assertEqual(answer.status, 200)

    async def test_it_asks(self) -> None:
        """It finds our address in our certificate, and we tell the application whom it proved to be (row:D12)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.it_asks(party, await self.right(), "tls", "localhost")

    async def test_we_refuse_its_name(self) -> None:
        """A server that proves another name than the one dialled gets no request (row:D14, fault:F12)."""
        node = await self.start(self.certificates.for_domain_only("else.example"))
        reason = TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE
        await self.refused_by_us(await self.tls_party(), node, reason)

    async def test_we_refuse_its_authority(self) -> None:
        """A server whose certificate comes from another authority gets no request (row:D15)."""
        node = await self.start(self.certificates.wrong_authority("localhost"))
        await self.refused_by_us(await self.tls_party(), node, TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE)

    async def test_we_refuse_its_expired_certificate(self) -> None:
        """A server whose certificate has expired gets no request (row:D16)."""
        node = await self.start(self.certificates.expired("localhost"))
        await self.refused_by_us(await self.tls_party(), node, TlsFailureReason.CERTIFICATE_EXPIRED)

    async def closed_by_it(self, party: Party, node: NodeSip) -> None:
        """We dial, and it closes the connection for a reason that it keeps to itself."""
        await self.failure_of(party.endpoint.send_message(node.uri("tls"), "hello"), ConnectionFailure)
        await node.event("refused")
        self.assertFalse(node.saw_any)

    async def test_it_refuses_our_authority(self) -> None:
        """It closes without an alert where it does not trust our authority: the request fails at once (row:F4)."""
        party = await self.tls_party(certificate=self.certificates.wrong_authority(self.our_domain))
        await self.closed_by_it(party, await self.right())

    async def test_it_finds_our_certificate_expired(self) -> None:
        """It closes without an alert where our certificate has expired on its clock (row:F4)."""
        party = await self.tls_party(certificate=self.certificates.for_one_day(self.our_domain))
        await self.closed_by_it(party, await self.start(self.certificates.right("localhost"), FAR_AHEAD))

    async def test_it_misses_our_certificate(self) -> None:
        """A refusal because we showed no certificate fails the request as such (row:D18, fault:F11)."""
        party, node = await self.nameless_party(), await self.right()
        reason = TlsFailureReason.LOCAL_CERTIFICATE_REJECTED
        await self.refused_by_it(party, node, reason, "certificate_required")

    async def test_it_does_not_look_at_our_name(self) -> None:
        """It accepts any name in a client's certificate: what a name may do is for each side to say."""
        node = await self.right()
        party = await self.tls_party(certificate=self.certificates.for_domain_only("else.example"))
        await self.we_ask(party, node, "tls")

    async def test_we_refuse_a_caller_by_name(self) -> None:
        """A caller that proves a name which is not allowed is refused before it can send (row:D6, row:D22)."""
        node = await self.start(self.certificates.for_domain_only("else.example"))
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, node, TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED)

    async def test_we_refuse_a_caller_by_authority(self) -> None:
        """A caller from another authority is refused (row:D15, row:D22)."""
        node = await self.start(self.certificates.wrong_authority("localhost"))
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, node, TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE)

    async def test_we_refuse_an_expired_caller(self) -> None:
        """A caller whose certificate has expired is refused, and is told so by the alert (row:D16, row:D22)."""
        node = await self.start(self.certificates.expired("localhost"))
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, node, TlsFailureReason.CERTIFICATE_EXPIRED)
        self.assertIn("CERTIFICATE_EXPIRED", (await node.event("failed"))["code"])

    async def test_we_refuse_a_caller_without_certificate(self) -> None:
        """A caller without a certificate is refused, and is told so by the alert (row:D4, row:D22)."""
        node = await self.start(None)
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, node, TlsFailureReason.REMOTE_CERTIFICATE_MISSING)
        self.assertIn("CERTIFICATE_REQUIRED", (await node.event("failed"))["code"])

    async def test_a_caller_refuses_our_authority(self) -> None:
        """It dials, distrusts our authority and closes without an alert, and nobody hears of it (row:D19, row:D22)."""
        other = self.certificates.wrong_authority(self.our_domain)
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=other)
        node = await self.right()
        await self.caller_refuses(party, node)
        self.assertEqual((await node.event("failed"))["code"], "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
        self.assertIs((await party.failed).reason, TlsFailureReason.REMOTE_DISCONNECTED)

    async def test_a_caller_finds_our_certificate_expired(self) -> None:
        """It dials, finds our certificate expired on its clock and closes without an alert (row:D19, row:D22)."""
        day = self.certificates.for_one_day(self.our_domain)
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=day)
        node = await self.start(self.certificates.right("localhost"), clock=FAR_AHEAD)
        await self.caller_refuses(party, node)
        self.assertEqual((await node.event("failed"))["code"], "CERT_HAS_EXPIRED")
        self.assertIs((await party.failed).reason, TlsFailureReason.REMOTE_DISCONNECTED)

    async def test_a_caller_refuses_our_name(self) -> None:
        """It dials an address that our certificate does not prove, and sends nothing (row:D14)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=self.certificates.for_domain_only("a.example"))
        node = await self.right()
        await self.caller_refuses(party, node)
        self.assertEqual((await node.event("failed"))["code"], "ERR_TLS_CERT_ALTNAME_INVALID")
