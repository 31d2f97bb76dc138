"""Kamailio asks and answers, over every transport that it has, with right and with wrong certificates."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

from sip_p2p import TlsFailureReason
from tests.interop.exchanges import ExchangeTestCase
from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.program import FAR_AHEAD, FakeClock
from tests.interop.support import TEXT

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class ClearTextTests(ExchangeTestCase):
    """Without TLS."""

    needs = (Kamailio,)

    async def start(self) -> Kamailio:
        """Kamailio, whose certificates do not matter here."""
        kamailio = self.peer(Kamailio)
        await kamailio.start(self.certificates.right("localhost"), self.certificates.trust)
        return kamailio

    async def test_we_ask_over_udp(self) -> None:
        """Kamailio answers our OPTIONS and MESSAGE over UDP; no listener is needed (row:F1, row:B4, row:E26)."""
        await self.we_ask(await self.clear_text_party(), await self.start(), "udp")

    async def test_it_asks_over_udp(self) -> None:
        """We answer Kamailio's OPTIONS and MESSAGE over UDP (row:B6, row:C14, row:F12)."""
        await self.it_asks(await self.clear_text_party(f"udp:{ON_LOOPBACK}"), await self.start(), "udp")

    async def test_we_ask_over_tcp(self) -> None:
        """Kamailio answers our OPTIONS and MESSAGE over TCP (row:F1, row:A4, row:E26)."""
        await self.we_ask(await self.clear_text_party(), await self.start(), "tcp")

    async def test_it_asks_over_tcp(self) -> None:
        """We answer Kamailio's OPTIONS and MESSAGE over TCP (row:B6, row:E15)."""
        await self.it_asks(await self.clear_text_party(f"tcp:{ON_LOOPBACK}"), await self.start(), "tcp")

    async def test_large_message_over_udp_goes_over_tcp(self) -> None:
        """A MESSAGE too large for a datagram goes over TCP to the same port (RFC 3261 section 18.1.1; row:F13)."""
        party, kamailio = await self.clear_text_party(), await self.start()
        text = "x" * 1500
        answer = await party.endpoint.send_message(kamailio.uri("udp"), text)
        self.assertEqual(answer.status, 200)
        seen = await kamailio.saw("MESSAGE")
        self.assertEqual((seen.transport, seen.body.decode()), ("tcp", text))

    async def test_ipv6(self) -> None:
        """OPTIONS and MESSAGE both ways over IPv6, datagrams and a stream (row:A4, row:C3)."""
        for transport in ("udp", "tcp"):
            kamailio = self.peer(Kamailio, "::1")
            await kamailio.start(self.certificates.right("localhost"), self.certificates.trust)
            party = await self.clear_text_party(rf"{transport}:port=0:interface=\:\:1")
            await self.we_ask(party, kamailio, transport)
            await self.it_asks(party, kamailio, transport)

    async def test_nobody_there(self) -> None:
        """A port where nobody listens is a connection failure and no TLS failure (row:F4)."""
        kamailio = await self.start()
        uri = kamailio.uri("tcp")
        await kamailio.stop()
        await self.unreachable(await self.clear_text_party(), uri)


