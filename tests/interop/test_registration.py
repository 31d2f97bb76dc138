"""REGISTER at Kamailio's registrar: over mutual TLS, with digest, outbound, GRUU, Path and Service-Route."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

from sip_p2p import (
    AuthenticationFailed,
    Credentials,
    FlowRecovery,
    ProxyConnector,
    RegistrationState,
    RequestFailed,
    SignalingState,
    SipEndpoint,
)
from tests.interop.peers.kamailio_registrar import DOMAIN, PASSWORD, KamailioRegistrar
from tests.interop.peers.ours import Service
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER
from tests.interop.support import TEXT, InteropTestCase, reactor

QUICK = FlowRecovery(base=0.2, base_with_others=0.2, longest=1.0, stable=0.1)


class RegistrarTestCase(InteropTestCase):
    """Our telephones, which listen for nobody, and Kamailio, which proves its domain and no address."""

    needs = (KamailioRegistrar,)

    async def start(self, **options: Any) -> KamailioRegistrar:
        """The server."""
        kamailio = self.peer(KamailioRegistrar)
        await kamailio.serve(self.certificates.for_domain_only(DOMAIN), self.certificates.trust, **options)
        return kamailio

    async def phone(self, user: str, password: str = PASSWORD, **options: Any) -> SipEndpoint:
        """A telephone of the domain, on a manager of its own.

        :param password: empty for one that knows none.
        """
        party = await self.tls_party(allow=None)
        credentials = Credentials()
        if password:
            credentials.add(realm=DOMAIN, username=user, password=password, peer=DOMAIN, **options)
        return SipEndpoint(f"sip:{user}@{DOMAIN}", party.manager, credentials=credentials)

    def proxy(self, kamailio: KamailioRegistrar) -> ProxyConnector:
        """Where it is, and what it proves."""
        return ProxyConnector.parse(kamailio.proxy(), DOMAIN)

    async def registered(self, user: str, kamailio: KamailioRegistrar, **options: Any) -> tuple[SipEndpoint, Any]:
        """A telephone that is registered, and its registration."""
        phone = await self.phone(user)
        return phone, await phone.register(proxies=[self.proxy(kamailio)], **options)


class RegistrarTests(RegistrarTestCase):
    """What a registration is good for."""

    async def test_message(self) -> None:
        """Two telephones that only dial reach each other through their server, over the connections that they have
        opened; From is let through because the server says it (row:E16, fault:F14)."""
        kamailio = await self.start()
        alice, _ = await self.registered("alice", kamailio)
        bob, _ = await self.registered("bob", kamailio)
        heard: list[Any] = []
        bob.message_received.subscribe(heard.append)
        answer = await alice.send_message(f"sip:bob@{DOMAIN}", TEXT)
        self.assertEqual((answer.status, [event.text for event in heard]), (200, [TEXT]))
        self.assertEqual(str(heard[0].from_.uri), f"sip:alice@{DOMAIN}")

    async def test_session(self) -> None:
        """So they do for a session, from INVITE to BYE."""
        kamailio = await self.start()
        alice, _ = await self.registered("alice", kamailio)
        bob, _ = await self.registered("bob", kamailio)
        sessions: list[Any] = []

        def called(session: Any) -> None:
            sessions.append(session)
            session.accept(ANSWER)

        bob.session_received.subscribe(called)
        session = await alice.invite(f"sip:bob@{DOMAIN}", OFFER)
        await session.terminate()
        await until(reactor, lambda: sessions[0].state is SignalingState.DISCONNECTED, 10, "the end of the session")

    async def test_granted(self) -> None:
        """Outbound, GRUUs, Path and Service-Route are granted, and shown (RFC 5626, RFC 5627, RFC 3327, RFC 3608)."""
        kamailio = await self.start()
        alice, registration = await self.registered("alice", kamailio, expires=600)
        self.assertTrue(registration.is_outbound)
        self.assertTrue(590 < registration.expires <= 600)
        self.assertEqual(registration.service_route, (f"<sip:127.0.0.1:{kamailio.ports['tls']};transport=tls;lr>",))
        self.assertTrue(str(registration.public_gruu).startswith(f"sip:alice@{DOMAIN};gr="), registration.public_gruu)
        self.assertIsNotNone(registration.temporary_gruu)
        self.assertIn(str(registration.public_gruu), alice.contact_value(registration.flows[0]))

    async def test_gruu_leads_here(self) -> None:
        """Who writes to one device's GRUU reaches that device, and no other one of the same address (RFC 5627)."""
        kamailio = await self.start()
        one, registration = await self.registered("alice", kamailio)
        two, _ = await self.registered("alice", kamailio)
        bob, _ = await self.registered("bob", kamailio)
        heard: list[str] = []
        one.message_received.subscribe(lambda event: heard.append("one"))
        two.message_received.subscribe(lambda event: heard.append("two"))
        for gruu in (registration.public_gruu, registration.temporary_gruu):
            await bob.send_message(gruu, TEXT)
        self.assertEqual(heard, ["one", "one"])

    async def test_unregistered(self) -> None:
        """Who has unregistered is not there any more."""
        kamailio = await self.start()
        _, registration = await self.registered("alice", kamailio)
        bob, _ = await self.registered("bob", kamailio)
        await registration.unregister()
        failure = await self.failure_of(bob.send_message(f"sip:alice@{DOMAIN}", TEXT), RequestFailed)
        self.assertEqual(failure.status, 404)

    async def test_too_brief(self) -> None:
        """Kamailio's 423 is followed, and what it grants counts."""
        kamailio = await self.start(least=120, most=200)
        _, registration = await self.registered("alice", kamailio, expires=30)
        self.assertTrue(110 < registration.expires <= 120)
        _, other = await self.registered("bob", kamailio, expires=7200)
        self.assertTrue(190 < other.expires <= 200)

    async def test_refreshed(self) -> None:
        """A refresh keeps the binding and its connection."""
        kamailio = await self.start()
        _, registration = await self.registered("alice", kamailio, expires=100)
        [flow] = registration.flows
        before = flow.messages
        registration.refresh()
        await until(reactor, lambda: flow.messages > before, 10, "the answer")
        self.assertEqual(registration.state, RegistrationState.REGISTERED)
        self.assertEqual((registration.flows, len(registration.other_contacts)), ((flow,), 0))

    async def test_without_outbound(self) -> None:
        """A registrar without RFC 5626 and RFC 5627 registers us all the same."""
        kamailio = await self.start(outbound=False, gruu=False)
        alice, registration = await self.registered("alice", kamailio)
        bob, _ = await self.registered("bob", kamailio)
        self.assertEqual((registration.is_outbound, registration.public_gruu), (False, None))
        heard: list[Any] = []
        alice.message_received.subscribe(heard.append)
        await bob.send_message(f"sip:alice@{DOMAIN}", TEXT)
        self.assertEqual(len(heard), 1)


