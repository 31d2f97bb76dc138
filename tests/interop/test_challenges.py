"""Names and passwords that we ask for, and clients that are not ours: SIPp, baresip, linphonec and sipsak.

All of them know MD5, which has to be allowed. Only linphonec knows SHA-256, and answers nobody whose first challenge is
for an algorithm that it does not know, whatever comes after that.
"""

from __future__ import annotations

import re
from typing import Any

from sip_p2p import DigestAuthenticator
from tests.interop.calls import Called
from tests.interop.events import EventTestCase
from tests.interop.namespace import ADDRESS
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.program import PeerFailed, until
from tests.interop.peers.scenario import ANSWER, OFFER, Scenario
from tests.interop.peers.sipp import Sipp, TlsBefore
from tests.interop.peers.sipsak import Sipsak
from tests.interop.support import OUR_DOMAIN, Party, reactor
from tests.interop.test_baresip_events import BaresipTestCase

ON_LOOPBACK = "port=0:interface=127.0.0.1"
NAME, PASSWORD = "carol", "staple"
RIGHT = (NAME, PASSWORD)
WRONG = (NAME, "guess")
TEXT = "three words only"
PLAIN = "Content-Type: text/plain"
AUTHENTICATION = "[authentication]"


def asks(*algorithms: str, **options: Any) -> DigestAuthenticator:
    """Who asks everybody for a password; MD5 among *algorithms* is allowed."""
    passwords = {NAME: PASSWORD}
    return DigestAuthenticator(
        OUR_DOMAIN, passwords.get, algorithms=algorithms, allow_md5="MD5" in algorithms, **options
    )


class Answers:
    """A tap that reads the credentials in what comes.

    :ivar given: of each request with credentials, in order and each once: its method, and what it says.
    """

    def __init__(self) -> None:
        self.given: list[tuple[str, dict[str, str]]] = []
        self._seen: set[bytes] = set()

    def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
        """Read *data*, if it comes and has not come before."""
        found = re.search(rb"^Authorization: *Digest (.*?)\r\n", data, re.MULTILINE | re.IGNORECASE)
        if direction != "in" or found is None or bytes(data) in self._seen:
            return
        self._seen.add(bytes(data))
        pairs = re.findall(r'([a-z]+)\s*=\s*(?:"([^"]*)"|([^\s,]+))', found[1].decode())
        method = data.split(b" ", 1)[0].decode()
        self.given.append((method, {name: quoted or bare for name, quoted, bare in pairs}))

    def counts(self, *methods: str) -> list[int]:
        """The counts of the nonces of the requests with *methods*."""
        return [int(values["nc"], 16) for method, values in self.given if method in methods]

    def nonces(self) -> set[str]:
        """The nonces."""
        return {values["nonce"] for _, values in self.given}


class ChallengeTestCase(EventTestCase):
    """A party that asks, and what it is answered."""

    def setUp(self) -> None:
        """Begin to read credentials."""
        super().setUp()
        self.answers = Answers()

    async def _party(self, manager: Any, listen: tuple[str, ...], options: dict[str, Any]) -> Party:
        manager.add_tap(self.answers)
        return await super()._party(manager, listen, options)

    @property
    def refusals(self) -> list[str]:
        """The challenges that we have sent, each once."""
        return list(dict.fromkeys(self.said("SIP/2.0 401")))

    async def heard(self, party: Party, count: int) -> None:
        """So many texts have come, each from who knows the password."""
        await until(reactor, lambda: len(party.received) >= count, 15, f"{count} texts")
        given = [(event.text, event.authenticated_as) for event in party.received]
        self.assertEqual(given, [(TEXT, NAME)] * count)


