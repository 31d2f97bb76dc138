"""Two parties, of which one signs and the other looks: what goes on, what waits, what is refused."""

from __future__ import annotations

import gc
from typing import Any, cast

from sip_p2p import IncomingRequest, PassportStatus, RequestFailed, SignalingSession
from sip_p2p.endpoint.identity.verdict import PassportVerdict
from tests.endpoint.identity.support import START, WebCase, ok, request, signer, verifier
from tests.endpoint.support import RawDatagrams

TARGET = "sip:bob@b.example"


class AdmissionCase(WebCase):
    """Alice signs; Bob requires it."""

    policy = "require"

    def setUp(self) -> None:
        """Both are there, and time passes for both."""
        super().setUp()
        self.signer = signer(clock=self.time)
        self.verifier = verifier(policy=self.policy, clock=self.time)
        self.alice = self.network.party("sip:alice@a.example", passport_signer=self.signer)
        self.plain = self.network.party("sip:carol@c.example")
        self.bob = self.network.party(TARGET, passport_verifier=self.verifier)
        self.heard: list[IncomingRequest] = []
        self.sessions: list[SignalingSession] = []
        self.bob.message_received.subscribe(self.heard.append)
        self.bob.session_received.subscribe(self.ring)

    def time(self) -> float:
        """Seconds since 1970."""
        return START + self.network.seconds()

    def ring(self, session: SignalingSession) -> None:
        """It rings."""
        self.sessions.append(session)
        session.accept("v=0\r\n")

    def status(self, deferred: Any) -> int:
        """The final status."""
        try:
            self.network.run_until(deferred)
        except RequestFailed as failure:
            return failure.status
        return 200