class DigestTests(RegistrarTestCase):
    """Kamailio asks for a password, over mutual TLS."""

    async def asks(self, algorithm: str, **options: Any) -> None:
        """It does, and is answered, and refreshes go on."""
        kamailio = await self.start(algorithm=algorithm)
        phone = await self.phone("alice", **options)
        registration = await phone.register(proxies=[self.proxy(kamailio)])
        [flow] = registration.flows
        for _ in range(2):
            before = flow.messages
            registration.refresh()
            await until(reactor, lambda before=before: flow.messages > before, 10, "the answer")  # type: ignore[misc]
            await until(reactor, lambda: registration.state is RegistrationState.REGISTERED, 10, "the registration")
        self.assertIsNone(registration.error)
        await registration.unregister()

    async def test_sha_256(self) -> None:
        """SHA-256 (RFC 8760)."""
        await self.asks("SHA-256")

    async def test_md5(self) -> None:
        """MD5, where it is allowed (fault:E4)."""
        await self.asks("MD5", allow_md5=True)

    async def test_md5_not_allowed(self) -> None:
        """Where it is not, nothing is answered (fault:E4)."""
        kamailio = await self.start(algorithm="MD5")
        phone = await self.phone("alice")
        failure = await self.failure_of(phone.register(proxies=[self.proxy(kamailio)]), AuthenticationFailed)
        self.assertIn("MD5", str(failure))

    async def test_wrong(self) -> None:
        """A wrong password is refused, and that is the outcome (fault:E3)."""
        kamailio = await self.start(algorithm="SHA-256")
        phone = await self.phone("alice", "a guess")
        failure = await self.failure_of(phone.register(proxies=[self.proxy(kamailio)]), AuthenticationFailed)
        self.assertEqual((failure.status, failure.realm), (401, DOMAIN))

    async def test_nonce_runs_out(self) -> None:
        """A nonce that has run out is answered with another one, and nobody notices (RFC 7616 section 3.3)."""
        kamailio = await self.start(algorithm="SHA-256", nonce_lifetime=1)
        phone = await self.phone("alice")
        registration = await phone.register(proxies=[self.proxy(kamailio)])
        changes: list[Any] = []
        registration.state_changed.subscribe(changes.append)
        await until(reactor, _after(2.2), 10, "the end of the nonce")
        [flow] = registration.flows
        before = flow.messages
        registration.refresh()
        await until(reactor, lambda: flow.messages >= before + 2, 10, "both answers")
        self.assertEqual((registration.error, changes), (None, []))


