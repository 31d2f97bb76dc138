"""What a connection goes through on its way to a verified peer: application protocols, names, staples, sessions."""

from __future__ import annotations

import datetime
import gc
from typing import Any

from cryptography.x509 import ocsp
from OpenSSL import SSL
from twisted.internet.task import Clock

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.tls.gate import own_staple
from sip_p2p.transport.tls.protocol import CorkedTlsProtocol, HoldingTlsProtocol
from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy
from sip_p2p.transport.trust.pins import PinnedKeys, pin_of
from sip_p2p.transport.trust.revocation import Revocation, RevocationList
from sip_p2p.transport.trust.stack import TrustStack
from tests.support import SynchronousTestCase
from tests.transport.revoked import DAY, NOW, crl, ocsp_response
from tests.transport.tls_pairs import (
    ANY,
    RawClient,
    TlsPair,
    anchors,
    authority,
    credential,
    other_authority,
    party_credential,
    settings,
)

Reason = TlsFailureReason
VERSIONS = (SSL.TLS1_2_VERSION, 0)


def stapling(mode: str = "hard", name: str = "a.example", **options: Any) -> TlsSettings:
    """The settings of a party that asks for staples."""
    return settings(name, revocation=Revocation(stapling=mode), **options)


def stapled(response: bytes | None = None, **options: Any) -> TlsSettings:
    """The settings of b.example with a staple: a good one if nothing else is given."""
    issued = authority().issue("b.example")
    made = Credential(issued.certificate, issued.key, staple=ocsp_response(issued.certificate))
    if response is not None:
        made.staple = response
    return TlsSettings(made, anchors(), ANY, **options)