class MutualTlsTests(ExchangeTestCase):
    """With certificates asked for by both sides."""

    needs = (Kamailio, FakeClock)

    async def start(self, leaf: Any, *, client: Any = None, mutual: bool = True, clock: str = "") -> Kamailio:
        """Kamailio with *leaf* as its certificate, and *client* as what it shows when it dials."""
        kamailio = self.peer(Kamailio)
        await kamailio.start(
            leaf, self.certificates.trust, mutual=mutual, client_certificate=client, patience=3.0, clock=clock
        )
        return kamailio

    async def right(self) -> Kamailio:
        """Kamailio as it should be."""
        leaf = self.certificates.right("localhost")
        return await self.start(leaf, client=leaf)

    async def test_we_ask(self) -> None:
        """Kamailio takes our certificate for what it is and answers OPTIONS and MESSAGE (row:D4, row:F1)."""
        kamailio = await self.right()
        party = await self.tls_party()
        await self.we_ask(party, kamailio, "tls")
        await party.endpoint.send_message(kamailio.uri("tls"), "who am I?")
        seen = await kamailio.saw("MESSAGE")
        self.assertEqual((seen.common_name, seen.verified), (self.our_domain, True))

    async def test_it_asks(self) -> None:
        """We answer Kamailio, and the application is told the identity that it proved (row:D4, row:D12)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.it_asks(party, await self.right(), "tls", "localhost")

    async def test_ipv6(self) -> None:
        """OPTIONS and MESSAGE both ways over IPv6, where the certificate proves the address (row:D4, row:D12)."""
        leaf = self.certificates.right("localhost")
        kamailio = self.peer(Kamailio, "::1")
        await kamailio.start(leaf, self.certificates.trust, client_certificate=leaf)
        party = await self.tls_party(r"tls:port=0:interface=\:\:1")
        await self.we_ask(party, kamailio, "tls")
        await self.it_asks(party, kamailio, "tls", "localhost")

    async def test_many_at_once(self) -> None:
        """A hundred texts at once over one connection are each answered, and arrive once and in order (row:F1)."""
        kamailio = await self.right()
        party = await self.tls_party()
        texts = [f"{TEXT} {number}" for number in range(100)]
        await party.endpoint.request("OPTIONS", kamailio.uri("tls"))
        port = (await kamailio.saw("OPTIONS")).port
        answers = await gatherResults([party.endpoint.send_message(kamailio.uri("tls"), text) for text in texts])
        self.assertEqual({answer.status for answer in answers}, {200})
        seen = [await kamailio.saw("MESSAGE") for _ in texts]
        self.assertEqual([request.body.decode() for request in seen], texts)
        self.assertEqual({request.port for request in seen}, {port})
        self.assertFalse(kamailio.saw_more("MESSAGE"))

    async def test_it_starts_again(self) -> None:
        """A peer that went away and came back gets the next text over a new connection (row:E13)."""
        kamailio = await self.right()
        party = await self.tls_party()
        await party.endpoint.send_message(kamailio.uri("tls"), "before")
        await kamailio.saw("MESSAGE")
        await kamailio.stop()
        await kamailio.start(self.certificates.right("localhost"), self.certificates.trust)
        answer = await party.endpoint.send_message(kamailio.uri("tls"), "after")
        self.assertEqual(answer.status, 200)
        self.assertEqual((await kamailio.saw("MESSAGE")).body, b"after")

    async def test_it_demands_no_certificate(self) -> None:
        """Server-side TLS alone works too, when that is what Kamailio is set to (row:D3)."""
        kamailio = await self.start(self.certificates.right("localhost"), mutual=False)
        await self.we_ask(await self.tls_party(), kamailio, "tls")

    async def test_we_refuse_its_name(self) -> None:
        """A server that proves another name than the one dialled gets no request (row:D14, fault:F12)."""
        kamailio = await self.start(self.certificates.for_domain_only("else.example"))
        reason = TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE
        await self.refused_by_us(await self.tls_party(), kamailio, reason)

    async def test_we_refuse_its_authority(self) -> None:
        """A server whose certificate comes from another authority gets no request (row:D15)."""
        kamailio = await self.start(self.certificates.wrong_authority("localhost"))
        await self.refused_by_us(await self.tls_party(), kamailio, TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE)

    async def test_we_refuse_its_expired_certificate(self) -> None:
        """A server whose certificate has expired gets no request (row:D16)."""
        kamailio = await self.start(self.certificates.expired("localhost"))
        await self.refused_by_us(await self.tls_party(), kamailio, TlsFailureReason.CERTIFICATE_EXPIRED)

    async def test_it_refuses_our_authority(self) -> None:
        """Kamailio's refusal of our authority fails the request with what its alert says (row:D18, fault:F11)."""
        kamailio = await self.start(self.certificates.right("localhost"))
        party = await self.tls_party(certificate=self.certificates.wrong_authority(self.our_domain))
        reason = TlsFailureReason.LOCAL_CERTIFICATE_REJECTED
        await self.refused_by_it(party, kamailio, reason, "unknown_ca")

    async def test_it_finds_our_certificate_expired(self) -> None:
        """A refusal for a certificate that has expired on its clock fails the request as such (row:D18, fault:F11)."""
        kamailio = await self.start(self.certificates.right("localhost"), clock=FAR_AHEAD)
        party = await self.tls_party(certificate=self.certificates.for_one_day(self.our_domain))
        reason = TlsFailureReason.LOCAL_CERTIFICATE_REJECTED
        await self.refused_by_it(party, kamailio, reason, "certificate_expired")

    async def test_it_misses_our_certificate(self) -> None:
        """A refusal because we showed no certificate fails the request as such (row:D18, fault:F11)."""
        party, kamailio = await self.nameless_party(), await self.right()
        reason = TlsFailureReason.LOCAL_CERTIFICATE_REJECTED
        await self.refused_by_it(party, kamailio, reason, "certificate_required")

    async def test_it_does_not_look_at_our_name(self) -> None:
        """Kamailio accepts any name in a client's certificate: what a name may do is for each side to say."""
        kamailio = await self.right()
        party = await self.tls_party(certificate=self.certificates.for_domain_only("else.example"))
        await self.we_ask(party, kamailio, "tls")

    async def test_we_refuse_a_caller_by_name(self) -> None:
        """A caller that proves a name which is not allowed is refused before it can send (row:D6, row:D22)."""
        other = self.certificates.for_domain_only("else.example")
        kamailio = await self.start(self.certificates.right("localhost"), client=other)
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, kamailio, TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED)

    async def test_we_refuse_a_caller_by_authority(self) -> None:
        """A caller from another authority is refused (row:D15, row:D22)."""
        other = self.certificates.wrong_authority("localhost")
        kamailio = await self.start(self.certificates.right("localhost"), client=other)
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, kamailio, TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE)

    async def test_we_refuse_an_expired_caller(self) -> None:
        """A caller whose certificate has expired is refused (row:D16, row:D22)."""
        other = self.certificates.expired("localhost")
        kamailio = await self.start(self.certificates.right("localhost"), client=other)
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, kamailio, TlsFailureReason.CERTIFICATE_EXPIRED)

    async def test_we_refuse_a_caller_without_certificate(self) -> None:
        """A caller without a certificate is refused (row:D4, row:D22)."""
        kamailio = await self.start(self.certificates.right("localhost"))
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        await self.caller_refused(party, kamailio, TlsFailureReason.REMOTE_CERTIFICATE_MISSING)

    async def test_a_caller_refuses_our_authority(self) -> None:
        """Kamailio dials, refuses our authority, and we learn why (row:D18, row:D22)."""
        leaf = self.certificates.right("localhost")
        kamailio = await self.start(leaf, client=leaf)
        party = await self.tls_party(
            f"tls:{ON_LOOPBACK}", certificate=self.certificates.wrong_authority(self.our_domain)
        )
        await self.caller_refuses(party, kamailio)
        failure = await party.failed
        self.assertIs(failure.reason, TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)
        self.assertEqual(failure.alert, "unknown_ca")

    async def test_a_caller_finds_our_certificate_expired(self) -> None:
        """Kamailio dials, finds our certificate expired on its clock, and we learn why (row:D18, row:D22)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=self.certificates.for_one_day(self.our_domain))
        leaf = self.certificates.right("localhost")
        await self.caller_refuses(party, await self.start(leaf, client=leaf, clock=FAR_AHEAD))
        failure = await party.failed
        self.assertEqual((failure.reason.name, failure.alert), ("LOCAL_CERTIFICATE_REJECTED", "certificate_expired"))