class ProxyTests(RegistrarTestCase):
    """Kamailio asks also whoever wants something to be passed on (407)."""

    async def asks(self, algorithm: str, **options: Any) -> None:
        """A text and a call, each asked for, and what is in the call is not."""
        kamailio = await self.start(algorithm=algorithm, asks_all=True)
        phones = []
        for user in ("alice", "bob"):
            phone = await self.phone(user, **options)
            await phone.register(proxies=[self.proxy(kamailio)])
            phones.append(phone)
        alice, bob = phones
        heard: list[Any] = []
        sessions: list[Any] = []
        bob.message_received.subscribe(heard.append)

        def called(session: Any) -> None:
            sessions.append(session)
            session.accept(ANSWER)

        bob.session_received.subscribe(called)
        for _ in range(2):
            answer = await alice.send_message(f"sip:bob@{DOMAIN}", TEXT)
            self.assertEqual(answer.status, 200)
        self.assertEqual([event.text for event in heard], [TEXT, TEXT])
        self.assertNotIn("Proxy-Authorization", heard[0].request.headers)
        session = await alice.invite(f"sip:bob@{DOMAIN}", OFFER)
        self.assertEqual((await session.request("OPTIONS")).status, 200)
        await session.terminate()
        await until(reactor, lambda: sessions[0].state is SignalingState.DISCONNECTED, 10, "the end of the session")
        proved = re.findall(r"PROVED\|(\w+)\|(\w+)\|", kamailio.log)
        self.assertEqual(proved, [("MESSAGE", "alice"), ("MESSAGE", "alice"), ("INVITE", "alice")])

    async def test_sha_256(self) -> None:
        """MESSAGE and INVITE are answered with SHA-256, and the second text carries its answer at once (limit:L3)."""
        await self.asks("SHA-256")

    async def test_md5(self) -> None:
        """So they are with MD5, where it is allowed (limit:L3, fault:E4)."""
        await self.asks("MD5", allow_md5=True)

    async def test_without_credentials(self) -> None:
        """Who has none is told for which realm (fault:E3)."""
        kamailio = await self.start(algorithm="", asks_all=True)
        alice = await self.phone("alice", "")
        await alice.register(proxies=[self.proxy(kamailio)])
        for failing in (alice.send_message(f"sip:bob@{DOMAIN}", TEXT), alice.invite(f"sip:bob@{DOMAIN}", OFFER)):
            failure = await self.failure_of(failing, AuthenticationFailed)
            self.assertEqual((failure.status, failure.realm), (407, DOMAIN))