class ApplicationProtocolTests(SynchronousTestCase):
    """What is spoken over TLS (RFC 7301)."""

    def test_agreed(self) -> None:
        """Two of us agree on sip/2, or on what both were told. row:D26"""
        for version in VERSIONS:
            for protocol in (b"sip/2", b"http/1.1"):
                pair = TlsPair(
                    settings("a.example", maximum_version=version), settings("b.example"), application_protocol=protocol
                ).run()
                self.assertEqual(pair.client.events, ["made", "verified"])
                self.assertEqual(pair.client_tls.negotiatedProtocol, protocol)
                self.assertEqual(pair.server_tls.negotiatedProtocol, protocol)

    def test_not_offered(self) -> None:
        """A peer that does not negotiate is fine, in either role, and so is one that offers others besides. row:D26"""
        for offered, expected in ((None, None), ([b"h2", b"sip/2"], b"sip/2")):
            raw = self.raw(offered)
            self.assertEqual(raw.server.events, ["made", "verified"])
            self.assertEqual(raw.server_tls.negotiatedProtocol, expected)
        silent = TlsPair(settings("a.example"), settings("b.example"), application_protocol=b"").run()
        self.assertEqual((silent.client.events, silent.client_tls.negotiatedProtocol), (["made", "verified"], None))

    def test_foreign(self) -> None:
        """A peer that offers other protocols only is refused, and told so by the alert of its own. row:D26 row:D21"""
        for version in VERSIONS:
            raw = self.raw([b"h2", b"http/1.1"], version)
            failure = raw.server.failure
            self.assertEqual(failure.reason, Reason.NO_COMMON_APPLICATION_PROTOCOL)
            self.assertIn("h2, http/1.1", failure.detail)
            self.assertIn("no application protocol", str(raw.party.reason))
            self.assertEqual(raw.server.heard, b"")

    def test_both_sides(self) -> None:
        """The refused side knows the reason as well. row:D21"""
        for protocol in (CorkedTlsProtocol, HoldingTlsProtocol):
            pair = TlsPair(
                settings("a.example"), settings("b.example"), protocol=protocol,
                application_protocol=b"sip/2", client_protocol=b"h2",
            ).run()  # fmt: skip
            self.assertEqual(pair.client.failure.reason, Reason.NO_COMMON_APPLICATION_PROTOCOL)
            self.assertEqual(pair.client.failure.alert, "no_application_protocol")
            self.assertEqual(pair.server.failure.reason, Reason.NO_COMMON_APPLICATION_PROTOCOL)

    def test_next_connection(self) -> None:
        """A refusal leaves nothing behind that the next handshake stumbles over."""
        listener = settings("b.example")
        for _ in range(3):
            self.raw([b"h2"], listener=listener)
            self.assertEqual(TlsPair(settings("a.example"), listener).run().client.events, ["made", "verified"])

    def raw(self, offered: list[bytes] | None, version: int = 0, listener: TlsSettings | None = None) -> RawClient:
        """A client that is not ours, with these protocols."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(version)
        own = party_credential("a.example")
        context.use_certificate(own.certificate)
        context.use_privatekey(own.key)
        if offered is not None:
            context.set_alpn_protos(offered)
        return RawClient(listener or settings("b.example"), context=context).run()


class ServerNameTests(SynchronousTestCase):
    """A certificate for each name (RFC 6066 section 3)."""

    def listener(self, **options: Any) -> TlsSettings:
        """b.example, which is c.example and d.example as well."""
        names = {name: party_credential(name) for name in ("c.example", "d.example")}
        return settings("b.example", server_certificates=names, **options)

    def test_by_name(self) -> None:
        """Each caller is shown the certificate for the name that it asks for, and the own one otherwise. row:D26"""
        for version in VERSIONS:
            listener = self.listener(maximum_version=version)
            for name in ("b.example", "c.example", "d.example"):
                pair = TlsPair(settings("a.example"), listener, name).run()
                self.assertEqual(pair.client.transport.verified.matched, name)
                self.assertEqual(pair.server.transport.verified.matched, "a.example")
            wrong = TlsPair(settings("a.example"), listener, "e.example").run()
            self.assertEqual(wrong.client.failure.reason, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    def test_odd_names(self) -> None:
        """An address as the name, as some telephones send it, and what is no name get the own certificate. row:D26"""
        for name in (b"10.0.0.1", b"unknown.example", b"-", b"a" * 200):
            raw = RawClient(self.listener(), shows=party_credential("a.example"), server_name=name).run()
            self.assertEqual(raw.server.events, ["made", "verified"], name)
            self.assertEqual(
                raw.connection.get_peer_certificate().to_cryptography(), party_credential("b.example").certificate
            )

    def test_never_sent(self) -> None:
        """We name no address, and every other name that we dial. row:D26"""
        for name, expected in (("b.example", True), ("10.0.0.1", False), ("::1", False)):
            pair = TlsPair(settings("a.example"), settings("b.example"), name)
            self.assertEqual(name.encode() in bytes(pair.from_client), expected)

    def test_certificate_demanded_for_every_name(self) -> None:
        """Whichever name a caller asks for, it does not get in without a certificate. fault:F8 row:D4"""
        for version in VERSIONS:
            for name in (b"", b"b.example", b"c.example", b"d.example", b"10.0.0.1"):
                raw = RawClient(self.listener(), version=version, server_name=name).run()
                self.assertEqual(raw.server.failure.reason, Reason.REMOTE_CERTIFICATE_MISSING)
                self.assertEqual((raw.server.events, raw.server.heard), (["made", "lost"], b""))

    def test_session_of_a_caller_without_certificate(self) -> None:
        """A session from where no certificate is asked for opens nothing where one is. fault:F8 fault:F9"""
        for version in VERSIONS:
            for name in (b"b.example", b"c.example"):
                lax = self.listener(need_mutual_tls=False)
                first = RawClient(lax, version=version, server_name=name).run()
                first.server.transport.write(b"hello")
                first.run()
                self.assertEqual(first.server.events, ["made", "verified"])
                session = first.connection.get_session()
                second = RawClient(self.listener(), context=first.context, session=session, server_name=name).run()
                self.assertEqual(second.server.failure.reason, Reason.REMOTE_CERTIFICATE_MISSING)

    def test_same_rules_for_every_name(self) -> None:
        """Policy, trust and revocation are those of the listener, whichever name is asked for. fault:F8"""
        stranger = TlsSettings(credential(other_authority().issue("a.example")), anchors(), ANY)
        caller = settings("a.example")
        assert caller.credential is not None
        revoked = Revocation([RevocationList(crl([caller.credential.certificate]))])
        for name in ("b.example", "c.example"):
            for who, options, reason in (
                (caller, {"policy": TrustPolicy(["x.example"])}, Reason.CONNECTION_AUTHORIZATION_FAILED),
                (stranger, {}, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
                (caller, {"revocation": revoked}, Reason.REMOTE_CERTIFICATE_REVOKED),
            ):
                pair = TlsPair(who, self.listener(**options), name).run()
                self.assertEqual(pair.server.failure.reason, reason)

    def test_resumed(self) -> None:
        """A session is resumed under the name it was made for, and under no other."""
        for version in VERSIONS:
            caller, listener = settings("a.example", maximum_version=version), self.listener()
            for count in range(3):
                connected(TlsPair(caller, listener, "c.example"))
                self.assertEqual((listener.handshakes, listener.resumptions), (1, count))
            connected(TlsPair(caller, listener, "d.example"))
            self.assertEqual((listener.handshakes, listener.resumptions), (2, 2))

    def test_replaced(self) -> None:
        """Other certificates by name hold for the handshakes that follow; a name can be taken away. row:D10"""
        listener = self.listener()
        renewed = credential(authority().issue("c.example"))
        listener.replace(server_certificates={"c.example": renewed})
        self.assertIsInstance(listener.server_certificates, ServerNames)
        pair = TlsPair(settings("a.example"), listener, "c.example").run()
        self.assertEqual(pair.client.transport.verified.certificate, renewed.certificate)
        wrong = TlsPair(settings("a.example"), listener, "d.example").run()
        self.assertEqual(wrong.client.failure.reason, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)


class StapleTests(SynchronousTestCase):
    """OCSP responses in the handshake (RFC 6066 section 8)."""

    def outcome(self, client: TlsSettings, server: TlsSettings) -> Any:
        """Why the client refuses, or None."""
        pair = TlsPair(client, server).run()
        if pair.client.events == ["made", "verified"]:
            return None
        self.assertEqual(pair.server.heard, b"")
        return pair.client.failure.reason

    def test_hard(self) -> None:
        """Hard wants a good staple; soft does without; neither accepts a revoked one. fault:F7 row:D17"""
        issued = authority().issue("b.example")
        revoked = ocsp_response(issued.certificate, status=ocsp.OCSPCertStatus.REVOKED)
        shown = Credential(issued.certificate, issued.key, staple=ocsp_response(issued.certificate))
        shown.staple = revoked
        for version in VERSIONS:
            for protocol in (CorkedTlsProtocol, HoldingTlsProtocol):
                for server, hard, soft in (
                    (stapled(), None, None),
                    (settings("b.example"), Reason.REVOCATION_UNKNOWN, None),
                    (stapled(b"nonsense"), Reason.REVOCATION_UNKNOWN, None),
                    (
                        TlsSettings(shown, anchors(), ANY),
                        Reason.REMOTE_CERTIFICATE_REVOKED,
                        Reason.REMOTE_CERTIFICATE_REVOKED,
                    ),
                ):
                    for mode, expected in (("hard", hard), ("soft", soft), ("off", None)):
                        client = stapling(mode, maximum_version=version, protocol=protocol)
                        self.assertIs(self.outcome(client, server), expected, (mode, version))

    def test_both_sides(self) -> None:
        """A server whose staple is refused learns from the alert that its certificate is what was refused. row:D21"""
        for version in VERSIONS:
            pair = TlsPair(stapling(maximum_version=version), settings("b.example")).run()
            self.assertEqual(pair.server.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED)
            self.assertEqual(pair.server.failure.alert, "bad_certificate_status_response")

    def test_names(self) -> None:
        """Each name's certificate comes with its own staple. row:D26"""
        issued = authority().issue("c.example")
        named = Credential(issued.certificate, issued.key, staple=ocsp_response(issued.certificate))
        listener = stapled(server_certificates={"c.example": named})
        for name in ("b.example", "c.example"):
            self.assertEqual(TlsPair(stapling(), listener, name).run().client.events, ["made", "verified"])

    def test_resumed(self) -> None:
        """Nothing is stapled to a resumed handshake: the session rests on its own staple. fault:F9"""
        for version in VERSIONS:
            client, server = stapling(maximum_version=version), stapled()
            for count in range(3):
                connected(TlsPair(client, server))
                self.assertEqual((client.handshakes, client.resumptions), (1, count))

    def test_resumed_past_its_staple(self) -> None:
        """When the staple that a session rests on has run out, a full handshake asks for another one. fault:F9"""
        issued = authority().issue("b.example")
        # Within the minutes that are granted for clocks that differ, but not much longer.
        short = ocsp_response(
            issued.certificate, due=datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
        )
        made = Credential(issued.certificate, issued.key, staple=ocsp_response(issued.certificate))
        made.staple = short
        client, server = stapling(), TlsSettings(made, anchors(), ANY)
        connected(TlsPair(client, server))
        self.assertEqual(client.sessions, 1)

    def test_out_of_date(self) -> None:
        """We staple nothing that is out of date: who does not insist is better off without."""
        issued = authority().issue("b.example")
        made = Credential(issued.certificate, issued.key, staple=ocsp_response(issued.certificate))
        connection: Any = None
        self.assertEqual(own_staple(connection, made), made.staple)
        late = Credential(issued.certificate, issued.key, staple=ocsp_response(issued.certificate, due=NOW - DAY / 2))
        self.assertEqual((own_staple(connection, late), own_staple(connection, None)), (b"", b""))