class SippTestCase(ChallengeTestCase):
    """SIPp counts how often it uses a nonce."""

    needs = (Sipp,)

    async def plays(
        self, scenario: Scenario, party: Party, transport: str, login: tuple[str, str] = RIGHT, port: int = 0
    ) -> Sipp:
        """SIPp, which plays *scenario* to its end."""
        sipp = self.peer(Sipp)
        given = ("-au", login[0], "-ap", login[1], "-auth_uri", party.uri(transport).removeprefix("sip:"))
        target = ("127.0.0.1", port or party.manager.listening_port)
        await sipp.play(scenario, "udp" if transport == "udp" else "tcp", target, options=given)
        await sipp.answered()
        return sipp

    def texts(self, uri: str, count: int) -> Scenario:
        """A text, asked for, and *count* that say who sends them."""
        scenario = Scenario(uri).asks("MESSAGE", 1, lines=[PLAIN], body=TEXT)
        scenario.gets(401, of="MESSAGE", wants={"WWW-Authenticate": f'realm="{OUR_DOMAIN}"'}, challenges=True)
        for number in range(2, 2 + count):
            scenario.asks("MESSAGE", number, lines=[PLAIN, AUTHENTICATION], body=TEXT)
            scenario.gets(200, of="MESSAGE", wants={"Authentication-Info": 'rspauth="[0-9a-f]+"'})
        return scenario

    async def texts_pass(self, party: Party, transport: str, port: int = 0) -> None:
        """Three texts with one nonce, counted."""
        sipp = await self.plays(self.texts(party.uri(transport), 3), party, transport, port=port)
        given = [(event.text.strip(), event.authenticated_as) for event in party.received]
        self.assertEqual(given, [(TEXT, NAME)] * 3, sipp.messages)
        self.assertEqual(self.answers.counts("MESSAGE"), [1, 2, 3])
        self.assertEqual((len(self.answers.nonces()), len(self.refusals)), (1, 1))


class SippTests(SippTestCase):
    """SIPp by itself."""

    async def test_udp(self) -> None:
        """Its text over UDP passes with its password, and two more with the same nonce (row:F10, limit:L3)."""
        await self.texts_pass(await self.clear_text_party(f"udp:{ON_LOOPBACK}", authenticator=asks("MD5")), "udp")

    async def test_tcp(self) -> None:
        """So they do over TCP (row:F10, limit:L3)."""
        await self.texts_pass(await self.clear_text_party(f"tcp:{ON_LOOPBACK}", authenticator=asks("MD5")), "tcp")

    async def test_wrong(self) -> None:
        """A wrong password and a name that there is not are refused alike, and not as stale (row:F10, fault:E6)."""
        for login in (WRONG, ("nobody", PASSWORD)):
            party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}", authenticator=asks("MD5"))
            scenario = Scenario(party.uri("tcp")).asks("MESSAGE", 1, lines=[PLAIN], body=TEXT)
            scenario.gets(401, of="MESSAGE", challenges=True)
            scenario.asks("MESSAGE", 2, lines=[PLAIN, AUTHENTICATION], body=TEXT)
            scenario.gets(401, of="MESSAGE", lacks=["Authentication-Info"])
            await self.plays(scenario, party, "tcp", login)
            self.assertEqual(party.received, [])
        self.assertEqual([refusal for refusal in self.refusals if "stale" in refusal], [])
        self.assertEqual((len(self.refusals), len(self.answers.given)), (4, 2))

    async def test_not_weaker(self) -> None:
        """Where MD5 is not asked for it does not pass, though it knows the password (row:F10, fault:E4)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}", authenticator=asks("SHA-512-256", "SHA-256"))
        failure = await self.failure_of(self.plays(self.texts(party.uri("tcp"), 1), party, "tcp"), PeerFailed)
        self.assertIn("must use MD5", str(failure))
        self.assertEqual(party.received, [])
        self.assertNotIn("MD5", "".join(self.refusals))

    async def test_taken_once(self) -> None:
        """What it has answered is said again by another SIPp, word for word, and is stale (row:F10, fault:E1)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}", authenticator=asks("MD5"))
        await self.texts_pass(party, "tcp")
        again = [f"Authorization: {event.request.headers['Authorization']}" for event in party.received]
        for line in again:
            scenario = Scenario(party.uri("tcp")).asks("MESSAGE", 9, lines=[PLAIN, line], body=TEXT)
            scenario.gets(401, of="MESSAGE", wants={"WWW-Authenticate": "stale=true"})
            await self.plays(scenario, party, "tcp")
        self.assertEqual(len(party.received), 3)

    async def test_call(self) -> None:
        """It calls, is asked once, and the BYE of the call counts the same nonce on (row:F10, limit:L3)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}", authenticator=asks("MD5"))
        names: list[str] = []
        party.endpoint.session_received.subscribe(lambda session: names.append(session.authenticated_as))
        called = Called(party, ANSWER, rings=False)
        scenario = Scenario(party.uri("udp")).asks("INVITE", 1, body=OFFER)
        scenario.gets(401, challenges=True).asks("ACK", 1, branch="INVITE1")
        scenario.asks("INVITE", 2, lines=[AUTHENTICATION], body=OFFER).gets(100, optional=True).gets(200)
        scenario.asks("ACK", 2).asks("BYE", 3, lines=[AUTHENTICATION]).gets(200, of="BYE")
        await self.plays(scenario, party, "udp")
        await (await called.call()).reaches("DISCONNECTED")
        self.assertEqual((names, self.answers.counts("INVITE", "BYE")), ([NAME], [1, 2]))
        self.assertEqual(len(self.refusals), 1)


class SippTlsTests(SippTestCase):
    """SIPp with socat in front of it."""

    needs = (Sipp, TlsBefore)

    async def test_tls(self) -> None:
        """Over mutual TLS a name that is proved does not stand for the password (row:F10, limit:L3)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", authenticator=asks("MD5"))
        tls = self.peer(TlsBefore)
        await tls.dial(party.manager.listening_port, self.certificates.right("localhost"), self.certificates.trust)
        await self.texts_pass(party, "tls", tls.port)
        self.assertEqual({event.peer.identity for event in party.received}, {"localhost"})