class RequireTests(AdmissionCase):
    """Whoever proves nothing is refused."""

    def test_signed(self) -> None:
        """A signed message and a signed call reach Bob with the verdict that says who they are from (RFC 8224 section
        6.2)."""
        self.assertEqual(self.status(self.alice.send_message(TARGET, "hello")), 200)
        session: Any = self.network.run_until(self.alice.invite(TARGET, "v=0\r\n"))
        for found in (self.heard[0].passport, self.sessions[0].passport):
            assert isinstance(found, PassportVerdict)
            self.assertTrue(found.is_valid, found)
            assert found.passport is not None
            self.assertEqual(str(found.passport.orig), "sip:alice@a.example")
        self.assertIsNone(session.passport)
        self.assertEqual(len(self.web.asked), 1)
        # It is the connection that says who the peer is, and not what was signed.
        self.assertEqual(self.heard[0].peer.identity, "a.example")
        self.network.run_until(session.terminate())

    def test_in_the_session(self) -> None:
        """What is said within a session needs no signature of its own, which is ours to decide (RFC 8224 section
        6.2.1)."""
        session: Any = self.network.run_until(self.alice.invite(TARGET, "v=0\r\n"))
        self.network.advance(100)
        self.sessions[0].message_received.subscribe(self.heard.append)
        self.network.run_until(session.send_message("hello"))
        self.network.run_until(session.renegotiate("v=0\r\n"))
        self.network.run_until(session.terminate())
        self.assertEqual([each.passport for each in self.heard], [None])

    def test_refused(self) -> None:
        """Without a signature 428, with a stale one 403, without its certificate 436, with a stranger's 437, with a
        wrong one 438 (RFC 8224 section 6.2.2)."""
        self.assertEqual(self.status(self.plain.send_message(TARGET, "x")), 428)
        self.assertEqual(self.status(self.plain.invite(TARGET, "v=0\r\n")), 428)
        self.assertEqual(self.status(self.plain.request("OPTIONS", TARGET)), 200)
        self.alice.passport_signer = signer(clock=lambda: self.time() - 100)
        self.assertEqual(self.status(self.alice.send_message(TARGET, "x")), 403)
        self.alice.passport_signer = self.signer
        self.web.answer = b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"
        self.assertEqual(self.status(self.alice.send_message(TARGET, "x")), 436)
        self.network.advance(60)
        self.web.answer = ok(self.network.authority.issue("a.example").certificate_pem)
        self.assertEqual(self.status(self.alice.send_message(TARGET, "x")), 437)
        self.assertEqual((self.heard, self.sessions), ([], []))

    def test_another_ones_signature(self) -> None:
        """A peer that passes on a signature of somebody else's is refused for its From already (fault:E7)."""
        one: list[str] = []
        self.network.run_until(self.alice.send_message(TARGET, "x"))
        one.append(self.heard[0].request.headers["Identity"])
        self.assertEqual(self.status(self.plain.send_message(TARGET, "x", headers=[("Identity", one[0])])), 438)

    def test_tried_again(self) -> None:
        """A proxy that signs sends what was refused once more, by another branch and with the same CSeq: that is no
        second path (RFC 8224 section 6.2.3)."""
        self.network.run_until(self.bob.connection_manager.listen_all(["udp:port=5060"]))
        raw = RawDatagrams()
        host = self.network.host(names=["proxy.example"])
        port = host.listenUDP(5060, raw)
        self.addCleanup(port.stopListening)
        [address] = self.network.addresses_of("b.example")
        tries = (("one", False, 428), ("two", False, 428), ("three", True, 200), ("four", True, 482))
        for method, most in (("INVITE", 2), ("MESSAGE", 4)):
            for branch, signs, status in tries[:most]:
                one = request(method, call_id=method)
                one.headers.add("Max-Forwards", "70")
                one.headers.add("Contact", "<sip:alice@proxy.example>")
                one.headers.add("Via", f"SIP/2.0/UDP proxy.example;branch=z9hG4bK{method}{branch}")
                if signs:
                    self.signer.sign(one)
                cast("Any", raw.transport).write(one.serialise(), (address, 5060))
                self.network.advance(2)
                answers = [each.split()[1] for each in raw.received if f"z9hG4bK{method}{branch}".encode() in each]
                self.assertEqual(set(answers), {str(status).encode()}, (method, branch))

    def test_waits(self) -> None:
        """While the certificate is fetched a request waits as one that an application has, and the peer that goes, and
        the call that is cancelled, are not held up (fault:K2)."""
        self.web.answer = b""
        message = self.alice.send_message(TARGET, "x")
        call = self.alice.create_session(TARGET)
        calling = call.establish("v=0\r\n")
        self.network.advance(1)
        inventory = self.bob.connection_manager.inventory()
        self.assertEqual((inventory["unanswered"], inventory["sessions"]), (2, 0))
        self.network.run_until(call.terminate())
        self.failureResultOf(calling)
        self.assertEqual(self.bob.connection_manager.inventory()["unanswered"], 1)
        self.assertEqual(self.status(message), 436)
        self.network.advance(40)
        self.assertEqual((self.heard, self.sessions), ([], []))
        self.assertEqual(self.bob.connection_manager.inventory()["unanswered"], 0)

    def test_the_party_ends(self) -> None:
        """A party that ends while it looks says so, and nothing is left of it."""
        self.web.answer = b""
        message = self.alice.send_message(TARGET, "x")
        self.network.advance(0.5)
        ending = self.bob.terminate()
        self.assertEqual(self.status(message), 480)
        self.network.run_until(ending)
        self.network.advance(10)
        self.assertEqual(self.heard, [])

    def test_the_flow_ends(self) -> None:
        """A peer that has gone meanwhile is forgotten with its request (fault:C4)."""
        self.web.answer = b""
        message = self.alice.send_message(TARGET, "x", retry_after="never")
        message.addErrback(lambda failure: None)
        self.network.advance(0.5)
        self.network.run_until(self.alice.connection_manager.terminate())
        self.network.advance(10)
        self.assertEqual(self.bob.connection_manager.inventory()["unanswered"], 0)
        self.assertEqual(self.heard, [])

    def test_by_udp(self) -> None:
        """What is signed goes over what it is small enough for with its signature (RFC 3261 section 18.1.1)."""
        other = self.network.party(
            "sip:dave@d.example", listen=["udp:5060", "tcp:5060"], message_received=self.heard.append
        )
        for length, transport in ((100, "UDP"), (900, "TCP")):
            self.assertEqual(
                self.status(self.alice.send_message("sip:dave@d.example;transport=udp", "x" * length)), 200
            )
            found = self.heard[-1]
            self.assertEqual(found.peer.transport, transport)
            self.assertIn("Identity", found.request.headers)
        self.assertIs(other.passport_verifier, None)

    def test_signed_anew(self) -> None:
        """A request that is sent again after a while is signed again (RFC 8224 section 4.1)."""
        answers = iter((503, 200))
        seen: list[str] = []

        def busy(incoming: IncomingRequest) -> object:
            seen.append(incoming.request.headers["Identity"])
            status = next(answers)
            return incoming.response(status, headers=[("Retry-After", "20")] if status == 503 else [])

        self.bob.handle("PUBLISH", busy)
        self.assertEqual(self.status(self.alice.request("PUBLISH", TARGET)), 200)
        self.assertEqual((len(seen), len(set(seen))), (2, 2))

    def test_nothing_is_kept(self) -> None:
        """A message that was judged leaves nothing for the garbage collector (fault:K9)."""
        self.network.run_until(self.alice.send_message(TARGET, "x"))
        self.heard.clear()
        gc.collect()
        gc.disable()
        try:
            self.network.run_until(self.alice.send_message(TARGET, "x"))
            self.heard.clear()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [each for each in gc.garbage if isinstance(each, IncomingRequest | PassportVerdict)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        self.assertEqual(left, [])


class CheckTests(AdmissionCase):
    """Whoever proves nothing comes through, and the application is told."""

    policy = "check"

    def test_told(self) -> None:
        """A bad signature, and none, are told and refused by nobody."""
        self.network.run_until(self.plain.send_message(TARGET, "x"))
        self.alice.passport_signer = signer(clock=lambda: self.time() - 100)
        self.network.run_until(self.alice.send_message(TARGET, "x"))
        found = [each.passport for each in self.heard]
        self.assertEqual([each and each.status for each in found], [PassportStatus.ABSENT, PassportStatus.INVALID])
        self.assertEqual([each and each.code for each in found], [428, 403])


class OffTests(AdmissionCase):
    """Nobody looks."""

    policy = "off"

    def test_not_looked_at(self) -> None:
        """Nothing is fetched, and nothing is said."""
        self.network.run_until(self.alice.send_message(TARGET, "x"))
        self.assertEqual([each.passport for each in self.heard], [None])
        self.assertEqual(self.web.asked, [])