class ResumptionTests(SynchronousTestCase):
    """Sessions of connections that we dialled."""

    def test_resumed(self) -> None:
        """The second connection to the same place resumes, and the peer is known as in the first. fault:F9"""
        for version in VERSIONS:
            for protocol in (CorkedTlsProtocol, HoldingTlsProtocol):
                client = settings("a.example", maximum_version=version, protocol=protocol)
                server = settings("b.example", protocol=protocol)
                for count in range(4):
                    pair = connected(TlsPair(client, server))
                    self.assertEqual((client.handshakes, client.resumptions), (1, count))
                    self.assertEqual((server.handshakes, server.resumptions), (1, count))
                    for side, name in ((pair.client, "b.example"), (pair.server, "a.example")):
                        self.assertEqual(side.transport.verified.matched, name)
                        self.assertEqual(side.transport.verified.certificate, party_credential(name).certificate)
                        self.assertIs(side.transport.verified.was_resumed, count > 0)

    def test_how_long_it_took(self) -> None:
        """What a handshake has proved says how long it took from the connection on, each side for itself."""
        pair = TlsPair(settings("a.example"), settings("b.example"))
        pair.clock.advance(1.5)
        connected(pair)
        for side in (pair.client, pair.server):
            self.assertEqual(side.transport.verified.handshake_seconds, 1.5)

    def test_however_it_ended(self) -> None:
        """A session outlives its connection, whether that was closed in order, aborted by either side or cut off."""
        for version in VERSIONS:
            for end in (
                lambda pair: pair.client.transport.loseConnection(),
                lambda pair: pair.server.transport.loseConnection(),
                lambda pair: pair.client.transport.abortConnection(),
                lambda pair: pair.server.transport.abortConnection(),
                lambda pair: pair.server_tls.transport.loseConnection(),
            ):
                client, server = settings("a.example", maximum_version=version), settings("b.example")
                first = TlsPair(client, server).run()
                first.server.transport.write(b"hello")
                end(first.run())
                first.run()
                self.assertIsNotNone(first.client.reason)
                del first
                gc.collect()
                connected(TlsPair(client, server))
                self.assertEqual((client.handshakes, client.resumptions), (1, 1))

    def test_place(self) -> None:
        """Another name or another place has sessions of its own; None has none."""
        client, server = settings("a.example"), settings("b.example", server_certificates={})
        connected(TlsPair(client, server, session_key=("10.0.0.1", 5061)))
        connected(TlsPair(client, server, session_key=("10.0.0.2", 5061)))
        self.assertEqual((client.resumptions, client.sessions), (0, 2))
        connected(TlsPair(client, server, session_key=None))
        connected(TlsPair(client, server, session_key=None))
        self.assertEqual((client.resumptions, client.sessions), (0, 2))
        connected(TlsPair(client, server, session_key=("10.0.0.1", 5061)))
        self.assertEqual(client.resumptions, 1)

    def test_our_change(self) -> None:
        """No change of ours is outlived by a session: credential, trust, policy, usage, revocation, names. fault:F9"""
        own, other = credential(authority().issue("a.example")), other_authority().certificate
        more = TrustAnchors([authority().certificate, other])
        for version in VERSIONS:
            for change in (
                {"credential": own},
                {"anchors": more},
                {"policy": TrustPolicy(["b.example"])},
                {"usage": KeyUsage(KeyUsagePolicy.STRICT)},
                {"revocation": Revocation()},
                {"server_certificates": {}},
            ):
                client, server = settings("a.example", maximum_version=version), settings("b.example")
                connected(TlsPair(client, server))
                self.assertEqual(client.sessions, 1)
                client.replace(**change)
                self.assertEqual(client.sessions, 0)
                connected(TlsPair(client, server))
                self.assertEqual((client.handshakes, client.resumptions), (2, 0))
                server.replace(**change | ({"credential": server.credential} if "credential" in change else {}))
                full = server.handshakes
                if "policy" in change:
                    self.assertEqual(
                        TlsPair(client, server).run().server.failure.reason, Reason.CONNECTION_AUTHORIZATION_FAILED
                    )
                    continue
                connected(TlsPair(client, server))
                self.assertEqual((server.handshakes, server.resumptions), (full + 1, 0))

    def test_what_the_change_says(self) -> None:
        """And the handshake that follows is judged by it, on the side that dials and on the side that is dialled.
        fault:F9"""
        theirs = party_credential("b.example").certificate
        ours = party_credential("a.example").certificate
        for version in VERSIONS:
            for change, reason in (
                ({"anchors": TrustAnchors([other_authority().certificate])}, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
                (
                    {"revocation": Revocation([RevocationList(crl([theirs, ours]))])},
                    Reason.REMOTE_CERTIFICATE_REVOKED,
                ),
                ({"revocation": Revocation(mode="hard")}, Reason.REVOCATION_UNKNOWN),
                ({"usage": KeyUsage(required="codeSigning")}, Reason.REMOTE_CERTIFICATE_INVALID_USAGE),
            ):
                for changes_client in (True, False):
                    client, server = settings("a.example", maximum_version=version), settings("b.example")
                    for _ in range(2):
                        connected(TlsPair(client, server))
                    self.assertEqual(client.resumptions, 1)
                    (client if changes_client else server).replace(**change)
                    pair = TlsPair(client, server).run()
                    refusing = pair.client if changes_client else pair.server
                    self.assertEqual(refusing.failure.reason, reason)

    def test_their_change(self) -> None:
        """A server that has changed its certificate is verified anew. fault:F9"""
        for version in VERSIONS:
            client, server = settings("a.example", maximum_version=version), settings("b.example")
            connected(TlsPair(client, server))
            server.replace(credential=credential(authority().issue("c.example")))
            pair = TlsPair(client, server).run()
            self.assertEqual(pair.client.failure.reason, Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    def test_without(self) -> None:
        """Either side can do without, and then every handshake is a full one."""
        for version in VERSIONS:
            for dials, listens in ((False, True), (True, False)):
                client = settings("a.example", maximum_version=version, resumes=dials)
                server = settings("b.example", resumes=listens)
                for _ in range(3):
                    connected(TlsPair(client, server))
                self.assertEqual((client.handshakes, client.resumptions, server.resumptions), (3, 0, 0))

    def test_known_by_key_or_chain(self) -> None:
        """Where some peers are known by their keys and others by their chains, no session is resumed; where all are
        known by their keys, sessions are, until the pins change. fault:F9"""
        pins = {name: pin_of(party_credential(name).certificate) for name in ("a.example", "b.example")}
        for version in VERSIONS:
            for trust, resumed in (([anchors(), PinnedKeys(pins)], 0), ([PinnedKeys(pins)], 2)):
                client, server = (
                    TlsSettings(party_credential(name), TrustStack.of(trust), ANY, maximum_version=version)
                    for name in ("a.example", "b.example")
                )
                for _ in range(3):
                    connected(TlsPair(client, server))
                self.assertEqual((client.resumptions, server.resumptions), (resumed, resumed))
                other = pin_of(party_credential("c.example").certificate)
                for judge, refusing in ((server, "server"), (client, "client")):
                    kept = judge.trust
                    judge.replace(anchors=TrustStack.of([PinnedKeys(dict.fromkeys(pins, other))]))
                    pair = TlsPair(client, server).run()
                    self.assertEqual(getattr(pair, refusing).failure.reason, Reason.REMOTE_KEY_NOT_PINNED)
                    judge.replace(anchors=kept)

    def test_a_day_later(self) -> None:
        """Once a day the keys of tickets change, and every handshake is a full one again, on both sides. fault:F9"""
        for version in VERSIONS:
            client, server = settings("a.example", maximum_version=version), settings("b.example")
            connected(TlsPair(client, server))
            connected(TlsPair(client, server))
            before = server.contexts(0)
            self.assertIs(server.contexts(86_399), before)
            self.assertIsNot(server.contexts(86_400), before)
            self.assertIs(server.contexts(86_401).credential, before.credential)
            # For these the clock begins anew, which is no time to go on with what was.
            connected(TlsPair(client, server))
            self.assertEqual((client.handshakes, client.resumptions), (2, 1))

    def test_lost_while_resuming(self) -> None:
        """A connection that is lost while it resumes costs its session and nothing else."""
        client, server = settings("a.example"), settings("b.example")
        connected(TlsPair(client, server))
        TlsPair(client, server).client_tls.abortConnection()
        self.assertEqual(client.sessions, 0)
        connected(TlsPair(client, server))
        self.assertEqual((client.handshakes, client.sessions), (2, 1))

    def test_refused_client_keeps_nothing(self) -> None:
        """In TLS 1.3 a client that the server refuses in the end has no session of it. fault:F11"""
        client = settings("a.example")
        TlsPair(client, settings("b.example", TrustPolicy([]))).run()
        self.assertEqual(client.sessions, 0)

    def test_nothing_pending(self) -> None:
        """Resumed connections leave no timer behind. fault:J2"""
        client, server = settings("a.example"), settings("b.example")
        for _ in range(3):
            pair = connected(TlsPair(client, server))
            clock: Clock = pair.clock
            self.assertEqual(clock.getDelayedCalls(), [])


def connected(pair: TlsPair) -> TlsPair:
    """Connect the two, and have each say something: tickets come with the first that a server says."""
    pair.run()
    if pair.client.events != ["made", "verified"] or pair.server.events != ["made", "verified"]:
        raise AssertionError((pair.client.reason, pair.server.reason))
    pair.server.transport.write(b"hello")
    pair.client.transport.write(b"hello")
    pair.run()
    if (pair.client.heard, pair.server.heard) != (b"hello", b"hello"):
        raise AssertionError((pair.client.heard, pair.server.heard))
    pair.client.transport.loseConnection()
    return pair.run()