class FailureTests(RegistrarTestCase):
    """A server that goes away."""

    async def test_restarted(self) -> None:
        """A Kamailio that has lost its connections, and all that it knew, has us back by itself."""
        kamailio = await self.start()
        alice, registration = await self.registered("alice", kamailio, recovery=QUICK)
        await until(reactor, _after(0.3), 10, "a while")
        os.killpg(kamailio.program.pid, signal.SIGKILL)
        await until(reactor, lambda: not registration.is_registered, 10, "the loss")
        await kamailio.stop()
        again = self.peer(KamailioRegistrar)
        again.ports = kamailio.ports
        await again.serve(self.certificates.for_domain_only(DOMAIN), self.certificates.trust)
        await registration.when_registered()
        heard: list[Any] = []
        alice.message_received.subscribe(heard.append)
        bob, _ = await self.registered("bob", again)
        await bob.send_message(f"sip:alice@{DOMAIN}", TEXT)
        self.assertEqual(len(heard), 1)

    async def test_two_flows(self) -> None:
        """Of two servers one is enough: when one is killed, what is for us comes by the other, and what we send goes
        there."""
        one, two = await self.start(), await self.start()
        alice = await self.phone("alice")
        registration = await alice.register(proxies=[self.proxy(one), self.proxy(two)], recovery=QUICK)
        await until(reactor, lambda: len(registration.flows) == 2, 10, "both flows")
        heard: list[Any] = []
        alice.message_received.subscribe(heard.append)
        os.killpg(one.program.pid, signal.SIGKILL)
        await until(reactor, lambda: len(registration.flows) == 1, 10, "the loss")
        bob, _ = await self.registered("bob", two)
        await bob.send_message(f"sip:alice@{DOMAIN}", TEXT)
        await alice.send_message(f"sip:alice@{DOMAIN}", TEXT)
        self.assertEqual((len(heard), registration.state), (2, RegistrationState.REGISTERED))


class ServiceTests(RegistrarTestCase):
    """``twistd sip-p2p --register``."""

    async def test_reached(self) -> None:
        """A service without a listener registers with its password, is reached through Kamailio, and has taken its
        binding out when it is gone."""
        kamailio = await self.start(algorithm="SHA-256")
        leaf = self.certificates.right("service.example")
        passwords = os.path.join(self.folder(), "passwords.toml")
        with open(os.open(passwords, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(
                f'[[credentials]]\nrealm = "{DOMAIN}"\nusername = "alice"\npassword = "{PASSWORD}"\npeer = "{DOMAIN}"\n'
            )
        service = self.peer(Service)
        await service.start(
            *("--uri", f"sip:alice@{DOMAIN}", "--register", DOMAIN, "--credentials", passwords),
            *("--proxy", kamailio.proxy(), "--proxy-name", DOMAIN),
            *("--certificate", leaf.certificate, "--trust", self.certificates.trust),
        )
        states = [(await service.event("registration"))["state"] for _ in range(2)]
        self.assertEqual(states, ["registering", "registered"])
        bob = await self.phone("bob")
        await bob.register(proxies=[self.proxy(kamailio)])
        await bob.send_message(f"sip:alice@{DOMAIN}", TEXT)
        self.assertEqual((await service.event("message"))["text"], TEXT)
        await service.stop()
        failure = await self.failure_of(bob.send_message(f"sip:alice@{DOMAIN}", TEXT), RequestFailed)
        self.assertEqual(failure.status, 404)


def _after(seconds: float) -> Any:
    """Something that is true once *seconds* have passed."""
    due = reactor.seconds() + seconds
    return lambda: reactor.seconds() >= due