class SipsakTests(ChallengeTestCase):
    """sipsak knows MD5 and its own OPTIONS."""

    needs = (Sipsak,)

    async def options(self, transport: str) -> None:
        """Its OPTIONS pass with the password, and with no other one."""
        party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}", authenticator=asks("MD5"))
        text = await self.peer(Sipsak).options(party.uri("udp"), transport, RIGHT)
        self.assertIn("SIP/2.0 200", text)
        self.assertEqual((self.answers.counts("OPTIONS"), len(self.refusals)), ([1], 1))
        failing = self.peer(Sipsak).options(party.uri("udp"), transport, WRONG)
        self.assertNotIn("SIP/2.0 200", str(await self.failure_of(failing, PeerFailed)))
        self.assertEqual((len(self.answers.given), len(self.refusals)), (2, 3))

    async def test_udp(self) -> None:
        """Over UDP (row:F10, limit:L3)."""
        await self.options("udp")

    async def test_tcp(self) -> None:
        """Over TCP (row:F10, limit:L3)."""
        await self.options("tcp")

    async def test_not_weaker(self) -> None:
        """Where MD5 is not asked for it does not pass (row:F10, fault:E4)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}", authenticator=asks("SHA-256"))
        await self.failure_of(self.peer(Sipsak).options(party.uri("udp"), "udp", RIGHT), PeerFailed)
        self.assertEqual(self.answers.given, [])


class BaresipTests(BaresipTestCase, ChallengeTestCase):
    """baresip knows MD5, and uses the nonce of a call as long as that lasts."""

    async def passes(self, transport: str) -> None:
        """Its texts pass, and its call with all that is in it."""
        await self.enter()
        party = await self.party(transport, authenticator=asks("MD5"))
        called = Called(party)
        baresip = await self.phone(party, transport, login=RIGHT)
        for number in (1, 2):
            baresip.message(TEXT)
            await self.heard(party, number)
        self.assertEqual(self.answers.counts("MESSAGE"), [1, 1])
        baresip.dial(party.uri(transport, ADDRESS))
        call = await called.call()
        await call.reaches("CONNECTED")
        offers: list[Any] = []

        def answer(offer: Any) -> str:
            offers.append(offer)
            return ANSWER

        call.session.offer_received.subscribe(answer)
        await baresip.program.find("Call established")
        baresip.hold()
        # It counts an ACK as well.
        await until(reactor, lambda: len(self.answers.counts("ACK")) == 2, 15, "hold")
        baresip.hang_up()
        self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        self.assertEqual((self.answers.counts("INVITE", "BYE"), len(offers)), ([1, 3, 5], 1))
        self.assertEqual((len(self.answers.nonces()), len(self.refusals)), (3, 3))

    async def test_udp(self) -> None:
        """Texts and a call over UDP: hold and BYE count the nonce of the INVITE on (row:F10, limit:L3)."""
        await self.passes("udp")

    async def test_tcp(self) -> None:
        """The same over TCP (row:F10, limit:L3)."""
        await self.passes("tcp")

    async def test_tls(self) -> None:
        """The same over TLS (row:F10, limit:L3)."""
        await self.passes("tls")

    async def test_wrong(self) -> None:
        """With a wrong password neither its text nor its call passes, and it does not ask for ever (row:F10)."""
        await self.enter()
        party = await self.party("udp", authenticator=asks("MD5"))
        called = Called(party)
        baresip = await self.phone(party, "udp", login=WRONG)
        baresip.message(TEXT)
        await until(reactor, lambda: len(self.refusals) == 2, 15, f"two refusals\n{baresip.program.report()}")
        baresip.dial(party.uri("udp", ADDRESS))
        await baresip.program.find("session closed")
        self.assertEqual((party.received, called.calls, len(self.refusals)), ([], [], 4))


class LinphoneTests(ChallengeTestCase):
    """linphonec knows SHA-256."""

    needs = (Linphone,)

    async def phone(self, target: str, password: str = PASSWORD) -> Linphone:
        """linphonec, which sends everything to *target*."""
        linphone = self.peer(Linphone)
        right = self.certificates.right("localhost")
        await linphone.start(target, right, self.certificates.trust, login=(NAME, OUR_DOMAIN, password))
        return linphone

    async def passes(self, party: Party, uri: str, algorithm: str) -> None:
        """Its texts pass, and its call."""
        called = Called(party)
        linphone = await self.phone(uri)
        linphone.message(uri, TEXT)
        await self.heard(party, 1)
        linphone.command(f"call {uri}")
        call = await called.call()
        await call.reaches("CONNECTED")
        linphone.command("terminate")
        self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        self.assertEqual({values["algorithm"] for _, values in self.answers.given}, {algorithm})

    async def test_udp(self) -> None:
        """A text and a call over UDP with SHA-256 (row:F10, limit:L3)."""
        algorithms = asks("SHA-256", "SHA-512-256")
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}", authenticator=algorithms)
        await self.passes(party, party.uri("udp"), "SHA-256")

    async def test_tcp(self) -> None:
        """The same over TCP with MD5, where that is all that is asked for (row:F10, limit:L3, fault:E4)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}", authenticator=asks("MD5"))
        await self.passes(party, party.uri("tcp"), "MD5")

    async def test_tls(self) -> None:
        """The same over TLS with SHA-256, though it could choose MD5, which comes last (row:F10, fault:E4)."""
        right, both = self.certificates.right("localhost"), asks("SHA-256", "MD5")
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=right, authenticator=both)
        await self.passes(party, party.uri("tls", "localhost"), "SHA-256")

    async def test_wrong(self) -> None:
        """With a wrong password neither its text nor its call passes, and its user is asked (row:F10)."""
        for command in ("chat {} " + TEXT, "call {}"):
            party = await self.clear_text_party(f"udp:{ON_LOOPBACK}", authenticator=asks("SHA-256"))
            called = Called(party)
            linphone = await self.phone(party.uri("udp"), "guess")
            linphone.command(command.format(party.uri("udp")))
            await linphone.program.find(f"Password for .* on {OUR_DOMAIN}")
            await linphone.stop()
            self.assertEqual((party.received, called.calls), ([], []))
        self.assertEqual({method for method, _ in self.answers.given} - {"ACK"}, {"MESSAGE", "INVITE"})
        self.assertEqual([refusal for refusal in self.refusals if "stale" in refusal], [])
